"""Makes text from outside safe to show: no invisible characters, no reversed lines, no endless values."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from . import jsontext

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .jsonvalue import Json

# Control characters except tab and newline, bidirectional controls (https://trojansource.codes), zero-width characters,
# line ends that only some programs honour, surrogates, letters without a glyph: `web` may be two names. Joiners and
# variation selectors are a part of what is before them in some scripts and in emoji, but not in others.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U0001d173-\U0001d17a\U000e0000-\U000e007f]"
    "|(?<![\u0600-\U0010ffff])[\u180b-\u180d\u180f\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
_BREAKS = re.compile(r"[\n\t]+")
_LONGEST = 400
_AROUND = 40


def visible(text: str) -> str:
    r"""The text with each invisible character as an escape: `\r`, `\x1b`, `\u202e`."""
    return _UNSEEN.sub(lambda found: json.dumps(found[0])[1:-1].replace("\\u00", "\\x"), text)


def one_line(text: str) -> str:
    """`visible`, on one line: what others wrote must not look like a line of ours."""
    return _BREAKS.sub(" ", visible(text))


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


def plural(count: int, word: str) -> str:
    """A count with its noun: `1 stack`, `2 stacks`, `1,024 lines`."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def literal(value: Json) -> str:
    """A JSON value on one line, in full."""
    return visible(jsontext.dumps(value, ensure_ascii=False, sort_keys=True))
