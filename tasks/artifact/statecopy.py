"""Copies of states, as applies found and left them, encrypted: a state that is lost is put back from one.

`states/<stack>/<serial>-<digest of the lineage>.state` begins with a line of JSON that says what it is; the rest is the
state, compressed and encrypted with a key derived from the one of states, and bound to that line. Nothing depends on a
copy.
"""

from __future__ import annotations

import hmac
import json
import os
import zlib
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ..base import plain
from ..base.files import canonical_json, sha256_bytes, write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ..base.layout import Layout
    from ..project.config.keyring import Key, Keyring

FOLDER = "states"
SET_KEY = "set the key that it was made with, also as one of `encryption.previous`"
_MOVE = "move this file away, then run the same command again: it then uses the copy before this one"
_SUFFIX = ".state"
_NONCE = 12  # bytes
_LARGEST = 1 << 28
_PURPOSE = b"doit-tofu state copy 1"


@dataclass(frozen=True)
class Copy:
    """What a copy is of: the state of a stack in an environment; when it was made, and the fingerprint of its key."""

    environment: str
    stack: str
    lineage: str
    serial: int
    at: str
    key: str

    @property
    def name(self) -> str:
        """Its file's name: a copy of the same state replaces it."""
        return f"{self.serial}-{sha256_bytes(self.lineage.encode(errors='replace'))[:8]}{_SUFFIX}"


class UnreadableCopyError(Exception):
    """A copy cannot be read; the message says why.

    Args:
        message: Why.
        next_step: What to do about it.
    """

    def __init__(self, message: str, next_step: str) -> None:
        super().__init__(message)
        self.next_step = next_step


def is_available() -> bool:
    """Whether copies can be encrypted here."""
    try:
        import cryptography  # noqa: F401
    except ImportError:
        return False
    return True


def keep(layout: Layout, copy: Copy, state: bytes, key: Key, most: int) -> None:
    """Keep a copy, and of all copies of this stack the latest `most`.

    Raises:
        RecordError: It cannot be written.
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    line, nonce = canonical_json(asdict(copy)), os.urandom(_NONCE)
    sealed = AESGCM(_derived(key)).encrypt(nonce, zlib.compress(state), line)
    write_atomic(layout.states(copy.stack) / copy.name, line + b"\n" + nonce + sealed, durable=False)
    with suppress(OSError):  # one too many is no reason to fail
        for _, path in found([layout.states(copy.stack)], copy.environment, copy.stack)[most:]:
            path.unlink(missing_ok=True)


def found(folders: Iterable[Path], environment: str, stack: str) -> list[tuple[Copy, Path]]:
    """The copies of a stack's state in some folders, the latest first; what is none is left out."""
    copies = [
        (copy, path)
        for folder in folders
        for path in _files(folder)
        if (copy := _described(path)) and (copy.environment, copy.stack) == (environment, stack)
    ]
    return sorted(copies, key=lambda item: (item[0].at, item[0].serial), reverse=True)


def read(path: Path, keyring: Keyring) -> bytes:
    """The state in a copy, exactly as it was read.

    Raises:
        UnreadableCopyError: It was changed, or its key is not there.
    """
    copy = _described(path)
    if copy is None:
        raise UnreadableCopyError("it is not a copy", _MOVE)
    if not is_available():
        raise UnreadableCopyError("`cryptography` is not installed", "pip install 'doit-tofu[ledger]'")
    key = keyring.find(copy.key)
    if key is None:
        raise UnreadableCopyError(f"it is encrypted with another key ({copy.key})", SET_KEY)
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        line, _, sealed = plain.read(path, _LARGEST).partition(b"\n")
        return zlib.decompress(AESGCM(_derived(key)).decrypt(sealed[:_NONCE], sealed[_NONCE:], line))
    except (OSError, InvalidTag, ValueError, zlib.error):
        raise UnreadableCopyError("it was changed", _MOVE) from None


def _files(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.name.endswith(_SUFFIX) and not entry.name.startswith("."):
            yield folder / entry.name


def _described(path: Path) -> Copy | None:
    try:
        found = json.loads(plain.read(path, _LARGEST).partition(b"\n")[0])
        copy = Copy(**found)
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    texts = (copy.environment, copy.stack, copy.lineage, copy.at, copy.key)
    return copy if all(isinstance(text, str) for text in texts) and isinstance(copy.serial, int) else None


def _derived(key: Key) -> bytes:
    return hmac.digest(key.encryption, _PURPOSE, "sha256")
