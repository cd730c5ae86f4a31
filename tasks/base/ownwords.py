"""The product's own words, read from its source: they are public, and masking them would garble its reports."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parent.parent
_DOCSTRING = re.compile(r'"""[\s\S]*?"""')
_SENTENCE = re.compile(r"[^A-Za-z]?[A-Za-z][A-Za-z ,.:;!?()\[\]'/_-]*")
_LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"|\'((?:[^\'\\\n]|\\.)*)\'')


def own(text: str) -> bool:
    """Whether a text is part of the product's own wording, such as `delete` or `no changes`; never one with a digit.

    Otherwise, anyone could declare such a word as a secret to hide it in a report: "Destroys 1 resource".
    """
    return bool(_SENTENCE.fullmatch(text)) and text.lower() in _said()


@cache
def _said() -> str:
    """All literals of the modules and all text of the templates, in lower case; slow, so only on demand."""
    parts: list[str] = []
    for path in sorted(_PACKAGE.rglob("*.py")):
        source = _DOCSTRING.sub("", path.read_text(encoding="utf-8"))
        parts += [found[1] or found[2] or "" for found in _LITERAL.finditer(source)]
    parts += [path.read_text(encoding="utf-8") for path in sorted(_PACKAGE.rglob("*.j2"))]
    return "\n".join(parts).lower()
