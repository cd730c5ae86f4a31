"""Finds `terraform_remote_state` reads of sibling states, which are edges of the stack graph."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from . import backend, stateid

if TYPE_CHECKING:
    from .sources import Sources
    from .statekinds import StateId


@dataclass(frozen=True)
class RemoteRead:
    """A data source that reads a sibling's outputs; `outputs` is None if it may be any of them.

    `place` is where it stands: `file:line`, in JSON the file.
    """

    name: str
    stack: str
    outputs: tuple[str, ...] | None
    place: str = ""


def find(project: Sources) -> dict[str, list[RemoteRead]]:
    """For each stack that reads siblings' states: which ones, by name of the data source.

    Raises:
        ConfigError: A stack's backend settings cannot be filled in.
    """
    readers = {name: project.module(name).remote_states for name in project.stacks if name not in project.checked}
    if not any(readers.values()):
        return {}
    states = stateid.States(project)
    owners: dict[tuple[str, ...], list[tuple[str, StateId]]] = {}
    for name, stack in project.stacks.items():
        backend.settings(project, stack)  # without them an edge could be missed
        if (own := states.own(stack)) is not None:
            owners.setdefault(own.key, []).append((name, own))
    found: dict[str, list[RemoteRead]] = {}
    for name, reads in readers.items():
        for state in reads:
            its = states.read(project.stacks[name], state)
            owner = next((other for other, own in owners.get(its.key, ()) if own.same(its)), None) if its else None
            if owner is not None and owner != name:
                read = RemoteRead(state.name, owner, state.outputs, state.place)
                found[name] = _with(found.get(name, []), read)
    return found


def _with(reads: list[RemoteRead], read: RemoteRead) -> list[RemoteRead]:
    """Reads and one more; two of one name, in two modules, are one with the outputs of both."""
    same = next((other for other in reads if (other.name, other.stack) == (read.name, read.stack)), None)
    if same is None:
        return [*reads, read]
    outputs = None if None in (same.outputs, read.outputs) else {*(same.outputs or ()), *(read.outputs or ())}
    both = replace(same, outputs=None if outputs is None else tuple(sorted(outputs)))
    return [both if other is same else other for other in reads]
