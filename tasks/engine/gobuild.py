"""Builds the engine with Go from its module, at the version and hashes that this package pins."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..base import process
from ..base.errors import EngineError
from ..base.masking import Secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..base.stop import Stop
    from ..project import model

_PACKAGE = "github.com/opentofu/opentofu"
_LINKER_FLAGS = f"-s -w -X {_PACKAGE}/version.dev=no"
_TELL_EVERY = 15.0
_TAIL = 12


def module_dir() -> Path:
    """The folder of the pinned Go module: inside the package in a wheel, next to it in the repository."""
    package = Path(__file__).parent.parent
    inside = package / "tools" / "tofu"
    return inside if inside.is_dir() else package.parent / "tools" / "tofu"


def pinned_version() -> str:
    """The engine version that can be built: the one required in `tools/tofu/go.mod`.

    Raises:
        EngineError: The package was installed without the module.
    """
    try:
        match = re.search(rf"^\s*(?:require )?{_PACKAGE} v(\S+)", (module_dir() / "go.mod").read_text(), re.MULTILINE)
    except OSError:
        match = None
    if match is None:
        raise EngineError(f"{module_dir()}/go.mod does not say which engine to build")
    return match[1]


def build(settings: model.Engine, version: str, target: Path, stop: Stop, say: Callable[[str], None]) -> None:
    """Build the pinned module into `target`; takes about three minutes on two cores, much less when cached.

    Raises:
        EngineError: No Go toolchain was found, another version is required, or the build failed.
        StoppedError: The run was asked to stop.
    """
    pinned = pinned_version()
    if settings.kind != "tofu" or version != pinned:
        raise EngineError(f"only tofu {pinned} can be built here, not {settings.kind} {version}")
    if shutil.which("go") is None:
        raise EngineError("no Go toolchain on PATH")
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.new")
    arguments = ["go", "build", "-mod=readonly", "-v", "-trimpath", "-ldflags", _LINKER_FLAGS, "-o", str(fresh)]
    say(f"setup: building tofu {version} with Go; this takes a few minutes, once")
    kept = {name: value for name, value in os.environ.items() if name not in ("GOFLAGS", "GOOS", "GOARCH")}
    environment = {**kept, "CGO_ENABLED": "0"}
    started = told = time.monotonic()
    total = _packages(stop, environment)
    lines: list[str] = []

    def take(line: str) -> None:
        nonlocal told
        lines.append(line)
        if time.monotonic() - told > _TELL_EVERY:
            told = time.monotonic()
            of = f" of at most {total:,}" if total else ""
            say(f"setup: built {len(lines):,}{of} packages after {told - started:.0f} s")

    try:
        ended = process.run(
            stop, "setup", [*arguments, f"{_PACKAGE}/cmd/tofu"], mask=Secrets(), cwd=module_dir(),
            env=environment, line=take,
        )  # fmt: skip
    except OSError as error:
        raise EngineError(f"cannot run go: {error.strerror}") from error
    stop.check("setup")
    if not ended.ok:
        raise EngineError(f"`go build` of tofu {version} failed:\n      " + "\n      ".join(lines[-_TAIL:]))
    fresh.replace(target)
    say(f"setup: built in {time.monotonic() - started:.0f} s")


def _packages(stop: Stop, environment: Mapping[str, str]) -> int:
    """How many packages the engine has, once its modules are fetched; 0 if Go does not say: the build says why."""
    arguments = ["go", "list", "-mod=readonly", "-deps", f"{_PACKAGE}/cmd/tofu"]
    try:
        ended = process.run(stop, "setup", arguments, mask=Secrets(), cwd=module_dir(), env=environment, apart=True)
    except OSError:
        return 0
    stop.check("setup")
    return len(ended.output.splitlines()) if ended.ok else 0
