"""The lock that keeps two runs from changing one environment at once."""

from __future__ import annotations

import fcntl
import os
import socket
from typing import IO, TYPE_CHECKING

from ..artifact.receipt import now
from ..base.errors import RecordError, RunLockedError
from ..base.layout import prepare

if TYPE_CHECKING:
    from ..base.layout import Layout


class EnvironmentLock:
    """The lock of one environment; it ends with the process that holds it.

    Args:
        layout: The environment's paths.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._stream: IO[str] | None = None

    def take(self, command: str) -> None:
        """Hold this environment until the process ends.

        Raises:
            RunLockedError: Another run holds it; says which.
            RecordError: The folder cannot be written.
        """
        path = self._layout.run_lock
        try:
            prepare(self._layout, path.parent)
            stream = path.open("a+")
        except OSError as error:
            raise RecordError(
                f"cannot write in {self._layout.relative(path.parent)}: {error.strerror}",
                untouched="nothing was planned or applied",
                next_step="make room or make the folder writable, then run the same command again",
            ) from error
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = _holder(stream)
            stream.close()
            raise RunLockedError(
                f"another run holds environment '{self._layout.environment}': {holder}",
                where=self._layout.relative(path),
                untouched="nothing was planned or applied",
                next_step="wait for it to end, then run the same command again; the lock ends with that process",
            ) from None
        stream.seek(0)
        stream.truncate()
        stream.write(f"`{command}`, pid {os.getpid()} on {socket.gethostname()}, since {now()}\n")
        stream.flush()
        self._stream = stream

    def holder(self) -> str | None:
        """The other run that holds this environment at this moment, in words; None when none does."""
        try:
            with self._layout.run_lock.open() as stream:
                try:
                    fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return _holder(stream)
        except OSError:  # there never was one, or it cannot be known
            return None
        return None

    def release(self) -> None:
        """Give the environment back."""
        if self._stream is not None:
            self._stream.seek(0)
            self._stream.truncate()
            self._stream.close()
            self._stream = None


def _holder(stream: IO[str]) -> str:
    stream.seek(0)
    return stream.read().strip() or "an unknown process"
