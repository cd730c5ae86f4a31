"""Failed `check` blocks (https://opentofu.org/docs/language/checks/): whether one fails the stage that found it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.text import few
from .details import CheckFailedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..project.stack import Stack
    from .details import Details
    from .run import Run

_MOST = 5
_UNTOUCHED = {
    "plan": "no plan was kept, so nothing can be applied",
    "deploy": "the plan was applied, and the state is saved",
    "drift": "nothing was changed",
}


def refuse(run: Run, stack: Stack, stage: str, failed: Sequence[str], known: Details) -> None:
    """Fail a stage where a `check` block does not hold and the configuration says that this is a failure.

    Args:
        run: The run.
        stack: The stack.
        stage: `plan`, `deploy` or `drift`.
        failed: The checks that do not hold.
        known: What the stage found nevertheless.

    Raises:
        CheckFailedError: It is one.
    """
    config = run.project.config
    settings = {
        "plan": config.plan.on_failed_check,
        "deploy": config.deploy.on_failed_check,
        "drift": config.drift.on_failed_check,
    }
    if not failed or settings[stage] != "fail":
        return
    raise CheckFailedError(
        f"a check block does not hold: {few(list(failed), _MOST)}",
        found=known,
        stack=stack.name,
        untouched=_UNTOUCHED[stage],
        next_step=f"correct what it checks; `{stage}.on_failed_check: warn` only reports it",
    )
