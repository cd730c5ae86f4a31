"""The variables and the selection of the command line, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..drifts.rotation import Shard
    from .allowance import Accepted, Allowance
    from .selection import Part


@dataclass(frozen=True)
class Repair:
    """The drift that a deploy undoes.

    Args:
        stacks: The stacks (`--repair`); with `automatic`, those of which drift was shown.
        automatic: Whether only what a rule of `drift.repair` asks for is undone (`--auto-repair`).
    """

    stacks: tuple[str, ...]
    automatic: bool = False


@dataclass(frozen=True)
class Request:
    """The variables of the command line (`doit base=REF plan`).

    Args:
        part: Which part of a generated pipeline this run is (`ci=`); None for a run of its own.
        mocking: Whether plans may use mocks; `mocks=no` forbids it.
        reviewed_file: Where the reviewed plans are recorded (`reviewed=`).
        allowances: The policy findings that are allowed (`allow=`).
        accepted: The states that are accepted although they are not those that were deployed (`accept=`).
        reason: Why something is done that takes a reason (`reason=`).
        as_json: Whether standard output gets one JSON document, and all else goes to standard error (`--json`).
        base: What counts as deployed without receipts (`base=`).
        shard: Which part of all stacks is checked for drift (`shard=`); None for all.
        adopt: The stack whose drift is taken over into the code (`--adopt`); None for none.
        repair: The drift that is undone (`--repair`, `--auto-repair`); None for a deploy of code.
    """

    part: Part | None = None
    mocking: bool = True
    reviewed_file: str | None = None
    allowances: tuple[Allowance, ...] = ()
    accepted: tuple[Accepted, ...] = ()
    base: str | None = None
    reason: str | None = None
    as_json: bool = False
    shard: Shard | None = None
    adopt: str | None = None
    repair: Repair | None = None


@dataclass(frozen=True)
class Asked:
    """What the selected tasks imply.

    Args:
        deploying: Whether a deploy was selected: existing artifacts must then match, and are not replaced.
        planning: Whether anything selected needs the stacks' backends.
        planned: The stacks whose plan is part of this run.
        validated: Those whose validation is.
        again: The names, of stacks or builds, whose tasks run although they are up to date (`doit -a`); None for all.
    """

    deploying: bool = False
    planning: bool = False
    planned: frozenset[str] = frozenset()
    again: frozenset[str] | None = frozenset()
    validated: frozenset[str] = frozenset()

    def forces(self, name: str) -> bool:
        """Whether the tasks of a stack or build run although they are up to date."""
        return self.again is None or name in self.again
