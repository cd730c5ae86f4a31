"""What several stacks have in common, told once: a problem, a finding of a policy, a change that destroys something."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from ..run.result import Status
from . import causes, together

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from ..base.problem import Problem
    from ..policy.finding import Finding
    from .stackreport import Change, StackReport


_MANY = 4  # stacks that change alike are one row from so many on


@dataclass(frozen=True)
class Alike:
    """What is said of several stacks, in the order of the report; of the first one it is shown in full.

    `known` are the names of all stacks, so that commands for these cover no other.
    """

    stacks: list[StackReport]
    known: Collection[str] = ()

    @property
    def first(self) -> StackReport:
        """The stack whose problem is shown."""
        return self.stacks[0]

    @property
    def status(self) -> Status:
        """How all of them ended."""
        return self.first.status

    @property
    def others(self) -> list[str]:
        """The names of the other stacks."""
        return [stack.name for stack in self.stacks[1:]]

    @property
    def ways(self) -> list[together.Way]:
        """What can be done about the drift of all of them."""
        return together.ways([stack.offered for stack in self.stacks if stack.offered], self.known)

    @cached_property
    def problem(self) -> Problem | None:
        """What went wrong in all of them, with one next step."""
        problems = [(stack.name, stack.problem) for stack in self.stacks if stack.problem is not None]
        return together.problem(problems, self.known) if problems else None

    @property
    def error(self) -> str:
        """What went wrong in all of them, without the log."""
        return self.problem.text() if self.problem else self.first.error


def alike(stacks: Iterable[StackReport]) -> dict[str, str]:
    """Of stacks of which many change alike and none failed, by name, the name of the first of them."""
    calm = [stack for stack in stacks if stack.problem is None and stack.status is not Status.NOT_RUN]
    many = Counter(stack.likeness for stack in calm)
    firsts: dict[tuple[object, ...], str] = {}
    return {
        stack.name: firsts.setdefault(stack.likeness, stack.name) for stack in calm if many[stack.likeness] >= _MANY
    }


@dataclass(frozen=True)
class SharedFinding:
    """What a policy says of several plans, told once: `places` are the stacks and resources that it is about."""

    finding: Finding
    places: list[tuple[str, str]] = field(default_factory=list)

    @property
    def stacks(self) -> list[str]:
        """The names of the stacks, each once."""
        return list(dict.fromkeys(name for name, _ in self.places))

    @property
    def addresses(self) -> list[str]:
        """The addresses of the resources, each once; empty if it is about plans as a whole."""
        return list(dict.fromkeys(address for _, address in self.places if address))


@dataclass(frozen=True)
class SharedText:
    """What is said of several stacks in the same words but for their names: as the first one has it, and the stacks."""

    text: str
    stacks: list[str] = field(default_factory=list)


def texts(said: Iterable[tuple[str, str]]) -> list[SharedText]:
    """Texts about stacks, each once for all stacks of which it says the same, in their order.

    Args:
        said: The name of a stack, and what is said of it.
    """
    found: dict[str, SharedText] = {}
    for name, text in said:
        found.setdefault(causes.unnamed(name, text), SharedText(text)).stacks.append(name)
    return list(found.values())


@dataclass(frozen=True)
class SharedChange:
    """What several plans destroy in the same way, told once, and the stacks of those plans."""

    change: Change
    stacks: list[str] = field(default_factory=list)
