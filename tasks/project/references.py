"""Checks that everything a configuration refers to exists: stacks, outputs, variables, organization values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..base import interpolate
from ..base.errors import nearest
from . import model

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..base.errors import ConfigError
    from .sources import Sources
    from .stack import Stack


def check(project: Sources) -> Iterator[ConfigError]:
    """Every broken reference in the configuration."""
    for name, stack in project.stacks.items():
        yield from _stack(project, name, stack)
    yield from _organization(project)


def _stack(project: Sources, name: str, stack: Stack) -> Iterable[ConfigError]:
    at = ("stacks", name)
    for position, upstream in enumerate(stack.settings.depends_on):
        if upstream not in project.stacks:
            yield project.loaded.error(project.unknown_stack(upstream), *at, "depends_on", position)
    for position, other in enumerate(stack.settings.independent_of):
        if problem := _not_independent(project, stack, other):
            yield project.loaded.error(problem, *at, "independent_of", position)
    for variable, reference in stack.inputs.items():
        if reference.stack not in project.stacks:
            yield project.loaded.error(project.unknown_stack(reference.stack), *at, "inputs", variable)
            continue
        source = project.module(reference.stack)
        if reference.output not in source.outputs and not source.broken:
            message = f"stack '{reference.stack}' has no output '{reference.output}'"
            message += nearest(reference.output, list(source.outputs))
            yield project.loaded.error(message, *at, "inputs", variable)
    for variable in stack.settings.mocks:
        if variable not in stack.inputs:
            message = f"'{variable}' is not an input of this stack{nearest(variable, list(stack.inputs))}"
            yield project.loaded.error(message, *at, "mocks", variable)
    yield from _variables(project, name, stack)


def _not_independent(project: Sources, stack: Stack, other: str) -> str | None:
    """Why a stack cannot be said to be independent of another one; None if it can."""
    if other not in project.stacks:
        disabled = other in project.config.stacks
        return None if disabled else project.unknown_stack(other)
    given = {reference.stack for reference in stack.inputs.values()}
    key = "depends_on" if other in stack.settings.depends_on else "inputs" if other in given else None
    return f"'{other}' is also named in `{key}`: it cannot be both" if key else None


def _variables(project: Sources, name: str, stack: Stack) -> Iterable[ConfigError]:
    given = [("inputs", variable) for variable in stack.inputs]
    given += [("variables", variable) for variable in stack.settings.variables]
    given += [("images", variable) for variable in stack.settings.images]
    if not given:
        return
    module = project.module(name)
    for key, variable in given:
        if variable not in module.variables and not module.broken:
            message = f"{stack.path} declares no variable '{variable}'{nearest(variable, list(module.variables))}"
            yield project.loaded.error(message, "stacks", name, key, variable)
        others = {"variables": stack.inputs, "images": {**stack.inputs, **stack.settings.variables}}.get(key, {})
        if variable in others:
            message = f"'{variable}' is set twice: here and by {'inputs' if variable in stack.inputs else 'variables'}"
            yield project.loaded.error(message, "stacks", name, key, variable)


def _organization(project: Sources) -> Iterable[ConfigError]:
    """Every unknown `{organization.KEY}` in the configuration."""
    for path, text in _texts(project.config):
        for name in interpolate.placeholders(text):
            if name.startswith(interpolate.ORGANIZATION) and name not in project.organization:
                message = f"unknown placeholder {{{name}}}{nearest(name, list(project.organization))}"
                if project.config.organization is None:
                    message += "; the key `organization` is not set"
                yield project.loaded.error(message, *path)


def _texts(config: model.Config) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """The texts of a configuration that may contain organization values, with their key paths."""
    pending: list[tuple[tuple[str | int, ...], Any]] = []
    if config.backend is not None:
        pending.append((("backend", "settings"), config.backend.settings))
    for name, stack in config.stacks.items():
        at = ("stacks", name)
        if stack.backend is not None:
            pending.append(((*at, "backend", "settings"), stack.backend.settings))
        if stack.variables:
            pending.append(((*at, "variables"), stack.variables))
        pending += [((*at, "var_files", number), entry) for number, entry in enumerate(stack.var_files)]
        pending += [((*at, "verify", number), check) for number, check in enumerate(stack.verify)]
    pending += [(("hooks", number, "command"), hook.command) for number, hook in enumerate(config.hooks)]
    pending += [
        (("policy", "checkers", number, "command"), checker.command)
        for number, checker in enumerate(config.policy.checkers)
    ]
    while pending:
        path, value = pending.pop()
        if isinstance(value, str):
            if "{" + interpolate.ORGANIZATION in value:
                yield path, value
        elif isinstance(value, list):
            pending += [((*path, number), item) for number, item in enumerate(value)]
        elif isinstance(value, dict | model.Model):
            pending += [((*path, name), item) for name, item in dict(value).items()]
