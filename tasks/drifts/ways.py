"""The three ways from a drift, each one command: the code's side, reality's side, and a closer look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base.problem import doit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..base.problem import Command
    from .classes import Finding

REPAIR, ADOPT, LOOK = "deploy the code again", "keep what is there", "look into it"


@dataclass(frozen=True)
class Ways:
    """The commands for one drifted stack.

    Args:
        repair: Undoes what was shown; with undeployed code a deploy, which does both. None if no plan would change
            anything, as where only a `check` block fails.
        adopt: Changes the code to what is there; None in the same case.
        look: Shows what differs, since when, and which deploy was before.
    """

    repair: Command | None
    adopt: Command | None
    look: Command

    def __iter__(self) -> Iterator[tuple[str, Command]]:
        """Each way that there is: what it is called, and its command."""
        for name, command in ((REPAIR, self.repair), (ADOPT, self.adopt), (LOOK, self.look)):
            if command is not None:
                yield name, command


def of(stack: str, findings: Iterable[Finding], environment: str | None) -> Ways:
    """The ways from the drift of a stack.

    Args:
        stack: The stack.
        findings: What differs in it.
        environment: The environment as commands have to name it; None for the default one.
    """
    found = list(findings)
    look = doit(f"drift:{stack}", environment=environment)
    if not any(item.outside and item.item is not None for item in found):
        return Ways(None, None, look)
    undeployed = any(not item.outside for item in found)
    again = ("deploy",) if undeployed else ("deploy", "--repair", stack)
    return Ways(doit(*again, environment=environment), doit("drift", "--adopt", stack, environment=environment), look)
