"""Engine commands as values: where a command runs, and how it ended."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from ..base.jsonvalue import fields

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ..base.jsonvalue import JsonObject
    from ..base.limit import Limit
    from ..base.problem import Steps
    from .tracing import Trace

CHANGES_PRESENT = 2  # the exit code of `-detailed-exitcode` for a plan with changes


@dataclass(frozen=True)
class Completed:
    """A finished engine command: its exit code, what it printed, and its JSON events.

    `text` is all that it printed, `raw` standard output alone where it was kept apart; neither is masked, nor are
    `events`, which follow https://opentofu.org/docs/internals/machine-readable-ui/. `sealed` says what happened and
    what to do if it failed because a state or plan is not encrypted as expected. `next_step` is what to do if it failed
    because of a package in the provider cache.
    """

    code: int
    text: str = field(repr=False)
    raw: str = field(repr=False, default="")
    events: list[JsonObject] = field(repr=False, default_factory=list)
    sealed: tuple[str, Steps] | None = None
    next_step: str | None = None
    masked: Callable[[str], str] | None = field(repr=False, default=None)

    @cached_property
    def output(self) -> str:
        """All that it printed, masked; made when it is needed, as it may be many MB that are not shown."""
        return self.text if self.masked is None else self.masked(self.text)

    @property
    def ok(self) -> bool:
        """Whether it succeeded, with or without changes."""
        return self.code in (0, CHANGES_PRESENT)

    def summaries(self) -> list[str]:
        """The summaries of its error diagnostics, which tell failures apart, as nearly all exit with 1."""
        found = [fields(event["diagnostic"]) for event in self.events if event.get("type") == "diagnostic"]
        return [str(item.get("summary")) for item in found if item.get("severity") == "error"] or re.findall(
            r"^[│| ]*Error: (.*)$", self.output, re.MULTILINE
        )


CONFIGURES = frozenset(
    {"apply", "console", "destroy", "import", "plan", "providers", "refresh", "show", "test", "validate"}
)
WRITES = frozenset({"apply", "import", "refresh", "state"})  # the state
EARLY = ("init", "validate", "show")  # besides those that get variables anyway


@dataclass(frozen=True)
class Context:
    """The context of a command: the stack's folder, its data directory, its variables.

    `stack` is the stack's name, empty if none is involved. `backend` is the type of the backend, `schema` its database
    schema, if any; `by_hand` is the beginning of a manual engine command on the same state, from the repository's root.
    `early` are the arguments that pass variables to commands that need them to resolve module sources, see `EARLY`.
    `trace` records what a plan does with files. `path` is the folder relative to the repository's root. `limit` is
    the time that commands may take.
    """

    label: str
    folder: Path
    data_dir: Path
    stack: str = ""
    environment: Mapping[str, str] = field(repr=False, default_factory=dict)
    descriptors: tuple[int, ...] = ()
    backend: str = "local"
    schema: str | None = None
    by_hand: str = "tofu"
    early: tuple[str, ...] = ()
    trace: Trace | None = None
    limit: Limit | None = None
    path: str = ""

    def holding(self, *descriptors: int) -> Context:
        """The same, for a command that gets some more file descriptors."""
        return replace(self, descriptors=(*self.descriptors, *descriptors))
