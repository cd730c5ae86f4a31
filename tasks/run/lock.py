"""The environment lock, which keeps two runs from changing one environment at once."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

from ..base.clock import now
from ..base.errors import RecordError, RunLockedError
from ..base.files import HeldError, holder, locked
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
        self._held = ExitStack()

    def take(self, command: str) -> None:
        """Lock this environment until the process ends.

        Raises:
            RunLockedError: Another run holds it; the error says which.
            RecordError: The folder cannot be written.
        """
        path = self._layout.run_lock
        note = f"`{command}`, pid {os.getpid()} on {socket.gethostname()}, since {now()}\n"
        try:
            prepare(self._layout, path.parent)
            self._held.enter_context(locked(path, wait=False, note=note))
        except HeldError as error:
            raise RunLockedError(
                f"another run holds environment '{self._layout.environment}': {error}",
                where=self._layout.relative(path),
                untouched="nothing was planned or applied",
                next_step="wait for it to end, then run the same command again; the lock ends with that process",
            ) from None
        except OSError as error:
            raise RecordError(
                f"cannot write to {self._layout.relative(path.parent)}: {error.strerror}",
                untouched="nothing was planned or applied",
                next_step="free disk space or make the folder writable, then run the same command again",
            ) from error

    def holder(self) -> str | None:
        """The run that currently holds this environment, in words; None if it is free."""
        return holder(self._layout.run_lock)

    def release(self) -> None:
        """Release the environment."""
        self._held.close()
