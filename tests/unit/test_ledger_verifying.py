"""What a deploy verifies: the entries that a version holds itself, and what they say of the receipts that it reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from tasks.ledger import checkpoint, record, statement
from tasks.ledger.home import KEPT, Version
from tasks.ledger.machine import Mark
from tasks.ledger.record import Kind
from tasks.ledger.verifying import Verifier
from tests.unit.test_ledger_chain import ONE, STRANGER, TWO, Chain, change, edited

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.ledger.keys import SigningKey


@dataclass
class Tip:
    """A home whose newest version holds some entries; it was read again as often as it was doubted."""

    entries: list[tuple[int, bytes]]
    doubted: int = 0
    damaged: tuple[int, bytes] | None = None

    def recent(self, version: Version, after: int) -> list[tuple[int, bytes]]:
        del version
        found = [self.damaged, *self.entries[1:]] if self.damaged else self.entries
        return [item for item in found if item[0] > after]

    def refreshed(self, version: Version) -> bool:
        del version
        self.doubted, found = self.doubted + 1, self.damaged is not None
        self.damaged = None
        return found


def what(made: Chain, held: int = KEPT, seen: Mark | None = None, names: set[str] | None = None) -> str:
    """What a deploy says of a ledger whose version holds so many entries."""
    tip = Tip(made.entries[-held:])
    verifier = Verifier(made.head, tip, Version("tip", b""), seen)  # type: ignore[arg-type]
    broken = verifier.newest(made.shards, {*made.shards} if names is None else names)
    return broken.what if broken else "whole"


def long(key: SigningKey | None, count: int) -> Chain:
    """A chain of so many entries."""
    made = Chain(key)
    for number in range(1, count):
        made.deploy(f"s{number % 7}")
    assert made.head.sequence == count
    return made


@pytest.fixture(params=[None, ONE], ids=["unsigned", "signed"])
def key(request: pytest.FixtureRequest) -> SigningKey | None:
    found: SigningKey | None = request.param
    return found


@pytest.mark.parametrize("count", [1, 2, KEPT - 1, KEPT, KEPT + 1, 2 * KEPT + 3])
def test_a_ledger_that_nobody_touched_is_whole(key: SigningKey | None, count: int) -> None:
    made = long(key, count)
    assert what(made) == "whole"
    assert what(made, held=count) == "whole"  # a version may hold more
    assert made.head.kept == 1


@pytest.mark.parametrize("count", [5, KEPT - 1, KEPT, KEPT + 1, 2 * KEPT + 3])
def test_the_oldest_entry_that_a_version_has_to_hold(key: SigningKey | None, count: int) -> None:
    made = long(key, count)
    oldest = max(1, count - KEPT + 1)
    kept = [item for item in made.entries if item[0] >= oldest]
    made.entries = kept[1:]
    assert what(made) == f"entry {oldest} is missing: {oldest + 1} follows {oldest - 1}"
    made.entries = [(oldest, edited(kept[0][1], at="x")), *kept[1:]]
    assert f"entry {oldest + (not key)} " in what(made)
    made.entries = []
    assert what(made) == f"entry {oldest} is missing: the head is at {count}"


def _edited(made: Chain, at: int) -> None:
    made.entries[at] = (made.entries[at][0], edited(made.entries[at][1], at="2020-01-01T00:00:00+00:00"))


def _dropped(made: Chain, at: int) -> None:
    del made.entries[at]


def _reordered(made: Chain, at: int) -> None:
    (one, first), (other, second) = made.entries[at - 1], made.entries[at]
    made.entries[at - 1 : at + 1] = [(one, second), (other, first)]


def _inserted(made: Chain, at: int) -> None:
    made.entries.insert(at, made.entries[at - 1])


def _by_another_key(made: Chain, at: int) -> None:
    number, data = made.entries[at]
    envelope = statement.read(data, statement.STATEMENT)
    made.entries[at] = (number, statement.seal(envelope.content, statement.STATEMENT, [STRANGER]).to_bytes())


def _of_another_ledger(made: Chain, at: int) -> None:
    other = Chain(made.key, environment="dev")
    for _ in range(made.head.sequence):
        other.deploy("web")
    made.entries[at] = other.entries[at]


@pytest.mark.parametrize("forge", [_edited, _dropped, _reordered, _inserted, _by_another_key, _of_another_ledger])
@pytest.mark.parametrize("at", [-KEPT + 1, -KEPT // 2, -2, -1])
def test_a_forged_entry_is_named_as_by_an_audit(
    key: SigningKey | None, forge: Callable[[Chain, int], None], at: int
) -> None:
    made = long(key, KEPT + 10)
    at += KEPT + 10
    forge(made, at)
    said = made.what()
    assert said != "whole"
    assert what(made, held=KEPT + (forge is _inserted) - (forge is _dropped)) == said


def test_an_entry_that_a_version_need_not_hold_is_the_audits() -> None:
    made = long(ONE, KEPT + 1)
    _edited(made, 0)
    assert "entry 1 was changed" in made.what()
    assert what(made) == "whole"
    assert what(made, held=KEPT + 1) == "whole"


@pytest.mark.parametrize("after", [0, 1, 5, KEPT - 1, KEPT])
def test_a_key_that_was_replaced_among_them(after: int) -> None:
    made = long(ONE, KEPT)
    made.add(change("rotate", kind=Kind.ROTATE, stack=None, new=TWO), keys=[ONE, TWO])
    made.key = TWO
    for _ in range(after):
        made.deploy("web")
    assert what(made) == "whole"
    made.entries = made.entries[-KEPT:]
    _edited(made, -1)
    assert f"entry {made.head.sequence} was changed" in what(made)


@pytest.mark.parametrize("lost", [True, False])
def test_what_was_signed_with_an_older_key_is_bound_by_the_chain(lost: bool) -> None:
    made = long(ONE, KEPT)
    made.add(change("r", kind=Kind.ROTATE, stack=None, new=TWO, lost=lost), keys=[TWO] if lost else [ONE, TWO])
    assert what(made) == "whole"
    _edited(made, KEPT - 3)
    number = made.entries[KEPT - 3][0]
    assert what(made) == f"entry {number + 1} does not follow entry {number}: one of them was changed or inserted"


def test_a_key_of_a_stranger_is_named() -> None:
    made = long(ONE, KEPT + 5)
    made.add(change("r", kind=Kind.ROTATE, stack=None, new=STRANGER, lost=True), keys=[STRANGER])
    made.head = made.head.model_copy(update={"key": ONE.public.text})
    assert what(made) == "the head names a different key than the chain"


@pytest.mark.parametrize("after", [0, 3, KEPT - 1, KEPT, KEPT + 1])
@pytest.mark.parametrize("first", [60, KEPT + 21])
def test_older_entries_that_were_dropped(after: int, first: int) -> None:
    made = long(ONE, KEPT + 20)
    found = made.verify()
    place = (made.entries[first - 2][1], ONE.public.text)
    previous = record.sha256_bytes(place[0])
    start, entry = checkpoint.make(made.head, first, (previous, place[1]), found.records, "now")
    made.head = made.head.model_copy(update={"checkpoint": start})
    made.add(entry)
    made.entries = made.entries[first - 1 :]
    assert made.what() == "whole"
    for number in range(after):
        made.deploy(f"s{number % 2}")
    assert made.what() == "whole"
    assert what(made) == "whole"
    assert what(made, held=len(made.entries)) == "whole"
    del made.entries[-1]
    assert what(made) == f"entry {made.head.sequence} is missing: the head is at {made.head.sequence}"


def test_a_ledger_that_was_rebuilt() -> None:
    made = Chain(ONE, rebuilt=True)
    made.deploy("web")
    assert what(made) == "whole"
    del made.entries[0]
    assert what(made) == "entry 1 is missing: 2 follows 0"


@pytest.mark.parametrize("after", [0, 1, KEPT - 1, KEPT])
def test_a_repository_that_was_renamed(key: SigningKey | None, after: int) -> None:
    made = long(key, KEPT)
    facts = {"from": "acme/infra", "to": "acme/platform"}
    made.head = made.head.model_copy(update={"project": "acme/platform", "formerly": ("acme/infra",)})
    made.add(replace(change("rename", kind=Kind.RENAME, stack=None), facts=facts))
    for _ in range(after):
        made.deploy("web")
    assert what(made) == "whole"


def test_a_receipt_that_was_changed_added_or_removed(key: SigningKey | None) -> None:
    made = long(key, KEPT + 10)
    name = record.shard_of("s3")
    shard, newest = dict(made.shards[name]), made.shards[name]["s3"]
    made.shards[name] = {**shard, "s3": newest.model_copy(update={"receipt": {"forged": True}})}
    assert what(made) == f"the receipt of s3 is not the one that entry {newest.entry} records"
    made.shards[name] = {**shard, "s3": newest.model_copy(update={"entry": newest.entry + 1})}
    assert what(made) == f"the receipt of s3 is not the one that entry {newest.entry} records" == made.what()
    for number in (KEPT + 5, KEPT + 11, 10**9):  # of another stack, and beyond the head
        made.shards[name] = {**shard, "new": newest.model_copy(update={"entry": number})}
        assert what(made) == "the receipt of new has no entry" == made.what()
    made.shards[name] = {**shard, "new": newest.model_copy(update={"entry": 5})}
    assert (what(made), made.what()) == ("whole", "the receipt of new has no entry")  # it is older: the audit's
    made.shards[name] = {stack: item for stack, item in shard.items() if stack != "s3"}
    assert what(made) == "the receipt of s3 is missing"
    made.shards[name] = shard
    del made.shards[record.shard_of("s2")]
    assert what(made, names={name}) == "whole"  # only what is read counts
    assert what(made, names={name, record.shard_of("s2")}) == "the receipt of s2 is missing"


def test_a_receipt_that_was_forgotten_stays_so() -> None:
    made = long(ONE, 10)
    kept = dict(made.shards[record.shard_of("s3")])
    made.add(replace(change("f", kind=Kind.FORGET), stack="s3", receipt=None, plan=None))
    for _ in range(KEPT - 1):
        made.deploy("web")
    assert what(made) == "whole"
    made.shards[record.shard_of("s3")] = {**made.shards[record.shard_of("s3")], **kept}
    assert what(made) == "the receipt of s3 has no entry"


def test_of_a_ledger_from_before_what_its_version_holds_is_verified() -> None:
    made = long(ONE, 20)
    made.head = made.head.model_copy(update={"kept": 0, "format": 2})
    everything = made.entries
    made.entries = everything[-1:]
    assert what(made) == "whole"
    made.entries = [(20, edited(everything[-1][1], at="x"))]
    assert "entry 20 was changed" in what(made)
    made.entries = []  # a lease alone
    assert what(made) == "whole"
    made.entries = everything[-1:]
    made.deploy("web")
    assert made.head.kept == 21
    assert what(made) == "whole"
    for _ in range(KEPT - 2):
        made.deploy("web")
    assert what(made) == "whole"
    assert made.entries[0][0] == 20
    del made.entries[1]
    assert what(made) == "entry 21 is missing: 22 follows 20"
    del made.entries[0]
    assert what(made) == "entry 21 is missing: 22 follows 20"


@dataclass
class Branch:
    """A home whose newest version holds some entries, and whose history has more."""

    here: list[tuple[int, bytes]]
    before: list[tuple[int, bytes]]

    def recent(self, version: Version, after: int) -> list[tuple[int, bytes]]:
        del version
        return [item for item in self.here if item[0] > after]

    def entries(self, version: Version, after: int) -> list[tuple[int, bytes]]:
        del version
        return [item for item in self.before if item[0] > after]

    def refreshed(self, version: Version) -> bool:
        del version
        return False


@pytest.mark.parametrize(
    ("fields", "held"),
    [({"kept": 81}, 0), ({"kept": 10**9}, 0), ({"kept": 70}, 11), ({"kept": 0, "format": 2}, 0), ({"kept": 0, "format": 2}, 1)],
    ids=["none", "impossible", "some", "older", "older, the last alone"],
)  # fmt: skip
def test_an_unsigned_head_does_not_say_how_much_is_verified(fields: dict[str, int], held: int) -> None:
    """Whoever may write can let it claim that its versions hold nothing; the history has it all the same."""
    made = long(None, 80)
    made.head = made.head.model_copy(update=fields)
    here = made.entries[len(made.entries) - held :]

    def found(history: list[tuple[int, bytes]]) -> str:
        verifier = Verifier(made.head, Branch(here, history), Version("tip", b""), None)  # type: ignore[arg-type]
        broken = verifier.newest(made.shards, {*made.shards})
        return broken.what if broken else "whole"

    assert found(made.entries) == "whole"
    assert (
        found(here) == f"entry 17 is missing: {81 - held} follows 16"
        if held
        else "entry 17 is missing: the head is at 80"
    )
    name = record.shard_of("s3")
    made.shards[name] = {**made.shards[name], "s3": made.shards[name]["s3"].model_copy(update={"receipt": {}})}
    assert found(made.entries).startswith("the receipt of s3 is not the one that entry")


def test_a_chain_that_was_written_anew_is_named_where_it_was_seen() -> None:
    made, other = long(None, 10), Chain(None)
    seen = Mark.of(made.head)
    for _ in range(12):
        other.deploy("web")
    assert (what(other), other.what()) == ("whole", "whole")
    assert what(other, seen=seen) == "entry 10 is not the one that this machine has seen: it was changed or replaced"
    made.deploy("web")
    assert what(made, seen=seen) == "whole"
    assert what(made, seen=replace(seen, ledger="0b" * 16)) == "whole"


def test_a_damaged_copy_here_is_not_blamed_on_the_remote() -> None:
    made = long(ONE, 5)
    tip = Tip(made.entries, damaged=(1, b"damaged"))
    verifier = Verifier(made.head, tip, Version("tip", b""), None)  # type: ignore[arg-type]
    assert verifier.newest(made.shards, {*made.shards}) is None
    tip.entries[0] = (1, b"damaged")
    broken = verifier.newest(made.shards, {*made.shards})
    assert (broken and broken.number, tip.doubted) == (1, 2)
