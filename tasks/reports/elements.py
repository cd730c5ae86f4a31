"""Which elements of a list were changed, added or removed: matched by name, or by position."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base import jsontext
from ..base.jsontext import same

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..base.jsonvalue import Json

    Placed = Sequence[tuple[int, Json]]

_NEAR = 50  # elements that one is compared with: of thousands, each with each would take minutes
_NAMES = ("sid", "id", "name", "key", "arn")  # of a policy's statement, a rule, a tag, ...; in any case


@dataclass(frozen=True)
class Compared:
    """Two lists, by element; a place before is an index of the one, a place after one of the other.

    Args:
        kept: The places before and after of each element that is in both.
        changed: The place after, by the place before, of each element that was changed.
        gone: The elements that the second list lacks, those that were changed among them.
        new: The elements that the first list lacks, those that were changed among them.
        moved: The places before and after of what stands elsewhere among the others, and of what was changed and has
            another place.
    """

    kept: list[tuple[int, int]]
    changed: dict[int, int]
    gone: Placed
    new: Placed
    moved: list[tuple[int, int]]

    @property
    def removed(self) -> Placed:
        """What was removed."""
        return [(place, item) for place, item in self.gone if place not in self.changed]

    @property
    def added(self) -> Placed:
        """What was added."""
        taken = {*self.changed.values()}
        return [(place, item) for place, item in self.new if place not in taken]


def compared(before: Sequence[Json], after: Sequence[Json]) -> Compared:
    """Match the elements of two lists by content, by name, or by where they stand."""
    gone, new = less(before, after), less(after, before)
    pairs, kept = changed(gone, new), _kept(before, after, gone, new)
    both = sorted([*kept, *pairs.items()])
    if not gone and not new:
        return Compared(kept, pairs, gone, new, [])
    order = _ascending([place for _, place in both])
    moved = [(old, place) for old, place in both if place not in order or (old != place and old in pairs)]
    return Compared(kept, pairs, gone, new, moved)


def _kept(before: Sequence[Json], after: Sequence[Json], gone: Placed, new: Placed) -> list[tuple[int, int]]:
    """Where the elements that are in both stood and stand; of equal ones the first is the first."""
    left, came = {place for place, _ in gone}, {place for place, _ in new}
    stands = defaultdict[str, deque[int]](deque)
    for place, item in enumerate(after):
        if place not in came:
            stands[_canonical(item)].append(place)
    return [(place, stands[_canonical(item)].popleft()) for place, item in enumerate(before) if place not in left]


def _ascending(numbers: Sequence[int]) -> set[int]:
    """The members of a longest ascending part: what has not moved, if as little as possible has."""
    ends: list[int] = []  # of the best part of each length, the position of its last number
    last: list[int] = []
    before: list[int] = []
    for position, number in enumerate(numbers):
        length = bisect_left(last, number)
        before.append(ends[length - 1] if length else -1)
        ends[length : length + 1] = [position]
        last[length : length + 1] = [number]
    found, position = set[int](), ends[-1] if ends else -1
    while position >= 0:
        found.add(numbers[position])
        position = before[position]
    return found


def less(items: Sequence[Json], others: Sequence[Json]) -> list[tuple[int, Json]]:
    """The elements, with their places, that the others lack; each of those counts once."""
    left = Counter(_canonical(item) for item in others)
    found = []
    for place, item in enumerate(items):
        key = _canonical(item)
        if left[key]:
            left[key] -= 1
        else:
            found.append((place, item))
    return found


def changed(gone: Placed, new: Placed) -> dict[int, int]:
    """The place before and after of each element that was changed; the rest was removed, or added.

    Elements with a name are the same if it is. Others are if they are alike and stand between the same unchanged
    ones: an element that was removed at the end is not one that was added at the beginning.
    """
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    named = {name: at for at, item in new if (name := _name(item)) is not None}
    for at, item in gone:
        name = _name(item)
        if name is not None and name in named:
            pairs[at] = named.pop(name)
            taken.add(pairs[at])
    candidates: dict[int, list[tuple[int, Json]]] = {}
    for (other, item), where in zip(new, places(new).values(), strict=True):
        if other not in taken:
            candidates.setdefault(where, []).append((other, item))
    for (at, item), where in zip(gone, places(gone).values(), strict=True):
        near = candidates.get(where, []) if at not in pairs else []
        found = next((index for index, (_, other) in enumerate(near[:_NEAR]) if _alike(item, other)), None)
        if found is not None:
            pairs[at] = near.pop(found)[0]
    return pairs


def places(differing: Placed) -> dict[int, int]:
    """How many unchanged elements stand before each place; the places ascend."""
    return {at: at - before for before, (at, _) in enumerate(differing)}


def _name(item: Json) -> tuple[str, str] | None:
    """What an element is called: its key and value."""
    if not isinstance(item, dict):
        return None
    keys = {key.lower(): key for key in item}
    texts = {name: text for name in _NAMES if isinstance(text := item.get(keys.get(name, name)), str)}
    return next(((name, text) if text else None for name, text in texts.items()), None)


def _alike(before: Json, after: Json) -> bool:
    """Whether an element was changed into the other, rather than replaced by it."""
    if isinstance(before, dict) and isinstance(after, dict):
        if _name(before) != _name(after):
            return False
        shared = before.keys() & after.keys()
        return bool(shared) and 2 * sum(same(before[key], after[key]) for key in shared) >= len({*before, *after})
    return isinstance(before, str) and isinstance(after, str) and ("\n" in before or "\n" in after)


def _canonical(value: Json) -> str:
    return jsontext.dumps(value, sort_keys=True)
