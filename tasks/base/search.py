"""Searches one text for many others at once; the cost depends on its length, not on how many there are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from collections.abc import Set as AbstractSet

_HEAD = 4  # characters of the lookup key
_FEW = 12  # lengths that are tried one by one
_LONG = 20_000  # characters of a text that is searched by a pattern: that takes an eighth, and some time to make
_MOST_HEADS = 500  # of a pattern; with more, it is not faster


class Index:
    """Texts to search for.

    The first characters of a text are a key to the lengths of all texts that start with them; for each length, one set
    lookup finds a match. A text of n characters takes n lookups, and some more where a match may start.

    Attributes:
        looks: The number of lookups so far.
    """

    def __init__(self) -> None:
        self.looks = 0
        self._texts: dict[str, str] = {}
        self._lengths: dict[str, set[int]] = {}
        self._searches: dict[str, _Lengths | _ManyLengths] = {}  # by head; made when it is searched for
        self._heads: dict[str, list[str]] = {}  # the texts of each head
        self._pattern = (0, re.compile(""))  # of how many heads, and that finds any of them

    def __len__(self) -> int:
        """How many there are."""
        return len(self._texts)

    def add(self, text: str, meaning: str | None = None) -> None:
        """Add a text of four or more characters; a match returns its `meaning`."""
        if len(text) < _HEAD or text in self._texts:
            return
        self._texts[text] = text if meaning is None else meaning
        head = text[:_HEAD]
        self._lengths.setdefault(head, set()).add(len(text))
        self._heads.setdefault(head, []).append(text)
        self._searches.pop(head, None)

    def hits(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Start and end of each match, in order, the longest at each place; they may overlap."""
        self.looks += len(text)
        for start in self._begins(text):
            head = text[start : start + _HEAD]
            search = self._searches.get(head)
            if search is None:
                search = self._searches[head] = self._search(head)
            self.looks += search.looks
            if found := search.longest(text, start):
                yield start, start + len(found), self._texts[found]

    def _begins(self, text: str) -> list[int]:
        """Where any of the heads stands."""
        heads = self._lengths
        if len(text) < _LONG or not 0 < len(heads) <= _MOST_HEADS:
            return [start for start in range(len(text) - _HEAD + 1) if text[start : start + _HEAD] in heads]
        count, pattern = self._pattern
        if count != len(heads):  # there are never fewer
            known = [*heads]
            count, pattern = self._pattern = len(known), _any_of(known)
        found, at = [], pattern.search(text)
        while at:
            found.append(at.start())
            at = pattern.search(text, at.start() + 1)
        return found

    def _search(self, head: str) -> _Lengths | _ManyLengths:
        lengths = sorted(self._lengths[head])
        if len(lengths) <= _FEW:
            return _Lengths(lengths, self._texts.keys())
        return _ManyLengths(lengths, self._heads[head])


def _any_of(heads: Sequence[str]) -> re.Pattern[str]:
    """A pattern that finds any of some heads; in two steps, as Python tries the parts of an alternative one by one."""
    begins: dict[str, list[str]] = {}
    for head in sorted(heads):
        begins.setdefault(head[0], []).append(re.escape(head[1:]))
    return re.compile("|".join(f"{re.escape(first)}(?:{'|'.join(rest)})" for first, rest in begins.items()))


class _Lengths:
    """Looks for texts of a few lengths, the longest first."""

    def __init__(self, lengths: list[int], texts: AbstractSet[str]) -> None:
        self._lengths, self._texts = lengths[::-1], texts
        self.looks = len(lengths)

    def longest(self, text: str, start: int) -> str:
        """The longest of the texts that begins at a place; empty if none does."""
        for length in self._lengths:
            if (part := text[start : start + length]) in self._texts:
                return part
        return ""


class _ManyLengths:
    """Looks for texts of many lengths by bisection: secrets that begin alike must not make a search slow.

    For each length that the bisection tries on its way to a text, the beginning of the text of that length is marked:
    without a mark, no longer text can match. Waldvogel et al., Scalable High Speed IP Routing Lookups, SIGCOMM 1997.
    Marks are hashes, because there are many of them and texts may be long.
    """

    def __init__(self, lengths: list[int], texts: list[str]) -> None:
        self._lengths, self._texts = lengths, frozenset(texts)
        self.looks = len(lengths).bit_length()
        place = dict(zip(lengths, range(len(lengths)), strict=True))
        self._marks: set[int] = set()
        self._known: dict[tuple[int, int], str] = {}  # of a mark: the longest text at its place, by hash and length
        for text in texts:
            wanted, low, high = place[len(text)], 0, len(lengths) - 1
            while low <= high:
                middle = (low + high) // 2
                if middle > wanted:
                    high = middle - 1
                else:
                    self._marks.add(hash(text[: lengths[middle]]))
                    low = middle + 1

    def longest(self, text: str, start: int) -> str:
        """The longest of the texts that begins at a place; empty if none does."""
        return self._walk(text, start, 0, len(self._lengths) - 1)

    def _walk(self, text: str, start: int, low: int, high: int) -> str:
        best = ""
        while low <= high:
            middle = (low + high) // 2
            part = text[start : start + self._lengths[middle]]
            if len(part) == self._lengths[middle] and hash(part) in self._marks:
                best = self._resolved(part, low, middle) or best
                low = middle + 1
            else:
                high = middle - 1
        return best

    def _resolved(self, part: str, low: int, middle: int) -> str:
        """The longest text that a marked beginning begins with, of those longer than the marks before it."""
        if part in self._texts:
            return part
        key = (hash(part), middle)
        if key not in self._known:
            self._known[key] = self._walk(part, 0, low, middle - 1)
        return self._known[key]
