"""A stack and the upstream outputs that it reads, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import model


@dataclass(frozen=True)
class OutputReference:
    """An output of an upstream stack that sets a variable."""

    stack: str
    output: str

    def __str__(self) -> str:
        """As written in the configuration."""
        return f"{self.stack}.{self.output}"


@dataclass(frozen=True)
class Stack:
    """A stack: its root module, its settings, and what it reads from others.

    `path` is its real folder, `named` the one in the configuration, which differs if that is a link. Paths in the
    configuration are relative to the latter; the engine runs in the former.
    """

    name: str
    path: str
    named: str
    settings: model.Stack
    backend: model.Backend | None
    inputs: dict[str, OutputReference] = field(default_factory=dict)
