"""Keys of the ledger: deploy jobs alone hold the one that signs, and everybody verifies with the public one.

Both are one line of Base64 over 32 bytes (Ed25519, RFC 8032). `cryptography` is imported where one is used: a ledger
without keys needs it not.
"""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from ..base.errors import ConfigError
from ..base.files import sha256_bytes
from ..base.problem import doit

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

VARIABLE = "DEPLOY_LEDGER_KEY"
_BYTES = 32
_ID_DIGITS = 16


@dataclass(frozen=True)
class PublicKey:
    """A key that verifies; two with the same text are equal."""

    text: str

    @cached_property
    def id(self) -> str:
        """What signatures call it: the first digits of the SHA-256 over its 32 bytes."""
        return sha256_bytes(base64.b64decode(self.text))[:_ID_DIGITS]

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether a signature is one of this message by this key."""
        from cryptography.exceptions import InvalidSignature

        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    @cached_property
    def _key(self) -> Ed25519PublicKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        return Ed25519PublicKey.from_public_bytes(base64.b64decode(self.text))


@dataclass(frozen=True)
class SigningKey:
    """A key that signs; its text is a secret."""

    secret: bytes = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """The signature of a message, 64 bytes."""
        return self._key.sign(message)

    @cached_property
    def public(self) -> PublicKey:
        """The key that verifies what this one signs."""
        return PublicKey(base64.b64encode(self._key.public_key().public_bytes_raw()).decode())

    @property
    def text(self) -> str:
        """The line that a deploy job gets in `DEPLOY_LEDGER_KEY`."""
        return base64.b64encode(self.secret).decode()

    @cached_property
    def _key(self) -> Ed25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self.secret)


def generate() -> SigningKey:
    """A new key.

    Raises:
        ConfigError: `cryptography` is not installed.
    """
    require_library()
    return SigningKey(os.urandom(_BYTES))


def from_environment(variable: str = VARIABLE) -> SigningKey | None:
    """The key that this job signs with; None where it has none.

    Args:
        variable: The environment variable that holds it.

    Raises:
        ConfigError: It holds no key, or `cryptography` is not installed.
    """
    text = os.environ.get(variable, "").strip()
    if not text:
        return None
    secret = decoded(text)
    if secret is None:
        raise ConfigError(
            f"{variable} holds no key: one line of Base64 over {_BYTES} bytes is expected",
            untouched="nothing was planned or applied",
            next_step=(
                "store the line that was shown when the key was made; ",
                doit("ledger", "key"),
                " makes one",
            ),
        )
    require_library()
    return SigningKey(secret)


def decoded(text: str) -> bytes | None:
    """The 32 bytes that a line of Base64 stands for; None where it does not."""
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return found if len(found) == _BYTES else None


def require_library() -> None:
    """Refuse to go on with keys where nothing is installed that signs and verifies.

    Raises:
        ConfigError: `cryptography` is not installed.
    """
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise ConfigError(
            "the ledger has a key, and the Python package `cryptography` is not installed",
            untouched="nothing was planned or applied",
            next_step="install doit-tofu with its extra: `pip install doit-tofu[ledger]`",
        ) from None
