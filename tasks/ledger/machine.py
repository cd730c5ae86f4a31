"""How a run talks to the ledger, as a pure state machine: a state and an event lead to the next state and effects.

Nothing here reads a clock, a disk or the network; `session` carries out the effects, and tests can simulate them all.

The lease keeps two pipelines apart: it is part of the content that is replaced by compare-and-swap. Pending changes are
kept until a response confirms that they were written. Without a response, the next read shows it by the write's id;
until then only that same write is repeated, so it is never written twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from .batch import Batch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .batch import Me
    from .completed import Completed
    from .record import Begun, Change, Head, Lease

MOST_ATTEMPTS = 8
_PAUSE = 0.25  # seconds before the second attempt; each further attempt waits up to twice as long
_LONGEST_PAUSE = 8.0


class Trouble(StrEnum):
    """Why the ledger cannot be used."""

    MISSING = "missing"  # the configuration names a ledger that does not exist
    WENT_BACK = "went back"  # it lacks entries that this machine has seen
    REPLACED = "replaced"  # this machine has seen another ledger here
    DENIED = "denied"
    NO_KEY = "no key"  # this job cannot sign
    UNREACHABLE = "unreachable"
    CROWDED = "crowded"  # other writers were always faster
    TAKEN = "taken"  # another run took the lease over


@dataclass(frozen=True)
class Mark:
    """A place in a chain: which ledger, the number of the last entry, its digest."""

    ledger: str
    sequence: int
    chain: str

    @classmethod
    def of(cls, head: Head) -> Mark:
        """The place of a head in its chain."""
        return cls(head.ledger, head.sequence, head.chain)

    def leads_to(self, head: Head) -> bool:
        """Whether a head can follow this place; False if the ledger went back or is a different one."""
        if head.ledger != self.ledger or head.sequence < self.sequence:
            return False
        return head.sequence > self.sequence or head.chain == self.chain


@dataclass(frozen=True)
class State:
    """What a run knows of the ledger, and what it still has to write.

    Args:
        me: The run.
        known: The newest head that was read or written.
        seen: The latest place that this machine has seen; a ledger before it went back.
        queue: Changes that are not being written yet.
        announce: The stacks to announce, together with the lease.
        since: When that was requested.
        ended_holder: The holder of another lease that is known to have ended.
        finishing: Whether the run ends with the next write.
        shares: Whether the lease then stays with the run's pipeline.
        alone: Whether no other run of the same holder is at work by then.
        completed: The deploy to name.
        reported: Whether the last job of the run's pipeline has ended, or ends with this run.
        sent: What is being written, or may have been written.
        holds: Whether this run has the lease.
        unsure: Whether there was no response to the write: it may have been, or may still be, written.
        attempts: How many attempts have failed.
        number: How many writes were started, for their ids.
    """

    me: Me
    known: Head | None = None
    seen: Mark | None = None
    queue: tuple[Change, ...] = ()
    announce: Mapping[str, Begun] | None = None
    since: str = ""
    ended_holder: str | None = None
    finishing: bool = False
    shares: bool = False
    alone: bool = False
    completed: Completed | None = None
    reported: bool = False
    sent: Batch | None = None
    holds: bool = False
    unsure: bool = False
    attempts: int = 0
    number: int = 0

    @property
    def settled(self) -> bool:
        """Whether nothing is left to write."""
        named = self.completed is None
        idle = not self.queue and self.announce is None and self.sent is None and named
        told = not self.reported or self.known is None or self.me.holder in self.known.reported
        return idle and not (self.finishing and (self.holds or not told))


@dataclass(frozen=True)
class Fetched:
    """The ledger was read: its head, or None if there is no ledger."""

    head: Head | None


@dataclass(frozen=True)
class Written:
    """The write succeeded; this is the new head."""

    head: Head


@dataclass(frozen=True)
class Moved:
    """Another run wrote first; nothing of ours was written."""


@dataclass(frozen=True)
class Lost:
    """There was no response to a read, or to a write that may have been, or may still be, written."""


@dataclass(frozen=True)
class Denied:
    """This job is not allowed to write, or to read; or it has no key to sign with."""

    trouble: Trouble = Trouble.DENIED


@dataclass(frozen=True)
class Announce:
    """The plans of some stacks are about to be applied, by a job whose pipeline's last one may have ended before."""

    begun: Mapping[str, Begun] = field(default_factory=dict)
    since: str = ""
    reported: bool = False


@dataclass(frozen=True)
class HolderEnded:
    """The forge says that the pipeline that holds the lease has ended."""

    holder: str


@dataclass(frozen=True)
class Look:
    """It is time to read and try again."""


@dataclass(frozen=True)
class Record:
    """Something happened that has to be recorded."""

    change: Change


@dataclass(frozen=True)
class Flush:
    """Pending changes have to be written now."""


@dataclass(frozen=True)
class Finish:
    """The run is about to end; `shares` leaves the lease to other jobs of its pipeline, `alone` says there are none.

    `completed` is the deploy of all stacks that it was, to be named in the head; `reported` says that it was the last
    job of its pipeline.
    """

    shares: bool = False
    alone: bool = False
    completed: Completed | None = None
    reported: bool = False


Event = Fetched | Written | Moved | Lost | Denied | Announce | HolderEnded | Record | Flush | Finish | Look


@dataclass(frozen=True)
class Fetch:
    """Read the ledger, after a pause."""

    pause: float = 0.0


@dataclass(frozen=True)
class Put:
    """Replace the version with this head by one with the batch."""

    base: Head
    batch: Batch


@dataclass(frozen=True)
class Held:
    """This run has the lease and the stacks are announced: they may be applied."""


