"""The ledger of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base import clock
from ..base.errors import ConfigError, LedgerError
from ..base.problem import doit
from . import ledgers
from .recording import Recording

if TYPE_CHECKING:
    from ..ledger.record import Head
    from .early import Early
    from .lease import Ask
    from .reviewing import AskReview
    from .run import Run


def attach(run: Run, has_ended: Ask, review: AskReview, early: Early | None = None) -> Recording | None:
    """The ledger of a run; None if none is configured.

    Args:
        run: The run.
        has_ended: Asks the forge whether a pipeline has ended.
        review: Asks the forge who reviewed the commit.
        early: Its home, if that is being read already.

    Raises:
        ConfigError: A setting or a key is not what it should be.
        RecordError: This disk's record of it cannot be read.
    """
    settings = ledgers.settings_of(run)
    if settings is None:
        return None
    recording = Recording(run, settings, has_ended, review)
    if early is not None:
        early.hand_over(recording.session, run.stop)
    return recording


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


def reason(run: Run, word: str) -> str:
    """The reason that a command line has, where `doit ledger WORD` needs one.

    Raises:
        ConfigError: It has none.
    """
    given = run.request.reason
    if not given:
        raise ConfigError(
            f"`ledger {word}` needs a reason", untouched="nothing was written",
            next_step=("say why: ", doit("reason=WHY", "ledger", word)),
        )  # fmt: skip
    return given


def require_free(head: Head) -> None:
    """Refuse to change a ledger under a run that deploys, and that needs to know it again at its end.

    Raises:
        LedgerError: One does.
    """
    if head.lease is not None:
        raise LedgerError(
            f"{head.lease.label} has been deploying since {clock.shown(head.lease.since)}",
            untouched="the ledger is unchanged",
            next_step=("wait for it to end; if it died: ", doit("reason=WHY", "ledger", "release")),
        )  # fmt: skip
