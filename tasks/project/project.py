"""The project: configuration, stacks found on disk and their graph, with every cross-reference checked."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..base import git, interpolate
from ..base.errors import ConfigError, ConfigErrors, nearest
from ..base.layout import Layout
from ..base.model import NAME_PATTERN
from ..engine import encryption
from . import backend, model
from .config import loading as configuration
from .config.keyring import Keyring
from .hcl import rootmodule
from .hcl.fileindex import FileIndex
from .stackgraph import CycleError, StackGraph

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ..artifact.baseline import Baseline
    from .catalog import Catalog
    from .config.loading import Loaded
    from .hcl.rootmodule import RootModule
    from .overlay.buildtree import Tree


@dataclass(frozen=True)
class OutputReference:
    """An output of an upstream stack that a variable gets."""

    stack: str
    output: str

    def __str__(self) -> str:
        """As the configuration writes it."""
        return f"{self.stack}.{self.output}"


@dataclass(frozen=True)
class Stack:
    """A stack: where its root module is, what the configuration says of it, what it reads from others."""

    name: str
    path: str
    settings: model.Stack
    backend: model.Backend | None
    inputs: dict[str, OutputReference] = field(default_factory=dict)


class Project:
    """All that is known before anything runs; `stacks` and `graph` hold the enabled stacks of one environment.

    `root` is the folder that all paths of stacks, modules and files are relative to: the repository's root, or for an
    overlay its build tree. `layout.root` is always the repository's. `organization` holds the organization's values.
    """

    def __init__(
        self, root: Path, loaded: Loaded, index: FileIndex, stacks: dict[str, Stack], tree: Tree | None = None
    ) -> None:
        self.root = tree.folder if tree else root
        self.tree = tree
        self.loaded = loaded
        self.config = loaded.config
        self.environment = loaded.environment
        self.layout = Layout(root, loaded.environment)
        self.index = index
        self.stacks = stacks
        self.baseline: Baseline | None = None
        self.keyring = Keyring(loaded.config.encryption)
        self._modules: dict[str, RootModule] = {}
        self._from_root = posixpath.relpath(root, tree.folder) if tree else ""
        self.organization: dict[str, Any] = {}
        if loaded.config.organization is not None:
            from .config import organization

            self.organization = organization.load(self.root, loaded)
        self.catalog: Catalog | None = None
        if loaded.config.builds or loaded.config.images:
            from .catalog import Catalog

            self.catalog = Catalog(self)
        self._check()
        from . import remotestate

        self.remote_reads = remotestate.find(self)
        needs = {
            name: {
                *stack.settings.depends_on,
                *(reference.stack for reference in stack.inputs.values()),
                *(item.stack for item in self.remote_reads.get(name, ())),
            }
            for name, stack in stacks.items()
        }
        try:
            self.graph = StackGraph.build(needs)
        except CycleError as error:
            start = error.path[0]
            inputs = {reference.stack for reference in stacks[start].inputs.values()}
            key = "inputs" if error.path[1] in inputs else "depends_on"
            raise loaded.error(f"these stacks need each other: {error}", "stacks", start, key) from None

    def module(self, name: str) -> RootModule:
        """What the configuration of a stack says; read once."""
        if name not in self._modules:
            from . import variables

            stack = self.stacks[name]
            self._modules[name] = rootmodule.read(
                self.index, stack.path, lambda: variables.known_beforehand(self, stack)
            )
        return self._modules[name]

    @cached_property
    def source_files(self) -> list[str]:
        """Every file of the repository that git does not ignore and no build makes; listed once."""
        return self.list_source_files()

    def list_source_files(self) -> list[str]:
        """`source_files` as they are now, sorted."""
        names = sorted(self.tree.files) if self.tree else git.files(self.root)
        found = names or sorted(path.removeprefix("./") for path in self.index.below("."))
        return [path for path in found if self.catalog is None or not self.catalog.makes(path)]

    @cached_property
    def tree_digest(self) -> str:
        """A digest over every file of the repository that git does not ignore; for what reads who knows what."""
        import hashlib

        digest = hashlib.sha256()
        for path in self.source_files:
            digest.update(f"{path}\0{self.index.digest(path)}\0".encode())
        return digest.hexdigest()

    def placeholders(self, stack: str) -> dict[str, Any]:
        """What `{name}` stands for in a stack's settings; `{root}` is seen from its folder: nothing is absolute.

        `{root}` is the repository's root, also for a stack in a build tree.
        """
        up = "../" * posixpath.normpath(self.stacks[stack].path).count("/") + ".."  # relpath would ask for the folder
        up += f"/{self._from_root}" if self._from_root else ""
        return {"stack": stack, "environment": self.environment, "root": up, **self.organization}

    @property
    def root_from_tree(self) -> str:
        """The repository's root as seen from `root`."""
        return self._from_root or "."

    def tracked(self, paths: list[str]) -> set[str] | None:
        """Those of some paths that are somebody's source: in git, or merged into the build tree; None without git."""
        if self.tree is not None:
            return self.tree.files.keys() & set(paths)
        return git.tracked(self.root, paths)

    def key(self, stack: str, *path: str | int) -> str:
        """A key path below a stack, as errors name it."""
        return configuration.dotted(("stacks", stack, *path))

    def unknown_stack(self, name: str) -> str:
        """What to say of a stack's name that is not one."""
        return f"there is no stack '{name}'{nearest(name, list(self.stacks))}"

    def _check(self) -> None:
        errors = encryption.conflicts(self)
        for name, stack in self.stacks.items():
            errors.extend(self._check_references(name, stack))
        errors.extend(backend.check(self))
        errors.extend(self._check_organization())
        if any(stack.settings.verify for stack in self.stacks.values()):
            from ..run import filling

            errors.extend(filling.wrong(self))
        if self.config.hooks:
            from ..run import hooks

            errors.extend(hooks.check(self))
        if any((self.catalog, *(s.settings.builds or s.settings.images for s in self.stacks.values()))):
            from ..builds import check

            errors.extend(check.check(self))
        if self.config.policy.checkers:
            from ..policy import checker

            errors.extend(checker.check(self))
        if errors:
            raise ConfigErrors(errors)

    def _check_references(self, name: str, stack: Stack) -> Iterable[ConfigError]:
        at = ("stacks", name)
        for position, upstream in enumerate(stack.settings.depends_on):
            if upstream not in self.stacks:
                yield self.loaded.error(self.unknown_stack(upstream), *at, "depends_on", position)
        for variable, reference in stack.inputs.items():
            if reference.stack not in self.stacks:
                yield self.loaded.error(self.unknown_stack(reference.stack), *at, "inputs", variable)
                continue
            source = self.module(reference.stack)
            if reference.output not in source.outputs and not source.broken:
                message = f"stack '{reference.stack}' has no output '{reference.output}'"
                message += nearest(reference.output, list(source.outputs))
                yield self.loaded.error(message, *at, "inputs", variable)
        for variable in stack.settings.mocks:
            if variable not in stack.inputs:
                message = f"'{variable}' is no input of this stack{nearest(variable, list(stack.inputs))}"
                yield self.loaded.error(message, *at, "mocks", variable)
        yield from self._check_variables(name, stack)

    def _check_variables(self, name: str, stack: Stack) -> Iterable[ConfigError]:
        given = [("inputs", variable) for variable in stack.inputs]
        given += [("variables", variable) for variable in stack.settings.variables]
        given += [("images", variable) for variable in stack.settings.images]
        if not given:
            return
        module = self.module(name)
        for key, variable in given:
            if variable not in module.variables and not module.broken:
                message = f"{stack.path} declares no variable '{variable}'{nearest(variable, list(module.variables))}"
                yield self.loaded.error(message, "stacks", name, key, variable)
            others = {"variables": stack.inputs, "images": {**stack.inputs, **stack.settings.variables}}.get(key, {})
            if variable in others:
                message = (
                    f"'{variable}' is given twice: here and by {'inputs' if variable in stack.inputs else 'variables'}"
                )
                yield self.loaded.error(message, "stacks", name, key, variable)

    def _check_organization(self) -> Iterable[ConfigError]:
        """Every `{organization.KEY}` in the configuration that is nothing."""
        for path, text in _texts(self.config):
            for name in interpolate.placeholders(text):
                if name.startswith(interpolate.ORGANIZATION) and name not in self.organization:
                    message = f"there is no {{{name}}}{nearest(name, list(self.organization))}"
                    if self.config.organization is None:
                        message += ": there is no `organization` file in this configuration"
                    yield self.loaded.error(message, *path)


