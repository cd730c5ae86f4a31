"""Sends each channel the events of a run that it subscribes to and has not received yet; never changes the outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base import whence
from . import channels, delivery, memory
from .events import Findings

if TYPE_CHECKING:
    from collections.abc import Collection

    from ..base.problem import Problem
    from ..run.run import Run


def tell(run: Run, selected: Collection[str], errors: list[Problem]) -> None:
    """Send every channel the events that it subscribes to and has not received yet; never raises.

    A stopped run sends nothing and forgets nothing: the user who stopped it knows, and the next run sends the rest.

    Args:
        run: The run, its results complete.
        selected: The selected commands.
        errors: The failures that concern no stack, as the run shows them.
    """
    if run.stop.requested:
        return
    try:
        _tell(run, Findings.of(run, selected, errors))
    except Exception as error:  # noqa: BLE001 - the boundary: a bug in here must not change how a deploy ends
        from ..run.action import crashed

        failed = crashed(run, "notify", "", error).problem
        run.say(f"no channel was notified: {whence.text(failed) if failed else error}")


def _tell(run: Run, findings: Findings) -> None:
    records = memory.read(run)
    kept = {label: dict(known) for label, known in records.channels.items()}
    jobs = []
    for settings in run.project.config.notify:
        if not channels.wants(settings, run.project.environment):
            continue
        due = memory.due(settings, findings, kept.setdefault(settings.label, {}))
        if due and (channel := channels.opened(run, settings)):
            jobs.append(delivery.Job(channel, due))
    for job in delivery.deliver(run, jobs):
        for message in job.delivered:
            message.remember(kept[job.channel.label], findings.at)
        if job.problem:
            run.say(f"not notified: {job.channel.label}: {job.problem}; the next run tries again")
        elif job.delivered:
            told = ", ".join(message.event for message in job.delivered)
            run.say(f"notified: {job.channel.label} ({told})")
    kept = {label: known for label, known in kept.items() if known}
    if kept != records.channels or records.alone:
        memory.write(run, records, kept)
