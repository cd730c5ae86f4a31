"""Keeps the issues of drifted stacks on the forge of this run; errors are printed and change nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base import whence
from ..base.files import canonical_json, sha256_bytes
from ..reports import note, write
from ..run.details import DriftDetails
from ..run.result import Status
from . import issues
from . import place as places
from .connect import connect
from .http import ForgeError
from .issues import Page

if TYPE_CHECKING:
    from ..reports.template import Templates
    from ..run.result import Result
    from ..run.run import Run
    from .place import Place

_DIGITS = 16


def publish(run: Run) -> None:
    """Open, update and close the issues of the stacks that this run checked; never raises.

    Args:
        run: The run, its checks ended.
    """
    settings = run.project.config.forge
    place = places.find(settings)
    if place is None or run.stop.requested:
        return
    if not place.token:
        run.say(f"forge: no issue for drift: {place.token_name} is not set, see docs/{place.kind}.md")
        return
    try:
        done = _sync(run, place)
    except ForgeError as error:
        shown = "\n".join(f"  {line}" for line in whence.text(run.problem(error)).splitlines())
        run.say(f"forge: the issues for drift could not be updated; the next check tries again\n{shown}")
    except Exception as error:  # noqa: BLE001 - the boundary: nothing that a forge answers changes how a run ends
        step = run.keep_crash("forge", error)
        run.say(f"forge: no issue was written, because of an unexpected error: {type(error).__name__}\n  next: {step}")
    else:
        if done:
            run.say(f"forge: issues for drift {done}")


def _sync(run: Run, place: Place) -> str:
    client = connect(place, seconds=run.project.config.forge.timeout, wait=run.stop.wait)
    looks, environment = write.templates(run), run.project.environment
    results = [item for item in run.results.values() if item.stage == "drift"]
    drifted = {item.stack: _page(run, place, item, looks) for item in results if item.status is Status.DRIFTED}
    over = {item.stack for item in results if item.without_drift}
    kept = set(run.project.stacks) - over - set(drifted)
    return issues.sync(client, environment, drifted, kept, wait=run.stop.wait).text()


def _page(run: Run, place: Place, result: Result, looks: Templates) -> Page:
    """The issue of a drifted stack: its part of the report."""
    report = write.collect(run, "drift", [result])
    details = result.details if isinstance(result.details, DriftDetails) else DriftDetails()
    marks = sorted([found.address, found.print, found.severity] for found in details.drifted)
    return Page(
        f"Drift in {run.project.environment}: {result.stack}",
        lambda room: note.render(report, limit=room, link=place.link, templates=looks),
        sha256_bytes(canonical_json(marks))[:_DIGITS],
    )
