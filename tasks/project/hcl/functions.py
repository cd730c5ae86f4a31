"""The engine's functions for partly known values (https://opentofu.org/docs/language/functions/).

A function that is missing here may return anything. One that is here returns at least what the engine's would.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from .knownfunctions import FUNCTIONS, letters
from .values import (
    ANY,
    ANYTHING,
    MOST,
    MOST_ELEMENTS,
    Content,
    Fields,
    Items,
    Start,
    all_of,
    bag,
    concatenated,
    of_one_type,
    product,
    set_of,
    some,
    text_of,
    union,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .values import Alternative, Values

_SPEC = re.compile(r"%(?:%|(0?\d*)([svd])|.)", re.DOTALL)


def call(name: str, arguments: list[Values]) -> Values:
    """The possible results of a function."""
    if any(not values for values in arguments) and name not in ("try", "can"):
        return ()
    structural = _STRUCTURAL.get(name)
    if structural is not None:
        return structural(*arguments) if _accepts(structural, len(arguments)) else ANY
    pure = FUNCTIONS.get(name)
    if pure is None:
        return ANY
    found = product(arguments, pure)
    if found is not None:
        return found
    partial = _OF_BEGINNINGS.get(name)
    if partial is not None and len(arguments) == 1:
        return some(partial(item) if isinstance(item, Start) else ANYTHING for item in arguments[0])
    return _BOOLEANS if name in _TESTS else ANY


def _accepts(function: Callable[..., Values], count: int) -> bool:
    code = function.__code__
    needed = code.co_argcount - len(function.__defaults__ or ())
    return count >= needed and (bool(code.co_flags & 4) or count <= code.co_argcount)  # 4: *arguments


# --- of collections, known or not -------------------------------------------------------------------------------------


def _each_way(arguments: tuple[Values, ...]) -> Iterator[tuple[Alternative, ...]] | None:
    """The combinations of alternatives; None if there are too many."""
    count = 1
    for values in arguments:
        count *= len(values)
    return itertools.product(*arguments) if count <= MOST else None


def _merge(*arguments: Values) -> Values:
    ways = _each_way(arguments)
    if ways is None:
        return ANY
    return some(_merged(way) for way in ways)


def _merged(way: tuple[Alternative, ...]) -> Alternative:
    pairs: dict[str, Values] = {}
    other: Values = ()
    for item in way:
        more = item.other if isinstance(item, Fields) else () if item is None else ANY
        if more:  # it may replace any value before it
            pairs = {key: union([values, more]) for key, values in pairs.items()}
            other = union([other, more])
        if isinstance(item, Fields):
            pairs.update(item.pairs)
    return Fields(tuple(pairs.items()), other)


def _setunion(*arguments: Values) -> Values:
    return _toset(_concat(*arguments))


def _concat(*arguments: Values) -> Values:
    ways = _each_way(arguments)
    if ways is None:
        return bag(ANY)
    return some(_joined(way) for way in ways)


def _joined(way: tuple[Alternative, ...]) -> Alternative:
    elements: list[Values] = []
    other: Values = ()
    for item in way:
        if isinstance(item, Items):
            elements += item.elements
            other = union([other, item.other])
        elif isinstance(item, Start | Content):
            other = ANY
    return Items(tuple(elements), other) if len(elements) <= MOST_ELEMENTS else Items((), union([*elements, other]))


def _flatten(values: Values) -> Values:
    return some(_flat(item) for item in values)


def _flat(item: Alternative) -> Alternative:
    if not isinstance(item, Items):
        return ANYTHING if isinstance(item, Start | Content) else item
    elements: list[Values] = []
    other = _within(item.other)
    for values in item.elements:
        if len(values) == 1 and isinstance(values[0], Items):
            inner = _flat(values[0])
            if isinstance(inner, Items):
                elements += inner.elements
                other = union([other, inner.other])
        elif any(isinstance(alternative, Items) for alternative in values):
            other = union([other, _within(values)])
        else:
            elements.append(values)
    return Items(tuple(elements), other)


def _within(values: Values) -> Values:
    """The elements of values that may be lists of lists."""
    return union(_within(all_of(item)) if isinstance(item, Items) else (item,) for item in values)


def _keys(values: Values) -> Values:
    return some(
        Items(tuple((key,) for key, _ in sorted(item.pairs)), ANY if item.other else ())
        if isinstance(item, Fields) else ANYTHING
        for item in values
    )  # fmt: skip


def _values(values: Values) -> Values:
    return some(
        Items(tuple(value for _, value in sorted(item.pairs, key=lambda pair: pair[0])), item.other)
        if isinstance(item, Fields) else ANYTHING
        for item in values
    )  # fmt: skip


def _lookup(collection: Values, key: Values, default: Values = ()) -> Values:
    found = [default] if default else []
    for item in collection:
        if isinstance(item, Fields):
            keys = [text_of(name) for name in key]
            found += [all_of(item) if name is None else item.get(name) for name in keys]
        else:
            found.append(ANY)
    if len(collection) == len(key) == 1 and isinstance(collection[0], Fields) and not collection[0].other:
        name = text_of(key[0])
        present = collection[0].get(name) if name is not None else ()
        return present or union(found)
    return union(found)


def _element(collection: Values, position: Values) -> Values:
    found = []
    for item in collection:
        if isinstance(item, Items) and item.elements and not item.other and len(position) == 1:
            place = position[0]
            known = isinstance(place, int) and not isinstance(place, bool)
            found.append(item.elements[int(str(place)) % len(item.elements)] if known else all_of(item))
        else:
            found.append(all_of(item))
    return union(found)


def _one(values: Values) -> Values:
    found: list[Values] = []
    for item in values:
        if isinstance(item, Items) and not item.elements:
            found.append((None,))
        found.append(all_of(item))
    return union(found)


def _same_items(values: Values) -> Values:
    """The functions that reorder a list or drop elements; which elements remain is not followed."""
    return some(_unordered(item) for item in values)


def _unordered(item: Alternative) -> Alternative:
    if isinstance(item, Items):
        return Items((), all_of(item)) if all_of(item) else Items(())
    return ANYTHING if isinstance(item, Start | Content) else item


def _toset(values: Values) -> Values:
    return some(_as_set(item) for item in values)


def _as_set(item: Alternative) -> Alternative:
    if not isinstance(item, Items):
        return ANYTHING if isinstance(item, Start | Content) else item
    return set_of(item.elements, item.other)


def _tolist(values: Values) -> Values:
    return some(_as_list(item) if isinstance(item, Items) else item for item in values)


def _as_list(item: Items) -> Items:
    """A list, whose elements are of one type."""
    known = [values[0] for values in item.elements if len(values) == 1]
    if len(known) < len(item.elements):
        return Items(item.elements, item.other)
    return Items(tuple((element,) for element in of_one_type(known)), item.other)


def _same(values: Values) -> Values:
    return values


def _compact(values: Values) -> Values:
    found: list[Alternative] = []
    for item in values:
        if isinstance(item, Items) and not item.other and all(len(element) == 1 for element in item.elements):
            known = not any(isinstance(element[0], Start | Content) for element in item.elements)
            kept = tuple(element for element in item.elements if element[0] not in (None, ""))
            found.append(Items(kept) if known else _unordered(item))
        else:
            found.append(_unordered(item))
    return some(found)


def _coalesce(*arguments: Values) -> Values:
    found: list[Alternative] = []
    for values in arguments:
        found += [item for item in values if item is not None and item != ""]
        if not any(item is None or item in ("", ANYTHING) or isinstance(item, Content) for item in values):
            break
    texts = any(isinstance(item, str) for values in arguments for item in values)
    return some(of_one_type([*found, ""])[:-1] if texts else found)


def _try(*arguments: Values) -> Values:
    return union(arguments)


def _can(*arguments: Values) -> Values:
    del arguments
    return _BOOLEANS


# --- of texts, known or not -------------------------------------------------------------------------------------------


def _join(separator: Values, *lists: Values) -> Values:
    ways = _each_way((separator, *lists))
    if ways is None:
        return ANY
    return union(_joined_text(way) for way in ways)


def _joined_text(way: tuple[Alternative, ...]) -> Values:
    separator, lists = way[0], way[1:]
    parts: list[Values] = []
    for item in lists:
        if not isinstance(item, Items) or item.other:
            return concatenated([*parts, ANY])
        for values in item.elements:
            parts += [(separator,), values] if parts else [values]
    return concatenated(parts)


def _format(pattern: Values, *arguments: Values) -> Values:
    return union(_formatted(item, arguments) if isinstance(item, str) else ANY for item in pattern)


def _formatted(pattern: str, arguments: tuple[Values, ...]) -> Values:
    parts: list[Values] = []
    at, position = 0, 0
    for match in _SPEC.finditer(pattern):
        parts.append((pattern[at : match.start()],))
        at = match.end()
        if match[0] == "%%":
            parts.append(("%",))
        elif match[2] is None or position >= len(arguments):
            return concatenated([*parts, ANY])
        else:
            parts.append(some(_placed(item, match[1], match[2]) for item in arguments[position]))
            position += 1
    return concatenated([*parts, (pattern[at:],)])


def _placed(item: Alternative, width: str, verb: str) -> Alternative:
    """A value formatted for `%s`, `%v` or `%d`."""
    text = text_of(item)
    if text is None:
        return item if isinstance(item, Start) and not width else ANYTHING
    if not width:
        return text
    if len(width) > _WIDEST or not text.isascii():
        return ANYTHING
    if width.startswith("0") and verb == "d":
        return text.zfill(int(width))
    return text.rjust(int(width), "0" if width.startswith("0") else " ")


def _split_start(separator: Values, text: Values) -> Values:
    found = product([separator, text], _split)
    return bag(ANY) if found is None else found


def _split(separator: str, text: str) -> list[str]:
    return text.split(separator) if separator else letters(text)


_WIDEST = 4  # digits of a width: more would be a path that no system has
_BOOLEANS: Values = (True, False)
_TESTS = ("startswith", "endswith", "strcontains", "contains", "alltrue", "anytrue", "tobool")
_OF_BEGINNINGS: dict[str, Callable[[Start], Start]] = {
    "lower": lambda item: Start(item.text.lower()),
    "upper": lambda item: Start(item.text.upper()),
    "dirname": lambda item: Start(item.text.rpartition("/")[0]),
    "tostring": lambda item: item,
}
_STRUCTURAL: dict[str, Callable[..., Values]] = {
    "merge": _merge, "concat": _concat, "setunion": _setunion, "flatten": _flatten, "keys": _keys, "values": _values,
    "lookup": _lookup, "element": _element, "one": _one, "distinct": _same_items, "sort": _same_items,
    "reverse": _same_items, "setsubtract": lambda first, *_: _same_items(first),
    "setintersection": lambda first, *_: _same_items(first), "slice": lambda first, *_: _same_items(first),
    "toset": _toset, "tolist": _tolist, "tomap": _same, "sensitive": _same, "nonsensitive": _same,
    "ephemeralasnull": _same, "compact": _compact, "coalesce": _coalesce, "coalescelist": _try, "try": _try,
    "can": _can, "join": _join, "format": _format, "split": _split_start,
}  # fmt: skip