def load(root: Path, environment: str | None = None, *, update: bool = False) -> Project:
    """Read the configuration, find the stacks, check what refers to what.

    Args:
        root: The repository's root.
        environment: The environment's name; by default the configuration's default.
        update: Whether an overlay's upstream may be pinned anew.

    Raises:
        ConfigError: The configuration, or the first part of it that nothing else can be checked without, is wrong.
        ConfigErrors: Every cross-reference that is wrong.
    """
    loaded = configuration.load(root, environment, update=update)
    layout = Layout(root, loaded.environment)
    tree = None
    if loaded.base is not None:
        from .overlay import buildtree

        tree = buildtree.merge(layout, loaded.base)
    index = FileIndex(tree.folder, layout.tree_file_index) if tree else FileIndex(root, layout.file_index)
    folders = _discover(tree.folder if tree else root, loaded, index)
    configured = loaded.config.stacks
    taken = {_normal(settings.path) for settings in configured.values() if settings.path}
    found = {name: path for name, path in folders.items() if path not in taken or name in configured}
    stacks: dict[str, Stack] = {}
    errors: list[ConfigError] = []
    for name in sorted({*found, *configured}):
        settings = configured.get(name) or model.Stack()  # type: ignore[call-arg]
        if not settings.enabled:
            continue
        path = _normal(settings.path) if settings.path else found.get(name, f"stacks/{name}")
        problem = None if path == found.get(name) else _folder_problem(index, path, folders.values())
        if problem:
            errors.append(loaded.error(problem, "stacks", name, *(["path"] if settings.path else [])))
            continue
        inputs = {}
        for variable, text in settings.inputs.items():
            upstream, _, output = text.rpartition(".")
            inputs[variable] = OutputReference(upstream, output)
        stacks[name] = Stack(name, path, settings, settings.backend or loaded.config.backend, inputs)
    if errors:
        raise ConfigErrors(errors)
    return Project(root, loaded, index, stacks, tree)


