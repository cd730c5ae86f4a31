"""Results: the record that each task leaves, and the only thing that reports read."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from ..artifact import folder
from ..base import typed
from ..base.errors import RecordError, ShapeError
from ..base.files import read_json
from ..base.jsonvalue import fields
from ..base.problem import Problem  # noqa: TC001 - `typed` reads a result by its fields' types
from ..engine.diagnostics import Diagnostic  # noqa: TC001 - the same
from .details import DeployDetails, Details, DriftDetails, PlanDetails, VerifyDetails, from_json, masked, to_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..artifact.receipt import Receipt
    from ..base.jsonvalue import JsonObject
    from ..base.layout import Layout
    from ..base.masking import Secrets
    from ..base.problem import Kind
    from .details import CheckRecord

FORMAT = 3
_DRIFT = "drift"
_BEFORE = "drift-before"  # where the last check that ended is kept while the latest one has failed


class Status(StrEnum):
    """How a task ended.

    `unaffected` had nothing to do, `deferred` cannot be planned before its upstream exists, `not_run` depended on
    something that failed, `skipped` was left out by a check for drift, `adopted` is drift that the code took over.
    """

    OK = "ok"
    UNAFFECTED = "unaffected"
    DEFERRED = "deferred"
    DRIFTED = "drifted"
    UNDEPLOYED = "undeployed"
    FAILED = "failed"
    NOT_RUN = "not_run"
    SKIPPED = "skipped"
    ADOPTED = "adopted"


_ENDED = frozenset({Status.OK, Status.DRIFTED, Status.UNDEPLOYED, Status.ADOPTED})  # checks that came to an answer


@dataclass
class Result:
    """What one task did to one stack.

    Args:
        stage: The command: `plan`, `deploy`, ...
        stack: The stack; empty if the task has none.
        status: How it ended.
        summary: One line for people, without secrets.
        reasons: Why the stack was affected.
        counts: Numbers of changes by kind.
        details: What else reports show, by stage.
        problem: What went wrong, masked, when it failed.
        seconds: How long it took.
        started_at: When it began, ISO 8601 in UTC.
        warnings: What the engine warned of meanwhile.
        unrecorded: Why its record could not be written; empty when it was.
    """

    stage: str
    stack: str
    status: Status = Status.OK
    summary: str = ""
    reasons: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    details: Details | None = None
    problem: Problem | None = None
    seconds: float = 0.0
    started_at: str = ""
    warnings: list[Diagnostic] = field(default_factory=list)
    unrecorded: str = ""

    @property
    def failed(self) -> bool:
        """Whether it failed itself."""
        return self.status is Status.FAILED

    @property
    def kind(self) -> Kind | None:
        """The kind of its problem."""
        return self.problem.kind if self.problem else None

    @property
    def changes(self) -> JsonObject | None:
        """What its plan changes, where it is known."""
        return self.details.changes if isinstance(self.details, PlanDetails | DeployDetails | DriftDetails) else None

    @property
    def checks(self) -> list[CheckRecord]:
        """How its checks ended."""
        return self.details.checks if isinstance(self.details, DeployDetails | VerifyDetails) else []

    @property
    def without_drift(self) -> bool:
        """Whether a check found that its stack has not drifted; without a receipt, undeployed code hides that."""
        if self.status is Status.UNDEPLOYED:
            return isinstance(self.details, DriftDetails) and self.details.deployed is not None
        return self.status is Status.OK

    @property
    def applied(self) -> bool:
        """Whether it is a deploy that applied a plan successfully."""
        return self.status is Status.OK and isinstance(self.details, DeployDetails) and self.details.applied

    @property
    def reused(self) -> bool:
        """Whether it is a plan of an earlier run that still fits."""
        return isinstance(self.details, PlanDetails) and self.details.reused

    def masked(self, mask: Secrets) -> Result:
        """The result with every known secret replaced; its stack, status, counts, addresses and actions stay."""
        if self.status is Status.UNAFFECTED:  # nearly all of them, as a rule, and nothing was said of them
            return self
        return replace(
            self, summary=mask.text(self.summary), reasons=[mask.text(reason) for reason in self.reasons],
            details=masked(self.details, mask) if self.details else None,
            problem=self.problem.mapped(mask.text) if self.problem else None,
            warnings=[warning.mapped(mask.text) for warning in self.warnings],
        )  # fmt: skip

    def to_json(self) -> JsonObject:
        """The result as records hold it."""
        problem = self.problem.to_json() if self.problem else None
        return {
            **vars(self), "status": str(self.status), "details": to_json(self.details), "problem": problem,
            "warnings": [asdict(warning) for warning in self.warnings],
        }  # fmt: skip


def write(layout: Layout, result: Result) -> None:
    """Save a result.

    Raises:
        RecordError: The file cannot be written.
    """
    body = {"format": FORMAT, **result.to_json()}
    if result.stage == _DRIFT and result.failed:
        _keep_check(layout, result.stack)
    folder.keep(layout, layout.result(result.stage, result.stack), body, durable=False)


def read(layout: Layout, stage: str, stack: str, say: Callable[[str], None]) -> Result | None:
    """The latest result of a stage for a stack; None if it is missing or cannot be read.

    Args:
        layout: Where it is.
        stage: The stage.
        stack: The stack.
        say: Called with a line if another version of doit-tofu wrote it, so that reports are incomplete.
    """
    path = layout.result(stage, stack)
    try:
        record = fields(read_json(path))
        if not record:
            return None
        if record.pop("format", None) != FORMAT:
            say(f"{layout.relative(layout.base)}/results: partly written by another version, so reports are incomplete")
            return None
        details = record.pop("details", None)
        result = typed.read(Result, record)
        return replace(result, details=from_json(result.stage, details))
    except (RecordError, ShapeError):
        return None  # a report says less then; no decision rests on it


def _keep_check(layout: Layout, stack: str) -> None:
    """Keep what the last check that ended has found, before one that failed takes its place."""
    try:
        record = read_json(layout.result(_DRIFT, stack))
    except RecordError:
        return
    if isinstance(record, dict) and record.get("status") in _ENDED:
        folder.keep(layout, layout.result(_BEFORE, stack), record, durable=False)


def last_check(
    layout: Layout, stack: str, last: Receipt | None, say: Callable[[str], None], *, ended: bool = False
) -> Result | None:
    """The result of the latest check for drift, unless something was deployed since.

    Args:
        layout: Where it is.
        stack: The stack.
        last: Its receipt.
        say: Is called with what is wrong with the record.
        ended: Whether the last one that ended is meant, where the latest one failed.
    """
    found = read(layout, _BEFORE if ended else _DRIFT, stack, say)
    if found is None or (last is not None and last.finished_at and last.finished_at > found.started_at):
        return None
    return found
