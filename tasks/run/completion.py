"""The commit of a complete deploy in the ledger, also of one that had nothing to apply: no older one is deployed then.

Without it, a deploy that only proves that all is as its commit wants it, as one of a revert does before the reverted
change was deployed, would leave no trace, and the older pipeline could deploy that change afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.errors import GitError, LedgerError
from ..base.git import Relation
from ..base.text import short
from ..ledger.order import Completed
from . import succession

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .run import Run


def of(run: Run, known: Sequence[str]) -> Completed | None:
    """How the head names this complete deploy; None if it need not, or an older commit had nothing to deploy.

    A deploy of an older commit takes the place of later ones only if it was allowed and has applied something. A commit
    that was not pushed is not named: no other clone could tell whether its own comes after it, and each would refuse.

    Args:
        run: The run: a deploy of all stacks, which has ended well.
        known: The commits that the head names.
    """
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
    elif Relation.BEFORE in relations.values() or (here in known and not run.applied):
        return None
    found = Completed(here, frozenset(there for there, relation in relations.items() if relation in replaced))
    if found.among(known) == tuple(known):
        return None
    try:
        return None if run.is_unpushed else found
    except GitError:
        return None


def unrecorded(commit: str, where: str, error: LedgerError) -> LedgerError:
    """The error of a deploy that had nothing to apply, and that the ledger does not name."""
    return LedgerError(
        f"not recorded: that {short(commit)} is deployed: {error.message}",
        where=where,
        untouched="nothing was to be deployed, and nothing was",
        next_step=(
            *error.problem.next,
            "; then run the same command again: until then, an older commit is not refused",
        ),
    )
