"""The build kind `node`: detects the package manager, and whether the installed packages match the lock file."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base.errors import BuildError, RecordError, nearest
from ..base.files import canonical_json, read_json, sha256_bytes, sha256_file, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ..base.jsonvalue import JsonObject

PACKAGE = "package.json"
MODULES = "node_modules"
MARKER = ".doit-tofu.json"  # in node_modules: what is installed there


@dataclass(frozen=True)
class Manager:
    """A package manager: its program, its lock file, its command for an exact install, its record of the install."""

    program: str
    lock: str
    install: tuple[str, ...]
    installed: str


# https://docs.npmjs.com/cli/commands/npm-ci, https://pnpm.io/cli/install
_NPM = ("npm", "ci", "--no-audit", "--no-fund")
_PNPM = ("pnpm", "install", "--frozen-lockfile")
_MANAGERS = (
    Manager("npm", "package-lock.json", _NPM, ".package-lock.json"),
    Manager("npm", "npm-shrinkwrap.json", _NPM, ".package-lock.json"),
    Manager("pnpm", "pnpm-lock.yaml", _PNPM, ".modules.yaml"),
)


def problem(folder: Path, shown: str, script: str) -> str | None:
    """What is wrong with a package, judging by its files; None if nothing is.

    Args:
        folder: The package's folder.
        shown: The folder as messages show it.
        script: The script to run.
    """
    try:
        package = _package(folder)
    except FileNotFoundError:
        return f"{shown} has no {PACKAGE}"
    except (OSError, ValueError) as error:
        return f"{shown}/{PACKAGE} cannot be read: {error}"
    scripts = package.get("scripts")
    if not isinstance(scripts, dict) or script not in scripts:
        known = list(scripts) if isinstance(scripts, dict) else []
        return f"{shown}/{PACKAGE} has no script '{script}'{nearest(script, known)}"
    found = _locks(folder)
    if not found:
        other = " (yarn.lock is for yarn: use the kind `command`)" if (folder / "yarn.lock").exists() else ""
        locks = ", ".join(manager.lock for manager in _MANAGERS)
        return f"{shown} has no lock file ({locks}){other}; create one and commit it"
    if len({manager.program for manager in found}) > 1 and not wanted_manager(folder):
        names = " and ".join(manager.lock for manager in found)
        return f"{shown} has {names}: remove one, or set `packageManager` in {PACKAGE}"
    return None


def manager(folder: Path) -> Manager:
    """The package manager of a package.

    Raises:
        BuildError: It has no lock file.
    """
    wanted = (wanted_manager(folder) or "").partition("@")[0]
    found = _locks(folder)
    for candidate in found:
        if candidate.program == wanted:
            return candidate
    if not found:
        raise BuildError(f"{folder.name} has no lock file", next_step="create one and commit it")
    return found[0]


def wanted_manager(folder: Path) -> str | None:
    """The `packageManager` of package.json, such as `pnpm@9.8.0`; None if it is not set."""
    with suppress(OSError, ValueError):
        value = _package(folder).get("packageManager")
        return value if isinstance(value, str) else None
    return None


def is_installed(folder: Path, toolchain: Mapping[str, str]) -> bool:
    """Whether node_modules was installed from exactly this lock file by this toolchain and is unchanged since."""
    try:
        return bool(read_json(folder / MODULES / MARKER) == _mark(folder, toolchain))
    except (RecordError, OSError):
        return False


def note_installed(folder: Path, toolchain: Mapping[str, str]) -> None:
    """Record what was installed; a package without dependencies has nothing to record.

    Raises:
        RecordError: It cannot be written.
    """
    if (folder / MODULES).is_dir():
        write_json(folder / MODULES / MARKER, _mark(folder, toolchain), durable=False)


def _mark(folder: Path, toolchain: Mapping[str, str]) -> JsonObject:
    used = manager(folder)
    own = folder / MODULES / used.installed
    package = _package(folder)
    return {
        "lock": sha256_file(folder / used.lock),
        "package": sha256_bytes(canonical_json({key: package[key] for key in package if key != "version"})),
        "settings": [
            sha256_file(path) for path in (folder / ".npmrc", folder / "pnpm-workspace.yaml") if path.exists()
        ],
        "toolchain": dict(toolchain),
        "installed": sha256_file(own) if own.exists() else None,
    }


def _locks(folder: Path) -> list[Manager]:
    return [manager for manager in _MANAGERS if (folder / manager.lock).exists()]


def _package(folder: Path) -> JsonObject:
    value = json.loads((folder / PACKAGE).read_bytes())
    if not isinstance(value, dict):
        raise ValueError("it is not an object")  # noqa: TRY004 - the error that json raises for what it cannot read
    return value
