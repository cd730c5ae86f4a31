"""The commit of a deploy of all stacks in the ledger: no older one is deployed where that had nothing to apply.

Without it, a deploy that only proves that a stack is as its commit wants it, as one of a revert does before the
reverted change was deployed, would leave no trace, and the older pipeline could deploy that change afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.errors import DeployError, GitError, LedgerError
from ..base.git import Relation
from ..base.text import short
from ..ledger.completed import Completed
from . import succession
from .assessment import assess_once
from .result import Status
from .selection import Part

if TYPE_CHECKING:
    from collections.abc import Collection

    from ..ledger.record import Head
    from .run import Run

_PROVEN = (Status.OK, Status.UNAFFECTED)


def unproven(run: Run) -> frozenset[str]:
    """The stacks that a deploy of all did not leave as its commit wants them, as far as it has come.

    Where no stack was deployed, as a plan has failed, those that its plans found unaffected are as they are wanted.
    """
    return frozenset(name for name in run.project.stacks if not _is_proven(run, name))


def _is_proven(run: Run, stack: str) -> bool:
    deployed, planned = (run.results.get(f"{stage}:{stack}") for stage in ("deploy", "plan"))
    if deployed is not None and deployed.status is not Status.NOT_RUN:
        return deployed.status in _PROVEN
    if run.request.part is Part.REPORT:  # a stack without a job has no plan, and none is asked once another has failed
        return _is_as_wanted(run, stack)
    return planned is not None and planned.status is Status.UNAFFECTED


def _is_as_wanted(run: Run, stack: str) -> bool:
    try:
        return assess_once(run, run.project.stacks[stack]).settled
    except DeployError:
        return False


def of(run: Run, head: Head, but: Collection[str] | None = None) -> Completed | None:
    """How the head names this deploy; None if it need not, or an older commit had nothing to deploy.

    A deploy of an older commit takes the place of later ones only if it was allowed and has applied something. A commit
    that was not pushed is not named: no other clone could tell whether its own comes after it, and each would refuse.

    Args:
        run: The run: a deploy of all stacks, which has ended.
        head: The head.
        but: If it has not ended well, the stacks that it did not leave as its commit wants them.
    """
    if but is not None and run.project.stacks.keys() <= set(but):
        return None
    known = dict.fromkeys((*head.complete, *(item.commit for item in head.partly)))
    try:
        here = run.revision.commit
        if here is None or run.revision.dirty:
            return None
        relations = {there: run.relation_to(there) for there in known}
    except GitError:
        return None
    replaced = {Relation.AFTER}
    if run.applied and any(item.rule == succession.RULE for item in run.request.allowances):
        replaced |= {Relation.BEFORE, Relation.UNKNOWN}
    elif Relation.BEFORE in relations.values():
        return None
    over = frozenset(there for there, relation in relations.items() if relation in replaced)
    found = Completed(here, over, frozenset(but) if but is not None else None)
    if _is_named(head, found, again=not run.applied):
        return None
    try:
        return None if run.is_unpushed else found
    except GitError:
        return None


def _is_named(head: Head, found: Completed, *, again: bool) -> bool:
    """Whether the head names a deploy already; of one that ran `again`, whether or not as the latest."""
    if found.commit in head.complete and (again or found.but is not None):
        return True
    return found.under(head) == head


def unrecorded(done: Completed, where: str, error: LedgerError) -> LedgerError:
    """The error of a deploy that has applied nothing, and that the ledger does not name."""
    commit = short(done.commit)
    what = f"that {commit} is deployed" if done.but is None else f"which stacks are deployed as {commit} wants them"
    untouched = "nothing was to be deployed, and nothing was" if done.but is None else "nothing was applied"
    return LedgerError(
        f"not recorded: {what}: {error.message}", where=where, untouched=untouched,
        next_step=(
            *error.problem.next, "; then run the same command again: until then, an older commit is not refused",
        ),
    )  # fmt: skip
