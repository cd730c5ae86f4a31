"""What takes the machine without being an engine process, like a build: as many at once as `-n` says.

doit has more tasks than that under way, so that engine processes follow each other without a gap.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .run import Run

_LOOK = 0.2  # seconds between two looks at whether the run was asked to stop


@contextmanager
def turn(run: Run, name: str) -> Iterator[None]:
    """Waits until it is its turn.

    Args:
        run: The run.
        name: What waits, for messages.

    Raises:
        StoppedError: The run was asked to stop while it waited.
    """
    turns = run.once(_turns)
    while not turns.acquire(timeout=_LOOK):
        run.stop.check(name)
    try:
        yield
    finally:
        turns.release()


def _turns(run: Run) -> threading.Semaphore:
    return threading.Semaphore(run.parallel)
