"""The backends of stacks: checks before anything runs, and the settings that the engine gets."""

from __future__ import annotations

import os
import posixpath
import re
from fnmatch import fnmatchcase
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from ..base import interpolate
from ..base.errors import ConfigError
from ..base.layout import ENVIRONMENTS_DIR
from ..base.masking import SECRET_NAME
from .config.yamlfile import dotted
from .otherenvironments import OtherEnvironments, deciding
from .statekinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from ..base.problem import Where
    from .sources import Sources
    from .stack import Stack

# Names of settings that are secrets, in all backends of the engine; not `..._file` and similar.
_CREDENTIAL = re.compile(
    r"(^|_)(password|passwd|token|secret|conn_str|credentials|sas|(secret|access|customer|encryption|private|client)_key"
    r"|(secret|access)_key_id|secret_id|private_key_pem|certificate_password)$",
    re.IGNORECASE,
)
_USER_IN_ADDRESS = re.compile(r"://[^/?#]*@")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)")
_SHORTEST_SECRET = 8  # a shorter value may stand in a setting by chance
_BY_ENVIRONMENT = "pass it in the engine's environment variables (TF_HTTP_PASSWORD, PG_CONN_STR, AWS_...)"


def settings(project: Sources, stack: Stack) -> dict[str, Any] | None:
    """The kind and filled-in settings of a stack's configured backend; None if the stack's own files define it.

    Plain values become text, as on the engine's command line; lists and mappings keep their shape.

    Raises:
        ConfigError: A placeholder or environment variable has no value.
    """
    if stack.backend is None:
        return None
    filled = {name: setting(project, stack, name) for name in stack.backend.settings}
    return {"kind": stack.backend.kind, "settings": filled}


def setting(project: Sources, stack: Stack, name: str) -> Any:
    """One configured setting, filled in.

    Raises:
        ConfigError: A placeholder or environment variable has no value.
    """
    value = stack.backend.settings[name] if stack.backend is not None else None
    values = project.placeholders(stack.name)
    try:
        return _filled(value, values, name, None)
    except ConfigError:  # where it stands is looked up only to be told, as this is called for every stack
        path = (*key(stack), "settings", name)
        return _filled(value, values, dotted(path), project.loaded.where(*path))


def check(project: Sources) -> Iterator[ConfigError]:
    """Everything that is wrong with the backends of a project's stacks, as far as the configuration shows it."""
    others, secrets = OtherEnvironments(project), cache(partial(_secret_in, project))
    for name, stack in project.stacks.items():
        if name in project.checked or project.module(name).broken:
            continue
        if project.tree is not None:
            yield from _check_tree(project, stack)
        if stack.backend is None:
            yield from _check_own(project, stack)
            continue
        yield from _check_secrets(project, stack, secrets)
        if project.module(name).backend != stack.backend.kind:
            yield _other_kind(project, stack, stack.backend.kind)
            continue
        yield from _check_environments(project, stack, others)


def key(stack: Stack) -> tuple[str, ...]:
    """Where a stack's backend is configured."""
    return ("stacks", stack.name, "backend") if stack.settings.backend is not None else ("backend",)


def _check_own(project: Sources, stack: Stack) -> Iterator[ConfigError]:
    module = project.module(stack.name)
    fixed = module.backend is not None and not module.backend_varies
    if fixed and project.environment != project.config.default_environment:
        yield project.loaded.error(
            f'{stack.path} uses one state for all environments: its backend "{module.backend}" is fixed',
            "stacks", stack.name, "backend",
            next_step="set `backend.settings` and use {environment} in them, for example in a path or an address",
        )  # fmt: skip


def _other_kind(project: Sources, stack: Stack, kind: str) -> ConfigError:
    own = project.module(stack.name).backend
    found = f'backend "{own}"' if own else "no backend"
    return project.loaded.error(
        f'{stack.path} has {found}, but `backend.kind` is "{kind}"', *key(stack),
        next_step=f'write `terraform {{ backend "{kind}" {{}} }}` into a file of {stack.path}',
    )  # fmt: skip


def _check_tree(project: Sources, stack: Stack) -> Iterator[ConfigError]:
    """A local state must not be in an overlay's build tree, which is a cache."""
    if (stack.backend.kind if stack.backend else project.module(stack.name).backend) not in (None, "local"):
        return
    try:
        known = settings(project, stack)
    except ConfigError:
        return  # an environment variable is not set, which is reported where it is needed
    path = str(known["settings"].get("path", "")) if known else ""
    root = project.root.as_posix()
    if posixpath.normpath(posixpath.join(root, stack.path, path)).startswith(f"{root}/"):
        place = project.layout.relative(project.root)
        yield project.loaded.error(
            f"the state of '{stack.name}' would be in {place}, which is a cache", *key(stack),
            next_step="keep it in this repository's folder: `backend: {kind: local, settings: {path:"
            ' "{root}/.state/{stack}-{environment}.tfstate"}}`, or elsewhere',
        )  # fmt: skip


