"""The real engine that the tests use: found, or built once; `python -m tests.engine` has it ready."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.gomodule import alone
from tests.repository import ENGINE_VERSION, ROOT


def cached() -> Path:
    """Where `doit setup` in this repository keeps the engine of the pinned version."""
    cache = Path(os.environ.get("DOIT_TOFU_CACHE", Path.home() / ".cache/doit-tofu"))
    return cache / f"engines/tofu-{ENGINE_VERSION}/tofu"


def engine() -> Path:
    """The real engine of the pinned version; `doit setup` in this repository is run when it is not there."""
    with alone("engine"):  # two that set up at once in one checkout: the second is refused
        for candidate in (cached(), Path(shutil.which("tofu") or "/nonexistent")):
            if candidate.exists() and f"v{ENGINE_VERSION}" in subprocess.check_output(
                [candidate, "version"], text=True
            ):
                return candidate
        subprocess.run([sys.executable, "-m", "doit", "setup"], cwd=ROOT, check=True)
        assert cached().exists()
        return cached()


if __name__ == "__main__":
    engine()
