"""What a long apply is at work on, read from the JSON stream that the engine writes while it runs."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..base import jsontext
from ..base.text import few

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BLOCK = 1 << 16
_MOST = 5
_ENDED = ("apply_complete", "apply_errored")


class Progress:
    """The resources that an apply has begun and not ended.

    Args:
        stream: The descriptor of the file that the stream goes to; its offset is left alone.
    """

    def __init__(self, stream: int) -> None:
        self._stream = stream
        self._read = 0
        self._rest = b""
        self._under_way: dict[str, tuple[str, float]] = {}

    def look(self) -> str:
        """What is under way now, as far as the engine has said: `terraform_data.x (create, 61 s)`; or nothing."""
        while block := os.pread(self._stream, _BLOCK, self._read):
            self._read += len(block)
            *lines, self._rest = (self._rest + block).split(b"\n")
            for line in lines:
                self._take(line)
        return few(
            [f"{name} ({action}, {seconds:.0f} s)" for name, (action, seconds) in self._under_way.items()], _MOST
        )

    def _take(self, line: bytes) -> None:
        try:
            event = jsontext.loads(line)
            kind, hook = event["type"], event["hook"]
            name = str(hook["resource"]["addr"])
        except (ValueError, KeyError, TypeError):
            return  # an event about something else
        if kind in ("apply_start", "apply_progress"):
            self._under_way[name] = (str(hook.get("action") or "apply"), _seconds(hook))
        elif kind in _ENDED:
            self._under_way.pop(name, None)


def _seconds(hook: dict[str, Any]) -> float:
    found = hook.get("elapsed_seconds")
    return float(found) if isinstance(found, int | float) else 0.0


@contextmanager
def told(progress: Progress, every: float, tell: Callable[[float, str], None]) -> Iterator[None]:
    """Tell again and again what is under way, until this ends.

    Args:
        progress: What is under way.
        every: Seconds in between; 0 tells nothing.
        tell: Is given the seconds since the beginning and what is under way.
    """
    if not every:
        yield
        return
    ended, began = threading.Event(), time.monotonic()

    def beat() -> None:
        while not ended.wait(every):
            tell(time.monotonic() - began, progress.look())

    thread = threading.Thread(target=beat, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
