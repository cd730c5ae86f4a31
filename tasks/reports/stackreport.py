"""A stack's part of a report: what happens to each resource and output, as results say."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from ..artifact.changes import Counts, counts_of
from ..base import clock
from ..base.jsonvalue import elements, records
from ..base.jsonvalue import words as texts
from ..base.problem import Kind
from ..base.unseen import visible
from ..base.valuepath import dotted, path_of
from ..drifts import ways, words
from ..drifts.classes import Severity
from ..policy.finding import Finding
from ..run.details import DeployDetails, DriftDetails, PlanDetails
from ..run.result import Status
from . import causes
from .diff import Line, of_change

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..base.jsonvalue import JsonObject
    from ..base.problem import Command, Problem
    from ..drifts.classes import Finding as DriftFinding
    from ..run.details import CheckRecord
    from ..run.result import Result

_SHORT = 2  # letters
_MOST_COMPARED = 100_000  # characters of a stack in which its name is looked for
CRITICAL = str(Severity.CRITICAL)
_DESTRUCTIVE = frozenset({"destroy", "replace"})
_ORDER = ("destroy", "replace", "forget", "change", "add", "import", "move")
_WHY = {
    "replace_because_tainted": "it is tainted: its last apply failed, or somebody marked it",
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
        """Whether something that exists would be destroyed."""
        return self.kind in _DESTRUCTIVE


@dataclass(frozen=True)
class StackReport:
    """What one stage found for one stack; `changes` are in the order of their danger, then by address.

    Of a deploy, `stage` is where it failed, `applied` whether a plan was applied, and `checks` how they ended.

    Of a check for drift, `deployed` is the deploy that it compares with, `ignored` what rules ignore,
    `resolved` what is over since the previous check, and `news` counts what is new. `ways` are the commands for what
    has drifted, by what they do, and `offered` the same as values.
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
    ways: dict[str, str] = field(default_factory=dict)
    offered: list[tuple[str, Command]] = field(default_factory=list)
    problem: Problem | None = None
    seconds: float = 0.0
    stage: str = ""
    applied: bool = False
    checks: list[CheckRecord] = field(default_factory=list)

    @property
    def destructive(self) -> list[Change]:
        """The changes that destroy something."""
        return [change for change in self.changes if change.destructive]

    @property
    def stopped(self) -> bool:
        """Whether it failed only because the run was stopped."""
        return self.problem is not None and self.problem.kind is Kind.STOPPED

    @property
    def ended(self) -> str:
        """How it ended, in a word: its status, unless that it was stopped says more."""
        return "stopped" if self.stopped else str(self.status)

    @property
    def error(self) -> str:
        """What went wrong, without the log."""
        return self.problem.text() if self.problem else self.summary if self.status is Status.FAILED else ""

    @cached_property
    def likeness(self) -> tuple[object, ...]:
        """What two stacks have in common of which a reader need see one: all that is said of them but their names."""
        said = [
            self.remark,
            *self.reasons,
            *(check.text for check in self.checks),
            *(word for change in (*self.changes, *self.outputs) for word in _words(change)),
        ]
        told = "\0\0".join(said)
        return (
            self.ended, self.stage, self.applied, self.counts, len(self.findings), len(self.mocked),
            tuple((change.address, change.kind) for change in (*self.changes, *self.outputs)),
            tuple(check.passed for check in self.checks), tuple(self.failed_checks),
            causes.unnamed(self.name, told) if self._is_distinct and len(told) < _MOST_COMPARED else told,
        )  # fmt: skip

    @property
    def _is_distinct(self) -> bool:
        """Whether the name is hardly a value by chance, as `1` or `on` is."""
        last = self.name.rpartition("/")[2]
        return len(last) > _SHORT and not last.isdecimal()

    @property
    def log(self) -> str:
        """What the engine said when it went wrong."""
        return self.problem.log if self.problem else ""

    @property
    def remark(self) -> str:
        """The summary without the numbers that a table has columns for."""
        return re.sub(r"^\+\d+ ~\d+ (±\d+ )?-\d+(; | |$)", "", self.summary)

    def to_json(self) -> JsonObject:
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


def _words(change: Change) -> Iterator[str]:
    """All that is shown of a change."""
    yield from (change.why, change.moved_from or "", change.import_id or "")
    yield from (*change.forces, "", *change.remarks, change.severity)
    yield from (f"{line.sign} {line.text}" for line in change.lines)


