"""Waits for the run that has the ledger's lease, as long as `ledger.wait` says."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..ledger.record import Head
    from .lease import Holders
    from .run import Run

_LOOK_EVERY = 5.0  # seconds between two looks at a held lease


class Waiting:
    """The time that a run has left to wait, all its waits together.

    Args:
        run: The run.
        holders: Which holders of the lease are still at work.
        seconds: How long, from the first wait on.
    """

    def __init__(self, run: Run, holders: Holders, seconds: float) -> None:
        self._run, self._holders, self._seconds = run, holders, seconds
        self._until: float | None = None

    def another_look(self) -> bool:
        """Wait until it is time to look again; False if there is no time left, or if the run is to stop."""
        if self._until is None:
            self._until = time.monotonic() + self._seconds
        left = self._until - time.monotonic()
        if left <= 0 or self._run.stop.wait(min(_LOOK_EVERY, left)):
            return False
        self._holders.forget()  # it may have ended by the next look
        return True

    def for_others(self, head: Head, look: Callable[[], Head]) -> None:
        """Wait for a deploy that is under way before this run plans: its plans then follow what that one deploys.

        Args:
            head: The head as it was read.
            look: Reads it again.

        Raises:
            LedgerError: It cannot be read or trusted any more.
        """
        while self._seconds and head.lease is not None and self._holders.is_live(head.lease):
            self._run.say_once(f"waiting for {head.lease.label}, which is deploying")
            if not self.another_look():
                return
            head = look()
