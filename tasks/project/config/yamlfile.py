"""Reads YAML together with the line of every key, so that errors can name it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from ...base import jsontext, plain
from ...base.errors import ConfigError
from ...base.problem import Where
from . import yamlwords

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal
    from pathlib import Path

KeyPath = tuple[str | int, ...]

_LARGEST = 1 << 26
_MAX_NODES = 200_000  # aliases can make a small file endless
_MAX_DEPTH = 100
_TAG = "tag:yaml.org,2002:"
_MERGE = _TAG + "merge"
_NAMES = {"int": "an integer", "float": "a number", "bool": "a boolean", "null": "null", "str": "text",
          "another int": "another integer"}  # fmt: skip
_CORE_SCHEMA = {  # https://yaml.org/spec/1.2.2/#1032-tag-resolution
    "null": re.compile(r"null|Null|NULL|~|"),
    "bool": re.compile(r"true|True|TRUE|false|False|FALSE"),
    "int": re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"),
    "float": re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"),
}
_RESOLVER = yaml.resolver.Resolver()
_ENDLESS = re.compile(r"[-+]?\.(inf|nan)", re.IGNORECASE)


@dataclass(frozen=True)
class Document:
    """A YAML mapping; `lines` has the line of each key path, from 1; the empty path is the file's start."""

    name: str
    data: dict[str, Any]
    lines: dict[KeyPath, int]


class _Loader(yaml.SafeLoader):
    """A SafeLoader that refuses duplicate keys, of which YAML would silently keep the last."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._flattened: dict[int, bool] = {}  # by node; False while it is in progress
        self._merged = 0

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        # Done here, because in `construct_mapping` the node already contains the keys that `<<` brought in.
        node = super().compose_mapping_node(anchor)
        seen: dict[Any, int] = {}
        for key_node, _ in node.value:
            if key_node.tag == _MERGE:
                continue
            if key_node.tag in (_TAG + "bool", _TAG + "timestamp") and getattr(key_node, "style", "-") is None:
                key_node.tag = _TAG + "str"  # `on:` is a word, as in YAML 1.2; in PyYAML's YAML 1.1 it is true
            key = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            try:
                if key in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"duplicate key {key!r}, first in line {seen[key]}", key_node.start_mark
                    )
                seen[key] = line
            except TypeError as error:
                raise yaml.constructor.ConstructorError(
                    None, None, "keys must be plain text", key_node.start_mark
                ) from error
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, LookupError, AttributeError, TypeError) as error:
            # Values that PyYAML does not check: `2027-99-01`, `!!int ""`, `!!bool x`, `!!timestamp x`.
            kind = node.tag.rpartition(":")[2]
            problem = f"invalid {kind}" + (f": {error}" if isinstance(error, ValueError) else "")
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Resolve `<<` into keys, each once: own keys win over merged ones, earlier sources over later ones.

        PyYAML's own version keeps overridden keys in the node: repeated merges make it grow without limit, and its
        releases differ in which key wins if a node is flattened twice.
        """
        if id(node) in self._flattened:
            if not self._flattened[id(node)]:
                raise yaml.constructor.ConstructorError(None, None, "this mapping merges itself", node.start_mark)
            return
        self._flattened[id(node)] = False
        own = [pair for pair in node.value if pair[0].tag != _MERGE]
        seen = {self.construct_object(key, deep=True) for key, _ in own}
        merged = []
        for source in self._sources(node):
            self.flatten_mapping(source)
            for pair in source.value:
                key = self.construct_object(pair[0], deep=True)
                if key not in seen:
                    seen.add(key)
                    merged.append(pair)
        self._merged += len(merged)
        if self._merged > _MAX_NODES:
            raise yaml.constructor.ConstructorError(None, None, "too many keys after resolving `<<`", node.start_mark)
        node.value = merged + own
        self._flattened[id(node)] = True

    @staticmethod
    def _sources(node: yaml.MappingNode) -> Iterator[yaml.MappingNode]:
        """The mappings that `<<` names, the strongest first."""
        for key, value in node.value:
            if key.tag == _MERGE:
                for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    if not isinstance(source, yaml.MappingNode):
                        problem = "`<<` takes a mapping, or a list of them"
                        raise yaml.constructor.ConstructorError(None, None, problem, source.start_mark)
                    yield source


def _number(loader: _Loader, node: yaml.ScalarNode) -> float | Decimal:
    """A number with every digit that it is written with; PyYAML's own would make it a float."""
    del loader
    return jsontext.number(node.value.replace("_", ""))


_Loader.add_constructor(_TAG + "float", _number)


