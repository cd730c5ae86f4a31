"""What a stack's own configuration says, all its files and local modules taken together."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import syntax

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .facts import Facts, Parts, RemoteState, Variable
    from .fileindex import FileIndex

_MOST_CALLS = 200  # of one stack's modules with different arguments; beyond that the arguments count as unknown
_REFERENCE = re.compile(r"\b(?:var|local)\.[A-Za-z_][A-Za-z0-9_-]*|\bpath\.(?:module|root|cwd)")
_DEEPEST = 20  # locals that refer to locals


@dataclass(frozen=True)
class NamedPath:
    """A path outside the configuration proper that it reads or mentions, relative to the repository's root.

    An absolute one begins with `/`. `exact` is False where all below the folder is meant.
    """

    path: str
    exact: bool
    read: bool


@dataclass
class RootModule:
    """The configuration in one folder.

    `files` are its own files, `modules` the files of each local module that it calls, directly or not; `broken` are
    those that do not parse. `unknown` are files that read a path which cannot be told without running them; `templates`
    are files that are filled in. `backend_settings` are the settings of its backend that are known, `backend_unknown`
    the expressions of the others, with what is known of the values that they refer to.
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
    remote_states: list[tuple[RemoteState, dict[str, str]]] = field(default_factory=list)
    templates: set[str] = field(default_factory=set)

    @property
    def sensitive(self) -> list[str]:
        """The names of the variables declared sensitive."""
        return sorted(name for name, variable in self.variables.items() if variable.sensitive)

    def configuration(self) -> Iterator[str]:
        """The paths of all configuration files, its own first."""
        yield from self.files
        for files in self.modules.values():
            yield from files


@dataclass(frozen=True)
class _Scope:
    """What a module's expressions can refer to: its folder as the engine sees it, its texts by name."""

    folder: str
    variables: Mapping[str, str]
    locals: Mapping[str, Parts]


def read(index: FileIndex, path: str, known: Callable[[], Mapping[str, Any]] = dict) -> RootModule:
    """The root module in a folder, from its files alone.

    Args:
        index: The files.
        path: The folder, relative to the repository's root.
        known: Gives the values of its variables that are known beforehand; asked only where a path depends on one.
    """
    module = RootModule(path)
    module.files = index.configuration(path)
    facts = {file: index.facts(file) for file in module.files}
    for fact in facts.values():
        module.variables.update({variable.name: variable for variable in fact.variables})
        module.outputs.update(fact.outputs)
    needs = any(fact.reads or fact.remote_states or fact.backend_settings or fact.calls for fact in facts.values())
    values = _texts({**_defaults(facts), **known()}) if needs else {}
    scope = _scope(".", facts, values)
    for file, fact in facts.items():
        if fact.backend:
            module.backend, module.backend_varies = fact.backend, fact.backend_varies
            module.backend_file, module.backend_line = file, fact.backend_line
            module.backend_settings = _resolve_all(fact.backend_settings, scope)
            module.backend_unknown = {
                name: _with_values(fact.backend_texts.get(name, ""), scope)
                for name in fact.backend_settings.keys() - module.backend_settings.keys()
            }
        for state in fact.remote_states:
            module.remote_states.append((state, _resolve_all(state.settings, scope)))
    _walk(index, module, facts, scope, set())
    return module


def _walk(
    index: FileIndex, module: RootModule, facts: Mapping[str, Facts], scope: _Scope, seen: set[tuple[Any, ...]]
) -> None:
    """Take a module's files, then those of the modules it calls, each once for each set of arguments."""
    pending = [(facts, scope)]
    while pending:
        current, inside = pending.pop()
        for file, fact in current.items():
            _take(index, module, file, fact, inside)
            for source, given in _calls(fact, inside):
                if not source.startswith(("./", "../")):
                    continue
                folder = posixpath.normpath(posixpath.join(posixpath.dirname(file), source))
                if folder == module.path:
                    continue
                module.modules.setdefault(folder, index.configuration(folder))
                known = given if len(seen) < _MOST_CALLS else dict.fromkeys(given)
                key = (folder, tuple(sorted(known.items())))
                if key not in seen:
                    seen.add(key)
                    below = {name: index.facts(name) for name in module.modules[folder]}
                    defaults = _texts(_defaults(below)) if len(seen) < _MOST_CALLS else {}
                    values = {name: text for name, text in {**defaults, **known}.items() if text is not None}
                    pending.append((below, _scope(posixpath.relpath(folder, module.path), below, values)))


