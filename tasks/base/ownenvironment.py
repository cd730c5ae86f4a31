"""Removes secrets from the copy of our environment that other processes can read.

On Linux, any descendant can read `/proc/<our pid>/environ`, the memory that holds the variables this process was
started with. Withholding a secret from a child is useless then. So the bytes of a secret are overwritten there, and the
variable is set again, to a copy that only we have.

This only covers this process. The shell that started it and process 1 of a container keep what they were given, and
anyone who can trace us (root with CAP_SYS_PTRACE) can read all of our memory.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_STAT = Path("/proc/self/stat")
_START, _END = 50 - 3, 51 - 3  # of `env_start` and `env_end`, behind the program's name; see proc_pid_stat(5)


def hide(names: Iterable[str]) -> None:
    """Take the values of some variables out of what the system shows; they stay in `os.environ`, and for C code."""
    wanted = {os.fsencode(name): value for name in set(names) if (value := os.environb.get(os.fsencode(name)))}
    block = _block() if wanted else None
    if block is None:
        return
    import ctypes

    start, length = block
    content = ctypes.string_at(start, length)
    at = 0
    for entry in content.split(b"\0"):
        name, sign, value = entry.partition(b"=")
        if sign and value and name in wanted:
            os.environb[name] = wanted[name]  # first, as C code is then led to the copy
            ctypes.memset(start + at, 0, len(entry))
        at += len(entry) + 1


def _block() -> tuple[int, int] | None:
    """Where the memory of our first environment begins, and its length; None if the system does not say."""
    try:
        fields = _STAT.read_text().rpartition(")")[2].split()
        start, end = int(fields[_START]), int(fields[_END])
    except (OSError, ValueError, IndexError):
        return None
    return (start, end - start) if 0 < start < end else None
