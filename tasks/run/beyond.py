"""Finds in the ledger what is deployed, but is no stack of the code that is here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ledger.record import deployed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..ledger.session import Session
    from .workingcopy import WorkingCopy


def stacks(
    session: Session, copy: WorkingCopy, code: Mapping[str, object], here: Iterable[str]
) -> dict[str, list[str]]:
    """The stacks that are deployed, but that the code does not have, with the commits that may be; empty for none.

    Args:
        session: The session with the ledger, which was read.
        copy: The receipts on this disk.
        code: The stacks of the code.
        here: The stacks that have a receipt on this disk: one counts if the ledger does not know of its apply.

    Raises:
        DeployError: A record cannot be read.
    """
    known = {name: deployed(item.receipt) for name, item in session.all_records().items() if name not in code}
    for name, item in (session.head.begun if session.head is not None else {}).items():
        if name not in code:
            known[name] = [*known.get(name, ()), *item.commits]
    for name in here:
        if name not in code and copy.is_unrecorded(name):
            known.setdefault(name, [])
    return known
