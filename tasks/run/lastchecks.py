"""The last checks of a stack for drift, on whichever machine they were: by this disk, or by the observations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.errors import DeployError
from ..base.problem import Kind, Problem
from ..base.text import plural
from ..drifts import words
from . import result
from .details import DriftDetails
from .result import Result, Status

if TYPE_CHECKING:
    from ..artifact.receipt import Receipt
    from ..ledger.observations import Observations, Outcome
    from .run import Run

_STAGE = "drift"


def begin(run: Run) -> None:
    """Start to read the observations in the background, if there is a ledger."""
    if run.recording is None:
        return
    from . import observing

    try:
        if found := run.once(observing.attach):
            found.begin()
    except DeployError:  # `of` tells
        return


def of(run: Run, stack: str, last: Receipt | None) -> tuple[Result | None, Result | None]:
    """The latest check, unless the stack was deployed since, and the last one that ended if that one failed.

    Where this disk and the observations have different ones, the later counts, by the clocks of both machines.

    Args:
        run: The run.
        stack: The stack.
        last: Its receipt.
    """
    here = [result.last_check(run.layout, stack, last, run.say_once)]
    if here[0] is not None and here[0].failed:
        here.append(result.last_check(run.layout, stack, last, run.say_once, ended=True))
    known = run.once(_observed)
    item = known.stacks.get(stack) if known is not None else None
    there = (_result(stack, last, found) for found in ((item.last, item.ended) if item is not None else ()))
    checks = _ordered([check for check in there if check], [check for check in here if check])
    latest = max(checks, key=_began, default=None)
    if latest is None or not latest.failed:
        return latest, None
    return latest, max((check for check in checks if not check.failed), key=_began, default=None)


def _ordered(there: list[Result], here: list[Result]) -> list[Result]:
    """The checks, of two that began within a second the later first: the observations were written in that order.

    A check that both have is this disk's result, which says more.
    """
    same = {(check.started_at, check.status): check for check in reversed(here)}
    checks = [same.get((check.started_at, check.status), check) for check in there] + here
    return [check for check in checks if check.status is not Status.SKIPPED]


def _began(check: Result) -> str:
    return check.started_at


def _observed(run: Run) -> Observations | None:
    """The observations; None without a ledger. That they cannot be read is said once."""
    if run.recording is None or run.recording.unread is not None:
        return None
    from . import observing

    try:
        found = run.once(observing.attach)
        return found.read() if found is not None else None
    except DeployError as error:
        run.say_once(f"{run.problem(error).summary}; drift that other machines have found is not shown")
        return None


def _result(stack: str, last: Receipt | None, found: Outcome | None) -> Result | None:
    """What the observations say of a check, as its result: without addresses and values, which they do not have."""
    if found is None or found.status not in set(Status) or found.plan != (last.plan_sha256 if last is not None else ""):
        return None
    status = Status(found.status)
    kind = Kind.STOPPED if found.stopped else Kind.ENGINE
    details = DriftDetails(deployed={} if found.plan else None)
    summary = found.text or _summary(status, found)
    problem = Problem(kind, summary) if status is Status.FAILED else None
    counts = {"drifted": found.drifted, "pending": found.pending}
    return Result(
        _STAGE, stack, status, summary, counts=counts, details=details, problem=problem, started_at=found.began
    )  # fmt: skip


def _summary(status: Status, found: Outcome) -> str:
    by = f", by {found.run}" if found.run else ""
    if status is Status.FAILED:
        return f"the reason is in the log of {found.run}" if found.run else "the reason is in its log"
    if status is Status.DRIFTED:
        return f"drifted: {plural(found.drifted, 'difference')}{by}"
    if status is Status.UNDEPLOYED:
        return f"differs from the code: {plural(found.pending, 'change')}{by}"
    return words.quiet(())
