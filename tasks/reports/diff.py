"""Shows the changes within a value as lines: field by field, texts as unified diffs, JSON and YAML by structure."""

from __future__ import annotations

import difflib
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from ..artifact.changes import HIDDEN, UNKNOWN
from ..base.jsontext import same
from ..base.jsonvalue import elements as listed
from ..base.masking import MASK
from ..base.text import literal, plural, shorten, shorten_pair
from ..base.unseen import visible
from ..base.valuepath import ReadAs, at, dotted, overlap, path_of
from . import elements
from .structured import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..base.jsonvalue import Json, JsonObject
    from ..base.valuepath import Path

FORCES = "forces replacement"
_MARKERS = frozenset({UNKNOWN, MASK, HIDDEN})
_CONTEXT = 3  # lines around a change of a text
_LONGEST_LINE = 1000
_BRIEF = 120  # characters of a value that becomes unknown
_MOST_COMPARED = 4_000_000  # pairs of lines: beyond it a comparison would take minutes
_MOST_LINES = 10_000  # of one change; nobody reads more, and a value may have 100,000 elements
_TOO_MANY = "more differs than is shown here: this change is too large"
_AROUND = 1_000  # characters before the first difference of a very long text
_EXCERPT = 20_000  # and those from there on
_DEEPEST = 40  # steps of a path that is looked into
_LARGEST = 200_000  # characters of a text that is compared as a whole, line by line
_LARGEST_PARSED = 4_000_000  # and by its structure


class Line(NamedTuple):
    """A line of a diff: `+` after, `-` before, a space for what is the same, `@` where a hunk begins, `!` a remark."""

    sign: str
    text: str


def fields(
    before: Json, after: Json, *, forces: Sequence[Path] = (), masked: Sequence[Path] = (), nulls: bool = False
) -> list[Line]:
    """The lines of a change.

    Args:
        before: The redacted value before; None for what is created.
        after: The redacted value after; None for what is destroyed.
        forces: The paths that force a replacement.
        masked: The paths whose values differ, although both are shown as the same mask.
        nulls: Whether a null that is added or removed is shown; attributes of a resource that are not set are null.
    """
    comparison = _Comparison([tuple(path) for path in forces], {tuple(path) for path in masked}, nulls=nulls)
    lines = comparison.lines(_At((), ()), before, after)
    found = list(islice(lines, _MOST_LINES))
    left = [Line("!", _TOO_MANY)] if next(lines, None) else []
    unseen = [path for path in comparison.forces if path not in comparison.forced]
    return [*found, *left, *(Line("!", f"{dotted(path)} {FORCES}") for path in unseen)]


def of_change(item: JsonObject) -> list[Line]:
    """The lines of a change as `plan.json` has it."""
    forces, masked = ([path_of(path) for path in listed(item.get(key))] for key in ("replace_paths", "masked"))
    return fields(item.get("before"), item.get("after"), forces=forces, masked=masked, nulls="name" in item)


class _At(NamedTuple):
    """Where a value is: its path before, and after; they differ within elements of lists that are elsewhere now."""

    old: Path
    new: Path

    def step(self, part: str | int) -> _At:
        """Where a part of it is that is called the same on both sides."""
        return _At((*self.old, part), (*self.new, part))

    def of(self, sign: str) -> Path:
        """The path that a line has."""
        return self.old if sign == "-" else self.new


