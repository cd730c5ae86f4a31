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


class Teller:
    """Tells again and again what long applies are at work on, in one thread for all of them.

    Args:
        every: Seconds between two times; 0 tells nothing.
        tell: Is given the label of an apply, the seconds since it began, and what is under way.
    """

    def __init__(self, every: float, tell: Callable[[str, float, str], None]) -> None:
        self._every, self._tell = every, tell
        self._applies: list[_Apply] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    @contextmanager
    def telling(self, label: str, progress: Progress) -> Iterator[None]:
        """Around an apply; after it, nothing is told of it any more."""
        apply = _Apply(label, progress, self._every)
        if self._every:
            self._add(apply)
        try:
            yield
        finally:
            if self._every:
                with self._changed:
                    self._applies.remove(apply)
            apply.end()

    def _add(self, apply: _Apply) -> None:
        with self._changed:
            self._applies.append(apply)
            if len(self._applies) == 1:  # else the thread waits for one that is due before
                self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep_telling, name="progress", daemon=True)
                self._thread.start()

    def _keep_telling(self) -> None:
        while True:
            self._next().tell(self._tell)

    def _next(self) -> _Apply:
        """The apply that is due next, once it is."""
        with self._changed:
            while True:
                first = min(self._applies, key=lambda apply: apply.due, default=None)
                left = first.due - time.monotonic() if first is not None else None
                if first is not None and left is not None and left <= 0:
                    first.due += self._every
                    return first
                self._changed.wait(left)


class _Apply:
    def __init__(self, label: str, progress: Progress, every: float) -> None:
        self._label, self._progress = label, progress
        self._began = time.monotonic()
        self._has_ended = False
        self._lock = threading.Lock()
        self.due = self._began + every

    def tell(self, tell: Callable[[str, float, str], None]) -> None:
        with self._lock:
            if not self._has_ended:
                tell(self._label, time.monotonic() - self._began, self._progress.look())

    def end(self) -> None:
        with self._lock:
            self._has_ended = True
            self._progress.close()