def _check_secrets(
    project: Sources, stack: Stack, secret_in: Callable[[str], tuple[str | None, str]]
) -> Iterator[ConfigError]:
    """Settings must not be secrets: the engine stores them in plain text in its data directory and in every plan."""
    for path, value in _leaves(stack.backend.settings if stack.backend else {}):
        variable, declared = secret_in(str(value))
        named = ".".join(path)
        if any(_CREDENTIAL.search(part) for part in path):
            problem = f"'{named}' is a credential"
        elif _USER_IN_ADDRESS.search(str(value)):
            problem = f"'{named}' has a user or password in its address"
        elif variable:
            problem = f"'{named}' contains {variable}, which is a secret by {declared or 'its name'}"
        else:
            continue
        message = f"{problem}: the engine would store it in plain text in every plan"
        yield project.loaded.error(message, *key(stack), "settings", path[0], next_step=_BY_ENVIRONMENT)


def _secret_in(project: Sources, value: str) -> tuple[str | None, str]:
    """The variable in a setting that holds a secret, by reference or by what it holds, and the key that says so.

    A secret by its name alone has no such key.
    """
    config = project.config
    keys = {
        "`encryption.key`": [config.encryption.key or ""],
        "`encryption.previous`": config.encryption.previous,
        "`publish.token`": [config.publish.token or ""],
        "`secrets`": config.secrets,
    }
    held = [name for name, text in os.environ.items() if len(text) >= _SHORTEST_SECRET and text in value]
    for name in (*_VARIABLE.findall(value), *held):
        declared = next((key for key, globs in keys.items() if any(fnmatchcase(name, glob) for glob in globs)), "")
        if declared or SECRET_NAME.search(name.upper()):
            return name, declared
    return None, ""


def _check_environments(project: Sources, stack: Stack, others: OtherEnvironments) -> Iterator[ConfigError]:
    """Two environments must not share a state; settings from variables may differ."""
    backend, at = stack.backend, key(stack)
    if backend is None or project.environment == project.config.default_environment:
        return
    name, text = KINDS[backend.kind].own if backend.kind in KINDS else None, deciding(backend.settings)
    if name not in backend.settings or "{environment}" in text or "${" in text or _is_in_variables():
        return
    overridden = any(
        path[: len(at)] == at
        for document in project.loaded.documents
        if ENVIRONMENTS_DIR in document.name
        for path in document.lines
    )
    other = others.sharing(stack) if overridden else project.config.default_environment
    if other is not None:
        yield project.loaded.error(
            f"environments '{other}' and '{project.environment}' would keep one state", *at, "settings", str(name),
            next_step=f"use {{environment}} in `{name}`, or set another value in the environment's own file",
        )  # fmt: skip


def _is_in_variables() -> bool:
    return any(variable.upper().startswith("DEPLOY_BACKEND") for variable in os.environ)


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterable[tuple[tuple[str, ...], Any]]:
    """Every plain value within settings, with its path of names."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, (*path, str(name)))
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, path)
    else:
        yield path, value


def _filled(value: Any, values: dict[str, Any], named: str, where: Where | None) -> Any:
    if isinstance(value, dict):
        return {name: _filled(item, values, f"{named}.{name}", where) for name, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, values, f"{named}[{position}]", where) for position, item in enumerate(value)]
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return interpolate.fill(text, values, key=named, where=where)


def implied_state(project: Sources, stack: Stack) -> str | None:
    """The state file, relative to the stack, if neither the stack nor the configuration names a backend."""
    if stack.backend is not None or project.module(stack.name).backend is not None:
        return None
    if project.environment == project.config.default_environment:
        return "terraform.tfstate"
    return f"terraform.tfstate.d/{project.environment}/terraform.tfstate"


def state_file(project: Sources, stack: Stack) -> Path | None:
    """The state file, if the state is local and its place is known; else None."""
    if implied := implied_state(project, stack):
        return project.root / stack.path / implied
    configured = settings(project, stack)
    if configured is None or configured["kind"] != "local" or "path" not in configured["settings"]:
        return None
    return project.root / stack.path / str(configured["settings"]["path"])
