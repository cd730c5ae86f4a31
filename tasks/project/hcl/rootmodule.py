"""Combines the facts of a stack's files and local modules into one root module."""

from __future__ import annotations

import itertools
import posixpath
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ...base import jsontext
from . import combining, expressions, settingsof, syntax, values
from .evaluation import Evaluator
from .facts import Call, Facts, Variable
from .files import TooMuchError
from .paths import Paths
from .scope import Scope
from .values import ANY, Start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from .expressions import Expression
    from .facts import NamedPath, RemoteState
    from .fileindex import FileIndex
    from .values import Values

_MOST_SCOPES = 400  # of a stack's modules with different arguments; beyond that, arguments count as unknown
_ELSEWHERE = ("/", ".")  # how a path begins that is absolute, or may leave its folder
_MOST_FOLDERS = 50  # that a module with a partly known source may come from


@dataclass(frozen=True)
class StateRead:
    """A `terraform_remote_state` of the stack or of a module in it.

    `settings` are those of its backend, with None for an unknown one; None if no setting is known. `outputs` are the
    outputs that are read; None if it may be any. `place` is `file:line`, in JSON only the file.
    """

    name: str
    backend: str
    settings: dict[str, str | None] | None
    outputs: tuple[str, ...] | None
    place: str = ""


@dataclass
class RootModule:
    """The configuration in one folder.

    `files` are its own files, `modules` the files of each local module that it calls, directly or indirectly; `broken`
    are those that do not parse. `unknown` are files that read a path which depends on the engine; `partly` are folders
    in which some unknown file is read, each with the file that reads it. `early` says whether the engine needs
    variables before it can load the configuration. `backend_settings` are the known settings of its backend;
    `backend_unknown` has for each other setting its known beginning, and what it is made of: equal for equal
    expressions of equal values. `workspace` is the first place that refers to the workspace's name.
    """

    path: str
    files: list[str] = field(default_factory=list)
    modules: dict[str, list[str]] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)
    outputs: set[str] = field(default_factory=set)
    backend: str | None = None
    backend_varies: bool = False
    backend_settings: dict[str, str] = field(default_factory=dict)
    backend_unknown: dict[str, str] = field(default_factory=dict)
    backend_file: str | None = None
    backend_line: int = 0
    broken: list[str] = field(default_factory=list)
    named: list[NamedPath] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    partly: dict[str, str] = field(default_factory=dict)
    early: bool = False
    remote_states: list[StateRead] = field(default_factory=list)
    workspace: str | None = None

    @property
    def sensitive(self) -> list[str]:
        """The names of the variables declared sensitive."""
        return sorted(name for name, variable in self.variables.items() if variable.sensitive)

    @property
    def ephemeral(self) -> frozenset[str]:
        """The names of the variables declared ephemeral."""
        return frozenset(name for name, variable in self.variables.items() if variable.ephemeral)

    def why_read(self, path: str) -> str | None:
        """Why a file counts although no expression names it; None if one does."""
        if any(named.exact and named.path == path for named in self.named):
            return None
        folders = [folder for folder in self.partly if path.startswith(f"{folder}/")]
        folder = max(folders, key=len, default=None)
        if folder is None:
            return None
        return f"{self.partly[folder]} reads a file in {folder} whose name is not known"

    def configuration(self) -> Iterator[str]:
        """The paths of all configuration files, the root module's first."""
        yield from self.files
        for files in self.modules.values():
            yield from files


def read(index: FileIndex, path: str, known: Callable[[], Mapping[str, Any]] = dict) -> RootModule:
    """The root module in a folder, from its files alone.

    Args:
        index: The files.
        path: The folder, relative to the repository's root.
        known: Returns the values of variables known beforehand; called only if a path depends on one.
    """
    reader = _Reader(index, RootModule(path), known)
    reader.read()
    return reader.module


