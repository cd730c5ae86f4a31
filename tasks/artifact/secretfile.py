"""A plan's secrets, encrypted in a file next to it, so that the job that applies it knows from the start what to mask.

The plan contains them too, encrypted with the same passphrase, but reading it takes an engine process. The file is
written if there is a key and the package `cryptography`; without the file, the engine reads the plan.
"""

from __future__ import annotations

import hmac
import os
from typing import TYPE_CHECKING

from ..base import plain
from ..base.files import canonical_json, parse_json
from . import folder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..base.jsonvalue import Json
    from ..base.layout import Layout
    from ..project.config.keyring import Key
    from .manifest import Manifest

_NONCE = 12  # bytes
_LARGEST = 1 << 27
_PURPOSE = b"doit-tofu plan secrets 1"


def write(layout: Layout, manifest: Manifest, secrets: Iterable[Json], key: Key | None) -> None:
    """Save the secrets of a plan for the job that applies it; does nothing if they cannot be encrypted.

    Args:
        layout: The environment's paths.
        manifest: The plan's manifest.
        secrets: The values.
        key: The key.

    Raises:
        RecordError: The file cannot be written.
    """
    if key is None or not _available():
        return
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    distinct = sorted({canonical_json(value) for value in secrets})
    nonce = os.urandom(_NONCE)
    text = AESGCM(_key(key)).encrypt(nonce, b"[" + b",".join(distinct) + b"]", _bound_to(manifest))
    folder.keep_bytes(layout, layout.plan_secrets(manifest.stack), nonce + text, durable=False)


def read(layout: Layout, manifest: Manifest, key: Key | None) -> list[Json] | None:
    """The secrets of a plan; None without a file that was written with this key for exactly this plan."""
    if key is None or not _available():
        return None
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    parts = layout.plan_secrets(manifest.stack).relative_to(layout.base).parts
    try:
        with os.fdopen(plain.below(layout.base, *parts), "rb") as stream:
            data = stream.read(_LARGEST)
        found = parse_json(AESGCM(_key(key)).decrypt(data[:_NONCE], data[_NONCE:], _bound_to(manifest)))
    except (OSError, InvalidTag, ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def _key(key: Key) -> bytes:
    return hmac.digest(key.encryption, _PURPOSE, "sha256")


def _bound_to(manifest: Manifest) -> bytes:
    return canonical_json([manifest.stack, manifest.id, manifest.plan_sha256])


def _available() -> bool:
    try:
        import cryptography  # noqa: F401
    except ImportError:
        return False
    return True
