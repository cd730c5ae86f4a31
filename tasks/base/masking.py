"""Known secrets, and the gate that takes them out of texts and values before anybody sees them.

What is searched for costs time by the length of the text, however many secrets there are. Values lose their secrets
leaf by leaf: keys stay, and so does whatever the product says itself (`ownwords`).
"""

from __future__ import annotations

import json
import os
import re
import threading
from bisect import bisect_right
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from .encodings import backwards, encoded, recased
from .ownwords import own
from .search import Index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from .jsonvalue import Json

MASK = "(sensitive value)"
LONG = 8  # characters: a secret that is not in a name by chance
_SHORTEST = 4  # a shorter value stands everywhere by chance; masking it would make all text unreadable
SECRET_NAME = re.compile(r"PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|PRIVATE_KEY|ACCESS_KEY|API_KEY|CONN_STR")
_URL_PASSWORD = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/@:\s]*):([^/@\s]+)@")
_TOKEN = re.compile(r"(?=.*\d)(?=.*[A-Za-z])\S{8,}")  # a key of a mapping that is no word
_MOST_LINES = 200
_LARGE = 20_000  # characters: a text that is searched once, however many reports show it
_MOST_LARGE = 64
_ORDINARY = frozenset({"true", "false", "null", "none"})
_COLOURS = re.compile(r"(?:\x1b\[[0-9;:]*[A-Za-z])+")
_BETWEEN = re.compile(  # what a line break of the engine puts into a text
    r"(?:\n\S+ \((?:local|remote)-exec\): |[\s│╷╵]|\x1b\[[0-9;:]*[A-Za-z])+"
)
_BROKEN_BY = (("\x1b", _COLOURS, _SHORTEST), ("\n", _BETWEEN, LONG))  # its sign, the gap, the shortest that is found


class Rendered(str):
    """A text whose values were masked as they were put into it: the gates leave it as it is.

    Cut or put together with another text it is a plain text again.
    """

    __slots__ = ()


