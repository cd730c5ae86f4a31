"""Checkpoints: an entry that vouches for older ones, so that those can be dropped and the chain is still provable."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from .record import Change, Checkpoint, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .record import Entry, Head

_RECEIPTS: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, str])


def make(
    head: Head, first: int, place: tuple[str, str | None], records: Mapping[str, tuple[int, str]], at: str
) -> tuple[Checkpoint, Change]:
    """A checkpoint, and the change that records it as the next entry.

    Args:
        head: The head of the chain, which was verified.
        first: The number of the oldest entry to keep.
        place: The digest of the entry before that one, and the key that was current there.
        records: By stack, the number of its last entry and the digest of its receipt.
        at: The time, for people.
    """
    previous, key = place
    found = Checkpoint(entry=head.sequence + 1, first=first, previous=previous, key=key)
    receipts = {stack: digest for stack, (number, digest) in records.items() if number < first or _covers(head, number)}
    facts = {**found.model_dump(), "receipts": receipts}
    return found, Change(Kind.CHECKPOINT, secrets.token_hex(16), at, facts=facts)


def _covers(head: Head, number: int) -> bool:
    """Whether an entry is the checkpoint in force: the receipts that it vouches for have no entry of their own."""
    return head.checkpoint is not None and head.checkpoint.entry == number


def parsed(entry: Entry) -> tuple[Checkpoint, dict[str, str]] | None:
    """The checkpoint that an entry records, and the digests of the receipts whose entries it replaces; None if none."""
    try:
        return Checkpoint.model_validate(entry.facts), _RECEIPTS.validate_python(entry.facts.get("receipts"))
    except ValidationError:
        return None
