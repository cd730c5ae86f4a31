"""A program that is no engine: run to its end in its own session within a limit, and ended with all it started."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from .stop import Stop

GRACE = 5.0  # seconds between SIGTERM and SIGKILL
_LOOK = 0.05


@dataclass(frozen=True)
class Ended:
    """An ended program: its exit code, None when it was ended from here; what it printed, not masked."""

    code: int | None
    output: str

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.code == 0


def run(
    stop: Stop, label: str, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float,
    descriptors: Collection[int] = (),
) -> Ended:  # fmt: skip
    """Run a program to its end.

    Args:
        stop: Starts it, and interrupts it when the run is to stop; then it and all it started are ended.
        label: What it is, for messages.
        arguments: The program and its arguments, never secret.
        cwd: Its folder.
        env: Its whole environment.
        timeout: Seconds until it and all it started are ended.
        descriptors: File descriptors that it holds as long as it lives.

    Raises:
        StoppedError: The run was asked to stop before it began.
        OSError: It cannot be run.
    """
    with tempfile.TemporaryFile() as output:
        child = stop.start(
            label, arguments, cwd=cwd, env=dict(env), stdout=output, stderr=subprocess.STDOUT, pass_fds=descriptors
        )
        try:
            code = _wait(child, stop, time.monotonic() + timeout)
        finally:
            end_group(child)  # what it started must not write on
            stop.ended(child)
        output.seek(0)
        return Ended(code, output.read().decode("utf-8", "replace"))


def _wait(child: subprocess.Popen[bytes], stop: Stop, deadline: float) -> int | None:
    while True:
        with suppress(subprocess.TimeoutExpired):
            return child.wait(_LOOK)
        if stop.requested or time.monotonic() >= deadline:
            return None


def end_group(child: subprocess.Popen[bytes]) -> None:
    """End a child in its own session, and all it started there."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)
        end = time.monotonic() + GRACE
        while child.poll() is None and time.monotonic() < end:
            time.sleep(_LOOK)
    child.wait()
