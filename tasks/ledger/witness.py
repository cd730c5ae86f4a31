"""What a forge says the last entry was: a note with its number and digest, where the ledger's token cannot write.

A ledger that was rolled back to an earlier version is intact. Only a witness from outside of it shows what is missing.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from .keys import PublicKey, SigningKey
    from .record import Head

_NOTE = re.compile(
    r"(?P<number>[0-9]{1,12}) (?P<chain>[A-Za-z0-9_-]{43})(?: (?P<signature>[A-Za-z0-9_-]{86}))?", re.ASCII
)
_SIGNED = "doit-tofu ledger witness 1"


@dataclass(frozen=True)
class Witness:
    """One note: the number and the SHA-256 of the entry that was the last when it was written.

    `order` is the forge's number of the note: a later note has a greater one.
    """

    order: int
    number: int
    chain: str


class Verdict(StrEnum):
    """What the notes at a forge say of a ledger."""

    NONE = "none"  # there is no note
    LAST = "last"  # the last entry is the one that the forge names
    LATER = "later"  # the ledger has later entries than the forge names
    REPLACED = "replaced"  # the forge names entries of another ledger alone, which this one says it replaced
    ROLLED_BACK = "rolled back"  # the forge names a later entry
    OTHER = "other"  # the forge names an entry that is not in this chain: it was rewritten or replaced


@dataclass(frozen=True)
class Judgement:
    """A verdict, and the note that it rests on; None without one."""

    verdict: Verdict
    witness: Witness | None = None

    @property
    def is_alarm(self) -> bool:
        """Whether the ledger is not the one that the forge has recorded."""
        return self.verdict in (Verdict.ROLLED_BACK, Verdict.OTHER)


@dataclass(frozen=True)
class Asked:
    """What the forge says of the ledger; `unasked` is why it was not asked, or did not answer, else empty."""

    judgement: Judgement
    unasked: str = ""


def note(head: Head, keys: Sequence[SigningKey]) -> str:
    """The note for a head, at most 140 characters; signed if the ledger is and one of these is its key."""
    parts = [str(head.sequence), _text(bytes.fromhex(head.chain))]
    key = next((key for key in keys if key.public.text == head.key), None)
    if key is not None:
        parts.append(_text(key.sign(_message(head.project, head.environment, head.sequence, head.chain))))
    return " ".join(parts)


def read(
    order: int, text: str, head: Head, keys: Collection[PublicKey], projects: Collection[str] = ()
) -> Witness | None:
    """The witness in a note; None if it is not one, or if the ledger is signed and none of its keys signed the note.

    Args:
        order: The forge's number of the note.
        text: The note.
        head: The head of the ledger that it should be about.
        keys: The keys that count: those of the chain, and those in the configuration.
        projects: The repository's names, by the chain; by default that in the head.
    """
    match = _NOTE.fullmatch(text.strip())
    if match is None:
        return None
    found = Witness(order, int(match["number"]), _bytes(match["chain"]).hex())
    if head.key is None:
        return found
    if not match["signature"]:
        return None
    messages = [_message(name, head.environment, found.number, found.chain) for name in projects or (head.project,)]
    signature = _bytes(match["signature"])
    return found if any(key.verifies(signature, message) for key in keys for message in messages) else None


def judge(head: Head, chain: Mapping[int, str], found: Collection[Witness], *, rebuilt: bool) -> Judgement:
    """Compare a ledger with the notes at its forge.

    Args:
        head: The ledger's head, its chain verified.
        chain: The digest of each entry that it still has, by number.
        found: The notes.
        rebuilt: Whether the ledger replaced an earlier one: notes from before its own are then about that one.
    """
    ours = [item for item in found if chain.get(item.number) == item.chain]
    since = min((item.order for item in ours), default=None)
    before = [item for item in found if item not in ours and rebuilt and (since is None or item.order < since)]
    foreign = [
        item
        for item in found
        if item not in ours
        and item not in before
        and item.number >= head.first  # of entries that were dropped, nothing can be compared
    ]
    if foreign:
        worst = max(foreign, key=lambda item: item.number)
        return Judgement(Verdict.ROLLED_BACK if worst.number > head.sequence else Verdict.OTHER, worst)
    if not ours:
        latest = max(before, key=lambda item: item.number, default=None)
        return Judgement(Verdict.REPLACED if latest else Verdict.NONE, latest)
    newest = max(ours, key=lambda item: item.number)
    return Judgement(Verdict.LAST if newest.number == head.sequence else Verdict.LATER, newest)


def _message(project: str, environment: str, number: int, chain: str) -> bytes:
    return "\0".join((_SIGNED, project, environment, str(number), chain)).encode()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:  # the pattern allows only texts that decode
        return b""
