"""What a terminal or a job's log can show: colours, and how many columns there are."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO

    from .ci import Kind

_COLOURFUL = frozenset({"gitlab", "github"})  # their logs show the colours of terminals
_NARROWEST = 40


class Style(StrEnum):
    """How a line is shown; the value is the SGR code, https://en.wikipedia.org/wiki/ANSI_escape_code#SGR."""

    PLAIN = ""
    FAILED = "1;31"
    REMOVED = "31"
    ADDED = "32"
    WARNING = "33"
    PLACE = "36"
    GOOD = "1;32"
    QUIET = "2"


class Styled(NamedTuple):
    """A line with its style."""

    text: str
    style: Style = Style.PLAIN


def has_colours(stream: TextIO, kind: Kind, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether colours are shown where a stream ends up.

    `NO_COLOR` (https://no-color.org) turns them off, `FORCE_COLOR` (https://force-color.org) on; the first one wins.
    """
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return True
    if kind in _COLOURFUL:
        return True
    return _is_terminal(stream) and environment.get("TERM") != "dumb"


def columns(stream: TextIO | None = None) -> int | None:
    """How many columns the terminal behind a stream has; None without one, as a log has no width."""
    if not _is_terminal(stream or sys.stdout):
        return None
    return max(shutil.get_terminal_size().columns, _NARROWEST)


def painted(text: str, style: Style) -> str:
    """A line in its style."""
    return f"\x1b[{style}m{text}\x1b[0m" if style and text else text


def wrapped(line: str, most: int | None, indent: str) -> list[str]:
    """A line as the lines that fit; words, paths and commands stay whole, what follows the first line is indented."""
    if most is None:
        return [line]
    found = []
    for part in line.split("\n"):
        fits = len(part) <= most
        found += (
            [part]
            if fits
            else textwrap.wrap(part, most, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
        )
    return found


def joined(lines: Sequence[Styled]) -> str:
    """The lines as plain text."""
    return "\n".join(line.text for line in lines)


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # it is closed
        return False
