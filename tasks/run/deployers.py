"""Which run is deploying now, and which stacks, by the lease and the announced stacks of the ledger's newest head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..ledger.record import Lease
    from ..ledger.session import Session


class Holders(Protocol):
    """Which holders of the lease are still at work, see `lease.Holders`."""

    def is_live(self, lease: Lease) -> bool:
        """Whether a lease is another pipeline's that has not ended."""
        ...


class Deployers:
    """The runs besides this one that are deploying right now.

    Args:
        session: This run's session with the ledger.
        holders: Which holders of the lease are still at work.
    """

    def __init__(self, session: Session, holders: Holders) -> None:
        self._session, self._holders = session, holders

    @property
    def lease(self) -> Lease | None:
        """The lease of another run that is deploying; None if there is no such run."""
        head = self._session.head
        return head.lease if head is not None and head.lease is not None and self._holders.is_live(head.lease) else None

    def of(self, stack: str) -> str | None:
        """The label of the run that is deploying a stack; None if none is."""
        lease, head = self.lease, self._session.head
        item = head.begun.get(stack) if head is not None else None
        return lease.label if lease is not None and item is not None and item.holder == lease.holder else None

    def table(self) -> dict[str, str]:
        """All stacks that another run is deploying, with its label. Of one stack, `of` says it without this table."""
        lease, head = self.lease, self._session.head
        if lease is None or head is None:
            return {}
        return {name: lease.label for name, item in head.begun.items() if item.holder == lease.holder}
