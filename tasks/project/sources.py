"""The stacks and files of one environment, before their relations are known."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from ..base import git
from ..base.errors import nearest
from ..base.layout import Layout
from .config.keyring import Keyring
from .config.yamlfile import dotted
from .hcl import rootmodule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ..base.jsonvalue import Json, JsonObject
    from . import model
    from .config.loading import Loaded
    from .hcl.fileindex import FileIndex
    from .hcl.rootmodule import RootModule
    from .overlay.buildtree import Tree
    from .stack import Stack
    from .statekinds import StateId


@dataclass(kw_only=True)
class Sources:
    """The stacks of one environment, and their files.

    Args:
        home: The repository's root.
        loaded: The configuration.
        index: Digests and facts of the files.
        stacks: The enabled stacks by name, sorted.
        tree: The build tree of an overlay.
        organization: The organization's values.
        checked: The stacks on whose files, settings and variables nothing has changed since an earlier run found no
            fault in them and that they read no state, each with the state that it keeps: they are not read again.
        known: The values of a stack's variables that are known before anything runs, see `variables.known_beforehand`.
    """

    home: Path
    loaded: Loaded
    index: FileIndex
    stacks: dict[str, Stack]
    tree: Tree | None = None
    organization: JsonObject = field(default_factory=dict)
    checked: Mapping[str, StateId | None] = field(default_factory=dict)
    known: Callable[[Sources, Stack], Mapping[str, Json]]
    modules: dict[str, RootModule] = field(default_factory=dict, repr=False)
    states: dict[str, StateId | None] = field(default_factory=dict, repr=False)

    @cached_property
    def root(self) -> Path:
        """What paths are relative to: the repository's root, or an overlay's build tree."""
        return self.tree.folder if self.tree else self.home

    @cached_property
    def layout(self) -> Layout:
        """The paths of records; its root is always the repository's."""
        return Layout(self.home, self.loaded.environment)

    @cached_property
    def keyring(self) -> Keyring:
        """The encryption keys from environment variables."""
        return Keyring(self.config.encryption)

    @property
    def config(self) -> model.Config:
        """The configuration's values."""
        return self.loaded.config

    @property
    def environment(self) -> str:
        """The environment's name."""
        return self.loaded.environment

    def module(self, name: str) -> RootModule:
        """The content of a stack's files; read once."""
        if name not in self.modules:
            stack = self.stacks[name]
            self.modules[name] = rootmodule.read(self.index, stack.path, lambda: self.known(self, stack))
        return self.modules[name]

    def list_files(self) -> list[str]:
        """Every file of the repository that git does not ignore, as they are now, sorted."""
        names = sorted(self.tree.files) if self.tree else self.index.files()
        return names or sorted(path.removeprefix("./") for path in self.index.below("."))

    def tracked(self, paths: list[str]) -> set[str] | None:
        """Those of some paths that are tracked by git or merged into the build tree; None without git."""
        if self.tree is not None:
            return self.tree.files.keys() & set(paths)
        return git.tracked(self.root, paths)

    @cached_property
    def root_from_tree(self) -> str:
        """The repository's root as seen from `root`."""
        return posixpath.relpath(self.home, self.tree.folder) if self.tree else "."

    def placeholders(self, stack: str) -> JsonObject:
        """The values of placeholders in a stack's settings; `{root}` is relative to its folder, so no path is absolute.

        `{root}` leads to the repository's root, also from a build tree.
        """
        up = "../" * posixpath.normpath(self.stacks[stack].path).count("/") + ".."  # relpath would look at the folder
        up += f"/{self.root_from_tree}" if self.tree else ""
        return {"stack": stack, "environment": self.environment, "root": up, **self.organization}

    def key(self, stack: str, *path: str | int) -> str:
        """A key path below a stack, for errors."""
        return dotted(("stacks", stack, *path))

    def unknown_stack(self, name: str) -> str:
        """The error message for a stack that is not there: unknown, or disabled."""
        if (settings := self.config.stacks.get(name)) is not None and not settings.enabled:
            return f"stack '{name}' is disabled in environment '{self.environment}'"
        for pattern in self.config.discover:
            folder = posixpath.join(pattern.partition("*")[0], name)
            if (self.root / folder).is_dir():
                return f"'{name}' is no stack: its folder {folder} has no configuration (*.tf)"
        return f"unknown stack '{name}'{nearest(name, list(self.stacks))}"
