"""One run's session with its ledger: carries out the machine's effects, with the bytes and signatures."""

from __future__ import annotations

import random
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from . import chain, completed, machine, record, troubles
from .home import DeniedError, HomeError, MovedError, NoRemoteError, UnreachableError
from .machine import Denied, Failed, Fetch, Fetched, Lost, Mark, Moved, Put, State, Trouble, Written
from .statement import FormatError
from .verifying import Verifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ..base.errors import LedgerError
    from .batch import Batch, Me
    from .home import Home, Version
    from .identity import Identity
    from .keys import PublicKey, SigningKey
    from .machine import Effect, Event
    from .record import Change, Head, Record, Shard


_REFUSALS = (UnreachableError, DeniedError, NoRemoteError)


class Cache(Protocol):
    """A cache of shards, by digest."""

    def get(self, digest: str) -> bytes | None:
        """The shard with this digest; None if it is not cached."""
        ...

    def put(self, digest: str, data: bytes) -> None:
        """Keep a shard."""
        ...


@dataclass(frozen=True)
class Trust:
    """The public keys that the configuration trusts, and the keys that this job signs with; both may be empty."""

    public: Sequence[PublicKey] = ()
    signing: Sequence[SigningKey] = ()


@dataclass
class Session:
    """A run's session with its ledger. Threads may share it; only one at a time talks to the home.

    Args:
        home: Where the ledger is.
        me: This run.
        identity: Which ledger is expected.
        trust: The keys.
        seen: The latest place in the chain that this machine has seen.
        cache: The cache of shards.
        pause: Waits that many seconds; true if the run was asked to stop.
        observed: How often the observations were written, as far as this run knows.
        asked: The answer of the home to a question that was asked before; the first read takes it.

    Attributes:
        foreign: How often it was read after somebody had written it; a write of ours without an answer counts, too.
    """

    home: Home
    me: Me
    identity: Identity
    trust: Trust = field(default_factory=Trust)
    seen: Mark | None = None
    cache: Cache | None = None
    pause: Callable[[float], bool | None] = time.sleep
    observed: int = 0
    asked: Callable[[], Version | None] | None = None
    foreign: int = field(init=False, default=0)
    _state: State = field(init=False)
    _version: Version | None = field(init=False, default=None)
    _shards: dict[str, Shard] = field(init=False, default_factory=dict)  # by digest
    _checked: str = field(init=False, default="")  # the version whose newest entries were verified
    _said: str = field(init=False, default="")  # the home's last error
    _first: int | None = field(init=False, default=None)  # the number of the last entry when it was first read
    _lock: threading.RLock = field(init=False, default_factory=threading.RLock)

    def __post_init__(self) -> None:
        """Start from the latest place that this machine has seen."""
        self._state = State(self.me, seen=self.seen)

    @property
    def head(self) -> Head | None:
        """The newest head that was read or written."""
        return self._state.known

    @property
    def version(self) -> Version | None:
        """The version of this head."""
        return self._version

    @property
    def written(self) -> bool:
        """Whether the ledger has entries that were written since this session began."""
        head = self.head
        return head is not None and head.sequence > (self._first or 0)

    @property
    def holds(self) -> bool:
        """Whether this pipeline has the lease, as far as is known."""
        return self._state.holds

    @property
    def waiting(self) -> int:
        """How many changes are not in the ledger yet."""
        sent = self._state.sent
        return len(self._state.queue) + (len(sent.changes) if sent else 0)

    @property
    def settled(self) -> bool:
        """Whether nothing is left to write."""
        return self._state.settled

    def handle(self, event: Event) -> list[Effect]:
        """Handle an event; returns the effects that are for the run: held, busy, failed.

        Raises:
            LedgerError: The ledger cannot be trusted, or this job cannot write to it.
        """
        told: list[Effect] = []
        with self._lock:
            events: list[Event] = [event]
            while events:
                chance = random.random()  # noqa: S311 - only spreads tries
                self._state, effects = machine.step(self._state, events.pop(0), chance)
                for effect in effects:
                    if isinstance(effect, Fetch):
                        events.append(self._fetch(effect))
                    elif isinstance(effect, Put):
                        events.append(self._put(effect.base, effect.batch))
                    else:
                        told.append(effect)
        return told

    def records(self, stacks: Iterable[str]) -> dict[str, Record]:
        """The ledger's records of some stacks, at the known head.

        Raises:
            LedgerError: A shard cannot be read.
        """
        with self._lock:
            head = self._known()
            names = {stack: record.shard_of(stack) for stack in stacks}
            shards = self._read_shards(head, set(names.values()))
        found = {stack: shards.get(name, {}).get(stack) for stack, name in names.items()}
        return {stack: item for stack, item in found.items() if item is not None}

    def all_records(self) -> dict[str, Record]:
        """The ledger's records of all stacks.

        Raises:
            LedgerError: A shard cannot be read.
        """
        with self._lock:
            head = self._known()
            shards = self._read_shards(head, head.shards)
        return {stack: item for shard in shards.values() for stack, item in shard.items()}

    def verify(self, cut: int | None = None) -> chain.Verification:
        """The whole chain, entry by entry; needs the history.

        Args:
            cut: An entry whose place in the chain is wanted.

        Raises:
            LedgerError: It cannot be read.
        """
        with self._lock:
            head, version = self._known(), self._version
            if version is None:
                raise self._unbelievable("it was not read")
            with self._reading():
                return Verifier(head, self.home, version, self.seen).whole(cut)

    def check_newest(self, stacks: Iterable[str]) -> None:
        """Refuse a ledger whose newest entries, or receipts of these stacks, are not whole; see `Verifier.newest`.

        Raises:
            LedgerError: They are not, or they cannot be read.
        """
        with self._lock, self._reading():
            head, version = self._known(), self._version
            if version is None or self._checked == version.token:
                return
            names = {record.shard_of(stack) for stack in stacks}
            shards = self._read_shards(head, names)
            if broken := Verifier(head, self.home, version, self.seen).newest(shards, names):
                raise self._unbelievable(broken.what)
            self._checked = version.token

    def entries(self, after: int = 0) -> Iterator[tuple[record.Entry, bytes]]:
        """The entries with a number above `after`, oldest first.

        Raises:
            LedgerError: One cannot be read.
        """
        version, head = self._version, self.head
        if version is None or head is None:
            return
        with self._reading():
            for number, data in self.home.entries(version, max(after, head.first - 1)):
                try:
                    yield record.read_entry(data)[0], data
                except record.NewerFormatError as error:
                    raise troubles.older(self.home.name, f"entry {number}: {error}", error.needs) from None
                except FormatError as error:
                    raise self._unbelievable(f"entry {number} cannot be read: {error}") from None

    def begin(self, head: Head, changes: Sequence[Change], over: Version | None = None) -> None:
        """Create the ledger.

        Args:
            head: Its head.
            changes: Its first entries.
            over: What is there, if that is replaced.

        Raises:
            LedgerError: It cannot be written.
        """
        with self._lock:
            made = self._asked(head, {}, changes, f"{self.me.run}.0")
            try:
                self._version = self.home.write(over, made.head_bytes, made.blobs, made.entries)
            except HomeError as error:
                raise troubles.unwritten(self.home.name, error) from error
            self._state = State(self.me, known=made.head)

    def amend(self, change: Callable[[Head], Head], changes: Sequence[Change]) -> None:
        """Write a change that a person asked for, outside of a run; tried once, over the version that was read last.

        Args:
            change: Changes the lease or the announced stacks of the head.
            changes: The entries to record.

        Raises:
            LedgerError: It cannot be written, or another run wrote first.
        """
        with self._lock:
            head = self._known()
            shards = self._read_shards(head, {record.shard_of(item.stack) for item in changes if item.stack})
            made = self._asked(change(head), shards, changes, f"{self.me.run}.amend")
            try:
                self._version = self.home.write(self._version, made.head_bytes, made.blobs, made.entries)
            except HomeError as error:
                raise troubles.unwritten(self.home.name, error) from error
            self._state = State(self.me, known=made.head)

    def drop(self) -> None:
        """Remove the entries that a checkpoint vouches for.

        Raises:
            LedgerError: They cannot be removed, or another run wrote first.
        """
        with self._lock:
            head, version = self._known(), self._version
            if version is not None:
                try:
                    self._version = self.home.drop(version, head.first)
                except HomeError as error:
                    raise troubles.undropped(self.home.name, error) from error

    def problem(self, failed: Failed, *, deploying: bool = False) -> LedgerError:
        """The error for something that failed; of a deploy before its first apply if `deploying`."""
        return troubles.failed(failed, self.home.name, self._said, deploying=deploying)

    def _fetch(self, effect: Fetch) -> Event:
        if effect.pause and self.pause(effect.pause):
            return Denied()
        asked, self.asked = self.asked, None
        try:
            found = self.home.read() if asked is None else asked()
        except _REFUSALS as error:
            return self._refused(error)
        except HomeError as error:
            raise troubles.unread(self.home.name, error) from error
        if found is None:
            return Fetched(None)
        head = self._believed(found)
        known, self._version = self._state.known, found
        self.foreign += known is not None and Mark.of(known) != Mark.of(head)
        self._first = head.sequence if self._first is None else self._first
        return Fetched(head)

    def _put(self, base: Head, batch: Batch) -> Event:
        touched = {record.shard_of(change.stack) for change in batch.changes if change.stack is not None}
        shards = self._read_shards(base, touched)
        try:
            head = batch.over(self.me, base)
            head = head.model_copy(update={"observed": max(head.observed, self.observed)})
            made = self._draft(head, shards, batch.changes or completed.changes(base, head), batch.write)
        except chain.KeyMissingError as error:
            self._said = str(error)
            return Denied(Trouble.NO_KEY)
        try:
            self._version = self.home.write(self._version, made.head_bytes, made.blobs, made.entries)
        except MovedError:
            return Moved()
        except _REFUSALS as error:
            return self._refused(error)
        except HomeError as error:
            raise troubles.unwritten(self.home.name, error) from error
        return Written(made.head)

    def _refused(self, error: UnreachableError | DeniedError | NoRemoteError) -> Event:
        self._said = str(error)
        if isinstance(error, NoRemoteError):
            return Denied(Trouble.UNREACHABLE)
        return Lost() if isinstance(error, UnreachableError) else Denied()

    def _draft(self, head: Head, shards: Mapping[str, Shard], changes: Sequence[Change], write: str) -> chain.Draft:
        if record.is_newer(head.needs):
            raise troubles.older(self.home.name, f"it may be read here, but not written; {head.needs} may", head.needs)
        return chain.draft(head, shards, changes, write, self.trust.signing)

    def _asked(self, head: Head, shards: Mapping[str, Shard], changes: Sequence[Change], write: str) -> chain.Draft:
        """The version that a person asked for.

        Raises:
            LedgerError: This job does not have the key that has to sign it.
        """
        try:
            return self._draft(head, shards, changes, write)
        except chain.KeyMissingError as error:
            raise troubles.failed(Failed(Trouble.NO_KEY), self.home.name, str(error)) from None

    def _believed(self, found: Version) -> Head:
        """The head of a version, if it belongs to this ledger and has a valid signature.

        Raises:
            LedgerError: It is not.
        """
        try:
            head, envelope = record.read_head(found.head)
        except record.NewerFormatError as error:
            raise troubles.older(self.home.name, str(error), error.needs) from None
        except FormatError as error:
            raise self._unbelievable(f"its head cannot be read: {error}") from None
        if wrong := self.identity.problem(head):
            former = self.identity.project in head.formerly
            same = head.environment == self.identity.environment
            raise troubles.of_another(self.home.name, wrong, same=same, former=former)
        if head.key is None and self.trust.public:
            raise troubles.unsigned(self.home.name)
        if broken := chain.judge_head(head, envelope, self.trust.public):
            raise self._unbelievable(broken.what)
        return head

    def _read_shards(self, head: Head, names: Iterable[str]) -> dict[str, Shard]:
        """Shards of the known version; cached ones are not read again."""
        wanted = {name: head.shards[name] for name in names if name in head.shards}
        missing = {name: digest for name, digest in wanted.items() if digest not in self._shards}
        for name, digest in list(missing.items()):
            data = self.cache.get(digest) if self.cache else None
            if data is not None:
                self._shards[digest] = record.read_shard(data)
                del missing[name]
        if missing and self._version is not None:
            with self._reading():
                blobs = {record.blob_name(name): digest for name, digest in missing.items()}
                found = self.home.blobs(self._version, blobs)
                for name, digest in missing.items():
                    data = found[record.blob_name(name)]
                    self._shards[digest] = record.read_shard(data)
                    if self.cache:
                        self.cache.put(digest, data)
        return {name: self._shards[digest] for name, digest in wanted.items()}

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except FormatError as error:
            raise self._unbelievable(str(error)) from error
        except HomeError as error:
            raise troubles.unread(self.home.name, error) from error

    def _known(self) -> Head:
        head = self._state.known
        if head is None:
            raise self._unbelievable("it was not read")
        return head

    def _unbelievable(self, what: str) -> LedgerError:
        return troubles.untrusted(self.home.name, what)
