"""Derives events (failures, drift, recoveries, deploys) from the results of a run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..base import ci
from ..base.clock import now
from ..base.files import canonical_json, sha256_bytes
from ..base.problem import Kind
from ..reports import causes, stackreport
from ..run.details import DeployDetails, DriftDetails
from ..run.result import Status

if TYPE_CHECKING:
    from collections.abc import Collection

    from ..base.problem import Command, Problem
    from ..run.result import Result
    from ..run.run import Run

_STRENGTH = ("deploy", "plan", "drift", "verify", "validate")  # the command that the stages of a run belong to
_LONGEST = 300
CHECKS = "checks"


@dataclass(frozen=True)
class Item:
    """What happened to one stack.

    Args:
        stack: The stack; empty if it concerns no stack.
        stage: The stage it happened in.
        command: The command that was run.
        what: One line for readers.
        kind: The kind of problem, or the status.
        fingerprint: Equal for the same cause, regardless of times and ids.
        problem: What went wrong, if known.
        counts: Numbers of changes by kind.
        since: When it began, for a recovery.
        ways: Of drift, what can be done about it: what it does, and its command.
        offered: The same as values.
    """

    stack: str
    stage: str
    command: str
    what: str
    kind: str = ""
    fingerprint: str = ""
    problem: Problem | None = None
    counts: dict[str, int] = field(default_factory=dict)
    since: str = ""
    ways: list[tuple[str, str]] = field(default_factory=list)
    offered: list[tuple[str, Command]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The item for templates and webhooks; `next_step` is the problem's, as a sentence."""
        found, problem = asdict(replace(self, problem=None, offered=[])), self.problem
        del found["offered"]
        next_step = problem.next_text if problem else ""
        return {**found, "next_step": next_step, "problem": problem.to_json() if problem else None}


@dataclass(frozen=True)
class Findings:
    """What a run found in all stacks."""

    environment: str
    commands: dict[str, str]
    results: dict[str, Result]
    stacks: frozenset[str]
    at: str
    facts: dict[str, Any]
    failures: tuple[Item, ...] = ()
    drifts: tuple[Item, ...] = ()
    deploys: tuple[Item, ...] = ()
    remind: float | None = None

    @classmethod
    def of(cls, run: Run, selected: Collection[str], errors: list[Problem]) -> Findings:
        """The findings in a run's results; all texts are masked."""
        strongest = next((name for name in _STRENGTH if name in selected), "deploy")
        commands = {stage: stage if stage in selected else strongest for stage in _STRENGTH}
        commands |= dict.fromkeys(("plan", "validate", "review"), strongest)
        position = {name: number for number, name in enumerate(run.project.graph.order)}
        ordered = sorted(
            (item.masked(run.mask) for item in run.results.values()),
            key=lambda item: (position.get(item.stack, -1), item.stage),
        )
        failed = [item for item in ordered if item.failed and item.kind is not Kind.STOPPED]
        failures = [_failure(item, commands) for item in failed]
        failures += [_error(strongest, problem) for problem in errors]
        return cls(
            run.project.environment, commands, dict(run.results), frozenset(run.project.stacks), now(),
            _facts(run, ordered), tuple(failures),
            tuple(_drift(run, item, commands) for item in ordered if item.status is Status.DRIFTED),
            tuple(_item(item, commands) for item in ordered if item.applied), run.project.config.drift.remind,
        )  # fmt: skip

    def ended(self, incident: dict[str, Any]) -> bool:
        """Whether an incident is over, as far as this run looked at it."""
        stack, command = incident["stack"], incident["command"]
        if not stack:
            return command in self.commands.values() and not any(not item.stack for item in self.failures)
        own, deployed = self.results.get(f"{command}:{stack}"), self.results.get(f"deploy:{stack}")
        if incident["event"] == "drift":
            return (own is not None and own.without_drift) or (deployed is not None and deployed.applied)
        if any(item.stack == stack for item in self.failures):
            return False
        if command == "drift":
            return own is not None and own.status not in (Status.NOT_RUN, Status.SKIPPED)
        candidates = [own, deployed]
        if incident["kind"] == Kind.CHECK_FAILED:
            checked = self.results.get(f"verify:{stack}")
            candidates.append(checked if checked and checked.status is Status.OK else None)
        return any(
            item is not None and item.status in (Status.OK, Status.UNAFFECTED, Status.DEFERRED) for item in candidates
        )


def drift_fingerprint(found: DriftDetails) -> str:
    """A digest of a drift: of the address and the change of everything that alerts."""
    return sha256_bytes(canonical_json(sorted([item.address, item.print] for item in found.drifted)))[:16]


def _failure(result: Result, commands: dict[str, str]) -> Item:
    kind, log = result.kind, result.problem.log if result.problem else ""
    stage = CHECKS if kind is Kind.CHECK_FAILED else result.stage
    print_ = causes.fingerprint(stage, kind or "", f"{result.summary}\n{causes.errors_of(log)}")
    return replace(_item(result, commands), kind=kind or str(result.status), fingerprint=print_)


def _drift(run: Run, result: Result, commands: dict[str, str]) -> Item:
    ways = stackreport.drift_ways(result, run.named_environment)
    return replace(_item(result, commands), ways=[(name, str(command)) for name, command in ways], offered=ways)


def _item(result: Result, commands: dict[str, str]) -> Item:
    drifted = result.details if isinstance(result.details, DriftDetails) else None
    return Item(
        result.stack, result.stage, commands.get(result.stage, result.stage), _line(result.summary),
        str(result.status), drift_fingerprint(drifted) if drifted else "", result.problem, dict(result.counts),
    )  # fmt: skip


def _error(command: str, problem: Problem) -> Item:
    what = problem.text()
    return Item("", command, command, _line(what), problem.kind, causes.fingerprint(command, "error", what), problem)


def _facts(run: Run, ordered: list[Result]) -> dict[str, Any]:
    """The facts that accompany every message of this run."""
    return {
        "commit": run.shown_revision.short,
        "link": run.mask.text(ci.read().link or ""),
        "deployed": [item.stack for item in ordered if item.applied],
        "repaired": [
            item.stack for item in ordered if isinstance(item.details, DeployDetails) and item.details.repaired
        ],
        "not_run": sorted({item.stack for item in ordered if item.status is Status.NOT_RUN}),
    }


def _line(text: str) -> str:
    """The first line of a text."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return first.strip() if len(first) <= _LONGEST else first[:_LONGEST].strip() + " ..."
