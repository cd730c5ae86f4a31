"""Where the shell is that started us: what is printed to be typed there has to work there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .problem import Problem


def way() -> str:
    """How that shell gets to the folder of `dodo.py`, which doit has changed to; empty if it is there already."""
    from doit import loader

    begun = loader.initial_workdir
    if begun is None:
        return ""
    path = os.path.relpath(Path.cwd(), begun)
    return "" if path == "." else path


def text(problem: Problem) -> str:
    """A problem as that shell's user reads it: its commands work there."""
    return problem.seen_from(way()).text()


def listed(problems: Iterable[Problem]) -> str:
    """Several problems so, one after the other."""
    return "\n".join(map(text, problems))