class _Comparison:
    """One comparison; remembers which of the forcing paths it has named."""

    def __init__(self, forces: list[Path], masked: set[Path], *, nulls: bool) -> None:
        self.forces = forces
        self.masked = masked
        self.nulls = nulls
        self.forced: set[Path] = set()

    def lines(self, where: _At, before: Json, after: Json) -> Iterator[Line]:
        if same(before, after):
            if where.new in self.masked:
                yield from self._changed(where, before, after)
            elif isinstance(before, dict | list) and self._hides(where.new):
                for step in sorted(before) if isinstance(before, dict) else range(len(before)):
                    yield from self.lines(where.step(step), at(before, [step]), at(after, [step]))
        elif len(where.new) >= _DEEPEST:
            yield from self._changed(where, before, after)
        elif isinstance(before, dict | None) and isinstance(after, dict | None) and (before or after):
            yield from self._fields(where, before, after)
        elif isinstance(before, list | None) and isinstance(after, list | None) and (before or after):
            yield from self._elements(where, before or [], after or [])
        elif isinstance(before, str) and isinstance(after, str) and not {before, after} & _MARKERS:
            yield from self._texts(where, before, after)
        else:
            yield from self._changed(where, before, after)

    def _hides(self, path: Path) -> bool:
        """Whether a value within the one at a path differs, although both are shown as the same mask."""
        return any(other[: len(path)] == path for other in self.masked)

    def _fields(self, where: _At, before: JsonObject | None, after: JsonObject | None) -> Iterator[Line]:
        old, new = before or {}, after or {}
        for key in sorted({*old, *new}):
            here = where.step(key)
            if self.nulls and old.get(key) is new.get(key) is None and (key in old) != (key in new):
                yield from self._one(here, "+" if key in new else "-", None)
            found = list(self.lines(here, old.get(key), new.get(key)))
            if not found and before is not None and after is not None and (key in old) != (key in new):
                found = self._of_nulls(here, old.get(key), new.get(key))
            yield from found

    def _elements(self, where: _At, before: list[Json], after: list[Json]) -> Iterator[Line]:
        """A list, or a set (the plan does not say which): by element, so that one more does not shift the rest."""
        found = elements.compared(before, after)
        if not found.gone and not found.new:
            name = dotted(where.new)
            yield Line("!", f"{name}: the same {len(before):,} elements in another order{self._force(where)}")
            yield from self._changed(where, before, after)
        for old, new in found.moved:
            yield Line("!", f"{dotted((*where.old, old))} is now {dotted((*where.new, new))}")
        for old, new in (*(found.kept if self.masked else ()), *found.changed.items()):
            yield from self.lines(_At((*where.old, old), (*where.new, new)), before[old], after[new])
        for sign, items in (("-", found.removed), ("+", found.added)):
            for place, item in items:
                yield from self._one(where.step(place), sign, item)
        if found.kept and (found.gone or found.new):
            yield Line(" ", f"{dotted(where.new)}: {plural(len(found.kept), 'more element')} unchanged")

    def _one(self, where: _At, sign: str, item: Json) -> Iterator[Line]:
        """A value that is on one side only; null is one, too."""
        old, new = (item, None) if sign == "-" else (None, item)
        if item is None:
            yield from _value(sign, f"{dotted(where.of(sign))} = ", item, self._force(where))
        else:
            yield from list(self.lines(where, old, new)) or self._of_nulls(where, old, new)

    def _of_nulls(self, where: _At, before: Json, after: Json) -> list[Line]:
        """The line of what came or went and holds nothing but nulls, which have no lines of their own."""
        if before is after:
            return []
        sign, value = ("-", before) if after is None else ("+", after)
        return list(_value(sign, f"{dotted(where.of(sign))} = ", value, self._force(where)))

    def _texts(self, where: _At, before: str, after: str) -> Iterator[Line]:
        longest = max(len(before), len(after))
        parsed = (parse(before), parse(after)) if longest <= _LARGEST_PARSED else (None, None)
        if parsed[0] and parsed[1] and parsed[0].kind == parsed[1].kind:
            inner = list(self.lines(where.step(ReadAs(parsed[0].kind)), parsed[0].value, parsed[1].value))
            if inner:
                yield from inner
                return
            said = f"the same {parsed[0].kind}, formatted differently"
            yield Line("!", f"{dotted(where.new)}: {said}{self._force(where)}")
        if longest > _LARGEST:
            yield from self._excerpts(where, before, after)
        elif "\n" not in before and "\n" not in after:
            yield from self._changed(where, *shorten_pair(before, after))
        else:
            yield Line("!", f"{dotted(where.new)}: {_sizes(before, after)}{self._force(where)}")
            yield from unified(before, after)

    def _excerpts(self, where: _At, before: str, after: str) -> Iterator[Line]:
        """A very long text: what stands around the first difference."""
        start = common_start(before, after)
        begin = max(before.rfind("\n", 0, start) + 1, start - _AROUND)
        old, new = (_excerpt(text, begin, start + _EXCERPT) for text in (before, after))
        size = f"{len(before):,} characters" + (f", then {len(after):,}" if len(before) != len(after) else "")
        remark = f"only what stands around the first difference is shown{self._force(where)}"
        yield Line("!", f"{dotted(where.new)}: {size}; {remark}")
        if "\n" in old or "\n" in new:
            yield from unified(old, new, above=before.count("\n", 0, begin))
        else:
            yield from self._changed(where, *shorten_pair(old, new))

    def _changed(self, where: _At, before: Json, after: Json) -> Iterator[Line]:
        remark = self._force(where)
        old, new = (f"{name} = " if (name := dotted(path)) else "" for path in where)
        if after == UNKNOWN and isinstance(before, str | list | dict):
            yield Line("-", old + _brief(before))
        elif before is not None:
            yield from _value("-", old, before, "" if after is not None else remark)
        if after is not None:
            yield from _value("+", new, after, remark)

    def _force(self, where: _At) -> str:
        found = [forcing for forcing in self.forces if any(overlap(forcing, path) for path in where)]
        self.forced.update(found)
        return f"  # {FORCES}" if found else ""


