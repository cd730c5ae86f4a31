"""Compares what a run's checks for drift find with the previous ones, and records it for the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.errors import DeployError, ExitCode, LedgerError
from ..drifts.delta import Marks
from . import baseline
from .details import DriftDetails
from .result import Status
from .selection import Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..drifts.classes import Finding
    from ..drifts.delta import Resolved
    from .run import Run

_STAGE = "drift"


def compared(
    run: Run, stack: str, findings: Sequence[Finding], addresses: Iterable[str]
) -> tuple[list[Finding], list[Resolved]]:
    """Findings with what is new of them, and what is over; as they are if the previous check is not known.

    Args:
        run: The run.
        stack: The stack.
        findings: What was found in it.
        addresses: Everything in it that can have drifted.
    """
    home = baseline.of(run)
    try:
        known = home.known(stack)
    except DeployError:  # `unknown` tells
        return list(findings), []
    marks = Marks(home.address, home.fingerprint)
    return marks.compared(findings, known), marks.resolved(findings, known, addresses)


def unknown(run: Run) -> DeployError | None:
    """Why it is not known what is new and what is known, if so."""
    try:
        baseline.of(run).read()
    except DeployError as error:
        return error
    return None


def record(run: Run, code: ExitCode) -> DeployError | None:
    """Record what the checks of this run found; returns why that could not be done, if so.

    A job of a generated pipeline leaves that to the pipeline's last one, which notifies. With `drift.exit: new`, drift
    counts as known only once a run has ended with 2 because of it: a failure of another stack must not hide it.

    Args:
        run: The run, its checks ended.
        code: How it ends.
    """
    if run.request.part is Part.JOB or run.stop.requested:
        return None
    home = baseline.of(run)
    marks = Marks(home.address, home.fingerprint)
    hidden = code.failed and run.project.config.drift.exit == "new"
    looked = [
        result for result in run.results.values()
        if result.stage == _STAGE and (isinstance(result.details, DriftDetails) or result.status is Status.FAILED)
    ]  # fmt: skip
    checked = {
        result.stack: marks.of(result.details.findings)
        for result in looked
        if isinstance(result.details, DriftDetails) and result.status is not Status.FAILED
        if not hidden or not any(found.alerting and found.fresh for found in result.details.findings)
    }
    order = [result.stack for result in looked]  # results are kept in the order in which the checks ended
    try:
        if looked:
            home.write(checked, tried=[name for name in order if name not in checked], order=order, looked=looked)
    except DeployError as error:
        return error
    return None


def repaired(run: Run) -> DeployError | None:
    """Record that the drift of the stacks that this run has repaired is over; returns why that failed, if it did.

    Otherwise the next check would tell of it once more.

    Args:
        run: The run, its deploys ended.
    """
    over: dict[str, dict[str, str]] = {stack: {} for stack in run.repairs if stack in run.applied}
    try:
        if over:
            baseline.of(run).write(over, order=list(over))
    except DeployError as error:
        return error
    return None


def must_be_known(error: DeployError) -> bool:
    """Whether a run fails because the previous checks are not known: those of a configured ledger."""
    return isinstance(error, LedgerError)
