"""The possible values of an expression before the engine runs: alternatives, each fully or partly known.

`Values` are the alternatives; an expression without alternatives fails. An alternative is a known text, number,
boolean or null; a `Start`, a text with a known beginning; a `Content`, the content of a file; or a collection, whose
elements are `Values` again. The engine's actual value is always among the alternatives: there may be more, never fewer.
"""

from __future__ import annotations

import itertools
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MOST = 64  # alternatives; beyond that, only their common beginning is known
MOST_ELEMENTS = 512  # of one collection
_LONGEST = 4096  # of a composed text
_MOST_NUMBER = Decimal(10**15)  # of a float
_MOST_DIGITS = 1000


@dataclass(frozen=True)
class Start:
    """A text with this beginning; with an empty `text` it may be anything, of any type."""

    text: str = ""


@dataclass(frozen=True)
class Content:
    """The content of the file at a path, read only when needed."""

    path: str


@dataclass(frozen=True)
class Items:
    """A list or set. `other` are further possible elements at unknown positions."""

    elements: tuple[Values, ...]
    other: Values = ()
    is_set: bool = False


@dataclass(frozen=True)
class Fields:
    """An object or map. `other` are further possible values below unknown keys."""

    pairs: tuple[tuple[str, Values], ...]
    other: Values = ()

    def get(self, key: str) -> Values:
        """The values below a key; empty if the key certainly does not exist."""
        return next((values for name, values in self.pairs if name == key), self.other)


Alternative = str | int | float | bool | None | Start | Content | Items | Fields
Values = tuple[Alternative, ...]

ANYTHING = Start()
ANY: Values = (ANYTHING,)


def some(alternatives: Iterable[Alternative]) -> Values:
    """Alternatives without duplicates; too many are reduced to their common beginning."""
    found = tuple({(type(item), item): item for item in alternatives}.values())
    if ANYTHING in found:
        return ANY
    return found if len(found) <= MOST else (common(found),)


def union(several: Iterable[Values]) -> Values:
    """The alternatives of all."""
    return some(itertools.chain.from_iterable(several))


def common(alternatives: Values) -> Start:
    """The alternative that stands for all of some texts: their common beginning."""
    texts = []
    for item in alternatives:
        text = item.text if isinstance(item, Start) else text_of(item)
        if text is None:
            return ANYTHING
        texts.append(text)
    return Start(_beginning(texts)) if texts else ANYTHING


def _beginning(texts: list[str]) -> str:
    """The longest common beginning; of sorted texts the first and the last differ the most."""
    first, last = min(texts), max(texts)
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(mark for mark, _ in same)


def of_json(value: Any) -> Values:
    """A known JSON value."""
    if isinstance(value, list):
        return (Items(tuple(of_json(item) for item in value)),)
    if isinstance(value, dict):
        return (Fields(tuple((str(key), of_json(item)) for key, item in value.items())),)
    if isinstance(value, str):
        return (normalized(value),)
    if isinstance(value, float | Decimal) and (whole := _whole(value)) is not None:
        return (whole,)
    if value is None or isinstance(value, int | float):
        return (value,)
    return ANY


def _whole(number: float | Decimal) -> int | None:
    """A large whole number with all its digits: as a float it is not the number that the code says."""
    exact = Decimal(repr(number)) if isinstance(number, float) else number
    if not _MOST_NUMBER.adjusted() <= exact.adjusted() < _MOST_DIGITS or exact != exact.to_integral_value():
        return None
    return int(exact)


class NotKnownError(Exception):
    """A value is not fully known."""


def to_json(values: Values) -> Any:
    """The only JSON value among the alternatives.

    Raises:
        NotKnownError: There are several, or it is not fully known.
    """
    if len(values) != 1:
        raise NotKnownError
    return plain(values[0])


