"""Refuses to plan or apply what the commit does not have, where `plan.require_clean` asks for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..artifact.uncommitted import Uncommitted
from ..base.errors import ArtifactRefusedError, DeployError
from ..base.problem import NOTHING_CHANGED
from ..base.text import few

if TYPE_CHECKING:
    from ..artifact.inputs import Inputs
    from ..project.stack import Stack
    from ..run.run import Run

_SHOWN = 10
_STEP = (
    "commit what the plan reads (`git add -f` if git ignores it; `git update-index --no-assume-unchanged"
    " --no-skip-worktree FILE` if git is asked not to look at it), then run it again"
)


def require(run: Run, stack: Stack, inputs: Inputs) -> None:
    """Refuse to plan a stack if something that its plan reads is not in the commit.

    Raises:
        DeployError: Something is not, or there is no commit; names it.
        GitError: Git does not answer.
    """
    if found := _found(run, inputs):
        raise DeployError(
            f"{_words(found)}, and plan.require_clean is set",
            where=run.project.loaded.where("plan", "require_clean"),
            stack=stack.name,
            untouched=NOTHING_CHANGED,
            next_step=_STEP if any(found.values()) else "commit or stash them (`git stash -u`), then run it again",
        )


def require_of_artifact(run: Run, stack: Stack, inputs: Inputs) -> None:
    """Refuse an artifact if something that its plan has read is not in the commit.

    Raises:
        ArtifactRefusedError: Something is not, or there is no commit; names it.
        GitError: Git does not answer.
    """
    if found := _found(run, inputs):
        raise ArtifactRefusedError("dirty", f"{_words(found)}; see plan.require_clean", stack=stack.name)


def _found(run: Run, inputs: Inputs) -> dict[str, str]:
    """What is not as in the commit, each with the reason, empty where git itself reports it."""
    if not run.project.config.plan.require_clean:
        return {}
    if run.revision.commit is None:
        return {"all files": "there is no commit"}
    known = run.once(_uncommitted)
    return {**known.among(inputs), **known.anywhere}


def _words(found: dict[str, str]) -> str:
    names = [f"{path}: {why}" if why else path for path, why in sorted(found.items())]
    return f"the tree has uncommitted changes ({few(names, _SHOWN)})"


def _uncommitted(run: Run) -> Uncommitted:
    return Uncommitted(run.project, run.revision.commit or "")
