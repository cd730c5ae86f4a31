"""The process's standard streams: always open, and able to take any text."""

from __future__ import annotations

import os
import sys
from typing import TextIO

_STREAMS = ((0, "stdin", os.O_RDONLY), (1, "stdout", os.O_WRONLY), (2, "stderr", os.O_WRONLY))


def prepare() -> None:
    """Open closed streams, and keep unprintable characters from ending a run.

    The next file opened would get a closed stream's descriptor, and children would print into that file.
    """
    for number, name, mode in _STREAMS:
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # the lowest free number: this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "r" if mode == os.O_RDONLY else "w", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # a test may have replaced it by another object
        if reconfigure:
            reconfigure(errors="backslashreplace")


def silence(stream: TextIO) -> None:
    """Discard further output: otherwise the flush at exit would fail again."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
