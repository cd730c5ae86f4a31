"""A program that is no engine: run to its end in its own session within a limit, and ended with all it started."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .child import end_group, wait

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from .stop import Stop


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
            code = wait(child, timeout, lambda: stop.requested)
        finally:
            end_group(child)  # what it started must not write on
            stop.ended(child)
        output.seek(0)
        return Ended(code, output.read().decode("utf-8", "replace"))
