"""Identifies the state of each stack, and refuses two stacks with one state."""

from __future__ import annotations

import os
import posixpath
import re
from typing import TYPE_CHECKING

from ..base.errors import ConfigError
from ..base.files import canonical_json, sha256_bytes
from . import backend, statespelling
from .statekinds import KINDS, KNOWN, UNKNOWN, StateId, StateKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..base.jsonvalue import Json
    from .hcl.rootmodule import StateRead
    from .sources import Sources
    from .stack import Stack

_BINDING_DIGITS = 32
_USER_IN_ADDRESS = re.compile(r"://[^/?#@]*@")
_USER_WORDS = re.compile(r"(?:^|[\s?&])(?:user|password|passfile|sslpassword|sslcert|sslkey)\s*=\s*(?:'[^']*'|[^\s&]*)")


class States:
    """The states of a project's stacks."""

    def __init__(self, project: Sources) -> None:
        self._project = project
        self._real: dict[str, str] = {}

    def own(self, stack: Stack) -> StateId | None:
        """A stack's state; None if its backend is not known or does not name one. Looked at once."""
        known, name = self._project.states, stack.name
        if name not in known:
            checked = self._project.checked
            known[name] = checked[name] if name in checked else self.now(stack)
        return known[name]

    def now(self, stack: Stack) -> StateId | None:
        """A stack's state, looked at again: links and variables may have changed since the run began."""
        project, module = self._project, self._project.module(stack.name)
        if implied := backend.implied_state(project, stack):
            return self._identify("local", {"path": KNOWN + implied}, stack)
        values = {name: KNOWN + text for name, text in module.backend_settings.items()}
        values |= {name: UNKNOWN + text for name, text in module.backend_unknown.items()}
        values |= self._configured(stack)
        return self._identify(module.backend or "", values, stack)

    def read(self, stack: Stack, state: StateRead) -> StateId | None:
        """The state that a `terraform_remote_state` reads; None if it is not known."""
        kind, settings = KINDS.get(state.backend), state.settings
        if kind is None or settings is None or any(settings.get(name, "") is None for name in kind.names):
            return None
        known = {name: KNOWN + text for name, text in settings.items() if text is not None}
        return self._identify(state.backend, known, stack)

    def _configured(self, stack: Stack) -> dict[str, str]:
        """The values of the configured settings; one that cannot be filled in is kept as written."""
        found: dict[str, str] = {}
        for name, value in stack.backend.settings.items() if stack.backend is not None else ():
            try:
                found |= {key: KNOWN + text for key, text in _flat(name, backend.setting(self._project, stack, name))}
            except ConfigError:
                written = _with_names(value, self._project.placeholders(stack.name))
                found |= {key: UNKNOWN + text for key, text in _flat(name, written)}
        return found

    def _identify(self, kind: str, values: Mapping[str, str], stack: Stack) -> StateId | None:
        known = KINDS.get(kind)
        if known is None:
            return None
        given = _given(kind, known, values)
        names = _names(known, given)
        if names is None:
            return None
        if kind == "local" and names[0].startswith(KNOWN):
            folder = self._resolved(f"{self._project.root}/{stack.path}")
            path = posixpath.normpath(posixpath.join(folder, names[0].removeprefix(KNOWN)))
            names[0] = KNOWN + self._resolved(path)
        elif kind == "local" and not names[0].startswith(f"{UNKNOWN}/"):  # may be relative to its folder
            names.append(self._resolved(f"{self._project.root}/{stack.path}"))
        place = tuple(given.get(name) for name in known.place)
        return StateId("remote" if kind == "cloud" else kind, tuple(names), place)

    def _resolved(self, path: str) -> str:
        """A path with links resolved; each folder is resolved once, as most states are in a few folders."""
        found = self._real.get(path)
        if found is None:
            parent, name = posixpath.split(path)
            found = path
            if name:
                found = posixpath.join(self._resolved(parent), name)
                try:
                    os.readlink(found)  # noqa: PTH115 - called for every stack; fails for what is no link
                    found = os.path.realpath(found)
                except OSError:
                    pass
            self._real[path] = found
        return found


def _given(kind: str, known: StateKind, values: Mapping[str, str]) -> dict[str, str]:
    """The values of a backend's settings in one spelling, with those that the environment has for missing ones."""
    given = dict(values)
    for name, variable in known.variables.items():
        if name not in given and os.environ.get(variable):
            given[name] = KNOWN + os.environ[variable]
    files = kind == "s3" and any(given.get(name) for name in known.place)  # another server than Amazon's
    return {
        name: KNOWN + statespelling.spelled(kind, name, text.removeprefix(KNOWN), files=files)
        if text.startswith(KNOWN)
        else text
        for name, text in given.items()
    }


