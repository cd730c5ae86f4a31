"""What `--json` prints: one document per command, for programs and assistants; described in `docs/json.md`.

`docs/json.schema.json` is generated from these types. A field that is added keeps the format; one that is changed or
removed raises it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, TypeAdapter

from .documentparts import (
    CountsPart,
    DriftedPart,
    EntryPart,
    FaultPart,
    LeasePart,
    NodePart,
    Part,
    PlannedPart,
    ProblemPart,
    RemovedPart,
    StackPart,
    WitnessPart,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..base.jsonvalue import JsonObject
    from ..base.problem import Problem


class _Document(Part):
    """What every document has."""

    format: Literal[1] = Field(default=1, description="The version of this format.")
    environment: str | None = Field(description="The environment.")
    problems: list[ProblemPart] = Field(description="What went wrong outside of single stacks.")


class _RunDocument(_Document):
    """What every document of a run has."""

    commit: str | None = Field(description="The commit of the working tree.")
    dirty: bool = Field(description="Whether it has uncommitted changes.")
    began: str = Field(description="When the run began, ISO 8601.")
    exit_code: int = Field(description="The exit code of the command.")
    verdict: str = Field(description="The outcome as a whole, in one sentence.")
    notes: list[str] = Field(description="What else a reader must know.")
    reports: list[str] = Field(description="The files of the report, relative to the repository.")


class PlanDocument(_RunDocument):
    """What this commit would do: `doit plan --json`."""

    command: Literal["plan"] = "plan"
    counts: CountsPart = Field(description="The counts of all stacks together.")
    stacks: list[PlannedPart] = Field(description="Every stack.")


class DriftDocument(_RunDocument):
    """What differs from what was deployed: `doit drift --json`."""

    command: Literal["drift"] = "drift"
    stacks: list[DriftedPart] = Field(description="Every stack.")


class StatusDocument(_Document):
    """What is deployed, affected and why, and drifted: `doit status --json`."""

    command: Literal["status"] = "status"
    verdict: str = Field(description="How the stacks are, in one sentence.")
    stacks: list[StackPart] = Field(description="Every stack, in the order of a deploy.")
    removed: list[RemovedPart] = Field(description="Stacks that are deployed, but not in the code: removed or renamed.")
    complete: list[str] = Field(
        description="The commits of the last deploys of all stacks, by the ledger, the latest first: more than one"
        " where none contains the other; empty without a ledger."
    )


class GraphDocument(_Document):
    """Which stack needs which: `doit graph --json`."""

    command: Literal["graph"] = "graph"
    stacks: list[NodePart] = Field(description="Every stack, in the order of a deploy.")


class LogDocument(_Document):
    """What was deployed, by the ledger: `doit log --json`."""

    command: Literal["log"] = "log"
    entries: list[EntryPart] = Field(description="The entries, the oldest first.")
    earlier: int = Field(description="How many older entries `--most` left out.")
    complete: list[str] = Field(
        description="The commits of the last deploys of all stacks, the latest first: more than one where none contains"
        " the other."
    )
    deploying: LeasePart | None = Field(description="Who is deploying now.")


class AuditDocument(_Document):
    """Whether anybody changed the ledger: `doit audit --json`."""

    command: Literal["audit"] = "audit"
    whole: bool = Field(description="Whether every entry is as it was written.")
    entries: int = Field(description="How many entries were verified.")
    sequence: int = Field(description="The number of the last entry.")
    chain: str = Field(description="The SHA-256 of the last entry.")
    project: str = Field(description="The repository, as its forge names it.")
    key: str | None = Field(description="The id of the key that signs it; null if it is not signed.")
    first: int = Field(description="The number of the oldest entry that is kept.")
    replaced: list[int] = Field(description="The entries that replaced a lost or revoked key.")
    broken: FaultPart | None = Field(description="The first fault.")
    forge: WitnessPart = Field(description="What the forge says the last entry was.")


class LedgerDocument(_Document):
    """Whether this job can read, write and sign the ledger: `doit ledger check --json`."""

    command: Literal["ledger"] = "ledger"
    usable: bool = Field(description="Whether a deploy with these credentials and keys can record what it does.")
    home: str = Field(description="Where the ledger is, without credentials.")
    access: str = Field(
        description="`writable`, `readable`, `unreadable`, `absent`, `unreachable`, `broken`, `failed`, or"
        " `unconditional` where two deploys could overwrite each other's records."
    )
    sequence: int | None = Field(description="The number of the last entry; null if it could not be read.")
    key: str | None = Field(description="The id of the key that signs it; null if it is not signed.")
    signing: bool = Field(description="Whether this job has that key.")
    lease: LeasePart | None = Field(description="The run that is deploying, if there is one.")


class FailedDocument(_Document):
    """The command could not begin; `problems` says why."""

    command: Literal["failed"] = "failed"
    exit_code: int = Field(default=1, description="The exit code of the command.")


AnyDocument = (
    PlanDocument
    | DriftDocument
    | StatusDocument
    | GraphDocument
    | LogDocument
    | AuditDocument
    | LedgerDocument
    | FailedDocument
)
Document = Annotated[AnyDocument, Field(discriminator="command")]


def text(document: AnyDocument) -> str:
    """The document as it is printed."""
    return document.model_dump_json(indent=2)


def failed(environment: str | None, problems: Iterable[Problem], code: int = 1) -> str:
    """The document of a command that could not begin and exits with a code; the problems are masked already."""
    parts = [ProblemPart.of(each) for each in problems]
    return text(FailedDocument(environment=environment, problems=parts, exit_code=code))


def refused(said: str, code: int) -> str:
    """The document of a command line that is not understood: of what is said of it, `untouched:` and `next:` below."""
    from ..base import urls
    from ..base.masking import Masker
    from ..base.problem import Kind, Problem

    summary, *rest = said.split("\n")
    rows = {name: words for name, _, words in (line.strip().partition(": ") for line in rest)}
    steps = (rows["next"],) if "next" in rows else ()
    problem = Problem(Kind.ERROR, summary, untouched=rows.get("untouched"), next=steps)
    return failed(None, [problem.mapped(lambda words: urls.scrub(Masker().text(words)))], code)


def schema() -> JsonObject:
    """The JSON Schema of all documents."""
    found: JsonObject = TypeAdapter[Document](Document).json_schema(mode="serialization")
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "What `doit ... --json` prints"}
    return {**head, **found}
