"""Parses HCL into a syntax tree: blocks, attributes, literal values, and the parts of strings.

The syntax is https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md, parsed by tree-sitter-hcl.
"""

from __future__ import annotations

import re
import sys
from enum import Enum
from typing import TYPE_CHECKING

from ...base import jsontext

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_sitter import Node

    from ...base.jsonvalue import Json


class Unknown(Enum):
    """Stands for a value that the code does not say as a literal."""

    UNKNOWN = "unknown"


UNKNOWN = Unknown.UNKNOWN
_EXPONENT = re.compile(rb"(?<![\w.\x80-\xff-])(-?[0-9]+)[eE]([-+]?)(?=[0-9])")  # also in texts and comments


def parse(content: bytes) -> Node:
    """The root of the syntax tree; errors are nodes in it."""
    import tree_sitter
    import tree_sitter_hcl

    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_hcl.language()))
    found = parser.parse(content).root_node
    if not found.has_error or not _EXPONENT.search(content):
        return found
    # The grammar has no exponent without a fraction (`1e30`). The tree is that of other numbers of the same length
    # (`1.30`), parsed as an edit that changes nothing, so that it is kept and the texts in it are those of the content.
    other = parser.parse(_EXPONENT.sub(lambda match: match[1] + b"." + b"0" * len(match[2]), content))
    kept = parser.parse(content, other)
    whole = not other.root_node.has_error and str(kept.root_node) == str(other.root_node)
    return kept.root_node if whole else found


def body(root: Node) -> Node | None:
    """The body of a file or block."""
    if root.type == "body":
        return root
    return next((child for child in root.named_children if child.type == "body"), None)


def blocks(inside: Node | None) -> Iterator[tuple[str, list[str], Node | None]]:
    """The blocks of a body: kind, labels, body."""
    for block in inside.named_children if inside else []:
        if block.type != "block":
            continue
        words: list[str] = []
        inner: Node | None = None
        for child in block.named_children:
            kind = child.type  # which is made anew each time
            if kind in ("identifier", "string_lit"):
                words.append(text(child).strip('"'))
            elif kind == "body" and inner is None:
                inner = child
        if words:
            yield words[0], words[1:], inner


def attributes(inside: Node | None) -> Iterator[tuple[str, Node]]:
    """The attributes of a body: name, expression."""
    for attribute in inside.named_children if inside else []:
        if attribute.type == "attribute" and len(kids := attribute.named_children) > 1:
            yield text(kids[0]), kids[-1]


def text(node: Node) -> str:
    """A node's own text."""
    return (node.text or b"").decode("utf-8", "replace")


def literal(node: Node) -> Json | Unknown:
    """The JSON value of a literal expression, or `UNKNOWN`."""
    try:
        return _literal_value(node)
    except RecursionError:
        return UNKNOWN


def literals(node: Node) -> Iterator[Json]:
    """The largest literal values within an expression: for `x ? "a" : "b"` both texts."""
    pending = [node]
    while pending:
        node = pending.pop()
        value = unescape(text(node)) if node.type == "template_literal" else literal(node)
        if isinstance(value, Unknown):
            pending += node.named_children
        else:
            yield value


_MARKED = ("template_interpolation", "template_directive")


