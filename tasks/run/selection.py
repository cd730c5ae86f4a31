"""The selected tasks and everything they depend on, and the part of a pipeline that this run is."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from doit.task import Task

BARRIER = "_planned"  # the task between all plans and the first apply


class Part(StrEnum):
    """Which part of a generated pipeline a run is; most runs are none."""

    JOB = "job"
    REPORT = "report"


@dataclass
class Demand:
    """What of all builds and images a run is for.

    `named` were asked for by name, `everything` says that `build` itself was. `planned` and `deployed` are the stacks
    that the run validates or plans, and those that it deploys; `drifting` are planned whether affected or not.
    """

    named: set[str] = field(default_factory=set)
    everything: bool = False
    planned: set[str] = field(default_factory=set)
    deployed: set[str] = field(default_factory=set)
    drifting: set[str] = field(default_factory=set)


def reached(all_tasks: Mapping[str, Task], selected: Iterable[str]) -> set[str]:
    """The names of the selected tasks and of all that they depend on, however far."""
    pending, seen = list(selected), set()
    while pending:
        name = pending.pop()
        if name not in seen and name in all_tasks:
            seen.add(name)
            pending += all_tasks[name].task_dep
    return seen


def stacks(names: Iterable[str], stage: str) -> set[str]:
    """The stacks among the tasks of a stage."""
    return {name.removeprefix(f"{stage}:") for name in names if name.startswith(f"{stage}:")}


def named(selected: Iterable[str]) -> frozenset[str] | None:
    """The stacks and builds that a selection names one by one; None if it names a whole stage."""
    names = list(selected)
    if any(":" not in name for name in names):
        return None
    return frozenset(name.partition(":")[2] for name in names)


def order(all_tasks: Mapping[str, Task], selected: Iterable[str], earlier: str, later: str) -> None:
    """Make the tasks of one stage wait for those of another on the same stack, where both are selected."""
    stages = {name.partition(":")[0] for name in selected}
    if not {earlier, later} <= stages:
        return
    for name, task in all_tasks.items():
        stage, _, stack = name.partition(":")
        if stage == later and stack and f"{earlier}:{stack}" in all_tasks:
            task.task_dep.append(f"{earlier}:{stack}")


def raise_barrier(all_tasks: dict[str, Task], selected: list[str]) -> bool:
    """Make the barrier depend on the plan of each stack that this run deploys; False when it deploys none."""
    deployed = sorted(stacks(reached(all_tasks, selected), "deploy"))
    if BARRIER in all_tasks:
        all_tasks[BARRIER].task_dep[:] = [f"plan:{name}" for name in deployed]
    return bool(deployed)
