"""The details of results: one type per stage, which records are read back into."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Unpack

from ..artifact.changes import items_masked, masked_again
from ..base import typed
from ..base.errors import DeployError
from ..base.jsonvalue import Json, JsonObject, fields
from ..base.problem import Kind
from ..drifts.author import Author
from ..drifts.classes import Finding
from ..drifts.delta import Resolved, news

if TYPE_CHECKING:
    from ..base.errors import Places
    from ..base.masking import Secrets


@dataclass(frozen=True)
class BuildDetails:
    """An image that was built, or found in its registry: its reference by tag, and by digest where that is known."""

    tag: str = ""
    image: str | None = None


@dataclass(frozen=True)
class LockFile:
    """A dependency lock file that differs from the commit.

    Args:
        path: Where it is, relative to the repository's root.
        state: `new` if it is not in the commit, `changed`, or `ignored` by git; `missing` if the engine wrote a new one
            because the committed one was not here, `restored` if that equals the committed one.
    """

    path: str
    state: str


@dataclass(frozen=True)
class PlanDetails:
    """A plan.

    Args:
        origin: `plan`, or `deploy` for one that a deploy made for itself.
        changes: What it changes, see `changes.PlanChanges`.
        findings: What policies say of it, see `policy.finding.Finding`.
        mocked: The variables with mocks.
        images: The image references that variables get.
        unpinned: Those of the images whose digest is not known yet.
        volatile: The variables whose value the deploy takes from the plan, whatever it is by then.
        lock_file: Its lock file, where another job will not have it as it is here.
        reused: Whether an earlier run made it, and it still fits.
        accepted: The state that was accepted although another one had been deployed, and why.
        state_moved: That the state went on outside of this product, in words.
    """

    origin: str = ""
    changes: JsonObject | None = None
    findings: list[JsonObject] = field(default_factory=list)
    mocked: list[str] = field(default_factory=list)
    images: dict[str, str] = field(default_factory=dict)
    unpinned: list[str] = field(default_factory=list)
    volatile: list[str] = field(default_factory=list)
    lock_file: LockFile | None = None
    reused: bool = False
    accepted: JsonObject | None = None
    state_moved: str | None = None


@dataclass(frozen=True)
class CheckRecord:
    """How a check ended.

    Args:
        kind: Its kind.
        check: What it is called.
        passed: Whether it came true.
        observed: What it last saw.
        text: Both in one line.
        looks: How often it looked.
        seconds: How long it took.
        commands: Commands with which a person looks further.
    """

    kind: str
    check: str
    passed: bool
    observed: str
    text: str
    looks: int
    seconds: float
    commands: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Deployed:
    """What checks looked at: the plan that was applied last, from which commit, when, with which images."""

    plan_sha256: str
    commit: str | None
    at: str | None
    images: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DeployDetails:
    """A deploy.

    Args:
        applied: Whether a plan was applied.
        commit: The commit that the plan was made at.
        plan_sha256: The plan's digest.
        outputs: The outputs that are not sensitive.
        replanned: Whether the deploy made the plan for itself.
        allowed: The findings of policies that were overridden.
        changes: What a plan changed that the deploy made for itself; no plan task shows it.
        checks: How the checks ended.
        deployed: What they looked at, where one failed.
        accepted: The state that was accepted although another one had been deployed, and why.
        state_moved: That the state went on outside of this product, in words.
        repaired: What had drifted, if the deploy undid a drift.
    """

    applied: bool = False
    commit: str | None = None
    plan_sha256: str = ""
    outputs: JsonObject = field(default_factory=dict)
    replanned: bool = False
    allowed: list[str] = field(default_factory=list)
    changes: JsonObject | None = None
    checks: list[CheckRecord] = field(default_factory=list)
    deployed: Deployed | None = None
    accepted: JsonObject | None = None
    state_moved: str | None = None
    repaired: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class VerifyDetails:
    """The checks of a deployed stack; `deployed` is what they looked at, where one failed."""

    checks: list[CheckRecord] = field(default_factory=list)
    deployed: Deployed | None = None


@dataclass(frozen=True)
class DriftDetails:
    """A stack compared with what exists.

    Args:
        changes: All changes of its plan.
        findings: What differs, each with its class.
        resolved: What the previous check found and this one did not.
        deployed: The commit and time of the deploy that it is compared with.
        rules: The rules of `drift.ignore` that could match something in it.
        accepted: The state that was accepted although another one had been deployed, and why.
        state_moved: That the state went on outside of this product, in words.
    """

    changes: JsonObject | None = None
    findings: list[Finding] = field(default_factory=list)
    resolved: list[Resolved] = field(default_factory=list)
    deployed: dict[str, str | None] | None = None
    rules: list[int] = field(default_factory=list)
    accepted: JsonObject | None = None
    state_moved: str | None = None

    @property
    def drifted(self) -> list[Finding]:
        """What came from outside of the code, and is an alert."""
        return [found for found in self.findings if found.outside and found.alerting]

    @property
    def news(self) -> dict[str, int]:
        """How many alerts are new, changed again and known, and how much is resolved; only what there is."""
        return news(self.findings, self.resolved)

    @property
    def pending(self) -> list[Finding]:
        """What undeployed code would change."""
        return [found for found in self.findings if not found.outside and found.ignored is None]


Details = BuildDetails | PlanDetails | DeployDetails | VerifyDetails | DriftDetails
Checked = DeployDetails | VerifyDetails
_STAGES: dict[str, type[Details]] = {
    "build": BuildDetails,
    "plan": PlanDetails,
    "deploy": DeployDetails,
    "verify": VerifyDetails,
    "drift": DriftDetails,
}


_PARTS = (LockFile, CheckRecord, Deployed, Finding, Resolved)  # what details have besides JSON
_Part = LockFile | CheckRecord | Deployed | Finding | Resolved


def from_json(stage: str, record: Json) -> Details | None:
    """The details of a stage's result; None if it has none.

    Raises:
        ShapeError: They are not what the stage's details are.
    """
    if record is None or stage not in _STAGES:
        return None
    return typed.read(_STAGES[stage], record)


def to_json(details: Details | None) -> Json:
    """The details as records hold them; what they have as JSON is shared, not copied."""
    return None if details is None else {name: _as_json(value) for name, value in vars(details).items()}


def _as_json(value: Json | _Part | list[_Part]) -> Json:
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    return asdict(value) if isinstance(value, _PARTS) else value


def masked(details: Details, mask: Secrets) -> Details:
    """Details with every known secret replaced in texts and values; what decides or counts stays as it is."""
    if isinstance(details, BuildDetails):
        return details
    if isinstance(details, VerifyDetails):
        return replace(details, checks=[_check(item, mask) for item in details.checks])
    changes = masked_again(details.changes, mask) if details.changes else details.changes
    if isinstance(details, PlanDetails):
        return replace(details, changes=changes, findings=[_finding(item, mask) for item in details.findings])
    if isinstance(details, DriftDetails):
        return replace(details, changes=changes, findings=[_drift(found, mask) for found in details.findings])
    return replace(
        details, changes=changes, outputs=fields(mask.value(details.outputs)),
        allowed=[mask.text(line) for line in details.allowed], checks=[_check(item, mask) for item in details.checks],
    )  # fmt: skip


def _drift(found: Finding, mask: Secrets) -> Finding:
    author = found.author and Author(mask.text(found.author.by), mask.text(found.author.at))
    item = None if found.item is None else items_masked([found.item], mask)[0]
    return replace(found, item=item, author=author)


def _finding(item: JsonObject, mask: Secrets) -> JsonObject:
    """A finding: its words are its policy's, its address is the plan's."""
    texts = ("rule", "message", "allowed")
    said = {name: mask.text(text) for name in texts if isinstance(text := item.get(name), str)}
    return {**item, **said}


def _check(item: CheckRecord, mask: Secrets) -> CheckRecord:
    return replace(
        item, check=mask.text(item.check), observed=mask.text(item.observed), text=mask.text(item.text),
        commands=[mask.text(command) for command in item.commands],
    )  # fmt: skip


class DetailedError(DeployError):
    """A failure of a stage with what the stage knows all the same, for its result."""

    def __init__(self, message: str, *, found: Details, **places: Unpack[Places]) -> None:
        super().__init__(message, **places)
        self.found = found


class PolicyRefusedError(DetailedError):
    """A plan that policy does not let through; the details hold all that was said of it, and what it changes."""

    kind = Kind.REFUSED_BY_POLICY


class CheckFailedError(DetailedError):
    """Checks of a deployed stack did not come true in time; the details hold what each observed."""

    kind = Kind.CHECK_FAILED
