"""The ledger of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.errors import ConfigError
from . import ledgers
from .recording import Recording

if TYPE_CHECKING:
    from .lease import Ask
    from .run import Run


def attach(run: Run, has_ended: Ask) -> Recording | None:
    """The ledger of a run; None if none is configured.

    Args:
        run: The run.
        has_ended: Asks the forge whether a pipeline has ended.

    Raises:
        ConfigError: A setting or a key is not what it should be.
        RecordError: This disk's record of it cannot be read.
    """
    settings = ledgers.settings_of(run)
    return Recording(run, settings, has_ended) if settings is not None else None


def opened(run: Run) -> Recording:
    """The ledger of a run whose command needs one.

    Raises:
        ConfigError: None is configured.
    """
    found = run.recording
    if isinstance(found, Recording):
        return found
    raise ConfigError(
        "no ledger is configured", key="ledger", untouched="nothing was read or written",
        next_step="set `ledger: {kind: git}` in config/pipeline.yaml (docs/ledger.md)",
    )  # fmt: skip
