"""Deploys without the ledger, older commits and old disks: no commit is deployed over a newer one, and all are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.ledger import machine, order, record
from tasks.ledger.batch import Batch, Me
from tasks.ledger.completed import Completed
from tasks.ledger.record import Begun, Change, Head, Kind, Record
from tests.emergencymodel import play
from tests.ledgermodel import BrokenError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tasks.base.jsonvalue import Json

ROUNDS = 200
# Seeds that once found a defect: a receipt of an earlier deploy, written together with the announcement, ended that; a
# check that was recorded with it hid the deploy of a newer commit.
FOUND = (7001651, 40921, 42243, 43612, 47578)
ME = Me("pipeline 7", "run a", "pipeline 7 of main")
EMPTY = Head(ledger="0" * 32, project="acme/infra", environment="prod", sequence=1, chain="c", recent=("begin",))


@pytest.mark.parametrize("seed", [*range(ROUNDS), *FOUND])
def test_no_emergency_is_forgotten(seed: int) -> None:
    play(seed)


# Seeds that once found a defect: a deploy of a commit that was known already, but later, was not noticed.
@pytest.mark.parametrize("seed", [*range(ROUNDS), 456, 862])
def test_what_is_recorded_under_another_lease_is_not_undone(seed: int) -> None:
    play(seed, hurried=True)


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_a_deploy_whose_plans_failed_counts_where_it_had_nothing_to_do(seed: int) -> None:
    play(seed, hurried=bool(seed % 2), unplanned=True)


def test_an_older_receipt_that_is_written_with_an_announcement_does_not_end_it() -> None:
    begun = {"web": Begun(holder=ME.holder, run=ME.run, since="2", plan_id="p2")}
    older = Change(Kind.DEPLOY, "later", "", "web", None, {"outcome": "applied", "plan_id": "p1", "started_at": "1"})
    announced = Batch("w1", (older,), begun).over(ME, EMPTY)
    assert announced.begun == begun
    own = Change(Kind.DEPLOY, "now", "", "web", None, {"outcome": "applied", "plan_id": "p2", "started_at": "3"})
    assert Batch("w2", (own,)).over(ME, announced).begun == {}


def _keep_one_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "_both", record._newest)


def _see_the_disk_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "unseen", lambda *_: None)


def _forget_what_was_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    over = Batch.over

    def forgetful(self: Batch, me: Me, head: Head) -> Head:
        found = over(self, me, head)
        left = {name: item.model_copy(update={"commits": ()}) for name, item in found.begun.items()}
        return found.model_copy(update={"begun": left})

    monkeypatch.setattr(Batch, "over", forgetful)


def _follow_what_the_disk_knew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "follows", lambda _receipt, known, _held: known)


def _overlook_what_others_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "is_overtaken", lambda *_: False)


@pytest.mark.parametrize("hurried", [False, True])
@pytest.mark.parametrize("seed", [559, 968])
def test_the_judge_sees_an_older_deploy_after_one_that_had_nothing_to_do(
    monkeypatch: pytest.MonkeyPatch, seed: int, *, hurried: bool
) -> None:
    play(seed, hurried=hurried)
    monkeypatch.setattr(Completed, "among", lambda _self, known: tuple(known))
    with pytest.raises(BrokenError, match="has left right"):
        play(seed, hurried=hurried)


@pytest.mark.parametrize("hurried", [False, True])
@pytest.mark.parametrize("seed", [2371, 7200])
def test_the_judge_sees_an_older_deploy_after_one_that_failed_elsewhere(
    monkeypatch: pytest.MonkeyPatch, seed: int, *, hurried: bool
) -> None:
    play(seed, hurried=hurried, unplanned=True)
    under = Completed.under
    monkeypatch.setattr(Completed, "under", lambda self, head: head if self.but is not None else under(self, head))
    with pytest.raises(BrokenError, match="has left right"):
        play(seed, hurried=hurried, unplanned=True)


@pytest.mark.parametrize("hurried", [False, True])
def test_the_judge_sees_a_deploy_that_is_undone_although_it_was_read_of(
    monkeypatch: pytest.MonkeyPatch, *, hurried: bool
) -> None:
    _overlook_what_others_record(monkeypatch)
    for seed in (29, 58, 65):
        with pytest.raises(BrokenError, match="of which it has read"):
            play(seed, hurried=hurried)


@pytest.mark.parametrize(
    ("break_it", "seeds", "found"),
    [
        (_keep_one_commit, [1256, 1700, 2555], "deploys commit"),
        (_see_the_disk_alone, [1886, 6291, 10656], "deploys commit"),
        (_forget_what_was_announced, [106, 146, 171], "deploys commit"),
        (_follow_what_the_disk_knew, [78, 136, 336], "has no order"),
    ],
)
def test_the_judge_sees_what_is_forgotten(
    monkeypatch: pytest.MonkeyPatch, break_it: Callable[[pytest.MonkeyPatch], None], seeds: list[int], found: str
) -> None:
    break_it(monkeypatch)
    for seed in seeds:
        with pytest.raises(BrokenError, match=found):
            play(seed)


@pytest.mark.parametrize(
    ("known", "over", "named"),
    [
        ((), (), ("z",)),
        (("y",), ("y",), ("z",)),
        (("y",), (), ("z", "y")),  # apart from it, or written since this run read the ledger
        (("y", "z", "x"), ("x",), ("z", "y")),
    ],
)
def test_a_complete_deploy_replaces_those_that_it_has_read_of(
    known: tuple[str, ...], over: tuple[str, ...], named: tuple[str, ...]
) -> None:
    assert Completed("z", frozenset(over)).among(known) == named


def test_a_complete_deploy_is_named_under_the_lease_of_another_run_without_touching_it() -> None:
    other = Me("pipeline 9", "run z", "pipeline 9 of main")
    begun = {"web": Begun(holder=other.holder, run=other.run, since="2", plan_id="p2")}
    held_by_other = Batch("w1", (), begun).over(other, EMPTY.model_copy(update={"complete": ("x",)}))
    found = Batch("w2", ends=True, completed=Completed("y", frozenset({"x"}))).over(ME, held_by_other)
    assert found == held_by_other.model_copy(update={"complete": ("y",)})


def receipt(commit: str | None, **more: Json) -> dict[str, Json]:
    return {"outcome": "applied", "commit": commit, "plan_id": f"plan of {commit}", **more}


def held(change: str, content: Mapping[str, Json]) -> Record:
    return Record(change=change, entry=3, receipt=dict(content))


def settled(ours: Mapping[str, Json], theirs: Mapping[str, Json], follows: str | None) -> Mapping[str, Json]:
    found = (
        Change(Kind.DEPLOY, "ours", "", "web", receipt=ours, follows=follows).settled(held("theirs", theirs)).receipt
    )
    assert found is not None
    return found


def test_of_two_deploys_without_an_order_both_commits_are_kept_and_neither_has_failed() -> None:
    found = settled(receipt("x", serial=4), receipt("y", serial=5), "before")
    assert (found["outcome"], found["commit"], found["besides"], found["serial"]) == ("applied", "x", ["y"], 5)
    again = settled(receipt("z"), found, "before")
    assert record.deployed(again) == ["z", "x", "y"]


def test_a_deploy_that_knew_of_the_other_replaces_it() -> None:
    assert settled(receipt("z"), receipt("y", besides=["x"]), "theirs") == receipt("z")


@pytest.mark.parametrize("failed", ["ours", "theirs"])
def test_a_failed_apply_stays_the_record_and_names_the_other_commit(failed: str) -> None:
    ours, theirs = receipt("x"), receipt("y")
    (ours if failed == "ours" else theirs)["outcome"] = "failed"
    found = settled(ours, theirs, None)
    assert found["outcome"] == "failed"
    assert set(record.deployed(found)) == {"x", "y"}


def test_two_deploys_of_one_commit_have_no_order_either() -> None:
    assert settled(receipt("x"), receipt("x", plan_id="another"), None)["besides"] == ["x"]
    assert settled(receipt(None), receipt(None, plan_id="another"), None)["besides"] == [""]


def test_a_check_says_nothing_about_order() -> None:
    checked = Change(Kind.VERIFY, "ours", "", "web", receipt=receipt("x"), follows=None)
    assert checked.settled(held("theirs", receipt("y"))).receipt == receipt("y")


@pytest.mark.parametrize(
    ("here", "known", "there", "unseen"),
    [
        (receipt("x", follows="c1"), "c1", held("c1", receipt("w")), None),
        (receipt("x", follows="c1"), "c1", held("c2", receipt("y")), ["y"]),
        (receipt("x", follows="c1"), "c1", held("c2", receipt("y", besides=["v"])), ["y", "v"]),
        (receipt("z", follows="c2"), "c1", held("c2", receipt("y")), None),  # the retry of a run that was killed
        (receipt("x", follows=None), None, held("c1", receipt("w")), ["w"]),  # a machine that never read the ledger
        (receipt("x", follows=None), None, None, None),
        (receipt("x", follows="c1"), "c1", held("c2", receipt("x")), None),  # it is recorded, and that was not noted
        (receipt("x", follows="c1"), "c1", held("c2", receipt("x", besides=["y"])), ["x", "y"]),
        (receipt(None), "c1", held("c2", receipt(None, plan_id="another")), [""]),
    ],
)
def test_what_a_receipt_on_disk_does_not_know_of(
    here: Mapping[str, Json], known: str | None, there: Record | None, unseen: list[str] | None
) -> None:
    assert order.unseen(here, known, there, None, ME.holder) == unseen


@pytest.mark.parametrize(
    ("announced", "unseen"),
    [
        (Begun(holder="another", run="r", since="2", commits=("y", "w")), ["y", "w"]),
        (Begun(holder="another", run="r", since="2"), [""]),
        (Begun(holder=ME.holder, run="r", since="2", plan_id="plan of x", commits=("x",)), None),
        (Begun(holder=ME.holder, run="r", since="2", commits=("x",)), None),  # it was deferred
        (Begun(holder=ME.holder, run="r", since="2", commits=("x", "y"), doubtful=True), ["x", "y"]),
    ],
)
def test_an_apply_that_another_run_has_announced_counts(announced: Begun, unseen: list[str] | None) -> None:
    here = receipt("x", follows="c1", started_at="3")
    assert order.unseen(here, "c1", held("c1", receipt("w")), announced, ME.holder) == unseen


def test_an_announcement_over_one_that_did_not_end_keeps_its_commits() -> None:
    def over(head: Head, run: str, commit: str) -> Head:
        me = Me("pipeline 7", run, "pipeline 7 of main")
        begun = {"web": Begun(holder=me.holder, run=run, since="now", commits=(commit,))}
        return Batch(f"{run}.1", begun=begun, since="now").over(me, head)

    first = over(EMPTY, "run a", "x")
    assert first.begun["web"].commits == ("x",)
    again = over(first, "run b", "y").begun["web"]
    assert (again.commits, again.doubtful) == (("y", "x"), True)
    assert machine.may_take(first, ME)


@pytest.mark.parametrize(
    ("before", "now", "overtaken"),
    [
        (None, None, False),
        (None, held("c1", receipt("x")), True),
        (held("c1", receipt("x")), held("c1", receipt("x")), False),
        (held("c1", receipt("x")), held("c2", receipt("y")), True),
        (held("c1", receipt("x", verified=None)), held("c2", receipt("x", verified=True)), False),  # a check
        (held("c1", receipt("x")), held("c2", receipt("x", besides=["y"])), True),
        (held("c1", receipt("x")), held("c2", receipt("x", plan_id="another")), True),  # of the same commit
        (held("c1", receipt("x", serial=4)), held("c2", receipt("x", serial=5)), True),
        (held("c1", receipt("x", plan_id=None)), held("c2", receipt("x", plan_id=None)), True),
    ],
)
def test_what_another_run_records_of_a_stack_overtakes_a_plan(
    before: Record | None, now: Record | None, overtaken: bool
) -> None:
    assert order.is_overtaken(before, now) is overtaken
