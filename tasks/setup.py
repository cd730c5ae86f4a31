"""`doit setup`: installs the pinned engine and prints which one it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .engine import obtain
from .run.action import printing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .run.run import Run
    from .run.taskdict import TaskDict


def tasks(run: Run) -> Iterator[TaskDict]:
    """`setup`: runs when selected; other tasks obtain the engine when they first need it."""
    yield printing(run, "setup", _text)


def _text(run: Run) -> str:
    """The engine that was found, and where."""
    settings = run.project.config.engine
    found = obtain.obtain(settings, run.stop, run.say)
    return f"{settings.kind} {found.version}, from {found.source}: {found.binary}"
