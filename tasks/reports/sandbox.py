"""Renders custom templates in a separate process with limited memory and time.

jinja2's sandbox keeps a template from Python's inside, and not from `"x" * 10**9` or from three loops in one another.
So a process without our environment fills it in, and the system ends it. What it answers is text, and read as such.
"""

from __future__ import annotations

import errno
import json
import os
import pickle
import sys
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base import process
from . import environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


_CPU_SECONDS, _SECONDS = 10, 60.0
_MEMORY = 1 << 29
_LONGEST = 1 << 24  # characters of what comes out


class TemplateFailedError(Exception):
    """A template could not be filled in.

    Args:
        message: Why.
        kind: What kind of error it was, as Python calls it.
        place: The template's name, where it is known.
        line: The line in it.
    """

    def __init__(self, message: str, kind: str = "Limit", place: str | None = None, line: int | None = None) -> None:
        super().__init__(message)
        self.kind, self.place, self.line = kind, place, line


@dataclass(frozen=True)
class _Filled:
    """What the process answers: the text, or what is wrong and where."""

    text: str | None = None
    wrong: str = ""
    kind: str = "Limit"
    place: str | None = None
    line: int | None = None


def render(template: str, values: Mapping[str, Any], folders: Sequence[Path] | None = None) -> str:
    """A template filled in, within bounded time and memory.

    Args:
        template: The name of a template in one of the folders; its text, if there are none.
        values: What it may use.
        folders: Where templates are, the first that has one wins.

    Raises:
        TemplateFailedError: It is broken, or takes too much of either.
    """
    given = pickle.dumps((template, dict(values), None if folders is None else [*folders]))
    variables = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if os.path.isabs(path)), "LC_ALL": "C.UTF-8"}  # noqa: PTH117 - texts
    arguments = [sys.executable, "-B", "-m", __name__]
    try:
        ended = process.ask(arguments, env=variables, timeout=_SECONDS, cwd=Path("/"), given=given)
    except OSError as error:
        raise TemplateFailedError(f"cannot start a process to render it: {error.strerror}") from error
    with suppress(ValueError, TypeError, RecursionError):
        filled = _Filled(**json.loads(ended.output))
        if filled.text is not None:
            return filled.text
        raise TemplateFailedError(filled.wrong, filled.kind, filled.place, filled.line)
    raise TemplateFailedError("exceeds the time or memory limit")


def _bound() -> None:
    """Bound this process's time and memory; only where the system can."""
    try:
        import resource
    except ImportError:
        return
    for what, most in ((resource.RLIMIT_CPU, _CPU_SECONDS), (resource.RLIMIT_AS, _MEMORY), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):
            resource.setrlimit(what, (most, most))


def _fill(template: str, values: Mapping[str, Any], folders: Sequence[Path] | None) -> _Filled:
    try:
        if folders is None:
            text = environment.sandboxed().from_string(template).render(**values)
        else:
            text = environment.over(folders).get_template(template).render(**values)
    except MemoryError:
        return _Filled(wrong="exceeds the memory limit")
    except Exception as error:  # noqa: BLE001 - whatever somebody's template does
        place, line = _place(error, folders or ())
        kind = type(error).__name__
        return _Filled(wrong=str(error) or kind, kind=kind, place=place, line=line)
    return _Filled(text) if len(text) <= _LONGEST else _Filled(wrong=f"renders to more than {_LONGEST:,} characters")


def _place(error: Exception, folders: Sequence[Path]) -> tuple[str | None, int | None]:
    """The template that an error comes from, and the line in it."""
    line, place = getattr(error, "lineno", None), getattr(error, "name", None) or getattr(error, "place", None)
    if line is None:
        for frame in traceback.extract_tb(error.__traceback__):
            path = Path(frame.filename)
            for folder in folders[:1]:
                if path.is_relative_to(folder):
                    line, place = frame.lineno, path.relative_to(folder).as_posix()
    return place, line


def _main() -> int:
    given = pickle.loads(sys.stdin.buffer.read())  # noqa: S301 - of the process that started this one
    _bound()
    answer = json.dumps(asdict(_fill(*given)))
    try:
        sys.stdout.write(answer)
        sys.stdout.flush()
    except OSError as error:
        return error.errno or errno.EPIPE
    return 0


if __name__ == "__main__":
    sys.exit(_main())
