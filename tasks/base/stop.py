"""Orderly stops: each engine process gets exactly one SIGINT, and no new one starts after that."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from .errors import ExitCode, StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType


class Stop:
    """Whether the run was asked to stop, and the child processes to interrupt then.

    On one SIGINT the engine finishes what it is doing, saves the state and unlocks it; a second one, or a signal to its
    whole group, loses resources from the state. So each child has its own session and is signalled once, by pid.

    Args:
        say: Prints a line.
        grace: Seconds to wait for the children after the first signal; None waits as long as they take.
    """

    def __init__(self, say: Callable[[str], None], grace: float | None = None) -> None:
        self._say, self._grace = say, grace
        # Re-entrant: the handler runs in the main thread, which may hold the lock because it is starting a child.
        self._lock = threading.RLock()
        self._children: dict[subprocess.Popen[bytes], str] = {}
        self._woken = threading.Event()
        self._wakes: list[Callable[[], None]] = []
        self.requested = False

    def install(self) -> None:
        """Start handling SIGINT, SIGTERM and SIGHUP; call it in the main thread."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._handle)

    def start(
        self, label: str, arguments: Sequence[str], *, late: bool = False, **options: Any
    ) -> subprocess.Popen[bytes]:  # fmt: skip
        """Start a child in its own session and register it, so that a stop reaches it.

        Args:
            label: What it is, for messages.
            arguments: The program and its arguments.
            late: Whether it starts in a stopped run too: a short look that the records of the run need.
            options: Further arguments of `Popen`.

        Raises:
            StoppedError: The run was asked to stop; nothing was started.
            OSError: The program cannot be run.
        """
        with self._lock:
            if not late:
                self.check(label)
            child = subprocess.Popen(arguments, start_new_session=True, stdin=subprocess.DEVNULL, **options)
            self._children[child] = label
            if self.requested and not late:  # the signal arrived in this thread while the child was being started
                self._interrupt(child)
        return child

    def ended(self, child: subprocess.Popen[bytes]) -> None:
        """Unregister a child that has ended."""
        with self._lock:
            self._children.pop(child, None)

    def check(self, label: str) -> None:
        """Raise StoppedError if the run was asked to stop."""
        if self.requested:
            raise StoppedError(
                f"{label}: not started, the run was asked to stop",
                untouched="it was not started",
                next_step="run the same command again; it continues from here",
            )

    @contextlib.contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """Within this, call a function when the run is asked to stop, at once if it was; in the signal's handler."""
        with self._lock:
            self._wakes.append(wake)
            if self.requested:
                wake()
        try:
            yield
        finally:
            with self._lock:
                self._wakes.remove(wake)

    def wait(self, seconds: float) -> bool:
        """Sleep; returns True if the run was asked to stop meanwhile."""
        return self._woken.wait(seconds)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        with self._lock:
            if self.requested:
                self._abandon(f"{name} again: no longer waiting")
            labels = ", ".join(sorted(self._children.values()))
            self.requested = True
            self._woken.set()
            for wake in self._wakes:
                wake()
            for child in self._children:
                self._interrupt(child)
        limit = "" if self._grace is None else f", for at most {self._grace:g} s"
        waits = f"; waiting for {labels} to finish{limit}" if labels else ""
        self._say(f"{name}: stopping{waits}")
        if self._grace is not None:
            timer = threading.Timer(self._grace, self._give_up)
            timer.daemon = True
            timer.start()

    def _give_up(self) -> None:
        with self._lock:
            if self._children:
                self._abandon(f"{self._grace:g} s have passed (engine.grace): no longer waiting")

    def _interrupt(self, child: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGINT)

    def _abandon(self, text: str) -> None:
        """Exit at once and leave the engine to finish on its own: it saves its state without us."""
        if self._children:
            labels = ", ".join(sorted(self._children.values()))
            pids = ", ".join(str(child.pid) for child in self._children)
            text += (
                f" for {labels} (pid {pids}); it continues on its own and holds its lock until it has saved its state"
            )
        self._say(text)
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(ExitCode.FAILED)
