"""A run's use of the ledger: one read at its start, one write before its first apply, one at its end."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from ..base.clock import now
from ..base.errors import DeployError, LedgerError, RecordError
from ..ledger import troubles
from ..ledger.machine import Announce, Busy, Failed, Finish, Flush, HolderEnded, Look, Mark, Trouble
from . import beyond, completion, entries, lease, ledgers, unsent
from .bybase import ByBase
from .deployers import Deployers
from .reviewing import Reviewing
from .unrecorded import Unrecorded
from .waiting import Waiting
from .without import RULE, Without
from .workingcopy import WorkingCopy
from .writebehind import WriteBehind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from ..ledger.machine import Effect
    from ..ledger.record import Begun, Change, Head
    from ..ledger.record import Record as Held
    from ..ledger.session import Session
    from ..project.model.ledger import Ledger
    from .lease import Ask
    from .reviewing import AskReview
    from .run import Run

_SOFT = frozenset({Trouble.UNREACHABLE, Trouble.DENIED, Trouble.NO_KEY})
_GONE = _SOFT | {Trouble.MISSING}  # what a deploy may go on without, if the ledger is not required


class Recording:
    """The ledger of one run.

    Args:
        run: The run.
        settings: Its settings.
        has_ended: Asks the forge whether a pipeline has ended.
        review: Asks the forge who reviewed the commit.

    Attributes:
        unread: Why it could not be read, if the run continues without it.
        unseen: The stacks that were deployed here and elsewhere, neither run knowing of the other, and the commits that
            the ledger has of them; empty for a deploy without one.
        session: The session with the ledger.
        by_base: What is deployed, where a base says what is planned.
        deployers: The other runs that are deploying right now.
    """

    def __init__(self, run: Run, settings: Ledger, has_ended: Ask, review: AskReview) -> None:
        self.settings = settings
        self.unread: LedgerError | None = None
        self.unseen: dict[str, list[str]] = {}
        self._run = run
        self._copy = WorkingCopy(run.layout)
        self._without = Without(run, settings, self._copy)
        self.session: Session = ledgers.open_session(run, settings, self._copy.memory.clone, self._copy.memory.mark)
        self._holders = lease.Holders(run, self.session.me.holder, has_ended)
        self._waiting = Waiting(run, self._holders, settings.wait)
        self.by_base = ByBase()
        self.deployers = Deployers(self.session, self._holders)
        self._reviewing = Reviewing(run, review)
        self._unrecorded = Unrecorded(run, settings, self._copy, self.session, self._reviewing)
        self._behind = WriteBehind(run, self.session, self._unrecorded, self._reviewing, every=settings.every)
        self._reader: threading.Thread | None = None
        self._read: list[Effect] = []
        self._read_error: DeployError | None = None
        self._announced: LedgerError | bool = False
        self._known: dict[str, str] = {}  # the change that each stack was left by, as read at the beginning
        self._begun: dict[str, Begun] = {}  # announced by this pipeline's runs, or by others that had ended before
        self._replaced: dict[str, str] = {}  # the change that an apply of each stack replaces, as this run announced it
        self._announcing = threading.Lock()
        self._is_over = False  # whether the report of this job's pipeline has ended before it

    # The beginning

    def begin(self, *, verifying: bool = False) -> None:
        """Start to read it in the background; `verifying`, if the newest entries are to be verified, too."""
        self._reader = threading.Thread(target=self._look, args=[verifying], name="ledger", daemon=True)
        self._reader.start()

    def _look(self, verifying: bool) -> None:
        try:
            self._read = self.session.handle(Look())
            if verifying and self.session.head is not None:
                self.session.check_newest(self._run.project.stacks)
        except DeployError as error:
            self._read_error = error

    def read(self) -> None:
        """Wait until it is read; `fill` says how that ended."""
        if self._reader is None:
            self.begin()
        if self._reader is not None:
            self._reader.join()

    def fill(self, *, deploying: bool, alone: bool) -> None:
        """Replace receipts and outputs here by those of the ledger, once it is read.

        Args:
            deploying: Whether the run may apply: then the ledger must be readable, unless it may go on without.
            alone: Whether this run alone may write here; otherwise the receipts are left to the run that does.

        Raises:
            LedgerError: It cannot be read and the run must not continue without it; or it cannot be trusted.
            RecordError: A file cannot be read or written.
        """
        self.read()
        if self._read_error:
            raise self._read_error
        if failed := next((effect for effect in self._read if isinstance(effect, Failed)), None):
            error = self.session.problem(failed, deploying=deploying)
            without = self._without.why is not None if deploying else failed.trouble in _SOFT
            if failed.trouble not in _GONE or not without:
                raise error
            self.unread = error
            return
        if deploying:
            self._waiting.for_others(self._head(), self.look)
            self.session.check_newest(self._run.project.stacks)  # the whole chain is the audit's
        own = self._copy.memory.mark is not None
        begun = lease.ended_marks(self._head(), self.session.me.holder, self._holders, known=own)
        held = self.session.records(self._run.project.stacks)
        self._is_over = lease.is_over(self._run, self.session.me, self._head(), held.values())
        if text := lease.running(self._run, self._head(), self.session.me):
            self._run.say_once(text)
        with self._copy.at_once():
            self._copy.adopt(self._run.project.stacks, self.session.records, self._head().begun)
            self.unseen = self._copy.unseen(self._run.project.stacks, held, begun, self.session.me.holder)
            if alone:
                self._fill(held, begun, by_base=self._run.request.base is not None and not deploying)

    def _fill(self, held: dict[str, Held], begun: Mapping[str, Begun], *, by_base: bool) -> None:
        """Fill the working copy. With a base, only the base counts, so that later deploys by others are not undone."""
        self._known = {stack: item.change for stack, item in held.items()}
        known, begun = ({}, {}) if by_base else (held, begun)
        for stack in self._copy.fill(self._run.project.stacks, known, begun, self._run.project.environment):
            self._unrecorded.note(stack)
        self.by_base.held = held if by_base else {}
        own = {name: item for name, item in self._head().begun.items() if item.holder == self.session.me.holder}
        self._begun = {**own, **begun}
        self._copy.memory.mark = Mark.of(self._head())
        self._copy.save()

    def deployed_meanwhile(self, stack: str) -> bool:
        """Whether another run is deploying a stack by now, or has done so since this one began; asks the ledger."""
        if self.unread is not None or stack in self._run.applied:
            return False
        with suppress(DeployError):  # then nothing is known of it
            self.session.handle(Look())
            item = self.session.records([stack]).get(stack)
            return self.deployers.of(stack) is not None or (item.change if item else None) != self._known.get(stack)
        return False

    def beyond(self, here: Iterable[str]) -> dict[str, list[str]] | None:
        """The stacks that are deployed, but not in the code, and their commits; None if the ledger cannot tell."""
        if self._usable is not None:
            with suppress(DeployError):
                return beyond.stacks(self.session, self._copy, self._run.project.stacks, here)
        return None

    @property
    def complete(self) -> Sequence[str]:
        """The commits of the last complete deploys, the latest first; none if the ledger was not read."""
        return self._usable.complete if self._usable is not None else ()

    @property
    def _usable(self) -> Head | None:
        """The newest head; None if the ledger was not read, or if the run goes on without it."""
        return self.session.head if self.unread is None else None

    def _head(self) -> Head:
        head = self.session.head
        if head is None:
            raise LedgerError("the ledger was not read", next_step="run the same command again")
        return head

    def doubts(self, stack: str) -> list[str]:
        """Why a stack counts as affected regardless of its receipt."""
        if self.unread is not None:
            return ["the ledger could not be read, and only it proves what is deployed"]
        if stack in self.unseen and stack not in self._run.applied:
            return ["it was deployed here and elsewhere, by runs that did not know of each other"]
        label = self.deployers.of(stack) if self._run.asked.deploying else None
        return [f"being deployed by {label}"] if label else []

    def besides(self, stack: str) -> list[str]:
        """The commits of deploys that a stack's receipt here does not know of, and of those that found it as wanted."""
        head = self._usable
        partly = [item.commit for item in head.partly if stack not in item.but] if head is not None else []
        return [commit for commit in (*self.unseen.get(stack, ()), *self.complete, *partly) if commit]

    def follows(self, stack: str) -> str | None:
        """The change that the apply of an announced stack replaces; None if it is the first."""
        return self._replaced.get(stack)

    def observed(self, writes: int) -> int:
        """Note how often the observations were written, for the next entry; returns the most that is known."""
        head, session = self.session.head, self.session
        session.observed = max(session.observed, writes)
        return max(session.observed, head.observed if head is not None else 0)

    # Before the first apply

    def announce(self, stacks: Callable[[], Collection[str]]) -> None:
        """Take the lease and announce the stacks that are about to be applied, once a run.

        Args:
            stacks: Returns their names.

        Raises:
            LedgerError: Another run is deploying or has deployed since this one planned, or it cannot be written.
        """
        with self._announcing:
            if self._announced is False:
                try:
                    self._announce(sorted(stacks()))
                    self._announced = True
                except LedgerError as error:
                    self._announced = troubles.before_apply(error)
            if isinstance(self._announced, LedgerError):
                raise self._announced

    def _announce(self, stacks: Collection[str]) -> None:
        if self.unread is not None:
            self._replaced = self._without.go_on(self.unread, stacks, self._known)
            return
        before = self.session.records(self._run.project.stacks)
        self._unrecorded.queue()
        since = now()
        event: Announce | HolderEnded | Look = Announce(
            {name: entries.begun(self._run, self.session.me, name, since) for name in stacks}, since, self._is_over
        )
        while busy := self._busy(self.session.handle(event)):
            ended = HolderEnded(busy.lease.holder)
            if event != ended and not self._holders.is_live(busy.lease):
                self._run.say(f"{busy.lease.label} has ended, as the forge says: its lease is taken over")
                event = ended
                continue
            if not self._waiting.another_look():
                raise lease.held(self._run, busy.lease, self.session.home.name)
            event = Look()
        if self.unread is not None:
            self._replaced = self._without.go_on(self.unread, stacks, self._known)
            return
        if self._unrecorded.is_sending:
            self._unrecorded.remember()
        self._behind.begin(self._require_unmoved(before, stacks))

    def _busy(self, effects: list[Effect]) -> Busy | None:
        for effect in effects:
            if isinstance(effect, Busy):
                return effect
            if isinstance(effect, Failed):
                error = self.session.problem(effect, deploying=True)
                if self._without.why is None or effect.trouble not in _GONE:
                    raise error
                self.unread = error
        return None

    @property
    def allowed(self) -> list[str]:
        """For receipts: that this deploy goes on without the ledger, and why."""
        return [f"{RULE}: {self._without.why}"] if self.unread is not None else []

    def _require_unmoved(self, before: Mapping[str, Held], stacks: Collection[str]) -> Mapping[str, Held]:
        """Refuse plans that were made before another pipeline deployed, not just this one; returns the records now."""
        now, me = self.session.records(self._run.project.stacks), self.session.me.holder
        own, concerned = [self._run.revision.commit or ""], lease.concerned(self._run)

        def is_foreign(name: str, item: Held) -> bool:
            sibling = [] if self._unrecorded.wrote(name, item.change) else own  # another job of this pipeline
            read = [*self.unseen.get(name, ()), *sibling]
            return item.holder != me or lease.is_crossed(read, before.get(name), self._copy.found(name), item)

        changed = {name: item for name, item in now.items() if name in concerned and before.get(name) != item}
        moved = [name for name, item in changed.items() if is_foreign(name, item)]
        left = [
            name for name, item in self._head().begun.items() if name in concerned
            and lease.is_begun_since(self._begun.get(name), item, me, own if name in stacks else None)
        ]  # fmt: skip
        if moved or left:
            raise lease.overtaken(moved, left)
        self._replaced = {name: item.change for name, item in now.items()}
        return now

    def require_ours(self, stack: str) -> None:
        """Refuse to apply an announced stack over what another run has recorded since.

        Raises:
            LedgerError: Another run has, or the lease was lost.
        """
        self._behind.require_ours(stack)

    def note(self, stack: str) -> None:
        """Note that a stack was applied or checked, so that its receipt is recorded."""
        self._unrecorded.note(stack)

    # On its own

    def look(self) -> Head:
        """The newest head, read now.

        Raises:
            LedgerError: It cannot be read or trusted.
        """
        for effect in self.session.handle(Look()):
            if isinstance(effect, Failed):
                raise self.session.problem(effect)
        return self._head()

    def take_over(self) -> list[Change]:
        """The receipts on this disk, as the first changes of a new ledger."""
        return self._unrecorded.all()

    def restart(self) -> None:
        """Fill the working copy from a new ledger that was made from what is here."""
        self._copy.restart()
        self.fill(deploying=False, alone=True)

    def push(self) -> tuple[list[str], Mapping[str, str]]:
        """Record what only this disk has; returns these stacks, and why others that were handed on are not recorded.

        Raises:
            LedgerError: It cannot be written.
        """
        self._run.lock.take("doit ledger push", filling=True)
        self._copy.adopt(self._run.project.stacks, self.session.records, self.look().begun)
        self._unrecorded.find()
        names = self._unrecorded.noted
        self._unrecorded.queue()
        # This releases a clone's own lease; a pipeline's other jobs may still be working under theirs.
        alone = lease.is_alone(self._run, self.session.me)
        for effect in self.session.handle(Finish(alone=True) if alone else Flush()):
            if isinstance(effect, Failed):
                raise self.session.problem(effect)
        self._unrecorded.remember()
        self._run.lock.release()
        return names, {stack: why for stack, why in self._copy.late.items() if stack not in names}

    # The end

    def end(
        self, *, last: bool = True, whole: bool = False, unproven: Collection[str] | None = None
    ) -> LedgerError | None:
        """Write what is not in the ledger yet and release the lease; returns the error, if any.

        Only for runs that may write: deploys, and separate checks.

        Args:
            last: Whether this is the pipeline's last run; otherwise it keeps the lease.
            whole: Whether it was a deploy of all stacks.
            unproven: If that has not ended well, those that are not now as its commit wants them.
        """
        self._behind.end()
        lost = unsent.lost(self._run, self._usable, self.session.me.holder, self._copy.is_unrecorded) if whole else []
        error = self._end(last=last, whole=whole, unproven={*(unproven or ()), *lost} if lost else unproven)
        with suppress(RecordError):  # of a full disk; that they are not recorded is the worse news
            self._unrecorded.leave(apart=self.unread is not None)
        return error or (unsent.missing(lost, self.session.home.name) if lost else None)

    def _end(self, *, last: bool, whole: bool, unproven: Collection[str] | None) -> LedgerError | None:
        """`end`, once nothing is written in the background."""
        head = self.session.head
        left = head is not None and head.lease is not None and head.lease.holder == self.session.me.holder
        done = completion.of(self._run, self._usable, unproven) if whole and self._usable is not None else None
        written, report = self._announced is not False or left, lease.is_report(self._run)
        if not written and not self._unrecorded.noted and done is None and (not report or unproven is None):
            return None
        if self.unread is not None:
            return self._incomplete(self.unread) if self._unrecorded.noted else None
        try:
            self._unrecorded.queue()
            alone = lease.is_alone(self._run, self.session.me)
            effects = self.session.handle(Finish(not last and not self._is_over, alone, done, report))
            self._unrecorded.remember()
        except DeployError as error:
            return self._incomplete(error if isinstance(error, LedgerError) else LedgerError(error.message))
        failed = next((effect for effect in effects if isinstance(effect, Failed)), None)
        problem = self.session.problem(failed) if failed is not None else self._behind.lost
        if problem is None or written or self._unrecorded.stacks:
            return self._incomplete(problem) if problem is not None else None
        if done is None:
            return None  # that this job was its pipeline's last is of use to a retry alone
        unnamed = completion.unrecorded(done, self.session.home.name, problem)
        if self._without.why is not None:
            self._run.say(f"{unnamed.message} ({self._without.why})")
        return unnamed if self._without.why is None else None

    def _incomplete(self, error: LedgerError) -> LedgerError:
        """The error of a run whose deployments are not all in the ledger."""
        return ledgers.unrecorded(self._unrecorded.stacks, self.session.home.name, error)
