"""What doit was asked for: the tasks that a selection leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def reached(all_tasks: Mapping[str, Any], selected: Iterable[str]) -> set[str]:
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
