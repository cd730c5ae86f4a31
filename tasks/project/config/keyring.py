"""The keys of a run: derived once from passphrases in our environment, never written, never given to a child in argv.

A passphrase becomes a master key by scrypt with a fixed salt, and that one key per purpose by HMAC-SHA256. The salt is
fixed because every job of every machine must come to the same key from the passphrase alone; so a passphrase must be
hard to guess: 16 characters are the least, `openssl rand -base64 32` makes a good one. The engine's own pbkdf2 derives
anew for every file that each of its commands reads or writes, which costs seconds a command; this costs a tenth of one,
once a run.
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

SHORTEST = 16  # characters, as the engine asks of its own passphrases
_SALT = b"doit-tofu keys 1"
_COST = {"n": 1 << 15, "r": 8, "p": 1, "maxmem": 1 << 26}  # 32 MiB
_GENERATE = "`openssl rand -base64 32` makes a good one"


@dataclass(frozen=True)
class Key:
    """What one passphrase gives: a key per purpose, 32 bytes each.

    `variable` is the environment variable that held the passphrase. `fingerprint` (8 hex digits) tells keys apart in
    messages, manifests, receipts and the engine's own metadata; finding a passphrase by it takes an scrypt per guess.
    """

    variable: str
    fingerprint: str
    encryption: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    digests: bytes = field(repr=False)

    @property
    def encoded(self) -> str:
        """The encryption key in Base64, as the engine takes it."""
        return base64.b64encode(self.encryption).decode()


def derive(variable: str, passphrase: str) -> Key:
    """The key of a passphrase; takes about a tenth of a second."""
    secret = passphrase.encode(errors="surrogateescape")
    master = hashlib.scrypt(secret, salt=_SALT, dklen=32, **_COST)

    def purpose(name: str) -> bytes:
        return hmac.digest(master, f"doit-tofu {name} 1".encode(), "sha256")

    fingerprint = purpose("fingerprint")[:4].hex()
    return Key(variable, fingerprint, purpose("encryption"), purpose("signature"), purpose("digests"))


class Keyring:
    """The keys that the configuration names, derived when first needed.

    Args:
        settings: Which environment variables hold them.
    """

    def __init__(self, settings: model.Encryption) -> None:
        self.settings = settings
        self._derived: dict[str, Key] = {}
        self._lock = threading.Lock()

    @property
    def variables(self) -> list[str]:
        """The environment variables that may hold a passphrase; no child process gets them."""
        named = [*([self.settings.key] if self.settings.key else []), *self.settings.previous]
        return list(dict.fromkeys([*named, DEFAULT_KEY_VARIABLE]))

    @property
    def passphrases(self) -> list[str]:
        """The passphrases, for the masker."""
        return [text for text in map(_passphrase, self.variables) if text]

    @property
    def is_set(self) -> bool:
        """Whether there is a key to encrypt and sign with; derives nothing."""
        return bool(self.settings.key and _passphrase(self.settings.key))

    @property
    def is_named(self) -> bool:
        """Whether a key is there or has to be: any variable but the default one must be set when it is named."""
        return self.is_set or self.settings.key not in (None, DEFAULT_KEY_VARIABLE)

    @property
    def current(self) -> Key | None:
        """The key to encrypt and sign with; None when none is set."""
        return self._key(self.settings.key) if self.settings.key else None

    @property
    def all(self) -> list[Key]:
        """The current key and then the previous ones; empty when no key is set."""
        if not self.is_set:
            return []
        keys = [self.current, *map(self._key, self.settings.previous)]
        return list({key.fingerprint: key for key in keys if key}.values())

    def find(self, fingerprint: str | None) -> Key | None:
        """The key with a fingerprint, the current one or a previous one; None when it is not here."""
        return next((key for key in self.all if key.fingerprint == fingerprint), None)

    @property
    def state_key(self) -> str | None:
        """The fingerprint of the key that states are written with; None when they are written in clear."""
        key = self.current if self.settings.state else None
        return key.fingerprint if key else None

    def rewrite(self, before: str | None) -> str | None:
        """Why a state that was written with another key, or none, is to be written again; None when it is not.

        Without a key nothing can be said or done, so there is no reason.

        Args:
            before: The fingerprint of the key that it was written with.
        """
        if not self.is_set or before == self.state_key:
            return None
        if self.state_key is None:
            return "its state is to be in clear" if self.settings.migrate else None
        return "its state is to be encrypted" + (" with another key" if before else "")

    def problems(self) -> Iterator[ConfigError]:
        """What is wrong with the variables: a named one that is not set, a passphrase that is too short."""
        settings = self.settings
        named = [("encryption.key", settings.key if self.is_named else None)]
        named += [(f"encryption.previous[{position}]", name) for position, name in enumerate(settings.previous)]
        for key, name in named:
            if name is None:
                continue
            passphrase = _passphrase(name)
            if not passphrase:
                yield ConfigError(
                    f"the environment variable {name} is not set: there is no key",
                    key=key,
                    untouched="nothing was planned or applied",
                    next_step=f"set {name} to the passphrase, in CI as a masked and protected variable; {_GENERATE}",
                )
            elif len(passphrase) < SHORTEST:
                yield ConfigError(
                    f"the passphrase in {name} has {len(passphrase)} characters, fewer than {SHORTEST}",
                    key=key,
                    untouched="nothing was planned or applied",
                    next_step=f"take a longer one; {_GENERATE}",
                )

    def prepare(self) -> None:
        """Begin to derive the current key beside what else there is to do."""
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
    """White space around it does not count: files and web forms add it unseen."""
    return os.environ.get(variable, "").strip()