def _calls(facts: Facts, scope: _Scope) -> Iterator[tuple[str, dict[str, str | None]]]:
    """The calls of modules: the source, and what each argument is, None where that cannot be told."""
    called = set()
    for call in facts.calls:
        called.add(call.source)
        known = _resolve_all(call.arguments, scope)
        yield call.source, {name: known.get(name) for name in call.arguments}
    for source in facts.module_sources:
        if source not in called:
            yield source, {}


def _take(index: FileIndex, module: RootModule, file: str, facts: Facts, scope: _Scope) -> None:
    """Note what a file names, and what the templates name that it fills in."""
    folder, templates = posixpath.dirname(file), []
    if facts.broken and file not in module.broken:
        module.broken.append(file)
    for reference in facts.paths:
        base = folder if reference.base == "module" else module.path
        if not reference.path.startswith("~") and (reference.read or not reference.path.startswith("/")):
            path = posixpath.normpath(posixpath.join(base, reference.path))
            module.named.append(NamedPath(path, reference.exact, reference.read))
            if reference.template:
                templates.append(path)
    for found in facts.reads:
        text, whole = _resolve(found.parts, scope)
        if not whole:
            text = text.rpartition("/")[0]
            if not text.strip("./"):
                if file not in module.unknown:
                    module.unknown.append(file)
                continue
        path = posixpath.normpath(posixpath.join(module.path, text))
        exact = whole and not found.folder
        if exact or not path.startswith(("/", "../")):  # not all that is below some folder of the machine
            module.named.append(NamedPath(path, exact, read=True))
        if exact and found.template:
            templates.append(path)
    for path in dict.fromkeys(templates):
        if path not in module.templates:
            module.templates.add(path)
            # What a template is given is not followed: a path in it that varies may be any.
            _take(index, module, path, index.facts(path), _Scope(scope.folder, {}, {}))


def _scope(folder: str, facts: Mapping[str, Facts], values: Mapping[str, str]) -> _Scope:
    found: dict[str, Parts] = {}
    for fact in facts.values():
        found.update(fact.locals)
    return _Scope(folder, values, found)


def _defaults(facts: Mapping[str, Facts]) -> dict[str, Any]:
    return {
        variable.name: variable.default
        for fact in facts.values()
        for variable in fact.variables
        if variable.has_default and not variable.sensitive
    }


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    """The values that can be put into a text, as the engine would put them."""
    texts = {}
    for name, value in values.items():
        if isinstance(value, bool):
            texts[name] = str(value).lower()
        elif isinstance(value, str | int):
            texts[name] = str(value)
    return texts


def _resolve_all(parts: Mapping[str, Parts], scope: _Scope) -> dict[str, str]:
    """Those that can be told whole."""
    resolved = {name: _resolve(value, scope) for name, value in parts.items()}
    return {name: text for name, (text, whole) in resolved.items() if whole}


def _with_values(text: str, scope: _Scope) -> str:
    """An expression with the values of what it refers to, as far as they are known: two of one text may differ."""
    known = {}
    for reference in sorted(set(_REFERENCE.findall(text))):
        value, whole = _resolve((syntax.REFERENCE + reference,), scope)
        known[reference] = value if whole else None
    return f"{' '.join(text.split())} {sorted(known.items())}"


def _resolve(parts: Parts, scope: _Scope, depth: int = 0) -> tuple[str, bool]:
    """The text that parts make as far as it is known, and whether that is all of it."""
    text = ""
    for part in parts:
        kind, rest = part[0], part[1:]
        if kind == syntax.TEXT:
            text += rest
            continue
        if kind != syntax.REFERENCE:
            return text, False
        where, _, name = rest.partition(".")
        if where == "path":
            text += scope.folder if name == "module" else "."
        elif where == "var" and name in scope.variables:
            text += scope.variables[name]
        elif where == "local" and name in scope.locals and depth < _DEEPEST:
            more, whole = _resolve(scope.locals[name], scope, depth + 1)
            text += more
            if not whole:
                return text, False
        else:
            return text, False
    return text, True
