"""What is verified of a ledger: the whole chain by an audit, and the entries that a version holds by every deploy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import chain, record
from .chain import Broken, Verification
from .home import KEPT
from .statement import FormatError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from .home import Home, Version
    from .machine import Mark
    from .record import Head, Shard

_AT_ONCE = 16  # shards in memory while all of them are verified


@dataclass(frozen=True)
class Verifier:
    """Verifies one version of a ledger.

    Args:
        head: The head, which was verified.
        home: Where the ledger is; its copy here is read again before the remote is blamed.
        version: The head's version.
        seen: The latest place in the chain that this machine has seen.
    """

    head: Head
    home: Home
    version: Version
    seen: Mark | None

    def whole(self, cut: int | None) -> Verification:
        """The whole chain, entry by entry, and every receipt; needs the history.

        Args:
            cut: An entry whose place in the chain is wanted.

        Raises:
            HomeError: It cannot be read.
        """
        found = self._whole(cut)
        return self._whole(cut) if found.broken and self.home.refreshed(self.version) else found

    def newest(self, shards: Mapping[str, Shard], names: Collection[str]) -> Broken | None:
        """What is wrong with the entries that the version holds itself, or with receipts; None if they are whole.

        Args:
            shards: The shards whose receipts are compared with the entries.
            names: Their names, also of those that the head does not have.

        Raises:
            HomeError: They cannot be read.
        """
        found = self._newest(shards, names)
        return self._newest(shards, names) if found and self.home.refreshed(self.version) else found

    def _whole(self, cut: int | None) -> Verification:
        entries = self.home.entries(self.version, self.head.first - 1)
        found = chain.verify(self.head, entries, self._each_shard(), cut)
        found.broken = found.broken or _unlike(self.seen, found) or self._newest({}, ())
        return found

    def _newest(self, shards: Mapping[str, Shard], names: Collection[str]) -> Broken | None:
        head = self.head
        wanted = max(head.first, head.sequence - KEPT + 1)
        held = self.home.recent(self.version, wanted - 1)
        # Of entries from before the format that keeps them, only those are known that are there.
        first = min([max(wanted, head.kept or head.sequence + 1), *(number for number, _ in held)])
        if first > wanted and head.key is None:  # anybody can make a head say so that is not signed
            earlier = self.home.entries(self.version, wanted - 1)
            held, first = [*(item for item in earlier if item[0] < first), *held], wanted
        if first > head.sequence and not held:
            return None
        found = Verification(head, first=first, keyed=not any(_replaces_key(data) for _, data in held))
        if all(found.add(number, data) for number, data in held):
            found.end(shards.values(), names)
        return found.broken or _unlike(self.seen, found)

    def _each_shard(self) -> Iterator[Shard]:
        """All shards of the version; only a few are in memory at a time."""
        names = sorted(self.head.shards)
        for some in (names[first : first + _AT_ONCE] for first in range(0, len(names), _AT_ONCE)):
            blobs = {record.blob_name(name): self.head.shards[name] for name in some}
            yield from map(record.read_shard, self.home.blobs(self.version, blobs).values())


def _unlike(seen: Mark | None, found: Verification) -> Broken | None:
    """An entry in the place of the one that this machine has seen last: a chain without a key can be written anew."""
    if seen is None or seen.ledger != found.head.ledger or found.digests.get(seen.sequence, seen.chain) == seen.chain:
        return None
    what = f"entry {seen.sequence} is not the one that this machine has seen: it was changed or replaced"
    return Broken(seen.sequence, what)


def _replaces_key(data: bytes) -> bool:
    try:
        return record.read_entry(data)[0].key is not None
    except FormatError:
        return False
