"""The possible values of an expression before the engine runs: alternatives, each fully or partly known.

`Values` are the alternatives; no alternative at all is an expression that fails. An alternative is a text, number,
boolean or null that is known; a `Start`, of which only the beginning is; a `Content`, which stands in a file; or a
collection, whose elements are `Values` again. There is always an alternative for what the engine finds: more may be
listed, never less.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MOST = 64  # alternatives; beyond that only what they have in common is known
MOST_ELEMENTS = 512  # of one collection
_LONGEST = 4096  # of a text that is put together
_MOST_NUMBER = 10**15


@dataclass(frozen=True)
class Start:
    """A text that begins so; with an empty `text` it may be anything, of any type."""

    text: str = ""


@dataclass(frozen=True)
class Content:
    """What stands in the file at a path, read only where it is asked for."""

    path: str


@dataclass(frozen=True)
class Items:
    """A list or set. `other` are elements that may be there too, at places that are not known."""

    elements: tuple[Values, ...]
    other: Values = ()
    is_set: bool = False


@dataclass(frozen=True)
class Fields:
    """An object or map. `other` are values that may stand below keys that are not known."""

    pairs: tuple[tuple[str, Values], ...]
    other: Values = ()

    def get(self, key: str) -> Values:
        """The values below a key; nothing where it is certain that it is not there."""
        return next((values for name, values in self.pairs if name == key), self.other)


Alternative = str | int | float | bool | None | Start | Content | Items | Fields
Values = tuple[Alternative, ...]

ANYTHING = Start()
ANY: Values = (ANYTHING,)


def some(alternatives: Iterable[Alternative]) -> Values:
    """Alternatives, each once; too many are brought down to what they have in common."""
    found = tuple({(type(item), item): item for item in alternatives}.values())
    if ANYTHING in found:
        return ANY
    return found if len(found) <= MOST else (common(found),)


def union(several: Iterable[Values]) -> Values:
    """The alternatives of all."""
    return some(itertools.chain.from_iterable(several))


def common(alternatives: Values) -> Start:
    """What begins as all of some texts begin."""
    texts = []
    for item in alternatives:
        text = item.text if isinstance(item, Start) else text_of(item)
        if text is None:
            return ANYTHING
        texts.append(text)
    return Start(_beginning(texts)) if texts else ANYTHING


def _beginning(texts: list[str]) -> str:
    """The longest text that all begin with: the first and the last one differ most."""
    first, last = min(texts), max(texts)
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(mark for mark, _ in same)


def of_json(value: Any) -> Values:
    """A JSON value that is known."""
    if isinstance(value, list):
        return (Items(tuple(of_json(item) for item in value)),)
    if isinstance(value, dict):
        return (Fields(tuple((str(key), of_json(item)) for key, item in value.items())),)
    if value is None or isinstance(value, str | int | float):
        return (value,)
    return ANY


class NotKnownError(Exception):
    """A value is not known whole."""


def to_json(values: Values) -> Any:
    """The one JSON value that values are.

    Raises:
        NotKnownError: They are several, or not known whole.
    """
    if len(values) != 1:
        raise NotKnownError
    return plain(values[0])


def plain(item: Alternative) -> Any:
    """The JSON value that an alternative is.

    Raises:
        NotKnownError: It is not known whole.
    """
    if isinstance(item, Start | Content):
        raise NotKnownError
    if isinstance(item, Items | Fields) and item.other:
        raise NotKnownError
    if isinstance(item, Items):
        return [to_json(values) for values in item.elements]
    if isinstance(item, Fields):
        return {key: to_json(values) for key, values in item.pairs}
    return item


def text_of(item: Alternative) -> str | None:
    """A known text, number or boolean as the engine puts it into a text; None of anything else."""
    if isinstance(item, bool):
        return str(item).lower()
    if isinstance(item, str):
        return item
    if isinstance(item, int):
        return str(item)
    if isinstance(item, float) and item.is_integer() and abs(item) < _MOST_NUMBER:
        return str(int(item))
    return None


def begin_of(item: Alternative) -> Start | str | None:
    """What an alternative is in a text: a known one, the beginning of one, or None if it cannot be in a text."""
    if item is None or isinstance(item, Items | Fields):
        return None
    if isinstance(item, Start):
        return item
    text = text_of(item)
    return ANYTHING if text is None else text


def concatenated(parts: Iterable[Values]) -> Values:
    """The texts that parts make, in all combinations."""
    texts: list[Start | str] = [""]
    for values in parts:
        following = [begin for begin in map(begin_of, values) if begin is not None]
        combined: dict[Start | str, None] = {}
        for text in texts:
            if isinstance(text, Start):
                combined[text] = None
                continue
            for begin in following:
                combined[_add(text, begin)] = None
        if not following:
            return ()
        texts = [common(tuple(combined))] if len(combined) > MOST else list(combined)
    return some(texts)


def _add(text: str, more: Start | str) -> Start | str:
    joined = text + (more.text if isinstance(more, Start) else more)
    if len(joined) > _LONGEST:
        return Start(joined[:_LONGEST])
    return Start(joined) if isinstance(more, Start) else joined


def elements(item: Alternative) -> Iterator[tuple[Values, Values]] | None:
    """The keys and values of a collection, those that may be there included; None of what is none.

    The key of a set's element is the element.
    """
    if isinstance(item, Items):
        known: Iterable[tuple[Values, Values]] = (
            (values if item.is_set else (position,), values) for position, values in enumerate(item.elements)
        )
        return itertools.chain(known, [(ANY, item.other)] if item.other else [])
    if isinstance(item, Fields):
        return itertools.chain(
            (((key,), values) for key, values in item.pairs), [(ANY, item.other)] if item.other else []
        )
    return None


def all_of(item: Alternative) -> Values:
    """All that may stand in a collection, at any place."""
    if isinstance(item, Start | Content):
        return ANY
    found = elements(item)
    return () if found is None else union(values for _, values in found)


def bag(values: Values) -> Values:
    """A list of which only is known what its elements may be."""
    return (Items((), values),) if values else (Items(()),)


def product(arguments: list[Values], apply: Callable[..., Any]) -> Values | None:
    """What a function returns for all combinations of known arguments; None if one is not known whole.

    A combination for which the function raises ValueError is one that fails; after other errors it is anything.
    """
    count = 1
    for values in arguments:
        count *= len(values)
    if count > MOST:
        return None
    found: list[Values] = []
    try:
        for combination in itertools.product(*arguments):
            known = [plain(item) for item in combination]
            try:
                found.append(of_json(apply(*known)))
            except ValueError:
                continue
            except (TypeError, LookupError, ArithmeticError, AttributeError, NotImplementedError, RecursionError):
                found.append(ANY)
    except NotKnownError:
        return None
    return union(found)
