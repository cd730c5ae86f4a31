"""The process's standard streams: open whatever started it, and able to take any text."""

from __future__ import annotations

import os
import sys
from typing import TextIO

_STREAMS = ((0, "stdin", os.O_RDONLY), (1, "stdout", os.O_WRONLY), (2, "stderr", os.O_WRONLY))


def prepare() -> None:
    """Open what is closed, and let no character end a run.

    A closed descriptor would be taken by the next file that is opened, and children would print into it.
    """
    for number, name, mode in _STREAMS:
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # the lowest free number: this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "r" if mode == os.O_RDONLY else "w", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # a test may have put another object there
        if reconfigure:
            reconfigure(errors="backslashreplace")


def silence(stream: TextIO) -> None:
    """Send what is written from now on nowhere: a flush at the process's end would otherwise fail again."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
