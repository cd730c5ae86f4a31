"""The console output of a run: one line per task, the full output of failing stacks, and at the end what failed."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..artifact import outputs
from ..base import terminal, whence
from ..base.errors import DeployError, ExitCode
from ..base.problem import Kind, doit
from ..base.terminal import Style, Styled
from ..base.text import few, plural
from ..run.cilog import Dialect
from ..run.result import Status
from . import causes, failures, remarks, tally
from .failures import Failures
from .tally import STAGES, Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.text import Text

    from ..base.problem import Problem
    from ..engine.diagnostics import Diagnostic
    from ..run.result import Result
    from ..run.run import Run
    from .model import Report

_QUIET = {Status.UNAFFECTED}
_FEW = 20
_NAMED = 5  # stacks with the same warning
_WIDEST_NAME = 40
_COUNTS = len("  +10 ~10 -10  0.5 s")
_STAGE = 10  # columns before a task's stack


class Console:
    """Prints results and reports, their values masked; on a terminal a live display shows what is under way."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._tally = Tally()
        self._failures = Failures(run.project.stacks)
        self._warnings: dict[str, tuple[Diagnostic, list[str]]] = {}
        longest = max((len(name) for name in run.project.stacks), default=0)
        columns = terminal.columns()
        most = _WIDEST_NAME if columns is None else max(columns - _STAGE - _COUNTS, columns // 3)
        self._width = min(longest, most)
        self._reasons: set[str] = set()
        self._not_run: set[tuple[str, str]] = set()

    def start(self, names: Iterable[str]) -> None:
        """Begin the live display, on a terminal.

        Args:
            names: The tasks of this run.
        """
        self._tally.expect(names)
        if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb" or self._run.output.aside:
            return
        from rich.console import Console as RichConsole
        from rich.live import Live

        self._run.output.live = Live(
            get_renderable=self._live, console=RichConsole(), transient=True, refresh_per_second=4,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self._run.output.live.start()

    def stop(self) -> None:
        """End the live display."""
        live, self._run.output.live = self._run.output.live, None
        if live is not None:
            live.stop()

    def begins(self, name: str) -> None:
        """A task is under way."""
        self._tally.begins(name)

    def skipped(self, name: str) -> None:
        """A task had nothing to do."""
        self._tally.ended(name, None)

    def ended(self, outcome: Result, *, selected: bool) -> None:
        """A task ended: its line, and all that the engine said when it failed; of the same failure that only once."""
        outcome = outcome.masked(self._run.mask)
        if outcome.problem is not None:
            outcome = replace(outcome, problem=outcome.problem.seen_from(whence.way(), whence.program()))
        self._tally.ended(f"{outcome.stage}:{outcome.stack}", outcome)
        warned = self._warned(outcome)
        quiet = outcome.stage == "validate" and outcome.status is Status.OK and not selected and not warned
        if outcome.status in _QUIET or quiet or (outcome.status is Status.NOT_RUN and self._is_counted(outcome)):
            return
        head = self._head(outcome)
        if _was_stopped(outcome):
            why = f": {outcome.problem.untouched}" if outcome.problem and outcome.problem.untouched else ""
            self._tell(outcome, Styled(f"{head}stopped{why}", Style.WARNING), [], folded=False)
            return
        if outcome.failed:
            with self._lock:
                alike = self._failures.add(outcome)
            body = _block(outcome) if alike is None else []
            title = Styled(f"{head}FAILED  {alike or outcome.summary}", Style.FAILED)
            self._tell(outcome, title, [*warned, *body], folded=False)
            return
        why = f"  [{'; '.join(outcome.reasons[:2])}]" if outcome.reasons and outcome.stage == "plan" else ""
        reused = " (as planned before)" if outcome.reused else f"  {outcome.seconds:.1f} s"
        took = "" if outcome.status in (Status.NOT_RUN, Status.SKIPPED) else reused
        body = _block(outcome) if outcome.problem else self._changes(outcome)
        line = f"{head}{outcome.summary}{took}"
        title = Styled(f"{line}{self._unless_told(line, why)}", _style(outcome))
        self._tell(outcome, title, [*warned, *body], folded=not warned)

    def _head(self, outcome: Result) -> str:
        """The columns that all task lines have; in a log, which has no live display, also the progress."""
        place = self._tally.place(outcome.stage) if self._run.output.live is None else ""
        progress = f"{place:>{2 * len(place.partition('/')[2]) + 1}}  " if place else ""
        return f"{outcome.stage:<9} {progress}{outcome.stack:<{self._width}}  "

    def _is_counted(self, outcome: Result) -> bool:
        """Whether the count in the table says enough of what was not run: after a stop, or of many for one reason."""
        said = {outcome.summary, causes.unnamed(outcome.stack, outcome.summary)}
        reasons = {(outcome.stage, text) for text in said}
        with self._lock:
            told = bool(reasons & self._not_run)
            self._not_run |= reasons
        return self._run.stop.requested or (told and bool(self._tally.place(outcome.stage)))

    def _unless_told(self, line: str, why: str) -> str:
        """Why a stack is affected; nothing if there is no room for it and an earlier line has said the same."""
        columns = terminal.columns()
        with self._lock:
            told = why in self._reasons
            self._reasons.add(why)
        return "" if told and columns is not None and len(line) + len(why) > columns else why

    def _tell(self, outcome: Result, title: Styled, body: Sequence[Styled], *, folded: bool) -> None:
        """A task's line; in CI its details are folded below, open for a failure."""
        if body and self._run.output.dialect is not Dialect.PLAIN:
            self._run.output.section(f"{outcome.stage}_{outcome.stack}", title, body, folded=folded)
            return
        self._run.output.tell([title, *body])

    def _warned(self, outcome: Result) -> list[Styled]:
        """What the engine warned of, a line each, unless an earlier task has shown it, of this stack or another one."""
        new = []
        with self._lock:
            for item in outcome.warnings:
                key = causes.unnamed(outcome.stack, item.text)
                _, stacks = self._warnings.setdefault(key, (item, []))
                if not stacks:
                    new.append(item)
                if outcome.stack not in stacks:
                    stacks.append(outcome.stack)
        return [Styled(f"  Warning: {item.text}", Style.WARNING) for item in new]

    def _shared_warnings(self) -> list[str]:
        """What the engine warned of in several stacks, which was shown at one of them only."""
        shared = [(item.summary, stacks) for item, stacks in self._warnings.values() if stacks[1:]]
        return [f"warning   {summary}: {few(sorted(stacks), _NAMED)}" for summary, stacks in shared]

    def _changes(self, outcome: Result) -> list[Styled]:
        """What a plan would do, a line for each resource and output; in CI alone, where it folds."""
        changes = outcome.changes
        if outcome.stage not in ("plan", "drift") or not changes or self._run.output.dialect is Dialect.PLAIN:
            return []
        from ..policy import semantic

        found = semantic.meaning(changes)
        return [Styled(f"  {address}: {semantic.words(entry)}") for address, entry in sorted(found.items())]

    def overview(self, tasks: dict[str, Any]) -> None:
        """The output of `doit` without arguments: stacks and commands."""
        stacks = len(self._run.project.stacks)
        lines = [f"{plural(stacks, 'stack')} in environment '{self._run.project.environment}'. Commands:"]
        named = [task for task in tasks.values() if ":" not in task.name and not task.name.startswith("_")]
        commands = {self._run.typed(task.name).strip("`"): task.doc or "" for task in named}
        width = max(map(len, commands), default=0)
        lines += [f"  {command:<{width}} {doc}" for command, doc in sorted(commands.items())]
        one, every = self._run.typed("plan:STACK"), self._run.typed("list", "--all")
        other = whence.typed(doit("plan", environment="NAME"))
        lines += [f"One stack: {one}. Another environment: {other}. All tasks: {every}."]
        self._run.say("\n".join(lines))

    def report(self, report: Report) -> None:
        """What changes, before the table at the end."""
        from . import text

        for remark in remarks.of(self._run.results.values(), whence.way()):
            self._run.say_once(remark)
        shown = text.render(report)
        if not shown:
            return
        if self._run.output.dialect is Dialect.PLAIN:
            self._run.output.tell(shown)
        else:
            title = Styled(f"{report.stage:<9} {report.verdict}")
            self._run.output.section(f"report_{report.stage}", title, shown, folded=True)

    def summary(
        self, selected: set[str], code: ExitCode, reports: Sequence[str], errors: Sequence[Problem] = ()
    ) -> None:  # fmt: skip
        """The table at the end, every cause of a failure, and in the last line how the run ended and what to do next.

        Args:
            selected: The commands.
            code: The exit code.
            reports: The files of the reports.
            errors: What went wrong besides the tasks.
        """
        from . import verdicts

        run, found = self._run, list(self._run.results.values())
        lines = ["", *self._counted(selected, found)]
        if text := tally.of_stage(found, "deploy" if "deploy" in selected else "plan"):
            lines.append(f"changes   {text}")
        lines += self._shared_warnings()
        lines += [f"address   {run.mask.text(text)}" for text in self._addresses(found) if "deploy" in selected]
        lines += [f"report    {path}" for path in reports]
        shown = [Styled(line) for line in lines]
        listed = next((path for path in reports if path.endswith(".md")), "")
        if told := [*self._failures.lines(listed), *failures.of_run(errors)]:
            shown += [Styled(""), *told]
        seconds = time.monotonic() - run.started
        said = run.mask.text(verdicts.of(run, selected, code, found, whence.program()))
        verdict = f"{run.project.environment}: {said} ({seconds:.1f} s)"
        style = Style.FAILED if code.failed else Style.WARNING if code is ExitCode.DRIFT else Style.GOOD
        first, *rest = verdict.split("\n")
        run.output.tell([*shown, Styled(first, style), *map(Styled, rest)])

    def _counted(self, selected: set[str], found: list[Result]) -> list[str]:
        """How the tasks of each stage ended."""
        lines = []
        for stage in STAGES:
            known = _WORDS if stage != "build" else {**_WORDS, Status.UNAFFECTED: "up to date"}
            ended = [item for item in found if item.stage == stage]
            counts = Counter((item.status, self._word(item) or known[item.status]) for item in ended)
            if counts and (stage in selected or {status for status, _ in counts} != {Status.UNAFFECTED}):
                words = ", ".join(f"{number} {word}" for (_, word), number in sorted(counts.items()))
                lines.append(f"{stage:<9} {words}")
        return lines

    def _word(self, outcome: Result) -> str:
        """How a task ended, where its status does not say it: a stack is valid only once its plan says so, too."""
        if _was_stopped(outcome):
            return "stopped"
        is_left = outcome.stage == "validate" and outcome.stack in self._run.asked.planned
        if not is_left or outcome.status is not Status.OK:
            return ""
        planned = self._run.results.get(f"plan:{outcome.stack}")
        is_answered = planned is not None and planned.status not in (Status.FAILED, Status.NOT_RUN)
        return "" if is_answered else "formatted (the plan validates the rest)"

    def _live(self) -> Text:
        """What is under way, each line cut to the terminal."""
        from rich.text import Text

        return Text("\n".join(self._running()), style="dim", no_wrap=True, overflow="ellipsis")

    def _running(self) -> list[str]:
        return self._tally.lines(self._waits_for)

    def _waits_for(self, name: str) -> str:
        tell = self._run.waiting.get(name)
        return self._run.mask.text(tell()) if tell else ""

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


def _was_stopped(outcome: Result) -> bool:
    """Whether a task failed only because the run was stopped, which whoever did it knows."""
    return outcome.failed and outcome.problem is not None and outcome.problem.kind is Kind.STOPPED


def _style(outcome: Result) -> Style:
    """How the line of a task that did not fail is shown."""
    if outcome.status in (Status.DRIFTED, Status.UNDEPLOYED, Status.DEFERRED):
        return Style.WARNING
    if outcome.status is Status.NOT_RUN:
        return Style.QUIET
    loses = outcome.counts.get("destroy", 0) + outcome.counts.get("replace", 0)
    return Style.WARNING if loses and outcome.stage in ("plan", "deploy") else Style.PLAIN


_WORDS = {
    Status.OK: "ok",
    Status.UNAFFECTED: "not affected",
    Status.DEFERRED: "deferred",
    Status.DRIFTED: "drifted",
    Status.UNDEPLOYED: "not deployed",
    Status.FAILED: "failed",
    Status.NOT_RUN: "not run",
    Status.SKIPPED: "skipped",
    Status.ADOPTED: "adopted",
}


def _block(outcome: Result) -> list[Styled]:
    """A failure, or why a stack is deferred: the engine's whole output, then the error."""
    lines = []
    problem = outcome.problem
    if problem and problem.log:
        title = f"{outcome.stage}:{outcome.stack}"
        said = [f"---- {title}: output ----", problem.log.strip("\n"), f"---- {title}: end of output ----"]
        lines = [Styled(text, quoted=True) for text in said]
    return [*lines, *map(Styled, problem.rows() if problem else ())]
