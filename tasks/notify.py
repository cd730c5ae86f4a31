"""`doit notify-test`: a test message to every channel of the environment, and what became of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from doit.exceptions import TaskFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .run.run import Run

STAGE = "notify-test"


def tasks(run: Run) -> Iterator[dict[str, Any]]:
    """`notify-test`: sends and prints, keeps nothing."""

    def send() -> TaskFailed | None:
        return _send(run)

    yield {
        "basename": STAGE,
        "actions": [send],
        "verbosity": 2,
        "doc": "send a test message to every channel that is notified",
    }


def _send(run: Run) -> TaskFailed | None:
    """Tell every channel of the environment, whatever else it filters by; fails when one could not be told."""
    from .notifications import channels, delivery
    from .notifications.memory import Message

    ours = [item for item in run.project.config.notify if channels.wants(item, run.project.environment)]
    if not ours:
        run.say(f"{run.project.environment}: nobody is notified; the key `notify` says who is")
        return None
    facts = {"commit": run.shown_revision.short, "link": "", "deployed": [], "not_run": []}
    message = Message("test", run.project.environment, (), facts)
    opened = [channel for item in ours if (channel := channels.opened(run, item))]
    ended = delivery.deliver(run, [delivery.Job(channel, [message]) for channel in opened])
    for job in ended:
        run.say(f"{job.channel.label}: {job.problem or 'delivered'}")
    failed = len(ours) - sum(not job.problem for job in ended)
    if failed:
        return TaskFailed(f"{failed} of {len(ours)} channels could not be told", report=False)
    return None
