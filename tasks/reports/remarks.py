"""Remarks on a plan besides its changes: files and values that will differ in the deploy job."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ..base.problem import Shell
from ..base.text import few
from ..run.details import PlanDetails

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..run.result import Result

_MOST = 20
_STATES = {
    "new": "written by the engine, but not committed",
    "changed": "differs from the commit",
    "missing": "committed, but missing here, and the engine wrote a different one",
    "restored": "committed, but missing here; the engine wrote the same one",
    "ignored": "ignored by git",
}


def of(results: Iterable[Result], folder: str = "") -> list[str]:
    """A sentence for each thing to know, of all results together.

    Args:
        results: The results.
        folder: Where the repository is from the shell of those who read it; empty if that is there.
    """
    planned = [result.details for result in results if isinstance(result.details, PlanDetails)]
    found = []
    if names := sorted({name for details in planned for name in details.volatile}):
        found.append(
            f"volatile {few(names, _MOST)}: the deploy uses the value of this plan, so it must still be valid then;"
            " `ephemeral = true` in the variable's declaration is better"
        )
    files = [details.lock_file for details in planned if details.lock_file]
    for state, words in _STATES.items():
        paths = sorted(file.path for file in files if file.state == state)
        if not paths:
            continue
        text = f"lock file {few(paths, _MOST)}: {words}"
        if state == "ignored":
            text += "; another job would refuse this plan: remove it from .gitignore and commit it"
        elif state != "restored":
            add = Shell(shlex.join(["git", "add", *paths]), folder=folder)
            text += f"; another job would refuse this plan: commit it ({add.quoted}) and plan again"
        found.append(text)
    return found
