"""Fixtures of the browser tests: the engine, and the packages of `package-lock.json` in a folder outside the checkout."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import tofu as tofu  # noqa: PLC0414 - a fixture, used by its name

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def packages() -> Path:
    """A folder with `look.mjs` and `node_modules`, installed once per lock file."""
    lock = (HERE / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("DOIT_TOFU_CACHE", Path.home() / ".cache/doit-tofu"))
    folder = cache / f"browser-{hashlib.sha256(lock).hexdigest()[:16]}"
    if not (folder / "node_modules/.package-lock.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(HERE / name, folder)
        subprocess.run(["npm", "ci", "--silent"], cwd=folder, check=True)
    shutil.copy(HERE / "look.mjs", folder)
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser; Debian: apt-get install chromium."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found, "these tests need a browser; Debian: apt-get install chromium"
    return found
