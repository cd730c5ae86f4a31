"""What the documents of `--json` are made of; see `documents`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, JsonValue

if TYPE_CHECKING:
    from ..base.problem import Problem


class Part(BaseModel):
    """A part of a document: every field is always there."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_serialization_defaults_required=True)


class ProblemPart(Part):
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


class CountsPart(Part):
    """How many resources change, by kind; `outputs` counts changed outputs."""

    add: int = 0
    change: int = 0
    replace: int = 0
    destroy: int = 0
    move: int = 0
    imports: int = 0
    forget: int = 0
    outputs: int = 0


class ChangePart(Part):
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


class RulePart(Part):
    """What a policy says of a plan."""

    rule: str = Field(description="The rule.")
    severity: str = Field(description="How bad it is.")
    message: str = Field(description="What is wrong.")
    address: str | None = Field(description="The resource that it is about.")
    refused: bool = Field(description="Whether the plan is refused because of it.")
    allowed: str | None = Field(description="Why it is allowed anyway.")


class PlannedPart(Part):
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


class DriftPart(Part):
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


class ResolvedPart(Part):
    """Drift that is over."""

    address: str = Field(description="The resource, output or check; empty if it is not known any more.")
    since: str = Field(description="When a check first found it.")


class WayPart(Part):
    """What can be done about drift."""

    what: str = Field(description="`deploy the code again`, `keep what is there` or `look into it`.")
    command: list[str] = Field(description="The command, word by word.")


class DriftedPart(Part):
    """What `drift` found for one stack."""

    name: str = Field(description="The stack.")
    status: str = Field(description="`ok`, `drifted`, `undeployed`, `adopted`, `skipped`, `failed` or `not_run`.")
    summary: str = Field(description="One line for people.")
    found_at: str = Field(description="When this check began, ISO 8601.")
    differences: list[DriftPart] = Field(description="What differs.")
    resolved: list[ResolvedPart] = Field(description="What the previous check found, and this one did not.")
    ways: list[WayPart] = Field(description="What can be done about what has drifted; empty if nothing has.")
    problem: ProblemPart | None = Field(description="What went wrong.")


class ReasonPart(Part):
    """Why a stack is affected."""

    why: str = Field(description="How it is affected: `changed`, `added`, `removed`, `never deployed from here`, ...")
    text: str = Field(description="The reason in words.")
    input: str | None = Field(description="The kind of the input that differs: `file`, `variable`, `output`, ...")
    name: str | None = Field(description="Which one: a path, a variable, an output.")
    stack: str | None = Field(description="The upstream that an output belongs to.")
    since: str | None = Field(description="What it was compared with, if that is not the last deploy.")


class DeployedPart(Part):
    """The last deploy."""

    commit: str | None = Field(description="Its commit.")
    at: str | None = Field(description="When it ended, ISO 8601.")


class StackPart(Part):
    """What is known of one stack without starting the engine."""

    name: str = Field(description="The stack.")
    path: str = Field(description="Its folder.")
    needs: list[str] = Field(description="The stacks that it needs.")
    summary: str = Field(description="All there is to say of it, in one line for people: `up to date`, if nothing.")
    deployed: DeployedPart | None = Field(description="The last deploy; null if there was none.")
    affected: bool = Field(description="Whether the next deploy changes it or must look at it.")
    reasons: list[ReasonPart] = Field(description="Why it is affected.")
    unverified: bool = Field(
        description="Whether it is deployed, but its checks, or the hooks after its deploy, have not passed since."
    )
    plan: str | None = Field(description="What a deploy would do with the plan that waits for it, in words.")
    deploying: str | None = Field(description="Which run is deploying it now.")
    unsaved_state: str | None = Field(description="The file of a state that could not be saved, if there is one.")
    drift: DriftedPart | None = Field(
        description="The last check for drift, unless it was deployed since. If its `status` is `failed`, whether the"
        " stack has drifted is not known."
    )
    earlier_drift: DriftedPart | None = Field(description="The last check that ended, if the last one failed.")
    problem: ProblemPart | None = Field(description="Why it could not be determined.")


class RemovedPart(Part):
    """A stack that is deployed, but that the code does not have."""

    name: str = Field(description="The stack.")
    commit: str | None = Field(description="The commit that is deployed, if that is known.")
    summary: str = Field(description="What there is to say of it, in one line for people.")


class NodePart(Part):
    """A stack in the graph."""

    name: str = Field(description="The stack.")
    needs: list[str] = Field(description="The stacks that it needs.")
    wave: int = Field(description="It needs only stacks of lower waves; the first is 1.")


class EntryPart(Part):
    """An entry of the ledger."""

    sequence: int = Field(description="Its number, from 1.")
    at: str = Field(description="When it happened, by the clock of the machine that wrote it, ISO 8601.")
    kind: str = Field(
        description="`init`, `deploy`, `verify`, `accept`, `release`, `rotate`, `rename`, `forget`, `complete`, "
        "`checkpoint`."
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


class LeasePart(Part):
    """Who is deploying."""

    label: str = Field(description="Its name, for people.")
    since: str = Field(description="Since when, ISO 8601.")


class FaultPart(Part):
    """Where the ledger was changed by somebody else."""

    entry: int | None = Field(description="The number of the entry.")
    what: str = Field(description="What is wrong with it.")


class WitnessPart(Part):
    """What the forge says the last entry was."""

    verdict: str = Field(
        description="`last`: it names this one; `later`: it names an earlier one; `rolled back`: it names a later one; "
        "`other`: it names one that is not in this ledger; `replaced`: it names only one of a ledger that this one "
        "says it replaced; `none`: it names no entry."
    )
    sequence: int | None = Field(description="The number of the entry that it names.")
    unasked: str = Field(description="Why it was not asked, or did not answer; otherwise empty.")
