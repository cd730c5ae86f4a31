"""What one configuration file says that matters to others; a JSON value, so that it can be kept between runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

Parts = tuple[str, ...]  # see `hclsyntax.parts`

HIDES = ("sensitive", "ephemeral")  # what makes a variable's value a secret to us
FACTS_VERSION = 9  # a cache of facts that were read by another version is not used


@dataclass(frozen=True)
class PathReference:
    """A path that the configuration names.

    `base` is what it is relative to: `module` (the file's folder) or `root` (the stack's folder, where the engine
    runs). `exact` is False when only the path's beginning is known: then all below the folder `path` is meant.
    `read` is True where a function reads it while planning; else a string only mentions it. `template` is True where
    that function runs what the file says.
    """

    base: str
    path: str
    exact: bool
    read: bool = False
    template: bool = False


@dataclass(frozen=True)
class Variable:
    """A declared input variable; `default` is its JSON value where it is a literal one and not sensitive.

    An ephemeral variable counts as sensitive: it is there to be kept nowhere.
    """

    name: str
    sensitive: bool = False
    has_default: bool = False
    default: Any = None


@dataclass(frozen=True)
class Read:
    """A path that a function reads and that depends on locals or variables; `folder` is what `fileset` takes."""

    parts: Parts
    folder: bool
    template: bool = False


@dataclass(frozen=True)
class Call:
    """A call of a module: its source, and those of its arguments that are texts."""

    source: str
    arguments: dict[str, Parts]


@dataclass(frozen=True)
class RemoteState:
    """A `terraform_remote_state`: whose state it reads, and which outputs; no `outputs` where it may be any."""

    name: str
    backend: str
    settings: dict[str, Parts]
    outputs: tuple[str, ...] | None


@dataclass(frozen=True)
class Facts:
    """What one file says that matters to others; `backend_varies` where its settings depend on variables.

    `backend_settings` name what stands in a nested block with dots; `backend_texts` are their expressions.
    """

    module_sources: tuple[str, ...] = ()
    paths: tuple[PathReference, ...] = ()
    variables: tuple[Variable, ...] = ()
    outputs: tuple[str, ...] = ()
    backend: str | None = None
    backend_varies: bool = False
    broken: bool = False
    backend_settings: dict[str, Parts] = field(default_factory=dict)
    reads: tuple[Read, ...] = ()
    locals: dict[str, Parts] = field(default_factory=dict)
    calls: tuple[Call, ...] = ()
    remote_states: tuple[RemoteState, ...] = ()
    backend_line: int = 0
    backend_texts: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A JSON value that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Facts:
        """The facts of a `to_json` value."""
        return cls(
            tuple(value["module_sources"]),
            tuple(PathReference(**item) for item in value["paths"]),
            tuple(Variable(**item) for item in value["variables"]),
            tuple(value["outputs"]),
            value["backend"],
            value["backend_varies"],
            value["broken"],
            _tuples(value["backend_settings"]),
            tuple(Read(tuple(item["parts"]), item["folder"], item["template"]) for item in value["reads"]),
            _tuples(value["locals"]),
            tuple(Call(item["source"], _tuples(item["arguments"])) for item in value["calls"]),
            tuple(
                RemoteState(
                    item["name"], item["backend"], _tuples(item["settings"]),
                    None if item["outputs"] is None else tuple(item["outputs"]),
                )
                for item in value["remote_states"]
            ),
            value["backend_line"],
            value["backend_texts"],
        )  # fmt: skip


def _tuples(value: dict[str, list[str]]) -> dict[str, Parts]:
    return {name: tuple(parts) for name, parts in value.items()}


@dataclass
class Found:
    """Facts in the making."""

    modules: list[str] = field(default_factory=list)
    paths: list[PathReference] = field(default_factory=list)
    variables: list[Variable] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    backend: str | None = None
    backend_varies: bool = False
    broken: bool = False
    backend_settings: dict[str, Parts] = field(default_factory=dict)
    reads: list[Read] = field(default_factory=list)
    locals: dict[str, Parts] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    remote_states: list[RemoteState] = field(default_factory=list)
    backend_line: int = 0
    backend_texts: dict[str, str] = field(default_factory=dict)

    def facts(self) -> Facts:
        """What was found; a module's source counts as a path only where a function reads it too."""
        named = [reference for reference in self.paths if reference.read or reference.path not in self.modules]
        return Facts(
            tuple(self.modules), tuple(dict.fromkeys(named)), tuple(self.variables), tuple(self.outputs),
            self.backend, self.backend_varies, self.broken, self.backend_settings, tuple(self.reads), self.locals,
            tuple(self.calls), tuple(self.remote_states), self.backend_line, self.backend_texts,
        )  # fmt: skip


def without_secrets(facts: Facts) -> Facts:
    """The same facts without the defaults of sensitive variables: what may be kept on disk."""
    variables = tuple(
        replace(variable, default=None) if variable.sensitive else variable for variable in facts.variables
    )
    return replace(facts, variables=variables)