def _literal_value(node: Node) -> Json | Unknown:
    kids = node.named_children
    if node.type in ("expression", "literal_value", "collection_value", "template_expr") and len(kids) == 1:
        return _literal_value(kids[0])
    if node.type == "string_lit":
        return unescape(text(node)[1:-1])
    if node.type == "heredoc_template" and not any(kid.type in _MARKED for kid in kids):
        start, end = within(node)
        content = heredoc_text(node, (node.text or b"")[start - node.start_byte : end - node.start_byte], first=True)
        return UNKNOWN if content is None else content
    if node.type == "quoted_template":
        return _joined(node)
    if node.type in ("bool_lit", "numeric_lit", "null_lit", "operation"):  # `-1` is an operation
        try:
            number: Json = jsontext.loads(text(node))
        except ValueError:
            return UNKNOWN
        return number
    if node.type == "tuple":
        values = [_literal_value(kid) for kid in kids if kid.type == "expression"]
        items = [value for value in values if not isinstance(value, Unknown)]
        return items if len(items) == len(values) else UNKNOWN
    if node.type == "object":
        pairs = {}
        for element in (kid for kid in kids if kid.type == "object_elem" and kid.named_children):
            key, value = _literal_key(element.named_children[0]), _literal_value(element.named_children[-1])
            if key is None or isinstance(value, Unknown):
                return UNKNOWN
            pairs[key] = value
        return pairs
    return UNKNOWN


def within(node: Node) -> tuple[int, int]:
    """Where the text of a template begins and ends."""
    if node.type == "quoted_template":
        return node.start_byte + 1, node.end_byte - 1
    if node.type == "heredoc_template":
        first, last = node.named_children[0], node.named_children[-1]
        opening = next((kid for kid in node.named_children if kid.type == "heredoc_identifier"), first)
        before = (node.text or b"")[: last.start_byte - node.start_byte]
        return opening.end_byte + 1, last.start_byte - (len(before) - len(before.rstrip(b" \t")))
    return node.start_byte, node.end_byte


def heredoc_text(node: Node, piece: bytes, *, first: bool) -> str | None:
    """A piece of a heredoc's text as the engine has it; None where what `<<-` takes from its lines is not certain.

    Args:
        node: The heredoc.
        piece: The piece.
        first: Whether it begins with a line.
    """
    found = piece.decode("utf-8", "replace")
    if (node.text or b"").startswith(b"<<-"):
        start, end = within(node)
        lines = (node.text or b"")[start - node.start_byte : end - node.start_byte].split(b"\n")
        if any(line and (not line.strip() or line.lstrip(b" ")[:1] in b"\t\r") for line in lines):
            return None
        indent = min((len(line) - len(line.lstrip(b" ")) for line in lines if line), default=0)
        found = re.sub(("(?m:^)" if first else "(?<=\n)") + " " * indent, "", found)
    return None if "\r" in found else found.replace("$${", "${").replace("%%{", "%{")


def _literal_key(node: Node) -> str | None:
    """The key of an object's element: a bare word, literal text or number; None if it is an expression."""
    word = text(node).strip()
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", word):
        return word
    value = _literal_value(node)
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else None


def _joined(template: Node) -> str | Unknown:
    """The text of a template whose interpolations are literals: `"a-${"b"}"`.

    The tree leaves out spaces at the ends of texts, so texts are what is between the interpolations.
    """
    content, begin = template.text or b"", template.start_byte
    pieces, at = [], template.start_byte + 1
    for kid in (kid for kid in template.named_children if kid.type in _MARKED):
        inner = [inside for inside in kid.named_children if inside.type == "expression"]
        value = _literal_value(inner[0]) if len(inner) == 1 else UNKNOWN
        if not isinstance(value, str) or kid.type != _MARKED[0] or "~" in (text(kid)[2:3], text(kid)[-2:-1]):
            return UNKNOWN
        pieces += [unescape(content[at - begin : kid.start_byte - begin].decode("utf-8", "replace")), value]
        at = kid.end_byte
    return "".join([*pieces, unescape(content[at - begin : -1].decode("utf-8", "replace"))])


_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}


def unescape(text: str) -> str:
    """A quoted text without its escapes."""

    def replace(match: re.Match[str]) -> str:
        code = match[1]
        if len(code) == 1:
            return _ESCAPES.get(code, match[0])
        number = int(code[1:], 16)
        return "\ufffd" if number > sys.maxunicode or 0xD800 <= number < 0xE000 else chr(number)  # noqa: PLR2004

    plain = re.sub(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", replace, text)
    return plain.replace("$${", "${").replace("%%{", "%{")
