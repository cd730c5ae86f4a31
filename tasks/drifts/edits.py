"""Edits of a file's text: which bytes become what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Edit:
    """The bytes from `start` to `end` of a file become a text; `what` says so for readers."""

    file: str
    start: int
    end: int
    text: str
    what: str


def applied(content: bytes, edits: Sequence[Edit]) -> bytes:
    """A file's content with the edits that concern it; their lines end as the file's do.

    What is added at one place is added in the order of the edits.
    """
    newline = b"\r\n" if b"\r\n" in content else b"\n"
    parts, done = list[bytes](), 0
    for edit in sorted(edits, key=lambda item: (item.start, item.end)):
        parts += [content[done : edit.start], edit.text.encode().replace(b"\n", newline)]
        done = edit.end
    return b"".join([*parts, content[done:]])


def apart(edits: list[Edit]) -> list[Edit]:
    """The edits without those within another one, which writes the whole of what exists there."""
    kept: list[Edit] = []
    for edit in sorted(edits, key=lambda item: item.start - item.end):
        if not any(item.file == edit.file and (_touch(item, edit) or _same(item, edit)) for item in kept):
            kept.append(edit)
    return kept


def _touch(one: Edit, other: Edit) -> bool:
    return one.start < other.end and other.start < one.end


def _same(one: Edit, other: Edit) -> bool:
    return (one.start, one.end, one.text) == (other.start, other.end, other.text)


def after_line(content: bytes, at: int) -> int:
    """Where the line ends that a position is in, its newline included."""
    return content.find(b"\n", at) + 1 or len(content)
