"""`.dockerignore` and `.containerignore`: the files of a context that a builder does not see.

The rules are Docker's, not git's (https://docs.docker.com/build/concepts/context/#dockerignore-files): every pattern
begins at the context's folder, so `*.log` is no file in a folder below; the last pattern that matches a path, or a
folder above it, decides; `!` takes it back.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base.errors import ConfigError

if TYPE_CHECKING:
    from .hcl.fileindex import FileIndex


@dataclass(frozen=True)
class _Pattern:
    expression: re.Pattern[str]
    negated: bool


class Patterns:
    """The patterns of an ignore file.

    Raises:
        ValueError: A pattern is invalid.
    """

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self._patterns = [_pattern(line) for line in lines]

    @classmethod
    def read(cls, index: FileIndex, path: str) -> Patterns:
        """The patterns of a file.

        Raises:
            ConfigError: It cannot be read, or a pattern is invalid.
        """
        try:
            text = index.content(path).decode("utf-8-sig", "surrogateescape")
            return cls(clean(text))
        except (OSError, ValueError, re.error) as error:
            raise ConfigError(f"cannot use this ignore file: {error}", where=path) from error

    def ignore(self, path: str) -> bool:
        """Whether a path, relative to the context, is ignored."""
        parts = path.split("/")
        above = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
        ignored = False
        for pattern in self._patterns:
            if pattern.negated == ignored and any(pattern.expression.fullmatch(item) for item in above):
                ignored = not pattern.negated
        return ignored


def clean(text: str) -> list[str]:
    """The normalized patterns of a text, without comments and empty lines."""
    found = []
    for line in text.split("\n"):
        pattern = "" if line.startswith("#") else line.strip()
        if not pattern:
            continue
        negated = pattern.startswith("!")
        pattern = _clean(pattern.removeprefix("!").strip())
        found.append(_normal(f"{'!' if negated else ''}{pattern}".strip()))
    return [pattern for pattern in found if pattern]


def _clean(path: str) -> str:
    """A path as Go's `filepath.Clean` writes it, without a leading slash."""
    return _normal(path).removeprefix("/") or path[:1]


def _normal(path: str) -> str:
    plain = posixpath.normpath(path) if path else ""
    return plain[1:] if plain.startswith("//") else plain


def _pattern(line: str) -> _Pattern:
    negated = line.startswith("!")
    text = line.removeprefix("!")
    if not text:
        raise ValueError(f"`{line}` is not a valid pattern")
    return _Pattern(re.compile(_expression(text), re.DOTALL), negated)


def _expression(pattern: str) -> str:
    """A pattern as a regular expression: `**` matches any number of folders, `*` and `?` stay within one."""
    rest = pattern.removeprefix("**")
    if rest != pattern and not rest.startswith("/") and not any(mark in rest for mark in "*?[]\\"):
        return f".*{re.escape(rest)}"  # as in Docker: `**x` matches everything that ends in x
    out, position = "", 0
    while position < len(pattern):
        sign = pattern[position]
        position += 1
        if pattern.startswith("**", position - 1):
            position += 1
            if pattern.startswith("/", position):
                position += 1
            out += ".*" if position == len(pattern) else "(?:.*/)?"
        elif sign == "*":
            out += "[^/]*"
        elif sign == "?":
            out += "[^/]"
        elif sign == "[":
            end = pattern.find("]", position + 1)
            if end < 0:
                raise ValueError(f"`{pattern}` has a `[` without a `]`")
            out += f"[{pattern[position:end]}]"
            position = end + 1
        elif sign == "\\" and position < len(pattern):
            out += re.escape(pattern[position])
            position += 1
        else:
            out += re.escape(sign)
    return out
