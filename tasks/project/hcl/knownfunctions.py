"""The engine's functions for fully known values; each raises ValueError where the engine's fails.

Any other exception means that the engine's result is not known.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any, NoReturn

from ...base import jsontext
from .values import MOST_ELEMENTS, text_of

if TYPE_CHECKING:
    from collections.abc import Callable


_PLAIN = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?|true|True|TRUE|false|False|FALSE")
_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")
_AMBIGUOUS = re.compile(
    r"y|yes|n|no|on|off|true|false|=|<<|[-+]?\.(inf|nan)|[-+]?[0-9_]*(\.[0-9_]*)?(e[-+]?[0-9_]*)?|[-+]?0[xob][0-9a-f_]*"
    r"|[-+]?[0-9_]+(:[0-9_.]*)+|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*",
    re.IGNORECASE | re.DOTALL,
)

_SIMPLE = re.compile(  # characters, classes of characters, how often; from the beginning, to the end
    r"(\^?(?:(?:[A-Za-z0-9_ /:,@=-]|\\[dDwW.*+?/^$|()\[\]{}\\-]|\.|\[\^?(?:[A-Za-z0-9_./:@-]|\\[dw])+\])[*+?]?)+)(\$?)"
)

_LONGEST_TEXT, _MOST_REPEATS = 4096, 3


def _replace(text: str, old: str, new: str) -> str:
    if len(old) > 1 and old[0] == old[-1] == "/":
        return _replaced(text, old[1:-1], new)
    return text.replace(old, new)


def _replaced(text: str, pattern: str, new: str) -> str:
    """A text with all matches of a regular expression replaced, where Python and the engine cannot differ.

    They differ in which empty texts match, in letters that are not ASCII, and in how a replacement names groups.
    """
    simple = _SIMPLE.fullmatch(pattern)
    if simple is None or "--" in pattern or "$" in new or not text.isascii():
        raise NotImplementedError
    if len(text) > _LONGEST_TEXT or len(re.findall(r"[*+]", pattern)) > _MOST_REPEATS:
        raise NotImplementedError  # may take Python long, but never the engine
    try:
        wanted = re.compile(simple[1] + (r"\Z" if simple[2] else ""), re.ASCII)
    except re.error:
        raise NotImplementedError from None
    if wanted.fullmatch(""):
        raise NotImplementedError
    return wanted.sub(lambda _: new, text)


def letters(text: str) -> list[str]:
    """The characters of a text, where each is one code point; the engine counts what people see as one."""
    if not text.isascii() or "\r\n" in text:
        raise NotImplementedError
    return list(text)


def _of_ascii(function: Callable[[str], str]) -> Callable[[str], str]:
    """A function for texts without other letters, which Python and the engine treat differently."""

    def call(text: str) -> str:
        if not text.isascii():
            raise NotImplementedError
        return function(text)

    return call


def equal(one: Any, other: Any) -> bool:
    """The engine's equality: neither a boolean nor a text equals a number.

    Raises:
        NotImplementedError: It depends on the types that the engine converts both to.
    """
    if isinstance(one, list | dict) or isinstance(other, list | dict):
        if one == other:
            raise NotImplementedError  # not of a list and a tuple
        return False
    if isinstance(one, str) is not isinstance(other, str) and text_of(one) == text_of(other):
        raise NotImplementedError  # equal if both were converted to text
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def _substr(text: str, offset: int, length: int) -> str:
    letters(text)
    begin = offset if offset >= 0 else max(len(text) + offset, 0)
    return text[begin:] if length < 0 else text[begin : begin + length]


def _jsondecode(text: str) -> Any:
    if _HALF_CHARACTER.search(text):
        raise NotImplementedError
    return jsontext.loads(text)


def _csvdecode(text: str) -> list[dict[str, str]]:
    import csv
    import io

    try:
        rows = [row for row in csv.reader(io.StringIO(text.replace("\r\n", "\n"), newline=""), strict=True) if row]
    except csv.Error:
        raise NotImplementedError from None
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def _yamldecode(text: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Reads only what all versions of YAML read the same way."""

        yaml_implicit_resolvers = {  # noqa: RUF012 - as in its base
            "<": yaml.SafeLoader.yaml_implicit_resolvers["<"],
            None: [("plain", re.compile(""))],
        }

    def plain(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Any:
        return _plain(str(loader.construct_scalar(node)))

    def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> Any:
        loader.flatten_mapping(node)
        return {_key(key): value for key, value in loader.construct_pairs(node, deep=True)}

    Loader.add_constructor("plain", plain)
    Loader.add_constructor("tag:yaml.org,2002:map", mapping)
    for kind in ("int", "float", "bool", "binary", "timestamp", "set", "omap", "pairs"):
        Loader.add_constructor(f"tag:yaml.org,2002:{kind}", _not_known)
    try:
        return yaml.load(text, Loader)  # noqa: S506 - a safe one
    except yaml.YAMLError:
        raise NotImplementedError from None


def _not_known(*_: object) -> NoReturn:
    raise NotImplementedError


def _plain(text: str) -> Any:
    """A scalar without quotes: a number, a boolean, null, or a text, where all versions of YAML agree."""
    if text in ("", "~") or text.lower() == "null":
        return None
    if _PLAIN.fullmatch(text):
        return jsontext.loads(text.lower().lstrip("+"))
    if _AMBIGUOUS.fullmatch(text):
        raise NotImplementedError  # `yes`, octal and base-60 numbers, dates
    return text


def _key(value: Any) -> str:
    """A mapping's key as the engine has it."""
    text = text_of(value)
    if text is None:
        raise NotImplementedError
    return text


def number_of(value: Any) -> Any:
    """A numeric text as a number; other values unchanged."""
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"-?\d+", value) else jsontext.number(value)
    return value


