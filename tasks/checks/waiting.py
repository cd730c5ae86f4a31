"""Waits until checks are true: one loop for all of them, each ended by success, timeout, a final observation or a stop.

Only a look has a thread, so that a stuck name lookup delays nothing; a check between two looks is an entry in a heap.
Nothing is polled: the loop sleeps until a look has ended, the next one is due, or the run is asked to stop.
"""

from __future__ import annotations

import sys
import threading
import time
from _thread import start_new_thread
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from heapq import heappop, heappush
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from ..base.text import plural
from .check import Look, Observation, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..base.problem import Command
    from .check import Check

    Looking = Callable[[float], Look]

_SLACK = 0.5  # extra time for a look that observes its own limit: its message is better than ours
_LAST = 0.1  # seconds that a look has left on a stop: most answer in time, and say more than that it was stopped
_BATCH = 16  # looks that begin before others get on: the more want to run, the longer each takes
_CROWD, _TURN = 200, 0.05
_STACK = 256 << 10  # bytes: thousands of looks at once must not reserve the usual 8 MB each


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
    """`all_of` for one check."""
    return all_of([check], looking, [progress])[0]


def all_of(checks: Sequence[Check], looking: Looking, progress: Sequence[Progress]) -> list[Outcome]:
    """Look until each check is true or has failed, all of them at once; the outcomes are in their order.

    Args:
        checks: The checks, filled in.
        looking: Makes the input of a look from the time at which it has to end.
        progress: Updated after each look, one for each check.
    """
    for kind in {type(check) for check in checks}:
        with suppress(Exception):  # the look says what is missing
            kind.prepare()
    return _Loop([_Wait(check, state) for check, state in zip(checks, progress, strict=True)], looking).run()


class _Wait:
    """One check that is waited for; `look` is the one under way, `number` counts looks.

    Args:
        check: The check.
        progress: Its progress.
    """

    def __init__(self, check: Check, progress: Progress) -> None:
        self.check, self.progress = check, progress
        self.began = time.monotonic()
        self.deadline = self.began + check.timeout
        self.pause = check.interval
        self.look: Look | None = None
        self.number = 0
        self.outcome: Outcome | None = None
        self._last = Observation(False, progress.seen)

    @property
    def limit(self) -> float:
        """When a look that begins now has to end; a check with no time left still looks once."""
        longest = time.monotonic() + self.check.look_timeout
        return min(longest, self.deadline) if self.check.timeout else longest

    def saw(self, found: Observation, *, stopped: bool) -> float | None:
        """Take an observation; returns the seconds until the next look, None once it has ended."""
        check, progress = self.check, self.progress
        progress.looks += 1
        progress.in_a_row = progress.in_a_row + 1 if found.met else 0
        progress.seen = shown(found.text, 500)
        why = self._why_it_ended(found, stopped=stopped)
        now = time.monotonic()
        left = self.deadline - now
        if why is None and left < check.interval:
            spent = f"last of {plural(progress.looks, 'look')} in {now - self.began:.0f} s"
            why = spent if check.timeout else "looked once"
            if found.met:
                why = f"true {progress.in_a_row} of {check.consecutive} times in a row; {why}"
        if why is not None:
            self.end(found, why)
            return None
        # Without the `min`, a long pause would miss the last chance to find it true.
        asleep = max(min(self.pause, left - check.interval), check.interval, min(found.pause, left))
        longer = min(self.pause * check.backoff, max(check.max_interval, check.interval))
        self.pause = check.interval if found.met else longer
        self._last = found
        return asleep

    def _why_it_ended(self, found: Observation, *, stopped: bool) -> str | None:
        """Why no further look is taken, empty if the check is true; None if there is another."""
        if found.met and self.progress.in_a_row >= self.check.consecutive:
            return ""
        if stopped:
            return "stopped"
        return "gave up: waiting will not change this" if found.final else None

    def interrupt(self) -> None:
        """End it between two looks."""
        self.end(self._last, "stopped")

    def end(self, found: Observation, why: str) -> None:
        """End it with its last observation."""
        progress = self.progress
        progress.ended = True
        passed = found.met and not why
        self.outcome = Outcome(
            self.check.kind, progress.title, passed, progress.seen + (f" ({why})" if why else ""), progress.looks,
            round(time.monotonic() - self.began, 3), () if passed else found.commands or self.check.commands(),
        )  # fmt: skip


_Ended = tuple[_Wait, int, Observation]  # a look by its wait and its number


