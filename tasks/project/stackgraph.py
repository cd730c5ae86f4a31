"""The stack graph: which stack needs which, in a fixed order, without cycles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


class CycleError(ValueError):
    """Stacks depend on each other; `path` begins and ends with the same one."""

    def __init__(self, path: list[str]) -> None:
        super().__init__(" -> ".join(path))
        self.path = path


@dataclass(frozen=True)
class StackGraph:
    """Stacks and what each needs.

    `needs["runners"] == ("network",)` is drawn `network --> runners`: an apply goes with the arrows. Every name that
    is needed is a key. `order` lists upstreams before their dependents, and alphabetically where nothing else decides.
    """

    needs: Mapping[str, tuple[str, ...]]
    order: tuple[str, ...]

    @classmethod
    def build(cls, needs: Mapping[str, Iterable[str]]) -> StackGraph:
        """Order a mapping of stack to the stacks it needs; all needed names must be keys.

        Raises:
            CycleError: Some stacks need each other.
        """
        from heapq import heapify, heappop, heappush

        plain = {name: tuple(sorted(set(needs[name]))) for name in sorted(needs)}
        waiting = {name: len(upstreams) for name, upstreams in plain.items()}
        dependents: dict[str, list[str]] = {name: [] for name in plain}
        for name, upstreams in plain.items():
            for upstream in upstreams:
                dependents[upstream].append(name)
        ready = [name for name, count in waiting.items() if not count]
        heapify(ready)
        order = []
        while ready:
            name = heappop(ready)
            order.append(name)
            for dependent in dependents[name]:
                waiting[dependent] -= 1
                if not waiting[dependent]:
                    heappush(ready, dependent)
        if len(order) < len(plain):
            raise CycleError(_cycle({name: plain[name] for name, count in waiting.items() if count}))
        return cls(plain, tuple(order))

    def upstreams(self, name: str) -> set[str]:
        """Everything that a stack needs, directly or not."""
        found: set[str] = set()
        pending = list(self.needs[name])
        while pending:
            current = pending.pop()
            if current not in found:
                found.add(current)
                pending.extend(self.needs[current])
        return found

    def among(self, names: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Which of some stacks each of them needs, directly or through stacks that are not among them."""
        through: dict[str, set[str]] = {}
        found: dict[str, tuple[str, ...]] = {}
        for name in self.order:
            reached: set[str] = set()
            for upstream in self.needs[name]:
                reached |= {upstream} if upstream in names else through[upstream]
            if name in names:
                found[name] = tuple(sorted(reached))
            else:
                through[name] = reached
        return found

    def waves(self) -> list[list[str]]:
        """The stacks in waves: each needs only stacks of earlier waves."""
        level: dict[str, int] = {}
        for name in self.order:
            level[name] = 1 + max((level[upstream] for upstream in self.needs[name]), default=-1)
        waves: list[list[str]] = [[] for _ in range(max(level.values(), default=-1) + 1)]
        for name in sorted(level):
            waves[level[name]].append(name)
        return waves


def cycles(needs: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    """For each stack that needs itself, directly or not, a shortest way back to it; it begins and ends there."""
    left = {name: set(upstreams) for name, upstreams in needs.items()}
    while ends := left.keys() - {name for upstreams in left.values() for name in upstreams if name in left}:
        left = {name: upstreams for name, upstreams in left.items() if name not in ends}
    return {name: path for name in sorted(left) if (path := _way_back(left, name))}


def _way_back(needs: Mapping[str, Collection[str]], start: str) -> list[str]:
    """A shortest cycle through a stack; empty without one."""
    came_from: dict[str, str] = {}
    pending = [start]
    for name in pending:
        for upstream in sorted(needs.get(name, ())):
            if upstream == start:
                path = [start, name]
                while path[-1] != start:
                    path.append(came_from[path[-1]])
                return path[::-1]
            if upstream not in came_from:
                came_from[upstream] = name
                pending.append(upstream)
    return []


def _cycle(needs: Mapping[str, tuple[str, ...]]) -> list[str]:
    """One cycle among stacks that all wait for another one of them; starts with its alphabetically first stack."""
    name = min(needs)
    path: list[str] = []
    while name not in path:
        path.append(name)
        name = next(upstream for upstream in needs[name] if upstream in needs)
    path = path[path.index(name) :]
    start = path.index(min(path))
    path = path[start:] + path[:start]
    return [*path, path[0]]
