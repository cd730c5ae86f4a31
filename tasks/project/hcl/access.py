"""Access to partly known collections: by attribute, by index, or element by element in a loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .values import ANY, MOST_ELEMENTS, Content, Fields, Items, Start, all_of, elements, text_of, union

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .values import Alternative, Values


def rounds(item: Alternative) -> Iterator[tuple[Values, Values]]:
    """The keys and values of a loop's rounds; if there are too many, a single round with all of them."""
    found = elements(item)
    if found is None:
        if isinstance(item, Start | Content):
            yield ANY, ANY
        return
    rounds = list(found)
    if len(rounds) <= MOST_ELEMENTS:
        yield from rounds
    else:
        yield union(key for key, _ in rounds), union(value for _, value in rounds)


def member(item: Alternative, name: str) -> Values:
    """The possible values of an attribute; empty if it certainly does not exist."""
    if isinstance(item, Fields):
        return item.get(name)
    if isinstance(item, Start | Content):
        return ANY
    return ()


def indexed(item: Alternative, keys: Values) -> Values:
    """The possible values of an element at one of some keys."""
    if isinstance(item, Start | Content):
        return ANY
    if isinstance(item, Items) and item.elements and not item.other:
        places = [_whole_number(key) for key in keys]
        if None not in places:
            return union(item.elements[place] for place in places if place is not None and place < len(item.elements))
    if isinstance(item, Fields):
        names = [text_of(key) for key in keys]
        if None not in names:
            return union(item.get(name) for name in names if name is not None)
    return all_of(item)


def _whole_number(item: Alternative) -> int | None:
    """A non-negative whole number, also as a text; None for anything else."""
    text = None if isinstance(item, bool) else text_of(item)
    return int(text) if text is not None and text.isdecimal() else None
