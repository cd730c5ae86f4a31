"""The chain of entries, each with the digest of the previous one: how entries are added, and how they are verified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base.files import sha256_bytes
from ..base.unseen import one_line
from . import checkpoint, completed, record, statement
from .keys import PublicKey
from .record import RECENT, Entry, Head, Kind, Record
from .statement import FormatError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from ..base.jsonvalue import Json, JsonObject
    from .keys import SigningKey
    from .record import Change, Shard
    from .statement import Envelope


class KeyMissingError(Exception):
    """The ledger is signed with a key that this job does not have."""


@dataclass(frozen=True)
class Draft:
    """A version of the ledger that is about to be written, in the form that `Home.write` takes."""

    head: Head
    head_bytes: bytes
    blobs: Mapping[str, bytes]
    entries: Sequence[tuple[int, bytes]]


@dataclass(frozen=True)
class Broken:
    """The first fault in a chain.

    Args:
        number: The entry with the fault; None for the head.
        what: What is wrong, in one sentence.
    """

    number: int | None
    what: str


def draft(
    head: Head, shards: Mapping[str, Shard], changes: Sequence[Change], write: str, keys: Sequence[SigningKey]
) -> Draft:
    """The version that follows a head, signed.

    Args:
        head: The head, with the lease and the announced stacks that the new version has.
        shards: The shards of all stacks that the changes are about.
        changes: What is to be recorded, in order.
        write: The id of this write.
        keys: This job's signing keys: the current one and, if a change replaces it, the new one.

    Raises:
        KeyMissingError: A key that has to sign is not among them.
    """
    entries: list[tuple[int, bytes]] = []
    touched: dict[str, Shard] = {}
    number, chain, signing = head.sequence, head.chain, _Signing(head, keys)
    last = number + len(changes)
    for wanted in changes:
        number += 1
        change, name = wanted, record.shard_of(wanted.stack or "")
        if change.stack is not None and change.receipt is not None:
            shard = touched.setdefault(name, dict(shards.get(name, {})))
            change = change.settled(shard.get(change.stack))
        digest = record.content_digest(change.receipt, change.outputs) if change.receipt is not None else None
        entry = Entry(
            kind=change.kind, id=change.id, ledger=head.ledger, project=head.project, environment=head.environment,
            sequence=number, previous=chain, at=change.at, stack=change.stack, plan=change.plan, record=digest,
            key=change.key, lost=change.lost,
            facts={**change.facts, **_besides(change), **(completed.facts(head) if number == last else {})},
        )  # fmt: skip
        data = statement.seal(entry.content(), statement.STATEMENT, signing.keys(entry)).to_bytes()
        chain = sha256_bytes(data)
        entries.append((number, data))
        if change.stack is not None and change.kind is Kind.FORGET:
            touched.setdefault(name, dict(shards.get(name, {}))).pop(change.stack, None)
        if change.stack is not None and change.receipt is not None:
            touched[name][change.stack] = Record.model_validate(
                {
                    "change": change.id, "entry": number, "receipt": change.receipt, "outputs": change.outputs,
                    "holder": change.holder,
                }
            )  # fmt: skip
    blobs = {name: record.shard_bytes(shard) for name, shard in touched.items()}
    following = head.model_copy(
        update={
            "format": record.FORMAT, "needs": record.NEEDS, "sequence": number, "chain": chain,
            "key": signing.in_force, "revoked": tuple(signing.revoked), "recent": (*head.recent, write)[-RECENT:],
            "shards": {**head.shards, **{name: sha256_bytes(data) for name, data in blobs.items()}},
            "kept": head.kept or head.sequence + 1,
        }
    )  # fmt: skip
    envelope = statement.seal(following.content(), statement.HEAD, signing.keys(None))
    return Draft(
        following, envelope.to_bytes(), {record.blob_name(name): data for name, data in blobs.items()}, entries
    )


def _besides(change: Change) -> JsonObject:
    """The fact that other commits than the event's own may be deployed by what it left, so that the chain shows it."""
    found = record.deployed(change.receipt or {"commit": None})
    own = str(change.facts.get("commit") or "")
    if own in found:
        found.remove(own)
    others: list[Json] = list(dict.fromkeys(found))
    return {"besides": others} if change.receipt is not None and others else {}


