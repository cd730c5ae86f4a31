"""Facts of one configuration file, read without the engine: modules called, files named, variables, backend.

The syntax is HCL (https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md), parsed by tree-sitter-hcl, or the
JSON form (https://opentofu.org/docs/language/syntax/json/). Where an expression cannot be known without running it,
the facts say more than is true, never less: a folder in place of a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import jsonsyntax, references, syntax
from .facts import HIDES, Call, Facts, Found, RemoteState, Variable

if TYPE_CHECKING:
    from tree_sitter import Node

    from .facts import Parts


def is_configuration(name: str) -> bool:
    """Whether the engine reads a file of this name as configuration."""
    return name.endswith((".tf", ".tofu", ".tf.json", ".tofu.json"))


def read_facts(name: str, content: bytes) -> Facts:
    """The facts of a configuration file; a broken file gives what can be read of it and `broken`.

    A file of another name is taken for a template: its facts are the paths that functions in it read.
    """
    found = Found()
    if not is_configuration(name):
        _read_template(content, found)
    elif name.endswith(".json"):
        jsonsyntax.read(content, found)
    else:
        _read_native(content, found)
    return found.facts()


def read_values(content: bytes) -> dict[str, Any]:
    """The literal values of a var file in native syntax; expressions that are no literals are left out."""
    values = {}
    for name, expression in syntax.attributes(syntax.body(syntax.parse(content))):
        value = syntax.literal(expression)
        if value is not syntax.UNKNOWN:
            values[name] = value
    return values


def _read_native(content: bytes, found: Found) -> None:
    root = syntax.parse(content)
    found.broken = root.has_error
    for kind, labels, body in syntax.blocks(syntax.body(root)):
        attributes = dict(syntax.attributes(body))
        if kind == "module" and "source" in attributes:
            references.add_module(
                syntax.literal(attributes["source"]), references.template_path(attributes["source"]), found
            )
            arguments = {name: syntax.parts(value) for name, value in attributes.items() if name != "source"}
            _add_call_of_module(attributes["source"], arguments, found)
        elif kind == "locals":
            found.locals.update({name: syntax.parts(value) for name, value in attributes.items()})
        elif kind == "data" and labels[:1] == ["terraform_remote_state"] and len(labels) > 1:
            _add_remote_state(labels[1], attributes, syntax.text(root), found)
        elif kind == "variable" and labels:
            found.variables.append(_variable(labels[0], attributes))
        elif kind == "output" and labels:
            found.outputs.append(labels[0])
        elif kind == "terraform":
            for inner, inner_labels, settings in syntax.blocks(body):
                if inner in ("backend", "cloud"):
                    _read_backend(inner_labels[0] if inner_labels else inner, settings, found)
    references.find_paths(root, found)


def _read_backend(kind: str, settings: Node | None, found: Found) -> None:
    """Note a backend block: what it is set to, also in blocks within it, and where it stands."""
    found.backend = kind
    found.backend_varies = settings is not None and bool(references.VARIES.search(syntax.text(settings)))
    block = settings.parent if settings is not None else None
    found.backend_line = block.start_point[0] + 1 if block is not None else 0
    pairs = list(syntax.attributes(settings))
    for inner, _, body in syntax.blocks(settings):
        pairs += [(f"{inner}.{name}", value) for name, value in syntax.attributes(body)]
    found.backend_settings = {}
    for name, value in pairs:
        for key, node in syntax.leaves(name, value):
            found.backend_settings[key] = syntax.parts(node)
            found.backend_texts[key] = syntax.text(node)


def _variable(name: str, attributes: dict[str, Node]) -> Variable:
    """A declared variable; of a secret one's default that is no literal, all the literals in it."""
    given = [syntax.text(attributes[flag]).strip() for flag in HIDES if flag in attributes]
    sensitive = any(value != "false" for value in given)
    if "default" not in attributes:
        return Variable(name, sensitive)
    default = syntax.literal(attributes["default"])
    if default is syntax.UNKNOWN:
        default = list(syntax.literals(attributes["default"])) if sensitive else None
    return Variable(name, sensitive, has_default=True, default=default)


def _read_template(content: bytes, found: Found) -> None:
    """A template (https://opentofu.org/docs/language/functions/templatefile/), read as the heredoc that it may be."""
    if b"${" in content or b"%{" in content:
        references.find_paths(syntax.parse(b"x = <<END_OF_TEMPLATE\n" + content + b"\nEND_OF_TEMPLATE\n"), found)
        found.paths = [reference for reference in found.paths if reference.read]  # else it is only text


def _add_call_of_module(source: Node, arguments: dict[str, Parts], found: Found) -> None:
    """Note a call of a local module, whose source was just taken, with what it is given."""
    reference = references.template_path(source)
    if isinstance(syntax.literal(source), str) or (reference and reference.exact):
        found.calls.append(Call(found.modules[-1], arguments))


def _add_remote_state(name: str, attributes: dict[str, Node], text: str, found: Found) -> None:
    backend = syntax.literal(attributes["backend"]) if "backend" in attributes else None
    settings: dict[str, Parts] = {}
    if "config" in attributes:
        node = attributes["config"]
        while node.type in ("expression", "collection_value") and len(node.named_children) == 1:
            node = node.named_children[0]
        for element in node.named_children if node.type == "object" else []:
            if element.type == "object_elem" and len(element.named_children) > 1:
                key = syntax.text(element.named_children[0]).strip().strip('"')
                settings[key] = syntax.parts(element.named_children[-1])
    if isinstance(backend, str):
        found.remote_states.append(RemoteState(name, backend, settings, references.outputs_read(name, text)))
