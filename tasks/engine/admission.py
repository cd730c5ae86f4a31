"""Engine processes: never more at once than `-n` says and the machine has memory for, and how they use it."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..base import memory
from .command import CONFIGURES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..base.stop import Stop

_MB = 1 << 20
_ENGINE = 150 * _MB
_LOOK = 0.2  # seconds between two looks at whether the run was asked to stop
_LEFT_FREE = 0.9  # the share of the memory that processes of ours may fill
_RELAXED = "400"  # collect garbage when the heap is five times what was in use, not twice: a quarter less work
_ROOM = 1 << 30  # bytes for a process, from which on that is no risk
_SHARES = 4  # what a task may run at once: the engine and providers, each with a heap of its own


class Admission:
    """Admits as many engine processes at once as `-n` says, if there is memory for what they start; one always.

    Args:
        provider: How many megabytes a provider's process takes.
        parallel: How many engine processes may run at once.
        stop: Ends the waiting.
        say: Prints a line.
        available: The bytes that are available when the first process starts; None where that is not known.
    """

    def __init__(
        self, provider: int, parallel: int, stop: Stop, say: Callable[[str], None],
        available: Callable[[], int | None] = memory.available,
    ) -> None:  # fmt: skip
        self._provider = provider * _MB
        self._parallel = parallel
        self._stop, self._say = stop, say
        self._available = available
        self._free: float | None = None
        self._running = 0
        self._told = False
        self._changed = threading.Condition()

    @contextmanager
    def admitted(self, label: str, command: str, providers: int) -> Iterator[float]:
        """Around an engine process: waits until it is its turn and there is memory for it; yields the seconds.

        Args:
            label: What waits, for messages.
            command: The engine's command.
            providers: How many providers it starts.

        Raises:
            StoppedError: The run was asked to stop while it waited.
        """
        began = time.monotonic()
        need = _ENGINE + (self._provider * providers if command in CONFIGURES else 0)
        with self._changed:
            if self._free is None:
                self._free = self._measured()
            while self._running >= self._parallel or (self._running and need > self._free):
                if self._running < self._parallel:
                    self._tell(label)
                self._changed.wait(_LOOK)
                self._stop.check(label)
            self._free -= need
            self._running += 1
        try:
            yield time.monotonic() - began
        finally:
            with self._changed:
                self._free += need
                self._running -= 1
                self._changed.notify_all()

    def _measured(self) -> float:
        found = self._available()
        return float("inf") if found is None else found * _LEFT_FREE

    def _tell(self, label: str) -> None:
        if not self._told:
            self._told = True
            self._say(
                f"{label} waits: free memory is enough for {self._running} engine processes"
                f" with their providers ({self._provider // _MB} MB each, `engine.provider_memory`)"
            )

    def collector(self, given: Mapping[str, str]) -> dict[str, str]:
        """The environment variables that make the engine collect garbage less often, where there is memory for it.

        An engine process lives for a moment, and a quarter of its work is to collect what it could have left lying. The
        limit makes it collect as ever before it takes what others need. Nothing where the environment says otherwise.

        Args:
            given: The environment.
        """
        found = self._available()
        share = 0 if found is None else found // (self._parallel * _SHARES)
        if share < _ROOM or "GOGC" in given or "GOMEMLIMIT" in given:
            return {}
        return {"GOGC": _RELAXED, "GOMEMLIMIT": str(share)}