class _Loop:
    """Waits for some checks.

    Args:
        waits: The checks.
        looking: Makes the input of a look.
    """

    def __init__(self, waits: Sequence[_Wait], looking: Looking) -> None:
        self._waits, self._looking = waits, looking
        self._left = len(waits)
        self._due: list[tuple[float, int, _Wait, int]] = []  # when, a number that decides between equals, what of it
        self._entries = 0
        self._ended: SimpleQueue[_Ended | None] = SimpleQueue()  # None: the run was asked to stop
        self._stop = looking(0).stop

    def run(self) -> list[Outcome]:
        """Look until all have ended."""
        moment = time.monotonic()
        with self._stop.waking(lambda: self._ended.put(None)), _turns(len(self._waits)):
            for number, wait in enumerate(self._waits):
                self._begin(wait, moment)
                if number % _BATCH == 0:
                    time.sleep(0)  # let those run that were begun
            while self._left:
                self._next()
        return [wait.outcome for wait in self._waits if wait.outcome is not None]

    def _next(self) -> None:
        """Take the next thing that happens."""
        left = self._due[0][0] - time.monotonic() if self._due else None
        if left is not None and left <= 0:
            _, _, wait, number = heappop(self._due)
            self._act(wait, number)
            return
        try:
            ended = self._ended.get(timeout=left)
        except Empty:
            return
        if ended is None:
            self._interrupt()
            return
        wait, number, found = ended
        if wait.look is not None and wait.number == number:  # else it was given up
            self._saw(wait, found)

    def _act(self, wait: _Wait, number: int) -> None:
        """What is due of a wait: its next look, or the end of the one that is under way."""
        if wait.outcome is not None or wait.number != number:
            return
        if wait.look is None:
            self._begin(wait)
        else:
            self._give_up(wait, wait.look)

    def _interrupt(self) -> None:
        """End everything that waits; a look that ends by itself is waited for."""
        for wait in self._waits:
            if wait.outcome is not None:
                continue
            if wait.look is None:
                wait.interrupt()
                self._left -= 1
            elif not wait.check.ends_by_itself:
                self._plan(wait, time.monotonic() + _LAST)

    def _begin(self, wait: _Wait, moment: float | None = None) -> None:
        look = wait.look = self._looking(wait.limit)
        look.moment = look.moment if moment is None else moment
        wait.number += 1
        number = wait.number

        def observe() -> None:
            self._ended.put((wait, number, _guarded(wait.check, look)))

        try:
            _start(observe)
        except RuntimeError:  # there is no room for another thread; others will end
            self._saw(wait, Observation(False, "too many looks at once"))
            return
        if not wait.check.ends_by_itself:
            self._plan(wait, look.deadline + _SLACK)

    def _give_up(self, wait: _Wait, look: Look) -> None:
        self._saw(wait, Observation(False, look.noted or "no response in time"))

    def _saw(self, wait: _Wait, found: Observation) -> None:
        wait.look = None
        wait.number += 1
        asleep = wait.saw(found, stopped=self._stop.requested)
        if asleep is None:
            self._left -= 1
        else:
            self._plan(wait, time.monotonic() + asleep)

    def _plan(self, wait: _Wait, when: float) -> None:
        self._entries += 1
        heappush(self._due, (when, self._entries, wait, wait.number))


_starting = threading.Lock()
_crowds: list[float] = []  # the length of a turn before each crowd of looks


@contextmanager
def _turns(number: int) -> Iterator[None]:
    """Give threads longer turns while there are many looks, of which each that waits for its turn wakes up every turn.

    With the usual 5 ms, thousands of them can take all processor time without any getting on.
    """
    if number < _CROWD:
        yield
        return
    with _starting:
        _crowds.append(sys.getswitchinterval())
        sys.setswitchinterval(_TURN)
    try:
        yield
    finally:
        with _starting:
            usual = _crowds.pop()
            if not _crowds:
                sys.setswitchinterval(usual)


def _start(observe: Callable[[], None]) -> None:
    """Start the thread of a look, which can be left behind; with a small stack, as there may be thousands.

    `threading.Thread` waits until the new thread runs, which takes ten times as long where that is on another core.
    """
    with _starting:
        before = threading.stack_size(_STACK)
        try:
            start_new_thread(observe, ())
        finally:
            threading.stack_size(before)


def _guarded(check: Check, look: Look) -> Observation:
    try:
        return check.observe(look)
    except Exception as error:  # noqa: BLE001 - a failed look, whatever a plug-in raises
        return Observation(False, f"{type(error).__name__}: {error}", commands=check.commands())
