"""Finds stacks that were deployed and then removed from the configuration, so that their resources still exist."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .run import Run

_STAYS = 'its resources still exist (docs/recover.md, "A stack was removed or renamed")'


def lines(run: Run) -> list[str]:
    """A sentence for each former stack that has a receipt here or existed at the base."""
    deployed = [name for name in _recorded(run) if name not in run.project.stacks]
    found = [f"{name}: deployed from here, but no longer a stack of this environment; {_STAYS}" for name in deployed]
    if (baseline := run.baseline) is not None:
        gone = [name for name in baseline.gone if name not in deployed]
        found += [f"{name}: a stack at {baseline.ref}, but no longer one; {_STAYS}" for name in gone]
    return found


def _recorded(run: Run) -> list[str]:
    """The stacks that have a receipt here, sorted."""
    folder = os.fspath(run.layout.base / "receipts")
    paths = (f"{base}/{name}" for base, _, names in os.walk(folder) for name in names if name.endswith(".json"))
    return sorted(path.removeprefix(f"{folder}/").removesuffix(".json") for path in paths)
