"""What `--json` prints: one document per command, for programs and assistants; described in `docs/json.md`.

`docs/json.schema.json` is generated from these types. A field that is added keeps the format; one that is changed or
removed raises it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..base.jsonvalue import JsonObject
    from ..base.problem import Problem


class _Part(BaseModel):
    """A part of a document: every field is always there."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_serialization_defaults_required=True)


class ProblemPart(_Part):
    """What went wrong: where, what is untouched, and what to do next."""

    kind: str = Field(description="What kind of problem it is, in words that stay the same: `state locked`.")
    summary: str = Field(description="What happened, in one sentence.")
    file: str | None = Field(description="The file, relative to the repository, or another source.")
    line: int | None = Field(description="The line in it, from 1.")
    key: str | None = Field(description="The configuration key: `stacks.web.inputs`.")
    stack: str | None = Field(description="The stack concerned.")
    untouched: str | None = Field(description="What was not changed.")
    next: str | None = Field(description="What to do next, in words.")
    next_command: list[str] = Field(description="The first command of `next`, word by word; empty without one.")
    details: list[str] = Field(description="Further lines.")

    @classmethod
    def of(cls, found: Problem) -> ProblemPart:
        """A problem, masked already."""
        where, command = found.where, found.next_command
        return cls(
            kind=str(found.kind), summary=found.summary, file=where.file if where else None,
            line=where.line if where else None, key=where.key if where else None, stack=found.stack,
            untouched=found.untouched, next=found.next_text or None,
            next_command=list(command.words) if command else [], details=list(found.details),
        )  # fmt: skip


class CountsPart(_Part):
    """How many resources change, by kind; `outputs` counts changed outputs."""

    add: int = 0
    change: int = 0
    replace: int = 0
    destroy: int = 0
    move: int = 0
    imports: int = 0
    forget: int = 0
    outputs: int = 0


class ChangePart(_Part):
    """What happens to one resource or output; no sensitive value is in it."""

    address: str = Field(description="The resource's address, or the output's name.")
    action: str = Field(description="`add`, `change`, `replace`, `destroy`, `forget`, `move` or `import`.")
    why: str = Field(description="Why the engine does this; empty where it follows from the difference.")
    moved_from: str | None = Field(description="Its address before, if it moves.")
    import_id: str | None = Field(description="The id that it is imported by, if it is imported.")
    forces: list[str] = Field(description="The fields that force its replacement.")
    difference: list[str] = Field(
        description="The lines of the difference: `- size = 1` is before, `+ size = 2` after, `!` a remark."
    )


class RulePart(_Part):
    """What a policy says of a plan."""

    rule: str = Field(description="The rule.")
    severity: str = Field(description="How bad it is.")
    message: str = Field(description="What is wrong.")
    address: str | None = Field(description="The resource that it is about.")
    refused: bool = Field(description="Whether the plan is refused because of it.")
    allowed: str | None = Field(description="Why it is allowed anyway.")


class PlannedPart(_Part):
    """What `plan` found for one stack."""

    name: str = Field(description="The stack.")
    status: str = Field(description="`ok`, `unaffected`, `deferred`, `failed` or `not_run`.")
    summary: str = Field(description="One line for people.")
    reasons: list[str] = Field(description="Why it is affected.")
    counts: CountsPart = Field(description="How many resources change.")
    changes: list[ChangePart] = Field(description="What happens to its resources, the dangerous changes first.")
    outputs: list[ChangePart] = Field(description="What happens to its outputs.")
    findings: list[RulePart] = Field(description="What policies say.")
    failed_checks: list[str] = Field(description="`check` blocks that failed.")
    warnings: list[str] = Field(description="The engine's warnings.")
    mocked: list[str] = Field(description="The variables with mocks: such a plan is never applied.")
    problem: ProblemPart | None = Field(description="What went wrong.")


class DriftPart(_Part):
    """One thing that differs from what was deployed."""

    kind: str = Field(
        description="`changed`, `deleted`, `appeared`, `outputs`, `check`, `state`, or `undeployed`: code, not drift."
    )
    address: str = Field(description="The resource, output or check.")
    severity: str = Field(description="`critical`, `warning` or `info`.")
    since: str | None = Field(description="When a check first found it, ISO 8601; null if that is not known.")
    compared: str = Field(description="With the previous check: `new`, `changed again`, `known` or `unknown`.")
    ignored: str | None = Field(description="Why a rule of `drift.ignore` ignores it.")
    causes: list[str] = Field(description="What else changed outside that this may follow from.")
    changed_by: str | None = Field(description="Who changed it last, if its provider says so.")
    changed_at: str | None = Field(description="When that was, as its provider writes it.")
    difference: list[str] = Field(description="`-` is what exists, `+` what the code says.")


class ResolvedPart(_Part):
    """Drift that is over."""

    address: str = Field(description="The resource, output or check; empty if it is not known any more.")
    since: str = Field(description="When a check first found it.")


class WayPart(_Part):
    """What can be done about drift."""

    what: str = Field(description="`deploy the code again`, `keep what is there` or `look into it`.")
    command: list[str] = Field(description="The command, word by word.")