def unified(before: str, after: str, *, above: int = 0) -> Iterator[Line]:
    """Two texts of several lines as a unified diff; blanks at the end of a changed line and a missing end are shown.

    Args:
        before: The text before.
        after: The text after.
        above: How many lines stand above both.
    """
    old, new = (text.removesuffix("\n").split("\n") for text in (before, after))
    start = _common(old, new)
    stop = _common(old[start:][::-1], new[start:][::-1])
    old_rest, new_rest = old[start : len(old) - stop], new[start : len(new) - stop]
    if len(old_rest) * len(new_rest) > _MOST_COMPARED:
        first = above + start + 1
        yield Line("@", f"@@ -{first},{len(old_rest)} +{first},{len(new_rest)} @@ compared as a whole")
        groups = [[("replace", 0, len(old_rest), 0, len(new_rest))]]
        lead, tail = 0, 0
    else:
        lead, tail = min(start, _CONTEXT), min(stop, _CONTEXT)
        old_rest, new_rest = old[start - lead : len(old) - stop + tail], new[start - lead : len(new) - stop + tail]
        groups = list(difflib.SequenceMatcher(None, old_rest, new_rest, autojunk=False).get_grouped_opcodes(_CONTEXT))
    base = above + start - lead
    for group in groups:
        if lead or tail or above or len(groups) > 1:
            (_, i1, _, j1, _), (_, _, i2, _, j2) = group[0], group[-1]
            yield Line("@", f"@@ -{base + i1 + 1},{i2 - i1} +{base + j1 + 1},{j2 - j1} @@")
        for kind, i1, i2, j1, j2 in group:
            if kind == "equal":
                yield from (Line(" ", _line(text)) for text in old_rest[i1:i2])
                continue
            yield from (Line("-", _line(text, changed=True)) for text in old_rest[i1:i2])
            yield from (Line("+", _line(text, changed=True)) for text in new_rest[j1:j2])
    if before.endswith("\n") != after.endswith("\n"):
        yield Line("!", f"the final newline is {'added' if after.endswith(chr(10)) else 'removed'}")


def _value(sign: str, head: str, value: Json, remark: str) -> Iterator[Line]:
    """A value as it is created or destroyed: several lines for a text of several lines."""
    if isinstance(value, str) and value in _MARKERS:
        yield Line(sign, f"{head}{value}{remark}")
    elif isinstance(value, str) and "\n" in value:
        count = value.removesuffix("\n").count("\n") + 1
        end = "" if value.endswith("\n") else ", no final newline"
        yield Line(sign, f"{head}{plural(count, 'line')}{end}:{remark}")
        lines = value.removesuffix("\n").split("\n", _MOST_LINES)
        yield from (Line(sign, f"  {_line(text, changed=True)}") for text in lines[:_MOST_LINES])
        if count > _MOST_LINES:
            yield Line("!", _TOO_MANY)
    else:
        yield Line(sign, f"{head}{_literal(value, 2 * _LONGEST_LINE)}{remark}")


def _brief(value: Json) -> str:
    """A value on one line, where it says little: what comes after it is not known."""
    if isinstance(value, str) and "\n" in value:
        lines = plural(value.removesuffix("\n").count("\n") + 1, "line")
        return f"{lines} (not shown: the new value is not known yet)"
    return value if isinstance(value, str) and value in _MARKERS else _literal(value, _BRIEF)


def _literal(value: Json, longest: int) -> str:
    """A value on one line, cut before it is written where that would take long."""
    if isinstance(value, str) and len(value) > longest:
        return f"{literal(value[:longest])[:-1]}… ({plural(len(value) - longest, 'more character')})"
    return shorten(literal(value), longest)


def _line(text: str, *, changed: bool = False) -> str:
    """A line of a text; in a changed one the blanks at both ends are made visible where they would not be seen."""
    if changed:
        body = text.rstrip(" \t")
        text = body + text[len(body) :].replace(" ", "·").replace("\t", "⇥")
    return visible(shorten(text, _LONGEST_LINE))


def _sizes(before: str, after: str) -> str:
    old, new = (text.removesuffix("\n").count("\n") + 1 for text in (before, after))
    size = f"{old:,} lines" if old == new else f"{old:,} lines, then {new:,}"
    return size + (", only white space differs" if "".join(before.split()) == "".join(after.split()) else "")


def _common(old: list[str], new: list[str]) -> int:
    most = min(len(old), len(new))
    return next((place for place in range(most) if old[place] != new[place]), most)


def _excerpt(text: str, begin: int, end: int) -> str:
    """A part of a text, up to the end of a line where there is one."""
    part = text[begin:end]
    return part[: part.rfind("\n") + 1] or part if end < len(text) else part


def common_start(before: str, after: str) -> int:
    """How many characters two texts have in common at their beginning; by halves, as each one would take long."""
    low, high = 0, min(len(before), len(after))
    while low < high:
        middle = (low + high + 1) // 2
        if before[low:middle] == after[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
