"""Writes JSON values as HCL: attributes, blocks and literals (https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md)."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

from ..base import jsontext

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..base.jsonvalue import Json

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_STEP = "  "
_UNKNOWN_ESCAPES = {"b": "\\u0008", "f": "\\u000c"}


def value(found: Json, indent: str = "") -> str:
    """A JSON value as a literal; objects and long lists take several lines.

    Args:
        found: The value.
        indent: The indentation of the line that it begins on.
    """
    if found is None:
        return "null"
    if isinstance(found, bool | int | float | Decimal):
        return jsontext.dumps(found)
    if isinstance(found, str):
        return string(found)
    if isinstance(found, list):
        return _list(found, indent)
    if not found:
        return "{}"
    inner = indent + _STEP
    lines = [f"{inner}{key(name)} = {value(item, inner)}" for name, item in found.items()]
    return "\n".join(["{", *lines, f"{indent}}}"])


def string(text: str) -> str:
    """A quoted text; nothing in it is a template."""
    escaped = jsontext.dumps(text, ensure_ascii=False)
    escaped = re.sub(
        r"\\(.)", lambda found: _UNKNOWN_ESCAPES.get(found[1], found[0]), escaped
    )  # HCL has fewer than JSON
    return re.sub(r"([$%])\{", r"\1\1{", escaped)


def key(name: str) -> str:
    """The key of an object: as it is if it is an identifier, otherwise quoted; `for` would begin an expression."""
    return name if _IDENTIFIER.fullmatch(name) and name != "for" else string(name)


def block(head: str, content: Mapping[str, Json], indent: str = "", nested: Iterable[str] = ()) -> str:
    """A block with its attributes, and the values of `nested` as blocks of their own.

    Args:
        head: Its kind and labels.
        content: Its attributes by name; those that are null are left out.
        indent: Its indentation.
        nested: The names whose values are blocks: objects, or lists of objects.
    """
    inner, blocks = indent + _STEP, set(nested)
    lines = [f"{indent}{head} {{"]
    for name, item in content.items():
        if item is None:
            continue
        if name in blocks:
            items = item if isinstance(item, list) else [item]
            lines += [block(name, part, inner) for part in items if isinstance(part, dict)]
        else:
            lines.append(f"{inner}{name} = {value(item, inner)}")
    return "\n".join([*lines, f"{indent}}}"])


def _list(items: list[Json], indent: str) -> str:
    short = f"[{', '.join(value(item, indent) for item in items)}]"
    if "\n" not in short and len(short) + len(indent) < 100:  # noqa: PLR2004 - the width of a line
        return short
    inner = indent + _STEP
    return "\n".join(["[", *(f"{inner}{value(item, inner)}," for item in items), f"{indent}]"])
