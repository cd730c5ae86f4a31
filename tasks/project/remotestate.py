"""Reads of a sibling's state by `terraform_remote_state`, recognised as edges of the stack graph."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import backend

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .sources import Sources
    from .stack import Stack

# The settings that tell one state of a backend from another, with the engine's default where it has one
# (https://opentofu.org/docs/language/settings/backends/configuration/).
_IDENTITY: dict[str, dict[str, str | None]] = {
    "local": {"path": "terraform.tfstate"},
    "http": {"address": None},
    "pg": {"schema_name": "terraform_remote_state"},
    "s3": {"bucket": None, "key": None},
    "gcs": {"bucket": None, "prefix": ""},
    "azurerm": {"storage_account_name": "", "container_name": None, "key": None},
    "consul": {"path": None},
    "kubernetes": {"secret_suffix": None, "namespace": "default"},
}


@dataclass(frozen=True)
class RemoteRead:
    """A data source that reads a sibling's outputs; `outputs` is None where it may be any of them."""

    name: str
    stack: str
    outputs: tuple[str, ...] | None


def find(project: Sources) -> dict[str, list[RemoteRead]]:
    """For each stack that reads siblings' states: which ones, by name of the data source."""
    readers = {name: project.module(name).remote_states for name in project.stacks}
    if not any(readers.values()):
        return {}
    owners: dict[tuple[str, ...], str] = {}
    for name, stack in project.stacks.items():
        if (key := _own(project, stack)) is not None:
            owners.setdefault(key, name)
    found: dict[str, list[RemoteRead]] = {}
    for name, states in readers.items():
        for state in states:
            settings = state.settings
            key = None if settings is None else _identity(state.backend, settings, project.stacks[name].path)
            owner = owners.get(key) if key else None
            if owner is not None and owner != name:
                read = RemoteRead(state.name, owner, state.outputs)
                found[name] = _with(found.get(name, []), read)
    return found


def _with(reads: list[RemoteRead], read: RemoteRead) -> list[RemoteRead]:
    """Reads and one more; two of one name, in two modules, are one with the outputs of both."""
    same = next((other for other in reads if (other.name, other.stack) == (read.name, read.stack)), None)
    if same is None:
        return [*reads, read]
    outputs = None if None in (same.outputs, read.outputs) else {*(same.outputs or ()), *(read.outputs or ())}
    both = RemoteRead(read.name, read.stack, None if outputs is None else tuple(sorted(outputs)))
    return [both if other is same else other for other in reads]


def _own(project: Sources, stack: Stack) -> tuple[str, ...] | None:
    """What identifies a stack's own state."""
    if implied := backend.implied_state(project, stack):
        return _identity("local", {"path": implied}, stack.path)
    module = project.module(stack.name)
    settings: dict[str, str | None] = dict(module.backend_settings)
    if (configured := backend.settings(project, stack)) is not None:
        settings |= configured["settings"]
    return _identity(module.backend or "", settings, stack.path)


def _identity(kind: str, settings: Mapping[str, str | None], folder: str) -> tuple[str, ...] | None:
    wanted = _IDENTITY.get(kind)
    if wanted is None:
        return None
    values = [settings.get(name, default) for name, default in wanted.items()]
    if any(value is None for value in values):
        return None
    texts = [str(value) for value in values]
    if kind == "local":
        texts = [posixpath.normpath(posixpath.join(folder, text)) for text in texts]
    return (kind, *texts)
