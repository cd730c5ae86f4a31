"""The content of a ledger: a head that names everything else by digest, shards of stack records, a chain of entries."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from pydantic import TypeAdapter, ValidationError

from ..base.files import canonical_json, sha256_bytes
from ..base.jsonvalue import Json, JsonObject  # noqa: TC001 - pydantic reads it
from . import statement
from .statement import FormatError, Part, PublicText, Shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .statement import Envelope

FORMAT = 3  # 2: versions do not hold the newest entries themselves; 1: nor do records name commits besides their own
NEEDS = "0.1.0"  # the first version of doit-tofu that reads and writes this format
ENTRY = "urn:doit-tofu:ledger-entry:1"
REVOKED = "revoked"
_APPLIED = "applied"  # an outcome of receipts
RECENT = 64  # ids of writes that the head keeps: a writer without a response finds its own here


class NewerFormatError(FormatError):
    """A newer version of doit-tofu wrote it; the message says which version can read it.

    Args:
        message: The message.
        needs: That version; empty if it is not known.
    """

    def __init__(self, message: str, needs: str) -> None:
        super().__init__(message)
        self.needs = needs


class Kind(StrEnum):
    """What an entry records."""

    INIT = "init"
    DEPLOY = "deploy"
    VERIFY = "verify"
    ACCEPT = "accept"
    RELEASE = "release"
    ROTATE = "rotate"
    RENAME = "rename"
    FORGET = "forget"
    COMPLETE = "complete"
    PARTLY = "partly"
    CHECKPOINT = "checkpoint"


class Lease(Part):
    """Who may apply: no other pipeline does until the lease is released.

    `holder` is the pipeline, shared by its jobs and retries; `run` is the run that took it; `label` is for people;
    `process` is its process, by which a run on the same machine knows whether it is still there.
    """

    holder: str
    run: str
    label: Shown
    since: Shown
    process: str = ""


class Begun(Part):
    """A stack whose apply is announced: it may have started, and its outcome is unknown until there is a receipt.

    `commits` are those that may be deployed by it, its own first. `doubtful` if an earlier apply, begun or announced,
    never got its receipt: then the stack stays announced if this run does not apply it, with that apply's commits.
    """

    holder: str
    run: str
    since: Shown
    plan_sha256: str | None = None
    plan_id: str | None = None
    lineage: str | None = None
    serial: int | None = None
    commits: tuple[Shown, ...] = ()
    doubtful: bool = False


class Partly(Part):
    """A deploy of all stacks that has not ended well, but left all `but` some as its commit wants them."""

    commit: Shown
    but: tuple[Shown, ...] = ()


class Record(Part):
    """The record of a stack: `entry` is the number of the entry that wrote it, `change` its id, `holder` its writer."""

    change: str
    entry: int
    receipt: JsonObject
    outputs: JsonObject | None = None
    holder: str = ""

    @property
    def digest(self) -> str:
        """Hex SHA-256 of receipt and outputs, as in the entry."""
        return content_digest(self.receipt, self.outputs)


class Checkpoint(Part):
    """Where the chain starts since its older entries were dropped: an entry, still in the chain, vouches for it.

    `entry` is the number of that entry, `first` the number of the oldest entry that is kept, `previous` the SHA-256 of
    the one before it, and `key` the public key that was current at that point.
    """

    entry: int
    first: int
    previous: str
    key: PublicText | None = None


class Head(Part):
    """The newest state of a ledger.

    Args:
        format: The format of all of it.
        needs: The oldest version of doit-tofu that may write it.
        ledger: A random id of this ledger, so that its chain is never mistaken for another's.
        project: The repository, as its forge names it.
        formerly: Its former names, oldest first.
        environment: The environment.
        sequence: The number of the last entry.
        chain: The SHA-256 of the last entry.
        checkpoint: Where the chain starts; None if it is kept from its first entry.
        key: The current public key; None if nothing is signed.
        revoked: The public keys that were revoked: none of them becomes the current one again.
        shards: The SHA-256 of each shard, by its name (`3f`).
        lease: Who may apply now.
        begun: The stacks whose apply was announced and has not ended.
        recent: The ids of the latest writes, newest last.
        observed: How often the observations had been written, as far as the writers of the ledger knew.
        kept: The number of the entry since which each version holds the newest ones itself; 0 in an older format.
        complete: The commits of the last complete deploys, the latest first; more than one where they have no order.
        partly: The deploys since then that have not ended well, the latest first.
        reported: The generated pipelines whose last job has ended, the latest first.
    """

    format: int = FORMAT
    needs: Shown = NEEDS
    ledger: Shown
    project: Shown
    formerly: tuple[Shown, ...] = ()
    environment: Shown
    sequence: int = 0
    chain: Shown = ""
    checkpoint: Checkpoint | None = None
    key: PublicText | None = None
    revoked: tuple[PublicText, ...] = ()
    shards: dict[str, str] = {}  # noqa: RUF012 - pydantic copies it
    lease: Lease | None = None
    begun: dict[Shown, Begun] = {}  # noqa: RUF012 - pydantic copies it
    recent: tuple[str, ...] = ()
    observed: int = 0
    kept: int = 0
    complete: tuple[Shown, ...] = ()
    partly: tuple[Partly, ...] = ()
    reported: tuple[str, ...] = ()

    @property
    def first(self) -> int:
        """The number of the oldest entry that is kept."""
        return self.checkpoint.first if self.checkpoint else 1

    def content(self) -> bytes:
        """The head as it is signed."""
        return canonical_json(self.model_dump())


class Entry(Part):
    """One entry of the chain: what happened, and the digest of the previous entry.

    Args:
        format: The format of the entry.
        kind: What it records.
        id: Random, so that an event is written once, however often its write is repeated.
        ledger: See `Head`.
        project: See `Head`; where the repository was renamed, its name from this entry on.
        environment: See `Head`.
        sequence: Its number; the first is 1.
        previous: The SHA-256 of the entry before; empty in the first.
        at: When it happened, by the writer's clock: for people only, not for ordering.
        stack: The stack it is about; one that is forgotten has no record from here on.
        plan: The SHA-256 of the plan that was applied.
        record: The digest of the stack's new record.
        key: The public key for the entries that follow, in the first entry and wherever it changes.
        lost: Whether the previous key is lost: then only the new one signs the change.
        facts: Other facts about the event; `complete` and `partly` say which deploys the head beside it names, `from`
            is the repository's former name, `old` what is wrong with the previous key.
    """

    format: int = FORMAT
    kind: Kind
    id: str
    ledger: Shown
    project: Shown
    environment: Shown
    sequence: int
    previous: str
    at: Shown
    stack: Shown | None = None
    plan: str | None = None
    record: str | None = None
    key: PublicText | None = None
    lost: bool = False
    facts: JsonObject = {}  # noqa: RUF012 - pydantic copies it

    @property
    def revokes(self) -> bool:
        """Whether the previous key may not be used again: others may have it."""
        return self.key is not None and self.facts.get("old") == REVOKED

    @property
    def project_before(self) -> str:
        """The repository's name before this entry."""
        return str(self.facts.get("from") or "") if self.kind is Kind.RENAME else self.project

    def content(self) -> bytes:
        """The entry as an in-toto statement."""
        digest = self.plan or self.record
        if digest is None:  # an event of the ledger itself has the chain before it as its subject
            digest = self.previous or sha256_bytes(self.ledger.encode())
        subject: JsonObject = {"name": self.stack or self.environment, "digest": {"sha256": digest}}
        return statement.content([subject], ENTRY, self.model_dump(mode="json"))


