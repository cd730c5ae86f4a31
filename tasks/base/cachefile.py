"""Caches in JSON files: one that is damaged, or that another version wrote, counts as missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import jsontext, plain
from .files import canonical_json, sha256_bytes, write_atomic
from .jsonvalue import fields

if TYPE_CHECKING:
    from pathlib import Path

    from .jsonvalue import Json, JsonObject

_LARGEST = 1 << 30
_HEAD = b'{"digest":"'
_END_OF_HEAD = len(_HEAD) + 64  # the hex digits of a SHA-256


def read(path: Path, version: Json) -> JsonObject:
    """The fields of a cache, exactly as `write` got them; empty if it is missing, damaged or of another version."""
    try:
        data = plain.read(path, _LARGEST)
        if data[:_END_OF_HEAD] != _HEAD + sha256_bytes(data[_END_OF_HEAD:]).encode():
            return {}
        found = fields(jsontext.loads(data))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if found.get("version") == version else {}


def write(path: Path, version: Json, content: JsonObject) -> None:
    """Write a cache with the digest of its content.

    Raises:
        RecordError: It cannot be written.
    """
    rest = b'",' + canonical_json({**content, "version": version})[1:]
    write_atomic(path, _HEAD + sha256_bytes(rest).encode() + rest, durable=False)
