"""A deploy that goes on without its ledger: whether it may, why, and what this disk remembers of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..base.errors import LedgerError
    from ..project.model.ledger import Ledger
    from .run import Run
    from .workingcopy import WorkingCopy

RULE = "unrecorded"  # `allow=unrecorded`: this deploy may go on without the ledger


class Without:
    """Deploys of one run without the ledger.

    Args:
        run: The run.
        settings: The ledger's settings.
        copy: The receipts on this disk.
    """

    def __init__(self, run: Run, settings: Ledger, copy: WorkingCopy) -> None:
        self._run, self._settings, self._copy = run, settings, copy

    @property
    def why(self) -> str | None:
        """Why a deploy may go on if the ledger is not there; None if it may not."""
        if not self._settings.required:
            return "`ledger.required` is false"
        return next((item.reason for item in self._run.request.allowances if item.rule == RULE), None)

    def go_on(self, error: LedgerError, stacks: Collection[str], known: Mapping[str, str]) -> dict[str, str]:
        """Remember on this disk what is about to be applied, so that it can be recorded later.

        Args:
            error: Why the ledger is not there.
            stacks: The stacks.
            known: The change that each stack was left by, as it was read at the beginning.

        Returns:
            The change that each apply replaces, as far as that is known.
        """
        self._run.say(f"continuing without the ledger ({self.why}): {error.message}")
        self._copy.memory.apart |= set(stacks)
        self._copy.save()
        found = {stack: known.get(stack) or self._copy.follows(stack) for stack in stacks}
        return {stack: change for stack, change in found.items() if change is not None}
