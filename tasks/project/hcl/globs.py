"""The patterns of `fileset` (https://opentofu.org/docs/language/functions/fileset/): `*`, `**`, `[a-z]`, `{a,b}`."""

from __future__ import annotations

import functools
import posixpath
import re

_MARKS = frozenset("*?[{\\")


def split(folder: str, pattern: str) -> tuple[str, str]:
    """The folder that contains all matches of a pattern, and the pattern below it, which is empty for a plain path."""
    parts = posixpath.normpath(posixpath.join(folder, pattern)).split("/")
    fixed = next((at for at, part in enumerate(parts) if not _MARKS.isdisjoint(part)), len(parts))
    return "/".join(parts[:fixed]) or ("/" if parts[0] == "" else "."), "/".join(parts[fixed:])


@functools.lru_cache(maxsize=512)
def compiled(pattern: str) -> re.Pattern[str] | None:
    """A pattern as a regular expression for whole paths; None if it is not understood, so that anything may match."""
    try:
        text = "/".join(_part(part) for part in _parts(pattern))
        return re.compile(text.replace("\0/", "(?:[^/]+/)*").replace("/\0", "(?:/.*)?").replace("\0", ".*"), re.DOTALL)
    except (re.error, ValueError):
        return None


def _parts(pattern: str) -> list[str]:
    """The parts between slashes; slashes within braces do not separate."""
    parts, depth = [""], 0
    for mark in pattern:
        depth += (mark == "{") - (mark == "}")
        if mark == "/" and depth == 0:
            parts.append("")
        else:
            parts[-1] += mark
    if depth != 0:
        raise ValueError(pattern)
    return parts


def _part(part: str) -> str:
    if part == "**":
        return "\0"
    if "**" in part:
        raise ValueError(part)
    found, at = "", 0
    while at < len(part):
        mark = part[at]
        at += 1
        if mark == "*":
            found += "[^/]*"
        elif mark == "?":
            found += "[^/]"
        elif mark == "[":
            end = part.index("]", at + 1)
            inside = part[at:end]
            if not re.fullmatch(r"[!^]?[A-Za-z0-9_.-]+", inside):
                raise ValueError(part)
            found += "[" + ("^" + inside[1:] if inside[0] in "!^" else inside) + "]"
            at = end + 1
        elif mark == "{":
            end = part.index("}", at)
            inside = part[at:end]
            if "{" in inside or ("*" in inside and "/" in inside):
                raise ValueError(part)
            found += "(?:" + "|".join(_part(choice) for choice in inside.split(",")) + ")"
            at = end + 1
        elif mark == "\\":
            raise ValueError(part)
        else:
            found += re.escape(mark)
    return found
