"""The engine's functions for fully known values; each raises ValueError where the engine's fails.

Any other exception means that the engine's result is not known.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any

from ...base import jsontext
from .values import MOST_ELEMENTS, text_of

if TYPE_CHECKING:
    from collections.abc import Callable


_PLAIN = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?|true|True|TRUE|false|False|FALSE")


def _replace(text: str, old: str, new: str) -> Any:
    if len(old) > 1 and old[0] == old[-1] == "/":
        raise NotImplementedError  # a regular expression
    return text.replace(old, new)


def _substr(text: str, offset: int, length: int) -> str:
    begin = offset if offset >= 0 else max(len(text) + offset, 0)
    return text[begin:] if length < 0 else text[begin : begin + length]


def _csvdecode(text: str) -> list[dict[str, str]]:
    import csv
    import io

    return [dict(row) for row in csv.DictReader(io.StringIO(text), strict=True)]


def _yamldecode(text: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Reads only what all versions of YAML read the same way."""

    def scalar(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Any:
        del loader
        if not _PLAIN.fullmatch(node.value):
            raise NotImplementedError  # octal and base-60 numbers, `yes`
        return jsontext.loads(node.value.lower().lstrip("+"))

    for kind in ("int", "float", "bool"):
        Loader.add_constructor(f"tag:yaml.org,2002:{kind}", scalar)
    try:
        return yaml.load(text, Loader)  # noqa: S506 - a safe one
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def number_of(value: Any) -> Any:
    """A numeric text as a number; other values unchanged."""
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"-?\d+", value) else jsontext.number(value)
    return value


def _tobool(value: Any) -> Any:
    if isinstance(value, str):
        if value not in ("true", "false"):
            raise ValueError(value)
        return value == "true"
    return value


def _tostring(value: Any) -> Any:
    text = text_of(value)
    if text is None and value is not None:
        raise NotImplementedError
    return text


def _base64decode(text: str) -> str:
    import base64

    return base64.b64decode(text, validate=True).decode()


def _range(*limits: int) -> list[int]:
    found = range(*limits)
    if len(found) > MOST_ELEMENTS:
        raise NotImplementedError
    return list(found)


def _dirname(path: str) -> str:
    """Like Go's `filepath.Dir`."""
    return posixpath.normpath(posixpath.dirname(path) or ".")


def _zipmap(keys: list[str], values: list[Any]) -> dict[str, Any]:
    return dict(zip(keys, values, strict=True))


def _contains(collection: list[Any], value: Any) -> bool:
    return value in collection


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "lower": lambda text: text.lower(),
    "upper": lambda text: text.upper(),
    "trim": lambda text, marks: text.strip(marks),
    "trimspace": lambda text: text.strip(),
    "chomp": lambda text: text.rstrip("\r\n"),
    "trimprefix": lambda text, begin: text.removeprefix(begin),
    "trimsuffix": lambda text, end: text.removesuffix(end),
    "replace": _replace,
    "substr": _substr,
    "startswith": lambda text, begin: text.startswith(begin),
    "endswith": lambda text, end: text.endswith(end),
    "strcontains": lambda text, part: part in text,
    "basename": lambda path: posixpath.basename(path.rstrip("/")) or ("/" if path else "."),
    "dirname": _dirname,
    "tostring": _tostring,
    "tonumber": number_of,
    "tobool": _tobool,
    "jsondecode": jsontext.loads,
    "yamldecode": _yamldecode,
    "csvdecode": _csvdecode,
    "base64decode": _base64decode,
    "length": len,
    "contains": _contains,
    "range": _range,
    "zipmap": _zipmap,
    "alltrue": lambda flags: all(flag in (True, "true") for flag in flags),
    "anytrue": lambda flags: any(flag in (True, "true") for flag in flags),
    "max": max,
    "min": min,
}
