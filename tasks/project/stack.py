"""A stack and what it reads from others, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import model


@dataclass(frozen=True)
class OutputReference:
    """An output of an upstream stack that a variable gets."""

    stack: str
    output: str

    def __str__(self) -> str:
        """As the configuration writes it."""
        return f"{self.stack}.{self.output}"


@dataclass(frozen=True)
class Stack:
    """A stack: where its root module is, what the configuration says of it, what it reads from others.

    `path` is the folder where it really is, `named` the one that the configuration names: another one where that is a
    link. Paths in the configuration are relative to the latter, the engine runs in the former.
    """

    name: str
    path: str
    named: str
    settings: model.Stack
    backend: model.Backend | None
    inputs: dict[str, OutputReference] = field(default_factory=dict)
