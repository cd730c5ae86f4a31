"""What the last `doit status` found of each stack that is up to date, and the paths that this rests on.

Whoever reads it checks the stamps of these paths: where one has changed, the stack is looked at again. Nothing is in
here of a stack that rests on more than paths which are known by name.
"""

from __future__ import annotations

import json
import os
import posixpath
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..project.statekinds import StateId
from . import stamps

if TYPE_CHECKING:
    from array import array
    from collections.abc import Mapping, Sequence

_COMMON = ("dodo.py", "config")  # what the settings of every stack come from


@dataclass(frozen=True)
class Standing:
    """A stack that is up to date.

    Args:
        deployed: What it says of the last deploy.
        state: The state that the stack keeps, as far as it is known.
        rests: The files and folders that this rests on, relative to the repository's root.
    """

    deployed: str
    state: StateId | None
    rests: list[str]


def encode(found: Mapping[str, Standing], paths: Sequence[str]) -> bytes:
    """Standings as bytes, in which paths are numbers.

    Args:
        found: The standings by stack.
        paths: The paths that have stamps, which contain all that the standings rest on.
    """
    numbers = {path: number for number, path in enumerate(paths)}
    rows = {
        name: [
            standing.deployed,
            [standing.state.kind, standing.state.names, standing.state.place] if standing.state else None,
            [numbers[path] for path in standing.rests],
        ]
        for name, standing in found.items()
    }
    return json.dumps(rows, separators=(",", ":")).encode()


def decode(data: bytes, paths: Sequence[str], before: array[int], now: array[int]) -> dict[str, Standing]:
    """The standings that still hold.

    Args:
        data: What `encode` has made.
        paths: The same paths.
        before: Their stamps then.
        now: Their stamps now.
    """
    changed = stamps.differing(before, now)
    kinds = (stamps.modes(before), stamps.modes(now))
    for number in changed:
        if paths[number].split("/", 1)[0] in _COMMON or any(stat.S_ISLNK(modes[number]) for modes in kinds):
            return {}
    found = {}
    real: dict[str, bool] = {}
    for name, (deployed, state, rests) in json.loads(data).items():
        if not changed.isdisjoint(rests):
            continue
        kept = StateId(state[0], tuple(state[1]), tuple(state[2])) if state else None
        if kept is None or _is_real(kept, real):
            found[name] = Standing(deployed, kept, [paths[number] for number in rests])
    return found


def _is_real(state: StateId, known: dict[str, bool]) -> bool:
    """Whether there is no link by now in the path of a state that is a file."""
    folder = posixpath.dirname(state.file or "")
    if folder not in known:
        known[folder] = os.path.realpath(folder) == folder if folder else True
    return known[folder]