class _Signing:
    """Which keys sign which entry; an entry may replace the current key."""

    def __init__(self, head: Head, keys: Sequence[SigningKey]) -> None:
        self.in_force = head.key
        self.revoked = [*head.revoked]
        self._keys = {key.public.text: key for key in keys}

    def keys(self, entry: Entry | None) -> list[SigningKey]:
        """The keys that sign an entry, or the head if `entry` is None.

        Raises:
            KeyMissingError: This job does not have one of them.
        """
        wanted = [self.in_force]
        if entry is not None and entry.key is not None:
            wanted = [entry.key, *([] if entry.lost else wanted)]
            if entry.revokes and self.in_force is not None:
                self.revoked.append(self.in_force)
            self.in_force = entry.key
        for text in wanted:
            if text is not None and text not in self._keys:
                raise KeyMissingError(PublicKey(text).id)
        return [self._keys[text] for text in dict.fromkeys(wanted) if text is not None]


def judge_head(head: Head, envelope: Envelope, trusted: Sequence[PublicKey]) -> Broken | None:
    """What is wrong with a head's signature; None if it is valid, or if neither head nor configuration names a key.

    Args:
        head: The head.
        envelope: Its envelope.
        trusted: The public keys in the configuration.
    """
    if head.key is not None and head.key in head.revoked:
        return Broken(None, f"the ledger's current key is {PublicKey(head.key).id}, which was revoked")
    if not trusted:
        return None if head.key is None else _signed_alone(head, envelope)
    if head.key is None:
        return Broken(None, "the ledger is not signed, but the configuration names a key")
    if head.key not in {key.text for key in trusted}:
        return Broken(
            None, f"the ledger's current key is {PublicKey(head.key).id}, which the configuration does not name"
        )
    if not envelope.signed_by(PublicKey(head.key)):
        return Broken(None, f"the head is not signed by the key {PublicKey(head.key).id}: it was tampered with")
    return None


def judge_newest(head: Head, last: int, digest: str) -> Broken | None:
    """What is wrong with the newest entry, by what the head says of it.

    Args:
        head: The head.
        last: The number of the newest entry.
        digest: Its digest.
    """
    if last > head.sequence:
        return Broken(None, f"the head is at {head.sequence}, but the chain goes on to {last}: the head is old")
    if last < head.sequence:
        return Broken(last + 1, f"entry {last + 1} is missing: the head is at {head.sequence}")
    if head.sequence and digest != head.chain:
        return Broken(last, f"entry {last} was changed or replaced: the head has another digest")
    return None


def _signed_alone(head: Head, envelope: Envelope) -> Broken | None:
    key = PublicKey(head.key or "")
    return None if envelope.signed_by(key) else Broken(None, f"the head is not signed by its own key {key.id}")


