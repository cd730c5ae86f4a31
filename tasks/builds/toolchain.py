"""Finds the programs that a build needs, and their versions."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ..base import process, toolversion
from ..base.errors import BuildError
from . import node

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..project import model

_TIMEOUT = 60
_GET = {
    "node": "install Node.js (Debian: apt-get install nodejs npm; or https://nodejs.org/)",
    "npm": "install npm (Debian: apt-get install npm; or https://nodejs.org/, which brings it)",
    "pnpm": "install pnpm (`npm install --global pnpm`, or `corepack enable`)",
}


def commands(root: Path, build: model.Build) -> list[list[str]]:
    """The commands that print the versions of a build's toolchain."""
    if build.kind == "command":
        return build.toolchain
    return [["node", "--version"], [node.manager(root / build.path).program, "--version"]]


def versions(root: Path, build: model.Build, environment: Mapping[str, str]) -> dict[str, str] | None:
    """The versions of a build's toolchain by command, cached by the programs' stat; None if a program is missing."""
    found = {}
    for command in commands(root, build):
        version = _version(root / build.path, command, environment)
        if version is None:
            return None
        found[" ".join(command)] = version
    return found


def require(name: str, root: Path, build: model.Build, environment: Mapping[str, str]) -> None:
    """Make sure that a build's programs are installed.

    Raises:
        BuildError: One is missing; the message says what to install.
    """
    for program in {command[0] for command in [*commands(root, build), build.command[:1]] if command}:
        if _find(root / build.path, program, environment) is None:
            where = "in its folder" if "/" in program else "on PATH"
            raise BuildError(
                f"build '{name}' needs `{program}`, which is not {where}",
                untouched="nothing was built, planned or applied",
                next_step=f"{_GET.get(program, f'install {program}')}, then run the same command again",
            )


def _find(folder: Path, program: str, environment: Mapping[str, str]) -> str | None:
    if "/" in program:
        path = folder / program
        return str(path) if path.is_file() and os.access(path, os.X_OK) else None
    return shutil.which(program, path=environment.get("PATH"))


def _version(folder: Path, command: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """The output of a version command; it runs again if the program's file has changed."""
    binary = _find(folder, command[0], environment)
    if binary is None:
        return None
    key = " ".join([binary, *command[1:], node.wanted_manager(folder) or ""]).strip()
    return toolversion.known(Path(binary), key, lambda: _ask([binary, *command[1:]], folder, environment))


def _ask(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str | None:
    try:
        said = process.ask(command, cwd=folder, env=environment, timeout=_TIMEOUT)
    except OSError:
        return None
    return said.output.strip() if said.ok else None
