"""The background writer of a deploy: what others wrote under its lease keeps stacks from being applied."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.base.errors import LedgerError
from tasks.ledger import troubles
from tasks.ledger.machine import Failed, Look, Trouble
from tasks.ledger.record import Record
from tasks.run.writebehind import WriteBehind


def record(change: str, commit: str = "1a2b3c4d5e") -> Record:
    return Record(change=change, entry=2, receipt={"plan_id": change, "outcome": "applied", "commit": commit})


class Ledger:
    """A session, the queue and the reviewer at once; each flush is one event that a test waits for."""

    def __init__(self) -> None:
        self.foreign, self.reads = 0, 0
        self.held = {"web": record("c1"), "db": record("c2")}
        self.failed: list[Failed] = []
        self.said: list[str] = []
        self.waiting, self.untrusted = 1, False
        self.flushed = threading.Semaphore(0)

    def queue(self) -> None: ...

    def begin(self) -> None: ...

    def wait(self) -> None: ...

    def flush(self) -> list[Failed]:
        self.flushed.release()
        return self.failed

    def handle(self, event: object) -> list[Failed]:
        assert event == Look()
        self.flushed.release()
        if self.untrusted:
            raise troubles.untrusted("origin", "it is not a ledger")
        return self.failed

    def records(self, stacks: object) -> dict[str, Record]:
        del stacks
        self.reads += 1
        return dict(self.held)

    def problem(self, failed: Failed) -> LedgerError:
        return troubles.failed(failed, "origin", "")


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def behind(ledger: Any, applied: set[str]) -> WriteBehind:
    ledger.said = []
    run: Any = SimpleNamespace(
        project=SimpleNamespace(stacks=["web", "db"]), applied=applied, say=ledger.said.append
    )  # fmt: skip
    found = WriteBehind(run, ledger, ledger, ledger, every=0.01)
    found.begin(dict(ledger.held))
    return found


def after_writes(ledger: Ledger, made: WriteBehind) -> None:
    """Wait for two more writes, so that at least one of them was looked at, and end."""
    while ledger.flushed.acquire(blocking=False):
        pass
    for _ in range(2):
        assert ledger.flushed.acquire(timeout=60)
    made.end()


def test_a_stack_that_another_run_has_recorded_is_refused_and_no_other(ledger: Ledger) -> None:
    made = behind(ledger, set())
    ledger.held, ledger.foreign = {**ledger.held, "web": record("c3", "9f8e7d6c5b4a")}, 1
    after_writes(ledger, made)
    made.require_ours("db")
    with pytest.raises(LedgerError, match="a deploy of 9f8e7d6c that this run did not know of was recorded"):
        made.require_ours("web")


def test_what_this_run_has_applied_itself_is_its_own(ledger: Ledger) -> None:
    made = behind(ledger, {"web"})
    ledger.held, ledger.foreign = {**ledger.held, "web": record("c3")}, 1
    after_writes(ledger, made)
    made.require_ours("web")


def test_nothing_is_read_while_nobody_else_writes(ledger: Ledger) -> None:
    after_writes(ledger, behind(ledger, set()))
    assert ledger.reads == 0


@pytest.mark.parametrize("trouble", [Trouble.TAKEN, Trouble.WENT_BACK, Trouble.REPLACED, Trouble.MISSING])
@pytest.mark.parametrize("waiting", [0, 1], ids=["nothing to write", "a receipt to write"])
def test_without_the_lease_nothing_more_is_applied(ledger: Ledger, trouble: Trouble, waiting: int) -> None:
    made = behind(ledger, set())
    ledger.failed, ledger.waiting = [Failed(trouble)], waiting
    after_writes(ledger, made)
    with pytest.raises(LedgerError) as refused:
        made.require_ours("db")
    assert refused.value.problem.stack == "db"
    assert refused.value.problem.untouched == "nothing in this stack was changed"
    assert made.lost is not None
    assert ledger.said == [f"nothing more is applied: {made.lost.message}"], "said at once, and once"


def test_a_ledger_that_cannot_be_trusted_any_more_has_no_lease(ledger: Ledger) -> None:
    made = behind(ledger, set())
    ledger.untrusted, ledger.waiting = True, 0
    after_writes(ledger, made)
    with pytest.raises(LedgerError, match="cannot be trusted") as refused:
        made.require_ours("db")
    assert refused.value.problem.untouched == "nothing in this stack was changed"


@pytest.mark.parametrize("trouble", [Trouble.UNREACHABLE, Trouble.DENIED, Trouble.CROWDED, Trouble.NO_KEY])
@pytest.mark.parametrize("waiting", [0, 1], ids=["nothing to write", "a receipt to write"])
def test_a_ledger_that_does_not_answer_now_still_has_the_lease(ledger: Ledger, trouble: Trouble, waiting: int) -> None:
    made = behind(ledger, set())
    ledger.failed, ledger.waiting = [Failed(trouble)], waiting
    after_writes(ledger, made)
    made.require_ours("db")
