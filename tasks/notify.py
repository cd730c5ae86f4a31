"""`doit notify-test`: sends a test message to every channel of the environment and reports the results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base.errors import DeployError
from .run.action import printing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .run.run import Run
    from .run.taskdict import TaskDict

STAGE = "notify-test"


def tasks(run: Run) -> Iterator[TaskDict]:
    """`notify-test`: sends and prints; stores nothing."""
    yield printing(run, STAGE, _text)


def _text(run: Run) -> str:
    """Notify every channel of the environment, whatever its other filters; returns the results.

    Raises:
        DeployError: One of them could not be notified.
    """
    from .notifications import channels, delivery
    from .notifications.memory import Message

    ours = [item for item in run.project.config.notify if channels.wants(item, run.project.environment)]
    if not ours:
        return f"{run.project.environment}: no channel is configured; see the key `notify`"
    facts = {"commit": run.shown_revision.short, "link": "", "deployed": [], "not_run": []}
    message = Message("test", run.project.environment, (), facts)
    opened = [channel for item in ours if (channel := channels.opened(run, item))]
    ended = delivery.deliver(run, [delivery.Job(channel, [message]) for channel in opened])
    lines = "\n".join(f"{job.channel.label}: {job.problem or 'delivered'}" for job in ended)
    failed = len(ours) - sum(not job.problem for job in ended)
    if not failed:
        return lines
    if lines:
        run.say(lines)
    raise DeployError(
        f"{failed} of {len(ours)} channels could not be notified", untouched="nothing was changed",
        next_step=("correct what the lines above name (docs/notifications.md), then run ", run.command(STAGE)),
    )  # fmt: skip
