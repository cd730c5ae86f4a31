"""Decides for the tasks of one run whether a stack is affected."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..artifact import affected
from ..artifact.reasons import Reason, Why
from ..base.errors import DeployError

if TYPE_CHECKING:
    from ..artifact.affected import Assessment
    from ..project.stack import Stack
    from .run import Run


def assess(run: Run, stack: Stack) -> Assessment:
    """The current result of `affected.assess`, with this run's baseline.

    Raises:
        ConfigError: A var file is missing, or a setting cannot be filled in.
        RecordError: A receipt or outputs record cannot be read.
    """
    found = affected.assess(run.project, stack, run.baseline)
    if run.recording is None or not (doubts := run.recording.doubts(stack.name)):
        return found
    return replace(found, reasons=[*found.reasons, *(Reason(Why.LEDGER, note=text) for text in doubts)])


def assess_once(run: Run, stack: Stack) -> Assessment:
    """`assess`, cached for deciding whether tasks are up to date; repeated after an upstream was applied."""
    applied = tuple(sorted(run.applied.intersection(run.project.graph.needs[stack.name])))
    known = run.assessed.get(stack.name)
    if known is None or known[0] != applied or stack.name in run.applied:
        known = run.assessed[stack.name] = (applied, assess(run, stack))
    return known[1]


def assess_again(run: Run, stack: Stack) -> Assessment:
    """`assess`, after something that it rests on was read; `assess_once` will not give the earlier answer."""
    run.assessed.pop(stack.name, None)
    return assess(run, stack)


def may_be_affected(run: Run, stack: Stack) -> bool:
    """Whether a stack is affected; true if that cannot be determined, and then its own task reports why."""
    try:
        return assess_once(run, stack).affected
    except DeployError:
        return True
