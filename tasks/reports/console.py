"""The console output of a run: one line per task, and the full output of failing stacks."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from ..artifact import outputs
from ..base.errors import DeployError, ExitCode
from ..base.masking import Rendered
from ..base.problem import doit
from ..base.text import few, plural
from ..drifts import words
from ..policy import semantic
from ..run.cilog import Dialect
from ..run.details import DriftDetails
from ..run.result import Status
from . import remarks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..engine.diagnostics import Diagnostic
    from ..run.result import Result
    from ..run.run import Run
    from .model import Report

_QUIET = {Status.UNAFFECTED}
_FEW = 20


class Console:
    """Prints results and reports, their values masked; on a terminal a live line shows what is under way."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._under_way: dict[str, float] = {}
        self._warnings: set[tuple[str, Diagnostic]] = set()
        self._width = max((len(name) for name in run.project.stacks), default=0)

    def start(self) -> None:
        """Begin the live display, on a terminal."""
        if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
            return
        from rich.console import Console as RichConsole
        from rich.live import Live
        from rich.text import Text

        self._run.output.live = Live(
            get_renderable=lambda: Text(self._running(), style="dim"), console=RichConsole(), transient=True,
            refresh_per_second=4, redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self._run.output.live.start()

    def stop(self) -> None:
        """End the live display."""
        live, self._run.output.live = self._run.output.live, None
        if live is not None:
            live.stop()

    def begins(self, name: str) -> None:
        """A task is under way."""
        with self._lock:
            self._under_way[name] = time.monotonic()

    def ended(self, outcome: Result, *, selected: bool) -> None:
        """A task ended: its line, and all that the engine said when it failed."""
        outcome = outcome.masked(self._run.mask)
        with self._lock:
            self._under_way.pop(f"{outcome.stage}:{outcome.stack}", None)
        warned = self._warned(outcome)
        quiet = outcome.stage == "validate" and outcome.status is Status.OK and not selected and not warned
        if outcome.status in _QUIET or quiet:
            return
        head = f"{outcome.stage:<9} {outcome.stack:<{self._width}}  "
        if outcome.failed:
            self._tell(outcome, f"{head}FAILED  {outcome.summary}", [*warned, *_block(outcome)], folded=False)
            return
        why = f"  [{'; '.join(outcome.reasons[:2])}]" if outcome.reasons and outcome.stage == "plan" else ""
        reused = " (as planned before)" if outcome.reused else f"  {outcome.seconds:.1f} s"
        took = "" if outcome.status is Status.NOT_RUN else reused
        body = _block(outcome) if outcome.problem else self._changes(outcome)
        self._tell(outcome, f"{head}{outcome.summary}{took}{why}", [*warned, *body], folded=not warned)

    def _tell(self, outcome: Result, title: str, body: list[str], *, folded: bool) -> None:
        """A task's line; in CI what belongs to it folds below, and what failed is open."""
        title = Rendered(title)
        if body and self._run.output.dialect is not Dialect.PLAIN:
            self._run.output.section(
                f"{outcome.stage}_{outcome.stack}", title, Rendered("\n".join(body)), folded=folded
            )
        else:
            self._run.say(Rendered("\n".join([title, *body])))

    def _warned(self, outcome: Result) -> list[str]:
        """What the engine warned of, a line each, unless an earlier task of the stack has shown it."""
        with self._lock:
            new = [item for item in outcome.warnings if (outcome.stack, item) not in self._warnings]
            self._warnings.update((outcome.stack, item) for item in new)
        return [f"  Warning: {item.text}" for item in new]

    def _changes(self, outcome: Result) -> list[str]:
        """What a plan would do, a line for each resource and output; in CI alone, where it folds."""
        changes = outcome.changes
        if outcome.stage not in ("plan", "drift") or not changes or self._run.output.dialect is Dialect.PLAIN:
            return []
        found = semantic.meaning(changes)
        return [f"  {address}: {semantic.words(entry)}" for address, entry in sorted(found.items())]

    def overview(self, tasks: dict[str, Any]) -> None:
        """What bare `doit` says: what there is."""
        stacks = len(self._run.project.stacks)
        lines = [f"{plural(stacks, 'stack')} in environment '{self._run.project.environment}'. Commands:"]
        named = [task for task in tasks.values() if ":" not in task.name and not task.name.startswith("_")]
        commands = {str(self._run.command(task.name)): task.doc or "" for task in named}
        width = max(map(len, commands), default=0)
        lines += [f"  {command:<{width}} {doc}" for command, doc in sorted(commands.items())]
        one, every = self._run.command("plan:STACK"), self._run.command("list", "--all")
        other = doit("plan", environment="NAME")
        lines += [f"One stack: {one.quoted}. Another environment: {other.quoted}. All tasks: {every.quoted}."]
        self._run.say("\n".join(lines))

    def report(self, report: Report) -> None:
        """What changes, before the table at the end."""
        from . import text

        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and self._run.output.dialect is Dialect.PLAIN
        for remark in remarks.of(self._run.results.values()):
            self._run.say_once(remark)
        shown = Rendered(text.render(report, colour=colour))
        if not shown:
            return
        if colour:
            self._run.output.show(shown)
        elif self._run.output.dialect is Dialect.PLAIN:
            self._run.say(shown)
        else:
            title = Rendered(f"{report.stage:<9} {report.verdict}")
            self._run.output.section(f"report_{report.stage}", title, shown, folded=True)

    def summary(self, selected: set[str], code: ExitCode, reports: Iterable[str]) -> None:
        """The table at the end, and what to do next."""
        run, found = self._run, list(self._run.results.values())
        lines = [""]
        for stage in ("build", "validate", "plan", "deploy", "verify", "drift"):
            counts: dict[str, int] = {}
            for item in found:
                if item.stage == stage:
                    counts[item.status] = counts.get(item.status, 0) + 1
            if counts and (stage in selected or set(counts) != {Status.UNAFFECTED}):
                known = _WORDS if stage != "build" else {**_WORDS, Status.UNAFFECTED: "up to date"}
                words = ", ".join(f"{number} {known[Status(status)]}" for status, number in sorted(counts.items()))
                lines.append(f"{stage:<9} {words}")
        lines += [f"address   {text}" for text in self._addresses(found) if "deploy" in selected]
        lines += [f"report    {path}" for path in reports]
        seconds = time.monotonic() - run.started
        lines.append(f"{run.project.environment}: {self.verdict(selected, code, found)} ({seconds:.1f} s)")
        run.say("\n".join(lines))

    def _running(self) -> str:
        with self._lock:
            items = sorted(self._under_way.items())
        clock = time.monotonic()
        return few([f"{name} {clock - since:.0f} s{self._waits_for(name)}" for name, since in items], 6, "   ")

    def _waits_for(self, name: str) -> str:
        tell = self._run.waiting.get(name)
        text = self._run.mask.text(tell()) if tell else ""
        return f" ({text})" if text else ""

    def _addresses(self, found: list[Result]) -> list[str]:
        """Outputs that are web addresses, of the stacks of this run."""
        names = [item.stack for item in found if item.stage == "deploy" and not item.failed]
        lines = []
        for name in names if len(names) <= _FEW else []:
            try:
                known = outputs.stored(self._run.layout, name) or {}
            except DeployError:
                continue
            for output, item in known.items():
                if isinstance(item.value, str) and item.value.startswith(("http://", "https://")):
                    lines.append(f"{name}.{output}  {item.value}")
        return lines

    def verdict(self, selected: set[str], code: ExitCode, found: list[Result]) -> str:
        """How the run ended, in words, and what to do next."""
        failed = sorted({item.stack for item in found if item.failed})
        names = ", ".join(failed[:5]) + (" and more" if len(failed) > 5 else "")  # noqa: PLR2004 - what fits a line
        if self._run.stop.requested:
            return "stopped; run the same command again to continue"
        if code is ExitCode.FAILED:
            tried = any(item.stage == "deploy" and item.failed for item in found)
            if "deploy" in selected and not self._run.applied and not tried:
                return f"failed: {names or 'see above'}; nothing was deployed"
            return f"failed: {names or 'see above'}"
        if code is ExitCode.DRIFT or any(item.status is Status.DRIFTED for item in found):
            return self._drift_verdict(found)
        if "deploy" in selected:
            if self._run.applied:
                return f"{len(self._run.applied)} deployed"
            checked = any(item.stage == "deploy" and item.status is Status.OK for item in found)
            return "nothing to deploy, its checks passed" if checked else "nothing to deploy, all up to date"
        if "plan" in selected:
            plans = [item for item in found if item.stage == "plan" and item.status is not Status.UNAFFECTED]
            deferred = sum(item.status is Status.DEFERRED for item in plans)
            deploys = self._run.command("deploy").quoted
            if deferred:
                return f"planned; {deploys} applies exactly this, and plans and applies {deferred} deferred"
            return f"planned; {deploys} applies exactly this" if plans else "no stack is affected"
        if "drift" in selected and (counted := words.counted(_news(found))):
            return f"all passed; {counted} since the previous check"
        return "all passed"

    def _drift_verdict(self, found: list[Result]) -> str:
        lines = []
        drifted = sorted(item.stack for item in found if item.status is Status.DRIFTED)
        undeployed = sorted(item.stack for item in found if item.status is Status.UNDEPLOYED)
        if drifted:
            again = self._run.command("-a", *(f"deploy:{name}" for name in drifted[:5])).quoted
            looks = self._run.command("drift").quoted
            counted = words.counted(_news(found))
            lines.append(
                f"{', '.join(drifted)} drifted{f' ({counted})' if counted else ''}. What to do next:\n"
                f"  1. deploy the code again:     {again}\n"
                f"  2. keep what is there:        change the code until {looks} finds nothing\n"
                f"  3. look into it:              .deploy/{self._run.project.environment}/reports/drift.md"
            )
        if undeployed:
            deploys = self._run.command("deploy").quoted
            lines.append(f"{', '.join(undeployed)}: undeployed code; {deploys} deploys it")
        return "\n".join(lines)


_WORDS = {
    Status.OK: "ok",
    Status.UNAFFECTED: "not affected",
    Status.DEFERRED: "deferred",
    Status.DRIFTED: "drifted",
    Status.UNDEPLOYED: "not deployed",
    Status.FAILED: "failed",
    Status.NOT_RUN: "not run",
}


def _news(found: Iterable[Result]) -> dict[str, int]:
    """How much drift is new, changed again, known and resolved."""
    total: dict[str, int] = {}
    for item in found:
        if isinstance(item.details, DriftDetails):
            for word, number in item.details.news.items():
                total[word] = total.get(word, 0) + number
    return total


def _block(outcome: Result) -> list[str]:
    """All that is known of a failure, or of why a stack is deferred: what the engine said, whole, then the error."""
    lines = []
    problem = outcome.problem
    if problem and problem.log:
        title = f"{outcome.stage}:{outcome.stack}"
        lines += [f"---- {title}: output ----", problem.log.strip("\n"), f"---- {title}: end of output ----"]
    return [*lines, *(problem.rows() if problem else ())]
