"""A stack's dependency lock file that the next job will not have as it is here, because no commit has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base import git
from ..base.layout import ENGINE_LOCK_FILE
from .details import LockFile

if TYPE_CHECKING:
    from ..project.stack import Stack
    from .run import Run

_STATES = {"??": "new", "!!": "ignored"}  # https://git-scm.com/docs/git-status#_short_format


def note_missing(run: Run, stack: Stack) -> None:
    """Note that a stack has no lock file although git has one: `init` is about to choose its providers anew."""
    path = _path(stack)
    if run.project.index.digest(path) is None and run.project.tree is None and run.project.tracked([path]):
        run.lock_files_missing.add(stack.name)


def uncommitted(run: Run, stack: Stack) -> LockFile | None:
    """A stack's lock file where it is not as in the commit; None where it is, and where there is none or no git.

    Raises:
        GitError: Git refuses to look at the repository.
    """
    path = _path(stack)
    if run.project.index.digest(path) is None:
        return None
    status = (git.ask(run.layout.root, "status", "--porcelain", "--ignored", "--", path) or "")[:2]
    if status:
        return LockFile(path, "missing" if stack.name in run.lock_files_missing else _STATES.get(status, "changed"))
    return LockFile(path, "restored") if stack.name in run.lock_files_missing else None


def _path(stack: Stack) -> str:
    return f"{stack.path}/{ENGINE_LOCK_FILE}"
