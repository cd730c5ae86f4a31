"""The report that all output formats show, made from results only."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ..artifact.changes import Counts
from ..base.problem import doit
from ..base.text import visible
from ..base.valuepath import dotted
from ..drifts import words
from ..drifts.classes import Severity
from ..policy.finding import SEVERITIES, Finding
from ..run.details import DriftDetails, PlanDetails
from ..run.result import Status
from . import remarks
from .diff import Line, of_change

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..base.masking import Masker
    from ..base.problem import Problem
    from ..drifts.classes import Finding as DriftFinding
    from ..run.result import Result

CRITICAL = str(Severity.CRITICAL)
_DESTRUCTIVE = frozenset({"destroy", "replace"})
_ORDER = ("destroy", "replace", "forget", "change", "add", "import", "move")
_WHY = {
    "replace_because_tainted": "it is tainted: its last apply failed",
    "replace_because_cannot_update": "it cannot be changed in place",
    "replace_by_request": "requested by -replace",
    "replace_by_triggers": "forced by replace_triggered_by",
    "delete_because_no_resource_config": "it is no longer in the configuration",
    "delete_because_wrong_repetition": "count or for_each was added or removed",
    "delete_because_count_index": "its index exceeds count",
    "delete_because_each_key": "its key is no longer in for_each",
    "delete_because_no_module": "its module is no longer in the configuration",
    "delete_because_no_move_target": "its move target is not in the configuration",
    "delete_because_enabled_false": "it is not enabled",
}  # https://opentofu.org/docs/internals/json-format/, `action_reason`


class Outcome(StrEnum):
    """What the whole report says, worst first."""

    FAILED = "failed"
    REFUSED = "refused"
    DRIFTED = "drifted"
    DESTRUCTIVE = "destructive"
    CHANGES = "changes"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Change:
    """What happens to one resource or output.

    Args:
        address: The resource's address, or the output's name.
        kind: `add`, `change`, `replace`, `destroy`, `forget`, `move`, `import`, or the engine's own word.
        why: Why the engine does this, in words; empty where it follows from the fields.
        moved_from: Its address before, when it moves.
        imported: Whether it is imported; `import_id` is as what.
        forces: The fields that force its replacement.
        lines: The difference, field by field.
        remarks: Of drift, its class and whether it is new, a few words each.
        severity: Of drift, how bad it is; empty otherwise.
    """

    address: str
    kind: str
    why: str = ""
    moved_from: str | None = None
    imported: bool = False
    import_id: str | None = None
    forces: list[str] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    severity: str = ""

    @property
    def destructive(self) -> bool:
        """Whether what is there would be destroyed."""
        return self.kind in _DESTRUCTIVE


@dataclass(frozen=True)
class StackReport:
    """What one stage found for one stack; `changes` are in the order of their danger, then by address.

    Of a check for drift, `deployed` is the deploy that it compares with, `ignored` what rules ignore,
    `resolved` what is over since the previous check, and `news` counts what is new.
    """

    name: str
    status: Status
    summary: str
    reasons: list[str] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    changes: list[Change] = field(default_factory=list)
    outputs: list[Change] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    failed_checks: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    mocked: list[str] = field(default_factory=list)
    reused: bool = False
    deployed: str = ""
    ignored: list[str] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)
    news: dict[str, int] = field(default_factory=dict)
    problem: Problem | None = None
    seconds: float = 0.0

    @property
    def destructive(self) -> list[Change]:
        """The changes that destroy something."""
        return [change for change in self.changes if change.destructive]

    @property
    def error(self) -> str:
        """What went wrong, all but the log."""
        return self.problem.text() if self.problem else self.summary if self.status is Status.FAILED else ""

    @property
    def log(self) -> str:
        """What the engine said when it went wrong."""
        return self.problem.log if self.problem else ""

    @property
    def remark(self) -> str:
        """The summary without the numbers that a table has columns for."""
        return re.sub(r"^\+\d+ ~\d+ (±\d+ )?-\d+(; | |$)", "", self.summary)

    def to_json(self) -> dict[str, Any]:
        """The stack's part as a JSON value."""
        return {**asdict(replace(self, problem=None)), "problem": self.problem.to_json() if self.problem else None}

    @property
    def differs(self) -> bool:
        """Whether any resource or output changes."""
        return bool(self.changes or self.outputs)

    @property
    def counts_text(self) -> str:
        """The counts on one line."""
        return "" if self.counts.empty and self.status is not Status.OK else self.counts.text()


