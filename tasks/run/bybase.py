"""What is deployed, by the ledger, in a run that plans only what differs from a base."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..artifact import pending
from ..artifact.pending import Pending

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..artifact.inputs import Input, Inputs
    from ..ledger.record import Record


class ByBase:
    """The ledger's records, which such a run compares with but does not plan by.

    Attributes:
        held: The records by stack; none in any other run.
    """

    def __init__(self) -> None:
        self.held: Mapping[str, Record] = {}

    def pending(self, stack: str, now: Inputs) -> Pending:
        """How a stack differs from what is deployed."""
        held = self.held.get(stack)
        return pending.compare(held.receipt.get("inputs"), now) if held is not None else Pending()

    def seen(self, stack: str) -> Collection[Input]:
        """What the last plan of a stack was seen to read."""
        held = self.held.get(stack)
        return pending.seen(held.receipt.get("inputs")) if held is not None else ()
