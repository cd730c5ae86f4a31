"""The shell that started us: what is printed to be typed there has to work there."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from . import ci

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .problem import Command, Problem

PROGRAM_VARIABLE = "DOIT_TOFU_PROGRAM"
_SCRIPTS = {"doit": "doit", "doit_tofu": "doit-tofu"}  # those that a module has beside the interpreter
_PYTHONS = ("python", "python3")


def way() -> str:
    """How that shell gets to the folder of `dodo.py`, which doit has changed to; empty if it is there already."""
    path = os.path.relpath(Path.cwd(), _begun())
    return "" if path == "." else path


def _begun() -> Path:
    """The folder in which we were started."""
    from doit import loader

    return Path(loader.initial_workdir or Path.cwd())


def program() -> str:
    """How doit is started in that shell: as we were; in a pipeline `doit`, as its log is read elsewhere.

    A wrapper, such as a script that makes the environment first, names itself in a variable.
    """
    if ci.kind() != "none":
        return "doit"
    if named := " ".join(os.environ.get(PROGRAM_VARIABLE, "").split()):
        return named if named.isprintable() else "doit"
    started = Path(sys.argv[0])
    if started.name in _SCRIPTS.values():
        found, own = shutil.which(started.name), _begun() / started
        on_path = found is not None and own.exists() and own.samefile(found)
        return started.name if on_path else shlex.quote(str(started))
    script = _SCRIPTS.get(started.parent.name)
    if started.name != "__main__.py" or script is None:
        return "doit"
    folder = Path(sys.executable).parent
    if (found := shutil.which(script)) and Path(found).parent == folder:
        return script
    pythons = [name for name in _PYTHONS if (found := shutil.which(name)) and Path(found).parent == folder]
    return f"{pythons[0] if pythons else shlex.quote(sys.executable)} -m {started.parent.name}"


def typed(command: Command) -> str:
    """A command in backquotes, for that shell."""
    return command.seen_from(program()).quoted


def text(problem: Problem) -> str:
    """A problem as that shell's user reads it: its commands work there."""
    return problem.seen_from(way(), program()).text()


def listed(problems: Iterable[Problem]) -> str:
    """Several problems so, one after the other."""
    from .problem import listed as as_text

    return as_text(problem.seen_from(way(), program()) for problem in problems)