def _discover(root: Path, loaded: Loaded, index: FileIndex) -> dict[str, str]:
    """Stack name to folder, for every folder that `discover` matches and that has configuration in it."""
    found: dict[str, str] = {}
    for position, pattern in enumerate(loaded.config.discover):
        fixed = posixpath.dirname(re.split(r"[*?\[]", pattern, maxsplit=1)[0])
        try:
            if ".." in pattern.split("/"):
                raise ValueError("it leaves the repository")
            folders = sorted(path.relative_to(root).as_posix() for path in root.glob(pattern) if path.is_dir())
        except (ValueError, NotImplementedError, IndexError, OSError) as error:
            raise loaded.error(f"'{pattern}' is not a glob below the root: {error}", "discover", position) from None
        for folder in folders:
            if any(part.startswith(".") for part in folder.split("/")) or not index.configuration(folder):
                continue
            name = posixpath.relpath(folder, fixed) if fixed else folder
            if not re.fullmatch(NAME_PATTERN, name):
                message = f"the folder {folder} cannot be a stack's name; rename it, or name it under `stacks:`"
                raise loaded.error(message, "discover", position)
            if found.setdefault(name, folder) != folder:
                message = f"two folders would be the stack '{name}': {found[name]} and {folder}"
                raise loaded.error(message, "discover", position)
    return found


def _texts(config: model.Config) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """The texts of a configuration in which the organization's values may be used, with their key paths."""
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


def _normal(path: str) -> str:
    return posixpath.normpath(path)


def _folder_problem(index: FileIndex, path: str, known: Iterable[str]) -> str | None:
    if path.startswith(("../", "/")) or path in ("..", "."):
        return f"a stack's folder must be inside the repository, and not be all of it: '{path}'"
    if not index.is_folder(path):
        return f"there is no folder {path} for this stack{nearest(path, list(known))}"
    if not index.configuration(path):
        return f"there is no configuration (*.tf, *.tofu) in {path}"
    return None
