"""The crash log: the traceback of an unexpected error, with the versions that a bug report needs."""

from __future__ import annotations

import os
import sys
import traceback
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from .files import append

if TYPE_CHECKING:
    from pathlib import Path

    from .masking import Masker


def keep(
    path: Path, shown: str, task: str, error: BaseException, mask: Masker, *, engine: str | None = None
) -> str:  # fmt: skip
    """Append an error to the log, with secrets masked; returns the next step.

    Args:
        path: The log.
        shown: The log's path as messages show it.
        task: The task that was running.
        error: The error.
        mask: The known secrets.
        engine: The engine and its version, if one was in use.
    """
    versions = [f"{name} {_version(name)}" for name in ("doit-tofu", "doit")]
    versions += [f"Python {sys.version.split()[0]}", engine or "no engine yet", _system()]
    head = f"{datetime.now(UTC).isoformat(timespec='seconds')} {task}"
    text = "".join(traceback.format_exception(error))
    try:
        append(path, mask.text(f"{head}\n{', '.join(versions)}\n{text}\n"))
    except OSError:
        return "report this bug; its traceback could not be written"
    return f"report this bug and attach {shown}"


def _system() -> str:
    """The operating system; `platform`, which knows it too, costs each start of a run 2 ms."""
    known = os.uname()
    return f"{known.sysname} {known.release} {known.machine}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # when run from its own repository
        return "(not installed)"
