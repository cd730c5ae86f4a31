"""The order of tasks: what the longest chain of work waits for is first."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import pytest
from doit import control
from doit.control import TaskControl
from doit.task import Task

from tasks.artifact import receipt
from tasks.artifact.receipt import Outcome, Receipt
from tasks.base.files import write_json
from tasks.base.layout import Layout
from tasks.project.stackgraph import StackGraph
from tasks.run import urgency
from tasks.run.urgency import Chains

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

NEEDS = {"a": [], "b": ["a"], "c": ["b"], **{f"x{number}": [] for number in range(20)}}
SECONDS = {name: 10.0 if name in "abc" else 5.0 for name in NEEDS}


@pytest.fixture
def chains(tmp_path: Path) -> Chains:
    """A chain of three stacks of 10 s, and 20 of 5 s that need nothing, all deployed before."""
    layout = Layout(tmp_path, "local")
    for name, seconds in SECONDS.items():
        receipt.write(
            layout,
            Receipt(
                name, "local", Outcome.APPLIED, "0", "0", started_at="2026-01-01T00:00:00+00:00",
                finished_at=f"2026-01-01T00:00:{seconds:02.0f}+00:00",
            ),
        )  # fmt: skip
    return Chains(layout, StackGraph.build(NEEDS))


def simulated(seconds: Mapping[str, float], workers: int) -> tuple[float, list[str]]:
    """How long all deploys take with doit's own dispatcher and so many workers, and the order of their starts."""
    tasks = [
        Task("deploy", None, task_dep=[f"deploy:{name}" for name in sorted(NEEDS, reverse=True)], has_subtask=True)
    ]
    tasks += [Task(f"deploy:{name}", [], task_dep=[f"deploy:{other}" for other in NEEDS[name]]) for name in NEEDS]
    made = TaskControl(tasks)
    made.process(["deploy"])
    dispatcher = made.task_dispatcher()
    now, started = 0.0, []
    running: list[tuple[float, str]] = []
    done = None
    while True:
        try:
            node = dispatcher.generator.send(done)
        except StopIteration:
            if not running:
                return now, started
            node = "hold on"
        done = None
        if node != "hold on":
            node.run_status = "run"
            name = node.task.name.partition(":")[2]
            started += [name] if name else []
            heapq.heappush(running, (now + seconds.get(name, 0.0), node.task.name))
            if len(running) < workers:
                continue
        now, ended = heapq.heappop(running)
        done = dispatcher.nodes[ended]
        done.run_status = "successful"


@pytest.fixture
def installed(chains: Chains) -> Callable[[], None]:
    """Has doit take tasks by urgency, until the test ends."""
    return lambda: urgency.install(chains.urgency)


def test_the_longest_chain_is_not_left_to_the_end(
    installed: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, order = simulated(SECONDS, 2)
    assert order.index("c") == len(order) - 1
    monkeypatch.setattr(control, "TaskDispatcher", control.TaskDispatcher)
    installed()
    after, order = simulated(SECONDS, 2)
    assert sorted(order) == sorted(NEEDS)
    assert order.index("a") == 0
    assert after == 65.0  # all the work, by two: there is no better order
    assert before > after


def test_plans_that_take_longest_are_first(chains: Chains, tmp_path: Path) -> None:
    layout = Layout(tmp_path, "local")
    write_json(layout.result("plan", "x3"), {"seconds": 60.0})
    write_json(layout.result("plan", "x4"), {"seconds": "soon"})
    write_json(layout.result("drift", "x4"), {"seconds": 7.0})
    assert chains.urgency("plan:x3") == chains.urgency("validate:x3") == 60.0
    assert chains.urgency("plan:x4") == chains.urgency("plan:a") == 1.0
    assert chains.urgency("drift:x4") == 7.0
    assert chains.urgency("_planned") == chains.urgency("build:app") == chains.urgency("deploy") == float("inf")


def test_without_any_record_the_chain_of_most_stacks_is_first(tmp_path: Path) -> None:
    found = Chains(Layout(tmp_path, "local"), StackGraph.build(NEEDS))
    assert [found.urgency(f"deploy:{name}") for name in ("a", "b", "c", "x1")] == [3, 2, 1, 1]


def test_a_stack_that_was_never_deployed_counts_as_the_others(chains: Chains, tmp_path: Path) -> None:
    layout = Layout(tmp_path, "local")
    layout.receipt("b").unlink()
    layout.receipt("x1").write_text("torn")
    assert chains.urgency("deploy:a") == 25.0
    assert chains.urgency("deploy:x1") == 5.0