@dataclass(frozen=True)
class Change:
    """An event to record, before it has a place in the chain.

    `receipt` and `outputs` are the stack's new record, `follows` is the change that they replace; `holder` is the
    pipeline that made it, `facts` are other facts for the entry.
    """

    kind: Kind
    id: str
    at: str
    stack: str | None = None
    plan: str | None = None
    receipt: Mapping[str, Json] | None = None
    outputs: Mapping[str, Json] | None = None
    follows: str | None = None
    holder: str = ""
    key: str | None = None
    lost: bool = False
    facts: Mapping[str, Json] = field(default_factory=dict)

    def settled(self, current: Record | None) -> Change:
        """The change, reconciled with the ledger's current record of the stack.

        If that is not the record that this change replaces, two receipts have the same predecessor and no order. The
        receipt of a failed apply is kept, else the later written; in its `besides` it names the commits of the other
        one, so that none of them counts as replaced. The state is no older than either of them left it. The result of
        a check changes nothing if another apply is recorded.
        """
        if current is None or self.receipt is None or current.change == self.follows:
            return self
        if self.kind is Kind.VERIFY:
            return replace(self, receipt=current.receipt, outputs=current.outputs)
        if current.receipt.get("outcome") != _APPLIED:
            return replace(self, receipt=_both(current.receipt, self.receipt), outputs=current.outputs)
        return replace(self, receipt=_both(self.receipt, current.receipt))


