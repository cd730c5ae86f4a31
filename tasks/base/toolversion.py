"""Remembers the versions of programs by file, so that a run with nothing to do starts no process.

Not in the cache, which jobs of merge requests may share: an older engine would be taken for the one that is wanted.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from .errors import RecordError
from .files import read_json, write_json
from .layout import state_dir

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def known(binary: Path, key: str, ask: Callable[[], str | None]) -> str | None:
    """The version of a program; None if it does not exist or reports none.

    A replaced file is asked again, even if its time and size are the same: its inode or ctime differs.

    Args:
        binary: The program's file.
        key: The cache key of this question.
        ask: Runs the program and returns its version.
    """
    try:
        real = binary.resolve()
        status = real.stat()
    except (OSError, RuntimeError):  # the latter for circular links
        return None
    stamp = [str(real), status.st_dev, status.st_ino, status.st_ctime_ns, status.st_mtime_ns, status.st_size]
    record = state_dir() / "versions.json"
    try:
        answers = read_json(record)
    except RecordError:
        answers = None
    answers = answers if isinstance(answers, dict) else {}
    entry = answers.get(key)
    if isinstance(entry, dict) and entry.get("stamp") == stamp and isinstance(known := entry.get("version"), str):
        return known
    version = ask()
    if version is not None:
        with suppress(RecordError):  # asked again next time
            write_json(record, {**answers, key: {"stamp": stamp, "version": version}}, durable=False)
    return version
