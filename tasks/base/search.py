"""Searches one text for many others at once; the cost depends on its length, not on how many there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = 4  # characters of the lookup key


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
        self._lengths: dict[str, tuple[int, ...]] = {}

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._texts)

    def add(self, text: str, meaning: str | None = None) -> None:
        """Add a text of four or more characters; a match returns its `meaning`."""
        if len(text) < _HEAD or text in self._texts:
            return
        self._texts[text] = text if meaning is None else meaning
        lengths = self._lengths.get(text[:_HEAD], ())
        if len(text) not in lengths:
            self._lengths[text[:_HEAD]] = tuple(sorted({*lengths, len(text)}, reverse=True))

    def hits(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Start and end of each match, in order, the longest at each place; they may overlap."""
        lengths_of, texts = self._lengths, self._texts
        self.looks += len(text)
        begins = [start for start in range(len(text) - _HEAD + 1) if text[start : start + _HEAD] in lengths_of]
        for start in begins:
            for length in lengths_of[text[start : start + _HEAD]]:
                self.looks += 1
                if meaning := texts.get(text[start : start + length]):
                    yield start, start + length, meaning
                    break
