"""Finds what there is to say of each stack, from files alone: every face of `doit status` shows this and nothing else.

A stack is up to date if there is nothing to say, so that no face can call one up to date of which another one tells.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from .artifact import store
from .base import clock
from .base.errors import DeployError
from .base.problem import Kind
from .base.text import plural
from .run import errored, lastchecks, result
from .run.assessment import assess_once
from .run.details import DriftDetails
from .run.result import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .artifact.affected import Assessment
    from .artifact.receipt import Receipt
    from .plans.acceptance import Readiness
    from .project.stack import Stack
    from .run.result import Result
    from .run.run import Run

UP_TO_DATE = "up to date"
_BY_RECEIPT = frozenset({Kind.CHECK_FAILED, Kind.STOPPED})  # the receipt says whether the checks have passed


class Mark(StrEnum):
    """What a stack is counted as, in the order in which the totals have them."""

    AFFECTED = "affected"
    UNVERIFIED = "unverified"
    PLANNED = "with a plan"
    DEPLOYING = "being deployed"
    UNSAVED = "with an unsaved state"
    DRIFTED = "drifted"
    DIFFERENT = "different from the code"
    UNCHECKED = "with a failed drift check"
    UNRUN = "with checks that did not run"
    ERROR = "in error"


@dataclass
class Condition:
    """What is known of a stack.

    Args:
        name: The stack.
        notes: What there is to say of it, and what it counts as; nothing if it is up to date.
        assessment: Its inputs compared with its receipt; None if that failed.
        error: Why that failed.
        plan: What a deploy would do with the plan that waits for it.
        deploying: Which run is deploying it.
        unsaved: The file of a state that could not be saved.
        check: The last check for drift, unless it was deployed since.
        earlier: The last check that ended, if the last one failed.
    """

    name: str
    notes: list[tuple[Mark, str]] = field(default_factory=list)
    assessment: Assessment | None = None
    error: DeployError | None = None
    plan: Readiness | None = None
    deploying: str | None = None
    unsaved: str | None = None
    check: Result | None = None
    earlier: Result | None = None

    @property
    def text(self) -> str:
        """All of it on one line."""
        return "; ".join(words for _, words in self.notes) or UP_TO_DATE

    @property
    def marks(self) -> set[Mark]:
        """What it counts as; a plan goes without saying where a deploy is needed anyway."""
        found = {mark for mark, _ in self.notes}
        return found - {Mark.PLANNED} if found & {Mark.AFFECTED, Mark.UNVERIFIED} else found

    @property
    def is_refused(self) -> bool:
        """Whether a deploy would refuse the plan that it needs."""
        return Mark.AFFECTED in self.marks and self.plan is not None and not self.plan.accepted


def of(run: Run, name: str) -> Condition:
    """What is known of a stack."""
    stack, found = run.project.stacks[name], Condition(name)
    if run.recording is not None:
        found.deploying = run.recording.deployers.of(name)
    if os.path.lexists(errored.path(run.project, stack)):
        found.unsaved = f"{stack.path}/{errored.FILE}"
    try:
        found.assessment = assess_once(run, stack)
    except DeployError as error:
        found.error = error.about(name)
        found.notes = [(Mark.ERROR, "in error, see below"), *_notes(found)]
        return found
    last = found.assessment.receipt
    if store.pending(run.layout, name):
        from .plans import acceptance

        run.ages = True
        found.plan = acceptance.readiness(run, stack, found.assessment)
    found.check, found.earlier = lastchecks.of(run, name, last)
    found.notes = [*_notes(found), *_of_checks(run, stack, last, found.assessment)]
    return found


def totals(found: Iterable[Condition]) -> Counter[Mark]:
    """How many stacks count as what."""
    return Counter(mark for each in found for mark in each.marks)


def summary(counts: Counter[Mark], stacks: int) -> str:
    """How the stacks are, in words."""
    facts = ", ".join(f"{counts[mark]} {mark}" for mark in Mark if counts[mark])
    return f"{plural(stacks, 'stack')}, {facts or 'all up to date'}" if stacks else "no stacks"


def _notes(found: Condition) -> Iterator[tuple[Mark, str]]:
    affected = found.assessment is not None and found.assessment.affected
    if found.assessment is not None and affected:
        yield Mark.AFFECTED, f"affected: {found.assessment.why}"
    elif found.assessment is not None and found.assessment.unverified:
        yield Mark.UNVERIFIED, "its checks have not passed"
    elif found.assessment is not None and found.assessment.unhooked:
        yield Mark.UNVERIFIED, "the hooks after its deploy have not passed"
    if found.deploying is not None:
        yield Mark.DEPLOYING, f"being deployed by {found.deploying}"
    if found.unsaved is not None:
        yield Mark.UNSAVED, f"a state that could not be saved is in {found.unsaved}"
    if found.plan is not None:
        yield Mark.PLANNED, found.plan.text
    for check in filter(None, (found.earlier, found.check)):
        yield from _of_drift(check, affected=affected)


def _of_drift(check: Result, *, affected: bool) -> Iterator[tuple[Mark, str]]:
    """What a check for drift says of a stack that was not deployed since."""
    details = check.details if isinstance(check.details, DriftDetails) else DriftDetails()
    at = clock.shown(check.started_at)
    if check.status is Status.DRIFTED:
        yield Mark.DRIFTED, f"{check.summary} (found {at})"
    elif check.failed and check.kind is Kind.STOPPED:
        yield Mark.UNCHECKED, f"its last check for drift was stopped ({at})"
    elif check.failed:
        yield Mark.UNCHECKED, f"its last check for drift failed ({at}): {check.summary}"
    elif affected:
        return
    elif check.status is Status.UNDEPLOYED and details.deployed is None:
        yield Mark.DIFFERENT, f"{check.summary} (found {at})"
    elif check.status is Status.ADOPTED:  # it would be affected otherwise
        yield Mark.DRIFTED, f"drifted, and the code that adopted it is not here (found {at})"


def _of_checks(run: Run, stack: Stack, last: Receipt | None, assessment: Assessment) -> Iterator[tuple[Mark, str]]:
    """Checks that could not be run since the last deploy, of which the receipt knows nothing."""
    if not stack.settings.verify or last is None or assessment.affected or assessment.unverified:
        return
    found = result.read(run.layout, "verify", stack.name, run.say_once)
    if found is None or not found.failed or found.kind in _BY_RECEIPT or found.started_at <= (last.finished_at or ""):
        return
    yield Mark.UNRUN, f"its checks could not be run ({clock.shown(found.started_at)}): {found.summary}"
