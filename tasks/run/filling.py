"""Fills in the templates of checks from the environment, the stack's outputs and the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from ..artifact import outputs
from ..base import interpolate
from ..base.errors import ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..base.jsonvalue import Json, JsonObject
    from ..checks.check import Check
    from ..project.project import Project
    from ..project.stack import Stack

_OUTPUTS = "outputs."


def wrong(project: Project) -> Iterator[ConfigError]:
    """Placeholders in checks without a value, as far as that is known before anything runs."""
    for name, stack in project.stacks.items():
        for position, check in enumerate(stack.settings.verify):
            for path, text in _texts(_dumped(check)):
                for word in interpolate.placeholders(text):
                    if problem := _problem(project, name, word):
                        yield project.loaded.error(problem, "stacks", name, "verify", position, *path)


def unset(project: Project, stack: Stack) -> Iterator[ConfigError]:
    """Variables without a value in a stack's checks: only where these run must they be set."""
    for position, check in enumerate(stack.settings.verify):
        for path, text in _texts(_dumped(check)):
            yield from unset_in(project, text, "stacks", stack.name, "verify", position, *path)


def unset_in(project: Project, text: str, *place: str | int) -> Iterator[ConfigError]:
    """Variables without a value in a text at a place of the configuration."""
    for name in interpolate.unset(text):
        yield project.loaded.error(
            f"the environment variable {name} is not set", *place,
            next_step=f"set {name}, or add a default: ${{{name}:-value}}",
        )  # fmt: skip


def fill(project: Project, stack: Stack, position: int) -> Check:
    """A check of a stack with its templates filled in.

    Raises:
        ConfigError: A placeholder or variable has no value, or the check cannot use the value.
        RecordError: The outputs of the stack cannot be read.
    """
    check = stack.settings.verify[position]
    at = ("stacks", stack.name, "verify", position)
    values = {**project.placeholders(stack.name), "root": project.root_from_tree}
    for name, output in (outputs.stored(project.layout, stack.name) or {}).items():
        if not output.sensitive:
            values[_OUTPUTS + name] = output.value

    def filled(value: Json, *path: str | int) -> Json:
        if isinstance(value, dict):
            return {key: filled(item, *path, key) for key, item in value.items()}
        if isinstance(value, list):
            return [filled(item, *path, number) for number, item in enumerate(value)]
        if not isinstance(value, str):
            return value
        key = project.key(stack.name, "verify", position, *path)
        return interpolate.fill(value, values, key=key, where=project.loaded.where(*at, *path))

    try:
        return type(check).model_validate(filled(_dumped(check)))
    except ValidationError as error:  # the invalid value is not shown: it may come from a secret variable
        first = error.errors()[0]
        message = f"invalid after its templates were filled in: {first['msg'].removeprefix('Value error, ')}"
        path = [part for part in first["loc"] if isinstance(part, str)][:1]
        raise project.loaded.error(message, *at, *path, stack=stack.name) from None


def _dumped(check: Check) -> JsonObject:
    return check.model_dump(by_alias=True)


def _problem(project: Project, stack: str, word: str) -> str | None:
    if word.startswith((interpolate.ORGANIZATION,)):  # checked in every position
        return None
    if word.startswith(_OUTPUTS):
        module, name = project.module(stack), word.removeprefix(_OUTPUTS)
        if module.broken or name in module.outputs:
            return None
        return f"stack '{stack}' has no output '{name}'{nearest(name, list(module.outputs))}"
    known = ["stack", "environment", "root"]
    return (
        None if word in known else f"unknown placeholder {{{word}}} in a check{nearest(word, [*known, 'outputs.NAME'])}"
    )


def _texts(value: Json, *path: str | int) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, *path, key)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _texts(item, *path, number)
