"""Signatures of manifests: proof that who wrote one had the key."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

from .files import canonical_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .keyring import Key


def sign(body: Mapping[str, Any], key: Key) -> str:
    """Hex HMAC-SHA256 over all fields of a manifest, among them the hash of its plan file."""
    return hmac.new(key.signature, b"manifest\0" + canonical_json(dict(body)), "sha256").hexdigest()


def fits(body: Mapping[str, Any], signature: object, key: Key) -> bool:
    """Whether a signature is the one of these fields by this key; takes equally long whatever differs."""
    return isinstance(signature, str) and hmac.compare_digest(sign(body, key).encode(), signature.encode())
