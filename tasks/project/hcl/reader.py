"""Reads the facts of one configuration file without the engine: module calls, files, variables, backend.

The syntax is HCL (https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md), parsed by tree-sitter-hcl, or the
JSON form (https://opentofu.org/docs/language/syntax/json/). Expressions are kept unevaluated: `rootmodule` evaluates
them once it knows what they refer to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import expressions, jsonsyntax, references, syntax
from .blocks import REPEATS, archive_of, kept_attributes, leaves, of_locals, reading_of, repeat_of
from .expressions import REPEATED
from .facts import HIDES, Call, Facts, RemoteState, Variable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tree_sitter import Node

    from .expressions import Expression


def is_configuration(name: str) -> bool:
    """Whether the engine reads a file of this name as configuration."""
    return name.endswith((".tf", ".tofu", ".tf.json", ".tofu.json"))


def read_facts(name: str, content: bytes) -> Facts:
    """The facts of a configuration file; a broken file yields `broken` and what can be read.

    A file with another kind of name is read as a template: its facts are the expressions that read files.
    """
    found = Facts()
    if not is_configuration(name):
        _read_template(content, found)
    elif name.endswith(".json"):
        jsonsyntax.read(content, found)
    else:
        _read_native(content, found)
    sources = [call.source for call in found.calls]
    found.mentioned = [expression for expression in found.mentioned if expression not in sources]
    found.paths = [path for path in found.paths if path.base != "root" or expressions.literal(path.path) not in sources]
    return found


def read_values(content: bytes) -> dict[str, Any]:
    """The values of a var file in native syntax; `syntax.UNKNOWN` for expressions that are not literals."""
    return {
        name: syntax.UNKNOWN if _is_cut(expression, content) else syntax.literal(expression)
        for name, expression in syntax.attributes(syntax.body(syntax.parse(content)))
    }


def _is_cut(expression: Node, content: bytes) -> bool:
    """Whether the parser did not understand what follows in the line, such as the exponent of 1e3."""
    rest = content[expression.end_byte :].partition(b"\n")[0].strip()
    return rest != b"" and not rest.startswith((b"#", b"//", b"/*"))


def without_values(name: str, content: bytes, left_out: Collection[str]) -> bytes | None:
    """A var file without some variables' values, unchanged if it has none of them; None if nothing else is left.

    Args:
        name: The file's name, which shows whether it is JSON.
        content: Its content.
        left_out: The variables.
    """
    if name.endswith(".json"):
        return jsonsyntax.without_values(content, left_out)
    attributes = dict(syntax.attributes(syntax.body(syntax.parse(content))))
    found = [value.parent for variable, value in attributes.items() if variable in left_out]
    for attribute in sorted((node for node in found if node), key=lambda node: node.start_byte, reverse=True):
        content = content[: attribute.start_byte] + content[attribute.end_byte :]
    return None if found and len(found) == len(attributes) else content


def _read_native(content: bytes, found: Facts) -> None:
    root = syntax.parse(content)
    found.broken = root.has_error
    reading = expressions.may_read(content)
    for kind, labels, body in syntax.blocks(syntax.body(root)):
        attributes = dict(syntax.attributes(body))
        if kind == "module" and labels:
            _add_call(labels[0], attributes, found)
            if reading:  # in `lifecycle`; arguments are read where the module uses them
                inside = [expression for _, _, inner in syntax.blocks(body) for expression in _evaluated(inner)]
                found.reads.extend(reading_of(inside, None))
        elif kind == "locals":
            found.locals.update({name: expressions.convert(value) for name, value in attributes.items()})
        elif kind == "data" and labels[:1] == ["terraform_remote_state"] and len(labels) > 1:
            _add_remote_state(labels[1], attributes, _line(body), found)
        elif kind == "variable" and labels:
            found.variables.append(_variable(labels[0], attributes))
        elif kind == "output" and labels:
            found.outputs.append(labels[0])
            if "value" in attributes:
                found.attributes[f"output.{labels[0]}"] = expressions.convert(attributes["value"])
        elif kind == "terraform":
            _add_backend(body, found)
        if kind in ("resource", "data") and len(labels) > 1:
            converted = _converted(attributes)
            found.attributes |= kept_attributes(kind, labels, converted)
            found.archives += archive_of(kind, labels, converted, (inner for inner, _, _ in syntax.blocks(body)))
        if reading and kind not in ("module", "locals"):
            found.reads.extend(reading_of(list(_evaluated(body)), repeat_of(_converted(attributes, only=REPEATS))))
    if reading:
        found.reads.extend(of_locals(found))
    references.find_paths(root, found)
    if b"terraform_remote_state" in content:
        references.find_state_outputs(syntax.text(root), found)
    if b".workspace" in content:
        references.find_workspace(root, found)


def _converted(attributes: dict[str, Node], only: tuple[str, ...] | None = None) -> dict[str, Expression]:
    return {name: expressions.convert(value) for name, value in attributes.items() if only is None or name in only}


def _evaluated(body: Node | None) -> Iterator[Expression]:
    """The expressions of a block and its nested blocks; for a `dynamic` block in each of its rounds."""
    for _, value in syntax.attributes(body):
        if expressions.may_read(value.text or b""):
            yield expressions.convert(value)
    for kind, labels, inner in syntax.blocks(body):
        inside = list(_evaluated(inner))
        if kind == "dynamic" and labels and inside:
            attributes = dict(syntax.attributes(inner))
            iterator = syntax.text(attributes["iterator"]) if "iterator" in attributes else labels[0]
            rounds = (
                expressions.convert(attributes["for_each"]) if "for_each" in attributes else expressions.literal([])
            )
            yield [REPEATED, iterator, rounds, inside]
        else:
            yield from inside


def _variable(name: str, attributes: dict[str, Node]) -> Variable:
    """A declared variable; if a secret one's default is not a literal, all literals in it."""
    given = {flag: syntax.text(attributes[flag]).strip() for flag in HIDES if flag in attributes}
    sensitive, ephemeral = any(value != "false" for value in given.values()), _flag(given.get("ephemeral"))
    constraint = expressions.convert(attributes["type"]) if "type" in attributes else None
    nullable = "nullable" not in attributes or syntax.literal(attributes["nullable"]) is not False
    if "default" not in attributes:
        return Variable(name, sensitive, type=constraint, nullable=nullable, ephemeral=ephemeral)
    default = syntax.literal(attributes["default"])
    if default is syntax.UNKNOWN:
        default = list(syntax.literals(attributes["default"])) if sensitive else None
    return Variable(
        name, sensitive, has_default=True, default=default, type=constraint, nullable=nullable, ephemeral=ephemeral
    )


