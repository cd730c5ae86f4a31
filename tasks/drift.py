"""`doit drift`: a fresh plan of every stack, to find what is no longer as it was deployed; changes nothing."""

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
from .run import awaited, errored, readstate, stateguard, upstream, workdir
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

STAGE = "drift"
_UNRECORDED = "not as in the code (no receipt here tells whether that is drift)"


def tasks(run: Run) -> Iterator[dict[str, Any]]:
    """`drift:<stack>`: always run when asked for; a stack that drifted is no failure of the task."""
    yield {"name": None, "doc": COMMANDS[STAGE]}
    for name, stack in run.project.stacks.items():
        yield {
            "name": name,
            "actions": [stage_action(run, STAGE, name, act)],
            "task_dep": build.needed_by(run, stack),
            "doc": f"compare {stack.path} with what is",
        }


def act(run: Run, stack: Stack, forced: bool) -> Result:  # noqa: ARG001 - a stage's signature
    """Plan a stack against what is there, and tell drift from code that was never deployed."""
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
    counts = {"drifted": len(drifted), "pending": len(pending)}
    if drifted:
        summary = f"drifted: {shown}" + (f"; and {len(pending)} changes in code not deployed yet" if pending else "")
        if names := sorted(volatile.volatile(run.project, stack)):
            summary += f"; a volatile variable ({', '.join(names)}) may be why"
        summary += also
        return Result(STAGE, stack.name, Status.DRIFTED, summary, counts=counts, details=details)
    if not found.counts.empty:
        state = "code not deployed yet" if assessment.receipt else _UNRECORDED if made.exists else "never deployed"
        return Result(
            STAGE, stack.name, Status.UNDEPLOYED, f"{state}: {shown}{also}", assessment.words, counts, details
        )  # fmt: skip
    return Result(STAGE, stack.name, summary=f"as deployed{also}", details=details)


@dataclass(frozen=True)
class Looked:
    """What a plan says that was read and thrown away: its changes, its state, and whether that has anything in it."""

    changes: PlanChanges
    seen: Seen
    exists: bool


def fresh_plan(run: Run, stack: Stack, values: dict[str, Any], stage: str) -> Looked:
    """What a plan says that is read and thrown away.

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
    """What drifted, and what code that is not deployed yet would change.

    Drift is what the engine found changed outside of it and would now change back. Where the code and all other
    inputs are as they were deployed, whatever the plan would change is drift too: nothing else can have caused it.
    """
    planned = {item["address"]: item for item in found.resources}
    outside = [planned.get(item["address"], item) for item in found.drift if item["address"] in planned]
    rest = [item for address, item in planned.items() if address not in {entry["address"] for entry in outside}]
    if assessment.affected and not assessment.rekeyed:
        return outside, [*rest, *found.outputs]
    return [*outside, *rest, *([] if planned else found.outputs)], []
