"""The parts of providers' schemas that reading a plan needs: types, and what is sensitive."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, cast

from ...base import jsontext
from ...base.jsonvalue import fields, named
from .packed import DYNAMIC
from .wire import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...base.jsonvalue import Json, JsonObject
    from .packed import CtyType

_LEFT_OUT = frozenset({"description", "description_kind", "deprecation_message"})  # most of a schema
_MODES = {"resource_schemas": "managed", "data_source_schemas": "data"}
_COLLECTIONS = frozenset({"list", "set", "map"})


@dataclass(frozen=True, slots=True)
class Marks:
    """Where a value is sensitive: all of it, in some of its fields, or in each of its elements."""

    whole: bool = False
    fields: Mapping[str, Marks] = field(default_factory=dict)
    each: Marks | None = None


class Kind(NamedTuple):
    """A kind of resource: its provider, `managed` or `data`, and its type."""

    provider: str
    mode: str
    type: str


@dataclass(frozen=True, slots=True)
class Schema:
    """The schema of a kind of resource; `marks` is None where nothing is sensitive."""

    version: int
    type: CtyType
    marks: Marks | None


def read(text: str) -> dict[Kind, Schema]:
    """The schemas that `tofu providers schema -json` prints.

    Raises:
        UnreadableError: They are not written as we know it.
    """
    found: dict[Kind, Schema] = {}
    try:
        document = fields(jsontext.loads(text, object_pairs_hook=_less))
        for provider, schemas in named(document["provider_schemas"]).items():
            for key, mode in _MODES.items():
                for name, schema in named(schemas.get(key)).items():
                    kind, marks = _block(fields(schema["block"]))
                    found[Kind(provider, mode, name)] = Schema(int(str(schema["version"])), kind, marks)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableError("not the schemas of providers") from error
    return found


def _less(pairs: list[tuple[str, Json]]) -> Json:
    """An object without the texts for people; an attribute of such a name is an object, and stays."""
    return {key: value for key, value in pairs if key not in _LEFT_OUT or isinstance(value, dict)}


def _block(block: JsonObject) -> tuple[CtyType, Marks | None]:
    """The type of a block's value, and what of it is sensitive."""
    types: dict[str, CtyType] = {}
    marks: dict[str, Marks | None] = {}
    for name, attribute in named(block.get("attributes")).items():
        types[name], marks[name] = _attribute(attribute)
    for name, inner in named(block.get("block_types")).items():
        types[name], marks[name] = _repeated(str(inner["nesting_mode"]), *_block(fields(inner["block"])))
        if inner["nesting_mode"] in ("list", "map") and _is_dynamic(types[name]):
            types[name] = DYNAMIC  # its elements may differ in type
    return ["object", types], _fields(marks)


def _attribute(attribute: JsonObject) -> tuple[CtyType, Marks | None]:
    kind: CtyType
    if attribute.get("nested_type") is None:
        kind, marks = cast("CtyType", attribute["type"]), None
    else:
        nested = fields(attribute["nested_type"])
        inside = {name: _attribute(item) for name, item in named(nested["attributes"]).items()}
        inner = _fields({name: marks for name, (_, marks) in inside.items()})
        kind, marks = _repeated(
            str(nested["nesting_mode"]), ["object", {name: kind for name, (kind, _) in inside.items()}], inner
        )
    return kind, Marks(whole=True) if attribute.get("sensitive") else marks


def _repeated(mode: str, kind: CtyType, marks: Marks | None) -> tuple[CtyType, Marks | None]:
    """The type and marks of a single value, or of a collection of such."""
    if mode in ("single", "group"):
        return kind, marks
    if mode not in _COLLECTIONS:
        raise UnreadableError(f"nesting {mode} is not known")
    return [mode, kind], None if marks is None else Marks(each=marks)


def _fields(marks: Mapping[str, Marks | None]) -> Marks | None:
    found = {name: mark for name, mark in marks.items() if mark is not None}
    return Marks(fields=found) if found else None


def _is_dynamic(kind: CtyType) -> bool:
    if isinstance(kind, str):
        return kind == DYNAMIC
    return any(_is_dynamic(part) for part in (kind.values() if isinstance(kind, dict) else kind))
