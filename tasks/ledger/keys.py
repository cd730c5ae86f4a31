"""Keys of the ledger: only deploy jobs have the one that signs; everyone verifies with the public one.

Both are 32 bytes (Ed25519, RFC 8032) as one line of Base64. `cryptography` is imported where a key is used: a ledger
without keys does not need it.
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
    """A public key; two with the same text are equal."""

    text: str

    @cached_property
    def id(self) -> str:
        """Its id in signatures: the first digits of the SHA-256 of its 32 bytes."""
        return sha256_bytes(base64.b64decode(self.text))[:_ID_DIGITS]

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether this key made a signature of this message."""
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
        """The public key that belongs to it."""
        return PublicKey(base64.b64encode(self._key.public_key().public_bytes_raw()).decode())

    @property
    def text(self) -> str:
        """The key as one line: the value of `DEPLOY_LEDGER_KEY`."""
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
    """The key that this job signs with; None if it has none.

    Args:
        variable: The environment variable that holds it.

    Raises:
        ConfigError: It does not hold a key, or `cryptography` is not installed.
    """
    text = os.environ.get(variable, "").strip()
    if not text:
        return None
    secret = decoded(text)
    if secret is None:
        raise ConfigError(
            f"{variable} is not a key: expected {_BYTES} bytes as one line of Base64",
            untouched="nothing was planned or applied",
            next_step=(
                "set it to the line that was printed when the key was created; ",
                doit("ledger", "key"),
                " creates one",
            ),
        )
    require_library()
    return SigningKey(secret)


def decoded(text: str) -> bytes | None:
    """The 32 bytes of a line of Base64; None if it is not one."""
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return found if len(found) == _BYTES else None


def require_library() -> None:
    """Require the library that signs and verifies.

    Raises:
        ConfigError: `cryptography` is not installed.
    """
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise ConfigError(
            "the ledger has a key, but the Python package `cryptography` is not installed",
            untouched="nothing was planned or applied",
            next_step="install doit-tofu with the extra `ledger`: `pip install 'doit-tofu[ledger]'`",
        ) from None
