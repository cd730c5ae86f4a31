"""The facts about one configuration file that others need, as a JSON value that can be cached between runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .expressions import Expression

HIDES = ("sensitive", "ephemeral")  # what makes a variable's value a secret to us
FACTS_VERSION = 12  # a cache of facts that were read by another version is not used


@dataclass(frozen=True)
class PathReference:
    """A path that a text mentions.

    `base` is what it is relative to: `module` (the file's folder) or `root` (the stack's folder, where the engine
    runs). `exact` is False when only the path's beginning is known: then all below the folder `path` is meant.
    """

    base: str
    path: str
    exact: bool


@dataclass(frozen=True)
class NamedPath:
    """A path outside the configuration proper that it reads or mentions, relative to the repository's root.

    An absolute one begins with `/`. `exact` is False where all below the folder is meant, or what of it matches
    `pattern`. `read` is False where a text only mentions it.
    """

    path: str
    exact: bool
    read: bool
    pattern: str = ""


@dataclass(frozen=True)
class Variable:
    """A declared input variable; `default` is its JSON value where it is a literal one and not sensitive.

    An ephemeral variable counts as sensitive: it is there to be kept nowhere, not even in a plan. `ephemeral` is None
    where the file does not say.
    """

    name: str
    sensitive: bool = False
    has_default: bool = False
    default: Any = None
    type: Expression | None = None
    nullable: bool = True
    ephemeral: bool | None = None


@dataclass(frozen=True)
class Call:
    """A call of a module: its source, its arguments, and what it is repeated by: `each` or `count`, and over what.

    There is no source where a file only overrides arguments of a call in another.
    """

    name: str
    source: Expression | None
    arguments: dict[str, Expression]
    repeat: tuple[str, Expression] | None = None


@dataclass(frozen=True)
class RemoteState:
    """A `terraform_remote_state`: whose state it reads; `repeat` as in `Call`, `line` is 0 in JSON."""

    name: str
    backend: Expression
    config: Expression
    workspace: Expression | None = None
    repeat: tuple[str, Expression] | None = None
    line: int = 0


@dataclass
class Facts:
    """What one file says that matters to others.

    `paths` and `mentioned` are what texts mention, `reads` the expressions in which functions read files. `attributes`
    are what outputs, resources and data sources say, by address: `output.url`, `data.archive_file.x.output_path`.
    `state_outputs` are the outputs of each remote state that the file refers to; None where it may be any, and the name
    "" stands for all states. `backend_varies` where the backend's settings depend on variables; `backend_settings` name
    what stands in a nested block or an object with dots, and `backend_line` is where the block begins, 0 in JSON.
    `workspace` is the line that asks for the name of the workspace first, 0 in JSON.
    """

    paths: list[PathReference] = field(default_factory=list)
    variables: list[Variable] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    backend: str | None = None
    backend_varies: bool = False
    broken: bool = False
    backend_settings: dict[str, Expression] = field(default_factory=dict)
    reads: list[Expression] = field(default_factory=list)
    mentioned: list[Expression] = field(default_factory=list)
    locals: dict[str, Expression] = field(default_factory=dict)
    attributes: dict[str, Expression] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    remote_states: list[RemoteState] = field(default_factory=list)
    state_outputs: dict[str, list[str] | None] = field(default_factory=dict)
    backend_line: int = 0
    workspace: int | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON value that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Facts:
        """The facts of a `to_json` value."""
        return cls(**{
            **value,
            "paths": [PathReference(**item) for item in value["paths"]],
            "variables": [Variable(**item) for item in value["variables"]],
            "calls": [Call(**_repeated(item)) for item in value["calls"]],
            "remote_states": [RemoteState(**_repeated(item)) for item in value["remote_states"]],
        })  # fmt: skip


def _repeated(value: dict[str, Any]) -> dict[str, Any]:
    return value if value["repeat"] is None else {**value, "repeat": tuple(value["repeat"])}


def without_secrets(facts: Facts) -> Facts:
    """The same facts without the defaults of sensitive variables: what may be kept on disk."""
    variables = [replace(variable, default=None) if variable.sensitive else variable for variable in facts.variables]
    return replace(facts, variables=variables)
