"""Which stack needs which, from keys and from reads of states; reads that make a cycle are the fault of its stacks."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from ..base.errors import ConfigError
from ..base.problem import NOTHING_PLANNED
from .stackgraph import CycleError, StackGraph, cycles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .remotestate import RemoteRead
    from .sources import Sources


def related(sources: Sources, reads: Mapping[str, list[RemoteRead]]) -> tuple[StackGraph, dict[str, ConfigError]]:
    """The graph of a project's stacks, and the fault of each stack that cannot be ordered.

    Stacks that are in a cycle because one reads the state of another lose their edges by reading: they are not run,
    so they need no order, and the others keep theirs.

    Raises:
        ConfigError: Stacks need each other by what the configuration says of them.
    """
    needs = {name: _configured(sources, name) | _read(sources, reads, name) for name in sources.stacks}
    try:
        return StackGraph.build(needs), {}
    except CycleError:
        _check_configured(sources)
        found = cycles(needs)
    for name in found:
        needs[name] = _configured(sources, name) | (needs[name] - found.keys())
    return StackGraph.build(needs), {name: _fault(sources, reads, path) for name, path in found.items()}


def _check_configured(sources: Sources) -> None:
    """Refuse a configuration by whose keys stacks need each other.

    Raises:
        ConfigError: They do.
    """
    try:
        StackGraph.build({name: _configured(sources, name) for name in sources.stacks})
    except CycleError as error:
        start = error.path[0]
        key = "inputs" if error.path[1] in _given(sources, start) else "depends_on"
        message = f"these stacks need each other: {error}"
        raise sources.loaded.error(message, "stacks", start, key) from None


def _given(sources: Sources, name: str) -> set[str]:
    """The stacks whose outputs a stack gets."""
    return {reference.stack for reference in sources.stacks[name].inputs.values()}


def _configured(sources: Sources, name: str) -> set[str]:
    """The stacks that the configuration says a stack needs."""
    return sources.stacks.keys() & {*sources.stacks[name].settings.depends_on, *_given(sources, name)}


def _read(sources: Sources, reads: Mapping[str, list[RemoteRead]], name: str) -> set[str]:
    """The stacks that a stack needs because it reads their state, unless the configuration says that it does not."""
    return {read.stack for read in reads.get(name, ())}.difference(sources.stacks[name].settings.independent_of)


def _fault(sources: Sources, reads: Mapping[str, list[RemoteRead]], path: list[str]) -> ConfigError:
    """What is wrong with a stack that is in a cycle; `path` begins and ends with it."""
    name, lines, ways = path[0], [], []
    for stack, upstream in itertools.pairwise(path):
        settings = sources.stacks[stack].settings
        if upstream in settings.depends_on:
            at = ("stacks", stack, "depends_on", settings.depends_on.index(upstream))
            lines.append(f"{stack} depends on {upstream}: {sources.loaded.where(*at)} ({sources.key(stack, at[2])})")
        elif upstream in _given(sources, stack):
            where = sources.loaded.where("stacks", stack, "inputs", _variable(sources, stack, upstream))
            lines.append(f"{stack} gets an output of {upstream}: {where} ({sources.key(stack, 'inputs')})")
        else:
            read = next(read for read in reads[stack] if read.stack == upstream)
            data = f"data.terraform_remote_state.{read.name}"
            lines.append(f"{stack} reads the state of {upstream}: {read.place} ({data})")
            ways.append((read.place, f"`stacks: {{{stack}: {{independent_of: [{upstream}]}}}}`"))
    place, way = ways[0]
    return ConfigError(
        f"these stacks read each other's state, so none can be deployed first: {' -> '.join(path)}",
        where=place, key=sources.key(name), stack=name, details=lines,
        untouched=NOTHING_PLANNED,
        next_step=f"name the stack that need not be deployed first: {way}",
    )  # fmt: skip


def _variable(sources: Sources, stack: str, upstream: str) -> str:
    return next(name for name, reference in sources.stacks[stack].inputs.items() if reference.stack == upstream)
