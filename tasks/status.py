"""`doit status`: shows what is deployed, affected and why, drifted or failing, without starting the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import conditions
from .base import clock
from .base.errors import SeveralErrors
from .base.text import plural, short
from .conditions import Mark
from .run import removed
from .run.action import printing
from .run.commandline import json_option

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

    from .artifact.receipt import Receipt
    from .base.errors import DeployError
    from .conditions import Condition
    from .run.run import Run
    from .run.taskdict import TaskDict

STAGE = "status"
_DIGITS = 8  # of a commit


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


def _table(run: Run) -> tuple[str, list[DeployError]]:
    rows = [("stack", "deployed", "state")]
    found: list[Condition] = []
    for name in run.project.graph.order:
        if (known := run.standing.get(name)) is not None:
            run.settled[name] = known.deployed
            rows.append((name, known.deployed, conditions.UP_TO_DATE))
            continue
        each = conditions.of(run, name)
        found.append(each)
        deployed = _deployed(each.assessment.receipt) if each.assessment is not None else "?"
        if not each.notes:
            run.settled[name] = deployed
        rows.append((name, deployed, each.text))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = [f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}".rstrip() for row in rows]
    table = [*lines, ""] if run.project.stacks else []
    errors = [each.error for each in found if each.error is not None]
    return "\n".join([*table, *_closing(run, found, len(rows) - 1)]), errors


def _closing(run: Run, found: list[Condition], stacks: int) -> list[str]:
    """The lines below the table: what there is in all, and what to do next."""
    counts = conditions.totals(found)
    lines = [f"{run.project.environment}: {conditions.summary(counts, stacks)}{_steps(run, found, counts)}"]
    if run.recording is not None and run.recording.complete:
        lines.append(f"  last complete deploy: {', '.join(map(short, run.recording.complete))}")
    if holder := run.lock.holder():
        lines.append(f"  another run is in progress, so this may be changing: {holder}")
    lines += [f"  {line}" for line in removed.lines(run)]
    if run.project.tree is not None:
        from .project import overrides

        lines += ["", *overrides.lines(run.project)]
    return lines


def _steps(run: Run, found: list[Condition], counts: Counter[Mark]) -> str:
    """What to do next, behind a semicolon; empty if that is nothing."""
    deploys = run.typed("deploy")
    if refused := [each.plan for each in found if each.plan is not None and each.is_refused]:
        words = ["mocks=no"] if any(plan.mocked for plan in refused) else []  # another plan with mocks is no better
        return f"; {run.typed(*words, 'plan')} replaces what {deploys} would refuse"
    if counts[Mark.AFFECTED]:
        return f"; {deploys} deploys and checks them"
    if counts[Mark.UNVERIFIED]:
        return f"; {deploys} repeats the checks and applies nothing"
    if counts[Mark.UNRUN]:
        return f"; {run.typed('verify')} runs the checks"
    return f"; {run.typed('drift')} checks again" if counts[Mark.UNCHECKED] else ""


def _deployed(last: Receipt | None) -> str:
    if last is None or not last.deployed:
        return "-"
    commit, at = last.deployed.get("commit"), last.deployed.get("at") or ""
    return f"{commit[:_DIGITS] if commit else 'no commit'} {clock.shown(at)}"
