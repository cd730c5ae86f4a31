"""Many texts looked for in one at once: what it costs goes by the length of that one, not by how many there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = 4  # characters: what a place is looked up by


class Index:
    """Texts to look for.

    By the first characters of each, the lengths are known of those that begin so, and whether one of such a length is
    there is a look into a set. A text of n characters takes n looks, and some more where one of them may begin.

    Attributes:
        looks: How many there were so far.
    """

    def __init__(self) -> None:
        self.looks = 0
        self._texts: dict[str, str] = {}
        self._lengths: dict[str, tuple[int, ...]] = {}

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._texts)

    def add(self, text: str, meaning: str | None = None) -> None:
        """Look for a text of four or more characters from now on; `meaning` is what a hit stands for."""
        if len(text) < _HEAD or text in self._texts:
            return
        self._texts[text] = text if meaning is None else meaning
        lengths = self._lengths.get(text[:_HEAD], ())
        if len(text) not in lengths:
            self._lengths[text[:_HEAD]] = tuple(sorted({*lengths, len(text)}, reverse=True))

    def hits(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Where each begins and ends, in order, the longest of those at one place; they may overlap."""
        lengths_of, texts = self._lengths, self._texts
        self.looks += len(text)
        begins = [start for start in range(len(text) - _HEAD + 1) if text[start : start + _HEAD] in lengths_of]
        for start in begins:
            for length in lengths_of[text[start : start + _HEAD]]:
                self.looks += 1
                if meaning := texts.get(text[start : start + length]):
                    yield start, start + length, meaning
                    break
