"""Parses texts that are JSON or YAML, so that their changes are shown by structure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..base import jsontext

if TYPE_CHECKING:
    import yaml

    from ..base.jsonvalue import Json, JsonObject

_LARGEST_YAML = 100_000  # characters; its parser is slow, and a long text reads well as lines


class Structured(NamedTuple):
    """What a text holds, and as what it was read."""

    kind: str
    value: Json


def parse(text: str) -> Structured | None:
    """The mapping or list that a text holds as JSON or YAML; None if it is just a text.

    A text in which a mapping has a key twice is just a text: programs disagree about which one counts.
    """
    begin = text.lstrip()[:1]
    if begin in ("{", "["):
        try:
            return Structured("JSON", jsontext.loads(text, object_pairs_hook=_once))
        except (ValueError, RecursionError):
            return None
    lines = text.strip().count("\n") + 1
    if lines > 1 and len(text) <= _LARGEST_YAML and ": " in text.replace(":\n", ": "):
        return _yaml(text)
    return None


def _once(pairs: list[tuple[str, Json]]) -> JsonObject:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a duplicate key")
    return found


def _yaml(text: str) -> Structured | None:
    import yaml

    try:
        node = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        value = _plain(node, set())
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    return Structured("YAML", value) if isinstance(value, dict | list) and value else None


def _plain(node: yaml.Node | None, seen: set[int]) -> Json:
    """A YAML node as mappings, lists and texts; scalars keep their spelling, for that is what a program reads.

    Raises:
        ValueError: It has aliases (which can make it endless), a key twice, or a key that is not text.
    """
    import yaml

    if id(node) in seen:
        raise ValueError("an alias")
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(keys) != len(node.value):
            raise ValueError("a key that is not text")
        return _once([(key, _plain(item, seen)) for key, (_, item) in zip(keys, node.value, strict=True)])
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, seen) for item in node.value]
    return str(node.value) if node is not None else None
