"""The document of `doit status --json`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .artifact import reasons, store
from .base.errors import DeployError
from .plans import acceptance
from .reports import surface
from .run import documents, errored, result
from .run.action import FailedText
from .run.assessment import assess_once
from .run.documents import DeployedPart, ProblemPart, ReasonPart, StackPart, StatusDocument

if TYPE_CHECKING:
    from collections.abc import Callable

    from .artifact.reasons import Reason
    from .artifact.receipt import Receipt
    from .run.run import Run


def text(run: Run) -> str:
    """The document; one that says of a stack that it is in error fails the task."""
    stacks = [_part(run, name) for name in run.project.graph.order]
    shown = documents.text(StatusDocument(environment=run.project.environment, stacks=stacks, problems=[]))
    return FailedText(shown) if any(stack.problem for stack in stacks) else shown


def _part(run: Run, name: str) -> StackPart:
    """What is known of a stack."""
    stack, mask, drift = run.project.stacks[name], run.mask.text, None
    needs = sorted(run.project.graph.needs[name])
    deploying = run.recording.deployed_by.get(name) if run.recording is not None else None
    unsaved = errored.left(run.project, stack)
    try:
        assessment = assess_once(run, stack)
    except DeployError as error:
        return StackPart(
            name=name, path=stack.path, needs=needs, deployed=None, affected=True, reasons=[], unverified=False,
            plan=None, deploying=deploying, unsaved=unsaved, drift=None,
            problem=ProblemPart.of(run.problem(error, name)),
        )  # fmt: skip
    if (found := result.last_check(run.layout, name, assessment.receipt, run.say_once)) is not None:
        drift = surface.drifted(found.masked(run.mask), run.named_environment)
    waits = store.pending(run.layout, name)
    return StackPart(
        name=name, path=stack.path, needs=needs, deployed=_deploy(assessment.receipt), affected=assessment.affected,
        reasons=[_reason(reason, mask) for reason in assessment.reasons], unverified=assessment.unverified,
        plan=mask(acceptance.readiness(run, stack, assessment).text) if waits else None, deploying=deploying,
        unsaved=unsaved, drift=drift, problem=None,
    )  # fmt: skip


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
