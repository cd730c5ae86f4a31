"""What the expressions of a module can refer to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .expressions import Expression
    from .facts import Call, Variable
    from .values import Values


@dataclass
class Scope:
    """The names in a module, each with what it stands for.

    `folder` is the module's folder as the engine sees it, relative to where it runs. `given` returns a variable's value
    from outside, or None. `attributes` are the blocks' attributes by address: `data.http.x.url`, `output.name`.
    `instances` returns the scopes of a called module.
    """

    folder: str
    variables: Mapping[str, Variable]
    given: Callable[[str], Values | None]
    locals: Mapping[str, Expression]
    attributes: Mapping[str, Expression]
    calls: Mapping[str, Call]
    instances: Callable[[Scope, Call], list[Scope]]
    known: dict[str, Values] = field(default_factory=dict)
    closed: bool = False  # a template's scope: it can refer only to its arguments
