"""Shards that are stable by name, and a budget of time within which all stacks take turns."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from tasks.drifts.rotation import Budget, Shard, in_turn
from tasks.ledger.observations import Observations, Update

NAMES = [f"stack-{number:04}" for number in range(1000)]
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("count", [1, 2, 8, 64])
def test_every_stack_is_in_exactly_one_shard(count: int) -> None:
    shards = [Shard(number, count) for number in range(1, count + 1)]
    found = Counter(name for shard in shards for name in NAMES if shard.has(name))
    assert set(found.values()) == {1}
    assert len(found) == len(NAMES)


def test_shards_are_about_as_large_and_do_not_move_when_stacks_come_and_go() -> None:
    sizes = [sum(Shard(number, 8).has(name) for name in NAMES) for number in range(1, 9)]
    assert min(sizes) > 80
    assert max(sizes) < 170
    assert [name for name in ("a", "b", "c", "d") if Shard(1, 2).has(name)] == ["a", "b", "c"]  # the same for ever


@pytest.mark.parametrize("text", ["", "2", "0/8", "9/8", "2/0", "-1/8", "2/8/1", "a/b", "1.5/2", "2/ 8"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a shard"):
        Shard.parse(text)


def test_a_shard_is_read_as_it_is_written() -> None:
    assert (Shard.parse("2/8"), str(Shard.parse("2/8"))) == (Shard(2, 8), "2/8")


def test_those_that_were_never_looked_at_come_first_then_the_longest_ago() -> None:
    assert in_turn(["a", "b", "c", "e", "d"], {"a": 9, "b": 2, "c": 3}) == ["d", "e", "b", "c", "a"]


def test_a_budget_that_is_used_up_before_anything_began_still_lets_one_begin() -> None:
    budget = Budget(5, started=0, clock=lambda: 9.0)
    assert [budget.begin(), budget.begin(), budget.begin()] == [True, False, False]
    assert all(Budget(None, started=0, clock=lambda: 1e9).begin() for _ in range(3))


class Estate:
    """1,000 stacks whose checks take their time, and runs of `doit drift` with a budget, by a clock of their own."""

    def __init__(self, seconds: float, *, failing: frozenset[str] = frozenset(), workers: int = 1) -> None:
        self.pause = timedelta(hours=1)
        self.known = Observations(project="", environment="prod")
        self.seconds, self.failing, self.workers = seconds, failing, workers
        self.day = BEGIN

    def run(self, names: list[str]) -> list[str]:
        """The stacks that a run looks at."""
        turns = {name: item.turn for name, item in self.known.stacks.items()}
        clocks = [0.0] * self.workers
        budget = Budget(60, started=0, clock=lambda: min(clocks))
        begun = []
        for name in in_turn(names, turns):
            if not budget.begin():
                break
            clocks[clocks.index(min(clocks))] += 20 * self.seconds if name in self.failing else self.seconds
            begun.append(name)
        self.day += self.pause
        checked = {name: {} for name in begun if name not in self.failing}
        tried = [name for name in begun if name in self.failing]
        made = Update(self.day.isoformat(), "", checked=checked, tried=tried, order=begun)
        self.known = made.over(self.known)
        return begun


@pytest.mark.parametrize(("seconds", "workers"), [(0.5, 1), (0.5, 4), (7.0, 1), (90.0, 1)])
def test_a_thousand_stacks_are_all_covered_in_the_expected_number_of_runs(seconds: float, workers: int) -> None:
    estate = Estate(seconds, workers=workers)
    each = max(math.ceil(60 / seconds), 1) * workers
    expected = math.ceil(1000 / each)
    runs = [estate.run(NAMES) for _ in range(expected)]
    assert sorted(name for run in runs[:-1] for name in run) == sorted({name for run in runs[:-1] for name in run})
    assert {name for run in runs for name in run} == set(NAMES)
    assert {name for run in runs[:-1] for name in run} != set(NAMES)  # not sooner: every run does what it can
    assert all(len(run) == each for run in runs[:-1])


def test_the_rotation_goes_on_where_it_stopped_also_after_a_run_that_began_it_again() -> None:
    """1,000 stacks, 120 in a run: the ninth run checks the last 40 and then the first 80, which are not as old."""
    estate = Estate(0.5)
    looked = [name for _ in range(60) for name in estate.run(NAMES)]
    assert looked == (NAMES * 8)[: len(looked)]


@pytest.mark.parametrize("pause", [timedelta(0), timedelta(hours=-2)])
def test_the_order_does_not_rest_on_a_clock(pause: timedelta) -> None:
    """Runs within one second, and machines whose clocks are behind."""
    estate = Estate(0.5)
    estate.pause = pause
    looked = [name for _ in range(20) for name in estate.run(NAMES)]
    assert looked == (NAMES * 3)[: len(looked)]


def test_two_runs_of_other_shards_that_write_at_once_are_both_kept_in_order() -> None:
    known = Observations(project="", environment="prod")
    halves = [["a", "c", "e"], ["b", "d"]]
    for half in halves:  # both read what was known before
        known = Update(BEGIN.isoformat(), "", checked={name: {} for name in half}, order=half).over(known)
    assert in_turn("abcdef", {name: item.turn for name, item in known.stacks.items()}) == ["f", *halves[0], *halves[1]]


def test_the_rotation_is_exact_for_stacks_that_fail_and_with_several_at_a_time() -> None:
    estate = Estate(0.5, failing=frozenset(NAMES[7::50]), workers=3)
    looked = [name for _ in range(40) for name in estate.run(NAMES)]
    assert looked == (NAMES * 20)[: len(looked)]


def test_stacks_that_fail_and_take_long_do_not_keep_the_others_waiting() -> None:
    estate = Estate(1.0, failing=frozenset(NAMES[:5]))
    seen = {name for _ in range(math.ceil((1000 + 5 * 20) / 60) + 1) for name in estate.run(NAMES)}
    assert seen == set(NAMES)


def test_a_stack_that_is_new_is_looked_at_in_the_next_run() -> None:
    estate = Estate(1.0)
    for _ in range(3):
        estate.run(NAMES)
    assert estate.run([*NAMES, "stack-new"])[0].startswith("stack-0")  # others were never looked at either
    for _ in range(14):
        estate.run(NAMES)
    assert estate.run([*NAMES, "zz-new"])[0] == "zz-new"
