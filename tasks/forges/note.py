"""The text of our comment: a hidden marker, the report, earlier pushes folded, hidden data for the next run."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..base import clock
from ..base.jsonvalue import elements, fields
from ..base.text import short
from ..policy.seal import SealError, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..base.jsonvalue import Json, JsonObject
    from .client import Comment

MOST_RUNS = 20
_DATA = re.compile(r"^<!-- doit-tofu:data ([A-Za-z0-9_=-]+) -->\s*$", re.MULTILINE)
_RESOLVED = (
    "**Resolved: nothing would be deployed any more.** An earlier push to this branch would have changed something;"
    " this one would not."
)
Order = tuple[int, int]


@dataclass(frozen=True)
class Push:
    """What one pipeline said: `order` tells which is newer, `quiet` that nothing would be deployed."""

    order: Order
    commit: str
    verdict: str
    at: str
    quiet: bool = False

    def to_json(self) -> list[Json]:
        """As the hidden data has it."""
        return [*self.order, self.commit, self.verdict, self.at, self.quiet]


@dataclass(frozen=True)
class Known:
    """A comment of ours: its pushes by their order, and the sealed record of what it shows, if any."""

    comment: Comment
    pushes: dict[Order, Push] = field(default_factory=dict)
    sealed: Json = None

    @property
    def order(self) -> Order:
        """The order of the push that it shows."""
        return max(self.pushes, default=(-1, -1))


def name(environment: str, stage: str = "plan") -> str:
    """The first line of an environment's comment about a stage: by this it is found again."""
    return f"<!-- doit-tofu:{stage} {environment} -->"


def known(comments: Iterable[Comment], environment: str, stage: str = "plan") -> list[Known]:
    """Our comments about a stage of an environment, the oldest first: written by our own user, with the hidden name.

    Anybody can write a comment with that name; comments of others are left alone.
    """
    return [
        _read(comment)
        for comment in comments
        if comment.own and comment.body.lstrip().partition("\n")[0].strip() == name(environment, stage)
    ]


def compose(
    environment: str,
    pushes: dict[Order, Push],
    *,
    report: Callable[[int], str],
    sealed: Callable[[int], JsonObject | None],
    limit: int,
    stage: str = "plan",
) -> str:
    """The comment's text.

    Args:
        environment: The environment.
        pushes: All known pushes; the newest is the one that is shown.
        report: The report in no more than so many bytes.
        sealed: The record for the deploy to compare with, in no more than so many bytes.
        limit: The maximum number of bytes of a comment.
        stage: The stage that it is about.
    """
    newest, *earlier = sorted(pushes.values(), key=lambda push: push.order, reverse=True)[:MOST_RUNS]
    kept: list[Json] = [push.to_json() for push in (newest, *earlier)]
    room = limit // 4 - len(pack(kept))
    data = f"<!-- doit-tofu:data {pack({'pushes': kept, 'sealed': sealed(room)})} -->"
    history = _history(earlier, "push" if stage == "plan" else stage)
    over = stage == "plan" and newest.quiet and any(not push.quiet for push in earlier)
    resolved = f"{_RESOLVED}\n\n" if over else ""
    head, tail = f"{name(environment, stage)}\n{resolved}", f"\n\n{history}{data}\n"
    return head + report(limit - len((head + tail).encode())).rstrip() + tail


def _history(earlier: list[Push], noun: str) -> str:
    if not earlier:
        return ""
    rows = "".join(
        f"| `{_cell(short(push.commit))}` | {_cell(clock.shown(push.at))} | {_cell(push.verdict)} |\n"
        for push in earlier
    )
    plural = "" if len(earlier) == 1 else "es" if noun == "push" else "s"
    count = f"{len(earlier)} earlier {noun}{plural}"
    head = "| commit | when | result |\n| --- | --- | --- |\n"
    return f"<details><summary>{count}</summary>\n\n{head}{rows}\n</details>\n\n"


def _cell(text: str) -> str:
    return re.sub(r"[|`<>\[\]\\]", "", " ".join(text.split()))


def _read(comment: Comment) -> Known:
    found = _DATA.findall(comment.body)
    try:
        record = fields(unpack(found[-1]))
        pushes = [_push(elements(item)) for item in elements(record["pushes"])]
        return Known(comment, {push.order: push for push in pushes}, record.get("sealed"))
    except (IndexError, SealError, KeyError, ValueError):
        return Known(comment)  # somebody edited it: it is ours, and is written again


def _push(item: list[Json]) -> Push:
    major, minor, commit, verdict, at, quiet = item
    return Push((int(str(major)), int(str(minor))), str(commit), str(verdict), str(at), quiet is True)
