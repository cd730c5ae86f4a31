"""Packs a record into a line of text: compressed, limited in size, signed if there is a key."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from typing import TYPE_CHECKING

from ..base.files import canonical_json
from ..project.config import signature

if TYPE_CHECKING:
    from ..base.jsonvalue import Json, JsonObject
    from ..project.config.signer import Signer

PURPOSE = "review"
_LARGEST = 1 << 24  # unpacked: anybody may have written the comment


class SealError(ValueError):
    """A record that cannot be trusted; the message says why."""


def pack(record: Json) -> str:
    """A JSON value as URL-safe Base64 of its compressed form."""
    return base64.urlsafe_b64encode(zlib.compress(canonical_json(record), 9)).decode()


def unpack(text: str) -> Json:
    """The value that `pack` was called with.

    Raises:
        SealError: `pack` did not make this text, or the value is too large.
    """
    try:
        data = zlib.decompressobj()
        content = data.decompress(base64.urlsafe_b64decode(text), _LARGEST)
        if not data.eof:
            raise SealError("it is truncated or too large")
        found: Json = json.loads(content)
    except (binascii.Error, zlib.error, ValueError, RecursionError) as error:
        raise error if isinstance(error, SealError) else SealError("it cannot be read") from None
    return found


def sign(record: JsonObject, key: Signer | None) -> JsonObject:
    """The record with its signature, if there is a key."""
    if key is None:
        return {"record": record}
    return {"record": record, "key": key.fingerprint, "signature": signature.sign(record, key, purpose=PURPOSE)}


def verified(sealed: Json, key: Signer | None) -> JsonObject:
    """The record inside, once its signature is verified.

    Raises:
        SealError: A key is set, and the record is not signed with it.
    """
    if not isinstance(sealed, dict) or not isinstance(record := sealed.get("record"), dict):
        raise SealError("it cannot be read")
    if key and not signature.fits(record, sealed.get("signature"), key, purpose=PURPOSE):
        other = sealed.get("key")
        if other is None:
            raise SealError(f"it is not signed, but a key is set ({key.variable}): anyone could have written it")
        raise SealError(
            f"it is signed with another key ({str(other)[:8]}) than the one in {key.variable}"
            if other != key.fingerprint
            else f"it was changed after it was signed with {key.variable}"
        )
    return record
