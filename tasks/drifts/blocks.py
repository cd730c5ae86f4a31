"""What becomes of a resource's nested blocks, so that the code has those that exist: which stay, change, go, come."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from ..artifact.changes import UNKNOWN
from ..base import jsontext
from ..base.jsonvalue import fields
from ..project.hcl import syntax
from . import places

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tree_sitter import Node

    from ..base.jsonvalue import Json, JsonObject


@dataclass(frozen=True)
class Shape:
    """What a resource type's configuration may have: attributes that can be set, and nested blocks."""

    attributes: frozenset[str]
    blocks: frozenset[str]


def items(value: Json) -> list[JsonObject]:
    """The values of nested blocks of one kind: a list of objects, or the object of a block that there is once."""
    return [fields(item) for item in (value if isinstance(value, list) else [value])] if value else []


def are(value: Json) -> bool:
    """Whether a value is one that only blocks or lists of nested attributes have."""
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def of(nested: Sequence[Node], code: Json) -> list[Node]:
    """The blocks in the order of their values: that of the code, but for a set, whose values the engine sorts.

    Args:
        nested: The blocks in the order of the code.
        code: Their values.
    """
    values = items(code)
    if len(values) != len(nested):
        return list(nested)
    left = list(nested)
    found: list[Node] = []
    for value in values:
        fitting = next((node for node in left if _fits(node, value)), None)
        if fitting is None:
            return list(nested)
        left.remove(fitting)
        found.append(fitting)
    return found


@dataclass(frozen=True)
class Step:
    """What becomes of a block: other values, or it goes; or which new ones come before it, or as the last ones.

    Args:
        node: The block; None for the end.
        becomes: Its new values; None if it goes, or stays.
        new: The values of the new ones.
    """

    node: Node | None
    becomes: JsonObject | None = None
    new: Sequence[JsonObject] = ()


def steps(nested: Sequence[Node], code: Json, now: Json) -> Iterator[Step]:
    """What becomes of the blocks that do not stay as they are.

    Args:
        nested: The blocks.
        code: The values that the code says.
        now: Those that exist.
    """
    before, after, order = items(code), items(now), of(nested, code)
    before = before if len(before) == len(order) else [{} for _ in order]
    computed = {name for item in before for name, value in item.items() if value == UNKNOWN}
    old, new = ([_text(item, computed) for item in side] for side in (before, after))
    for kind, begin, end, begin_new, end_new in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        nodes, becoming = order[begin:end], after[begin_new:end_new]
        yield from (Step(node, value) for node, value in zip(nodes, becoming, strict=False))
        yield from (Step(node) for node in nodes[len(becoming) :])
        if more := becoming[len(nodes) :]:
            yield Step(order[end] if end < len(order) else None, new=more)


def plain(node: Node) -> bool:
    """Whether nothing is lost if a block is written from its values: neither an expression nor a comment."""
    body = syntax.body(node)
    inside = [child for child in body.named_children if child.type == "block"] if body is not None else []
    return (
        not places.commented(node)
        and all(syntax.literal(value) is not syntax.UNKNOWN for _, value in syntax.attributes(body))
        and all(map(plain, inside))
    )


def content(item: JsonObject, nested: Sequence[Node]) -> JsonObject:
    """What a block has to set: what others of its kind set, and what is not empty."""
    written = {key for node in nested for key, _ in syntax.attributes(syntax.body(node))}
    return {key: value for key, value in item.items() if key in written or value not in (None, "", [], {}, 0, False)}


def _fits(node: Node, value: JsonObject) -> bool:
    """Whether a block may be the one that has these values, by its literals."""
    found = {name: syntax.literal(node) for name, node in syntax.attributes(syntax.body(node))}
    known = {name: item for name, item in found.items() if not isinstance(item, syntax.Unknown)}
    return all(value.get(name) == UNKNOWN or _alike(item, value.get(name)) for name, item in known.items())


def _alike(one: Json, other: Json) -> bool:
    """Whether two values are the same to a provider, which converts `"80"` and `80` to one type."""
    if isinstance(one, dict | list) or isinstance(other, dict | list):
        return jsontext.same(one, other)
    return jsontext.same(one, other) or jsontext.dumps(one).strip('"') == jsontext.dumps(other).strip('"')


def _text(item: JsonObject, without: set[str]) -> str:
    return jsontext.dumps({name: value for name, value in item.items() if name not in without}, sort_keys=True)
