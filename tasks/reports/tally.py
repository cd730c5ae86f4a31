"""How far a run is: the tasks under way, how many of each stage have ended, and what they change."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

from ..artifact.changes import Counts
from ..base.text import few, plural
from ..run.result import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..run.result import Result

STAGES = ("build", "validate", "plan", "deploy", "verify", "drift")
MANY = 10  # from so many tasks of a stage on, each says how many there are
_SHOWN = 6
_CHANGING = ("deploy", "plan")  # the counts of a deploy are those of its plans
_WORDS = {
    "destroy": ("destroyed", "to destroy"),
    "replace": ("replaced", "to replace"),
    "forget": ("forgotten", "to forget"),
    "change": ("changed", "to change"),
    "add": ("created", "to create"),
    "imports": ("imported", "to import"),
    "move": ("moved", "to move"),
}


class Tally:
    """Counts what a run's tasks come to; may be used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._total: Counter[str] = Counter()
        self._ended: Counter[str] = Counter()
        self._failed = 0
        self._counts: dict[str, Counter[str]] = {stage: Counter() for stage in _CHANGING}
        self._under_way: dict[str, float] = {}

    def expect(self, names: Iterable[str]) -> None:
        """These tasks will end in this run."""
        with self._lock:
            self._total.update(stage for stage, colon, _ in (name.partition(":") for name in names) if colon)

    def begins(self, name: str) -> None:
        """A task is under way."""
        with self._lock:
            self._under_way[name] = time.monotonic()

    def ended(self, name: str, outcome: Result | None) -> None:
        """A task ended, also one that had nothing to do."""
        stage = name.partition(":")[0]
        with self._lock:
            self._under_way.pop(name, None)
            self._ended[stage] += 1
            if outcome is not None:
                self._failed += outcome.failed
                if stage in self._counts and outcome.status is Status.OK:
                    self._counts[stage].update(outcome.counts)

    def place(self, stage: str) -> str:
        """`12/50`; empty where a stage has few tasks."""
        with self._lock:
            total, ended = self._total[stage], self._ended[stage]
        return f"{ended}/{total}" if total >= MANY else ""

    def lines(self, waits: Callable[[str], str]) -> list[str]:
        """What is under way, for a live display: how far each stage is and what changes, then a line for each task.

        Args:
            waits: Says what a task waits for, a line for each; nothing where that is not known.
        """
        with self._lock:
            items = sorted(self._under_way.items())
            head = [f"{stage} {self._ended[stage]}/{self._total[stage]}" for stage in STAGES if self._going(stage)]
            head += [text] if (text := self._changes()) else []
            head += [f"{self._failed} failed"] if self._failed else []
        if not items:
            return []
        clock = time.monotonic()
        lines = [" · ".join(head)] if head else []
        for name, since in items[:_SHOWN]:
            first, *rest = waits(name).split("\n")
            lines.append(f"  {name} {clock - since:.0f} s" + (f" ({first})" if first and not rest else ""))
            lines += [f"    {text}" for text in (first, *rest)] if rest else []
        return [*lines, *([f"  and {len(items) - _SHOWN} more"] if len(items) > _SHOWN else [])]

    def _going(self, stage: str) -> bool:
        """Whether a stage has begun and is not over."""
        return self._total[stage] > 1 and 0 < self._ended[stage] < self._total[stage]

    def _changes(self) -> str:
        stage = next((stage for stage in _CHANGING if self._ended[stage]), "")
        return total(self._counts[stage], done=stage != "plan") if stage else ""


def total(counts: Counter[str] | Counts, *, done: bool = True) -> str:
    """What all of it comes to, as a person reads it, the worst first: `6 destroyed, 1 replaced, 13 changed`.

    Args:
        counts: How much of each.
        done: False for a plan, of which nothing has happened yet: `6 to destroy, 1 to replace`.
    """
    numbers = asdict(counts) if isinstance(counts, Counts) else counts
    told = {kind: words[not done] for kind, words in _WORDS.items()}
    if set(numbers) - {kind for kind, number in numbers.items() if not number} == {"outputs"}:
        return f"{plural(numbers['outputs'], 'output')} {told['change']}"
    return few([f"{numbers[kind]:,} {word}" for kind, word in told.items() if numbers.get(kind)], len(_WORDS))


def added(counts: Iterable[Counts]) -> Counts:
    """Counts added up."""
    found = dict.fromkeys(asdict(Counts()), 0)
    for each in counts:
        for name, number in vars(each).items():  # `asdict` copies, which takes longer than all else here
            found[name] += number
    return Counts(**found)


def of_stage(results: Iterable[Result], stage: str) -> str:
    """`total` of what the tasks of a stage have changed, or would change where the stage only plans."""
    found: Counter[str] = Counter()
    for item in results:
        if item.stage == stage and item.status is Status.OK:
            found.update(item.counts)
    return total(found, done=stage != "plan")