@dataclass(frozen=True)
class Report:
    """A stage's results for one environment, ready to be shown: no secret is in it, and nothing was cut.

    Args:
        stage: `plan` or `drift`.
        environment: The environment.
        commit: The revision, short.
        stacks: Each stack's part, in the order of the graph.
        notes: What else a reader must know, a sentence each.
        named: The environment as commands have to name it; None for the default one.
    """

    stage: str
    environment: str
    commit: str
    stacks: list[StackReport]
    notes: list[str] = field(default_factory=list)
    named: str | None = None

    @classmethod
    def collect(
        cls,
        stage: str,
        results: Iterable[Result],
        *,
        environment: str,
        commit: str,
        notes: Sequence[str] = (),
        mask: Masker | None = None,
        named: str | None = None,
    ) -> Report:
        """The report of a stage.

        Args:
            stage: `plan` or `drift`.
            results: Its results, in the order to show them.
            environment: The environment.
            commit: The revision that the run was at.
            notes: What else a reader must know.
            mask: The secrets that are known by now: more than when the first result was kept.
            named: The environment as commands have to name it.
        """
        found = [result if mask is None else result.masked(mask) for result in results]
        stacks = [_stack(result) for result in found]
        return cls(stage, environment, commit, stacks, [*notes, *remarks.of(found)], named)

    def command(self, *arguments: str) -> str:
        """The command `doit ARGUMENTS` in this environment."""
        return str(doit(*arguments, environment=self.named))

    def having(self, *statuses: str) -> list[StackReport]:
        """The stacks that ended in one of these ways."""
        return [stack for stack in self.stacks if stack.status in statuses]

    @property
    def shown(self) -> list[StackReport]:
        """The stacks that there is something to say of, the worst first."""
        order = [
            Status.FAILED,
            Status.DRIFTED,
            Status.UNDEPLOYED,
            Status.OK,
            Status.DEFERRED,
            Status.NOT_RUN,
            Status.SKIPPED,
        ]
        quiet = self.stage == "drift"
        found = [
            stack
            for stack in self.stacks
            if stack.status in order
            and (not quiet or stack.status is not Status.OK or stack.findings or stack.warnings or stack.differs)
        ]
        return sorted(found, key=lambda stack: (order.index(stack.status), not stack.destructive))

    @property
    def legend(self) -> str:
        """What the colours and signs of a difference mean, where a reader might take them for the other side."""
        return words.LEGEND if self.stage == "drift" and any(stack.differs for stack in self.stacks) else ""

    @property
    def untouched(self) -> list[str]:
        """The names of the stacks that nothing happens to."""
        shown = {stack.name for stack in self.shown} if self.stage == "drift" else set()
        quiet = {Status.UNAFFECTED} | ({Status.OK} if self.stage == "drift" else set())
        return [stack.name for stack in self.stacks if stack.status in quiet and stack.name not in shown]

    @property
    def ignored(self) -> list[tuple[str, str]]:
        """Every drift that a rule ignores, with its stack."""
        return [(stack.name, text) for stack in self.stacks for text in stack.ignored]

    @property
    def destructive(self) -> list[tuple[str, Change]]:
        """Every change that destroys something, with its stack."""
        return [(stack.name, change) for stack in self.stacks for change in stack.destructive]

    @property
    def findings(self) -> list[tuple[str, Finding]]:
        """Every finding with its stack, the worst first."""
        found = [(stack.name, finding) for stack in self.stacks for finding in stack.findings]
        return sorted(found, key=lambda item: (not item[1].blocking, SEVERITIES.index(item[1].severity)))

    @property
    def counts(self) -> Counts:
        """The counts of all stacks together."""
        total = dict.fromkeys(asdict(Counts()), 0)
        for stack in self.stacks:
            for name, number in asdict(stack.counts).items():
                total[name] += number
        return Counts(**total)

    @property
    def outcome(self) -> Outcome:
        """What all of it comes to."""
        if any(finding.blocking for _, finding in self.findings):
            return Outcome.REFUSED
        if self.having(Status.FAILED, Status.NOT_RUN):
            return Outcome.FAILED
        if self.stage == "drift":
            return Outcome.DRIFTED if self.having(Status.DRIFTED, Status.UNDEPLOYED) else Outcome.NOTHING
        if self.destructive:
            return Outcome.DESTRUCTIVE
        return Outcome.CHANGES if self.having(Status.OK, Status.DEFERRED) else Outcome.NOTHING

    @property
    def verdict(self) -> str:
        """The first line: what this comes to, in one sentence without markup."""
        if self.stage == "drift":
            return self._drift_verdict()
        total, planned, deferred = len(self.stacks), len(self.having(Status.OK)), len(self.having(Status.DEFERRED))
        if self.outcome is Outcome.REFUSED:
            refused = len({name for name, finding in self.findings if finding.blocking})
            return f"Refused by policy: {_number(refused, 'plan')} of {total}. Nothing can be deployed."
        if self.outcome is Outcome.FAILED:
            failed, not_run = len(self.having(Status.FAILED)), len(self.having(Status.NOT_RUN))
            more = f", {not_run} not run" if not_run else ""
            return f"{failed} of {_number(total, 'stack')} failed{more}: nothing can be deployed."
        if self.outcome is Outcome.NOTHING:
            return "No stack is affected: nothing would be deployed."
        counts = self.counts
        parts = [_number(planned, "plan") + f" ({counts.text()})"] if planned else []
        parts += [f"{deferred} deferred"] if deferred else []
        lost = counts.destroy + counts.replace
        head = f"Destroys {_number(lost, 'resource')}: " if lost else ""
        return f"{head}{', '.join(parts)}."

    def _drift_verdict(self) -> str:
        numbers = {
            "drifted": len(self.having(Status.DRIFTED)),
            "with undeployed code": len(self.having(Status.UNDEPLOYED)),
            "could not be checked": len(self.having(Status.FAILED, Status.NOT_RUN)),
        }
        news = words.counted(self.news)
        more = f" Since the previous check: {news}." if news else ""
        if skipped := len(self.having(Status.SKIPPED)):
            numbers["skipped"] = skipped
        if not any(numbers.values()):
            return f"No drift: all {_number(len(self.stacks), 'stack')} as deployed.{more}"
        text = ", ".join(f"{number} {what}" for what, number in numbers.items())
        return f"{text}, {len(self.stacks)} in all.{more}"

    @property
    def news(self) -> dict[str, int]:
        """How much drift is new, changed again, known and resolved, in all stacks together."""
        total: dict[str, int] = {}
        for stack in self.stacks:
            for word, number in stack.news.items():
                total[word] = total.get(word, 0) + number
        return total

    @property
    def resolved(self) -> list[tuple[str, str]]:
        """The drift that is over since the previous check, with its stack."""
        return [(stack.name, text) for stack in self.stacks for text in stack.resolved]

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON value."""
        stacks = [stack.to_json() for stack in self.stacks]
        return {"format": 2, "verdict": self.verdict, "outcome": self.outcome, **asdict(self), "stacks": stacks}


def _stack(result: Result) -> StackReport:
    if result.status is Status.UNAFFECTED:  # nearly all of them, as a rule
        return StackReport(result.stack, result.status, "not affected")
    details, changes = result.details, result.changes or {}
    drift = details if isinstance(details, DriftDetails) else DriftDetails()
    planned = details if isinstance(details, PlanDetails) else PlanDetails()
    if isinstance(details, DriftDetails):
        found = [_drift(item) for item in details.findings if item.item is not None and item.ignored is None]
        shown = [change for change, is_output in found if not is_output]
        outputs = [change for change, is_output in found if is_output]
        counts = Counts()
    else:
        shown = [_change(item) for item in changes.get("resources") or []]
        outputs = [_change({**item, "address": item.get("name")}) for item in changes.get("outputs") or []]
        numbers = changes.get("counts") or result.counts
        counts = Counts(**numbers) if set(numbers) <= set(asdict(Counts())) else Counts()
    return StackReport(
        name=result.stack,
        status=result.status,
        summary=visible(result.summary),
        reasons=[visible(text) for text in result.reasons],
        counts=counts,
        changes=sorted(shown, key=lambda change: (change.severity != CRITICAL, _rank(change.kind), change.address)),
        outputs=outputs,
        findings=[_finding(item) for item in planned.findings],
        failed_checks=[visible(text) for text in changes.get("failed_checks") or []],
        warnings=[visible(item.text) for item in result.warnings],
        mocked=planned.mocked,
        reused=planned.reused,
        deployed=words.deployed(drift.deployed),
        ignored=[visible(text) for text in words.ignored(drift.findings)],
        resolved=[visible(f"{item.address or 'something'}, first seen {item.since}") for item in drift.resolved],
        news=drift.news,
        problem=result.problem.mapped(visible) if result.problem else None,
        seconds=result.seconds,
    )


def _finding(item: dict[str, Any]) -> Finding:
    shown: dict[str, Any] = {name: visible(part) if isinstance(part, str) else part for name, part in item.items()}
    return Finding(**shown)


def _drift(found: DriftFinding) -> tuple[Change, bool]:
    """A finding of drift as a change, and whether it is an output's."""
    item = found.item or {}
    is_output = "address" not in item
    change = _change({**item, "address": item.get("name")} if is_output else item)
    told = [visible(text) for text in words.remarks(found)]
    return replace(change, remarks=told, severity=str(found.severity)), is_output


def _change(item: dict[str, Any]) -> Change:
    forces = [tuple(path) for path in item.get("replace_paths") or []]
    imported = item.get("import_id")
    reason = item.get("reason")
    why = _WHY.get(reason, " ".join(re.findall(r"\w+", reason)).replace("_", " ")) if reason else ""
    if item.get("deposed"):
        why = "an object left over from a replacement" + (f"; {why}" if why else "")
    return Change(
        address=visible(str(item.get("address"))),
        kind=str(item.get("action")),
        why=why,
        moved_from=visible(item["moved_from"]) if item.get("moved_from") else None,
        imported=bool(item.get("imported")),
        import_id=visible(imported if isinstance(imported, str) else str(imported)) if imported is not None else None,
        forces=sorted({dotted(path) for path in forces}),
        lines=of_change(item),
    )


def _rank(kind: str) -> int:
    return _ORDER.index(kind) if kind in _ORDER else _ORDER.index("change")


def _number(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
