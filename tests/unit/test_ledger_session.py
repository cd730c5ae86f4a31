"""A session with a ledger: how much of it is read at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tasks.base.errors import LedgerError
from tasks.ledger.home import BrokenError, HomeError, NoRemoteError
from tasks.ledger.machine import Failed, Look, Me, Trouble
from tasks.ledger.record import Change, Head, Kind
from tasks.ledger.session import Identity, Session
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
