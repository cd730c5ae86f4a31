"""The process's standard streams: always open, and able to take any text."""

from __future__ import annotations

import os
import sys
from typing import TextIO

_STREAMS = ((0, "stdin", os.O_RDONLY), (1, "stdout", os.O_WRONLY), (2, "stderr", os.O_WRONLY))


def prepare() -> None:
    """Open closed streams, and keep unprintable characters from ending a run.

    The next file opened would get a closed stream's descriptor, and children would print into that file. Ours fail to
    write to a closed output, as on a full disk: the run then knows what was not printed.
    """
    for number, name, mode in _STREAMS:
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # the lowest free number: this one
        if getattr(sys, name) is None:
            reading = mode == os.O_RDONLY
            own = number if reading else os.open(os.devnull, os.O_RDONLY)
            setattr(sys, name, os.fdopen(own, "r" if reading else "w", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # a test may have replaced it by another object
        if reconfigure:
            reconfigure(errors="backslashreplace")


def complain(text: str) -> None:
    """Print to standard error, or to standard output where that is not possible, or nowhere."""
    for stream in (sys.stderr, sys.stdout):
        try:
            stream.write(text)
            stream.flush()
        except (OSError, ValueError):
            silence(stream)
        else:
            return


def silence(stream: TextIO) -> None:
    """Discard further output: otherwise the flush at exit would fail again."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
