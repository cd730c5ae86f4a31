"""The report that all output formats show, made from results only."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from ..base.problem import doit
from ..base.text import plural
from ..drifts import words
from ..policy.finding import SEVERITIES
from ..run.result import Status
from . import causes, remarks, shared, stackreport, tally, together
from .shared import Alike, SharedChange, SharedFinding, SharedText

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from ..artifact.changes import Counts
    from ..base.jsonvalue import JsonObject
    from ..base.masking import Masker
    from ..policy.finding import Finding
    from ..run.result import Result
    from .stackreport import Change, StackReport


class Outcome(StrEnum):
    """What the whole report says, worst first."""

    FAILED = "failed"
    REFUSED = "refused"
    STOPPED = "stopped"
    DRIFTED = "drifted"
    DESTRUCTIVE = "destructive"
    CHANGES = "changes"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Links:
    """Pages of the commit, of the pipeline, and of the run in the dashboard; empty if unknown."""

    commit: str = ""
    pipeline: str = ""
    dashboard: str = ""


@dataclass(frozen=True)
class Report:
    """A stage's results for one environment, ready to be shown: no secret is in it, and nothing was cut.

    Args:
        stage: `plan`, `deploy` or `drift`.
        environment: The environment.
        commit: The revision, short.
        stacks: Each stack's part, in the order of the graph.
        notes: What else a reader must know, a sentence each.
        named: The environment as commands have to name it; None for the default one.
        moment: When the run began, for people.
        links: Where more can be seen.
        known: The names of all stacks of the project, also of those that the report is not about.
        interrupted: Whether the run was asked to stop.
    """

    stage: str
    environment: str
    commit: str
    stacks: list[StackReport]
    notes: list[str] = field(default_factory=list)
    named: str | None = None
    moment: str = ""
    links: Links = field(default_factory=Links)
    known: Collection[str] = ()
    interrupted: bool = False

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
        moment: str = "",
        links: Links | None = None,
        known: Collection[str] = (),
        interrupted: bool = False,
    ) -> Report:
        """The report of a stage.

        Args:
            stage: `plan`, `deploy` or `drift`.
            results: Its results, in the order to show them; for a deploy those of all stages.
            environment: The environment.
            commit: The revision that the run was at.
            notes: What else a reader must know.
            mask: The secrets that are known by now: more than when the first result was kept.
            named: The environment as commands have to name it.
            moment: When the run began.
            links: Where more can be seen.
            known: The names of all stacks of the project.
            interrupted: Whether the run was asked to stop.
        """
        found = [result if mask is None else result.masked(mask) for result in results]
        is_deploy = stage == "deploy"
        stacks = stackreport.of_deploy(found) if is_deploy else [stackreport.of_result(one, named) for one in found]
        said = [*notes, *remarks.of(found)]
        return cls(stage, environment, commit, stacks, said, named, moment, links or Links(), known, interrupted)

    def command(self, *arguments: str) -> str:
        """The command `doit ARGUMENTS` in this environment."""
        return str(doit(*arguments, environment=self.named))

    def having(self, *statuses: str) -> list[StackReport]:
        """The stacks that ended in one of these ways."""
        return [stack for stack in self.stacks if stack.status in statuses]

    @property
    def shown(self) -> list[StackReport]:
        """The stacks with something to report, the worst first."""
        order = [
            Status.FAILED,
            Status.DRIFTED,
            Status.UNDEPLOYED,
            Status.ADOPTED,
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

    @cached_property
    def problems(self) -> list[Alike]:
        """What failed or cannot be planned yet, each cause once, in the order of `shown`."""
        found: list[Alike] = []
        groups = causes.Groups[Alike]()

        def first() -> Alike:
            found.append(Alike([], self.known))
            return found[-1]

        for stack in self.shown:
            if stack.problem is not None or stack.status is Status.FAILED:
                stage = f"{stack.status} {stack.stage}"
                groups.of(stage, stack.name, stack.problem, stack.summary, first).stacks.append(stack)
        return found

    @cached_property
    def rows(self) -> list[Alike]:
        """The rows of a table: of stacks of which the same is to be said, one row with the others folded.

        Those are stacks that failed or were not run for one reason, and many that change alike.
        """
        firsts = {name: found.first.name for found in self.problems for name in self._likened_to(found)}
        firsts |= self._alike
        reasons: dict[str, str] = {}
        found: dict[str, Alike] = {}
        for stack in self.shown:
            first = firsts.get(stack.name, stack.name)
            if stack.status is Status.NOT_RUN:
                first = reasons.setdefault(causes.unnamed(stack.name, stack.summary), stack.name)
            found.setdefault(first, Alike([], self.known)).stacks.append(stack)
        return list(found.values())

    @property
    def sections(self) -> list[Alike]:
        """The stacks of which something changes, those that change alike together."""
        found: dict[str, Alike] = {}
        for stack in self.shown:
            if stack.differs:
                found.setdefault(self._alike.get(stack.name, stack.name), Alike([], self.known)).stacks.append(stack)
        return list(found.values())

    @cached_property
    def _alike(self) -> dict[str, str]:
        return shared.alike(self.shown)

    def _likened_to(self, found: Alike) -> list[str]:
        """The stacks of a cause that are told of as the first one, in the same words."""
        return [stack.name for stack in found.stacks[1:] if stack.name in self._likened]

    @cached_property
    def _likened(self) -> dict[str, str]:
        """The stacks whose failure is told of another one, in the same words: its name."""
        return {
            stack.name: found.first.name
            for found in self.problems
            for stack in found.stacks[1:]
            if causes.same((stack.name, stack.summary), (found.first.name, found.first.summary))
        }

    def remark(self, stack: StackReport) -> str:
        """What a table says of a stack besides its numbers; what was said of an earlier one is not repeated."""
        first = self._likened.get(stack.name)
        return f"as {first}" if first else stack.remark

    @property
    def legend(self) -> str:
        """What the colours and signs of a difference mean, where a reader could mix up the sides."""
        return words.LEGEND if self.stage == "drift" and any(stack.differs for stack in self.stacks) else ""

    @property
    def untouched(self) -> list[str]:
        """The names of the stacks that do not change."""
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

    @cached_property
    def judged(self) -> list[SharedFinding]:
        """Every finding, each rule's once for all stacks of which it says the same, the worst first."""
        found: dict[tuple[Finding, str], SharedFinding] = {}
        for name, finding in self.findings:
            told = replace(finding, address=None)
            key = (replace(told, message=""), causes.unnamed(name, finding.message))
            found.setdefault(key, SharedFinding(told)).places.append((name, finding.address or ""))
        return list(found.values())

    @cached_property
    def lost(self) -> list[SharedChange]:
        """Every change that destroys something, each once for all stacks in which it is the same."""
        found: dict[tuple[object, ...], SharedChange] = {}
        for name, change in self.destructive:
            key = (change.address, change.kind, change.why, change.moved_from, *change.forces)
            found.setdefault(key, SharedChange(change)).stacks.append(name)
        return list(found.values())

    @cached_property
    def warned(self) -> list[SharedText]:
        """What the engine warned of, each once for all stacks of which it is the same."""
        return shared.texts((stack.name, text) for stack in self.shown for text in dict.fromkeys(stack.warnings))

    @cached_property
    def mocked(self) -> list[SharedText]:
        """The mocked inputs, and the stacks that were planned with them."""
        planned = [stack for stack in self.shown if stack.mocked]
        return shared.texts((stack.name, "\n".join(stack.mocked)) for stack in planned)

    @property
    def counts(self) -> Counts:
        """The counts of all stacks together."""
        return tally.added(stack.counts for stack in self.stacks)

    @property
    def outcome(self) -> Outcome:
        """The outcome of the whole stage."""
        if any(finding.blocking for _, finding in self.findings):
            return Outcome.REFUSED
        if self.having(Status.FAILED, Status.NOT_RUN):
            return Outcome.STOPPED if self.stopped and not self._failed else Outcome.FAILED
        if self.stage == "drift":
            return Outcome.DRIFTED if self.having(Status.DRIFTED, Status.UNDEPLOYED) else Outcome.NOTHING
        if self.destructive and self.stage == "plan":
            return Outcome.DESTRUCTIVE
        return Outcome.CHANGES if self.having(Status.OK, Status.DEFERRED) else Outcome.NOTHING

    @property
    def _failed(self) -> list[StackReport]:
        """The stacks that failed by themselves."""
        return [stack for stack in self.having(Status.FAILED) if not stack.stopped]

    @property
    def stopped(self) -> bool:
        """Whether somebody stopped the run before its end."""
        return self.interrupted or any(stack.stopped for stack in self.stacks)

    def _left(self) -> str:
        """How many failed, were stopped and were not run, in words."""
        stopped = sum(stack.stopped for stack in self.stacks)
        numbers = {"failed": len(self._failed), "stopped": stopped, "not run": len(self.having(Status.NOT_RUN))}
        return ", ".join(f"{number} {what}" for what, number in numbers.items() if number)

    @property
    def verdict(self) -> str:
        """The first line: the result in one sentence, without markup."""
        if self.stage != "plan":
            return self._drift_verdict() if self.stage == "drift" else self._deploy_verdict()
        total, planned, deferred = len(self.stacks), len(self.having(Status.OK)), len(self.having(Status.DEFERRED))
        if self.outcome is Outcome.REFUSED:
            refused = len({name for name, finding in self.findings if finding.blocking})
            return f"Refused by policy: {plural(refused, 'plan')} of {total}. Nothing can be deployed."
        if self.outcome is Outcome.STOPPED:
            return f"Plan stopped: {planned} of {plural(total, 'stack')} planned, {self._left()}; nothing was deployed."
        if self.outcome is Outcome.FAILED:
            failed, rest = len(self._failed), self._left().partition(", ")[2]
            more = f", {rest}" if rest else ""
            return f"{failed} of {plural(total, 'stack')} failed{more}: nothing can be deployed."
        if self.outcome is Outcome.NOTHING:
            skipped = len(self.having(Status.SKIPPED))
            return (
                f"Nothing planned: {skipped} skipped."
                if skipped
                else "No stack is affected: nothing would be deployed."
            )
        counts = self.counts
        parts = [plural(planned, "plan") + f" ({tally.total(counts, done=False) or counts.text()})"] if planned else []
        mocked = sum(bool(stack.mocked) for stack in self.stacks)
        parts += [f"{mocked} with mocks"] if mocked else []
        parts += [f"{deferred} deferred"] if deferred else []
        parts += [f"{skipped} skipped"] if (skipped := len(self.having(Status.SKIPPED))) else []
        lost = counts.destroy + counts.replace
        head = f"Destroys {plural(lost, 'resource')}: " if lost else ""
        return f"{head}{', '.join(parts)}."

    def _deploy_verdict(self) -> str:
        applied = [stack for stack in self.stacks if stack.applied]
        checks = [check for stack in self.stacks for check in stack.checks]
        counts = tally.total(tally.added(stack.counts for stack in applied))
        done = plural(len(applied), "stack") + (f" ({counts})" if counts else "")
        if self.outcome in (Outcome.FAILED, Outcome.REFUSED, Outcome.STOPPED):
            what, numbers = "stopped" if self.outcome is Outcome.STOPPED else "failed", self._left()
            if not applied and any(stack.stage == "deploy" for stack in self.having(Status.FAILED)):
                return f"Deploy {what}: {numbers}."  # an apply that failed may have changed something
            return f"Deploy {what}: {numbers}; " + (f"{done} deployed." if applied else "nothing was deployed.")
        skipped = len(self.having(Status.SKIPPED))
        if not applied:
            return f"Nothing deployed: {skipped} skipped." if skipped else "Nothing to deploy: all up to date."
        passed = f"; {plural(len(checks), 'check')} passed" if checks else ""
        return f"Deployed {done}{f', {skipped} skipped' if skipped else ''}{passed}."

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
        if adopted := self.having(Status.ADOPTED):
            return f"The code of {adopted[0].name} took over drift; nothing is committed or deployed yet."
        if not any(numbers.values()):
            return f"No drift: all {plural(len(self.stacks), 'stack')} as deployed.{more}"
        (first, number), *rest = ((what, number) for what, number in numbers.items() if number)
        text = f"{number} of {plural(len(self.stacks), 'stack')} {first}"
        return ", ".join([text, *(f"{number} {what}" for what, number in rest)]) + f".{more}"

    @property
    def news(self) -> dict[str, int]:
        """How many differences are new, changed again, known and resolved, in all stacks together."""
        total: dict[str, int] = {}
        for stack in self.stacks:
            for word, number in stack.news.items():
                total[word] = total.get(word, 0) + number
        return total

    @property
    def ways(self) -> list[together.Way]:
        """What can be done about the drift of all stacks together; empty where only one has drifted."""
        offered = [stack.offered for stack in self.stacks if stack.offered]
        return together.ways(offered, self.known) if offered[1:] else []

    @property
    def resolved(self) -> list[tuple[str, str]]:
        """The drift that is over since the previous check, with its stack."""
        return [(stack.name, text) for stack in self.stacks for text in stack.resolved]

    def to_json(self) -> JsonObject:
        """The report as a JSON value."""
        stacks = [stack.to_json() for stack in self.stacks]
        return {
            "format": 2,
            "verdict": self.verdict,
            "outcome": self.outcome,
            **asdict(replace(self, known=())),
            "stacks": stacks,
        }
