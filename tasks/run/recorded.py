"""What a run asks of its ledger; `recording` is what answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from ..artifact.inputs import Inputs
    from ..base.errors import LedgerError


class Recorded(Protocol):
    """The ledger of one run, see `recording.Recording`."""

    unread: LedgerError | None

    @property
    def deployed_by(self) -> dict[str, str]:
        """The stacks that another run is deploying at this moment, and what that run is called."""
        ...

    def begin(self) -> None:
        """Begin to read it, beside what else there is to do."""
        ...

    def fill(self, *, deploying: bool, alone: bool) -> None:
        """Make receipts and outputs here those of the ledger, once it is read."""
        ...

    def differing(self, stack: str, now: Inputs) -> bool:
        """Whether files of a stack are not those that were deployed, where a base says what is planned."""
        ...

    def doubts(self, stack: str) -> list[str]:
        """Why a stack counts as affected whatever its receipt says."""
        ...

    def announce(self, stacks: Callable[[], Collection[str]]) -> None:
        """Take the lease and announce the stacks that are about to be applied, once a run."""
        ...

    def note(self, stack: str) -> None:
        """Something was applied or checked: its receipt is to be recorded."""
        ...

    def end(self, *, last: bool = True) -> LedgerError | None:
        """Write what is not in the ledger yet, and give the lease back; returns what went wrong."""
        ...
