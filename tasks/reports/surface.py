"""Makes the documents that `--json` prints from results: the same that the other reports are made from."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..drifts.classes import Delta
from ..run.details import DriftDetails
from ..run.documentparts import (
    ChangePart,
    CountsPart,
    DriftedPart,
    DriftPart,
    PlannedPart,
    ProblemPart,
    ResolvedPart,
    RulePart,
    WayPart,
)
from ..run.documents import DriftDocument, PlanDocument
from . import write
from .diff import of_change
from .stackreport import drift_ways

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..base.errors import ExitCode
    from ..base.problem import Problem
    from ..drifts.classes import Finding
    from ..run.result import Result
    from ..run.run import Run
    from .model import Report
    from .stackreport import Change, StackReport


def of_run(
    run: Run, stage: str, code: ExitCode, problems: Iterable[Problem], paths: Sequence[str]
) -> PlanDocument | DriftDocument:
    """The document of a run of `plan` or `drift`.

    Args:
        run: The run.
        stage: The command.
        code: Its exit code.
        problems: What went wrong outside of single stacks.
        paths: The files of its report.
    """
    report = write.of_run(run, stage)
    common: dict[str, Any] = {
        "environment": report.environment,
        "commit": run.shown_revision.commit,
        "dirty": run.shown_revision.dirty,
        "began": run.began.isoformat(timespec="seconds"),
        "exit_code": int(code),
        "verdict": report.verdict,
        "notes": report.notes,
        "reports": list(paths),
        "problems": [ProblemPart.of(each) for each in problems],
    }
    if stage == "plan":
        counts = CountsPart(**asdict(report.counts))
        return PlanDocument(**common, counts=counts, stacks=[_planned(stack) for stack in report.stacks])
    return DriftDocument(**common, stacks=_all_drifted(run, report))


def drifted(result: Result, named: str | None) -> DriftedPart:
    """The result of a check for drift, masked already.

    Args:
        result: The result.
        named: The environment as commands have to name it; None for the default one.
    """
    details = result.details if isinstance(result.details, DriftDetails) else DriftDetails()
    return DriftedPart(
        name=result.stack, status=str(result.status), summary=result.summary, found_at=result.started_at,
        differences=[_difference(each, result.started_at) for each in details.findings],
        resolved=[ResolvedPart(address=each.address, since=each.since) for each in details.resolved],
        ways=[WayPart(what=name, command=list(command.words)) for name, command in drift_ways(result, named)],
        problem=ProblemPart.of(result.problem) if result.problem else None,
    )  # fmt: skip


def _all_drifted(run: Run, report: Report) -> list[DriftedPart]:
    results = (run.results[f"drift:{stack.name}"] for stack in report.stacks)
    return [drifted(result.masked(run.mask), run.named_environment) for result in results]


def _difference(found: Finding, checked: str) -> DriftPart:
    """A finding of a check that began at a time: what is new was first found then."""
    lines = of_change(found.item) if found.item else []
    since = checked if found.delta is Delta.NEW else found.since
    return DriftPart(
        kind=str(found.kind), address=found.address, severity=str(found.severity), since=since,
        compared=str(found.delta), ignored=found.ignored.reason if found.ignored else None, causes=found.causes,
        changed_by=(found.author and found.author.by) or None, changed_at=(found.author and found.author.at) or None,
        difference=[f"{line.sign} {line.text}" for line in lines],
    )  # fmt: skip


def _planned(stack: StackReport) -> PlannedPart:
    return PlannedPart(
        name=stack.name, status=str(stack.status), summary=stack.summary, reasons=stack.reasons,
        counts=CountsPart(**asdict(stack.counts)), changes=[_change(each) for each in stack.changes],
        outputs=[_change(each) for each in stack.outputs],
        findings=[
            RulePart(rule=each.rule, severity=each.severity, message=each.message, address=each.address,
                     refused=each.blocking, allowed=each.allowed)
            for each in stack.findings
        ],
        failed_checks=stack.failed_checks, warnings=stack.warnings, mocked=stack.mocked,
        problem=ProblemPart.of(stack.problem) if stack.problem else None,
    )  # fmt: skip


def _change(change: Change) -> ChangePart:
    return ChangePart(
        address=change.address, action=change.kind, why=change.why, moved_from=change.moved_from,
        import_id=change.import_id, forces=change.forces,
        difference=[f"{line.sign} {line.text}" for line in change.lines],
    )  # fmt: skip
