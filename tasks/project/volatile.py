"""Variables whose values are not inputs: ephemeral ones, and those configured as volatile.

No plan keeps the value of an ephemeral variable, so an apply needs one, and any will do. A volatile one is in the plan
like any other: an apply uses the value that is there, whatever the job that applies has got.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.errors import nearest
from ..base.files import sha256_bytes
from .hcl import reader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..base.errors import ConfigError
    from .sources import Sources
    from .stack import Stack

_KEY = "volatile_variables"


def volatile(project: Sources, stack: Stack) -> frozenset[str]:
    """The variables of a stack that the configuration calls volatile, less those that are ephemeral anyway."""
    named = {*project.config.volatile_variables, *stack.settings.volatile_variables}
    if not named:
        return frozenset()
    module = project.module(stack.name)
    return frozenset(named & module.variables.keys()) - module.ephemeral


def uncounted(project: Sources, stack: Stack) -> frozenset[str]:
    """The variables of a stack whose values are no inputs."""
    return volatile(project, stack) | project.module(stack.name).ephemeral


def var_file_digest(project: Sources, stack: Stack, path: str) -> str | None:
    """Hex SHA-256 of what counts in a var file; None if nothing does, or where there is no such file."""
    digest = project.index.digest(path)
    if digest is None or not uncounted(project, stack):
        return digest
    return counted_digest(project, stack, path, project.index.content(path))


def counted_digest(project: Sources, stack: Stack, path: str, content: bytes) -> str | None:
    """`var_file_digest` of a content that was just read."""
    counted = reader.without_values(path, content, uncounted(project, stack))
    return None if counted is None else sha256_bytes(counted)


def wrong(project: Sources) -> Iterator[ConfigError]:
    """The names among volatile variables that no stack declares, and those whose values have to count."""
    declared: set[str] = set()
    for name, stack in project.stacks.items():
        module = project.module(name)
        declared |= module.variables.keys()
        for position, variable in enumerate(stack.settings.volatile_variables):
            if variable not in module.variables and not module.broken:
                message = f"{stack.path} declares no variable '{variable}'{nearest(variable, list(module.variables))}"
                yield project.loaded.error(message, "stacks", name, _KEY, position)
        for variable in sorted(volatile(project, stack) & stack.settings.images.keys()):
            message = f"'{variable}' gets the reference of an image, which always counts: it cannot be volatile"
            yield project.loaded.error(message, "stacks", name, "images", variable)
        for variable in sorted(volatile(project, stack) & stack.inputs.keys()):
            upstream = stack.inputs[variable].stack
            message = (
                f"'{variable}' gets an output of stack '{upstream}', whose changes always count: it cannot be volatile"
            )
            yield project.loaded.error(
                message, "stacks", name, "inputs", variable,
                next_step="declare the variable `ephemeral = true` if no resource keeps its value",
            )  # fmt: skip
    whole = not any(not stack.enabled for stack in project.config.stacks.values())
    if whole and project.stacks and not any(project.module(name).broken for name in project.stacks):
        for position, variable in enumerate(project.config.volatile_variables):
            if variable not in declared:
                message = f"no stack declares a variable '{variable}'{nearest(variable, list(declared))}"
                yield project.loaded.error(message, _KEY, position)