class Verification:
    """Verifies a chain from its oldest entry to its newest, and keeps the first fault.

    Args:
        head: The head that the chain has to lead to.
        cut: The number of an entry whose place in the chain is wanted (`place`).
        first: The number of the entry to start with; by default the oldest one. What the entries before it say is then
            unknown, and believed: the digest of the last of them, the key, and receipts that are as old.
        keyed: Whether no entry from there on replaces a key, so that the head's is valid for all of them.
    """

    def __init__(self, head: Head, cut: int | None = None, *, first: int | None = None, keyed: bool = True) -> None:
        start, is_whole = head.checkpoint, first in (None, head.first)
        self.head = head
        self.broken: Broken | None = None
        self.count = 0
        self.records: dict[str, tuple[int, str]] = {}  # by stack: the number of its last entry, and the digest there
        self.replaced: dict[int, str] = {}  # entries that replaced a key without its signature, and why: lost, revoked
        self.place: tuple[str, str | None] | None = None  # at the cut: the digest of the entry before, and the key
        self.digests: dict[int, str] = {}  # of every entry, by its number
        self.keys: set[str] = {start.key} if start and start.key else set()  # that were current, less the revoked
        self.revoked: dict[str, int] = {}  # keys that were revoked, with the entry that did it
        self.projects: list[str] = []  # the repository's names, the latest last
        self.rebuilt = False  # whether its first entry says that it replaces another ledger
        self._cut = cut
        self._keys: dict[str, PublicKey] = {}
        self._first = head.first if first is None else first
        self._vouched = start is None or (not is_whole and start.entry < self._first)
        self._complete: Json = None  # what the newest entry so far says of complete deploys, and of others
        self._partly: Json = None
        self._expected = self._first
        self._previous: str | None = (start.previous if start else "") if is_whole else None
        self._key: str | None = (start.key if start else None) if is_whole else head.key
        self._keyed = is_whole or keyed
        self._forgotten: set[str] = set()

    def add(self, number: int, data: bytes) -> bool:
        """Verify the next entry; False at the first that is wrong."""
        if number == self._cut:
            self.place = (self._previous or "", self._key)
        self.broken = self._judge(number, data)
        if self.broken is None:
            self.count += 1
            self._expected, self._previous = number + 1, sha256_bytes(data)
            self.digests[number] = self._previous
        return self.broken is None

    def end(self, shards: Iterable[Shard], names: Collection[str] | None = None) -> Broken | None:
        """The first fault, once every entry was added: in an entry, in the head, or in a receipt.

        Args:
            shards: The shards whose receipts are compared with the entries.
            names: The names of these shards; None if they are all.
        """
        if self.broken:
            return self.broken
        head, last = self.head, self._expected - 1
        if broken := judge_newest(head, last, self._previous or ""):
            self.broken = broken
        elif self._key != head.key:
            self.broken = Broken(None, "the head names a different key than the chain")
        elif gone := [key for key in self.revoked if key not in head.revoked]:
            self.broken = Broken(None, f"the head does not name {PublicKey(gone[0]).id} among the revoked keys")
        elif self.projects and self.projects[-1] != head.project:
            self.broken = Broken(None, f"the chain is of {self.projects[-1]}, but the head names {head.project}")
        elif (self._complete or []) != list(head.complete):
            self.broken = Broken(None, "the head names other complete deploys than the chain: one of them was changed")
        elif (self._partly or "") != completed.digest(head):
            self.broken = Broken(None, "the head names other deploys than the chain: one of them was changed")
        elif not self._vouched:
            self.broken = Broken(
                head.first, f"the entries before {head.first} are missing, and no checkpoint vouches for them"
            )
        else:
            self.broken = self._judge_records(shards, names)
        return self.broken

    def _judge(self, number: int, data: bytes) -> Broken | None:
        expected = self._expected
        if number > expected:
            return Broken(expected, f"entry {expected} is missing: {number} follows {expected - 1}")
        if number < expected:
            return Broken(number, f"entry {number} appears twice: one was inserted")
        try:
            entry, envelope = record.read_entry(data)
        except FormatError as error:
            return Broken(number, f"entry {number} cannot be read: {error}")
        return self._judge_place(number, entry) or self._judge_keys(number, entry, envelope) or self._note(entry)

    def _judge_place(self, number: int, entry: Entry) -> Broken | None:
        head = self.head
        names = self.projects[-1:] or [*head.formerly, head.project]
        same = (entry.ledger, entry.environment) == (head.ledger, head.environment)
        if not same or entry.project_before not in names:
            what = f"{entry.project}, environment {entry.environment}"
            return Broken(number, f"entry {number} belongs to another ledger: {what} ({entry.ledger[:8]})")
        if entry.sequence != number:
            return Broken(number, f"entry {number} is numbered {entry.sequence}: entries were reordered")
        if self._previous is not None and entry.previous != self._previous:
            before = f"entry {number - 1}" if number > 1 else "nothing"
            return Broken(number, f"entry {number} does not follow {before}: one of them was changed or inserted")
        return None

    def _judge_keys(self, number: int, entry: Entry, envelope: Envelope) -> Broken | None:
        if not self._keyed and entry.key is None:
            return None
        before, now = self._key if self._keyed else None, entry.key or self._key
        self._keyed = True
        if now is None:
            return (
                Broken(number, f"entry {number} is signed, but the ledger has no key") if envelope.signatures else None
            )
        if not envelope.signed_by(self._public(now)):
            by = ", ".join(signature.keyid for signature in envelope.signatures) or "no key"
            valid = self._public(now).id
            return Broken(number, f"entry {number} was changed, or is not signed by the key {valid} (it names {by})")
        if before is not None and before != now and (entry.lost or not envelope.signed_by(self._public(before))):
            if not entry.lost:
                return Broken(
                    number, f"entry {number} replaces the key {self._public(before).id}, which did not sign that"
                )
            self.replaced[number] = one_line(str(entry.facts.get("old") or "lost"))
        if before is not None and entry.revokes:
            self.keys.discard(before)
            self.revoked.setdefault(before, number)
        if entry.key is not None and now in self.revoked:
            again = f"the key {self._public(now).id} again, which entry {self.revoked[now]} revoked"
            return Broken(number, f"entry {number} is signed with {again}")
        self.keys.add(now)
        self._key = now
        return None

    def _public(self, text: str) -> PublicKey:
        """A key, prepared for verifying once for all entries."""
        return self._keys.setdefault(text, PublicKey(text))

    def _note(self, entry: Entry) -> Broken | None:
        if entry.sequence == 1 and entry.kind is not Kind.INIT:
            return Broken(1, "entry 1 does not start a ledger")
        self._complete, self._partly = entry.facts.get("complete"), entry.facts.get("partly")
        if entry.kind is Kind.INIT:
            self.rebuilt = bool(entry.facts.get("rebuilt"))
        if entry.project not in self.projects[-1:]:
            self.projects.append(entry.project)
        start = self.head.checkpoint
        if start is not None and start.entry == entry.sequence:
            known = checkpoint.parsed(entry)
            if known is None or known[0] != start:
                return Broken(entry.sequence, f"entry {entry.sequence} is not the checkpoint that the head names")
            self._vouched = True
            dropped = {stack: (entry.sequence, digest) for stack, digest in known[1].items()}
            self.records = {**dropped, **self.records}
        if entry.stack is not None and entry.record is not None:
            self.records[entry.stack] = (entry.sequence, entry.record)
        if entry.stack is not None and entry.kind is Kind.FORGET:
            self.records.pop(entry.stack, None)
            self._forgotten.add(entry.stack)
        return None

    def _judge_records(self, shards: Iterable[Shard], names: Collection[str] | None) -> Broken | None:
        found = {stack: (item.entry, item.digest) for shard in shards for stack, item in shard.items()}
        for stack, (named, found_digest) in sorted(found.items()):
            number, digest = self.records.get(stack, (0, ""))
            if number == 0 and (self._first == self.head.first or named >= self._first or stack in self._forgotten):
                return Broken(None, f"the receipt of {stack} has no entry")
            if number and (digest != found_digest or self._first <= named != number):
                return Broken(number, f"the receipt of {stack} is not the one that entry {number} records")
        wanted = (stack for stack in self.records if names is None or record.shard_of(stack) in names)
        if gone := sorted(set(wanted) - set(found)):
            return Broken(self.records[gone[0]][0], f"the receipt of {gone[0]} is missing")
        return None


def verify(
    head: Head, entries: Iterable[tuple[int, bytes]], shards: Iterable[Shard], cut: int | None = None
) -> Verification:
    """Verify a whole chain; `broken` of the result is the first fault. Entries and shards are looked at one by one."""
    found = Verification(head, cut)
    for number, data in entries:
        if not found.add(number, data):
            return found
    found.end(shards)
    return found