def of_result(result: Result, named: str | None = None) -> StackReport:
    """What a result says of its stack.

    Args:
        result: The result.
        named: The environment as commands have to name it; None for the default one.
    """
    if result.status is Status.UNAFFECTED:  # nearly all of them, as a rule
        return StackReport(result.stack, result.status, "not affected")
    details, changes = result.details, result.changes or {}
    drift = details if isinstance(details, DriftDetails) else DriftDetails()
    planned = details if isinstance(details, PlanDetails) else PlanDetails()
    if isinstance(details, DriftDetails):
        found = [_drift(item) for item in details.findings if item.ignored is None and (item.item or item.alerting)]
        shown = [change for change, is_output in found if not is_output]
        outputs = [change for change, is_output in found if is_output]
        counts = Counts()
    else:
        shown = [_change(item) for item in records(changes.get("resources"))]
        outputs = [_change({**item, "address": item.get("name")}) for item in records(changes.get("outputs"))]
        counts = counts_of(changes.get("counts") or {**result.counts})
    return StackReport(
        name=result.stack,
        status=result.status,
        summary=visible(result.summary),
        reasons=[visible(text) for text in result.reasons],
        counts=counts,
        changes=sorted(shown, key=_place),
        outputs=outputs,
        findings=[_finding(item) for item in planned.findings],
        failed_checks=[visible(text) for text in texts(changes.get("failed_checks"))],
        warnings=[visible(item.text) for item in result.warnings],
        mocked=planned.mocked,
        reused=planned.reused,
        deployed=words.deployed(drift.deployed),
        ignored=[visible(text) for text in words.ignored(drift.findings)],
        resolved=[
            visible(f"{item.address or 'something'}, first seen {clock.shown(item.since)}") for item in drift.resolved
        ],
        news=drift.news,
        ways={name: str(command) for name, command in drift_ways(result, named)},
        offered=drift_ways(result, named),
        problem=result.problem.mapped(visible) if result.problem else None,
        seconds=result.seconds,
        stage=result.stage,
    )


def drift_ways(result: Result, named: str | None) -> list[tuple[str, Command]]:
    """The ways from the drift that a check found: what each does, and its command; empty if it found none.

    Args:
        result: The result of the check.
        named: The environment as commands have to name it; None for the default one.
    """
    if result.status is not Status.DRIFTED or not isinstance(result.details, DriftDetails):
        return []
    return list(ways.of(result.stack, result.details.findings, named))


def of_deploy(results: Iterable[Result]) -> list[StackReport]:
    """The result of a deploy, stack by stack: how far each got, and what its plan changes.

    Args:
        results: The results of all stages, in the order to show the stacks in; a build counts as a stack of its own
            if it failed.
    """
    by_stack: dict[str, dict[str, Result]] = {}
    for result in results:
        if result.stage != "build" or result.failed:
            name = f"build {result.stack}" if result.stage == "build" else result.stack or result.stage
            by_stack.setdefault(name, {})[result.stage] = result
    return [_deployed(name, found) for name, found in by_stack.items()]


def _deployed(name: str, stages: dict[str, Result]) -> StackReport:
    failed = next((result for result in stages.values() if result.failed), None)
    last = failed or stages.get("deploy") or stages.get("plan") or next(iter(stages.values()))
    report, plan = of_result(last), stages.get("plan")
    details = last.details if isinstance(last.details, DeployDetails) else DeployDetails()
    if plan is not None and last is not plan:
        shown = of_result(plan)
        report = replace(report, reasons=shown.reasons or report.reasons, findings=shown.findings)
        if details.changes is None:
            report = replace(report, changes=shown.changes, outputs=shown.outputs, counts=shown.counts)
    checked = [
        replace(check, check=visible(check.check), text=visible(check.text), observed=visible(check.observed))
        for check in last.checks
    ]
    return replace(report, name=name, applied=last.applied or details.applied, checks=checked)


def _finding(item: JsonObject) -> Finding:
    return Finding.from_json({name: visible(part) if isinstance(part, str) else part for name, part in item.items()})


def _drift(found: DriftFinding) -> tuple[Change, bool]:
    """A finding of drift as a change, and whether it is an output's."""
    told = [visible(text) for text in words.remarks(found)]
    item = found.item
    if item is None:  # a check block, or the state itself
        return Change(visible(found.address), str(found.kind), remarks=told, severity=str(found.severity)), False
    is_output = "address" not in item
    change = _change({**item, "address": item.get("name")} if is_output else item)
    return replace(change, remarks=told, severity=str(found.severity)), is_output


def _change(item: JsonObject) -> Change:
    forces = [path_of(path) for path in elements(item.get("replace_paths"))]
    imported = item.get("import_id")
    reason = str(item.get("reason") or "")
    why = _WHY.get(reason, " ".join(re.findall(r"\w+", reason)).replace("_", " ")) if reason else ""
    if item.get("deposed"):
        why = "an object left over from a replacement" + (f"; {why}" if why else "")
    return Change(
        address=visible(str(item.get("address"))),
        kind=str(item.get("action")),
        why=why,
        moved_from=visible(str(item["moved_from"])) if item.get("moved_from") else None,
        imported=bool(item.get("imported")),
        import_id=visible(imported if isinstance(imported, str) else str(imported)) if imported is not None else None,
        forces=sorted({dotted(path) for path in forces}),
        lines=of_change(item),
    )


def _place(change: Change) -> tuple[bool, int, list[tuple[int, str]]]:
    """Where a change stands: the dangerous ones first, `a[2]` before `a[10]`."""
    parts = re.split(r"([0-9]+)", change.address)
    numbered = [(len(part) if at % 2 else 0, part) for at, part in enumerate(parts)]
    return change.severity != CRITICAL, _rank(change.kind), numbered


def _rank(kind: str) -> int:
    return _ORDER.index(kind) if kind in _ORDER else _ORDER.index("change")
