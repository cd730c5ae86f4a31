"""Finds what each stack that is up to date rests on, so that the next `doit status` need not look at it.

A stack that rests on more than files that are known by name has no standing: it is looked at each time.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections import defaultdict
from typing import TYPE_CHECKING

from .artifact import stamps
from .artifact.standing import Standing
from .base import interpolate
from .project import stateid
from .project.statekinds import KINDS

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterator, Mapping, Sequence

    from .base.layout import Layout
    from .project.stack import Stack
    from .project.statekinds import StateId
    from .run.run import Run

_NAME = "\0"


def of(run: Run, listed: Sequence[str]) -> dict[str, Standing]:
    """The stacks that `status` has found to be up to date.

    Args:
        run: The run.
        listed: Every file and folder of the repository.

    Raises:
        ConfigError: A setting cannot be filled in.
    """
    project, found = run.project, dict[str, Standing]()
    if project.catalog is not None or project.config.organization is not None:
        return found
    root = run.layout.root.resolve().as_posix()
    inside = defaultdict[str, list[str]](list)
    for path in listed:
        inside[posixpath.dirname(path)].append(path)
    states, records = stateid.States(project), _records(run.layout)
    for name, deployed in run.settled.items():
        stack = project.stacks[name]
        if (known := run.standing.get(name)) is not None:
            found[name] = known
        elif _is_known_by_name(run, stack) and _may_be_kept(root, stack, state := states.own(stack)):
            found[name] = Standing(deployed, state, list(dict.fromkeys(_rests(run, stack, inside, records))))
    return found


def missing(found: Mapping[str, Standing], listed: Sequence[str]) -> list[str]:
    """What standings rest on besides the listed paths: files that are not there."""
    known = set(listed)
    return list(dict.fromkeys(path for item in found.values() for path in item.rests if path not in known))


def certain(found: Mapping[str, Standing], listed: Sequence[str], read: array[int]) -> dict[str, Standing]:
    """The standings that rest on no link, whose own stamp says nothing of the file that it leads to."""
    links = {path for path, mode in zip(listed, stamps.modes(read), strict=True) if stat.S_ISLNK(mode)}
    return {name: item for name, item in found.items() if links.isdisjoint(item.rests)}


def _is_known_by_name(run: Run, stack: Stack) -> bool:
    """Whether everything that a stack reads is known by name, and no state of a sibling is among it."""
    module, settings = run.project.module(stack.name), stack.settings
    if module.broken or module.remote_states or module.unknown or module.partly:
        return False
    if settings.watch or settings.builds or settings.images:
        return False
    return all(named.exact and not run.project.index.is_folder(named.path) for named in module.named)


def _may_be_kept(root: str, stack: Stack, state: StateId | None) -> bool:
    """Whether nothing in a state's identity may be a secret: what comes from variables, and users in addresses.

    One that is a file must be in the repository: links outside of it have no stamps.
    """
    if state is None:
        return True
    if any(map(os.environ.get, KINDS[state.kind].variables.values())):
        return False
    if stack.backend is not None and any("$" in str(value) for value in stack.backend.settings.values()):
        return False
    if any(stateid.without_user(text) != text for text in (*state.names, *filter(None, state.place))):
        return False
    return state.kind != "local" or (state.file or "").startswith(f"{root}/")


def _rests(run: Run, stack: Stack, inside: Mapping[str, list[str]], records: Sequence[str]) -> Iterator[str]:
    """The files and folders by which a stack is up to date."""
    project, layout, name = run.project, run.layout, stack.name
    module = project.module(name)
    for folder in (stack.path, *module.modules):
        yield folder
        yield from inside.get(folder, ())
    yield from (named.path for named in module.named)
    for position, entry in enumerate(stack.settings.var_files):  # those, too, that are optional and missing
        text, key = entry if isinstance(entry, str) else entry.path, project.key(name, "var_files", position)
        filled = interpolate.fill(text, project.placeholders(name), key=key)
        yield posixpath.normpath(posixpath.join(stack.named, filled))
    yield from (record.replace(_NAME, name) for record in records)
    if stack.settings.verify:
        yield layout.relative(layout.result("verify", name))
    yield from (layout.relative(layout.outputs(reference.stack)) for reference in stack.inputs.values())


def _records(layout: Layout) -> list[str]:
    """What a run knows of a stack from earlier ones, with a mark for its name: paths take long to put together."""
    parts = (layout.receipt, layout.plan, layout.draft, layout.manifest, layout.claim)
    return [layout.relative(path) for path in (layout.result("drift", _NAME), *(part(_NAME) for part in parts))]
