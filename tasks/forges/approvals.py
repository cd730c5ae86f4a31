"""Asks the forge by which merge request a commit came to its branch, and who approved that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.errors import DeployError
from ..run.reviewing import Review
from . import connect, place

if TYPE_CHECKING:
    from ..run.run import Run

_LONGEST = 10.0  # seconds: the ledger's entries wait for it


def review(run: Run) -> Review | None:
    """The review of the commit that a run deploys; None if the forge does not say, which is then printed.

    Args:
        run: A run that deploys.
    """
    settings = run.project.config.forge
    here, commit = place.find(settings), run.revision.commit
    if here is None or commit is None:
        return None
    if not here.token:
        run.say_once(f"ledger: the approvals of this commit are not recorded: {here.token_name} is not set")
        return None
    try:
        client = connect.connect(here, seconds=min(settings.timeout, _LONGEST), wait=run.stop.wait)
        request = here.request
        if request is None:
            merged = client.merged(commit, here.branch)
            if merged is None:
                return Review(None)
            request = merged.number
        return Review(request, tuple(client.approvers(request)))
    except (DeployError, KeyError, TypeError, ValueError, AttributeError) as error:
        why = run.problem(error).summary if isinstance(error, DeployError) else "the forge's response is malformed"
        run.say_once(f"ledger: the approvals of this commit are not recorded: {why}")
        return None
