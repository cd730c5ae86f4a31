"""The order of a stack's deploys: which record a receipt replaces, and where neither of two knew of the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .record import deployed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..base.jsonvalue import Json
    from .record import Begun, Record

_SAME = ("plan_id", "outcome", "commit")
_STATE = ("lineage", "serial")


def ends(known: Begun, receipt: Mapping[str, Json], holder: str) -> bool:
    """Whether a receipt is that of an apply that an earlier run announced: `doit ledger push` records it later.

    A stack that was deferred is announced before it has a plan. Then the receipt is of that apply if it is the same
    holder's and began afterwards, and if no other run may have applied the stack in between.

    Args:
        known: The announcement.
        receipt: The receipt.
        holder: The pipeline whose receipt it is.
    """
    if known.plan_id is not None:
        return known.plan_id == receipt.get("plan_id")
    began = str(receipt.get("started_at") or "")
    return known.holder == holder and not known.doubtful and began >= known.since


def follows(receipt: Mapping[str, Json], known: str | None, held: Record | None) -> str | None:
    """The change that a receipt replaces, as a run saw it that read the ledger before it applied.

    Args:
        receipt: The receipt.
        known: The change that this disk last had of the stack.
        held: The ledger's record.
    """
    return held.change if held is not None and held.change == receipt.get("follows") else known


def unseen(
    receipt: Mapping[str, Json], known: str | None, held: Record | None, begun: Begun | None, holder: str
) -> list[str] | None:
    """What a receipt that is not recorded yet does not know of: the commits of deploys by others, in the ledger.

    Args:
        receipt: The receipt.
        known: The change that this disk last had of the stack.
        held: The ledger's record.
        begun: An announced apply that has not ended.
        holder: The pipeline whose receipt it is.

    Returns:
        The commits, empty for one without a commit; None if the receipt replaces all of that.
    """
    found: list[str] = []
    if held is not None and held.change != follows(receipt, known, held) and not _is_recorded(receipt, held):
        found += deployed(held.receipt)
    if begun is not None and not ends(begun, receipt, holder):
        found += begun.commits or ("",)
    return list(dict.fromkeys(found)) or None


def is_overtaken(before: Record | None, now: Record | None) -> bool:
    """Whether a deploy by another run was recorded since a stack's record was read; the result of a check is none.

    Args:
        before: The record as it was read.
        now: The record now, before the reader has recorded anything itself.
    """
    if before is None or now is None:
        return before is not now
    if now.change == before.change:
        return False
    is_moved = any(now.receipt.get(name) != before.receipt.get(name) for name in _STATE)
    return is_moved or not _is_recorded(before.receipt, now)


def _is_recorded(receipt: Mapping[str, Json], held: Record) -> bool:
    return receipt.get("plan_id") is not None and is_of(held, receipt)


def is_of(held: Record, receipt: Mapping[str, Json]) -> bool:
    """Whether the ledger's record is of the apply that a receipt is of, and says the same about it."""
    if any(held.receipt.get(name) != receipt.get(name) for name in _SAME):
        return False
    return (held.receipt.get("besides") or []) == (receipt.get("besides") or [])
