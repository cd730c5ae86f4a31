"""Responses of one API, for the looks that began together: they ask for the same thing once."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

_MOST = 16  # responses that are kept, one of which may have megabytes; looks that wait for one have it in any case


@dataclass
class _Asked:
    """A request: when it was sent, until when it waits, whether it has ended, and what came of it.

    Its sender holds `pending`. Those that wait take it one after the other: thousands of threads that wake at once
    spend their time on waiting for the interpreter.
    """

    sent: float
    ends: float
    pending: threading.Lock = field(default_factory=threading.Lock)
    answered: bool = False
    answer: Any = None


class Answers:
    """The latest requests."""

    def __init__(self) -> None:
        self._lock, self._latest = threading.Lock(), dict[Any, _Asked]()

    def get(self, what: Hashable, ask: Callable[[], Any], *, since: float, ends: float) -> Any:
        """The response to a request that was sent since a moment; it must not be changed.

        Args:
            what: What is asked for.
            ask: Sends the request; what it raises is raised to its caller only, and the others ask for themselves.
            since: A response to an earlier request is too old.
            ends: Until when the caller waits; a request that waits less long is not enough.
        """
        with self._lock:
            found = self._latest.get(what)
            mine = found is None or found.sent < since or found.ends < ends - 1
            if found is None or mine:
                found = _Asked(time.monotonic(), ends)
                found.pending.acquire()
                self._latest.pop(what, None)
                self._latest[what] = found
                if len(self._latest) > _MOST:
                    del self._latest[next(iter(self._latest))]
        if mine:
            try:
                found.answer, found.answered = ask(), True
            finally:
                found.pending.release()
        elif not found.pending.acquire(timeout=max(ends - time.monotonic(), 0)):
            raise TimeoutError
        else:
            found.pending.release()
        return found.answer if found.answered else ask()
