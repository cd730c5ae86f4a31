"""The values of a stack's variables from outside its folder, and how the engine gets them."""

from __future__ import annotations

import os
import posixpath
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

from ..base import interpolate, jsontext, sealed
from ..base.errors import ConfigError, DeployError
from .hcl import reader, syntax

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from .sources import Sources
    from .stack import Stack

PREFIX = "TF_VAR_"
_FIRST = ("terraform.tfvars", "terraform.tfvars.json")
_CONTROL = {"\\b": "\\u0008", "\\f": "\\u000c"}


def configured(
    project: Sources, stack: Stack, without: Collection[str] = (), optional: Collection[str] = ()
) -> dict[str, Any]:
    """The values in the configuration, with `${ENV}`, `{environment}` and similar filled in.

    Args:
        project: The stacks and their files.
        stack: The stack.
        without: The names of variables to leave out, whether their values can be determined or not.
        optional: Those to leave out if their values cannot be determined.

    Raises:
        ConfigError: An environment variable is not set.
    """
    found = {}
    for name, value in stack.settings.variables.items():
        if name not in without:
            with suppress(ConfigError) if name in optional else nullcontext():
                found[name] = interpolate.expand_environment(
                    value, key=project.key(stack.name, "variables", name), values=_values(project, stack)
                )
    return found


def _values(project: Sources, stack: Stack) -> dict[str, Any]:
    return {**project.organization, "environment": project.environment, "stack": stack.name}


def from_environment(project: Sources, stack: Stack) -> dict[str, str]:
    """The `TF_VAR_*` variables of this process that the stack declares, by their full names."""
    declared = project.module(stack.name).variables
    names = (PREFIX + name for name in sorted(declared))  # called for every stack, so not a walk over all
    return {name: os.environ[name] for name in names if name in os.environ}


def var_files(project: Sources, stack: Stack) -> list[str]:
    """The stack's var files in order, relative to the repository's root; optional ones only if they exist.

    Raises:
        ConfigError: Files that are not optional are missing; it names each of them.
    """
    found, missing = [], dict[int, tuple[str, str]]()
    for position, entry in enumerate(stack.settings.var_files):
        path, optional = (entry, False) if isinstance(entry, str) else (entry.path, entry.optional)
        key = project.key(stack.name, "var_files", position)
        filled = interpolate.fill(path, project.placeholders(stack.name), key=key)
        full = posixpath.normpath(posixpath.join(stack.named, filled))
        if project.index.digest(full) is not None:
            found.append(full)
        elif not optional:
            missing[position] = (full, path)
    if missing:
        raise _missing(project, stack, missing)
    return found


def _missing(project: Sources, stack: Stack, missing: Mapping[int, tuple[str, str]]) -> ConfigError:
    """The error for var files that are not there, each by its position with its path and how it is written."""
    at = ("stacks", stack.name, "var_files")
    first = next(iter(missing))
    full, path = missing[first]
    places = [
        f"there is no var file {full} ({project.loaded.where(*at, number)})" for number, (full, _) in missing.items()
    ]
    message = f"there is no var file {full}" if len(missing) == 1 else "; ".join(places)
    step = f'create {full}, or mark it as optional: {{path: "{path}", optional: true}}'
    return project.loaded.error(message, *at, first, stack=stack.name, next_step=step)


def automatic_var_files(project: Sources, stack: Stack) -> list[str]:
    """The var files in the stack's folder that the engine loads by itself, in its order: a later one wins."""
    names = [name for name in project.index.names(stack.path) if is_automatic(name)]
    return [f"{stack.path}/{name}" for name in sorted(names, key=lambda name: (name not in _FIRST, name))]


