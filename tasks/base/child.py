"""A child process of the user's own, waited for within a limit; then it and all it started are ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_GRACE = 5.0  # seconds between SIGTERM and SIGKILL
_LOOK = 0.05


def wait(child: subprocess.Popen[bytes], seconds: float, unwanted: Callable[[], bool] = lambda: False) -> int | None:
    """The exit code, or None when the child, a leader of its own group, took too long and was ended.

    Args:
        child: The child.
        seconds: How long it may take.
        unwanted: Whether nobody waits for it any more; it is ended then.
    """
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not unwanted():
        with suppress(subprocess.TimeoutExpired):
            return child.wait(min(left, _LOOK))
    end_group(child)
    return None


def how(code: int | None, seconds: float) -> str:
    """How a child ended that did not end well, in words; see `wait`."""
    return f"took longer than {seconds:g} s" if code is None else f"ended with {code}"


def end_group(child: subprocess.Popen[bytes]) -> None:
    """End a child, a leader of its own group, and all it started there."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)
        end = time.monotonic() + _GRACE
        while child.poll() is None and time.monotonic() < end:
            time.sleep(_LOOK)
    child.wait()