def _flag(text: str | None) -> bool | None:
    return None if text is None else text == "true"


def template(content: bytes) -> list[Expression] | None:
    """What is evaluated in a template that may read files; None if it cannot be parsed."""
    if not expressions.may_read(content):
        return []
    root = syntax.parse(b"x = <<END_OF_TEMPLATE\n" + content + b"\nEND_OF_TEMPLATE\n")
    return None if root.has_error else [expressions.convert(value) for _, value in syntax.attributes(syntax.body(root))]


def _read_template(content: bytes, found: Facts) -> None:
    """Read a template (https://opentofu.org/docs/language/functions/templatefile/) like a heredoc."""
    reads = template(content)
    found.broken, found.reads = reads is None, reads or []


def _add_backend(body: Node | None, found: Facts) -> None:
    for inner, labels, settings in syntax.blocks(body):
        if inner in ("backend", "cloud"):
            found.backend = labels[0] if labels else inner
            found.backend_varies = settings is not None and bool(references.VARIES.search(syntax.text(settings)))
            found.backend_line = _line(settings)
            found.backend_settings = dict(_settings(settings))


def _line(body: Node | None) -> int:
    """The first line of a body's block, counted from 1; 0 if it is not known."""
    block = body.parent if body is not None else None
    return block.start_point[0] + 1 if block is not None else 0


def _settings(body: Node | None) -> Iterator[tuple[str, Expression]]:
    """A backend's settings, including those in nested blocks."""
    for name, value in _converted(dict(syntax.attributes(body))).items():
        yield from leaves(name, value)
    for kind, _, inner in syntax.blocks(body):
        for name, value in _settings(inner):
            yield f"{kind}.{name}", value


def _add_call(name: str, attributes: dict[str, Node], found: Facts) -> None:
    converted = _converted(attributes)
    source = converted.pop("source", None)
    found.calls.append(Call(name, source, converted, repeat_of(converted)))


def _add_remote_state(name: str, attributes: dict[str, Node], line: int, found: Facts) -> None:
    converted = _converted(attributes)
    config = converted.get("config", expressions.literal({}))
    backend = converted.get("backend", [expressions.UNKNOWN, []])
    found.remote_states.append(
        RemoteState(name, backend, config, converted.get("workspace"), repeat_of(converted), line)
    )
