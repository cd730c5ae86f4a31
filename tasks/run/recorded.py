"""The interface of a run's ledger; `recording` implements it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from ..base.errors import LedgerError
    from .bybase import ByBase
    from .deployers import Deployers


class Recorded(Protocol):
    """The ledger of one run, see `recording.Recording`."""

    unread: LedgerError | None
    by_base: ByBase
    deployers: Deployers

    @property
    def complete(self) -> Sequence[str]:
        """The commits of the last complete deploys, the latest first; none if the ledger was not read."""
        ...

    def deployed_meanwhile(self, stack: str) -> bool:
        """Whether another run is deploying a stack by now, or has done so since this one began."""
        ...

    def beyond(self, here: Iterable[str]) -> dict[str, list[str]] | None:
        """The stacks that are deployed, but not in the code, and their commits; None if the ledger cannot tell."""
        ...

    def begin(self) -> None:
        """Start to read it in the background."""
        ...

    def read(self) -> None:
        """Wait until it is read; `fill` says how that ended."""
        ...

    def fill(self, *, deploying: bool, alone: bool) -> None:
        """Replace receipts and outputs here by those of the ledger, once it is read."""
        ...

    def doubts(self, stack: str) -> list[str]:
        """Why a stack counts as affected regardless of its receipt."""
        ...

    def besides(self, stack: str) -> list[str]:
        """The commits of deploys that a stack's receipt here does not know of, and of those that found it as wanted."""
        ...

    def follows(self, stack: str) -> str | None:
        """The change that the apply of an announced stack replaces; None if it is the first."""
        ...

    def announce(self, stacks: Callable[[], Collection[str]]) -> None:
        """Take the lease and announce the stacks that are about to be applied, once a run."""
        ...

    def require_ours(self, stack: str) -> None:
        """Refuse to apply an announced stack over what another run has recorded since."""
        ...

    @property
    def allowed(self) -> list[str]:
        """For receipts: that this deploy goes on without the ledger, and why."""
        ...

    def note(self, stack: str) -> None:
        """Note that a stack was applied or checked, so that its receipt is recorded."""
        ...

    def observed(self, writes: int) -> int:
        """Note how often the observations were written, for the next entry; returns the most that is known."""
        ...

    def end(
        self, *, last: bool = True, whole: bool = False, unproven: Collection[str] | None = None
    ) -> LedgerError | None:
        """Write what is not in the ledger yet and release the lease; returns the error, if any."""
        ...
