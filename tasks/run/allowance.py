"""What the command line accepts against a policy or a receipt (`allow=`, `accept=`), as values."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ..artifact.statecheck import Seen


class Allowance(NamedTuple):
    """`allow=RULE[:STACK]` on the command line."""

    rule: str
    stack: str
    reason: str


class Accepted(NamedTuple):
    """`accept=STACK:LINEAGE:SERIAL` on the command line; without lineage and serial if no state is left."""

    stack: str
    lineage: str | None
    serial: int | None
    reason: str

    @property
    def text(self) -> str:
        """It as on the command line."""
        return f"{self.stack}:{self.lineage}:{self.serial}" if self.lineage else f"{self.stack}:missing"

    def covers(self, stack: str, seen: Seen) -> bool:
        """Whether it refers to exactly this state."""
        same = self.lineage is None if not seen.lineage else (self.lineage, self.serial) == (seen.lineage, seen.serial)
        return self.stack == stack and same
