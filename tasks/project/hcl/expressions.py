"""Expressions as JSON values, which can be cached between runs and evaluated without the engine.

An expression is a list; its first item says what the others are:

| kind | then | what it is |
| --- | --- | --- |
| `LITERAL` | value | a JSON value |
| `TEMPLATE` | expressions | a text put together from these |
| `REFERENCE` | name, steps | `name.a["b"]`; a step is `["a", name]`, `["i", expression]` or `["*", steps]` |
| `VALUE` | expression, steps | the same of any other expression |
| `CALL` | function, arguments, spread | a call; `spread` where the last argument ends in `...` |
| `CONDITION` | condition, expression, expression | `x ? y : z` |
| `TUPLE` | expressions | `[x, y]` |
| `OBJECT` | pairs of expressions | `{x = y}` |
| `FOR` | key name, value name, collection, key, value, condition, grouped | `[for ...]`, or `{for ...}` with a key |
| `OPERATION` | operator, operands | `x + y`, `!x` |
| `REPEATED` | iterator, collection, expressions | what is evaluated for each instance of a block |
| `UNKNOWN` | expressions | anything, made of these |
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from . import syntax

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_sitter import Node

LITERAL, TEMPLATE, REFERENCE, VALUE, CALL, CONDITION = "=", "t", "r", "v", "c", "?"
TUPLE, OBJECT, FOR, OPERATION, REPEATED, UNKNOWN = "l", "o", "f", "b", "w", "!"
Expression = list[Any]

_READS = re.compile(r"(core::)?(file[a-z0-9]*|templatefile|templatestring)")
_READING = re.compile(rb"\b(file[a-z0-9]*|templatefile|templatestring)\s*\(")
_DEEPEST = 200  # what is nested deeper counts as unknown
_PLAIN = ("expression", "literal_value", "collection_value", "template_expr", "operation", "for_expr")


def convert(node: Node) -> Expression:
    """The expression that a node of the syntax tree is."""
    return _convert(node, 0)


def template(root: Node) -> Expression:
    """The expression that a template node is: a quoted one, a heredoc, or what is between the marks of a directive."""
    return _template(root, 0)


def may_read(text: bytes) -> bool:
    """Whether a text may have calls of functions that read files in it; quick."""
    return _READING.search(text) is not None


def reads(expression: Any) -> bool:
    """Whether a function that reads files is called in an expression."""
    pending = [expression]
    while pending:
        current = pending.pop()
        if isinstance(current, list):
            if len(current) > 1 and current[0] == CALL and isinstance(current[1], str) and _READS.fullmatch(current[1]):
                return True
            if current[:1] != [LITERAL]:
                pending.extend(current)
    return False


def references(expression: Any) -> Iterator[Expression]:
    """The references to variables, locals and paths in an expression."""
    pending = [expression]
    while pending:
        current = pending.pop()
        if isinstance(current, list) and current[:1] != [LITERAL]:
            if current[:1] == [REFERENCE] and current[1] in ("var", "local", "path"):
                yield current
            pending.extend(current)


def literal(value: Any) -> Expression:
    """The expression of a JSON value."""
    return [LITERAL, value]


def _convert(node: Node, depth: int) -> Expression:
    """See `convert`. A value and what is accessed of it stand side by side in the tree, below any kind of node."""
    if depth > _DEEPEST or node.has_error:
        return [UNKNOWN, []]
    kids = [kid for kid in node.named_children if kid.type != "comment"]
    if node.type in _PLAIN and kids:
        return _accessed(kids, depth)
    known = syntax.literal(node)
    if known is not syntax.UNKNOWN:
        return [LITERAL, known]
    handler = _HANDLERS.get(node.type)
    return handler(node, depth + 1) if handler else _unknown(kids, depth)


def _unknown(nodes: list[Node], depth: int) -> Expression:
    """What is not understood: what it is made of still counts."""
    return [UNKNOWN, [_convert(node, depth + 1) for node in nodes]]


def _accessed(nodes: list[Node], depth: int) -> Expression:
    """A value followed by `.attribute`, `[index]` and splats."""
    first, rest = _convert(nodes[0], depth + 1), nodes[1:]
    if not rest:
        return first
    steps = [step for node in rest for step in _steps(node, depth + 1)]
    if first[0] == REFERENCE:
        return [REFERENCE, first[1], first[2] + steps]
    return [VALUE, first, steps]


def _steps(node: Node, depth: int) -> list[list[Any]]:
    """The steps that a node stands for: of `.*`, only attributes are taken of each element."""
    kids = node.named_children
    if node.type != "splat" or not kids:
        return [_step(node, depth)]
    inner = [_step(kid, depth + 1) for kid in kids[0].named_children]
    own = len(inner)
    if kids[0].type == "attr_splat":
        own = next((at for at, step in enumerate(inner) if step[0] != "a"), own)
    return [["*", inner[:own]], *inner[own:]]


def _step(node: Node, depth: int) -> list[Any]:
    kids = node.named_children
    if node.type == "get_attr" and kids:
        return ["a", syntax.text(kids[0])]
    if node.type == "index" and kids:
        if kids[0].type == "legacy_index":
            return ["i", [LITERAL, int(re.sub(r"\D", "", syntax.text(kids[0])) or 0)]]
        if kids[0].named_children:
            return ["i", _convert(kids[0].named_children[0], depth + 1)]
    return ["i", _unknown(kids, depth)]


def _variable(node: Node, depth: int) -> Expression:
    del depth
    return [REFERENCE, syntax.text(node), []]


def _call(node: Node, depth: int) -> Expression:
    kids = node.named_children
    arguments = next((kid for kid in kids if kid.type == "function_arguments"), None)
    given = arguments.named_children if arguments else []
    values = [_convert(kid, depth) for kid in given if kid.type == "expression"]
    return [CALL, syntax.text(kids[0]), values, any(kid.type == "ellipsis" for kid in given)]


def _condition(node: Node, depth: int) -> Expression:
    """`a ? b : c ? d : e` is `a ? b : (c ? d : e)`, where the tree has `(a ? b : c) ? d : e`."""
    flat: list[Node] = []
    inner: Node | None = node
    while inner is not None:
        kids = [kid for kid in inner.named_children if kid.type == "expression"]
        if len(kids) != 3:  # noqa: PLR2004 - condition, then, else
            return _unknown(node.named_children, depth)
        flat[:0] = kids[1:]
        inner, first = _chained(kids[0]), kids[0]
    *parts, result = (_convert(part, depth) for part in (first, *flat))
    for condition, value in reversed(list(zip(parts[::2], parts[1::2], strict=True))):
        result = [CONDITION, condition, value, result]
    return result


def _chained(condition: Node) -> Node | None:
    """The conditional that a condition is, unless it is in parentheses."""
    kids = [kid for kid in condition.named_children if kid.type != "comment"]
    return kids[0] if len(kids) == 1 and kids[0].type == "conditional" else None


def _tuple(node: Node, depth: int) -> Expression:
    return [TUPLE, [_convert(kid, depth) for kid in node.named_children if kid.type == "expression"]]


def _object(node: Node, depth: int) -> Expression:
    pairs = []
    for element in node.named_children:
        kids = [kid for kid in element.named_children if kid.type == "expression"]
        if element.type != "object_elem" or len(kids) != 2:  # noqa: PLR2004 - key and value
            continue
        key = syntax.text(kids[0]).strip()
        plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", key)
        pairs.append([[LITERAL, key] if plain else _convert(kids[0], depth), _convert(kids[1], depth)])
    return [OBJECT, pairs]


def _for(node: Node, depth: int) -> Expression:
    intro = next((kid for kid in node.named_children if kid.type == "for_intro"), None)
    values = [kid for kid in node.named_children if kid.type == "expression"]
    collection = [kid for kid in intro.named_children if kid.type == "expression"] if intro else []
    if intro is None or not values or not collection:
        return _unknown(node.named_children, depth)
    names = [syntax.text(kid) for kid in intro.named_children if kid.type == "identifier"]
    condition = next((kid for kid in node.named_children if kid.type == "for_cond"), None)
    return [
        FOR, names[0] if len(names) > 1 else None, names[-1], _convert(collection[0], depth),
        _convert(values[0], depth) if node.type == "for_object_expr" else None, _convert(values[-1], depth),
        _accessed(condition.named_children, depth) if condition and condition.named_children else None,
        any(kid.type == "ellipsis" for kid in node.named_children),
    ]  # fmt: skip


def _operation(node: Node, depth: int) -> Expression:
    """Of `a.b == c.d` the children are `a`, `.b`, `==`, `c`, `.d`."""
    operands: list[list[Node]] = [[]]
    operator = ""
    for kid in node.children:
        if kid.is_named:
            if kid.type != "comment":
                operands[-1].append(kid)
        elif syntax.text(kid) not in ("(", ")"):
            operator = syntax.text(kid)
            if operands[-1]:
                operands.append([])
    return [OPERATION, operator, [_accessed(nodes, depth) for nodes in operands if nodes]]


def _template(node: Node, depth: int) -> Expression:
    """The parts of a template; the tree leaves out spaces at the ends of texts, so texts are what is between."""
    content, begin = node.text or b"", node.start_byte
    parts: list[Expression] = []
    marked = [kid for kid in node.named_children if kid.type in ("template_interpolation", "template_directive")]
    at, end = syntax.within(node)
    strip = False
    for kid in marked:
        text = syntax.text(kid)
        piece = content[at - begin : kid.start_byte - begin]
        _add_text(parts, node, piece, first=kid == marked[0], left=strip, right=text[2:3] == "~")
        strip = text[-2:-1] == "~"
        parts.append(_interpolated(kid, depth) if kid.type == "template_interpolation" else _directive(kid, depth))
        at = kid.end_byte
    _add_text(parts, node, content[at - begin : end - begin], first=not marked, left=strip, right=False)
    if len(parts) == 1 and (parts[0][0] == LITERAL or node.type == "quoted_template"):
        return parts[0]
    return [TEMPLATE, parts]


def _add_text(parts: list[Expression], node: Node, piece: bytes, *, first: bool, left: bool, right: bool) -> None:
    if node.type == "heredoc_template":
        text = syntax.heredoc_text(node, piece, first=first)
        if text is None:
            parts.append([UNKNOWN, []])
            return
    else:
        text = piece.decode("utf-8", "replace")
        text = syntax.unescape(text) if node.type == "quoted_template" else text
    text = text.lstrip() if left else text
    text = text.rstrip() if right else text
    if text:
        parts.append([LITERAL, text])


def _interpolated(node: Node, depth: int) -> Expression:
    inner = [kid for kid in node.named_children if kid.type == "expression"]
    return _convert(inner[0], depth + 1) if inner else [UNKNOWN, []]


def _directive(node: Node, depth: int) -> Expression:
    """`%{ for }` and `%{ if }`: the text is unknown, but what is evaluated within counts, with what it can refer to."""
    inner = node.named_children[0] if node.named_children else node
    body, conditions = [], []
    loop: Node | None = None
    for kid in inner.named_children:
        if kid.type == "template_for_start":
            loop = kid
        elif kid.type == "template_if_intro":
            conditions += [_convert(part, depth + 1) for part in kid.named_children if part.type == "expression"]
        elif kid.type == "template_interpolation":
            body.append(_interpolated(kid, depth))
        elif kid.type == "template_directive":
            body.append(_directive(kid, depth + 1))
    collection = [kid for kid in loop.named_children if kid.type == "expression"] if loop else []
    if loop is None or not collection:
        return [UNKNOWN, [*conditions, *body]]
    names = [syntax.text(kid) for kid in loop.named_children if kid.type == "identifier"]
    key, value = names[0] if len(names) > 1 else None, names[-1] if names else None
    return [UNKNOWN, [[FOR, key, value, _convert(collection[0], depth + 1), None, [TUPLE, body], None, False]]]


_HANDLERS = {
    "variable_expr": _variable,
    "function_call": _call,
    "conditional": _condition,
    "tuple": _tuple,
    "object": _object,
    "for_tuple_expr": _for,
    "for_object_expr": _for,
    "binary_operation": _operation,
    "unary_operation": _operation,
    "quoted_template": _template,
    "heredoc_template": _template,
}


def of_json(value: Any) -> Expression:
    """The expression that a value of a configuration in JSON is: its texts are templates."""
    if isinstance(value, str):
        if "${" not in value and "%{" not in value:
            return [LITERAL, value]
        return next((convert(node) for _, node in _attributes(quoted(value))), [UNKNOWN, []])
    if isinstance(value, dict):
        return [OBJECT, [[of_json(str(key)), of_json(item)] for key, item in value.items()]]
    if isinstance(value, list):
        return [TUPLE, [of_json(item) for item in value]]
    return [LITERAL, value]


def quoted(text: str) -> Node:
    """A text of a JSON file as the template that it is, in native syntax: the tree of `x = "..."`."""
    inside = json.dumps(text, ensure_ascii=False).replace('\\"', '"') if '\\"' in text else f'"{text}"'
    return syntax.parse(f"x = {inside}\n".encode(errors="replace"))


def _attributes(root: Node) -> Iterator[tuple[str, Node]]:
    yield from syntax.attributes(syntax.body(root))
