"""`doit status`: shows what is deployed, affected and why, drifted or failing, without starting the engine."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from .artifact import store
from .base.errors import DeployError, SeveralErrors
from .base.text import plural, short
from .run import errored, removed, result
from .run.action import printing
from .run.assessment import assess_once
from .run.commandline import json_option
from .run.result import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .artifact.affected import Assessment
    from .artifact.receipt import Receipt
    from .project.stack import Stack
    from .run.run import Run
    from .run.taskdict import TaskDict

STAGE = "status"
_UP_TO_DATE = "up to date"
_TO_THE_MINUTE = re.compile(r"(?<=T\d\d:\d\d):\d\d(?:\.\d+)?(?:\+00:00|Z)$")  # which leaves room for the state


def tasks(run: Run) -> Iterator[TaskDict]:
    """`status`: prints a table, or a document."""
    yield printing(run, STAGE, text, json_option())


def text(run: Run, as_json: bool = False) -> str:
    """The document of `--json`, or a table of all stacks of the environment, and the next steps.

    Raises:
        SeveralErrors: Some stacks have errors; the table of the others was printed.
    """
    if as_json:
        from . import statusdocument

        return statusdocument.text(run)
    shown, errors = _table(run)
    if errors:
        run.say(f"{shown}\n")
        raise SeveralErrors(f"{plural(len(errors), 'stack')} in error", errors)
    return shown


class _Kind(StrEnum):
    """What there can be to say of a stack, as the last line counts it, in this order."""

    AFFECTED = "affected"
    UNVERIFIED = "unverified"
    DEPLOYING = "being deployed"
    UNSAVED = "with an unsaved state"
    PLANNED = "with a plan"
    DRIFTED = "drifted"
    ERROR = "in error"


@dataclass(frozen=True)
class _Said:
    """What the table says of a stack: words of a kind; `refused` if a deploy would refuse the plan that waits."""

    kind: _Kind
    words: str
    refused: bool = False


@dataclass
class _Totals:
    """How many stacks there are of each kind, and how many have a plan that a deploy would refuse.

    A stack counts exactly if its row says something, so that the last line cannot contradict a row.
    """

    counts: Counter[_Kind] = field(default_factory=Counter)
    refused: int = 0

    def row(self, said: Sequence[_Said]) -> str:
        """The last column of a stack of which this is said, which is counted."""
        self.counts.update({item.kind for item in said})
        self.refused += any(item.refused for item in said)
        return "; ".join(item.words for item in said) or _UP_TO_DATE

    @property
    def text(self) -> str:
        """What there is in all."""
        return ", ".join(f"{self.counts[kind]} {kind}" for kind in _Kind if self.counts[kind]) or f"all {_UP_TO_DATE}"


def _table(run: Run) -> tuple[str, list[DeployError]]:
    deploying = run.recording.deployed_by if run.recording is not None else {}
    rows = [("stack", "deployed", "state")]
    totals, errors = _Totals(), list[DeployError]()
    for name in run.project.graph.order:
        stack = run.project.stacks[name]
        if (known := run.standing.get(name)) is not None:
            run.settled[name] = known.deployed
            rows.append((name, known.deployed, totals.row([])))
            continue
        try:
            assessment = assess_once(run, stack)
        except DeployError as error:
            errors.append(error.about(name))
            rows.append((name, "?", totals.row([_Said(_Kind.ERROR, "in error, see below")])))
            continue
        said = list(_said(run, stack, assessment, deploying.get(name)))
        deployed = _deployed(assessment.receipt)
        if not said:
            run.settled[name] = deployed
        rows.append((name, deployed, totals.row(said)))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = [f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}".rstrip() for row in rows]
    table = [*lines, ""] if run.project.stacks else []
    return "\n".join([*table, *_closing(run, totals, len(rows) - 1)]), errors


def _said(run: Run, stack: Stack, assessment: Assessment, deployer: str | None) -> Iterator[_Said]:
    """What there is to say of a stack; nothing if it is up to date."""
    planned = _Kind.PLANNED  # a deploy takes the plan or fails because of it, even if the stack needs none
    if assessment.affected:
        planned = _Kind.AFFECTED
        yield _Said(planned, f"affected: {assessment.why}")
    elif assessment.unverified:
        planned = _Kind.UNVERIFIED
        yield _Said(planned, "its checks have not passed")
    if deployer is not None:
        yield _Said(_Kind.DEPLOYING, f"being deployed by {deployer}")
    if (unsaved := errored.left(run.project, stack)) is not None:
        yield _Said(_Kind.UNSAVED, f"a state that could not be saved is in {unsaved}")
    if store.pending(run.layout, stack.name):
        from .plans import acceptance

        run.ages = True
        ready = acceptance.readiness(run, stack, assessment)
        yield _Said(planned, ready.text, refused=assessment.affected and not ready.accepted)
    if drifted := _drift(run, stack, assessment.receipt):
        yield _Said(_Kind.DRIFTED, drifted)


def _closing(run: Run, totals: _Totals, stacks: int) -> list[str]:
    """The lines below the table: what there is in all, and what to do next."""
    deploys = f"; {run.command('deploy').quoted} deploys and checks them"
    steps = deploys if totals.counts[_Kind.AFFECTED] or totals.counts[_Kind.UNVERIFIED] else ""
    if totals.refused:
        steps = f"; {run.command('plan').quoted} replaces what {run.command('deploy').quoted} would refuse"
    told = f"{plural(stacks, 'stack')}, {totals.text}" if stacks else "no stacks"
    lines = [f"{run.project.environment}: {told}{steps}"]
    if holder := run.lock.holder():
        lines.append(f"  another run is in progress, so this may be changing: {holder}")
    lines += [f"  {line}" for line in removed.lines(run)]
    if run.project.tree is not None:
        from .project import overrides

        lines += ["", *overrides.lines(run.project)]
    return lines


def _deployed(last: Receipt | None) -> str:
    if last is None or not last.deployed:
        return "-"
    commit, at = last.deployed.get("commit"), last.deployed.get("at") or ""
    return f"{short(commit)} {_TO_THE_MINUTE.sub('Z', at)}"


def _drift(run: Run, stack: Stack, last: Receipt | None) -> str | None:
    """The findings of the latest drift check, unless something was deployed since."""
    found = result.last_check(run.layout, stack.name, last, run.say_once)
    return (
        None if found is None or found.status is not Status.DRIFTED else f"{found.summary} (found {found.started_at})"
    )
