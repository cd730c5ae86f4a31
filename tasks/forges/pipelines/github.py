"""A matrix of GitHub: a JSON object for `strategy.matrix` (https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax).

Jobs of one matrix cannot wait for each other: it plans or looks for drift. What waits is one job of the workflow, which
deploys all stacks in their order.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ...base.errors import ConfigError
from ...base.problem import doit

if TYPE_CHECKING:
    from ...base.jsonvalue import JsonObject
    from .shares import Purpose, Share

MOST_JOBS = 256  # https://docs.github.com/en/actions/reference/limits
_LARGEST = 500_000  # characters: outputs of a job have at most 1 MB, counted as UTF-16


def matrix(purpose: Purpose, shares: tuple[Share, ...]) -> str:
    """The matrix on one line: of each job its number, its label, and its tasks.

    Raises:
        ConfigError: GitHub would refuse it.
    """
    stage = "drift" if purpose == "drift" else "plan"
    entries: list[JsonObject] = [
        {"number": number, "label": share.label, "tasks": share.tasks(stage)} for number, share in enumerate(shares, 1)
    ]
    text = json.dumps({"include": entries}, separators=(",", ":"))
    if len(text) > _LARGEST:
        raise ConfigError(
            f"the matrix has {len(text)} characters, but GitHub accepts at most {_LARGEST} from a job",
            untouched="no pipeline was written",
            next_step=("give the stacks shorter names, or run ", doit("plan"), " in one job"),
        )
    return text
