"""What failed, each cause once: the same refusal of 50 stacks is one failure of 50 stacks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..base import whence
from ..base.problem import Kind
from ..base.terminal import Style, Styled
from ..base.text import few, plural
from . import causes, together

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from ..base.problem import Problem
    from ..run.result import Result

_MOST = 8  # causes that are repeated at the end
_NAMES = 5
_DETAILS = 8
_LINES = 10
_COMMANDS = 12
_QUOTED = frozenset({Kind.ENGINE, Kind.BUILD, Kind.HOOK, Kind.POLICY})  # whose cause is in the output of a program


@dataclass
class Failure:
    """A cause, and the tasks that it failed.

    Args:
        stage: The stage.
        problem: The cause, as the first of them has it; None if only the summary is known.
        summary: What happened.
        stacks: The stacks, in the order in which they failed.
        problems: What each of them says, in the same order.
    """

    stage: str
    problem: Problem | None
    summary: str
    stacks: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add(self, stack: str, problem: Problem | None) -> None:
        """One more stack has it."""
        self.stacks.append(stack)
        if problem is not None:
            self.problems.append(problem)

    def lines(self, known: Collection[str], listed: str = "") -> list[Styled]:
        """The cause in full, and the end of the output that says it; the rest of that is further up.

        Args:
            known: The names of all stacks.
            listed: The report that lists the stacks; empty if there is none.
        """
        summary, found = self.summary, None
        if self.problem is not None:
            pairs = sorted(zip(self.stacks, self.problems, strict=True), key=lambda pair: pair[0])
            found = together.problem(pairs, known)
            summary = found.summary if self.stacks[1:] else summary
        told = found is None or found.kind in summary or found.kind == f"{self.stage} failed"
        kind = "" if told or found is None else f"{found.kind}: "
        head = f"FAILED  {f'{self.stage} {few(sorted(self.stacks), _NAMES)}'.strip()}: {kind}{summary}"
        lines = [Styled(head, Style.FAILED)]
        if self.stacks[_NAMES:] and listed:
            lines.append(Styled(f"  stacks: all {len(self.stacks)} are in {listed}"))
        if found is not None:
            lines += _rows(found, listed)
        return lines


class Failures:
    """The failures of a run by their cause.

    Args:
        known: The names of all stacks.
    """

    def __init__(self, known: Collection[str]) -> None:
        self._known = known
        self._causes: list[Failure] = []
        self._groups = causes.Groups[Failure]()

    def add(self, outcome: Result) -> str | None:
        """Add a failed task; returns what it has to say if a stack before it failed for the same cause."""

        def first() -> Failure:
            self._causes.append(Failure(outcome.stage, outcome.problem, outcome.summary))
            return self._causes[-1]

        known = self._groups.of(outcome.stage, outcome.stack, outcome.problem, outcome.summary, first)
        known.add(outcome.stack, outcome.problem)
        return _alike(known, outcome) if known.stacks[1:] else None

    def lines(self, listed: str = "") -> list[Styled]:
        """Every cause once, the one of the most stacks last, right above the verdict.

        Args:
            listed: The report that lists the stacks of each; empty if there is none.
        """
        found = sorted(self._causes, key=lambda failure: len(failure.stacks))
        left = len(found) - _MOST
        lines = [Styled(f"… {plural(left, 'more cause')} above", Style.FAILED)] if left > 0 else []
        return [*lines, *(line for failure in found[-_MOST:] for line in failure.lines(self._known, listed))]


def of_run(problems: Iterable[Problem]) -> list[Styled]:
    """What went wrong besides the tasks."""
    lines: list[Styled] = []
    for problem in problems:
        first, *rest = whence.text(problem).split("\n")
        lines += [Styled(first, Style.FAILED), *map(Styled, rest)]
    return lines


def _rows(found: Problem, listed: str) -> list[Styled]:
    """The lines below the first: what differs and where, what a program said, what is untouched and what to do."""
    details = found.details[:_DETAILS]
    left = len(found.details) - len(details)
    more = [f"  … {plural(left, 'more line')} above"] if left else []
    places = replace(found, stack=None, untouched=None, next=(), details=()).rows()
    rest = replace(found, where=None, stack=None, details=())
    said = [Styled(f"  | {text}") for text in _cause(found)]
    head = [*(f"  {text}" for text in details), *more, *places]
    return [*map(Styled, head), *said, *map(Styled, _fit(rest.rows(), listed))]


def _cause(found: Problem) -> list[str]:
    """What a program said of its error, the first lines; the kinds of others say it themselves."""
    if found.kind not in _QUOTED:
        return []
    errors = causes.errors_of(found.log)
    said = [causes.unframed(line) for line in (errors or found.log).splitlines()]
    lines = [line for line in said if line.strip()]
    if not errors:  # other programs say it last
        return lines[-_LINES:] if found.kind is not Kind.ENGINE else []
    left = len(lines) - _LINES
    return [*lines[:_LINES], *([f"… {plural(left, 'more line')} above"] if left > 0 else [])]


def _fit(rows: list[str], listed: str) -> list[str]:
    """The rows, the commands of a next step no more than fit on a screen."""
    *others, last = rows or [""]
    lines = last.split("\n")
    left = len(lines) - _COMMANDS
    if left > 0:
        lines = [*lines[:_COMMANDS], f"    … {plural(left, 'more line')} in {listed or 'the lines above'}"]
    return [*others, "\n".join(lines)] if rows else []


def _alike(known: Failure, outcome: Result) -> str:
    """The first stack with the same cause, and what is different here: the words, or the place."""
    first, stack = known.stacks[0], outcome.stack
    differs = not causes.same((stack, outcome.summary), (first, known.summary))
    summary = outcome.summary.partition("\n")[0] + "; " if differs else ""
    place, other = (str(problem.where or "") if problem else "" for problem in (outcome.problem, known.problem))
    moved = f", at {place}" if place and not causes.same((stack, place), (first, other)) else ""
    return f"{summary}as {first} above{moved}"
