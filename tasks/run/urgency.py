"""The order of tasks that could all start: first what the longest chain of work waits for.

How long the work of a stack takes is known from its last time: an apply from its receipt, which the ledger brings to
every machine, a plan from its result.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

from doit import control

from ..artifact import receipt
from ..base.errors import RecordError
from ..base.files import read_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from doit.control import ExecNode

    from ..base.layout import Layout
    from ..project.stackgraph import StackGraph

    Urgency = Callable[[str], float]

_UNKNOWN = 1.0  # seconds, where nothing is known of any stack: then the longest chain of stacks is first
_FIRST = float("inf")  # what belongs to no stack only leads to others, or holds all of them up
_MOST = 2000  # so many tasks are ordered; a run of more would spend what it saves


def install(urgency: Urgency) -> None:
    """Have doit take the tasks of this process in the order of their urgency.

    doit takes them first come, first served, and has no setting for it: so its dispatcher gets another queue.
    """

    class Dispatcher(control.TaskDispatcher):  # type: ignore[misc] # doit has no types
        """doit's, with our queue."""

        def __init__(self, *given: object) -> None:
            super().__init__(*given)
            self.ready = Ready(urgency)

    control.TaskDispatcher = Dispatcher


class Ready:
    """doit's queue of tasks that can go on, the most urgent first; of equals the first that came.

    Args:
        urgency: Returns the urgency of a task by its name.
    """

    def __init__(self, urgency: Urgency) -> None:
        self._urgency = urgency
        self._heap: list[tuple[float, int, ExecNode]] = []
        self._number = count()

    def __bool__(self) -> bool:
        """Whether there is a task."""
        return bool(self._heap)

    def append(self, node: ExecNode) -> None:
        """Add a task."""
        number = next(self._number)
        urgency = self._urgency(node.task.name) if number < _MOST else 0.0
        heappush(self._heap, (-urgency, number, node))

    def popleft(self) -> ExecNode:
        """Take the most urgent task."""
        return heappop(self._heap)[2]


class Chains:
    """How long everything takes that waits for a task, itself included, in seconds.

    Args:
        layout: Where receipts and results are.
        graph: Which stack needs which.
        in_turn: Whether checks for drift keep the order in which they are due, because not all of them will be begun.
    """

    def __init__(self, layout: Layout, graph: StackGraph, *, in_turn: bool = False) -> None:
        self._layout, self._graph, self._in_turn = layout, graph, in_turn
        self._deploys: Mapping[str, float] | None = None
        self._plans: dict[tuple[str, str], float] = {}

    def urgency(self, task: str) -> float:
        """The urgency of a task by its name."""
        stage, colon, stack = task.partition(":")
        if not colon or stack not in self._graph.needs:
            return _FIRST
        if stage == "drift" and self._in_turn:
            return 0.0
        if stage in ("validate", "plan", "drift"):
            known = "drift" if stage == "drift" else "plan", stack
            if known not in self._plans:
                self._plans[known] = _of_result(self._layout, *known)
            return self._plans[known]
        if self._deploys is None:
            self._deploys = longest(self._graph, _applies(self._layout, self._graph.order))
        return self._deploys[stack]


def longest(graph: StackGraph, seconds: Mapping[str, float]) -> dict[str, float]:
    """For each stack the seconds of the longest chain that begins with it."""
    found: dict[str, float] = dict.fromkeys(graph.order, 0.0)
    for name in reversed(graph.order):
        found[name] += seconds[name]
        for upstream in graph.needs[name]:
            found[upstream] = max(found[upstream], found[name])
    return found


def _applies(layout: Layout, stacks: Iterable[str]) -> dict[str, float]:
    """How long the last apply of each stack took; one that is not known takes as long as most."""
    known: dict[str, float | None] = {}
    for name in stacks:
        known[name] = None
        with suppress(RecordError, ValueError, TypeError):  # the last of times with and without a zone
            last = receipt.read(layout, name)
            if last is not None and last.finished_at and not last.unneeded:
                known[name] = _between(last.started_at, last.finished_at)
    from statistics import median  # five modules that a run without many stacks to apply does without

    usual = median([seconds for seconds in known.values() if seconds is not None] or [_UNKNOWN])
    return {name: usual if seconds is None else seconds for name, seconds in known.items()}


def _between(start: str, end: str) -> float:
    """The seconds from one time to another; receipts know whole ones, and nothing takes no time at all."""
    return max((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(), 0.5)


def _of_result(layout: Layout, stage: str, stack: str) -> float:
    with suppress(RecordError, ValueError, TypeError, KeyError, AttributeError):
        return float(read_json(layout.result(stage, stack))["seconds"])
    return _UNKNOWN