@dataclass(frozen=True)
class Busy:
    """Another pipeline holds the lease."""

    lease: Lease


@dataclass(frozen=True)
class Failed:
    """It cannot be done, or not now; pending changes are kept."""

    trouble: Trouble
    lease: Lease | None = None


Effect = Fetch | Put | Held | Busy | Failed
Step = tuple[State, tuple[Effect, ...]]


def step(state: State, event: Event, chance: float = 0.5) -> Step:
    """The next state and the effects of an event.

    Args:
        state: The state before.
        event: The event.
        chance: A random number from 0 to 1, so that pauses differ between runs.
    """
    match event:
        case Fetched(head):
            return _fetched(state, head)
        case Written(head):
            return _arrived(replace(state, known=head))
        case Moved():
            return _again(state, Trouble.CROWDED, chance)
        case Lost():
            return _again(replace(state, unsure=state.sent is not None), Trouble.UNREACHABLE, chance)
        case Denied(trouble):  # the write is not there, unless an earlier attempt of it is
            return _kept(state), (Failed(trouble),)
        case Announce(begun, since, reported):
            return _next(replace(state, announce=begun, since=since, reported=reported, attempts=0))
        case HolderEnded(holder):
            return replace(state, ended_holder=holder, attempts=0), (Fetch(),)
        case Look():
            return replace(state, attempts=0), (Fetch(),)
        case Record(change):
            return replace(state, queue=(*state.queue, change)), ()
        case Flush():
            return _next(replace(state, attempts=0))
        case Finish(shares, alone, completed, reported):
            lease = state.known.lease if state.known else None  # a retry ends a lease that its pipeline left behind
            holds = state.holds or (lease is not None and lease.holder == state.me.holder)
            ending = replace(state, finishing=True, shares=shares, alone=alone, announce=None, holds=holds)
            return _next(replace(ending, completed=completed, reported=reported or state.reported, attempts=0))


def may_take(head: Head, me: Me, ended_holder: str | None = None) -> bool:
    """Whether a run may take the lease: it is free, its own pipeline's, or its holder has ended."""
    return head.lease is None or head.lease.holder in (me.holder, ended_holder)


def _fetched(state: State, head: Head | None) -> Step:
    if head is None:
        return _kept(state), (Failed(Trouble.MISSING),)
    marks = [*([state.seen] if state.seen else []), *([Mark.of(state.known)] if state.known else [])]
    if not all(mark.leads_to(head) for mark in marks):
        replaced = any(mark.ledger != head.ledger for mark in marks)
        # What would be written is made for the version that was known: nothing is, until that is there again.
        return replace(_kept(state), known=None, seen=marks[-1]), (
            Failed(Trouble.REPLACED if replaced else Trouble.WENT_BACK),
        )
    if state.sent is not None and state.sent.write in head.recent:
        return _arrived(replace(state, known=head))
    # A write can only succeed while its base is the newest version.
    may_come = state.unsure and state.known is not None and head.recent == state.known.recent
    state = replace(state, known=head, unsure=may_come)
    if state.holds and (head.lease is None or head.lease.holder != state.me.holder):
        # What was applied is still recorded, but nothing more is started.
        following, effects = _proceed(replace(_kept(state), holds=False, announce=None))
        return following, (Failed(Trouble.TAKEN, head.lease), *effects)
    return _proceed(state)


def _arrived(state: State) -> Step:
    """The state after the write succeeded."""
    sent = state.sent
    if sent is None:
        return _proceed(state)
    effects: tuple[Effect, ...] = (Held(),) if sent.begun is not None else ()
    holds = (state.holds or sent.begun is not None) and not sent.ends
    completed = state.completed if sent.completed is None else None
    arrived = replace(state, sent=None, unsure=False, attempts=0, holds=holds, completed=completed)
    following, more = _proceed(arrived)
    return following, (*effects, *more)


def _next(state: State) -> Step:
    """Write pending changes; if an earlier write may have succeeded, read first."""
    if not state.settled and (state.known is None or state.unsure):
        return state, (Fetch(),)
    return _proceed(state)


def _proceed(state: State) -> Step:
    head = state.known
    if state.settled or head is None:
        return state, ()
    if state.unsure and state.sent is not None:
        return state, (Put(head, state.sent),)  # the same write again: at most one of the two finds its base
    state = _kept(state)
    batch = Batch(
        f"{state.me.run}.{state.number + 1}", state.queue, state.announce, state.since,
        state.finishing, state.shares, state.alone, state.ended_holder if state.announce is not None else None,
        state.completed, state.reported,
    )  # fmt: skip
    if batch.begun is not None and head.lease is not None and not may_take(head, state.me, batch.taking_over):
        return state, (Busy(head.lease),)
    return replace(state, sent=batch, queue=(), announce=None, number=state.number + 1), (Put(head, batch),)


def _kept(state: State) -> State:
    """Put a write that can no longer succeed back into the queue."""
    sent = state.sent
    if sent is None or state.unsure:
        return state
    announce = state.announce if sent.begun is None or state.finishing else {**sent.begun, **(state.announce or {})}
    return replace(state, sent=None, queue=(*sent.changes, *state.queue), announce=announce)


def _again(state: State, trouble: Trouble, chance: float) -> Step:
    attempts = state.attempts + 1
    if attempts >= MOST_ATTEMPTS:
        return replace(_kept(state), attempts=0), (Failed(trouble),)
    pause = min(_PAUSE * 2 ** (attempts - 1), _LONGEST_PAUSE) * (0.5 + chance)
    return replace(state, attempts=attempts), (Fetch(0.0 if attempts == 1 and trouble is Trouble.CROWDED else pause),)
