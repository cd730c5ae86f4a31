"""What failed, each cause once: the same refusal of 50 stacks is one failure of 50 stacks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..base.terminal import Style, Styled
from ..base.text import few, plural
from . import causes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..base.problem import Problem
    from ..run.result import Result

_MOST = 8  # causes that are repeated at the end
_NAMES = 5
_DETAILS = 8


@dataclass
class Failure:
    """A cause, and the tasks that it failed.

    Args:
        stage: The stage.
        problem: The cause, as the first of them has it; None if only the summary is known.
        summary: What happened.
        stacks: The stacks, in the order in which they failed.
    """

    stage: str
    problem: Problem | None
    summary: str
    stacks: list[str] = field(default_factory=list)

    def lines(self) -> list[Styled]:
        """The cause in full, without the engine's output, which is further up."""
        names = few(self.stacks, _NAMES)
        kind = f"{self.problem.kind}: " if self.problem and self.problem.kind not in self.summary else ""
        head = f"FAILED  {f'{self.stage} {names}'.strip()}: {kind}{self.summary}"
        lines = [Styled(head, Style.FAILED)]
        if self.problem is not None:
            details = self.problem.details
            found = replace(self.problem, stack=None, details=details[:_DETAILS])
            rows = [
                *found.rows(),
                *([f"  … {plural(len(details) - _DETAILS, 'more line')} above"] if details[_DETAILS:] else []),
            ]
            lines += map(Styled, rows)
        return lines


class Failures:
    """The failures of a run by their cause."""

    def __init__(self) -> None:
        self._causes: list[Failure] = []
        self._groups = causes.Groups[Failure]()

    def add(self, outcome: Result) -> str | None:
        """Add a failed task; returns what it has to say if a stack before it failed for the same cause."""

        def first() -> Failure:
            self._causes.append(Failure(outcome.stage, outcome.problem, outcome.summary))
            return self._causes[-1]

        known = self._groups.of(outcome.stage, outcome.stack, outcome.problem, outcome.summary, first)
        known.stacks.append(outcome.stack)
        return _alike(known, outcome) if known.stacks[1:] else None

    def lines(self) -> list[Styled]:
        """Every cause once, the one of the most stacks last, right above the verdict."""
        found = sorted(self._causes, key=lambda failure: len(failure.stacks))
        left = len(found) - _MOST
        lines = [Styled(f"… {plural(left, 'more cause')} above", Style.FAILED)] if left > 0 else []
        return [*lines, *(line for failure in found[-_MOST:] for line in failure.lines())]


def of_run(problems: Iterable[Problem]) -> list[Styled]:
    """What went wrong besides the tasks."""
    lines: list[Styled] = []
    for problem in problems:
        first, *rest = problem.text().split("\n")
        lines += [Styled(first, Style.FAILED), *map(Styled, rest)]
    return lines


def _alike(known: Failure, outcome: Result) -> str:
    """The first stack with the same cause, and what is different here: the words, or the place."""
    first, stack = known.stacks[0], outcome.stack
    differs = not causes.same((stack, outcome.summary), (first, known.summary))
    summary = outcome.summary.partition("\n")[0] + "; " if differs else ""
    place, other = (str(problem.where or "") if problem else "" for problem in (outcome.problem, known.problem))
    moved = f", at {place}" if place and not causes.same((stack, place), (first, other)) else ""
    return f"{summary}as {first} above{moved}"
