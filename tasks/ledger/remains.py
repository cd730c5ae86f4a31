"""What a ledger that is about to be replaced still says of each stack, as far as it can be read; nothing is verified.

By it, a stack is never called unaffected: it only adds commits over which no older one may be deployed.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import record
from .home import HomeError
from .record import Kind, Partly
from .statement import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ..base.jsonvalue import Json
    from .home import Home, Version
    from .record import Head, Shard

_COMMIT = re.compile(r"[0-9a-f]{7,64}")


@dataclass
class Remains:
    """What is left of a stack's record.

    Args:
        commits: Those that may be deployed, an empty text for a deploy without one; none if no deploy is known.
        plan_id: The plan of the last recorded apply; None if there is none, but a rebuilding that knew commits.
        lineage: That of the state which this apply left.
        serial: The serial of that state.
        begun: Whether an announced apply has not ended.
    """

    commits: list[str] = field(default_factory=list)
    plan_id: str | None = None
    lineage: str | None = None
    serial: int | None = None
    begun: bool = False

    def add(self, commits: Iterable[Json]) -> None:
        """Add commits; what is not one, for example as somebody else wrote it, is one that is not known."""
        found = [text if _COMMIT.fullmatch(text := str(commit)) else "" for commit in commits]
        self.commits = list(dict.fromkeys([*self.commits, *found]))


@dataclass(frozen=True)
class Left:
    """What is left of a ledger.

    Args:
        stacks: What is left of each stack's record.
        complete: The commits of the last complete deploys; none if the head cannot be read.
        partly: The deploys since then that have not ended well; likewise.
    """

    stacks: Mapping[str, Remains] = field(default_factory=dict)
    complete: tuple[str, ...] = ()
    partly: tuple[Partly, ...] = ()


def read(home: Home, version: Version) -> Left:
    """What a version says; where a stack's record cannot be read, what the stack's last entry says.

    Args:
        home: The ledger's home.
        version: The version.
    """
    try:
        head, _ = record.read_head(version.head)
    except FormatError:
        return Left(_by_entries(home, version, {}))
    partly = tuple(item for item in head.partly if _COMMIT.fullmatch(item.commit))
    return Left(_stacks(home, version, head), tuple(filter(_COMMIT.fullmatch, head.complete)), partly)


def _stacks(home: Home, version: Version, head: Head) -> dict[str, Remains]:
    shards = list(_shards(home, version, head))
    found = {
        stack: _of_receipt(item.receipt, applied=bool(item.receipt.get("plan_sha256")))
        for shard in shards for stack, item in shard.items()
    }  # fmt: skip
    if len(shards) < len(head.shards):
        found = _by_entries(home, version, found)
    for stack, item in head.begun.items():
        known = found.setdefault(stack, Remains(lineage=item.lineage, serial=item.serial))
        known.begun = True
        known.add(item.commits or [""])
    return found


def _shards(home: Home, version: Version, head: Head) -> Iterator[Shard]:
    """The shards that can be read: all in one go, or else one by one."""
    names = {record.blob_name(name): digest for name, digest in head.shards.items()}
    try:
        data = home.blobs(version, names)
    except HomeError:
        data = {}
        for name, digest in names.items():
            with suppress(HomeError):
                data |= home.blobs(version, {name: digest})
    for content in data.values():
        with suppress(FormatError):
            yield record.read_shard(content)


def _of_receipt(receipt: Mapping[str, Json], *, applied: bool) -> Remains:
    """What a receipt says; one that is not `applied` stands for an apply which an earlier rebuilding did not find."""
    plan, lineage, serial = (receipt.get(name) for name in ("plan_id", "lineage", "serial"))
    found = Remains(
        plan_id=plan if isinstance(plan, str) else None, lineage=lineage if isinstance(lineage, str) else None,
        serial=serial if isinstance(serial, int) else None,
    )  # fmt: skip
    found.add(commit for commit in record.deployed(receipt) if applied or commit)
    return found


def _by_entries(home: Home, version: Version, known: Mapping[str, Remains]) -> dict[str, Remains]:
    """What is known already, and of all other stacks what their last entries say."""
    found: dict[str, Remains] = {}
    for entry in _entries(home, version):
        if entry.stack is not None and entry.kind is Kind.FORGET:
            found.pop(entry.stack, None)
        if entry.stack is None or entry.record is None or entry.stack in known:
            continue
        new, before = _of_receipt(entry.facts, applied=entry.plan is not None), found.get(entry.stack)
        if entry.kind is Kind.ACCEPT and before is not None and "commit" not in entry.facts:  # of a state alone
            new.commits = before.commits
        found[entry.stack] = new
    return {**found, **known}


def _entries(home: Home, version: Version) -> Iterator[record.Entry]:
    """The deploys and the like, the oldest first, up to the first one that cannot be read."""
    with suppress(HomeError, FormatError):
        for _, data in home.entries(version):
            entry, _ = record.read_entry(data)
            if entry.kind is not Kind.CHECKPOINT:
                yield entry
