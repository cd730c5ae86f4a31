"""Finds places in the syntax tree of a configuration file: blocks by labels, elements of literals, indentation."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..project.hcl import syntax

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from tree_sitter import Node


_KEY = re.compile(r'[\w-]+|"(?:[^"$%\\]|\\.|[$%](?!\{))*"')


@dataclass(frozen=True)
class Spot:
    """A block or expression in a file."""

    file: str
    node: Node


def element(node: Node, step: str | int) -> Node | None:
    """The expression of an element of a literal object or list."""
    inner = inside(node)
    if inner.type == "tuple" and isinstance(step, int):
        items = [child for child in inner.named_children if child.type == "expression"]
        return items[step] if step < len(items) else None
    if inner.type == "object" and isinstance(step, str):
        for child in inner.named_children:
            if child.type == "object_elem" and child.named_children and key(child.named_children[0]) == step:
                return child.named_children[-1]
    return None


def inside(node: Node) -> Node:
    """An expression without what only wraps it."""
    while node.type in ("expression", "collection_value", "literal_value") and len(node.named_children) == 1:
        node = node.named_children[0]
    return node


def on_lines(node: Node) -> bool:
    """Whether the brackets and each element of an object are on lines of their own."""
    lines = [row for child in node.named_children if child.type == "object_elem"
             for row in {child.start_point[0], child.end_point[0]}]  # fmt: skip
    lines += [node.start_point[0], node.end_point[0]]
    return len(lines) == len(set(lines)) and node.start_point[0] != node.end_point[0]


def keyed(node: Node) -> bool:
    """Whether all keys of an object are written as they are; the value of any other may be one that is looked for."""
    found = (child.named_children[0] for child in node.named_children if child.type == "object_elem")
    return all(_KEY.fullmatch(syntax.text(child).strip()) for child in found)


def referring(roots: Mapping[str, Node], addresses: Collection[str]) -> dict[str, str]:
    """Of resources that are to go, those that something refers to which stays: a file that does, by address."""
    found: dict[str, str] = {}
    blocks = [(file, block, _address(block)) for file, root in roots.items() for block in blocks_of(root)]
    once = Counter(address for _, _, address in blocks)  # one of several, or none, is not removed
    while True:
        left = [address for address in addresses if address not in found and once[address] == 1]
        staying = [(file, syntax.text(block)) for file, block, address in blocks if address not in left]
        more = {address: file for address in left for file, text in reversed(staying) if _refers(text, address)}
        if not more:
            return found
        found |= more


def _address(block: Node) -> str:
    """The address of a resource's block; empty for another block."""
    said = words(block)
    return ".".join(said[1:]) if said[0] == "resource" else ""


def _refers(text: str, address: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(address)}(?![\w-])", text) is not None


def commented(node: Node) -> bool:
    """Whether there is a comment within a node."""
    return node.type == "comment" or any(commented(child) for child in node.children)


def sets(block: Node, name: str) -> bool:
    """Whether a block has an attribute or a nested block of a name."""
    body = syntax.body(block)
    nested = (words(child)[0] for child in (body.named_children if body else []) if child.type == "block")
    return name in {*(key for key, _ in syntax.attributes(body)), *nested}


def key(node: Node) -> str:
    """The key of an element of an object."""
    return syntax.unescape(syntax.text(node).strip().strip('"'))


def argument(node: Node, function: str) -> Node | None:
    """The only argument of a call of a function."""
    inner = node
    while inner.type == "expression" and len(inner.named_children) == 1:
        inner = inner.named_children[0]
    if inner.type != "function_call" or not syntax.text(inner).startswith(f"{function}("):
        return None
    arguments = next((child for child in inner.named_children if child.type == "function_arguments"), None)
    return arguments.named_children[0] if arguments and len(arguments.named_children) == 1 else None


def blocks_of(root: Node) -> Iterator[Node]:
    """The blocks of a file."""
    body = syntax.body(root)
    yield from (child for child in (body.named_children if body else []) if child.type == "block")


def words(block: Node) -> list[str]:
    """A block's kind and labels."""
    return [
        syntax.text(child).strip('"') for child in block.named_children if child.type in ("identifier", "string_lit")
    ]


def kind(block: Node) -> str:
    """A block's kind."""
    return words(block)[0]


def labels(block: Node) -> list[str]:
    """A block's labels."""
    return words(block)[1:]


def label(block: Node) -> str:
    """A block's first label; empty if it has none."""
    return next(iter(labels(block)), "")


def indent(node: Node) -> str:
    """The indentation of the line that a node begins on."""
    line, top = node, node
    while top.parent is not None:
        top = top.parent
    content = top.text or b""
    offset = line.start_byte - top.start_byte
    begin = content.rfind(b"\n", 0, max(offset, 0)) + 1
    text = content[begin:offset].decode("utf-8", "replace")
    return text[: len(text) - len(text.lstrip())]


def inner_indent(body: Node) -> str:
    """The indentation of what a body contains."""
    if body.named_children:
        return indent(body.named_children[0]) or "  "
    return "  "


def element_indent(node: Node) -> str:
    """The indentation of the elements of an object that is written on several lines."""
    first = next((child for child in node.named_children if child.type == "object_elem"), None)
    return indent(first) if first else f"{indent(node)}  "
