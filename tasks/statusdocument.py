"""The document of `doit status --json`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import conditions
from .artifact import reasons
from .reports import surface
from .run import documents, removed
from .run.action import FailedText
from .run.documentparts import DeployedPart, ProblemPart, ReasonPart, RemovedPart, StackPart
from .run.documents import StatusDocument

if TYPE_CHECKING:
    from collections.abc import Callable

    from .artifact.reasons import Reason
    from .artifact.receipt import Receipt
    from .conditions import Condition
    from .run.documentparts import DriftedPart
    from .run.result import Result
    from .run.run import Run


def text(run: Run) -> str:
    """The document; one that says of a stack that it is in error fails the task."""
    found = [conditions.of(run, name) for name in run.project.graph.order]
    said = run.mask.text(conditions.summary(conditions.totals(found), len(found)))
    stacks, environment = [_part(run, each) for each in found], run.project.environment
    former = [RemovedPart(name=each.name, commit=each.commit, summary=each.text) for each in run.once(removed.found)]
    complete = list(run.recording.complete) if run.recording is not None else []
    shown = documents.text(StatusDocument(
        environment=environment, verdict=said, stacks=stacks, removed=former, complete=complete, problems=[],
    ))  # fmt: skip
    return FailedText(shown) if any(stack.problem for stack in stacks) else shown


def _part(run: Run, found: Condition) -> StackPart:
    """What is known of a stack."""
    name, mask, assessment = found.name, run.mask.text, found.assessment
    problem = ProblemPart.of(run.problem(found.error, name)) if found.error is not None else None
    said = f"in error: {problem.summary}" if problem is not None else mask(found.text)
    return StackPart(
        name=name, path=run.project.stacks[name].path, needs=sorted(run.project.graph.needs[name]),
        summary=said, deployed=_deploy(assessment.receipt) if assessment else None,
        affected=assessment is None or assessment.affected,
        reasons=[_reason(reason, mask) for reason in assessment.reasons] if assessment else [],
        unverified=assessment is not None and assessment.unfinished,
        plan=mask(found.plan.text) if found.plan else None, deploying=found.deploying, unsaved_state=found.unsaved,
        drift=_drifted(run, found.check), earlier_drift=_drifted(run, found.earlier), problem=problem,
    )  # fmt: skip


def _drifted(run: Run, check: Result | None) -> DriftedPart | None:
    return surface.drifted(check.masked(run.mask), run.named_environment) if check is not None else None


def _reason(reason: Reason, mask: Callable[[str], str]) -> ReasonPart:
    item = reason.input
    return ReasonPart(
        why=str(reason.why), text=mask(reasons.text(reason)), input=str(item.kind) if item else None,
        name=mask(item.name) if item else None, stack=(item.stack or None) if item else None,
        since=reason.since or None,
    )  # fmt: skip


def _deploy(last: Receipt | None) -> DeployedPart | None:
    place = last.deployed if last is not None else None
    return DeployedPart(commit=place.get("commit"), at=place.get("at")) if place else None
