"""The product's own words, read from its own source: what stands in them is public, and hiding it would hide them."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parent.parent
_DOCSTRING = re.compile(r'"""[\s\S]*?"""')
_SENTENCE = re.compile(r"[^A-Za-z]?[A-Za-z][A-Za-z ,.:;!?()\[\]'/_-]*")
_LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"|\'((?:[^\'\\\n]|\\.)*)\'')


def own(text: str) -> bool:
    """Whether a text is a part of what the product itself says: `delete`, `no changes`; nothing with a digit is.

    Whoever declares a secret that is such a word could otherwise take it out of a report: "Destroys 1 resource".
    """
    return bool(_SENTENCE.fullmatch(text)) and text.lower() in _said()


@cache
def _said() -> str:
    """All literals of the modules and all text of the templates, in lower case; it takes a moment, and few need it."""
    parts: list[str] = []
    for path in sorted(_PACKAGE.rglob("*.py")):
        source = _DOCSTRING.sub("", path.read_text(encoding="utf-8"))
        parts += [found[1] or found[2] or "" for found in _LITERAL.finditer(source)]
    parts += [path.read_text(encoding="utf-8") for path in sorted(_PACKAGE.rglob("*.j2"))]
    return "\n".join(parts).lower()
