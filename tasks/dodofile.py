"""What is wrong with a `dodo.py` that cannot be imported, in words, and the next step."""

from __future__ import annotations

import traceback
from pathlib import Path

from .base.unseen import one_line

_NAME = "dodo.py"
_LONGEST = 300


def of_error(error: Exception) -> str | None:
    """What to say instead of a traceback; None if the error is not one of the file itself."""
    line = _line(error)
    if line is None:
        return None
    what = error.msg if isinstance(error, SyntaxError) else str(error)
    said = one_line(f"{type(error).__name__}: {what}")[:_LONGEST]
    return (
        f"{_NAME} cannot be imported: {said}\n  where: {_NAME}:{line}\n  untouched: nothing was run\n"
        f"  next: correct it; `python {_NAME}` shows the whole error"
    )


def _line(error: Exception) -> int | None:
    """The line of the file in which it failed; None if that was elsewhere, or later, in one of its functions."""
    if isinstance(error, SyntaxError) and Path(error.filename or "").name == _NAME:
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    return next(
        (frame.lineno for frame in frames if frame.name == "<module>" and Path(frame.filename).name == _NAME), None
    )