class Secrets:
    """Secrets that are searched for in every encoding of `encodings`, line by line, and where lines were broken."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._plain: set[str] = set()
        self._words: dict[str, bool] = {}
        self._common: set[str] = set()
        self._names: set[str] = set()
        self._index = Index()
        self._searched: dict[str, str] = {}  # large texts, and what is left of them

    @property
    def looks(self) -> int:
        """How many looks all searches took so far: a measure of their cost that does not depend on the machine."""
        return self._index.looks

    @property
    def forms(self) -> int:
        """How many texts are searched for."""
        return len(self._index)

    def add(self, values: Iterable[Json]) -> None:
        """Learn secrets: texts, numbers, or lists and mappings of them."""
        for text, common in (leaf for value in values for leaf in _leaves(value)):
            if text not in self._plain:
                with self._lock:
                    self._learn(text)
                    self._common |= {text} if common else set()
            elif not common:
                self._common.discard(text)

    def _learn(self, text: str) -> None:
        self._plain.add(text)
        for form in _forms(text):
            self._index.add(form)
            if _BETWEEN.search(form) and len(squeezed := _BETWEEN.sub("", form)) >= LONG:
                self._index.add(squeezed, form)
        for form, meaning in _changed(text):
            self._index.add(form, meaning)
        self._searched = {}  # last: what is searched meanwhile goes into the former one

    def text(self, text: str) -> str:
        """A text with every known secret replaced; the product's own words and the names in the code stay."""
        if isinstance(text, Rendered):
            return text
        if len(text) < _LARGE:
            return self._masked(text)
        known = self._searched
        found = known.get(text)
        if found is None:
            found = self._masked(text)
            if len(known) < _MOST_LARGE:
                known[text] = found
        return found

    def _masked(self, text: str) -> str:
        parts: list[str] = []
        end = 0
        for start, stop, form in self._hits(text):
            if form in self._names:
                continue
            if start >= end:
                parts += [text[end:start], MASK]
            end = max(end, stop)
        return "".join([*parts, text[end:]]) if parts else text

    def value(self, value: Json) -> Json:
        """A JSON value with every known secret in it replaced: leaves alone, never a key."""
        if isinstance(value, str):
            return self.leaf(value)
        if isinstance(value, dict):
            return {key: self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            return MASK if self._is_secret(str(value)) else value
        return value

    def leaf(self, text: str) -> str:
        """A value, as opposed to a sentence: where it is a secret as a whole, it goes even if that is a word."""
        return MASK if self._is_secret(text) or self._is_secret(text.strip()) else self.text(text)

    def exposed(self, name: str, *, words: bool = True) -> bool:
        """Whether a name that must not be masked (a key, an address) contains a long secret.

        Args:
            name: The name.
            words: Whether secrets without a digit count, too; in identifiers they do not, which are written in code.
        """
        return any(
            stop - start >= LONG
            and form not in self._common
            and ((words and name[start:stop] == form) or any(map(str.isdigit, form)))
            for start, stop, form in self._hits(name)
        )

    def _is_secret(self, text: str) -> bool:
        return text in self._plain and _counts(text)

    def _hits(self, text: str) -> list[tuple[int, int, str]]:
        """Where secrets stand and in which form, in order; they may overlap."""
        found = list(self._index.hits(text))
        for sign, gaps, least in _BROKEN_BY:
            if sign in text and self._may_be_broken(text, gaps):
                squeezed, place = _squeeze(text, gaps)
                whole = (hit for hit in self._index.hits(squeezed) if hit[1] - hit[0] >= least)
                found += [(place(start), place(stop - 1) + 1, form) for start, stop, form in whole]
        return sorted(hit for hit in found if not self._is_word(hit[2]))

    def _may_be_broken(self, text: str, gaps: re.Pattern[str]) -> bool:
        """Whether to look at a text without its gaps, place by place; of a large one a quick look mostly says no."""
        return len(text) < _LARGE or next(self._index.hits(gaps.sub("", text)), None) is not None

    def add_names(self, names: Iterable[str]) -> None:
        """Learn what the code names its resources: a report shows it, so in a sentence it is no secret."""
        for name in names:
            self._names |= {name, *name.split(".")}
        self._searched = {}

    def _is_word(self, form: str) -> bool:
        """Whether it is a word of ours; asked of what was found alone."""
        if form not in self._words:
            self._words[form] = own(form)
        return self._words[form]


class Masker(Secrets):
    """The secrets of a run.

    Args:
        names: Environment variables, by glob, that hold secrets besides those whose names tell so.

    Attributes:
        given: Those from outside of the code that is deployed, which cannot add a word to them.
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        super().__init__()
        self.given = Secrets()
        guessed = [value for name, value in os.environ.items() if SECRET_NAME.search(name.upper())]
        self.add_given(guessed)
        self._common |= {value for value in guessed if value.isalpha()}  # `DB_SECRET_NAME=production`
        self.add_given(value for name, value in os.environ.items() if any(fnmatchcase(name, glob) for glob in names))
        self.add_given(text for value in os.environ.values() for text in _credentials(value))

    def add_given(self, values: Iterable[Json]) -> None:
        """`add` of what comes from outside of the code: the environment, upstreams."""
        values = list(values)
        self.given.add(values)
        self.add(values)


def _credentials(value: str) -> Iterable[str]:
    """The password in a URL, and the URL; one that is the user's name too is a word, and no secret."""
    if "://" not in value:
        return
    for found in _URL_PASSWORD.finditer(value):
        if found[2] != found[1]:
            yield from (found[2], unquote(found[2]), f"{found[1]}:{found[2]}@")


class _Leaf(NamedTuple):
    """A text that is secret; `common` where it may be a word that is not: `{"type": "kubernetes", ...}`."""

    text: str
    common: bool


def _leaves(value: Json, *, inner: bool = False) -> Iterator[_Leaf]:
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(key, str) and _TOKEN.fullmatch(key):
                yield _Leaf(key, False)
            yield from _leaves(item, inner=True)
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from _leaves(item, inner=inner)
    elif isinstance(value, str):
        yield _Leaf(value, inner and not any(map(str.isdigit, value)))
        if value[:1] in ("[", "{"):  # TF_VAR_* of a list or an object, credentials with the project's name in them
            try:
                yield from (_Leaf(leaf.text, True) for leaf in _leaves(json.loads(value)))
            except (ValueError, RecursionError):
                return
    elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        yield _Leaf(str(value), False)


def _forms(text: str) -> Iterator[str]:
    """The forms of a secret in a text; each line of a longer one counts by itself, of a very long one as it is."""
    lines = {line.strip() for line in text.splitlines()}
    whole = {text, text.strip()} | (lines if len(lines) <= _MOST_LINES else set())
    for form in whole | lines:
        if _counts(form):
            yield form
            yield from (other for other in (encoded(form) if form in whole else ()) if len(other) >= _SHORTEST)


def _changed(text: str) -> Iterator[tuple[str, str]]:
    """How a secret may stand in a text in another case or reversed, each with what it is made of.

    A short word is not looked for in reverse: it may be another word.
    """
    for form in {text, text.strip(), *(line.strip() for line in text.splitlines())}:
        if _counts(form):
            others = recased(form) if form.isalpha() and len(form) < LONG else (*recased(form), *backwards(form))
            yield from ((other, form) for other in others if len(other) >= _SHORTEST)


def _counts(text: str) -> bool:
    return len(text) >= _SHORTEST and text.lower() not in _ORDINARY


def _squeeze(text: str, gaps: re.Pattern[str]) -> tuple[str, Callable[[int], int]]:
    """The text without its gaps, and which place in the text is a place in that."""
    kept: list[str] = []
    inner: list[int] = []
    outer: list[int] = []
    size = end = 0
    for gap in [*((found.start(), found.end()) for found in gaps.finditer(text)), (len(text), len(text))]:
        if gap[0] > end:
            kept.append(text[end : gap[0]])
            inner.append(size)
            outer.append(end)
            size += gap[0] - end
        end = gap[1]

    def place(position: int) -> int:
        part = bisect_right(inner, position) - 1
        return outer[part] + position - inner[part]

    return "".join(kept), place