def deployed(receipt: Mapping[str, Json]) -> list[str]:
    """The commits that may be deployed by a receipt; empty for one without a commit."""
    besides = receipt.get("besides")
    return [str(commit or "") for commit in (receipt.get("commit"), *(besides if isinstance(besides, list) else ()))]


def _both(receipt: Mapping[str, Json], other: Mapping[str, Json]) -> Mapping[str, Json]:
    """A receipt that says that another one has no order with it."""
    besides = dict.fromkeys((*deployed(receipt)[1:], *deployed(other)))
    return {**_newest(receipt, other), "besides": list(besides)}


def _newest(receipt: Mapping[str, Json], other: Mapping[str, Json]) -> Mapping[str, Json]:
    """A receipt with the higher serial of both, if they are about the same state."""
    ours, theirs = receipt.get("serial"), other.get("serial")
    if receipt.get("lineage") != other.get("lineage") or not isinstance(theirs, int):
        return receipt
    return {**receipt, "serial": max(ours, theirs) if isinstance(ours, int) else theirs}


class _Form(Part):
    """The fields that every format has."""

    format: int
    needs: Shown = ""


P = TypeVar("P", bound=Part)
Shard = dict[Shown, Record]
_SHARD: TypeAdapter[Shard] = TypeAdapter(Shard)


def is_newer(needs: str) -> bool:
    """Whether writing a ledger needs a newer version of doit-tofu than the first that writes this format."""
    wanted, known = ([int(part) for part in re.findall(r"\d+", version)] for version in (needs, NEEDS))
    return wanted > known


def shard_of(stack: str) -> str:
    """The name of the shard that a stack is in: two hex digits of a digest of its name."""
    return hashlib.sha256(stack.encode()).hexdigest()[:2]


def blob_name(shard: str) -> str:
    """The file of a shard."""
    return f"shards/{shard}.json"


def content_digest(receipt: Mapping[str, Json], outputs: Mapping[str, Json] | None) -> str:
    """Hex SHA-256 of a stack's record."""
    return sha256_bytes(canonical_json([receipt, outputs]))


def shard_bytes(shard: Shard) -> bytes:
    """A shard as it is stored."""
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
    """A head and its envelope; the signature is not verified here.

    Raises:
        NewerFormatError: A newer version wrote it.
        FormatError: It is not one.
    """
    envelope = statement.read(data, statement.HEAD)
    return checked(Head, envelope.content), envelope


def read_entry(data: bytes) -> tuple[Entry, Envelope]:
    """An entry and its envelope; the signature is not verified here.

    Raises:
        NewerFormatError: A newer version wrote it.
        FormatError: It is not one.
    """
    envelope = statement.read(data, statement.STATEMENT)
    found = statement.read_statement(envelope)
    if found.kind != ENTRY:
        raise FormatError(f"a statement of {found.kind!r:.80}, not an entry of a ledger")
    return checked(Entry, found.predicate), envelope


def checked(kind: type[P], data: bytes | Mapping[str, object]) -> P:
    """A model read from JSON, or from what was read from JSON.

    Raises:
        NewerFormatError: Its format is newer than ours.
        FormatError: It is not one.
    """
    try:
        form = _validated(_Form, data)
        if form.format <= FORMAT:
            return _validated(kind, data)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        raise FormatError(f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}") from None
    needs = f"; doit-tofu {form.needs} or newer can read it" if form.needs else ""
    raise NewerFormatError(f"format {form.format} is newer than {FORMAT}{needs}", form.needs)


def _validated(kind: type[P], data: bytes | Mapping[str, object]) -> P:
    return kind.model_validate_json(data) if isinstance(data, bytes) else kind.model_validate(data)
