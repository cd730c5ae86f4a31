"""Records with strace which files the engine and its providers access."""

from __future__ import annotations

import os
import select
import shutil
import sys
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from ..artifact import accesses
from ..base import process, sealed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..artifact.accesses import Access

_PROBE_SECONDS = 20
_WRITING_SECONDS = 30.0  # strace is not the engine's parent, so it may still be writing after the engine has ended


class Trace:
    """A recording in progress, in memory.

    Args:
        record: The descriptor of the file that strace writes to.
    """

    def __init__(self, record: int) -> None:
        self._record = record
        self._watched, self._held = os.pipe()

    @property
    def command(self) -> list[str]:
        """The command-line prefix; strace runs as the engine's child, so signals reach the engine."""
        return ["strace", *accesses.OPTIONS, "-o", sealed.path_of(self._record)]

    @property
    def descriptors(self) -> tuple[int, int]:
        """The descriptors that strace inherits: the record, and a pipe end that closes when it is done."""
        return self._record, self._held

    def accesses(self, folder: Path) -> list[Access]:
        """The accesses, once strace is done; call it after the engine has ended.

        Args:
            folder: Where the engine ran.
        """
        os.close(self._held)
        self._held = -1
        select.select([self._watched], [], [], _WRITING_SECONDS)
        with open(self._record, encoding="utf-8", errors="surrogateescape", closefd=False) as lines:
            lines.seek(0)
            return sorted(set(accesses.read(lines, str(folder))))

    def close(self) -> None:
        """Release its descriptors."""
        for descriptor in (self._record, self._watched, self._held):
            if descriptor >= 0:
                os.close(descriptor)


@contextmanager
def recording() -> Iterator[Trace]:
    """A recording that is removed at the end of the context."""
    trace = Trace(sealed.blank())
    try:
        yield trace
    finally:
        trace.close()


@cache
def problem() -> str | None:
    """Why the engine cannot be watched here; None if it can."""
    if not sys.platform.startswith("linux"):
        return "only Linux can record the file accesses of a process"
    if shutil.which("strace") is None:
        return "strace is not on PATH"
    command = ["strace", *accesses.OPTIONS, "cat", "/dev/null"]
    try:
        said = process.ask(command, env=process.kept_environment(), timeout=_PROBE_SECONDS)
    except OSError as error:
        return f"strace cannot be run: {error.strerror}"
    if said.ok and '"/dev/null"' in said.errors:
        return None
    return f"strace may not trace here: {' '.join(said.errors.split())[:200] or 'it recorded nothing'}"
