"""Detects dependency lock files that differ from the commit, and that other jobs will therefore not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base import git
from ..base.layout import ENGINE_LOCK_FILE
from .details import LockFile

if TYPE_CHECKING:
    from ..project.stack import Stack
    from .run import Run

_STATES = {"??": "new", "!!": "ignored"}  # https://git-scm.com/docs/git-status#_short_format


def _missing(_: Run) -> set[str]:
    """The stacks whose committed lock file was not here."""
    return set()


def note_missing(run: Run, stack: Stack) -> None:
    """Note that a stack's committed lock file is missing here, so `init` selects providers again."""
    path = _path(stack)
    if run.project.index.digest(path) is None and run.project.tree is None and run.project.tracked([path]):
        run.once(_missing).add(stack.name)


def uncommitted(run: Run, stack: Stack) -> LockFile | None:
    """A stack's lock file if it differs from the commit; None if it does not, or without a file or git.

    Raises:
        GitError: Git refuses to look at the repository.
    """
    path = _path(stack)
    if run.project.index.digest(path) is None:
        return None
    status = (git.ask(run.layout.root, "status", "--porcelain", "--ignored", "--", path) or "")[:2]
    if status:
        return LockFile(path, "missing" if stack.name in run.once(_missing) else _STATES.get(status, "changed"))
    return LockFile(path, "restored") if stack.name in run.once(_missing) else None


def _path(stack: Stack) -> str:
    return f"{stack.path}/{ENGINE_LOCK_FILE}"
