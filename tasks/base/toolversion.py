"""The versions of programs, asked once for each file they are: a run that has nothing to do starts no process."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from .errors import RecordError
from .files import read_json, write_json
from .layout import cache_dir

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def known(binary: Path, key: str, ask: Callable[[], str | None]) -> str | None:
    """The version of a program; None when it is not there, or when asking finds none.

    A file that was replaced is asked again, also by one of the same time and size: its inode or its ctime differs.

    Args:
        binary: The program's file.
        key: What is asked, unique among all questions.
        ask: Asks it.
    """
    try:
        real = binary.resolve()
        status = real.stat()
    except (OSError, RuntimeError):  # the latter for links in a circle
        return None
    stamp = [str(real), status.st_dev, status.st_ino, status.st_ctime_ns, status.st_mtime_ns, status.st_size]
    record = cache_dir() / "versions.json"
    try:
        answers = read_json(record)
    except RecordError:
        answers = None
    answers = answers if isinstance(answers, dict) else {}
    entry = answers.get(key)
    if isinstance(entry, dict) and entry.get("stamp") == stamp:
        return str(entry["version"])
    version = ask()
    if version is not None:
        with suppress(RecordError):  # it is asked again next time
            write_json(record, {**answers, key: {"stamp": stamp, "version": version}}, durable=False)
    return version
