"""What a long apply is at work on, read from the JSON stream that the engine writes while it runs."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..base import jsontext
from ..base.jsonvalue import fields
from ..base.text import few

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..base.jsonvalue import JsonObject

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
        self._under_way: dict[str, tuple[str, float]] = {}  # what is done, and since when
        self._lock = threading.Lock()
        self._closed = False

    def look(self, joint: str = ", ") -> str:
        """What is under way now, as far as the engine has said: `terraform_data.x (create, 61 s)`; or nothing."""
        with self._lock:
            self._read_on()
            clock = time.monotonic()
            items = [f"{name} ({action}, {clock - since:.0f} s)" for name, (action, since) in self._under_way.items()]
        return few(items, _MOST, joint)

    def close(self) -> None:
        """Stop reading: the descriptor is about to be closed."""
        with self._lock:
            self._closed = True

    def _read_on(self) -> None:
        while not self._closed and (block := os.pread(self._stream, _BLOCK, self._read)):
            self._read += len(block)
            *lines, self._rest = (self._rest + block).split(b"\n")
            for line in lines:
                self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            event = fields(jsontext.loads(line))
            kind, hook = event["type"], fields(event["hook"])
            name = str(fields(hook["resource"])["addr"])
        except (ValueError, KeyError):
            return  # an event about something else
        if kind in ("apply_start", "apply_progress"):
            since = time.monotonic() - _seconds(hook)
            _, known = self._under_way.get(name, ("", since))
            self._under_way[name] = (str(hook.get("action") or "apply"), min(known, since))
        elif kind in _ENDED:
            self._under_way.pop(name, None)


def _seconds(hook: JsonObject) -> float:
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
        try:
            yield
        finally:
            progress.close()
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
        progress.close()
