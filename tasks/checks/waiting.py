"""Waits until a check is true: one loop for all kinds, ended by success, timeout, a final observation or a stop."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..base.text import plural
from .check import Look, Observation, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..base.problem import Command
    from .check import Check

    Looking = Callable[[float], Look]

_TICK = 0.05  # how often a pending look checks for a stop, in seconds
_SLACK = 0.5  # extra time for a look that observes its own limit: its message is better than ours


@dataclass
class Progress:
    """The progress of a wait, to be shown; `seen` is the last observation."""

    title: str
    looks: int = 0
    in_a_row: int = 0
    seen: str = "no look yet"
    ended: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a wait ended: the last observation, and the number of looks and seconds."""

    kind: str
    title: str
    passed: bool
    text: str
    looks: int
    seconds: float
    commands: tuple[str | Command, ...] = field(default=())


def wait(check: Check, looking: Looking, progress: Progress) -> Outcome:
    """Look until a check is true or has failed.

    Args:
        check: The check, filled in.
        looking: Makes the input of a look from the time at which it has to end.
        progress: Updated after each look.
    """
    began = time.monotonic()
    deadline, pause = began + check.timeout, check.interval
    while True:
        look = looking(_limit(check, deadline))
        found = _observe(check, look)
        progress.looks += 1
        progress.in_a_row = progress.in_a_row + 1 if found.met else 0
        progress.seen = shown(found.text, 500)
        why = _why_it_ended(check, found, progress, look)
        left = deadline - time.monotonic()
        if why is None and left < check.interval:
            why = f"last of {plural(progress.looks, 'look')} in {check.timeout:g} s"
            if found.met:
                why = f"true {progress.in_a_row} of {check.consecutive} times in a row; {why}"
        if why is not None:
            break
        # Without the `min`, a long pause would miss the last chance to find it true.
        asleep = max(min(pause, left - check.interval), check.interval, min(found.pause, left))
        pause = check.interval if found.met else min(pause * check.backoff, max(check.max_interval, check.interval))
        if look.stop.wait(asleep):
            why = "stopped"
            break
    progress.ended = True
    passed = found.met and not why
    text = progress.seen + (f" ({why})" if why else "")
    return Outcome(
        check.kind, progress.title, passed, text, progress.looks, round(time.monotonic() - began, 3),
        () if passed else found.commands or check.commands(),
    )  # fmt: skip


def _why_it_ended(check: Check, found: Observation, progress: Progress, look: Look) -> str | None:
    """Why no further look is taken, empty if the check is true; None if there is another."""
    if found.met and progress.in_a_row >= check.consecutive:
        return ""
    if look.stop.requested:
        return "stopped"
    return "gave up: waiting will not change this" if found.final else None


def _limit(check: Check, deadline: float) -> float:
    """When a look has to end; a check with no time left still looks once."""
    longest = time.monotonic() + check.look_timeout
    return min(longest, deadline) if check.timeout else longest


def _observe(check: Check, look: Look) -> Observation:
    """One look, given up at its deadline or on a stop, even if it is stuck in a name lookup or an endless body."""
    if check.ends_by_itself:
        return _guarded(check, look)
    found: list[Observation] = []
    done = threading.Event()

    def observe() -> None:
        found.append(_guarded(check, look))
        done.set()

    threading.Thread(target=observe, name=f"look {check.kind}", daemon=True).start()
    while not done.wait(_TICK):
        if look.stop.requested or time.monotonic() > look.deadline + _SLACK:
            return Observation(False, look.noted or "no response in time")
    return found[0]


def _guarded(check: Check, look: Look) -> Observation:
    try:
        return check.observe(look)
    except Exception as error:  # noqa: BLE001 - a failed look, whatever a plug-in raises
        return Observation(False, f"{type(error).__name__}: {error}", commands=check.commands())