def _names(known: StateKind, given: Mapping[str, str]) -> list[str] | None:
    """The values that name a state; None if a required one is missing."""
    found: dict[str, str] = {}
    for name, default in known.names.items():
        value = given.get(name) or (KNOWN + default if default is not None else None)
        if value is None:
            return None
        found[name] = value
    names = [value for name, value in found.items() if name not in known.joined]
    if known.joined:
        names.append(statespelling.joined([found[name] for name in known.joined]))
    return names


def check(project: Sources) -> Iterator[ConfigError]:
    """Every stack that would share the state of another one."""
    states = States(project)
    found: dict[tuple[str, ...], list[tuple[str, StateId]]] = {}
    for name, stack in project.stacks.items():
        if name not in project.checked and _is_faulty(project, stack):
            continue  # reported where that is checked
        state = states.own(stack)
        if state is None:
            continue
        others = found.setdefault(state.key, [])
        other = next((known for known, its in others if state.same(its)), None)
        if other is not None:
            yield _shared(project, stack, project.stacks[other], state)
        others.append((name, state))
    for others in found.values():
        for name, state in others:
            for key in state.beside:
                for over, its in found.get(key, ()):
                    if state.at_one_place(its):
                        yield _overwritten(project, project.stacks[over], project.stacks[name])


def _is_faulty(project: Sources, stack: Stack) -> bool:
    module = project.module(stack.name)
    return bool(module.broken) or (stack.backend is not None and module.backend != stack.backend.kind)


def _shared(project: Sources, stack: Stack, other: Stack, state: StateId) -> ConfigError:
    message = (
        f"stacks '{other.name}' and '{stack.name}' would keep one state, and each would destroy the other's resources"
    )
    if not state.certain:
        message += " (as far as is known: both contain the same expression, which only the engine evaluates)"
    return _clash(project, stack, message)


def _overwritten(project: Sources, stack: Stack, other: Stack) -> ConfigError:
    return _clash(
        project, stack,
        f"the state of stack '{stack.name}' would be where the engine keeps the backup or lock of the state of"
        f" '{other.name}', and be overwritten",
    )  # fmt: skip


def _clash(project: Sources, stack: Stack, message: str) -> ConfigError:
    module, kind = project.module(stack.name), project.module(stack.name).backend or "local"
    own = KINDS[kind].own
    if stack.backend is not None:
        return project.loaded.error(message, *backend.key(stack), "settings", next_step=f"use {{stack}} in `{own}`")
    if module.backend is None:
        shown = posixpath.join(stack.path, backend.implied_state(project, stack) or "")
        return project.loaded.error(
            f"{message}: {shown}", "stacks", stack.name,
            next_step=f'write `terraform {{ backend "local" {{}} }}` into a file of {stack.path}, and set `backend:'
            ' {kind: local, settings: {path: "{root}/.state/{stack}-{environment}.tfstate"}}`',
        )  # fmt: skip
    where = f"{module.backend_file}:{module.backend_line}" if module.backend_line else module.backend_file
    return ConfigError(
        message, key=project.key(stack.name), where=where, untouched="nothing was planned or applied",
        next_step=f"change `{own}` there; or remove it from the block and use {{stack}} in it in `backend: {{kind:"
        f" {kind}, settings: ...}}`",
    )  # fmt: skip


def _flat(name: str, value: Json) -> Iterator[tuple[str, str]]:
    """The plain values within a setting, with dotted names."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(f"{name}.{key}", item)
    else:
        yield name, str(value)


def _with_names(value: Json, placeholders: Mapping[str, Json]) -> Json:
    """A setting with the names of stack and environment filled in, and everything else as written."""
    if isinstance(value, dict):
        return {key: _with_names(item, placeholders) for key, item in value.items()}
    text = str(value)
    for name, known in placeholders.items():
        text = text.replace(f"{{{name}}}", str(known))
    return text


def binding(project: Sources, stack: Stack) -> str | None:
    """A digest of which state a stack keeps and where, the same in every clone; None where that is not known.

    A plan is bound to it: what the environment says of a backend (`TF_HTTP_ADDRESS`, `PG_CONN_STR`) is in no file.
    Users and passwords do not count, as each job may have its own.
    """
    state = States(project).now(stack)
    if state is None:
        return None
    root = f"{KNOWN}{project.layout.root.resolve().as_posix()}/"
    names = [value.removeprefix(root) if state.kind == "local" else without_user(value) for value in state.names]
    place = [without_user(value or "") for value in state.place] if state.kind != "kubernetes" else []
    return sha256_bytes(canonical_json([state.kind, names, place]))[:_BINDING_DIGITS]


def without_user(value: str) -> str:
    """A value without a user and password in it, whether it is an address or words as PostgreSQL has them."""
    return _USER_WORDS.sub("", _USER_IN_ADDRESS.sub("://", value))
