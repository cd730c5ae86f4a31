"""Makes text from outside safe to show: no invisible characters, no reversed lines, no lines that look like ours."""

from __future__ import annotations

import json
import re

# Control characters except tab and newline, bidirectional controls (https://trojansource.codes), zero-width characters,
# line ends that only some programs honour, surrogates, letters without a glyph: `web` may be two names. Joiners and
# variation selectors are a part of what is before them in some scripts and in emoji, but not in others.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U0001d173-\U0001d17a\U000e0000-\U000e007f]"
    "|(?<![\u0600-\U0010ffff])[\u180b-\u180d\u180f\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
_BREAKS = re.compile(r"[\n\t]+")


def visible(text: str) -> str:
    r"""The text with each invisible character as an escape: `\r`, `\x1b`, `\u202e`."""
    if text.isascii() and text.isprintable():  # nearly all are, and a record has dozens
        return text
    return _UNSEEN.sub(lambda found: json.dumps(found[0])[1:-1].replace("\\u00", "\\x"), text)


def one_line(text: str) -> str:
    """`visible`, on one line: what others wrote must not look like a line of ours."""
    if text.isascii() and text.isprintable():
        return text
    return _BREAKS.sub(" ", visible(text))