def _relative(path: str, start: str) -> str:
    """`posixpath.relpath` of two paths below one root, which does not ask where the process is."""
    if path == start:
        return "."
    if path.startswith(_ELSEWHERE) or start.startswith(_ELSEWHERE):
        return posixpath.relpath(path, start)
    parts, above = path.split("/"), start.split("/")
    same = len(posixpath.commonprefix([parts, above]))
    return "/".join([*[".."] * (len(above) - same), *parts[same:]])


def _workspace(module: RootModule) -> Values:
    """The name of the workspace that the engine runs in: of all backends, `cloud` alone has it chosen by `init`."""
    settings = module.backend_settings
    if module.backend == "cloud":
        return (settings["workspaces.name"],) if "workspaces.name" in settings else ANY
    return ANY if module.backend == "remote" and "workspaces.name" not in settings else ("default",)


class _Reader:
    """Reads one root module."""

    def __init__(self, index: FileIndex, module: RootModule, known: Callable[[], Mapping[str, Any]]) -> None:
        self.module = module
        self._index = index
        self._known = known
        self._paths = Paths(index, module.path, self._fill)
        self._evaluator = Evaluator(self._paths)
        self._folders: dict[str, dict[str, Facts]] = {}
        self._scopes: dict[tuple[Any, ...], Scope] = {}
        self._instances: dict[tuple[int, str], list[Scope]] = {}
        self._filled: set[tuple[str, Values]] = set()
        self._unused: list[str] = []

    @cached_property
    def _given(self) -> dict[str, Values]:
        return {
            name: ANY if value is syntax.UNKNOWN else values.of_json(value) for name, value in self._known().items()
        }

    def read(self) -> None:
        """Follow everything from the root module on."""
        module = self.module
        module.files = self._index.configuration(module.path)
        facts = self._facts(module.path)
        module.variables = combining.variables(facts.values())
        for fact in facts.values():
            module.outputs.update(fact.outputs)
        root = self._scope(module.path, lambda name: self._given.get(name))  # noqa: PLW0108 - evaluated only if needed
        for file, fact in facts.items():
            if fact.backend:
                module.backend, module.backend_varies = fact.backend, fact.backend_varies
                module.backend_file, module.backend_line = file, fact.backend_line
                module.backend_settings, module.backend_unknown = self._settings(file, fact, root)
        self._evaluator.workspace = _workspace(module)
        self._walk(root)
        archives = self._archives(facts.values(), root)
        module.named = [named for named in self._paths.named if named.read or named.path not in archives]
        module.unknown, module.partly = sorted(self._paths.unknown), self._paths.partly

    def _archives(self, facts: Iterable[Facts], root: Scope) -> set[str]:
        """The archives that the plan itself makes of other files; a module may have no instance, and make none."""
        found = [item for fact in facts for archive in fact.archives for item in self._evaluated(archive, root)]
        return {self._paths.located(item) for item in found if isinstance(item, str)}

    def _facts(self, folder: str) -> dict[str, Facts]:
        """The facts of a module's files, overriding ones last; a `.tofu` file replaces its `.tf` twin."""
        if folder not in self._folders:
            files = self._index.configuration(folder)
            used = sorted((file for file in files if combining.twin(file) not in files), key=combining.overrides)
            self._folders[folder] = {file: self._index.facts(file) for file in used}
            broken = [file for file in files if self._index.facts(file).broken]
            self.module.broken += broken
            self._paths.unknown.update(broken)  # the engine may be able to read it
        return self._folders[folder]

    def _scope(self, folder: str, given: Callable[[str], Values | None]) -> Scope:
        facts = self._facts(folder).values()
        return Scope(
            _relative(self._index.followed(folder) or folder, self.module.path),
            combining.variables(facts),
            given,
            combining.together(fact.locals for fact in facts),
            combining.together(fact.attributes for fact in facts),
            combining.calls(facts),
            self._scopes_of,
        )

    # --- modules

    def _walk(self, root: Scope) -> None:
        """Take each module once per set of arguments, then the modules that are called with no instances."""
        pending, seen = [root], {id(root)}
        while pending:
            scope = pending.pop()
            self._take(scope)
            for call in scope.calls.values():
                with self._followed():
                    for inner in self._scopes_of(scope, call):
                        if id(inner) not in seen:
                            seen.add(id(inner))
                            pending.append(inner)
        while self._unused:
            self._take_unused(self._unused.pop())

    def _take(self, scope: Scope) -> None:
        """Note the paths that a module's files name and read."""
        folder = self._folder_of(scope)
        facts = self._facts(folder)
        outputs = combining.state_outputs(facts.values())
        for file, fact in facts.items():
            self._paths.file = file
            if fact.workspace is not None and self.module.workspace is None:
                self.module.workspace = f"{file}:{fact.workspace}" if fact.workspace else file
            for reference in fact.paths:
                self._paths.refer(reference, folder)
            for expression in fact.mentioned:
                self._paths.mentions(self._evaluated(expression, scope))
            for expression in fact.reads:
                self._evaluated(expression, scope)
            for state in fact.remote_states:
                with self._followed():
                    self.module.remote_states += self._state_reads(state, scope, outputs)

    def _evaluated(self, expression: Expression, scope: Scope) -> Values:
        with self._followed():
            return self._evaluator.evaluate(expression, scope, {})
        return ANY

    @contextmanager
    def _followed(self) -> Iterator[None]:
        """Follow a file's expressions; if they cannot be followed, it may read any file."""
        try:
            yield
        except (TooMuchError, RecursionError):
            self._paths.unknown.add(self._paths.file)

    def _folder_of(self, scope: Scope) -> str:
        return posixpath.normpath(posixpath.join(self.module.path, scope.folder))

    def _scopes_of(self, caller: Scope, call: Call) -> list[Scope]:
        """The scopes of a called module: one for each source and set of arguments."""
        key = (id(caller), call.name)
        if key not in self._instances:
            self._instances[key] = []  # a module that calls itself, which the engine refuses
            found: dict[int, Scope] = {}
            sources = self._evaluator.evaluate(call.source, caller, {}) if call.source else ()
            self.module.early |= call.source is not None and call.source[0] != expressions.LITERAL
            folders = self._folders_called(self._folder_of(caller), sources)
            for bound in self._evaluator.instances(call, caller):
                arguments = {
                    name: self._evaluator.evaluate(value, caller, bound) for name, value in call.arguments.items()
                }
                for folder in folders:
                    scope = self._called(folder, arguments)
                    found[id(scope)] = scope
            if not found:
                self._unused += folders
            self._instances[key] = list(found.values())
        return self._instances[key]

    def _take_unused(self, folder: str) -> None:
        """Note what is read by a module without instances, and by the modules that it calls.

        The engine loads and checks them nevertheless, with unknown variables: what it reads does not depend on them.
        """
        if folder in self.module.modules:
            return
        self.module.modules[folder] = self._index.configuration(folder)
        self._take(self._scope(folder, lambda _: ()))
        scope = self._scope(folder, lambda _: None)  # but the sources of modules depend on defaults
        for call in scope.calls.values():
            with self._followed():
                sources = self._evaluator.evaluate(call.source, scope, {}) if call.source else ()
                for inner in self._folders_called(folder, sources):
                    self._take_unused(inner)

    def _called(self, folder: str, arguments: dict[str, Values]) -> Scope:
        key: tuple[Any, ...] = (folder, *sorted(arguments.items(), key=lambda pair: pair[0]))
        if len(self._scopes) >= _MOST_SCOPES and key not in self._scopes:
            arguments = dict.fromkeys(arguments, ANY)
            key = (folder, *sorted(arguments.items()))
        if key not in self._scopes:
            self.module.modules.setdefault(folder, self._index.configuration(folder))
            self._scopes[key] = self._scope(folder, arguments.get)
        return self._scopes[key]

    def _folders_called(self, folder: str, sources: Values) -> list[str]:
        """The folders that a module may come from; for a partly known source, all below the known folder.

        The engine takes a module that a link leads to from its real folder, so that is where its own sources begin.
        """
        found: dict[str, None] = {}
        folder = self._index.followed(folder) or folder
        for source in sources:
            if isinstance(source, str):
                if source.startswith(("./", "../")) or source in (".", ".."):
                    found[posixpath.normpath(posixpath.join(folder, source))] = None
                elif source.startswith("/") and not (inside := self._paths.located(source)).startswith("/"):
                    found[inside] = None
            elif isinstance(source, Start):
                found.update(dict.fromkeys(self._folders_below(folder, source.text)))
        return [path for path in found if path not in (self.module.path, folder)]

    def _folders_below(self, folder: str, begin: str) -> list[str]:
        known = posixpath.normpath(posixpath.join(folder, begin.rpartition("/")[0]))
        if begin.startswith(("./", "../")):
            below = [path for path in self._index.below(known) if path.endswith((".tf", ".tofu", ".json"))]
            folders = list(dict.fromkeys(posixpath.dirname(path) for path in below if self._is_configuration(path)))
            if len(folders) <= _MOST_FOLDERS and known != ".":
                self._paths.below(known)
                return folders
        if not begin or begin.startswith("."):
            self._paths.unknown.add(self._paths.file)
        return []

    def _is_configuration(self, path: str) -> bool:
        from . import reader

        return reader.is_configuration(path)

    def _fill(self, path: str, given: Values) -> None:
        """Evaluate what a template reads with its arguments."""
        if (path, given) in self._filled:
            return
        self._filled.add((path, given))
        file = self._paths.file
        self._paths.file = path
        facts = self._index.facts(path)
        if facts.broken:
            self._paths.unknown.add(path)
        self._evaluator.fill(facts.reads, given)
        self._paths.file = file

    # --- states

    def _settings(self, file: str, fact: Facts, scope: Scope) -> tuple[dict[str, str], dict[str, str]]:
        """A backend's known settings, and what the others are made of; null means not set."""
        self._paths.file = file
        texts, unknown = {}, {}
        for name, expression in fact.backend_settings.items():
            if self._evaluated(expression, scope) == (None,):
                continue
            found = self._evaluated([expressions.TEMPLATE, [expressions.literal(""), expression]], scope)
            if len(found) == 1 and (text := values.text_of(found[0])) is not None:
                texts[name] = text
            else:
                unknown[name] = f"{values.common(found).text} {self._made_of(expression, scope)}"
        return texts, unknown

    def _made_of(self, expression: Expression, scope: Scope) -> str:
        """An expression with the known values that it refers to, as expressions that look the same may differ."""
        known = {jsontext.dumps(found): self._evaluated(found, scope) for found in expressions.references(expression)}
        return f"{jsontext.dumps(expression)} {sorted(known.items(), key=lambda pair: pair[0])}"

    def _state_reads(
        self, state: RemoteState, scope: Scope, outputs: Mapping[str, tuple[str, ...] | None]
    ) -> list[StateRead]:
        """The states that a data source reads: one for each instance and each possible combination of settings."""
        used = outputs.get(state.name, ()) if "" not in outputs else None
        found: list[StateRead] = []
        place = f"{self._paths.file}:{state.line}" if state.line else self._paths.file
        for bound in self._evaluator.instances(Call(state.name, None, {}, state.repeat), scope):
            backends = self._evaluator.evaluate(state.backend, scope, bound)
            configs = self._evaluator.evaluate(state.config, scope, bound)
            workspaces = self._evaluator.evaluate(state.workspace, scope, bound) if state.workspace else ("default",)
            for backend, config in itertools.product(backends, configs):
                for settings in settingsof.ways(config) if workspaces in (("default",), (None,)) else (None,):
                    read = StateRead(state.name, str(values.text_of(backend)), settings, used, place)
                    if read not in found:
                        found.append(read)
        return found
