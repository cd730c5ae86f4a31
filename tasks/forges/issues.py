"""Keeps one open issue for each drifted stack: opened, updated when the drift changes, closed when it is over.

An issue is recognized by a marker in its text and by its author, not by labels or titles, which people change. No forge
creates an issue only if there is none yet. So a run that has opened one looks again: of several for one stack the
oldest stays, whichever run opened it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from .client import Client, Issue

_MARKER = re.compile(r"<!-- doit-tofu drift (?P<environment>\S+) (?P<stack>\S+) (?P<print>[0-9a-f]+) -->")
_MOMENT = 1.0


@dataclass(frozen=True)
class Page:
    """The intended content of an issue.

    Args:
        title: Its title.
        body: Makes its text within that many bytes.
        print: Equal for the same drift; only another one is worth an update.
    """

    title: str
    body: Callable[[int], str]
    print: str


@dataclass
class Done:
    """What was done, by stack; and what was left alone, a sentence each."""

    opened: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def text(self) -> str:
        """What was done and left alone, in words; empty if that is nothing."""
        parts = {"opened": self.opened, "updated": self.updated, "closed": self.closed}
        words = [f"{word} for {', '.join(sorted(names))}" for word, names in parts.items() if names]
        return "; ".join([*words, *self.left])


def sync(
    client: Client,
    environment: str,
    drifted: Mapping[str, Page],
    kept: Collection[str],
    *,
    wait: Callable[[float], bool],
) -> Done:
    """Open, update and close issues until the open ones are those of the drifted stacks.

    Args:
        client: The forge.
        environment: The environment.
        drifted: The stacks that have drifted.
        kept: The stacks that were not checked: their issues stay as they are. All others are closed.
        wait: Waits so many seconds; true when the run was told to stop.

    Raises:
        ForgeError: The forge did not do it.
    """
    done = Done()
    known = _known(client, environment)
    for stack, page in drifted.items():
        _show(client, f"{environment} {stack}", page, known.get(stack, []), done)
    for stack in sorted(set(known) - set(drifted) - set(kept)):
        for issue in known[stack]:
            client.close_issue(issue.number)
        done.closed.append(stack)
    if done.opened and not wait(_MOMENT):
        again = _known(client, environment)
        for stack in done.opened:
            for extra in again.get(stack, [])[1:]:
                client.close_issue(extra.number)
    return done


def _show(client: Client, place: str, page: Page, found: list[Issue], done: Done) -> None:
    """Open or update the issue of a stack, named with its environment; the oldest stays."""
    marker, stack = f"<!-- doit-tofu drift {place} {page.print} -->", place.partition(" ")[2]
    body = f"{marker}\n{page.body(client.limit - len(marker) - 1)}"
    if not found:
        client.open_issue(page.title, body)
        done.opened.append(stack)
        return
    first = found[0]
    if marker not in first.body or first.title != page.title:
        client.update_issue(first.number, page.title, body)
        done.updated.append(stack)
    for extra in found[1:]:
        client.close_issue(extra.number)


def _known(client: Client, environment: str) -> dict[str, list[Issue]]:
    """Our open issues of an environment by stack, the oldest first."""
    found: dict[str, list[Issue]] = {}
    for issue in sorted(client.issues(), key=lambda issue: issue.number):
        marker = _MARKER.search(issue.body)
        if marker and marker["environment"] == environment and issue.own:
            found.setdefault(marker["stack"], []).append(issue)
    return found
