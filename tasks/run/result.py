"""Results: the one record that each task leaves, and the only thing that reports read."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ..base.errors import RecordError
from ..base.files import read_json, write_json

if TYPE_CHECKING:
    from ..base.layout import Layout


class Status(StrEnum):
    """How a task ended.

    `unaffected` did nothing because nothing has to be done, `deferred` cannot be planned before its upstream is there,
    `not_run` waited for something that failed.
    """

    OK = "ok"
    UNAFFECTED = "unaffected"
    DEFERRED = "deferred"
    DRIFTED = "drifted"
    UNDEPLOYED = "undeployed"
    FAILED = "failed"
    NOT_RUN = "not_run"


@dataclass
class Result:
    """What one task did to one stack.

    Args:
        stage: The command: `plan`, `deploy`, ...
        stack: The stack; empty for a task that is about none.
        status: How it ended.
        summary: One line for people, without secrets.
        reasons: Why the stack was affected.
        counts: Numbers of changes by kind.
        details: What else reports show; ready for JSON.
        log: The engine's output, masked, when it failed.
        error: The error's own text, when it failed.
        seconds: How long it took.
        started_at: When it began, ISO 8601 in UTC.
    """

    stage: str
    stack: str
    status: Status = Status.OK
    summary: str = ""
    reasons: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    log: str = ""
    error: str = ""
    seconds: float = 0.0
    started_at: str = ""

    @property
    def failed(self) -> bool:
        """Whether it failed itself."""
        return self.status is Status.FAILED


def write(layout: Layout, result: Result) -> None:
    """Keep a result.

    Raises:
        RecordError: The file cannot be written.
    """
    write_json(layout.result(result.stage, result.stack), {"format": 1, **asdict(result)}, durable=False)


def read(layout: Layout, stage: str, stack: str) -> Result | None:
    """The latest result of a stage for a stack; None when there is none, or none that can be read."""
    try:
        record = read_json(layout.result(stage, stack))
        if record is None:
            return None
        record.pop("format", None)
        return Result(**{**record, "status": Status(record["status"])})
    except (RecordError, TypeError, KeyError, ValueError, AttributeError):
        return None  # a report says less then; no decision rests on it
