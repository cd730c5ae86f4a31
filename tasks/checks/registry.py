"""Finds the kinds of checks: built in, or provided by other distributions as entry points.

An entry point in the group `doit_tofu.checks` is named after the kind, `vendor.name`, and is a subclass of
`check.Check`.
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

# A table instead of entry points, because in its own repository this package runs without being installed.
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
    """The built-in kinds, in the order of the docs."""
    return [_load(kind) for kind in BUILT_IN]


def find(kind: str) -> type[Check]:
    """The class of a kind; only its module is imported.

    Raises:
        LookupError: The kind does not exist, or its plug-in cannot be used; the message says which.
    """
    if kind in BUILT_IN:
        return _load(kind)
    plugins = _plugins()
    if kind not in plugins:
        raise LookupError(f"unknown kind of check '{kind:.80}'{nearest(kind, [*BUILT_IN, *plugins])}")
    return _plugin(kind)


@cache
def _load(kind: str) -> type[Check]:
    module, name = BUILT_IN[kind]
    loaded: type[Check] = getattr(import_module(f".{module}", __package__), name)
    return loaded


@cache
def _plugins() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points

    # Only names with a dot, `vendor.name`, so that kinds added to this package later never clash with a plug-in.
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
        message = f"the check '{kind}' of {source} is not a subclass of doit_tofu.checks.check.Check"
        raise LookupError(message)  # noqa: TRY004 - the kind is what cannot be found
    return loaded


class OfItsKind:
    """Marks a configuration value as a check, which is validated by the model of its kind."""

    def __get_pydantic_core_schema__(self, _source: Any, _handler: Any) -> core_schema.CoreSchema:
        """How pydantic validates it; only the kinds in use are imported."""
        return core_schema.no_info_plain_validator_function(parse)

    def __get_pydantic_json_schema__(self, _schema: Any, handler: Any) -> dict[str, Any]:
        """Its JSON Schema: one of the built-in kinds, or another kind with any keys."""
        union: Any = Annotated[Union[tuple(built_in())], Field(discriminator="kind")]  # noqa: UP007 - made of a list
        ours: dict[str, Any] = handler(TypeAdapter(union).core_schema)
        plugin = {
            "type": "object",
            "properties": {"kind": {"type": "string", "pattern": r"\."}},
            "required": ["kind"],
            "description": "A kind provided by a plug-in: `vendor.name`.",
        }
        return {"anyOf": [ours, plugin]}


def parse(value: Any) -> Check:
    """A check from its configuration.

    Raises:
        ValidationError: It is invalid; pydantic puts the errors below the value's place.
    """
    from .check import Check

    if isinstance(value, Check):
        return value
    if not isinstance(value, dict):
        raise PydanticCustomError("check", "a check must be a mapping with a `kind`")
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
