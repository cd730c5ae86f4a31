"""Masks known secrets in everything that is printed, written or sent."""

from __future__ import annotations

import base64
import json
import os
import re
import threading
from dataclasses import fields, is_dataclass, replace
from decimal import Decimal
from enum import Enum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes, unquote

from . import jsontext

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MASK = "(sensitive value)"
_SHORTEST = 4  # a shorter value occurs everywhere by chance; masking it would make text unreadable
SECRET_NAME = re.compile(r"PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|PRIVATE_KEY|ACCESS_KEY|API_KEY|CONN_STR")
_URL_PASSWORD = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/@:\s]*):([^/@\s]+)@")
_TOKEN = re.compile(r"(?=.*\d)(?=.*[A-Za-z])\S{8,}")  # a mapping key that is not a word
_ORDINARY = frozenset({"true", "false", "null", "none"})


class Masker:
    """Replaces known secrets, also in base64, URL or JSON encoding, and line by line.

    Args:
        names: Globs of environment variables that hold secrets, besides those with telling names.
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._lock = threading.Lock()
        self._secrets: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.add(
            value
            for name, value in os.environ.items()
            if SECRET_NAME.search(name.upper()) or any(fnmatchcase(name, glob) for glob in names)
        )
        self.add(text for value in os.environ.values() for text in _credentials(value))

    def add(self, values: Iterable[Any]) -> None:
        """Add secrets: texts, numbers, or lists and mappings of them."""
        found = {form for value in values for text in _leaves(value) for form in _forms(text)}
        with self._lock:
            if found - self._secrets:
                self._secrets |= found
                longest_first = sorted(self._secrets, key=lambda text: (-len(text), text))
                self._pattern = re.compile("|".join(re.escape(text) for text in longest_first))

    def text(self, text: str) -> str:
        """The text with every known secret replaced."""
        return self._pattern.sub(MASK, text) if self._pattern else text

    def value(self, value: Any) -> Any:
        """A JSON value or dataclass with every known secret replaced, in keys too.

        Numbers in fields of a dataclass stay: they are counts, not secrets.
        """
        if self._pattern is None or isinstance(value, Enum):
            return value
        if is_dataclass(value) and not isinstance(value, type):
            found = {field.name: getattr(value, field.name) for field in fields(value)}
            kept = {name: part for name, part in found.items() if not isinstance(part, int | float | Decimal)}
            return replace(value, **{name: self.value(part) for name, part in kept.items()})
        if isinstance(value, tuple):
            return tuple(self.value(item) for item in value)
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(key)): self.value(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            return MASK if str(value) in self._secrets else value
        return value


def _credentials(value: str) -> Iterable[str]:
    """The password in a URL, and the URL; a password that equals the user name is not treated as secret."""
    if "://" not in value:
        return
    for found in _URL_PASSWORD.finditer(value):
        if found[2] != found[1]:
            yield from (found[2], unquote(found[2]), f"{found[1]}:{found[2]}@")


def _leaves(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(key, str) and _TOKEN.fullmatch(key):
                yield key
            yield from _leaves(item)
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, str):
        yield value
        if value[:1] in ("[", "{"):  # TF_VAR_* of a list or an object
            try:
                yield from _leaves(jsontext.loads(value))
            except (ValueError, RecursionError):
                return
    elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        yield str(value)


def _forms(text: str) -> Iterable[str]:
    """The forms in which a secret may appear in a text; each line of a multi-line secret counts."""
    plain = {text, text.strip(), *(line.strip() for line in text.splitlines())}
    for form in plain:
        if len(form) < _SHORTEST or form.lower() in _ORDINARY:
            continue
        yield form
        yield json.dumps(form)[1:-1]
        yield json.dumps(form, ensure_ascii=False)[1:-1]
        yield json.dumps(form)[1:-1].replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
        data = _bytes(form)
        for safe in ("", "/"):
            quoted = quote_from_bytes(data, safe=safe)
            yield quoted
            yield quoted.replace("%20", "+")  # as in forms and queries
        for encoder in (base64.b64encode, base64.urlsafe_b64encode):
            yield encoder(data).decode().rstrip("=")  # some tools drop the padding


def _bytes(text: str) -> bytes:
    """The bytes of a text; environment variables need not be UTF-8."""
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return text.encode(errors="surrogatepass")
