"""What a ledger holds: a head that names everything else by digest, shards of stacks' records, a chain of entries."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from pydantic import TypeAdapter, ValidationError

from ..base.files import canonical_json, sha256_bytes
from . import statement
from .statement import FormatError, Part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .statement import Envelope

FORMAT = 1
NEEDS = "0.1.0"  # the first version of doit-tofu that reads and writes this format
ENTRY = "urn:doit-tofu:ledger-entry:1"
_APPLIED, _FAILED = "applied", "failed"  # outcomes of receipts
RECENT = 64  # writes whose changes the head still names: who got no answer finds its own among them


class NewerFormatError(FormatError):
    """A newer version of doit-tofu wrote it; says which one it takes."""


class Kind(StrEnum):
    """What an entry records."""

    INIT = "init"
    DEPLOY = "deploy"
    VERIFY = "verify"
    DESTROY = "destroy"
    ACCEPT = "accept"
    RELEASE = "release"
    ROTATE = "rotate"


class Lease(Part):
    """Who may apply: no other pipeline does until it is given back.

    `holder` is the pipeline, which its jobs and retries share; `run` the process that took it; `label` is for people.
    """

    holder: str
    run: str
    label: str
    since: str


class Begun(Part):
    """A stack whose apply is announced: it may have begun, and until a receipt says how it ended, nobody knows.

    `doubtful` where an apply that was announced before, or has begun, never got its receipt: then it stays announced
    even if this run ends without applying it.
    """

    holder: str
    run: str
    since: str
    plan_sha256: str | None = None
    plan_id: str | None = None
    lineage: str | None = None
    serial: int | None = None
    doubtful: bool = False


class Record(Part):
    """What is known of a stack: `entry` is the number of the entry that says so, `change` its id."""

    change: str
    entry: int
    receipt: dict[str, object]
    outputs: dict[str, object] | None = None

    @property
    def digest(self) -> str:
        """Hex SHA-256 of receipt and outputs: what the entry has of them."""
        return content_digest(self.receipt, self.outputs)


class Head(Part):
    """The newest state of a ledger.

    Args:
        format: The format of all of it.
        needs: The oldest version of doit-tofu that may write it.
        ledger: A random id, made with the ledger: no chain is taken for another's.
        project: The repository, as its forge names it.
        environment: The environment.
        sequence: The number of the last entry.
        chain: The SHA-256 of the last entry.
        first: The number of the oldest entry that is kept.
        key: The public key that is in force; None where nothing is signed.
        shards: The SHA-256 of each shard, by its name (`3f`).
        lease: Who may apply now.
        begun: The stacks whose apply was announced and has not ended.
        recent: The ids of the latest writes, the last one last.
    """

    format: int = FORMAT
    needs: str = NEEDS
    ledger: str
    project: str
    environment: str
    sequence: int = 0
    chain: str = ""
    first: int = 1
    key: str | None = None
    shards: dict[str, str] = {}  # noqa: RUF012 - pydantic copies it
    lease: Lease | None = None
    begun: dict[str, Begun] = {}  # noqa: RUF012 - pydantic copies it
    recent: tuple[str, ...] = ()

    def content(self) -> bytes:
        """The head as it is signed."""
        return canonical_json(self.model_dump())


class Entry(Part):
    """One link of the chain: what happened, and the digest of the link before.

    Args:
        format: The format of the entry.
        kind: What it records.
        id: Random: the same event is written once, however often its write is repeated.
        ledger: See `Head`.
        project: See `Head`.
        environment: See `Head`.
        sequence: Its number; the first is 1.
        previous: The SHA-256 of the entry before; empty in the first.
        at: When it happened, by the clock of who recorded it: for people, it orders nothing.
        stack: The stack it is about.
        plan: The SHA-256 of the plan that was applied.
        record: The digest of what the ledger holds of the stack from now on.
        key: The public key that is in force from the next entry on, where it changes, or in the first entry.
        lost: Whether the key before is gone: then the new one alone signs the change.
        facts: What else is known of the event.
    """

    format: int = FORMAT
    kind: Kind
    id: str
    ledger: str
    project: str
    environment: str
    sequence: int
    previous: str
    at: str
    stack: str | None = None
    plan: str | None = None
    record: str | None = None
    key: str | None = None
    lost: bool = False
    facts: dict[str, object] = {}  # noqa: RUF012 - pydantic copies it

    def content(self) -> bytes:
        """The entry as an in-toto statement."""
        digest = self.plan or self.record
        if digest is None:  # an event of the ledger itself is about the chain that it follows
            digest = self.previous or sha256_bytes(self.ledger.encode())
        subject = {"name": self.stack or self.environment, "digest": {"sha256": digest}}
        return statement.content([subject], ENTRY, self.model_dump(mode="json"))


@dataclass(frozen=True)
class Change:
    """An event that is to be recorded, before it has a place in the chain.

    `receipt` and `outputs` are what the ledger holds of the stack from then on, `follows` the change that they replace;
    `facts` is what else the entry says.
    """

    kind: Kind
    id: str
    at: str
    stack: str | None = None
    plan: str | None = None
    receipt: Mapping[str, object] | None = None
    outputs: Mapping[str, object] | None = None
    follows: str | None = None
    key: str | None = None
    lost: bool = False
    facts: Mapping[str, object] = field(default_factory=dict)

    def settled(self, current: Record | None) -> Change:
        """The change over what the ledger holds now.

        Where that is not what this one replaces, two receipts have one predecessor and no order: one of an apply that
        has not ended well stands, and two good ones make one that has not. What a check found of another apply than
        the one that is recorded changes nothing.
        """
        if current is None or self.receipt is None or current.change == self.follows:
            return self
        if self.kind is Kind.VERIFY or current.receipt.get("outcome") != _APPLIED:
            return replace(self, receipt=current.receipt, outputs=current.outputs)
        outcome = self.receipt.get("outcome")
        return replace(self, receipt={**self.receipt, "outcome": _FAILED if outcome == _APPLIED else outcome})


class _Form(Part):
    """What every format has."""

    format: int
    needs: str = ""


P = TypeVar("P", Head, Entry)
Shard = dict[str, Record]
_SHARD: TypeAdapter[Shard] = TypeAdapter(Shard)


def shard_of(stack: str) -> str:
    """The name of the shard that a stack is in: two hex digits of a digest of its name."""
    return hashlib.sha256(stack.encode()).hexdigest()[:2]


def blob_name(shard: str) -> str:
    """The file of a shard."""
    return f"shards/{shard}.json"


def content_digest(receipt: Mapping[str, object], outputs: Mapping[str, object] | None) -> str:
    """Hex SHA-256 over what a ledger holds of a stack."""
    return sha256_bytes(canonical_json([receipt, outputs]))


def shard_bytes(shard: Shard) -> bytes:
    """A shard as it is kept."""
    return canonical_json({name: record.model_dump() for name, record in shard.items()})


def read_shard(data: bytes) -> Shard:
    """The records of a shard.

    Raises:
        FormatError: It is not one.
    """
    try:
        return _SHARD.validate_json(data)
    except ValidationError as error:
        raise FormatError(f"not a shard: {error.errors(include_url=False)[0]['msg']}") from None


def read_head(data: bytes) -> tuple[Head, Envelope]:
    """A head and the envelope that it came in, whose signature is not judged here.

    Raises:
        NewerFormatError: A newer version wrote it.
        FormatError: It is not one.
    """
    envelope = statement.read(data, statement.HEAD)
    return _checked(Head, envelope.content), envelope


def read_entry(data: bytes) -> tuple[Entry, Envelope]:
    """An entry and the envelope that it came in, whose signature is not judged here.

    Raises:
        NewerFormatError: A newer version wrote it.
        FormatError: It is not one.
    """
    envelope = statement.read(data, statement.STATEMENT)
    found = statement.read_statement(envelope)
    if found.kind != ENTRY:
        raise FormatError(f"a statement of {found.kind!r:.80}, not an entry of a ledger")
    return _checked(Entry, canonical_json(found.predicate)), envelope


def _checked(kind: type[P], data: bytes) -> P:
    """The part that some JSON is.

    Raises:
        NewerFormatError: Its format is newer than ours.
        FormatError: It is not one.
    """
    try:
        form = _Form.model_validate_json(data)
        if form.format <= FORMAT:
            return kind.model_validate_json(data)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        raise FormatError(f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}") from None
    needs = f"; doit-tofu {form.needs} or newer reads it" if form.needs else ""
    raise NewerFormatError(f"format {form.format} is newer than {FORMAT}{needs}")
