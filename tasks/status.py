"""`doit status`: shows what is deployed, affected and why, drifted or failing, without starting the engine."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .artifact import store
from .base.errors import DeployError, SeveralErrors
from .base.text import plural
from .run import errored, removed, result
from .run.action import printing
from .run.assessment import assess_once
from .run.commandline import json_option
from .run.result import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .artifact.affected import Assessment
    from .artifact.receipt import Receipt
    from .project.stack import Stack
    from .run.run import Run
    from .run.taskdict import TaskDict

STAGE = "status"
_UP_TO_DATE = "up to date"
_DIGITS = 8  # of a commit
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


@dataclass
class _Totals:
    """How many stacks there are of each state, and how many have a plan that a deploy would refuse."""

    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("affected", "unverified", "with a plan", "drifted", "in error"), 0)
    )
    refused: int = 0


def _table(run: Run) -> tuple[str, list[DeployError]]:
    deploying = run.recording.deployed_by if run.recording is not None else {}
    rows = [("stack", "deployed", "state")]
    totals, errors = _Totals(), list[DeployError]()
    for name in run.project.graph.order:
        stack = run.project.stacks[name]
        if (known := run.standing.get(name)) is not None:
            run.settled[name] = known.deployed
            rows.append((name, known.deployed, _UP_TO_DATE))
            continue
        try:
            assessment = assess_once(run, stack)
        except DeployError as error:
            errors.append(error.about(name))
            totals.counts["in error"] += 1
            rows.append((name, "?", "in error, see below"))
            continue
        words = _words(run, stack, assessment, deploying.get(name), totals)
        deployed = _deployed(assessment.receipt)
        if not words:
            run.settled[name] = deployed
        rows.append((name, deployed, "; ".join(words) or _UP_TO_DATE))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = [f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}".rstrip() for row in rows]
    table = [*lines, ""] if run.project.stacks else []
    return "\n".join([*table, *_closing(run, totals, len(rows) - 1)]), errors


def _words(run: Run, stack: Stack, assessment: Assessment, deployer: str | None, totals: _Totals) -> list[str]:
    """What there is to say of a stack, which is counted; nothing if it is up to date."""
    words = list[str]()
    if assessment.affected:
        totals.counts["affected"] += 1
        words.append(f"affected: {assessment.why}")
    elif assessment.unverified:
        totals.counts["unverified"] += 1
        words.append("its checks have not passed")
    if deployer is not None:
        words.append(f"being deployed by {deployer}")
    if os.path.lexists(errored.path(run.project, stack)):
        words.append(f"a state that could not be saved is in {stack.path}/{errored.FILE}")
    if store.pending(run.layout, stack.name):
        from .plans import acceptance

        run.ages = True
        ready = acceptance.readiness(run, stack, assessment)
        words.append(ready.text)
        totals.refused += assessment.affected and not ready.accepted
        # A deploy takes the plan or fails because of it, even if the stack needs none.
        totals.counts["with a plan"] += not (assessment.affected or assessment.unverified)
    if drifted := _drift(run, stack, assessment.receipt):
        totals.counts["drifted"] += 1
        words.append(drifted)
    return words


def _closing(run: Run, totals: _Totals, stacks: int) -> list[str]:
    """The lines below the table: what there is in all, and what to do next."""
    counts = totals.counts
    facts = ", ".join(f"{number} {word}" for word, number in counts.items() if number)
    deploys = f"; {run.command('deploy').quoted} deploys and checks them"
    steps = deploys if counts["affected"] or counts["unverified"] else ""
    if totals.refused:
        steps = f"; {run.command('plan').quoted} replaces what {run.command('deploy').quoted} would refuse"
    told = f"{plural(stacks, 'stack')}, {facts or 'all up to date'}" if stacks else "no stacks"
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
    return f"{commit[:_DIGITS] if commit else 'no commit'} {_TO_THE_MINUTE.sub('Z', at)}"


def _drift(run: Run, stack: Stack, last: Receipt | None) -> str | None:
    """The findings of the latest drift check, unless something was deployed since."""
    found = result.last_check(run.layout, stack.name, last, run.say_once)
    return (
        None if found is None or found.status is not Status.DRIFTED else f"{found.summary} (found {found.started_at})"
    )
