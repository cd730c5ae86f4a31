"""Programs of Go modules that the tests need, built once from pinned versions and kept in the cache."""

from __future__ import annotations

import fcntl
import os
import subprocess
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from tests.repository import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINKER_FLAGS = "-s -w"


def cache() -> Path:
    """Where what was built is kept, outside of the checkout."""
    return Path(os.environ.get("DOIT_TOFU_CACHE", Path.home() / ".cache/doit-tofu")) / "tests"


@contextmanager
def alone(name: str) -> Iterator[None]:
    """While it is open, no other test process is in a block of this name: it waits for this one."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def built(module: str, *packages: str) -> Path:
    """The folder with the binaries of a pinned Go module, built when this very module was not built before.

    A module takes three to four minutes on two cores; several test processes wait for the one that builds.

    Args:
        module: The module's folder, below `tests`.
        packages: What to build of it.
    """
    source = ROOT / "tests" / module
    parts = [source / "go.mod", source / "go.sum", *sorted(source.glob("*.go"))]
    pins = b"".join(part.read_bytes() for part in parts)
    folder = cache() / f"{source.name}-{sha256(pins).hexdigest()[:16]}"
    with alone(source.name):
        if not (folder / "built").exists():
            environment = {
                name: value for name, value in os.environ.items() if name not in ("GOFLAGS", "GOOS", "GOARCH")
            }
            subprocess.run(
                ["go", "build", "-mod=readonly", "-trimpath", "-ldflags", _LINKER_FLAGS, "-o", f"{folder}/", *packages],
                cwd=source, env={**environment, "CGO_ENABLED": "0"}, check=True,
            )  # fmt: skip
            (folder / "built").touch()
    return folder
