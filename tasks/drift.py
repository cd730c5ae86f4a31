"""`doit drift`: plans every stack from scratch to find what differs from what was deployed; changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import build
from .artifact import statecheck
from .artifact.statecheck import Seen
from .base.errors import EngineError
from .base.text import few
from .builds import used
from .plans import fresh
from .project import volatile
from .run import awaited, checkblocks, errored, readstate, stateguard, upstream, workdir
from .run.action import stage_action
from .run.assessment import assess
from .run.commandline import COMMANDS
from .run.details import DriftDetails
from .run.result import Result, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .artifact.affected import Assessment
    from .artifact.changes import PlanChanges
    from .project.stack import Stack
    from .run.run import Run
    from .run.taskdict import TaskDict

STAGE = "drift"
_UNRECORDED = "differs from the code (without a receipt here, drift cannot be told from undeployed code)"


def tasks(run: Run) -> Iterator[TaskDict]:
    """`drift:<stack>`: always runs when selected; drift does not fail the task."""
    yield {"name": None, "doc": COMMANDS[STAGE]}
    for name, stack in run.project.stacks.items():
        yield {
            "name": name,
            "actions": [stage_action(run, STAGE, name, act)],
            "task_dep": build.needed_by(run, stack),
            "doc": f"compare {stack.path} with what exists",
        }


def act(run: Run, stack: Stack, forced: bool) -> Result:  # noqa: ARG001 - a stage's signature
    """Plan a stack against what exists, and tell drift from undeployed code."""
    errored.refuse(run, stack)
    assessment = assess(run, stack)
    given = upstream.values(run, stack)
    if given.missing:
        summary = f"never deployed: it waits for {given.missing_text(stack)}"
        return Result(STAGE, stack.name, Status.UNDEPLOYED, summary, reasons=assessment.words)
    images, _ = used.references(run.project, stack, deployed=True)
    try:
        made = fresh_plan(run, stack, {**given.values, **images}, STAGE)
    except EngineError as error:
        waits = [] if assessment.receipt else awaited.upstreams(run, stack, error)
        if not waits:
            raise
        summary = f"never deployed: it waits for {', '.join(waits)}; before that: {run.problem(error).summary}"
        return Result(STAGE, stack.name, Status.UNDEPLOYED, summary, reasons=assessment.words)
    accepted = stateguard.require(run, stack, assessment.receipt, made.seen)
    moved = statecheck.moved(assessment.receipt, made.seen)
    found, also = made.changes, f"; {moved}" if moved else ""
    drifted, pending = _tell_apart(found, assessment)
    names = [str(item.get("address") or f"output {item.get('name')}") for item in drifted or pending]
    shown = few(names, 5)
    details = DriftDetails(found.to_json(), drifted, pending, accepted, moved)
    checkblocks.refuse(run, stack, STAGE, found.failed_checks, details)
    counts = {"drifted": len(drifted), "pending": len(pending)}
    if drifted:
        summary = f"drifted: {shown}" + (f"; and {len(pending)} changes in undeployed code" if pending else "")
        if names := sorted(volatile.volatile(run.project, stack)):
            summary += f"; a volatile variable ({', '.join(names)}) may be why"
        summary += also
        return Result(STAGE, stack.name, Status.DRIFTED, summary, counts=counts, details=details)
    if not found.counts.empty:
        state = "undeployed code" if assessment.receipt else _UNRECORDED if made.exists else "never deployed"
        return Result(
            STAGE, stack.name, Status.UNDEPLOYED, f"{state}: {shown}{also}", assessment.words, counts, details
        )  # fmt: skip
    return Result(STAGE, stack.name, summary=f"as deployed{also}", details=details)


@dataclass(frozen=True)
class Looked:
    """The result of a discarded plan: its changes, its state, and whether that is empty."""

    changes: PlanChanges
    seen: Seen
    exists: bool


def fresh_plan(run: Run, stack: Stack, values: dict[str, Any], stage: str) -> Looked:
    """Make a plan, read it and discard it.

    Args:
        run: The run.
        stack: The stack.
        values: Its variables from upstream outputs.
        stage: What it is made for.

    Raises:
        EngineError: The engine could not plan.
        StoppedError: The run was asked to stop.
    """
    with workdir.context(run, stack, stage, values) as (where, variables):
        workdir.initialize(run, stack, where, backend=True)
        with fresh.planned(run, stack, where, variables) as found:
            exists = bool((found.document.get("prior_state") or {}).get("values", {}).get("root_module"))
            seen = Seen.read(found.document, *readstate.of_plan(run, stack, where, found.plan))
            return Looked(found.changes, seen, exists)


def _tell_apart(found: PlanChanges, assessment: Assessment) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What has drifted, and what undeployed code would change.

    Drift is what the engine found changed outside of it and would now change back. If the code and all other inputs are
    as deployed, everything that the plan would change is drift too, as nothing else can have caused it.
    """
    planned = {item["address"]: item for item in found.resources}
    outside = [planned.get(item["address"], item) for item in found.drift if item["address"] in planned]
    rest = [item for address, item in planned.items() if address not in {entry["address"] for entry in outside}]
    if assessment.affected and not assessment.rekeyed:
        return outside, [*rest, *found.outputs]
    return [*outside, *rest, *([] if planned else found.outputs)], []
