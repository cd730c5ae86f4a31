"""Loads a repository's Project: reads the configuration, finds the stacks on disk, and relates them."""

from __future__ import annotations

import posixpath
import re
from dataclasses import fields
from typing import TYPE_CHECKING

from ..base.errors import ConfigErrors, nearest
from ..base.layout import Layout
from ..base.model import NAME_PATTERN
from . import dependencies, model, remotestate, variables
from .config import loading
from .hcl.fileindex import FileIndex
from .project import Project
from .sources import Sources
from .stack import OutputReference, Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from ..base.errors import ConfigError
    from ..base.problem import Where
    from .config.loading import Loaded
    from .config.upstream import Base
    from .statekinds import StateId

    Configured = Callable[[Loaded, Layout], None]


def load(
    root: Path, environment: str | None = None, *, update: bool = False, code: bool = True,
    checked: Mapping[str, StateId | None] | None = None, configured: Configured | None = None,
) -> Project:  # fmt: skip
    """Read the configuration, find the stacks, and relate them.

    The caller checks references, see `start.check`.

    Args:
        root: The repository's root.
        environment: The environment's name; by default the configuration's default.
        update: Whether an overlay's upstream may be pinned to a new commit.
        code: Whether to read which states the stacks' code reads; the graph lacks these otherwise.
        checked: See `Sources.checked`.
        configured: Is called once the configuration is read, and before all else is.

    Raises:
        ConfigError: The configuration is invalid in a part that everything else depends on.
        ConfigErrors: One error for every stack whose folder is wrong.
        UpstreamError: The upstream of an overlay cannot be obtained at its pinned commit.
    """

    def resolve(root: Path, settings: model.Upstream, where: Where) -> Base:
        from .overlay import pin

        return pin.resolve(root, settings, where, update=update)

    loaded = loading.load(root, environment, resolve)
    layout, tree = Layout(root, loaded.environment), None
    if configured is not None:
        configured(loaded, layout)
    if loaded.base is not None:
        from .overlay import buildtree

        tree = buildtree.merge(layout, loaded.base)
    index = FileIndex(tree.folder, layout.tree_file_index) if tree else FileIndex(root, layout.file_index)
    with index.at_once():
        sources = Sources(
            home=root, loaded=loaded, index=index, tree=tree, known=variables.known_beforehand,
            stacks=stacks(loaded, index), checked=checked or {},
        )  # fmt: skip
        if loaded.config.organization is not None:
            from .config import organization

            sources.organization = organization.load(sources.root, loaded)
        return related(sources, code=code)


def related(sources: Sources, *, code: bool = True) -> Project:
    """The project of some sources: their catalog, the states that stacks read (see `load`), and the graph.

    Raises:
        ConfigError: Stacks depend on each other.
    """
    catalog = None
    if sources.config.builds or sources.config.images:
        from .catalog import Catalog

        catalog = Catalog(sources)
    reads = remotestate.find(sources) if code else {}
    graph, faults = dependencies.related(sources, reads)
    known = {part.name: getattr(sources, part.name) for part in fields(Sources)}
    return Project(**known, catalog=catalog, remote_reads=reads, graph=graph, faults=faults)


def stacks(loaded: Loaded, index: FileIndex) -> dict[str, Stack]:
    """The enabled stacks, configured or found by `discover`, sorted by name."""
    configured = loaded.config.stacks
    taken = {posixpath.normpath(settings.path) for settings in configured.values() if settings.path}
    folders = _discover(loaded, index, taken)
    found = {name: path for name, path in folders.items() if path not in taken or name in configured}
    stacks: dict[str, Stack] = {}
    errors = _found_twice(loaded, found)
    for name in sorted({*found, *configured}):
        settings = configured.get(name) or model.Stack()  # type: ignore[call-arg]
        path = posixpath.normpath(settings.path) if settings.path else found.get(name, f"stacks/{name}")
        problem = None if path == found.get(name) else _folder_problem(index, path, folders.values())
        if not settings.enabled and (settings.path or problem is None or index.is_folder(path)):
            continue
        if problem:  # also of a disabled one: the stack that was meant would be deployed
            errors.append(loaded.error(problem, "stacks", name, *(["path"] if settings.path else [])))
            continue
        real = index.followed(path)
        if real is None:
            message = f"{path} is a link that leaves the repository; a stack's folder must be inside"
            errors.append(loaded.error(message, "stacks", name))
            continue
        inputs = {}
        for variable, text in settings.inputs.items():
            upstream, _, output = text.rpartition(".")
            inputs[variable] = OutputReference(upstream, output)
        stacks[name] = Stack(name, real, path, settings, settings.backend or loaded.config.backend, inputs)
    if errors:
        raise ConfigErrors(errors)
    return stacks


