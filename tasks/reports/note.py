"""The report as Markdown within a size limit, for merge request comments, step summaries and a file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from .template import Templates

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .model import Report

_OWN = Templates()
T = TypeVar("T")
_STEPS = (2000, 1000, 700, 500, 350, 250, 170, 120, 85, 60, 40, 30, 20, 14, 10, 7, 5, 3, 1, 0)


class Part(NamedTuple, Generic[T]):
    """The beginning of a list, and how many of its elements are left out."""

    shown: Sequence[T]
    left: int


@dataclass(frozen=True)
class Room:
    """How much of each part has room; None is all of it.

    Args:
        most_lines: Of each change's difference, and of each log.
        most_changes: Of each stack's changes.
        most_stacks: Of the rows of a table, and of the stacks that are shown one by one.
        most_destructive: Of the changes that destroy something.
    """

    most_lines: int | None = None
    most_changes: int | None = None
    most_stacks: int | None = None
    most_destructive: int | None = None

    def lines(self, lines: Sequence[T]) -> Part[T]:
        """The lines of a difference."""
        return _part(lines, self.most_lines)

    def log(self, text: str) -> Part[str]:
        """The lines of a log, the last ones: there the error stands."""
        lines = text.splitlines()
        part = _part(lines[::-1], self.most_lines)
        return Part(part.shown[::-1], part.left)

    def changes(self, changes: Sequence[T]) -> Part[T]:
        """The changes of one stack."""
        return _part(changes, self.most_changes)

    def stacks(self, stacks: Sequence[T]) -> Part[T]:
        """Rows of a table, stacks one by one."""
        return _part(stacks, self.most_stacks)

    def destructive(self, changes: Sequence[T]) -> Part[T]:
        """The changes that destroy something."""
        return _part(changes, self.most_destructive)

    @property
    def cut(self) -> bool:
        """Whether anything may be left out."""
        return self != Room()


def render(report: Report, *, limit: int | None = None, link: str | None = None, templates: Templates = _OWN) -> str:
    """The report as Markdown.

    What is too long is cut, the longest parts first: differences of single changes, then changes of stacks, then
    rows of tables, and last the list of what is destroyed. Each part says how much of it was left out. The verdict
    stays.

    Args:
        report: The report.
        limit: The most bytes it may have as UTF-8; None for no limit. GitHub refuses a comment of more than 65,536
            characters, GitLab one of more than 1,000,000: a text within so many bytes is within so many characters.
        link: Where the whole report is, for readers of one that was cut.
        templates: Where the template comes from: `plan.md.j2` or `drift.md.j2`.
    """

    def filled(room: Room) -> str:
        return templates.render(f"{report.stage}.md.j2", report=report, room=room, link=link)

    whole = filled(Room())
    if limit is None or _fits(whole, limit):
        return whole
    rooms = list(_rooms())
    low, high = 0, len(rooms)  # the first room in which it fits; more room never makes it shorter
    best = None
    while low < high:
        middle = (low + high) // 2
        text = filled(rooms[middle])
        if _fits(text, limit):
            best, high = text, middle
        else:
            low = middle + 1
    if best is not None:
        return best
    if templates is not _OWN:  # a project's template that ignores `room`
        return render(report, limit=limit, link=link)
    return _least(report, limit)


def _rooms() -> Iterator[Room]:
    """Less and less room."""
    room = Room()
    for step in _STEPS:
        yield (room := replace(room, most_lines=step))
    for step in _STEPS:
        yield (room := replace(room, most_changes=step))
    for step in _STEPS:
        yield (room := replace(room, most_stacks=step))
    for step in _STEPS:
        yield (room := replace(room, most_destructive=step))


def _part(items: Sequence[T], most: int | None) -> Part[T]:
    if most is None or len(items) <= most:
        return Part(items, 0)
    return Part(items[:most], len(items) - most)


def _fits(text: str, limit: int) -> bool:
    return len(text.encode()) <= limit


def _least(report: Report, limit: int) -> str:
    """The verdict alone."""
    return f"### {report.verdict}\n".encode()[:limit].decode(errors="ignore")
