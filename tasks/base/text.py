"""Makes text from outside fit to show: no endless values, counts with their nouns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import jsontext
from .unseen import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .jsonvalue import Json

_LONGEST = 400
_AROUND = 40


def shorten(text: str, longest: int = _LONGEST) -> str:
    """The text, or its beginning and how much was cut."""
    if len(text) <= longest:
        return text
    return f"{text[:longest]}… ({plural(len(text) - longest, 'more character')})"


def shorten_pair(before: str, after: str, longest: int = _LONGEST) -> tuple[str, str]:
    """Two versions of a long one-line text, cut to where they begin to differ, with a note of what was cut."""
    if max(len(before), len(after)) <= longest:
        return before, after
    most = min(len(before), len(after))
    same = next((place for place in range(most) if before[place] != after[place]), most)
    skipped = max(same - _AROUND, 0)
    head = f"({skipped:,} same characters) …" if skipped else ""
    return head + shorten(before[skipped:], longest), head + shorten(after[skipped:], longest)


def few(texts: Sequence[str], most: int, joint: str = ", ") -> str:
    """The first few of some texts on one line, and how many more there are."""
    more = len(texts) - most
    return joint.join(texts[:most]) + (f" and {more} more" if more > 0 else "")


def short(commit: str | None) -> str:
    """A commit as people see it: its first 8 digits, or `no commit`."""
    return commit[:8] if commit else "no commit"


def plural(count: int, word: str) -> str:
    """A count with its noun: `1 stack`, `2 stacks`, `1,024 lines`."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def literal(value: Json) -> str:
    """A JSON value on one line, in full."""
    return visible(jsontext.dumps(value, ensure_ascii=False, sort_keys=True))