def known_beforehand(project: Sources, stack: Stack) -> dict[str, Any]:
    """The values of variables that are known before anything runs, by precedence; never raises.

    Used to find the files that an expression reads. Values that cannot be determined are `syntax.UNKNOWN`.
    """
    values: dict[str, Any] = {}
    for name, text in os.environ.items():
        if name.startswith(PREFIX):
            values[name.removeprefix(PREFIX)] = text
    with suppress(DeployError):
        for path in [*automatic_var_files(project, stack), *var_files(project, stack)]:
            values |= {name: _unless_template(value) for name, value in _file_values(project, path).items()}
    for name, value in stack.settings.variables.items():
        values.pop(name, None)
        with suppress(DeployError):
            values[name] = interpolate.expand_environment(value, key=name, values=_values(project, stack))
    later = {*stack.inputs, *stack.settings.images}
    return {**values, **dict.fromkeys(later, syntax.UNKNOWN)}


def sensitive_values(
    project: Sources, stack: Stack, given: Mapping[str, Any], optional: Collection[str] = ()
) -> list[Any]:
    """Every value that a sensitive variable may have: by default, file, environment or configuration.

    Args:
        project: The stacks and their files.
        stack: The stack.
        given: Values from upstream outputs in this run.
        optional: Variables whose configured values may be missing.
    """
    module = project.module(stack.name)
    names = set(module.sensitive)
    values: list[Any] = []
    if names:
        values += [default for path in module.files for default in _sensitive_defaults(project, path)]
        for path in [*automatic_var_files(project, stack), *var_files(project, stack)]:
            found = _file_values(project, path)
            values += [value for name, value in found.items() if name in names and value is not syntax.UNKNOWN]
        values += [
            value for name, value in from_environment(project, stack).items() if name.removeprefix(PREFIX) in names
        ]
        here = {**configured(project, stack, optional=optional), **given}
        values += [value for name, value in here.items() if name in names]
    return values


@contextmanager
def handed_over(values: Mapping[str, Any]) -> Iterator[tuple[list[str], tuple[int, ...]]]:
    """Pass variables to one engine command without argv or disk: yields arguments and file descriptors to inherit.

    The values are in a sealed file, which on Linux is in memory only. A var file wins over everything but a later one,
    so the configuration wins over the stack's own files.
    """
    if not values:
        yield [], ()
        return
    text = "".join(f"{name} = {expression(value)}\n" for name, value in sorted(values.items()))
    data = text.encode(errors="backslashreplace")  # half a character; the engine reports the variable
    with sealed.of(data) as file:
        yield [f"-var-file={file.argument()}"], (file.descriptor,)


def expression(value: Any) -> str:
    """A JSON value as an HCL expression: the same text except for template markers and two escapes that HCL lacks."""
    text = jsontext.dumps(value, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
    if "\\b" in text or "\\f" in text:
        import re

        text = re.sub(r"\\.", lambda match: _CONTROL.get(match[0], match[0]), text)
    return text


def is_automatic(name: str) -> bool:
    """Whether the engine loads a file of this name in a stack's folder as a var file."""
    return name in _FIRST or name.endswith((".auto.tfvars", ".auto.tfvars.json"))


def _sensitive_defaults(project: Sources, path: str) -> list[Any]:
    if not any(variable.sensitive and variable.has_default for variable in project.index.facts(path).variables):
        return []
    return [variable.default for variable in project.index.read_facts(path).variables if variable.sensitive]


def _unless_template(value: Any) -> Any:
    """A value in a var file, or `syntax.UNKNOWN` if it may be a template, as texts in JSON are."""
    if isinstance(value, str):
        return syntax.UNKNOWN if "${" in value or "%{" in value else value
    if isinstance(value, list | dict):
        inner = value.values() if isinstance(value, dict) else value
        return syntax.UNKNOWN if any(_unless_template(item) is syntax.UNKNOWN for item in inner) else value
    return value


def _file_values(project: Sources, path: str) -> dict[str, Any]:
    """The values in a var file; `syntax.UNKNOWN` for expressions."""
    try:
        content = project.index.content(path)
        if path.endswith(".json"):
            values = jsontext.loads(content)
            return values if isinstance(values, dict) else {}
        return reader.read_values(content)
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"cannot read the var file {path}: {error}", where=path) from error