def to_bool(value: Any) -> Any:
    """A text as a boolean; other values unchanged."""
    if isinstance(value, str):
        if value not in ("true", "false", "1", "0"):
            raise ValueError(value)
        return value in ("true", "1")
    return value


def _tostring(value: Any) -> Any:
    text = text_of(value)
    if text is None and value is not None:
        raise NotImplementedError
    return text


def _base64decode(text: str) -> str:
    import base64

    return base64.b64decode(text.replace("\r", "").replace("\n", ""), validate=True).decode()


def _range(*limits: int) -> list[int]:
    if any(isinstance(limit, bool) for limit in limits):
        raise ValueError(limits)
    begin, end = limits[:2] if len(limits) > 1 else (0, limits[0])
    step = limits[2] if len(limits) > 2 else -1 if end < begin else 1  # noqa: PLR2004 - begin, end, step
    found = range(begin, end, step)
    if len(found) > MOST_ELEMENTS:
        raise NotImplementedError
    return list(found)


def _basename(path: str) -> str:
    return posixpath.basename(path.rstrip("/")) or ("/" if path else ".")


def _dirname(path: str) -> str:
    """Like Go's `filepath.Dir`."""
    folder = posixpath.normpath(posixpath.dirname(path) or ".")
    return folder[1:] if folder.startswith("//") else folder


def _zipmap(keys: list[str], values: list[Any]) -> dict[str, Any]:
    return dict(zip(keys, values, strict=True))


def _contains(collection: list[Any], value: Any) -> bool:
    return any(equal(item, value) for item in collection)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "lower": _of_ascii(str.lower),
    "upper": _of_ascii(str.upper),
    "trim": lambda text, marks: text.strip(marks),
    "trimspace": _of_ascii(lambda text: text.strip(" \t\n\v\f\r")),
    "chomp": lambda text: text.rstrip("\r\n"),
    "trimprefix": lambda text, begin: text.removeprefix(begin),
    "trimsuffix": lambda text, end: text.removesuffix(end),
    "replace": _replace,
    "substr": _substr,
    "startswith": lambda text, begin: text.startswith(begin),
    "endswith": lambda text, end: text.endswith(end),
    "strcontains": lambda text, part: part in text,
    "basename": _basename,
    "dirname": _dirname,
    "tostring": _tostring,
    "tonumber": number_of,
    "tobool": to_bool,
    "jsondecode": _jsondecode,
    "yamldecode": _yamldecode,
    "csvdecode": _csvdecode,
    "base64decode": _base64decode,
    "length": lambda value: len(letters(value) if isinstance(value, str) else value),
    "contains": _contains,
    "range": _range,
    "zipmap": _zipmap,
    "alltrue": lambda flags: all(to_bool(flag) for flag in flags),
    "anytrue": lambda flags: any(to_bool(flag) for flag in flags),
    "max": lambda *numbers: max(map(number_of, numbers)),
    "min": lambda *numbers: min(map(number_of, numbers)),
}
