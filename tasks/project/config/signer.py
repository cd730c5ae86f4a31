"""Keys that sign: each one line of base64 in a variable of its own; who holds one cannot do what another is for.

The state's key encrypts, and every job that plans needs it, a merge request's too. So it must not be what a deploy
believes: the artifact's key is for the plan and deploy jobs of the protected branch alone, the review's for the job
that writes the comment.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from dataclasses import dataclass, field

from ...base.errors import ConfigError

SIZE = 32  # bytes
MAKE = "`openssl rand -base64 32` makes one"


@dataclass(frozen=True)
class Signer:
    """A key to sign with: the variable that held it, the 8 hex digits that tell it from others, and the key."""

    variable: str
    fingerprint: str
    signature: bytes = field(repr=False)


def held(variable: str) -> str:
    """What a variable holds; white space around it does not count: files and web forms add it unseen."""
    return os.environ.get(variable, "").strip()


def raw(text: str) -> bytes | None:
    """The 32 bytes of a key; None where the text is no key."""
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return found if len(found) == SIZE else None


def read(variable: str, purpose: str) -> Signer | None:
    """The key in a variable; None where it is not set, or no key.

    Args:
        variable: The environment variable.
        purpose: What it signs: one key never does for two purposes.
    """
    key = raw(held(variable))
    if key is None:
        return None
    fingerprint = hmac.digest(key, b"doit-tofu fingerprint 1", "sha256")[:4].hex()
    return Signer(variable, fingerprint, hmac.digest(key, f"doit-tofu {purpose} 1".encode(), "sha256"))


def problem(variable: str, key: str) -> ConfigError | None:
    """What is wrong with the key in a variable; None where it is one, or not set.

    Args:
        variable: The environment variable.
        key: The configuration key that names it.
    """
    text = held(variable)
    if not text or raw(text) is not None:
        return None
    return ConfigError(
        f"{variable} holds no key: {_found(text)}, where {SIZE} bytes as one line of base64 are expected",
        key=key,
        untouched="nothing was planned or applied",
        next_step=f"set {variable} to a key, in CI as a masked and protected variable; {MAKE}",
    )


def _found(text: str) -> str:
    if len(text.splitlines()) > 1:
        return "it has several lines"
    try:
        return f"it is base64 of {len(base64.b64decode(text, validate=True))} bytes"
    except (binascii.Error, ValueError):
        return f"its {len(text)} characters are not base64"
