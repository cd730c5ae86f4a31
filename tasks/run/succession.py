"""A deploy never replaces what is deployed by an older commit, unless that is allowed and recorded."""

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
    """Refuse to deploy a stack from a commit that precedes the deployed one.

    A job that is run again, a retried pipeline or an outdated branch would undo later deploys, and its plan is not
    stale if the state has not changed. The deployed commit is in the receipt; without one, the tag of the last complete
    deploy names it.

    Returns:
        What was allowed, as a line for the records; empty if nothing had to be allowed.

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
    return git.tagged(run.layout.root, tag) if tag else None


def _older(run: Run, stack: Stack, there: str, here: str) -> OlderCommitError:
    allowed = run.command(f"allow={RULE}:{stack.name}", "reason=WHY", "deploy")
    return OlderCommitError(
        f"{there[:_SHORT]} is deployed, and {here[:_SHORT]} is older: this would undo later deploys",
        stack=stack.name,
        untouched="nothing in this stack was changed",
        next_step=(
            "deploy the newest commit; to go back, revert the change in a new commit; or, if you mean it: ",
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
        untouched="nothing in this stack was changed",
        next_step=(
            f"`{fetch}`, then run the same command again; or, if that commit no longer exists (a force push): ",
            allowed,
            ", and the reason is recorded",
        ),
    )
