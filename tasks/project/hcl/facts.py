"""The facts about one configuration file that others need, as a JSON value that can be cached between runs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .expressions import Expression

HIDES = ("sensitive", "ephemeral")  # what makes a variable's value a secret to us
FACTS_VERSION = 17  # facts cached by another version are not used
_RECORDS = ("paths", "variables", "calls", "remote_states")  # the fields of `Facts` that are lists of dataclasses
IF_THERE = "if there"  # the base of a path that counts only if it begins in the stack's folder


@dataclass(frozen=True)
class PathReference:
    """A path that a text mentions.

    `base` is what it is relative to: `module` (the file's folder) or `root` (the stack's folder, where the engine
    runs); `IF_THERE` is as `root`, for what may be no path at all. `exact` is False if only the path's beginning is
    known: then it stands for all files below the folder `path`.
    """

    base: str
    path: str
    exact: bool


@dataclass(frozen=True)
class NamedPath:
    """A path outside the configuration proper that it reads or mentions, relative to the repository's root.

    An absolute one begins with `/`. `exact` is False if it stands for all files below the folder, or for those that
    match `pattern`. `read` is False if a text only mentions it.
    """

    path: str
    exact: bool
    read: bool
    pattern: str = ""


@dataclass(frozen=True)
class Variable:
    """A declared input variable; `default` is its JSON value if it is a literal and not sensitive.

    An ephemeral variable counts as sensitive, as it must not be stored anywhere, not even in a plan. `ephemeral` is
    None if the file does not say.
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
    """A module call: its source, its arguments, and what repeats it: `each` or `count`, and the collection.

    There is no source if a file only overrides arguments of a call in another file.
    """

    name: str
    source: Expression | None
    arguments: dict[str, Expression]
    repeat: tuple[str, Expression] | None = None


@dataclass(frozen=True)
class RemoteState:
    """A `terraform_remote_state` and the state that it reads; `repeat` as in `Call`, `line` is 0 in JSON."""

    name: str
    backend: Expression
    config: Expression
    workspace: Expression | None = None
    repeat: tuple[str, Expression] | None = None
    line: int = 0


@dataclass
class Facts:
    """The facts of one file that matter to others.

    `paths` and `mentioned` are what texts mention, `reads` the expressions in which functions read files. `attributes`
    are those of outputs, resources and data sources by address: `output.url`, `data.archive_file.x.output_path`.
    `state_outputs` are the outputs of each remote state that the file refers to; None if it may be any, and the name ""
    stands for all states. `backend_varies` says whether the backend's settings depend on variables; `backend_settings`
    have dotted names for nested blocks and objects, and `backend_line` is the block's first line, 0 in JSON.
    `workspace` is the first line that asks for the workspace's name, 0 in JSON. `archives` are the paths of the
    archives that every plan writes.
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
    archives: list[Expression] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """A JSON value for `from_json`, made of the same values: to copy each, as `asdict` does, takes much longer."""
        inner = {name: [vars(item) for item in getattr(self, name)] for name in _RECORDS}
        return {**vars(self), **inner}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Facts:
        """The facts from a value of `to_json`."""
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
    """The same facts without the defaults of sensitive variables, fit to be stored on disk."""
    variables = [replace(variable, default=None) if variable.sensitive else variable for variable in facts.variables]
    return replace(facts, variables=variables)
