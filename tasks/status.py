"""`doit status`: shows what is deployed, affected and why, drifted or failing, without starting the engine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .artifact import reasons, store
from .base.errors import DeployError, SeveralErrors
from .base.text import plural
from .plans import acceptance
from .reports import surface
from .run import documents, errored, removed, result
from .run.action import FailedText, printing
from .run.assessment import assess_once
from .run.commandline import json_option
from .run.documents import DeployedPart, ProblemPart, ReasonPart, StackPart, StatusDocument
from .run.result import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .artifact.reasons import Reason
    from .artifact.receipt import Receipt
    from .project.stack import Stack
    from .run.result import Result
    from .run.run import Run
    from .run.taskdict import TaskDict

STAGE = "status"


def tasks(run: Run) -> Iterator[TaskDict]:
    """`status`: prints a table, or a document."""
    yield printing(run, STAGE, text, json_option())


def text(run: Run, as_json: bool = False) -> str:
    """The document of `--json`, or a table of all stacks of the environment, and the next steps.

    Raises:
        SeveralErrors: Some stacks have errors; the table of the others was printed.
    """
    if as_json:
        stacks = [_part(run, name) for name in run.project.graph.order]
        shown = documents.text(StatusDocument(environment=run.project.environment, stacks=stacks, problems=[]))
        return FailedText(shown) if any(stack.problem for stack in stacks) else shown
    shown, errors = _table(run)
    if errors:
        run.say(f"{shown}\n")
        raise SeveralErrors(f"{plural(len(errors), 'stack')} in error", errors)
    return shown


def _table(run: Run) -> tuple[str, list[DeployError]]:
    deploying = run.recording.deployed_by if run.recording is not None else {}
    rows = [("stack", "deployed", "state")]
    counts = {"affected": 0, "unverified": 0, "with a plan": 0, "drifted": 0, "in error": 0}
    errors: list[DeployError] = []
    for name in run.project.graph.order:
        stack = run.project.stacks[name]
        try:
            assessment = assess_once(run, stack)
        except DeployError as error:
            errors.append(error.about(name))
            counts["in error"] += 1
            rows.append((name, "?", "in error, see below"))
            continue
        words = []
        if assessment.affected:
            counts["affected"] += 1
            words.append(f"affected: {assessment.why}")
        elif assessment.unverified:
            counts["unverified"] += 1
            words.append("its checks have not passed")
        if name in deploying:
            words.append(f"being deployed by {deploying[name]}")
        if os.path.lexists(errored.path(run.project, stack)):
            words.append(f"a state that could not be saved is in {stack.path}/{errored.FILE}")
        if store.pending(run.layout, name):
            run.ages = True
            words.append(acceptance.readiness(run, stack, assessment))
            # A deploy takes the plan or fails because of it, even if the stack needs none.
            counts["with a plan"] += not (assessment.affected or assessment.unverified)
        if drifted := _drift(run, stack, assessment.receipt):
            counts["drifted"] += 1
            words.append(drifted)
        rows.append((name, _deployed(assessment.receipt), "; ".join(words) or "up to date"))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = [f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}".rstrip() for row in rows]
    facts = ", ".join(f"{number} {word}" for word, number in counts.items() if number)
    deploys = f"; {run.command('deploy').quoted} deploys and checks them"
    steps = deploys if counts["affected"] or counts["unverified"] else ""
    total = len(rows) - 1
    lines += [
        "",
        f"{run.project.environment}: {plural(total, 'stack')}, {facts or 'all up to date'}{steps}",
    ]
    if holder := run.lock.holder():
        lines.append(f"  another run is in progress, so this may be changing: {holder}")
    lines += [f"  {line}" for line in removed.lines(run)]
    if run.project.tree is not None:
        from .project import overrides

        lines += ["", *overrides.lines(run.project)]
    return "\n".join(lines), errors


def _part(run: Run, name: str) -> StackPart:
    """What is known of a stack."""
    stack, mask, drift = run.project.stacks[name], run.mask.text, None
    needs = sorted(run.project.graph.needs[name])
    deploying = run.recording.deployed_by.get(name) if run.recording is not None else None
    try:
        assessment = assess_once(run, stack)
    except DeployError as error:
        return StackPart(
            name=name, path=stack.path, needs=needs, deployed=None, affected=True, reasons=[], unverified=False,
            plan=None, deploying=deploying, drift=None, problem=ProblemPart.of(run.problem(error, name)),
        )  # fmt: skip
    if (checked := _checked(run, stack, assessment.receipt)) is not None:
        drift = surface.drifted(checked.masked(run.mask), run.named_environment)
    waits = store.pending(run.layout, name)
    return StackPart(
        name=name, path=stack.path, needs=needs, deployed=_deploy(assessment.receipt), affected=assessment.affected,
        reasons=[_reason(reason, mask) for reason in assessment.reasons], unverified=assessment.unverified,
        plan=mask(acceptance.readiness(run, stack, assessment)) if waits else None, deploying=deploying, drift=drift,
        problem=None,
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


def _deployed(last: Receipt | None) -> str:
    if last is None or not last.deployed:
        return "-"
    return f"{(last.deployed.get('commit') or 'no commit')[:8]} {last.deployed.get('at', '')}"


def _drift(run: Run, stack: Stack, last: Receipt | None) -> str | None:
    """The findings of the latest drift check, unless something was deployed since."""
    found = _checked(run, stack, last)
    return (
        None if found is None or found.status is not Status.DRIFTED else f"{found.summary} (found {found.started_at})"
    )


def _checked(run: Run, stack: Stack, last: Receipt | None) -> Result | None:
    """The latest check for drift, unless something was deployed since."""
    found = result.read(run.layout, "drift", stack.name, run.say_once)
    if found is None or (last is not None and last.finished_at and last.finished_at > found.started_at):
        return None
    return found