def plain(item: Alternative) -> Any:
    """The JSON value of an alternative.

    Raises:
        NotKnownError: It is not fully known.
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
    """A known text, number or boolean as the engine converts it to text; None for anything else."""
    if isinstance(item, bool):
        return str(item).lower()
    if isinstance(item, str):
        return item
    if isinstance(item, int):
        return str(item)
    if isinstance(item, float) and abs(item) < _MOST_NUMBER:
        return f"{Decimal(repr(item)).normalize():f}"
    return None


def as_texts(found: Values) -> Values:
    """Values as an argument that is a text: the engine converts numbers and booleans."""
    return some(
        (ANYTHING if (text := text_of(item)) is None else text) if isinstance(item, int | float) else item
        for item in found
    )


def begin_of(item: Alternative) -> Start | str | None:
    """An alternative as part of a text: known, or with a known beginning; None if it cannot be in a text."""
    if item is None or isinstance(item, Items | Fields):
        return None
    if isinstance(item, Start):
        return item
    text = text_of(item)
    return ANYTHING if text is None else text


def concatenated(parts: Iterable[Values]) -> Values:
    """The texts composed of parts, in all combinations."""
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


def normalized(text: str) -> str:
    """A text as the engine keeps it: composed characters, so that it may differ from a file's name."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _add(text: str, more: Start | str) -> Start | str:
    joined = normalized(text + (more.text if isinstance(more, Start) else more))
    if len(joined) > _LONGEST:
        return Start(joined[:_LONGEST])
    return Start(joined) if isinstance(more, Start) else joined


def elements(item: Alternative) -> Iterator[tuple[Values, Values]] | None:
    """The keys and values of a collection, including possible ones; None if it is not a collection.

    A set's element is its own key. Those of a map come by their keys, as the engine has them.
    """
    if isinstance(item, Items):
        known: Iterable[tuple[Values, Values]] = (
            (values if item.is_set else (position,), values) for position, values in enumerate(item.elements)
        )
        return itertools.chain(known, [(ANY, item.other)] if item.other else [])
    if isinstance(item, Fields):
        return itertools.chain(
            (((key,), values) for key, values in sorted(item.pairs, key=lambda pair: pair[0])),
            [(ANY, item.other)] if item.other else [],
        )
    return None


def set_of(elements: Iterable[Values], other: Values = ()) -> Items:
    """A set: sorted, without duplicates, all of one type; its order is not known if its elements are not."""
    found = list(elements)
    known = [values[0] for values in found if len(values) == 1]
    if other or len(known) < len(found) or any(isinstance(item, Start | Content | Items | Fields) for item in known):
        everything = union([*found, other])
        return Items((), everything, is_set=True) if everything else Items((), is_set=True)
    kept = of_one_type(known)
    numbers = {item for item in kept if isinstance(item, int | float)}
    texts = {item for item in kept if isinstance(item, str)}
    if len(numbers) + len(texts) < len(set(kept)):
        return Items((), union(found), is_set=True)
    return Items(tuple((item,) for item in (*sorted(numbers), *sorted(texts))), is_set=True)


def of_one_type(items: Iterable[Alternative]) -> list[Alternative]:
    """Values as the engine converts them to one type: texts, if one of them is a text."""
    found = list(items)
    kinds = {type(item) is bool for item in found if isinstance(item, int | float)}
    if not any(isinstance(item, str) for item in found) and len(kinds) < 2:  # noqa: PLR2004 - numbers and booleans
        return found
    return [
        item if item is None or isinstance(item, Start | Content | Items | Fields)
        else ANYTHING if (text := text_of(item)) is None
        else text
        for item in found
    ]  # fmt: skip


def all_of(item: Alternative) -> Values:
    """All possible elements of a collection, at any position."""
    if isinstance(item, Start | Content):
        return ANY
    found = elements(item)
    return () if found is None else union(values for _, values in found)


def bag(values: Values) -> Values:
    """A list with unknown length and these possible elements."""
    return (Items((), values),) if values else (Items(()),)


def product(arguments: list[Values], apply: Callable[..., Any]) -> Values | None:
    """A function's results for all combinations of known arguments; None if an argument is not fully known.

    A combination fails if the function raises ValueError; after any other error its result may be anything.
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
