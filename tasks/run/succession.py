"""A deploy never replaces what is deployed by an older commit, unless that is allowed and recorded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..base import git
from ..base.errors import OlderCommitError
from ..base.git import Relation
from ..base.problem import NOTHING_CHANGED
from ..base.text import short
from . import deployed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..artifact.receipt import Receipt
    from ..project.stack import Stack
    from .run import Run

RULE = "older"


@dataclass(frozen=True)
class Succession:
    """How a commit follows the deployed ones.

    Args:
        allowed: What had to be allowed, as lines for the records.
        besides: The deployed commits that it does not contain.
    """

    allowed: list[str] = field(default_factory=list)
    besides: list[str] = field(default_factory=list)


def require(run: Run, stack: Stack, last: Receipt | None) -> Succession:
    """Refuse to deploy a stack from a commit that precedes a deployed one.

    A job that is run again, a retried pipeline or an outdated branch would undo later deploys, and its plan is not
    stale if the state has not changed. The deployed commits are those of the receipt and, where it does not know of
    the ledger's record, those of that one, too. Without a ledger, the tag of the last complete deploy names one more:
    another machine may have deployed since. If this clone cannot tell where that one is, only the receipt counts.

    Returns:
        How the commit follows them.

    Raises:
        OlderCommitError: The commit comes before a deployed one, or this clone cannot tell.
    """
    here = run.revision.commit
    if here is None:
        return Succession()
    relations = {there: run.relation_to(there) for there in _deployed_from(run, stack, last)}
    tagged = run.once(_tagged) if last is not None and run.recording is None else None
    if tagged is not None and run.relation_to(tagged) is Relation.BEFORE:
        relations[tagged] = Relation.BEFORE
    older = [there for there, relation in relations.items() if relation is Relation.BEFORE]
    unknown = [there for there, relation in relations.items() if relation is Relation.UNKNOWN]
    besides = [there for there, relation in relations.items() if relation not in (Relation.SAME, Relation.AFTER)]
    if not older and not unknown:
        return Succession(besides=besides)
    for item in run.request.allowances:
        if item.rule == RULE and item.stack in ("*", stack.name):
            lines = [f"{RULE} {short(here)} after {short(there)}: {item.reason}" for there in [*older, *unknown]]
            return Succession(lines, besides)
    raise _older(run, stack, older[0], here) if older else _unknown(run, stack, unknown[0], here)


def _deployed_from(run: Run, stack: Stack, last: Receipt | None) -> Iterable[str]:
    """The commits that may be deployed, each once."""
    unseen = run.recording.besides(stack.name) if run.recording is not None else []
    if last is not None:
        return dict.fromkeys([*last.commits, *unseen])
    tagged = run.once(_tagged)
    return dict.fromkeys([*([tagged] if tagged else []), *unseen])


def _tagged(run: Run) -> str | None:
    """The commit of the last complete deploy's tag; one that moves while this run works is refused elsewhere."""
    tag = deployed.tag_name(run.project)
    return git.tagged(run.layout.root, tag) if tag else None


def _older(run: Run, stack: Stack, there: str, here: str) -> OlderCommitError:
    allowed = run.command(f"allow={RULE}:{stack.name}", "reason=WHY", "deploy")
    return OlderCommitError(
        f"{short(there)} is deployed, and {short(here)} is older: this would undo later deploys",
        stack=stack.name,
        untouched=NOTHING_CHANGED,
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
        f"{short(there)} is deployed, and this clone cannot tell whether {short(here)} comes after it",
        stack=stack.name,
        untouched=NOTHING_CHANGED,
        next_step=(
            f"`{fetch}`, then run the same command again; or, if it is gone (a force push, a deleted branch): ",
            allowed,
            ", and the reason is recorded",
        ),
    )
