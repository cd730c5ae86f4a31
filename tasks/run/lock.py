"""The environment lock, which keeps two runs from changing one environment at once."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from ..base.clock import now, shown
from ..base.errors import RecordError, RunLockedError
from ..base.files import HeldError, holder, locked
from ..base.layout import prepare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..base.layout import Layout


class EnvironmentLock:
    """The lock of one environment; it ends with the process that holds it.

    A second, short lock orders the runs that fill the working copy of a ledger: `status` does that, too, and no run is
    refused because of it.

    Args:
        layout: The environment's paths.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._held = ExitStack()
        self._filling = ExitStack()

    def take(self, command: str, *, filling: bool = False, besides: str = "") -> None:
        """Lock this environment until the process ends.

        Args:
            command: The command, for others to see.
            filling: Whether the run fills the working copy of a ledger: then it also waits for others that do, and they
                wait until `filled`.
            besides: What else a person may do if another run holds it.

        Raises:
            RunLockedError: Another run holds it; the error says which.
            RecordError: The folder cannot be written.
        """
        path = self._layout.run_lock
        note = f"`{command}`, pid {os.getpid()} on {socket.gethostname()}, since {shown(now())}\n"
        try:
            prepare(self._layout, path.parent)
            if filling:
                self._filling.enter_context(locked(self._layout.ledger_lock))
            self._held.enter_context(locked(path, wait=False, note=note))
        except HeldError as error:
            self.filled()
            raise RunLockedError(
                f"another run holds environment '{self._layout.environment}': {error}",
                where=self._layout.relative(path),
                untouched="nothing was planned or applied",
                next_step="wait for it to end, then run the same command again; the lock ends with that process"
                + besides,
            ) from None
        except OSError as error:
            raise self._unwritable(error) from error

    def filled(self) -> None:
        """The working copy is filled: others may read it."""
        self._filling.close()

    @contextmanager
    def reading(self) -> Iterator[bool]:
        """Wait until no run is filling the working copy; yields whether this run may: no other holds the environment.

        Raises:
            RecordError: The folder cannot be written.
        """
        try:
            prepare(self._layout, self._layout.base)
            self._filling.enter_context(locked(self._layout.ledger_lock))
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            yield self.holder() is None
        finally:
            self.filled()

    def _unwritable(self, error: OSError) -> RecordError:
        return RecordError(
            f"cannot write to {self._layout.relative(self._layout.base)}: {error.strerror}",
            untouched="nothing was planned or applied",
            next_step="free disk space or make the folder writable, then run the same command again",
        )

    def holder(self) -> str | None:
        """The run that currently holds this environment, in words; None if it is free."""
        return holder(self._layout.run_lock)

    def release(self) -> None:
        """Release the environment."""
        self.filled()
        self._held.close()
