"""What a run applied and checked that the ledger does not have yet: queued for it, and remembered once it is there."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ..ledger import order
from ..ledger.machine import Failed, Flush, Mark, Record
from . import entries, unsent
from .unsent import Unsent
from .workingcopy import Known, digest, is_ended

if TYPE_CHECKING:
    from ..ledger import receipts
    from ..ledger.record import Change
    from ..ledger.session import Session
    from ..project.model.ledger import Ledger
    from .reviewing import Reviewing
    from .run import Run
    from .workingcopy import WorkingCopy


class Unrecorded:
    """The receipts on this disk that are to be recorded; used by the tasks of a run and by a background thread.

    Args:
        run: The run.
        settings: The ledger's settings.
        copy: The receipts on this disk.
        session: Writes the ledger.
        reviewing: Who reviewed the commits.
    """

    def __init__(
        self, run: Run, settings: Ledger, copy: WorkingCopy, session: Session, reviewing: Reviewing
    ) -> None:  # fmt: skip
        self._run = run
        self._settings = settings
        self._copy = copy
        self._session = session
        self._reviewing = reviewing
        self._noted: set[str] = set()
        self._sent: dict[str, Known] = {}
        self._lock = threading.RLock()

    def note(self, stack: str) -> None:
        """Note that a stack was applied or checked."""
        with self._lock:
            self._noted.add(stack)

    def find(self) -> None:
        """Note what earlier runs left on this disk."""
        with self._lock:
            self._noted |= {stack for stack in self._run.project.stacks if self._copy.is_unrecorded(stack)}

    @property
    def noted(self) -> list[str]:
        """The stacks that were noted and are not queued."""
        return sorted(self._noted)

    @property
    def stacks(self) -> list[str]:
        """The stacks whose latest apply or check the ledger does not have."""
        return sorted({*self._noted, *self._sent})

    def wrote(self, stack: str, change: str) -> bool:
        """Whether a change of a stack is this run's: another job of its pipeline has the same holder."""
        known = self._sent.get(stack) or self._copy.memory.stacks.get(stack)
        return known is not None and known.change == change

    @property
    def is_sending(self) -> bool:
        """Whether something is queued that is not known to be in the ledger."""
        return bool(self._sent)

    def queue(self) -> None:
        """Queue what is on this disk but not in the ledger."""
        with self._lock:
            for stack in self.noted:
                found = self._copy.found(stack)
                known = self._sent.get(stack) or self._copy.memory.stacks.get(stack)
                if found is None or (known is not None and known.local == digest(found.receipt)):
                    self._noted.discard(stack)  # nothing was applied or checked here since
                elif is_ended(found):
                    self._noted.discard(stack)
                    change = self._change(stack, found, known.change if known else None)
                    self._sent[stack] = Known(change.id, digest(found.receipt))
                    self._session.handle(Record(change))

    def flush(self) -> list[Failed]:
        """Write what is queued; returns what failed."""
        effects = self._session.handle(Flush())
        self.remember()
        return [effect for effect in effects if isinstance(effect, Failed)]

    def remember(self) -> None:
        """Remember on this disk what is in the ledger now."""
        with self._lock:
            head = self._session.head
            if self._session.waiting or head is None:
                return
            self._copy.memory.stacks |= self._sent
            self._copy.memory.apart -= set(self._sent)
            self._sent.clear()
            self._copy.memory.mark = Mark.of(head)
            self._copy.save()

    def leave(self, *, apart: bool) -> None:
        """Leave on this disk, for the job that gets these receipts, that they are not recorded.

        Args:
            apart: Whether they were applied without the ledger.

        Raises:
            RecordError: It cannot be written.
        """
        with self._lock:
            left = {}
            for stack in self.stacks:
                found, known = self._copy.found(stack), self._copy.memory.stacks.get(stack)
                if found is not None and is_ended(found):
                    change, holder = known.change if known else None, self._copy.holder(stack, self._session.me.holder)
                    left[stack] = Unsent(digest(found.receipt), digest(found.outputs), change, holder, apart)
            unsent.leave(self._run.layout, left)

    def all(self) -> list[Change]:
        """The receipts on this disk, as the first changes of a new ledger."""
        found = [(stack, self._copy.found(stack)) for stack in self._run.project.stacks]
        return [self._change(stack, item, None) for stack, item in found if item is not None and is_ended(item)]

    def _change(self, stack: str, found: receipts.Record, follows: str | None) -> Change:
        session = self._session
        held = session.records([stack]).get(stack) if session.head is not None else None
        replaced = order.follows(found.receipt, follows, held)
        made = entries.of_receipt(
            self._run, self._settings, stack, found, held=held, follows=replaced,
            holder=self._copy.holder(stack, session.me.holder),
        )  # fmt: skip
        review = self._reviewing.of(found.receipt.get("commit"))
        return entries.reviewed(made, review, public=self._settings.public) if review is not None else made