def load(path: Path, name: str, within: Path | None = None) -> Document:
    """The mapping in a YAML file; an empty file is an empty mapping.

    Args:
        path: The file.
        name: Its name in errors: POSIX, relative to the repository's root.
        within: The folder that no link may lead out of; by default its own.

    Raises:
        ConfigError: It cannot be read, is not YAML, or is not a mapping; the error names the line.
    """
    try:
        text = plain.read_within(within or path.parent, path, _LARGEST).decode("utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read {name}: {error.strerror}", where=name) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"not UTF-8 text: byte {error.start} is {error.object[error.start]:#04x}", where=Where(name, line)
        ) from error
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is not None:
            _plain(node, (), name, set())
        data = loader.construct_document(node) if node is not None else {}
    except yaml.MarkedYAMLError as error:
        wrong = yamlwords.explain(error, text)
        raise ConfigError(f"not valid YAML: {wrong.message}", where=Where(name, wrong.line)) from error
    except (yaml.YAMLError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"not valid YAML: {reason}", where=name) from error
    if data is None:  # `---` and nothing else
        return Document(name, {}, {(): 1})
    if not isinstance(data, dict):
        shown = f"a {type(data).__name__}" if isinstance(data, list | set) else f"{data!r:.60}"
        raise ConfigError(f"expected a mapping, not {shown}", where=Where(name, 1))
    lines: dict[KeyPath, int] = {(): 1}
    _collect(node, (), lines, name)
    return Document(name, data, lines)


def _plain(node: yaml.Node, path: KeyPath, name: str, seen: set[int]) -> None:
    """Read every scalar as its author would, or refuse it: YAML 1.1 has dates, octal and base-60 numbers.

    A date stays text, as in YAML 1.2; a number that the two versions read differently is refused.

    Raises:
        ConfigError: A value or key is not plain text, a number, a boolean or null; the error names the line and key.
    """
    if id(node) in seen or len(path) > _MAX_DEPTH:  # `_collect` refuses deep nesting
        return
    seen.add(id(node))
    kind = node.tag.removeprefix(_TAG)

    def refuse(problem: str, step: str) -> ConfigError:
        where = f"{name}:{node.start_mark.line + 1}"
        return ConfigError(problem, where=where, key=dotted(path) or None, next_step=step)

    if kind in ("binary", "set", "omap", "pairs"):
        raise refuse(f"a YAML !!{kind} has no counterpart in the engine", "use text, a list or a mapping")
    if isinstance(node, yaml.ScalarNode):
        text = node.value
        if kind in ("value", "merge") and _is_implicit(node):  # `=` and `<<` mean something in YAML 1.1, as keys only
            node.tag = _TAG + "str"
        elif kind == "timestamp" and not _is_implicit(node):
            raise refuse("a YAML !!timestamp has no counterpart in the engine", "write text")
        if kind == "timestamp":
            node.tag = _TAG + "str"
        elif kind == "float" and _ENDLESS.fullmatch(text):
            raise refuse(f"the engine has no number {text:.40}", "use a finite number, or quote it")
        elif _is_implicit(node) and (kind, text) != (other := _in_yaml_1_2(kind, text), text):
            raise refuse(
                f"{text:.40} is {_NAMES[kind]} in YAML 1.1 and {_NAMES[other]} in YAML 1.2",
                f'quote it: "{text:.40}"; or use a form that both read alike (`true`, `10`, `1.0e+3`)',
            )
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _plain(item, (*path, index), name, seen)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            _plain_key(key, path, name)
            _plain(value, (*path, str(key.value)), name, seen)


def _is_implicit(node: yaml.ScalarNode) -> bool:
    """Whether the scalar has neither quotes nor a tag."""
    resolved = _RESOLVER.resolve(yaml.ScalarNode, node.value, (True, False))  # type: ignore[no-untyped-call]
    return node.style is None and resolved == node.tag


def _in_yaml_1_2(kind: str, text: str) -> str:
    """The type in YAML 1.2 of an unquoted scalar with a given type in YAML 1.1."""
    other = next((name for name, pattern in _CORE_SCHEMA.items() if pattern.fullmatch(text)), "str")
    if kind == other == "int" and re.match(r"[-+]?0[0-9]", text):
        return "another int"  # octal in YAML 1.1 only
    return other


def _plain_key(key: yaml.Node, path: KeyPath, name: str) -> None:
    """Refuse a key that is not text.

    Raises:
        ConfigError: It is a number, a date or similar.
    """
    if key.tag not in (_TAG + "str", _TAG + "value", _MERGE) and isinstance(key, yaml.ScalarNode):
        raise ConfigError(
            f"keys must be text, not {key.value or 'null'!s:.40} ({key.tag.removeprefix(_TAG)})",
            where=f"{name}:{key.start_mark.line + 1}", key=dotted(path) or None,
            next_step=f'quote it: "{key.value:.40}"',
        )  # fmt: skip


def _collect(node: yaml.Node | None, path: KeyPath, lines: dict[KeyPath, int], name: str) -> None:
    if len(path) > _MAX_DEPTH or len(lines) > _MAX_NODES:
        raise ConfigError("nesting is too deep, or aliases are circular", where=name)
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            key = (*path, str(key_node.value))
            lines[key] = key_node.start_mark.line + 1
            _collect(value_node, key, lines, name)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            key = (*path, index)
            lines[key] = item.start_mark.line + 1
            _collect(item, key, lines, name)


def dotted(path: KeyPath) -> str:
    """A key path as text: `stacks.web.verify[0].url`."""
    return re.sub(r"\.\[", "[", ".".join(f"[{part}]" if isinstance(part, int) else part for part in path))


def merge(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Merge mappings deeply; lists and plain values of `above` replace those of `below`."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
