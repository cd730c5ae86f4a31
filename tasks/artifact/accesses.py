"""Reads a process's file accesses from strace's output."""

from __future__ import annotations

import codecs
import os
import posixpath
import re
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

OPTIONS = (
    "-D",
    "--seccomp-bpf",
    "-f",
    "-qq",
    "-y",
    "-s",
    "4096",
    "-e",
    "trace=%file,getdents64",
)  # the calls that are parsed here
_CALL = re.compile(r'^\d+ +(\w+)\((?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"')
_IS_FOLDER, _WRITES = re.compile(r"\bO_DIRECTORY\b"), re.compile(r"\bO_WRONLY\b")
_LISTED = re.compile(r"^\d+ +getdents64\(\d+<([^>]*)>")


class How(StrEnum):
    """What was done with a path."""

    OPENED = "opened"
    LISTED = "listed"
    LOOKED_UP = "looked up"
    MISSED = "missed"


class Access(NamedTuple):
    """One thing that was done with a path."""

    path: str
    how: How


def read(lines: Iterable[str], folder: str) -> Iterator[Access]:
    """The accesses in lines of a trace, with absolute paths; a path that does not exist any more counts as missed.

    Args:
        lines: The lines.
        folder: Where the process ran.
    """
    for line in lines:
        if _WRITES.search(line):
            continue
        if (listed := _LISTED.match(line)) is not None:
            yield Access(posixpath.normpath(_unescaped(listed[1])), How.LISTED)
        elif (call := _CALL.match(line)) is not None:
            path = posixpath.normpath(posixpath.join(_unescaped(call[2] or folder), _unescaped(call[3])))
            yield Access(path, _how(path, call[1], line))


def _how(path: str, call: str, line: str) -> How:
    if not os.path.lexists(path):
        return How.MISSED
    opened = call.startswith("open") and not _IS_FOLDER.search(line) and not os.path.isdir(path)  # noqa: PTH112 - a text
    return How.OPENED if opened else How.LOOKED_UP


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    return codecs.escape_decode(text.encode("utf-8", "surrogateescape"))[0].decode("utf-8", "surrogateescape")
