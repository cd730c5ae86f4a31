"""Delivers to all channels at once, each within its time limit; failures are reported, not raised."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import services, text, webhook

if TYPE_CHECKING:
    from ..run.run import Run
    from .channels import Channel
    from .memory import Message

_LONGEST = 300  # characters of a problem
_LOOK = 0.05  # seconds between two looks at whether the run is being stopped


@dataclass
class Job:
    """The messages for one channel, those of them that were delivered, and why not all were."""

    channel: Channel
    messages: list[Message]
    delivered: list[Message] = field(default_factory=list)
    problem: str = ""


def deliver(run: Run, jobs: list[Job]) -> list[Job]:
    """Deliver; returns each job as it stood when its time was up. A run that is being stopped does not wait."""
    began = time.monotonic()
    running = []
    for job in jobs:
        work = Job(job.channel, job.messages)
        # A daemon thread: one that hangs in a read does not keep the process from ending.
        thread = threading.Thread(target=_work, args=(run, work), name=f"notify {job.channel.label}", daemon=True)
        thread.start()
        running.append((work, thread))
    ended = []
    for work, thread in running:
        end = began + work.channel.settings.timeout
        while thread.is_alive() and not run.stop.requested and time.monotonic() < end:
            thread.join(_LOOK)
        delivered, problem = list(work.delivered), work.problem
        if thread.is_alive():
            problem = "the run was stopped" if run.stop.requested else _slow(work.channel)
        elif not problem and len(delivered) < len(work.messages):
            problem = "it ended without a result"
        ended.append(Job(work.channel, work.messages, delivered, problem))
    return ended


def _work(run: Run, job: Job) -> None:
    channel = job.channel
    for message in job.messages:
        try:
            title, body = text.render(run, channel.settings, message)
            if channel.settings.kind == "webhook":
                problem = webhook.send(channel, message, text.values_of(channel.settings, message), title, body)
            else:
                problem = services.send(channel, message.event, title, body)
        except Exception as error:  # noqa: BLE001 - whatever a library raises; its text may contain the URL, so only its type is shown
            problem = f"unexpected error: {type(error).__name__}"
        if problem:
            job.problem = run.mask.text(problem)[:_LONGEST]  # masked first: half a secret is not recognized
            return
        job.delivered.append(message)


def _slow(channel: Channel) -> str:
    return f"no response within {channel.settings.timeout:g} s"
