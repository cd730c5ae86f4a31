"""What a stack's own configuration says, all its files and local modules taken together."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .fileindex import FileIndex
    from .hcl import Facts, Variable


@dataclass(frozen=True)
class NamedPath:
    """A path outside the configuration proper that it reads or mentions, relative to the repository's root."""

    path: str
    exact: bool
    read: bool


@dataclass
class RootModule:
    """The configuration in one folder.

    `files` are its own files, `modules` the files of each local module that it calls, directly or not; `broken` are
    those that do not parse.
    """

    path: str
    files: list[str] = field(default_factory=list)
    modules: dict[str, list[str]] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)
    outputs: set[str] = field(default_factory=set)
    backend: str | None = None
    backend_varies: bool = False
    broken: list[str] = field(default_factory=list)
    named: list[NamedPath] = field(default_factory=list)

    @property
    def sensitive(self) -> list[str]:
        """The names of the variables declared sensitive."""
        return sorted(name for name, variable in self.variables.items() if variable.sensitive)

    def configuration(self) -> Iterator[str]:
        """The paths of all configuration files, its own first."""
        yield from self.files
        for files in self.modules.values():
            yield from files


def read(index: FileIndex, path: str) -> RootModule:
    """The root module in a folder, from its files alone."""
    module = RootModule(path)
    module.files = index.configuration(path)
    pending = []
    for file in module.files:
        facts = index.facts(file)
        module.variables.update({variable.name: variable for variable in facts.variables})
        module.outputs.update(facts.outputs)
        if facts.backend:
            module.backend, module.backend_varies = facts.backend, facts.backend_varies
        pending += _take(module, file, facts)
    while pending:
        folder = pending.pop()
        if folder in module.modules or folder == path:
            continue
        module.modules[folder] = index.configuration(folder)
        for file in module.modules[folder]:
            pending += _take(module, file, index.facts(file))
    return module


def _take(module: RootModule, file: str, facts: Facts) -> list[str]:
    """Note what a file names; gives the folders of the local modules that it calls."""
    folder = posixpath.dirname(file)
    if facts.broken:
        module.broken.append(file)
    for reference in facts.paths:
        base = folder if reference.base == "module" else module.path
        if not reference.path.startswith(("/", "~")):
            path = posixpath.normpath(posixpath.join(base, reference.path))
            module.named.append(NamedPath(path, reference.exact, reference.read))
    return [
        posixpath.normpath(posixpath.join(folder, source))
        for source in facts.module_sources
        if source.startswith(("./", "../"))
    ]
