"""Signatures of manifests and reviews, which prove that their author had the key."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from ...base.files import canonical_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...base.jsonvalue import Json
    from .keyring import Key
    from .signer import Signer


def sign(body: Mapping[str, Json], key: Signer, *, purpose: str = "manifest") -> str:
    """Hex HMAC-SHA256 over all fields; of a manifest, among them the hash of its plan file.

    Args:
        body: The fields.
        key: The key.
        purpose: The kind of record, so that one kind is never taken for another.
    """
    return hmac.new(key.signature, purpose.encode() + b"\0" + canonical_json(dict(body)), "sha256").hexdigest()


def fits(body: Mapping[str, Json], signature: Json, key: Signer, *, purpose: str = "manifest") -> bool:
    """Whether a signature is the one of these fields by this key; takes equally long whatever differs."""
    expected = sign(body, key, purpose=purpose)
    return isinstance(signature, str) and hmac.compare_digest(expected.encode(), signature.encode())


def sealed(content: bytes, key: Key) -> str:
    """Hex digest of some content that only a holder of the key can compute."""
    return hmac.digest(key.digests, content, "sha256").hex()