def _discover(loaded: Loaded, index: FileIndex, taken: set[str]) -> dict[str, str]:
    """Stack name to folder, for every folder that `discover` matches and that contains configuration.

    A folder that is already `taken` by a name under `stacks:` is skipped.
    """
    found: dict[str, str] = {}
    for position, pattern in enumerate(loaded.config.discover):
        fixed = posixpath.dirname(re.split(r"[*?\[]", pattern, maxsplit=1)[0])
        try:
            if ".." in pattern.split("/"):
                raise ValueError("it leaves the repository")
            if not {"{", "$"}.isdisjoint(pattern):
                raise ValueError("braces and `$` mean nothing here; write a glob for each folder")
            folders = [path for path in index.glob("", pattern) if index.is_folder(path)]
        except (ValueError, NotImplementedError, IndexError, OSError) as error:
            raise loaded.error(f"'{pattern}' is not a glob below the root: {error}", "discover", position) from None
        if not folders and fixed and index.is_folder(fixed) and (why := _unreadable(index, fixed)):
            message = f"the folder {fixed} cannot be read, so its stacks are not known: {why}"
            raise loaded.error(message, "discover", position)
        for folder in folders:
            if any(part.startswith(".") for part in folder.split("/")) or not (
                index.configuration(folder) or folder in index.unreadable
            ):
                continue
            name = _below(folder, fixed)
            if folder in taken:
                continue
            if not re.fullmatch(NAME_PATTERN, name):
                message = f"the folder {folder} is not a valid stack name; rename it, or list it under `stacks:`"
                raise loaded.error(message, "discover", position)
            if found.setdefault(name, folder) != folder:
                message = f"two folders have the stack name '{name}': {found[name]} and {folder}"
                raise loaded.error(message, "discover", position)
    return found


def _below(folder: str, above: str) -> str:
    """A folder as seen from another one, below which it mostly is."""
    if not above:
        return folder
    return folder.removeprefix(f"{above}/") if folder.startswith(f"{above}/") else posixpath.relpath(folder, above)


def _unreadable(index: FileIndex, folder: str) -> str | None:
    """Why a folder cannot be listed; None if it can."""
    index.names(folder)
    return index.unreadable.get(folder)


def _found_twice(loaded: Loaded, found: Mapping[str, str]) -> list[ConfigError]:
    """Every folder that `discover` finds under two names: two stacks would create everything in it twice."""
    names: dict[str, str] = {}
    errors = []
    for name, folder in sorted(found.items()):
        settings = loaded.config.stacks.get(name)
        if settings is not None and (not settings.enabled or settings.path):
            continue
        if (other := names.setdefault(folder, name)) != name:
            message = f"the folder {folder} would be two stacks, '{other}' and '{name}': two globs find it"
            step = "narrow one of the globs, or set `enabled: false` for one of the two under `stacks:`"
            errors.append(loaded.error(message, "discover", next_step=step))
    return errors


def _folder_problem(index: FileIndex, path: str, known: Iterable[str]) -> str | None:
    if path.startswith(("../", "/")) or path in ("..", "."):
        return f"a stack's folder must be inside the repository, not the whole of it: '{path}'"
    if not index.is_folder(path):
        return f"this stack's folder {path} does not exist{nearest(path, list(known))}"
    if not index.configuration(path) and path not in index.unreadable:
        return f"{path} contains no configuration (*.tf, *.tofu)"
    return None
