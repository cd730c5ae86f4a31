"""A deploy goes forward: what is deployed is not replaced by an older commit, unless that is allowed and recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base import git
from ..base.errors import OlderCommitError
from ..base.git import Relation
from . import deployed

if TYPE_CHECKING:
    from ..artifact.receipt import Receipt
    from ..project.stack import Stack
    from .run import Run

RULE = "older"
_SHORT = 8


def require(run: Run, stack: Stack, last: Receipt | None) -> list[str]:
    """Refuse to deploy a stack from a commit that comes before the one that it was deployed from last.

    A job that is run again, a retried pipeline, a branch that lags behind: each would undo what was deployed since,
    and its plan is not stale where the state did not move. The receipt knows the commit; without one, the tag of the
    last complete deploy does.

    Returns:
        What was let through, a line for the records; empty where there was nothing to let through.

    Raises:
        OlderCommitError: The commit comes before the deployed one, or this clone cannot tell.
    """
    here, there = run.revision.commit, _deployed_from(run, last)
    if here is None or there is None:
        return []
    relation = run.relation_to(there)
    if relation not in (Relation.BEFORE, Relation.UNKNOWN):
        return []
    for item in run.request.allowances:
        if item.rule == RULE and item.stack in ("*", stack.name):
            return [f"{RULE} {here[:_SHORT]} after {there[:_SHORT]}: {item.reason}"]
    raise _older(run, stack, there, here) if relation is Relation.BEFORE else _unknown(run, stack, there, here)


def _deployed_from(run: Run, last: Receipt | None) -> str | None:
    if last is not None:
        return last.commit
    tag = deployed.tag_name(run.project)
    return git.resolve(run.layout.root, tag) if tag else None


def _older(run: Run, stack: Stack, there: str, here: str) -> OlderCommitError:
    allowed = run.command(f"allow={RULE}:{stack.name}", "reason=WHY", "deploy")
    return OlderCommitError(
        f"{there[:_SHORT]} is deployed, and {here[:_SHORT]} comes before it: this would undo what was deployed since",
        stack=stack.name,
        untouched="nothing of this stack was changed",
        next_step=(
            "deploy the newest commit; to go back, revert the change in a commit of its own; or, if it is meant: ",
            allowed,
            ", and the reason is recorded",
        ),
    )


def _unknown(run: Run, stack: Stack, there: str, here: str) -> OlderCommitError:
    allowed = run.command(f"allow={RULE}:{stack.name}", "reason=WHY", "deploy")
    fetch = "git fetch --unshallow" if git.is_shallow(run.layout.root) else f"git fetch origin {there}"
    return OlderCommitError(
        f"{there[:_SHORT]} is deployed, and this clone cannot tell whether {here[:_SHORT]} comes after it",
        stack=stack.name,
        untouched="nothing of this stack was changed",
        next_step=(
            f"`{fetch}`, then run the same command again; or, where that commit no longer exists (a force push): ",
            allowed,
            ", and the reason is recorded",
        ),
    )
