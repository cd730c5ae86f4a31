"""Which kinds of checks there are: those of this package, and those that other distributions bring as entry points.

An entry point of the group `doit_tofu.checks` has the kind as its name, `vendor.name`, and a subclass of `check.Check`.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError, core_schema

from ..base.errors import nearest

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from .check import Check

GROUP = "doit_tofu.checks"

# A table and no entry points: in its own repository this package runs without being installed.
BUILT_IN = {
    "http": ("http", "HttpCheck"),
    "kubernetes_pods": ("kubernetes.check", "KubernetesPodsCheck"),
    "gitlab_runner": ("runners", "GitlabRunnerCheck"),
    "github_runner": ("runners", "GithubRunnerCheck"),
    "command": ("command", "CommandCheck"),
    "tcp": ("tcp", "TcpCheck"),
    "plan_empty": ("plan_empty", "PlanEmptyCheck"),
}


def built_in() -> list[type[Check]]:
    """The kinds of this package, in the order of the docs."""
    return [_load(kind) for kind in BUILT_IN]


def find(kind: str) -> type[Check]:
    """The check of a kind; only this one is imported.

    Raises:
        LookupError: There is none, or the plug-in that brings it cannot be used; the message says which.
    """
    if kind in BUILT_IN:
        return _load(kind)
    plugins = _plugins()
    if kind not in plugins:
        raise LookupError(f"there is no kind of check '{kind:.80}'{nearest(kind, [*BUILT_IN, *plugins])}")
    return _plugin(kind)


@cache
def _load(kind: str) -> type[Check]:
    module, name = BUILT_IN[kind]
    loaded: type[Check] = getattr(import_module(f".{module}", __package__), name)
    return loaded


@cache
def _plugins() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points

    # Only names with a dot, `vendor.name`: so no kind that comes to this package later takes the name of a plug-in's.
    return {point.name: point for point in entry_points(group=GROUP) if "." in point.name}


@cache
def _plugin(kind: str) -> type[Check]:
    from .check import Check

    point = _plugins()[kind]
    source = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
    try:
        loaded = point.load()
    except Exception as error:
        raise LookupError(f"the check '{kind}' of {source} cannot be loaded: {error}") from error
    if not (isinstance(loaded, type) and issubclass(loaded, Check)):
        message = f"the check '{kind}' of {source} is no subclass of doit_tofu.checks.check.Check"
        raise LookupError(message)  # noqa: TRY004 - the kind is what cannot be found
    return loaded


class OfItsKind:
    """Annotates a value of the configuration as a check: validated by the model of the kind that it names."""

    def __get_pydantic_core_schema__(self, _source: Any, _handler: Any) -> core_schema.CoreSchema:
        """How pydantic validates it; nothing but the kinds in use is imported."""
        return core_schema.no_info_plain_validator_function(parse)

    def __get_pydantic_json_schema__(self, _schema: Any, handler: Any) -> dict[str, Any]:
        """How an editor sees it: one of the kinds of this package, or another with any keys."""
        union: Any = Annotated[Union[tuple(built_in())], Field(discriminator="kind")]  # noqa: UP007 - made of a list
        ours: dict[str, Any] = handler(TypeAdapter(union).core_schema)
        plugin = {
            "type": "object",
            "properties": {"kind": {"type": "string", "pattern": r"\."}},
            "required": ["kind"],
            "description": "A kind that a plug-in brings: `vendor.name`.",
        }
        return {"anyOf": [ours, plugin]}


def parse(value: Any) -> Check:
    """A check from what the configuration says.

    Raises:
        ValidationError: It is none; pydantic puts the errors below the place of the value.
    """
    from .check import Check

    if isinstance(value, Check):
        return value
    if not isinstance(value, dict):
        raise PydanticCustomError("check", "a check is a mapping with a `kind`")
    kind = value.get("kind")
    if not isinstance(kind, str):
        found = {"type": "missing" if kind is None else "string_type", "loc": ("kind",), "input": value.get("kind")}
        raise ValidationError.from_exception_data("check", [found])  # type: ignore[list-item]
    try:
        model = find(kind)
    except LookupError as error:
        wrong = PydanticCustomError("check_kind", "{said}", {"said": str(error)})
        raise ValidationError.from_exception_data("check", [{"type": wrong, "loc": ("kind",), "input": kind}]) from None
    return model.model_validate(value)
