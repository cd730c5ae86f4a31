"""Writes the files and commands that GitLab and GitHub read: the terraform widget, annotations, the step summary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.text import few
from ..run.result import Status
from . import note
from .shared import Alike

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..base.problem import Problem
    from .model import Report
    from .template import Templates

SUMMARY_LIMIT = 1024 * 1024  # bytes of one step; https://docs.github.com/en/actions/reference/workflow-commands
MOST_ANNOTATIONS = 10  # of each level in one step; GitHub drops the rest without a word
_LONGEST = 3000
_NAMES = 5


def gitlab_terraform(report: Report) -> str:
    """The JSON for GitLab's `artifacts:reports:terraform`: three numbers, all of them required.

    https://gitlab.com/gitlab-org/gitlab/-/blob/master/lib/gitlab/ci/parsers/terraform/tfplan.rb
    A replacement is both a creation and a destruction, as in the engine's own summary.
    """
    counts = report.counts
    numbers = {
        "create": counts.add + counts.replace,
        "update": counts.change,
        "delete": counts.destroy + counts.replace,
    }
    return json.dumps(numbers) + "\n"


def workflow_commands(report: Report) -> Iterator[str]:
    """GitHub's workflow commands: an error for what failed or was refused, a warning for what is destroyed or drifted.

    https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
    """
    errors = list(_errors(report))
    drifted = report.having(Status.DRIFTED, Status.UNDEPLOYED)
    warnings = [(f"{report.stage} {stack.name}", stack.summary, "") for stack in drifted]
    if report.stage == "plan":
        warnings += [
            (
                f"{lost.change.kind} in {few(lost.stacks, _NAMES)}",
                f"{lost.change.address} {lost.change.why}".strip(),
                "",
            )
            for lost in report.lost
        ]
    warnings += [(f"{report.stage} {few(found.stacks, _NAMES)}", found.text, "") for found in report.warned]
    for level, found in (("error", errors), ("warning", warnings)):
        shown = found if len(found) <= MOST_ANNOTATIONS else found[: MOST_ANNOTATIONS - 1]
        for title, text, place in shown:
            yield f"::{level} {place}title={_property(title)}::{_data(text[:_LONGEST])}"
        if len(found) > len(shown):
            rest = f"and {len(found) - len(shown)} more. {report.verdict}"
            yield f"::{level} title={_property(report.stage)}::{_data(rest)}"


def _errors(report: Report) -> Iterator[tuple[str, str, str]]:
    """Each failure at its place; where there is no room for all of them, each cause at its first one."""
    alike = [found for found in report.problems if found.status is Status.FAILED]
    if sum(len(found.stacks) for found in alike) <= MOST_ANNOTATIONS:
        alike = [Alike([stack]) for found in alike for stack in found.stacks]
    for found in alike:
        stack, others = found.first, found.others
        text = f"{found.error}\nThe same in {few(others, MOST_ANNOTATIONS)}." if others else stack.error
        more = f" and {len(others)} more" if others else ""
        yield f"{report.stage} {stack.name}{more}", text, _place(stack.problem)


def add_step_summary(report: Report, path: str, templates: Templates) -> None:
    """Add the report to the step's summary, as much of it as there is room for.

    Args:
        report: The report.
        path: The file that `$GITHUB_STEP_SUMMARY` names.
        templates: Where the template comes from.

    Raises:
        OSError: The file cannot be written.
    """
    file = Path(path)
    taken = file.stat().st_size if file.exists() else 0
    text = note.render(report, limit=max(SUMMARY_LIMIT - taken - 1, 0), link=None, templates=templates)
    with file.open("a", encoding="utf-8") as stream:
        stream.write(text)


def _place(problem: Problem | None) -> str:
    """The properties that put an annotation at a line of a file."""
    where = problem.where if problem else None
    return f"file={_property(where.file)},line={where.line}," if where and where.file and where.line else ""


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
