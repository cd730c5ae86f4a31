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
import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from ...base.errors import ConfigError
from ...base.text import plural
from ..model.plan import DEFAULT_KEY_VARIABLE, STATE_KEY_VARIABLE
from . import signer
from .signer import Signer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .. import model

SHORTEST = 16  # characters, as the engine requires for its own passphrases
_SALT = b"doit-tofu keys 1"
_COST = {"n": 1 << 15, "r": 8, "p": 1, "maxmem": 1 << 26}  # 32 MiB
_GENERATE = "`openssl rand -base64 32` makes a good one"


@dataclass(frozen=True)
class Key(Signer):
    """The keys derived from one passphrase: one per purpose, 32 bytes each.

    `variable` is the environment variable of the passphrase. `fingerprint` (8 hex digits) identifies the key in
    messages, manifests, receipts and the engine's metadata; guessing the passphrase from it costs one scrypt per guess.
    """

    encryption: bytes = field(repr=False)
    digests: bytes = field(repr=False)

    @property
    def encoded(self) -> str:
        """The encryption key in Base64, as the engine expects it."""
        return base64.b64encode(self.encryption).decode()


def derive(variable: str, passphrase: str) -> Key:
    """The key of a passphrase, which takes about a tenth of a second; of `DEPLOY_STATE_KEY` at once."""
    secret = passphrase.encode(errors="surrogateescape")
    known = signer.raw(passphrase) if variable == STATE_KEY_VARIABLE else None
    master = known or hashlib.scrypt(secret, salt=_SALT, dklen=32, **_COST)

    def purpose(name: str) -> bytes:
        return hmac.digest(master, f"doit-tofu {name} 1".encode(), "sha256")

    fingerprint = purpose("fingerprint")[:4].hex()
    return Key(variable, fingerprint, purpose("signature"), purpose("encryption"), purpose("digests"))


class Keyring:
    """The configured keys, derived when first needed.

    Args:
        settings: Which environment variables hold the passphrases.
    """

    def __init__(self, settings: model.Encryption) -> None:
        self.settings = settings
        self._derived: dict[str, Key] = {}
        self._lock = threading.Lock()

    @cached_property  # asked for several times for every stack
    def variable(self) -> str | None:
        """The environment variable that holds the passphrase, or the key of states; None without encryption."""
        named = self.settings.key
        if named == DEFAULT_KEY_VARIABLE and not signer.held(named) and signer.held(STATE_KEY_VARIABLE):
            return STATE_KEY_VARIABLE
        return named

    @property
    def variables(self) -> list[str]:
        """The environment variables that may hold a passphrase or a key; no child process gets them."""
        settings = self.settings
        named = [settings.key, *settings.previous, DEFAULT_KEY_VARIABLE, STATE_KEY_VARIABLE]
        return list(dict.fromkeys(name for name in [*named, settings.artifact_key, settings.review_key] if name))

    @property
    def passphrases(self) -> list[str]:
        """The passphrases and keys, for the masker."""
        return [text for text in map(signer.held, self.variables) if text]

    @property
    def is_set(self) -> bool:
        """Whether there is a key to encrypt with; derives nothing."""
        return bool(self.variable and signer.held(self.variable))

    @property
    def is_named(self) -> bool:
        """Whether a key is set or required: a configured variable other than the default one must be set."""
        return self.is_set or self.settings.key not in (None, DEFAULT_KEY_VARIABLE)

    @property
    def signs(self) -> bool:
        """Whether there is a key that signs what is handed over; derives nothing."""
        return self.is_set or bool(self.settings.artifact_key and signer.held(self.settings.artifact_key))

    @property
    def current(self) -> Key | None:
        """The key to encrypt with; None when none is set."""
        return self._key(self.variable) if self.variable else None

    @property
    def artifact(self) -> Signer | None:
        """The key that signs what jobs hand over: its own, else one of the passphrase; None without either."""
        name = self.settings.artifact_key
        return (signer.read(name, "artifact") if name else None) or self.current

    @property
    def artifacts(self) -> list[Signer]:
        """The keys by which a folder of records may be signed: its own alone, else all that encrypt."""
        own = self.artifact
        return [own] if own and own is not self.current else [*self.all]

    @property
    def review(self) -> Signer | None:
        """The key that signs what was reviewed: its own, else one of the passphrase; None without either."""
        name = self.settings.review_key
        return (signer.read(name, "review") if name else None) or self.current

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
        yield from self.wrong_keys()
        named = [("encryption.key", self.variable if self.is_named else None)]
        named += [(f"encryption.previous[{position}]", name) for position, name in enumerate(settings.previous)]
        for key, name in named:
            if name is None:
                continue
            passphrase = signer.held(name)
            if not passphrase:
                yield ConfigError(
                    f"the environment variable {name} is not set, so the key is missing",
                    key=key,
                    untouched="nothing was planned or applied",
                    next_step=f"set {name} to the passphrase, in CI as a masked and protected variable; {_GENERATE}",
                )
            elif name != STATE_KEY_VARIABLE and len(passphrase) < SHORTEST:
                yield ConfigError(
                    f"the passphrase in {name} has {plural(len(passphrase), 'character')}, fewer than {SHORTEST}",
                    key=key,
                    untouched="nothing was planned or applied",
                    next_step=f"use a longer one; {_GENERATE}",
                )

    def wrong_keys(self) -> Iterator[ConfigError]:
        """Keys that are none, and one key for two purposes."""
        settings = self.settings
        signing = (("artifact_key", settings.artifact_key), ("review_key", settings.review_key))
        named = {f"encryption.{key}": variable for key, variable in (("key", self.variable), *signing) if variable}
        for key, variable in named.items():
            wrong = signer.problem(variable, key) if key != "encryption.key" or variable == STATE_KEY_VARIABLE else None
            if wrong:
                yield wrong
        if (
            signer.held(DEFAULT_KEY_VARIABLE)
            and signer.held(STATE_KEY_VARIABLE)
            and settings.key == DEFAULT_KEY_VARIABLE
        ):
            yield _apart(
                DEFAULT_KEY_VARIABLE, STATE_KEY_VARIABLE, "both are set, but states have only one key", "encryption.key"
            )
        texts: dict[str, str] = {}
        for key, variable in named.items():
            text = signer.held(variable)
            if text and (other := texts.setdefault(text, variable)) != variable:
                yield _apart(
                    other, variable, "both hold the same key, so a job that may do one thing could do the other", key
                )

    def prepare(self) -> None:
        """Start deriving the current key in the background."""
        if self.is_set:
            threading.Thread(target=lambda: self.current, name="key", daemon=True).start()

    def _key(self, variable: str) -> Key | None:
        passphrase = signer.held(variable)
        if not passphrase:
            return None
        with self._lock:
            if variable not in self._derived:
                self._derived[variable] = derive(variable, passphrase)
            return self._derived[variable]


def _apart(one: str, other: str, why: str, key: str) -> ConfigError:
    return ConfigError(
        f"{one} and {other}: {why}",
        key=key,
        untouched="nothing was planned or applied",
        next_step=f"unset one of them, or set it to a key of its own; {signer.MAKE}",
    )
