"""The ledger's protocol, played: pipelines that race, die and are retried over a network that loses answers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tasks.ledger import machine, record
from tasks.ledger.batch import Batch, Me
from tasks.ledger.completed import Completed
from tasks.ledger.machine import (  # fmt: skip
    Announce,
    Busy,
    Failed,
    Fetch,
    Fetched,
    Finish,
    Flush,
    Held,
    Lost,
    Moved,
    Put,
    State,
    Trouble,
    Written,
)
from tasks.ledger.machine import Record as Recorded
from tasks.ledger.record import Begun, Change, Head, Kind, Lease
from tests.ledgermodel import BrokenError, play

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 300
# Seeds that once found a defect: a receipt that was pushed later, after another pipeline had deployed the stack, took the
# expected serial back. (Earlier ones, of the rounds as they were then: a plan handed over that an apply had followed
# since; a take-over that forgot what the run before had begun; one that was given back; a retry that left its
# pipeline's lease.)
FOUND = (106, 115, 261, 409, 413, 523, 792, 937, 1024, 1084, 1254)
ME = Me("pipeline 7", "run a", "pipeline 7 of main")
EMPTY = Head(ledger="0" * 32, project="acme/infra", environment="prod", sequence=1, chain="c", recent=("begin",))
WEB = {"web": Begun(holder=ME.holder, run=ME.run, since="now", plan_id="p1")}


@pytest.mark.parametrize("answer", [Moved(), Lost()])
def test_the_name_of_a_complete_deploy_is_written_until_it_is_there(answer: Moved | Lost) -> None:
    state, _ = machine.step(State(ME), Fetched(EMPTY))
    done = Completed("c2", frozenset({"c1"}))
    state, effects = machine.step(state, Finish(completed=done))
    assert isinstance(effects[0], Put)
    assert effects[0].batch.over(ME, EMPTY).complete == ("c2",)
    assert not state.settled
    state, effects = machine.step(state, answer)
    assert isinstance(effects[0], Fetch)
    newer = EMPTY.model_copy(update={"recent": ("begin", "another"), "complete": ("c0", "c1")})
    state, effects = machine.step(state, Fetched(newer))
    assert isinstance(effects[0], Put)
    written = effects[0].batch.over(ME, newer)
    assert written.complete == ("c2", "c0")
    state, effects = machine.step(state, Written(written))
    assert state.settled
    assert effects == ()
    assert machine.step(state, Finish())[1] == ()


def test_the_name_of_a_complete_deploy_that_is_denied_is_not_written() -> None:
    state, _ = machine.step(State(ME), Fetched(EMPTY))
    state, _ = machine.step(state, Finish(completed=Completed("c2")))
    state, effects = machine.step(state, machine.Denied())
    assert effects == (Failed(Trouble.DENIED),)
    assert not state.settled


@pytest.mark.parametrize("event", [Flush(), Finish()])
@pytest.mark.parametrize("other", [{"sequence": 1}, {"ledger": "1" * 32}], ids=["put back", "replaced"])
def test_nothing_is_written_over_a_ledger_that_was_put_back_or_replaced(
    event: machine.Event, other: dict[str, object]
) -> None:
    """The content that this run would write is made for the version that it knows."""
    known = EMPTY.model_copy(update={"sequence": 2, "chain": "d"})
    state, _ = machine.step(State(ME), Fetched(known))
    state, _ = machine.step(state, Announce(WEB, "now"))
    state, _ = machine.step(
        state,
        Written(
            known.model_copy(
                update={"lease": Lease(holder=ME.holder, run=ME.run, label="7", since="now"), "begun": WEB}
            )
        ),
    )
    state, _ = machine.step(state, Recorded(Change(Kind.DEPLOY, "1", "", "web")))
    state, effects = machine.step(state, machine.Look())
    found = EMPTY.model_copy(update=other)
    for _ in range(2):
        state, effects = machine.step(state, Fetched(found))
        assert [type(effect) for effect in effects] == [Failed]
        state, effects = machine.step(state, event)
        assert [type(effect) for effect in effects] == [Fetch]
    assert not state.settled


@pytest.mark.parametrize("seed", [*range(ROUNDS), *(seed for seed in FOUND if seed >= ROUNDS)])
def test_no_history_is_wrong(seed: int) -> None:
    play(seed, strangers=seed % 5 == 0)


def _no_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    over = Batch.over

    def forgetful(self: Batch, me: Me, head: Head) -> Head:
        found = over(self, me, head)
        certain = {name: item.model_copy(update={"doubtful": False}) for name, item in found.begun.items()}
        return found.model_copy(update={"begun": certain})

    monkeypatch.setattr(Batch, "over", forgetful)


def _no_exclusion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "may_take", lambda *_: True)


def _new_write_after_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = machine._kept
    monkeypatch.setattr(machine, "_kept", lambda state: kept(replace(state, unsure=False)))


def _serial_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "_newest", lambda receipt, _other: receipt)


@pytest.mark.parametrize(
    ("break_it", "seeds", "found"),
    [
        (_no_doubt, [2611, 5424], "applied twice"),
        (_no_exclusion, [1, 5, 6], "both apply"),
        (_new_write_after_no_answer, [37, 618], "recorded twice"),
        (_serial_goes_back, [106, 261, 409], "the serial of"),
    ],
)
def test_the_judge_sees_what_a_broken_protocol_does(
    monkeypatch: pytest.MonkeyPatch, break_it: Callable[[pytest.MonkeyPatch], None], seeds: list[int], found: str
) -> None:
    break_it(monkeypatch)
    for seed in seeds:
        with pytest.raises(BrokenError, match=found):
            play(seed)


def announced() -> State:
    state, _ = machine.step(State(ME, known=EMPTY), Announce(WEB, "now"))
    return state


def test_lease_and_stacks_are_announced_in_one_write() -> None:
    state, effects = machine.step(State(ME, known=EMPTY), Announce(WEB, "now"))
    (put,) = effects
    assert isinstance(put, Put)
    head = put.batch.over(ME, put.base)
    assert head.lease == Lease(holder="pipeline 7", run="run a", label="pipeline 7 of main", since="now")
    assert head.begun == WEB
    _, effects = machine.step(state, Written(head))
    assert effects == (Held(),)


def test_a_lease_of_another_pipeline_is_named_and_nothing_is_written() -> None:
    other = Lease(holder="pipeline 6", run="run b", label="pipeline 6 of main", since="then")
    state, effects = machine.step(State(ME, known=EMPTY.model_copy(update={"lease": other})), Announce(WEB, "now"))
    assert effects == (Busy(other),)
    assert not state.settled
    state, _ = machine.step(state, Finish())
    assert state.settled


def test_a_write_without_an_answer_is_looked_for_and_not_repeated() -> None:
    state, effects = machine.step(announced(), Lost())
    assert isinstance(effects[0], Fetch)
    there = WEBHEAD()
    state, effects = machine.step(state, Fetched(there))
    assert effects == (Held(),)
    assert state.holds


def test_a_write_that_was_not_there_is_repeated_as_it_was() -> None:
    first = announced().sent
    state, _ = machine.step(announced(), Lost())
    _, effects = machine.step(state, Fetched(EMPTY))
    (put,) = effects
    assert isinstance(put, Put)
    assert put.batch == first


def WEBHEAD() -> Head:  # noqa: N802 - a value, made anew
    sent = announced().sent
    assert sent is not None
    return sent.over(ME, EMPTY).model_copy(update={"recent": ("begin", sent.write)})


def test_attempts_end() -> None:
    state, attempts = announced(), 0
    event: machine.Event = Moved()
    while True:
        state, effects = machine.step(state, event)
        if isinstance(effects[0], Failed):
            break
        if isinstance(effects[0], Fetch):
            attempts += 1
            assert effects[0].pause <= 12
            event = Fetched(EMPTY.model_copy(update={"recent": ("begin", str(attempts))}))
        else:
            event = Moved()
    assert effects == (Failed(Trouble.CROWDED),)
    assert attempts == machine.MOST_ATTEMPTS - 1


@pytest.mark.parametrize(
    ("change", "trouble"),
    [
        ({"sequence": 0}, Trouble.WENT_BACK),
        ({"chain": "another"}, Trouble.WENT_BACK),
        ({"ledger": "1" * 32, "sequence": 9}, Trouble.REPLACED),
    ],
)
def test_a_ledger_that_went_back_is_an_alarm(change: dict[str, object], trouble: Trouble) -> None:
    seen = machine.Mark.of(EMPTY)
    state, effects = machine.step(State(ME, seen=seen), Fetched(EMPTY.model_copy(update=change)))
    assert effects == (Failed(trouble),)
    assert state.known is None


def test_a_ledger_that_is_missing_is_an_alarm() -> None:
    assert machine.step(State(ME), Fetched(None))[1] == (Failed(Trouble.MISSING),)


@pytest.mark.parametrize("known", [EMPTY, EMPTY.model_copy(update={"reported": (ME.holder,)})])
def test_the_end_of_a_pipelines_last_job_is_written_once(known: Head) -> None:
    state, _ = machine.step(State(ME), Fetched(known))
    state, effects = machine.step(state, Finish(reported=True))
    assert bool(effects) is (known is EMPTY)
    if effects:
        assert isinstance(effects[0], Put)
        written = effects[0].batch.over(ME, known)
        assert written.reported == (ME.holder,)
        state, effects = machine.step(state, Written(written))
    assert (state.settled, effects) == (True, ())


def test_a_job_that_is_retried_after_its_pipelines_last_one_says_so_with_its_announcement() -> None:
    """So that another job of it, which is retried meanwhile, knows that no report will end the lease."""
    state, _ = machine.step(State(ME), Fetched(EMPTY))
    _, effects = machine.step(state, Announce(WEB, "now", reported=True))
    assert isinstance(effects[0], Put)
    assert effects[0].batch.over(ME, EMPTY.model_copy(update={"reported": ("p6",)})).reported == (ME.holder, "p6")


def test_a_job_that_ends_leaves_the_lease_to_another_job_of_its_pipeline() -> None:
    """Also one that has announced nothing, as a job for checks: it is given back when the last of them has ended."""
    check = Me(ME.holder, "run c", ME.label)
    at_work = WEBHEAD()
    left = Batch("c.1", ends=True).over(check, at_work)
    assert (left.lease, left.begun) == (at_work.lease, at_work.begun)
    assert Batch("c.1", ends=True, alone=True).over(check, at_work).lease is None, "the report: there is no other job"
    doubtful = {"web": WEB["web"].model_copy(update={"doubtful": True})}
    died = at_work.model_copy(update={"begun": doubtful})
    assert Batch("c.1", ends=True).over(check, died).lease is None, "the retry of a run that died"
    assert Batch("a.2", ends=True).over(ME, left).lease is None
