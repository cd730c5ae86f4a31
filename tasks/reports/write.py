"""Makes the report of a stage and writes its files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import quote

from ..base import ci, whence
from ..base.errors import RecordError
from ..base.files import write_atomic
from ..run import removed
from ..run.result import Status
from .model import Links, Report
from .template import Templates

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..run.result import Result
    from ..run.run import Run


def templates(run: Run) -> Templates:
    """This project's templates; a broken one is reported once."""
    folder = run.project.config.reports.templates
    if folder is None:
        return Templates()
    return Templates(run.project.root / folder, folder, lambda error: run.say(whence.text(run.problem(error))))


def collect(run: Run, stage: str, results: Iterable[Result]) -> Report:
    """The report of a stage of this run; every secret known so far is masked."""
    notes = [*run.notes, *(removed.lines(run) if stage != "drift" else ())]
    return Report.collect(
        stage,
        results,
        environment=run.project.environment,
        commit=run.shown_revision.short,
        notes=notes,
        mask=run.mask,
        named=run.named_environment,
        moment=f"{run.began:%Y-%m-%d %H:%M} UTC",
        links=_links(run),
        known=tuple(run.project.stacks),
        interrupted=run.stop.requested,
    )


def of_run(run: Run, stage: str) -> Report:
    """The report of a stage, from all results of this run, in the order of the graph."""
    order = {name: position for position, name in enumerate(run.project.graph.order)}
    stages = ("validate", "plan", "deploy", "verify", "build", "review") if stage == "deploy" else (stage,)
    found = [item for item in run.results.values() if item.stage in stages]
    if stage == "plan":
        found = [_why_not_planned(run, item) for item in found]
    return collect(run, stage, sorted(found, key=lambda item: order.get(item.stack, -1)))


def _why_not_planned(run: Run, planned: Result) -> Result:
    """The result of a plan; where that was not run because its stack is not valid, why it is not."""
    validated = run.results.get(f"validate:{planned.stack}")
    return validated if planned.status is Status.NOT_RUN and validated and validated.failed else planned


def _links(run: Run) -> Links:
    """Where more of this run can be seen; the address of the dashboard is in the configuration."""
    here, project = ci.read(), run.project
    commit, dashboard = run.shown_revision.commit, project.config.reports.dashboard
    shown = f"{dashboard.rstrip('/')}/env/{quote(project.environment)}" if dashboard else ""
    return Links(
        commit=here.commit_page(commit) if commit else "",
        pipeline=here.link or "",
        dashboard=f"{shown}/runs/{run.record}" if shown and run.record else shown,
    )


def write(run: Run, report: Report, looks: Templates) -> list[str]:
    """Write a report's files and the forge's annotations; returns the paths of the files for people.

    What cannot be written is said, and changes nothing else.

    Args:
        run: The run.
        report: The report.
        looks: The templates.
    """
    from . import forgefiles, note, page

    folder, stage = run.layout.reports, report.stage
    faces = {f"{stage}.md": note.render(report, templates=looks), f"{stage}.html": page.render(report, templates=looks)}
    if stage != "drift":
        faces["gitlab-terraform.json"] = forgefiles.gitlab_terraform(report)
    paths = []
    try:
        for name, text in faces.items():
            write_atomic(folder / name, text.encode(errors="replace"), durable=False)
            paths.append(run.layout.relative(folder / name))
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            forgefiles.add_step_summary(report, summary, looks)
    except (RecordError, OSError) as error:
        run.say(f"the report could not be written: {error.message if isinstance(error, RecordError) else error}")
    if ci.kind() == "github":
        for line in forgefiles.workflow_commands(report):
            run.output.show(line)
    return paths[:2]


def write_junit(run: Run) -> None:
    """Write all results of this run as JUnit XML; an error is printed."""
    from . import junit

    try:
        found = [result.masked(run.mask) for result in run.results.values()]
        text = junit.render(found, environment=run.project.environment)
        write_atomic(run.layout.reports / "junit.xml", text.encode(), durable=False)
    except RecordError as error:
        run.say(f"the report could not be written: {error.message}")
