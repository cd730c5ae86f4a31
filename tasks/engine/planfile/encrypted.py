"""Decrypts a saved plan that was encrypted with a key of ours, so that it can be read without the engine.

The engine writes a JSON object with the ciphertext of AES-GCM, which begins with its nonce
(https://github.com/opentofu/opentofu/blob/v1.12.6/internal/encryption/base.go and method/aesgcm). `cryptography` is
imported where it is used; without it the engine is asked.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from ...base.files import parse_json
from .wire import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable

_VERSION = "v0"
_NONCE = 12  # bytes


def decrypted(content: bytes, provider: str, key: bytes) -> bytes:
    """The plan within.

    Args:
        content: The file.
        provider: The name of the key provider, which the engine stores with what it encrypts.
        key: The key, 32 bytes.

    Raises:
        UnreadableError: It is not encrypted with this key, was changed, or cannot be decrypted here.
    """
    try:
        found = parse_json(content)
        named, version, text = found["meta"], found["encryption_version"], found["encrypted_data"]
        if version != _VERSION or f"key_provider.external.{provider}" not in named:
            raise UnreadableError("encrypted in another way")
        sealed = base64.b64decode(text, validate=True)
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableError("not an encrypted plan") from error
    return _cipher(key)(sealed[:_NONCE], sealed[_NONCE:])


def _cipher(key: bytes) -> Callable[[bytes, bytes], bytes]:
    try:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        raise UnreadableError("the Python package `cryptography` is not installed") from None

    def opened(nonce: bytes, data: bytes) -> bytes:
        try:
            return AESGCM(key).decrypt(nonce, data, None)
        except (InvalidTag, ValueError) as error:
            raise UnreadableError("encrypted with another key, or changed") from error

    return opened
