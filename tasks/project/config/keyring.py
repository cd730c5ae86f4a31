"""The keys of a run: derived once from passphrases in environment variables, never written, never passed in argv.

A passphrase becomes a master key by scrypt with a fixed salt, and that one key per purpose by HMAC-SHA256. The salt is
fixed because every job on every machine must derive the same key from the passphrase alone. So a passphrase must be
hard to guess: at least 16 characters; `openssl rand -base64 32` makes a good one. The engine's own pbkdf2 derives a key
for every file that each command reads or writes, which costs seconds per command; this costs a tenth of a second per
run.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...base.errors import ConfigError
from ..model.plan import DEFAULT_KEY_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .. import model

SHORTEST = 16  # characters, as the engine requires for its own passphrases
_SALT = b"doit-tofu keys 1"
_COST = {"n": 1 << 15, "r": 8, "p": 1, "maxmem": 1 << 26}  # 32 MiB
_GENERATE = "`openssl rand -base64 32` makes a good one"


@dataclass(frozen=True)
class Key:
    """The keys derived from one passphrase: one per purpose, 32 bytes each.

    `variable` is the environment variable of the passphrase. `fingerprint` (8 hex digits) identifies the key in
    messages, manifests, receipts and the engine's metadata; guessing the passphrase from it costs one scrypt per guess.
    """

    variable: str
    fingerprint: str
    encryption: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    digests: bytes = field(repr=False)

    @property
    def encoded(self) -> str:
        """The encryption key in Base64, as the engine expects it."""
        return base64.b64encode(self.encryption).decode()


def derive(variable: str, passphrase: str) -> Key:
    """Derive the key of a passphrase; takes about a tenth of a second."""
    secret = passphrase.encode(errors="surrogateescape")
    master = hashlib.scrypt(secret, salt=_SALT, dklen=32, **_COST)

    def purpose(name: str) -> bytes:
        return hmac.digest(master, f"doit-tofu {name} 1".encode(), "sha256")

    fingerprint = purpose("fingerprint")[:4].hex()
    return Key(variable, fingerprint, purpose("encryption"), purpose("signature"), purpose("digests"))


class Keyring:
    """The configured keys, derived when first needed.

    Args:
        settings: Which environment variables hold the passphrases.
    """

    def __init__(self, settings: model.Encryption) -> None:
        self.settings = settings
        self._derived: dict[str, Key] = {}
        self._lock = threading.Lock()

    @property
    def variables(self) -> list[str]:
        """The environment variables that may hold a passphrase; child processes do not get them."""
        named = [*([self.settings.key] if self.settings.key else []), *self.settings.previous]
        return list(dict.fromkeys([*named, DEFAULT_KEY_VARIABLE]))

    @property
    def passphrases(self) -> list[str]:
        """The passphrases, for the masker."""
        return [text for text in map(_passphrase, self.variables) if text]

    @property
    def is_set(self) -> bool:
        """Whether a key to encrypt and sign with is set; derives nothing."""
        return bool(self.settings.key and _passphrase(self.settings.key))

    @property
    def is_named(self) -> bool:
        """Whether a key is set or required: a configured variable other than the default one must be set."""
        return self.is_set or self.settings.key not in (None, DEFAULT_KEY_VARIABLE)

    @property
    def current(self) -> Key | None:
        """The key to encrypt and sign with; None if none is set."""
        return self._key(self.settings.key) if self.settings.key else None

    @property
    def all(self) -> list[Key]:
        """The current key, then the previous ones; empty if no key is set."""
        if not self.is_set:
            return []
        keys = [self.current, *map(self._key, self.settings.previous)]
        return list({key.fingerprint: key for key in keys if key}.values())

    def find(self, fingerprint: str | None) -> Key | None:
        """The current or previous key with a fingerprint; None if it is not available."""
        return next((key for key in self.all if key.fingerprint == fingerprint), None)

    @property
    def state_key(self) -> str | None:
        """The fingerprint of the key that states are encrypted with; None if they are written in plain text."""
        key = self.current if self.settings.state else None
        return key.fingerprint if key else None

    def rewrite(self, before: str | None) -> str | None:
        """Why a state written with another key, or without one, must be rewritten; None if it need not be.

        Without a key it cannot be rewritten, so the answer is None.

        Args:
            before: The fingerprint of the key that it was written with.
        """
        if not self.is_set or before == self.state_key:
            return None
        if self.state_key is None:
            return "its state must be decrypted" if self.settings.migrate else None
        return "its state must be encrypted" + (" with another key" if before else "")

    def problems(self) -> Iterator[ConfigError]:
        """What is wrong with the variables: a configured one is not set, or a passphrase is too short."""
        settings = self.settings
        named = [("encryption.key", settings.key if self.is_named else None)]
        named += [(f"encryption.previous[{position}]", name) for position, name in enumerate(settings.previous)]
        for key, name in named:
            if name is None:
                continue
            passphrase = _passphrase(name)
            if not passphrase:
                yield ConfigError(
                    f"the environment variable {name} is not set, so the key is missing",
                    key=key,
                    untouched="nothing was planned or applied",
                    next_step=f"set {name} to the passphrase, in CI as a masked and protected variable; {_GENERATE}",
                )
            elif len(passphrase) < SHORTEST:
                yield ConfigError(
                    f"the passphrase in {name} has {len(passphrase)} characters, fewer than {SHORTEST}",
                    key=key,
                    untouched="nothing was planned or applied",
                    next_step=f"use a longer one; {_GENERATE}",
                )

    def prepare(self) -> None:
        """Start deriving the current key in the background."""
        if self.is_set:
            threading.Thread(target=lambda: self.current, name="key", daemon=True).start()

    def _key(self, variable: str) -> Key | None:
        passphrase = _passphrase(variable)
        if not passphrase:
            return None
        with self._lock:
            if variable not in self._derived:
                self._derived[variable] = derive(variable, passphrase)
            return self._derived[variable]


def _passphrase(variable: str) -> str:
    """Surrounding white space is ignored, because files and web forms add it unnoticed."""
    return os.environ.get(variable, "").strip()
