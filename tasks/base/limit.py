"""The time that something may take; what it spends waiting for its turn does not count."""

from __future__ import annotations

import time


class Limit:
    """A time limit that begins now.

    Args:
        seconds: How long it may take.
    """

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self.end

    def extend(self, seconds: float) -> None:
        """Add seconds that passed before it could go on."""
        self.end += seconds
