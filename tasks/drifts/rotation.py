"""Which stacks a check for drift looks at, and in which order: a shard of them, and those within a budget of time."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_SHARD = re.compile(r"(\d{1,5})/(\d{1,5})")


@dataclass(frozen=True)
class Shard:
    """One of several parts of all stacks. A stack's part depends on its name alone, so it never moves with others.

    Args:
        number: Which one, from 1.
        count: How many there are.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard `2/8`.

        Raises:
            ValueError: It is not one.
        """
        match = _SHARD.fullmatch(text)
        shard = cls(int(match[1]), int(match[2])) if match else None
        if shard is None or not 1 <= shard.number <= shard.count:
            raise ValueError(f"`{text}` is not a shard such as `2/8`")
        return shard

    def has(self, stack: str) -> bool:
        """Whether a stack belongs to it."""
        return int.from_bytes(sha256(stack.encode()).digest()[:8]) % self.count == self.number - 1

    def __str__(self) -> str:
        """The shard as it was given."""
        return f"{self.number}/{self.count}"


def in_turn(stacks: Iterable[str], turns: Mapping[str, int]) -> list[str]:
    """The stacks in the order in which they are due: those that were never looked at, then the longest ago.

    Args:
        stacks: Their names.
        turns: The number of the latest look at each, counted over all stacks and runs.
    """
    return sorted(stacks, key=lambda name: (turns.get(name, 0), name))


class Budget:
    """The time within which stacks are begun. The first one always is, so that every run gets on.

    Args:
        seconds: How long; None for no limit.
        started: When the run began, by the clock.
        clock: Returns the time.
    """

    def __init__(self, seconds: float | None, started: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._started, self._clock = seconds, started, clock
        self._begun = False
        self._lock = threading.Lock()

    def begin(self) -> bool:
        """Whether one more stack may begin."""
        with self._lock:
            over = self._seconds is not None and self._clock() - self._started >= self._seconds
            if over and self._begun:
                return False
            self._begun = True
            return True