class DriftedPart(_Part):
    """What `drift` found for one stack."""

    name: str = Field(description="The stack.")
    status: str = Field(description="`ok`, `drifted`, `undeployed`, `adopted`, `skipped`, `failed` or `not_run`.")
    summary: str = Field(description="One line for people.")
    found_at: str = Field(description="When this check began, ISO 8601.")
    differences: list[DriftPart] = Field(description="What differs.")
    resolved: list[ResolvedPart] = Field(description="What the previous check found, and this one did not.")
    ways: list[WayPart] = Field(description="What can be done about what has drifted; empty if nothing has.")
    problem: ProblemPart | None = Field(description="What went wrong.")


class ReasonPart(_Part):
    """Why a stack is affected."""

    why: str = Field(description="How it is affected: `changed`, `added`, `removed`, `never deployed from here`, ...")
    text: str = Field(description="The reason in words.")
    input: str | None = Field(description="The kind of the input that differs: `file`, `variable`, `output`, ...")
    name: str | None = Field(description="Which one: a path, a variable, an output.")
    stack: str | None = Field(description="The upstream that an output belongs to.")
    since: str | None = Field(description="What it was compared with, if that is not the last deploy.")


class DeployedPart(_Part):
    """The last deploy."""

    commit: str | None = Field(description="Its commit.")
    at: str | None = Field(description="When it ended, ISO 8601.")


class StackPart(_Part):
    """What is known of one stack without starting the engine."""

    name: str = Field(description="The stack.")
    path: str = Field(description="Its folder.")
    needs: list[str] = Field(description="The stacks that it needs.")
    summary: str = Field(description="All there is to say of it, in one line for people: `up to date`, if nothing.")
    deployed: DeployedPart | None = Field(description="The last deploy; null if there was none.")
    affected: bool = Field(description="Whether the next deploy changes it or must look at it.")
    reasons: list[ReasonPart] = Field(description="Why it is affected.")
    unverified: bool = Field(description="Whether it is deployed, but its checks have not passed since.")
    plan: str | None = Field(description="What a deploy would do with the plan that waits for it, in words.")
    deploying: str | None = Field(description="Which run is deploying it now.")
    unsaved_state: str | None = Field(description="The file of a state that could not be saved, if there is one.")
    drift: DriftedPart | None = Field(
        description="The last check for drift, unless it was deployed since. If its `status` is `failed`, whether the"
        " stack has drifted is not known."
    )
    earlier_drift: DriftedPart | None = Field(description="The last check that ended, if the last one failed.")
    problem: ProblemPart | None = Field(description="Why it could not be determined.")


class NodePart(_Part):
    """A stack in the graph."""

    name: str = Field(description="The stack.")
    needs: list[str] = Field(description="The stacks that it needs.")
    wave: int = Field(description="It needs only stacks of lower waves; the first is 1.")


class EntryPart(_Part):
    """An entry of the ledger."""

    sequence: int = Field(description="Its number, from 1.")
    at: str = Field(description="When it happened, by the clock of the machine that wrote it, ISO 8601.")
    kind: str = Field(
        description="`init`, `deploy`, `verify`, `destroy`, `accept`, `release`, `rotate`, `rename`, `checkpoint`."
    )
    stack: str | None = Field(description="The stack; null if it is about the ledger itself.")
    outcome: str | None = Field(description="How the deploy ended: `applied` or `failed`.")
    commit: str | None = Field(description="The commit that was deployed.")
    besides: list[str] = Field(
        description="Other commits that may be deployed, too: of deploys that did not know of this one, or that this"
        " one may not have replaced, as it failed; an empty text for a deploy without a commit."
    )
    serial: int | None = Field(description="The state's serial afterwards.")
    verified: bool | None = Field(description="Whether the checks passed; true without checks, null if not run.")
    pipeline: str | None = Field(description="The pipeline that did it.")
    request: str | None = Field(description="The merge request that brought the commit.")
    reason: str | None = Field(description="Why a person did it.")
    plan: str | None = Field(description="The SHA-256 of the plan that was applied.")
    facts: dict[str, JsonValue] = Field(
        description="Everything that the entry records, which depends on its kind; fields may be added."
    )


class LeasePart(_Part):
    """Who is deploying."""

    label: str = Field(description="Its name, for people.")
    since: str = Field(description="Since when, ISO 8601.")


class FaultPart(_Part):
    """Where the ledger was changed by somebody else."""

    entry: int | None = Field(description="The number of the entry.")
    what: str = Field(description="What is wrong with it.")


class WitnessPart(_Part):
    """What the forge says the last entry was."""

    verdict: str = Field(
        description="`last`: it names this one; `later`: it names an earlier one; `rolled back`: it names a later one; "
        "`other`: it names one that is not in this ledger; `replaced`: it names only one of a ledger that this one "
        "says it replaced; `none`: it names no entry."
    )
    sequence: int | None = Field(description="The number of the entry that it names.")
    unasked: str = Field(description="Why it was not asked, or did not answer; otherwise empty.")


class _Document(_Part):
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


class GraphDocument(_Document):
    """Which stack needs which: `doit graph --json`."""

    command: Literal["graph"] = "graph"
    stacks: list[NodePart] = Field(description="Every stack, in the order of a deploy.")


class LogDocument(_Document):
    """What was deployed, by the ledger: `doit log --json`."""

    command: Literal["log"] = "log"
    entries: list[EntryPart] = Field(description="The entries, the oldest first.")
    earlier: int = Field(description="How many older entries `--most` left out.")
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
