"""Writes the ledger while a run applies, and notices what others wrote under its lease before it applies more."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from ..base.errors import DeployError, LedgerError
from ..base.problem import NOTHING_CHANGED
from ..ledger import order
from ..ledger.machine import Failed, Look, Trouble
from ..ledger.record import deployed
from . import lease

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..ledger.record import Record
    from ..ledger.session import Session
    from .reviewing import Reviewing
    from .run import Run
    from .unrecorded import Unrecorded

# Then another run may deploy at the same time; a place that does not answer still has the lease.
_UNPROTECTED = frozenset({Trouble.TAKEN, Trouble.WENT_BACK, Trouble.REPLACED, Trouble.MISSING})


class WriteBehind:
    """The background writer of a run that holds the lease.

    Others may still record under it: what they deployed without the ledger, or that a person released the lease. This
    run reads that with its own writes, or, when it has nothing to write, on its own. No apply waits for that: one that
    starts before the next look does not know of it.

    Args:
        run: The run.
        session: The ledger.
        unrecorded: What is to be written.
        reviewing: Who reviewed the commit, which entries name.
        every: Seconds between two writes.

    Attributes:
        lost: Why nothing more may be applied, if the lease was lost, by itself or with the ledger.
    """

    def __init__(
        self, run: Run, session: Session, unrecorded: Unrecorded, reviewing: Reviewing, *, every: float
    ) -> None:  # fmt: skip
        self.lost: LedgerError | None = None
        self._run, self._session, self._unrecorded, self._reviewing = run, session, unrecorded, reviewing
        self._every = every
        self._announced: Mapping[str, Record] = {}
        self._foreign = 0
        self._overtaken: dict[str, list[str]] = {}  # by stack: the commits that another run recorded
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, announced: Mapping[str, Record]) -> None:
        """Start to write.

        Args:
            announced: The ledger's records when the lease was taken.
        """
        self._announced, self._foreign = announced, self._session.foreign
        self._reviewing.begin()
        self._thread = threading.Thread(target=self._write, name="ledger-writer", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Write no more in the background."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def require_ours(self, stack: str) -> None:
        """Refuse to apply a stack over what another run has recorded since it was announced.

        Raises:
            LedgerError: Another run has, or the lease was lost.
        """
        if self.lost is not None:
            raise LedgerError(
                self.lost.message, stack=stack, untouched=NOTHING_CHANGED,
                next_step=self.lost.problem.next,
            )  # fmt: skip
        if stack in self._overtaken:
            raise lease.undoing(stack, self._overtaken[stack])

    def _write(self) -> None:
        self._reviewing.wait()  # outside of the lock, for which applies wait
        while not self._ended.wait(self._every):
            with suppress(DeployError):  # reported at the end if it persists
                self._look()

    def _look(self) -> None:
        """Write what is to be written, or only read; a ledger that cannot be trusted has no lease for others to see."""
        try:
            self._unrecorded.queue()
            failures = self._unrecorded.flush() if self._session.waiting else self._session.handle(Look())
            for failed in failures:
                if isinstance(failed, Failed) and failed.trouble in _UNPROTECTED:
                    self._lose(self._session.problem(failed))
            if self.lost is None:
                self._compare()
        except LedgerError as error:
            self._lose(error)

    def _lose(self, error: LedgerError) -> None:
        if self.lost is None:
            self._run.say(f"nothing more is applied: {error.message}")
            self.lost = error

    def _compare(self) -> None:
        """Find the stacks that others have recorded, if they have written anything."""
        foreign = self._session.foreign
        if foreign == self._foreign:
            return
        records = self._session.records(self._run.project.stacks)
        self._overtaken = {
            name: deployed(item.receipt)
            for name, item in records.items()
            if name not in self._run.applied and order.is_overtaken(self._announced.get(name), item)
        }
        self._foreign = foreign
