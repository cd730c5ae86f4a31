"""A session with a ledger: how much of it is read at a time."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tasks.base.errors import LedgerError
from tasks.base.files import canonical_json
from tasks.ledger import statement, troubles
from tasks.ledger.batch import Me
from tasks.ledger.home import BrokenError, HomeError, NoRemoteError
from tasks.ledger.identity import Identity
from tasks.ledger.machine import Failed, Look, Trouble
from tasks.ledger.record import Change, Head, Kind
from tasks.ledger.session import Session
from tasks.ledger.storehome import StoreHome
from tests.ledgerforgeries import ENVIRONMENT, PROJECT, Memory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.ledger.home import Version

STACKS = 300


@dataclass
class Counted(StoreHome):
    """A ledger in memory that counts the shards of each read."""

    shards: list[int] = field(default_factory=list)

    def blobs(self, version: Version, digests: Mapping[str, str]) -> dict[str, bytes]:
        self.shards.append(len(digests))
        return super().blobs(version, digests)


def session(home: StoreHome) -> Session:
    return Session(home, Me("gitlab:7:42", "run", "pipeline 42"), Identity(PROJECT, ENVIRONMENT))


def test_an_audit_holds_a_few_shards_at_a_time() -> None:
    place = Memory({})
    deploys = [
        Change(Kind.DEPLOY, f"{number}", "2026-11-25T10:00:00+00:00", f"s{number}", "0a" * 32, {"outcome": "applied"})
        for number in range(STACKS)
    ]
    head = Head(ledger="0a" * 16, project=PROJECT, environment=ENVIRONMENT)
    session(StoreHome(place)).begin(head, [Change(Kind.INIT, "begin", "2026-11-25T10:00:00+00:00"), *deploys])
    home = Counted(place)
    auditor = session(home)
    assert auditor.handle(Look()) == []
    found = auditor.verify()
    assert (found.broken, found.count) == (None, STACKS + 1)
    assert auditor.head
    assert sum(home.shards) == len(auditor.head.shards) > 100
    assert max(home.shards) <= 16


class Failing(StoreHome):
    """A ledger that cannot be read, for a given reason."""

    error: HomeError

    def read(self) -> Version | None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (HomeError("this git is too old"), "the ledger cannot be read: this git is too old"),
        (BrokenError("it is not a ledger"), "the ledger cannot be trusted: it is not a ledger"),
    ],
)
def test_only_broken_content_is_called_not_to_be_trusted(error: HomeError, said: str) -> None:
    home = Failing(Memory({}))
    home.error = error
    with pytest.raises(LedgerError) as caught:
        session(home).handle(Look())
    assert caught.value.message.startswith(said)


def test_a_clone_without_the_remote_is_told_so_at_once() -> None:
    """A deploy may then go on without the ledger, as where the remote does not answer; nothing is tried again."""
    home, pauses = Failing(Memory({})), list[float]()
    home.error = NoRemoteError("this clone has no remote 'origin'")
    opened = session(home)
    opened.pause = pauses.append
    (failed,) = opened.handle(Look())
    assert isinstance(failed, Failed)
    assert failed.trouble is Trouble.UNREACHABLE
    assert "cannot be reached: this clone has no remote 'origin'" in opened.problem(failed).message
    assert pauses == []


EVIL = "7\n::error::x\x1b[31m\u202e"
FORGED = {
    "a lease": {"lease": {"holder": EVIL, "run": EVIL, "label": EVIL, "since": EVIL}},
    "an announced stack": {"begun": {EVIL: {"holder": EVIL, "run": EVIL, "since": EVIL}}},
    "the project": {"project": EVIL},
    "the environment": {"environment": EVIL},
    "the version that it takes": {"format": 99, "needs": EVIL},
    "the ledger": {"ledger": EVIL, "chain": EVIL},
    "something of another kind": {"lease": {EVIL: EVIL}},
    "a key": {"key": EVIL},
    "a shard": {"shards": {EVIL: EVIL}},
}


@pytest.mark.parametrize("fields", FORGED.values(), ids=FORGED)
def test_what_anyone_may_have_written_is_shown_on_one_line(fields: dict[str, object]) -> None:
    """Neither as a line of ours, nor as a command for a terminal or a CI system."""
    place = Memory({})
    session(StoreHome(place)).begin(
        Head(ledger="0a" * 16, project=PROJECT, environment=ENVIRONMENT), [Change(Kind.INIT, "begin", "2026-11-25")]
    )
    line, _, head = place.files["head"].partition(b"\n")
    body = json.loads(statement.read(head, statement.HEAD).content) | fields
    place.files["head"] = line + b"\n" + statement.seal(canonical_json(body), statement.HEAD, []).to_bytes()
    reader, shown = session(StoreHome(place)), []
    try:
        reader.handle(Look())
        assert reader.head
        lease = reader.head.lease
        shown += [lease.label, lease.since] if lease else []
        shown += [text for name, item in reader.head.begun.items() for text in (name, item.since)]
        broken = reader.verify().broken
        shown += [troubles.untrusted("", broken.what).message] if broken else []
    except LedgerError as error:
        shown.append(error.problem.text().replace("\n  ", " "))
    assert shown
    for text in shown:
        assert not set(text) & {"\n", "\x1b", "\u202e"}, text


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ("acme/infra", "acme/infra", True), ("Acme/Infra", "acme/infra", True), ("gitlab/acme/infra", "acme/infra", True),
        ("acme/infra", "acme/platform", False), ("acme/infra", "acme/infra2", False), ("infra", "acme2/infra", True),
        ("", "acme/infra", True), ("a/infra", "b/infra", False),
    ],
)  # fmt: skip
def test_one_repository_has_one_name(ours: str, theirs: str, *, same: bool) -> None:
    assert (Identity(ours, "prod").problem_of(theirs, "prod") is None) is same
