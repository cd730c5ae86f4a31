"""What a terminal or a job's log can show: colours, and how much fits on a line."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import TextIO

    from .ci import Kind

_COLOURFUL = frozenset({"gitlab", "github"})  # their logs show the colours of terminals
_NARROWEST = 40
_COMMAND = re.compile(r"`[^`\n]+`")
_TYPED = re.compile(r" {4}(?:\(cd |[A-Z][A-Z_]*=|kill |psql )")  # a command on a line of its own, to be copied whole
_BAR = re.compile(r" *\| ")  # stands before each line of a stack's changes
_FIRST = re.compile(r" *\S+(?: \S+)* {2,}(?=\S)")  # a column that is followed by another one
_FIRST_SHARE = 3  # of the width: what follows a wider column does not stand below the next one
_GAP = re.compile(r"(?<=\S) {3,}(?=\S)")
_LAST = re.compile(r"(.*\S) {2,}(\S.*)")  # the columns before the last one, and that
_PAINTED = re.compile(r"\x1b\[([0-9;]*)m(.*)\x1b\[0m")


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
    """A line with its style; `quoted` is what a program said, or a value, and is not wrapped."""

    text: str
    style: Style = Style.PLAIN
    quoted: bool = False


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
    stream = stream or sys.stdout
    if not _is_terminal(stream):
        return None
    size = shutil.get_terminal_size() if stream is sys.stdout else os.get_terminal_size(stream.fileno())
    return max(size.columns, _NARROWEST)


def painted(text: str, style: Style) -> str:
    """A line in its style."""
    return f"\x1b[{style}m{text}\x1b[0m" if style and text else text


def wrapped(line: str, most: int | None) -> list[str]:
    """A line as the lines that fit; words, paths and commands in backquotes stay whole, however long they are.

    What follows the first line stands below its second column, or is indented. Only the line itself decides that: an
    answer that is shown again later is kept with its lines as they are, and wrapped for the terminal of that time.

    Args:
        line: One line or several.
        most: How many columns there are; None if lines have no limit.
    """
    if most is None:
        return [line]
    return [
        found
        for part in line.split("\n")
        for found in ([part] if len(part) <= most or _TYPED.match(part) else _broken(part, most))
    ]


def _broken(line: str, most: int) -> list[str]:
    column = _FIRST.match(line)
    if column and column.end() > most // 2:  # columns that leave no room for what stands in them
        line = _GAP.sub("  ", line)
    hang = _hang(line, most)
    row = _LAST.fullmatch(line)
    if row and len(row[1]) <= most < len(line) and len(hang) + len(row[2]) <= most:  # the last column stays whole
        return [row[1], hang + row[2]]
    whole = _COMMAND.sub(lambda found: found[0].replace(" ", "\0"), line)
    parts = textwrap.wrap(whole, most, subsequent_indent=hang, break_long_words=False, break_on_hyphens=False)
    return [part.replace("\0", " ") for part in parts or [""]]


def _hang(line: str, most: int) -> str:
    """What stands before the second line."""
    bar = _BAR.match(line)
    lead = bar[0] if bar else ""
    rest = line[len(lead) :]
    column = _FIRST.match(rest)
    if column and len(lead) + column.end() <= most // _FIRST_SHARE:
        return lead + " " * column.end()
    return lead + " " * (len(rest) - len(rest.lstrip(" ")) + 2)


def fitted(lines: Iterable[Styled], most: int | None) -> list[Styled]:
    """The lines as the ones that fit; what is quoted stays as it is."""
    return [
        line._replace(text=text)
        for line in lines
        for text in ([line.text] if line.quoted else wrapped(line.text, most))
    ]


def fit(text: str, stream: TextIO | None = None) -> str:
    """A text of our own as it fits on the terminal behind a stream; as it is where there is none."""
    return "\n".join(wrapped(text, columns(stream)))


def restyled(text: str, most: int | None, *, colours: bool) -> str:
    """A text whose lines were painted when they were kept, as it fits now, with its colours or without them."""
    lines = []
    for line in text.split("\n"):
        found = _PAINTED.fullmatch(line)
        parts = fitted([Styled(found[2], Style(found[1])) if found else Styled(line)], most)
        lines += [painted(part.text, part.style) if colours else part.text for part in parts]
    return "\n".join(lines)


def joined(lines: Sequence[Styled]) -> str:
    """The lines as plain text."""
    return "\n".join(line.text for line in lines)


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # it is closed
        return False
