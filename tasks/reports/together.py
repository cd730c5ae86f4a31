"""One next step for all stacks that failed for one cause: a command that covers exactly them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ..base.problem import Command, Kind, Shell
from . import causes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from ..base.problem import Problem, Step

_FEW = 3  # names that are written one by one, though a pattern would cover them
_LISTED = ("accept", "allow")  # variables whose value may be several, with commas
_REPAIR = "--repair"
_SUMMARIES = {
    Kind.STATE_LOCKED: "their states are locked",
    Kind.STATE_REFUSED: "their states are not those that were deployed",
}  # of stacks that differ in what is the matter
_MOST_WAYS = 5  # commands of which each is for one stack
_LIKEWISE = "; likewise for each of the others"


def problem(found: Sequence[tuple[str, Problem]], known: Collection[str]) -> Problem:
    """What failed in several stacks as one problem: of what differs between them, a line for each.

    Args:
        found: The stacks, and the problem of each.
        known: The names of all stacks, so that a pattern never covers another one.
    """
    (name, first), *others = found
    if not others:
        return first
    summary, details = first.summary, first.details
    differs = not all(causes.same((stack, each.summary), (name, summary)) for stack, each in others)
    if first.kind is Kind.UNFORMATTED:  # the next step names the files
        summary = "their files are not formatted"
    elif differs and first.kind in _SUMMARIES:
        details = (*details, *(f"{stack}: {each.summary}" for stack, each in found))
        summary = _SUMMARIES[first.kind]
    steps = tuple(_steps(found, known))
    untouched = first.untouched_of_several or first.untouched
    return replace(first, stack=None, summary=summary, details=details, untouched=untouched, next=steps)


def command(commands: Sequence[Command], known: Collection[str]) -> Command | None:
    """One command for all stacks of some that differ only in those; None if there is none, as it takes one stack.

    Args:
        commands: The command of each stack.
        known: The names of all stacks.
    """
    first = commands[0]
    if any(len(each.arguments) != len(first.arguments) or each.variables != first.variables for each in commands):
        return None
    words: list[str] = []
    for column in zip(*(each.arguments for each in commands), strict=True):
        merged = _merged(list(dict.fromkeys(column)), words[-1] if words else "", known)
        if merged is None:
            return None
        words += merged
    return replace(first, arguments=tuple(words))


class Way(NamedTuple):
    """What can be done about several stacks: the commands, and for how many more stacks there is one each."""

    name: str
    commands: list[str]
    left: int = 0


def ways(offered: Iterable[Iterable[tuple[str, Command]]], known: Collection[str]) -> list[Way]:
    """What can be done about stacks of which each has ways of its own: one command for all of them where there is one.

    Args:
        offered: Of each stack, what each way does, and its command.
        known: The names of all stacks.
    """
    kinds: dict[str, dict[int, list[Command]]] = {}
    for each in offered:
        for name, step in each:
            kinds.setdefault(name, {}).setdefault(len(step.arguments), []).append(step)
    found = []
    for name, alike in kinds.items():
        merged = [(command(steps, known), steps) for steps in alike.values()]
        commands = [str(one) for together, steps in merged for one in ([together] if together else steps)]
        shown = list(dict.fromkeys(commands))
        found.append(Way(name, shown[:_MOST_WAYS], max(len(shown) - _MOST_WAYS, 0)))
    return found


def cover(names: Collection[str], known: Collection[str]) -> list[str]:
    """Names and patterns that match exactly these stacks of all; `*` for all of them."""
    wanted = set(names)
    if len(wanted) > 1 and known and set(known) <= wanted:
        return ["*"]
    return sorted(wanted) if len(wanted) <= _FEW or not known else list(_covered("", wanted, sorted({*known, *wanted})))


def _covered(prefix: str, wanted: Collection[str], known: Sequence[str]) -> Iterator[str]:
    """Names and patterns for what is wanted of some stacks that begin alike, in order."""
    found = [name for name in known if name in wanted]
    if not found:
        return
    if len(found) == 1:
        yield found[0]
    elif len(found) == len(known):
        yield f"{_common(found, prefix)}*"
    else:
        ends = [name for name in found if name == prefix]
        yield from ends
        for letter in sorted({name[len(prefix)] for name in known if name != prefix}):
            longer = prefix + letter
            yield from _covered(longer, wanted, [name for name in known if name.startswith(longer)])


def _common(names: Sequence[str], prefix: str) -> str:
    """How names in order begin; only up to the folder that they share, if that is no less than a prefix."""
    first, last = names[0], names[-1]
    same = next((place for place, letter in enumerate(first) if not last.startswith(letter, place)), len(first))
    folder = first.rfind("/", 0, same) + 1
    return first[:folder] if folder >= max(len(prefix), 1) else first[:same]


def _steps(found: Sequence[tuple[str, Problem]], known: Collection[str]) -> Iterator[Step]:
    """The parts of the next step, each of all stacks together."""
    names, rows = [name for name, _ in found], [each.next for _, each in found]
    first = rows[0]
    if any([type(part) for part in row] != [type(part) for part in first] for row in rows):
        yield from first
        yield _LIKEWISE
        return
    apart = False
    for column in zip(*rows, strict=True):
        parts: list[Step] = list(dict.fromkeys(column))
        commands = [part for part in parts if isinstance(part, Command)]
        lines = [part for part in parts if isinstance(part, Shell)]
        if len(commands) > 1 and (merged := command(commands, known)):
            yield merged
        elif len(lines) > 1:  # each on a line of its own, all of which may be copied at once
            yield from (replace(line, alone=True) for line in lines)
        elif _differ(names, column):
            yield "\n    ".join(map(str, parts))
        else:
            apart |= len(parts) > 1
            yield parts[0]
    if apart:
        yield _LIKEWISE


def _differ(names: Sequence[str], column: Sequence[Step]) -> bool:
    """Whether sentences of several stacks say different things, besides the stacks' names."""
    said = [(name, part) for name, part in zip(names, column, strict=True) if isinstance(part, str)]
    return any(not causes.same(said[0], other) for other in said[1:])


def _merged(words: Sequence[str], before: str, known: Collection[str]) -> list[str] | None:
    """Words of the same place in several commands as the words of one; None if there are none."""
    if len(words) == 1:
        return list(words)
    names, values = zip(*(word.split("=", 1) if "=" in word else (word, "") for word in words), strict=True)
    if names[0] in _LISTED and len(set(names)) == 1:
        return [f"{names[0]}={','.join(_allowed(values, known) if names[0] == 'allow' else values)}"]
    if before == _REPAIR:
        return [",".join(cover(words, known))]
    heads, stacks = zip(*(word.partition(":")[::2] for word in words), strict=True)
    if len(set(heads)) > 1 or not all(stacks):
        return None
    return [heads[0] if name == "*" else f"{heads[0]}:{name}" for name in cover(stacks, known)]


def _allowed(values: Sequence[str], known: Collection[str]) -> list[str]:
    """`RULE:STACK` of several stacks, as few as possible."""
    by_rule: dict[str, list[str]] = {}
    for value in values:
        rule, _, stack = value.partition(":")
        by_rule.setdefault(rule, []).append(stack)
    return [
        rule if name == "*" else f"{rule}:{name}" for rule, stacks in by_rule.items() for name in cover(stacks, known)
    ]
