"""What a ledger that is replaced still says, however much of it is left."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from tasks.ledger import chain, record, remains, statement
from tasks.ledger.home import BrokenError, Version
from tasks.ledger.record import Begun, Change, Head, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tasks.base.jsonvalue import JsonObject

X, Y, Z = ("1a" * 20, "2b" * 20, "3c" * 20)
AT = "2026-11-25T10:00:00+00:00"


@dataclass
class Left:
    """A home from which parts are missing."""

    head: Head
    content: dict[str, bytes] = field(default_factory=dict)
    chain: list[tuple[int, bytes]] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)

    def blobs(self, version: Version, digests: Mapping[str, str]) -> dict[str, bytes]:
        del version
        if missing := self.gone.intersection(digests):
            raise BrokenError(f"there is no {min(missing)}")
        return {name: self.content[name] for name in digests}

    def entries(self, version: Version, after: int = 0) -> Iterator[tuple[int, bytes]]:
        del version
        yield from ((number, data) for number, data in self.chain if number > after)
        if "entries" in self.gone:
            raise BrokenError("the history ends here")

    @property
    def version(self) -> Version:
        return Version("now", statement.seal(self.head.content(), statement.HEAD, []).to_bytes())


def deploy(stack: str, commit: str, serial: int, *, kind: Kind = Kind.DEPLOY, follows: str | None = None) -> Change:
    receipt: JsonObject = {
        "outcome": "applied", "plan_sha256": "5e" * 32, "commit": commit, "plan_id": f"{stack} {serial}", "lineage": "l", "serial": serial,
    }  # fmt: skip
    facts = {name: receipt[name] for name in ("commit", "plan_id", "lineage", "serial")}
    if kind is Kind.ACCEPT:
        del facts["commit"]
    return Change(kind, f"{stack} {serial}", AT, stack, "5e" * 32, receipt, None, follows, facts=facts)


@pytest.fixture
def left() -> Left:
    """Stacks `a` and `b`, deployed twice and once; of `b` the state was accepted; `c` was announced."""
    found = Left(Head(ledger="0a" * 16, project="acme/infra", environment="prod"))
    shards: dict[str, record.Shard] = {}
    changes = [
        Change(Kind.INIT, "begin", AT), deploy("a", X, 1), deploy("a", Y, 2, follows="a 1"), deploy("b", X, 4),
        deploy("b", X, 5, kind=Kind.ACCEPT, follows="b 4"),
    ]  # fmt: skip
    for change in changes:
        made = chain.draft(found.head, shards, [change], "w", [])
        found.head, found.content, found.chain = (
            made.head,
            {**found.content, **made.blobs},
            [*found.chain, *made.entries],
        )
        shards = {name.removeprefix("shards/").removesuffix(".json"): record.read_shard(data) for name, data in found.content.items()}  # fmt: skip
    begun = {"c": Begun(holder="h", run="r", since=AT, commits=(Z,), lineage="m", serial=3)}
    found.head = found.head.model_copy(update={"begun": begun})
    return found


def said(home: Left) -> dict[str, tuple[list[str], int | None, bool]]:
    found = remains.read(home, home.version).stacks  # type: ignore[arg-type] # what is not read is not there
    return {stack: (item.commits, item.serial, item.begun) for stack, item in sorted(found.items())}


ALL = {"a": ([Y], 2, False), "b": ([X], 5, False), "c": ([Z], 3, True)}


def test_records_and_announcements_are_read(left: Left) -> None:
    assert said(left) == ALL


def test_where_a_record_is_missing_the_last_entry_says_it(left: Left) -> None:
    left.gone = {record.blob_name(record.shard_of("b"))}
    assert said(left) == ALL
    left.gone = {record.blob_name(record.shard_of(stack)) for stack in ("a", "b")}
    assert said(left) == ALL


def test_a_history_that_ends_early_says_what_it_can(left: Left) -> None:
    left.gone = {*left.content, "entries"}
    left.chain = left.chain[:2]
    assert said(left) == {"a": ([X], 1, False), "c": ([Z], 3, True)}


def test_a_head_that_is_none_leaves_the_entries(left: Left) -> None:
    found = remains.read(left, replace(left.version, head=b"{}")).stacks  # type: ignore[arg-type] # as above
    assert {stack: item.commits for stack, item in found.items()} == {"a": [Y], "b": [X]}


@pytest.mark.parametrize("commit", ["$(reboot)", "HEAD", "", "1a2b`", "x" * 40, "-n"])
def test_what_is_no_commit_is_an_unknown_one(left: Left, commit: str) -> None:
    """It would be shown in a command to type."""
    receipt: JsonObject = {"outcome": "applied", "plan_sha256": "5e" * 32, "commit": X, "besides": [commit, Y]}
    made = chain.draft(left.head, {}, [Change(Kind.DEPLOY, "d", AT, "d", None, receipt)], "w", [])
    left.head, left.content = made.head, {**left.content, **made.blobs}
    assert said(left)["d"][0] == [X, "", Y]


def test_what_stands_for_an_apply_that_was_not_found_is_no_deploy(left: Left) -> None:
    """A rebuilding without receipts has nothing but the state; commits that it knew still count."""
    for stack, besides, known in (("d", [""], []), ("e", ["", X], [X])):
        receipt: JsonObject = {"outcome": "applied", "plan_sha256": "", "serial": 7, "besides": [*besides]}
        made = chain.draft(
            left.head, {}, [Change(Kind.ACCEPT, stack, AT, stack, None, receipt, facts={"serial": 7})], "w", []
        )
        left.head, left.content = made.head, {**left.content, **made.blobs}
        left.chain += made.entries
        assert said(left)[stack][0] == known
        left.gone = {record.blob_name(record.shard_of(stack))}
        assert said(left)[stack][0] == known
        left.gone = set()


def test_the_commits_of_complete_deploys_are_kept(left: Left, monkeypatch: pytest.MonkeyPatch) -> None:
    left.head, read = left.head.model_copy(update={"complete": (X, "not a commit", Y)}), record.read_head
    decoded = []
    monkeypatch.setattr(record, "read_head", lambda data: decoded.append(data) or read(data))
    assert remains.read(left, left.version).complete == (X, Y)  # type: ignore[arg-type] # as above
    assert len(decoded) == 1  # with the stacks
    assert remains.read(left, Version("now", b"no head")).complete == ()  # type: ignore[arg-type] # as above
