"""Facts of one configuration file, read without the engine: modules called, files named, variables, backend.

The syntax is HCL (https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md), parsed by tree-sitter-hcl, or the
JSON form (https://opentofu.org/docs/language/syntax/json/). Where an expression cannot be known without running it,
the facts say more than is true, never less: a folder in place of a file.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_sitter import Node

FACTS_VERSION = 5  # a cache of facts made by another version of this module is not used
_FILE_FUNCTIONS = re.compile(r"^(file[a-z0-9]*|templatefile|abspath)$")
_ANCHORED_PATH = re.compile(r"\$\{\s*path\.(module|root|cwd)\s*\}((?:/[A-Za-z0-9_.@+-]*)*)")
_RELATIVE_PATH = re.compile(r"(?:^|(?<=[\s=:,'\"]))\.{1,2}/[A-Za-z0-9_./@+-]*")
_VARIES = re.compile(r"\b(var|local|terraform)\.")
_UNKNOWN = object()


@dataclass(frozen=True)
class PathReference:
    """A path that the configuration names.

    `base` is what it is relative to: `module` (the file's folder) or `root` (the stack's folder, where the engine
    runs). `exact` is False when only the path's beginning is known: then all below the folder `path` is meant.
    `read` is True where a function reads it while planning; else a string only mentions it.
    """

    base: str
    path: str
    exact: bool
    read: bool = False


@dataclass(frozen=True)
class Variable:
    """A declared input variable; `default` is its JSON value where it is a literal one and not sensitive."""

    name: str
    sensitive: bool = False
    has_default: bool = False
    default: Any = None


@dataclass(frozen=True)
class Facts:
    """What one file says that matters to others; `backend_varies` where its settings depend on variables."""

    module_sources: tuple[str, ...] = ()
    paths: tuple[PathReference, ...] = ()
    variables: tuple[Variable, ...] = ()
    outputs: tuple[str, ...] = ()
    backend: str | None = None
    backend_varies: bool = False
    broken: bool = False

    def to_json(self) -> dict[str, Any]:
        """A JSON value that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Facts:
        """The facts of a `to_json` value."""
        return cls(
            tuple(value["module_sources"]),
            tuple(PathReference(**item) for item in value["paths"]),
            tuple(Variable(**item) for item in value["variables"]),
            tuple(value["outputs"]),
            value["backend"],
            value["backend_varies"],
            value["broken"],
        )


@dataclass
class _Found:
    modules: list[str] = field(default_factory=list)
    paths: list[PathReference] = field(default_factory=list)
    variables: list[Variable] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    backend: str | None = None
    backend_varies: bool = False
    broken: bool = False

    def facts(self) -> Facts:
        named = [reference for reference in self.paths if reference.read or reference.path not in self.modules]
        return Facts(
            tuple(self.modules), tuple(dict.fromkeys(named)), tuple(self.variables), tuple(self.outputs),
            self.backend, self.backend_varies, self.broken,
        )  # fmt: skip


def is_configuration(name: str) -> bool:
    """Whether the engine reads a file of this name as configuration."""
    return name.endswith((".tf", ".tofu", ".tf.json", ".tofu.json"))


def read_facts(name: str, content: bytes) -> Facts:
    """The facts of a configuration file; a broken file gives what can be read of it and `broken`."""
    found = _Found()
    if name.endswith(".json"):
        _read_json(content, found)
    else:
        _read_native(content, found)
    return found.facts()


def without_secrets(facts: Facts) -> Facts:
    """The same facts without the defaults of sensitive variables: what may be kept on disk."""
    variables = tuple(
        replace(variable, default=None) if variable.sensitive else variable for variable in facts.variables
    )
    return replace(facts, variables=variables)


def read_values(content: bytes) -> dict[str, Any]:
    """The literal values of a var file in native syntax; expressions that are no literals are left out."""
    values = {}
    for name, expression in _attributes(_body(_parse(content))):
        value = _literal(expression)
        if value is not _UNKNOWN:
            values[name] = value
    return values


# --- native syntax ---------------------------------------------------------------------------------------------------


def _parse(content: bytes) -> Node:
    import tree_sitter
    import tree_sitter_hcl

    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_hcl.language()))
    return parser.parse(content).root_node


def _read_native(content: bytes, found: _Found) -> None:
    root = _parse(content)
    found.broken = root.has_error
    for kind, labels, body in _blocks(_body(root)):
        attributes = dict(_attributes(body))
        if kind == "module" and "source" in attributes:
            _add_module(_literal(attributes["source"]), _template_path(attributes["source"]), found)
        elif kind == "variable" and labels:
            default = _literal(attributes["default"]) if "default" in attributes else None
            sensitive = "sensitive" in attributes and _text(attributes["sensitive"]).strip() != "false"
            found.variables.append(
                Variable(labels[0], sensitive, "default" in attributes, None if default is _UNKNOWN else default)
            )
        elif kind == "output" and labels:
            found.outputs.append(labels[0])
        elif kind == "terraform":
            for inner, inner_labels, settings in _blocks(body):
                if inner in ("backend", "cloud"):
                    found.backend = inner_labels[0] if inner_labels else inner
                    found.backend_varies = settings is not None and bool(_VARIES.search(_text(settings)))
    _find_paths(root, found)


def _find_paths(node: Node, found: _Found) -> None:
    """Every path that a function reads or a string builds on `path.*`, in the whole tree."""
    stack = [node]
    while stack:
        current = stack.pop()
        if current.type == "function_call":
            _add_call(current, found)
        elif current.type in ("quoted_template", "heredoc_template", "string_lit"):
            found.paths.extend(_mentions(_text(current).strip('"')))
        stack.extend(current.named_children)


def _add_call(call: Node, found: _Found) -> None:
    children = call.named_children
    arguments = next((child for child in children if child.type == "function_arguments"), None)
    if not children or arguments is None or not _FILE_FUNCTIONS.match(_text(children[0])):
        return
    first = next((child for child in arguments.named_children if child.type == "expression"), None)
    if first is None:
        return
    value = _literal(first)
    folder = _text(children[0]) == "fileset"
    if isinstance(value, str):
        found.paths.append(PathReference("root", value, not folder, read=True))
    elif reference := _template_path(first):
        found.paths.append(PathReference(reference.base, reference.path, reference.exact and not folder, read=True))
    elif "path.module" in _text(first):
        found.paths.append(PathReference("module", ".", exact=False, read=True))


def _template_path(node: Node) -> PathReference | None:
    """The path in a string like `"${path.module}/files/${var.x}.json"`, or a bare `path.module`; else None."""
    while node.type in ("expression", "template_expr", "literal_value") and len(node.named_children) == 1:
        node = node.named_children[0]
    text = _text(node).strip()
    quoted = node.type in ("quoted_template", "string_lit")
    if quoted:
        text = text.strip('"')
    match = re.match(r"^(?:\$\{\s*path\.(module|root|cwd)\s*\}|path\.(module|root|cwd)$)(.*)$", text, re.DOTALL)
    if match:
        base = "module" if "module" in (match[1], match[2]) else "root"
        rest = match[3].lstrip("/")
    elif quoted and "${" in text and not text.startswith(("${", "%{", "/", "~")):
        base, rest = "root", text
    else:
        return None
    known, dynamic = re.split(r"[$%]\{", rest, maxsplit=1)[0], "${" in rest or "%{" in rest
    if not dynamic and "\n" not in known:
        return PathReference(base, known or ".", exact=bool(known))
    folder = known.rsplit("/", 1)[0] if "/" in known else "."
    return PathReference(base, folder, exact=False)


def _mentions(text: str) -> Iterator[PathReference]:
    """The paths that a string's text has in it: after `${path.module}` and the like, or as a word with `./` first."""
    for match in _ANCHORED_PATH.finditer(text):
        base = "module" if match[1] == "module" else "root"
        known, dynamic = match[2].strip("/"), text[match.end() : match.end() + 2] in ("${", "%{")
        if dynamic:
            known = match[2].rpartition("/")[0].strip("/")
        yield PathReference(base, known or ".", exact=bool(known) and not dynamic)
    for word in _RELATIVE_PATH.finditer(text):
        dynamic = text[word.end() : word.end() + 2] in ("${", "%{")
        yield PathReference("root", word[0].rpartition("/")[0] if dynamic else word[0], exact=not dynamic)


def _body(root: Node) -> Node | None:
    if root.type == "body":
        return root
    return next((child for child in root.named_children if child.type == "body"), None)


def _blocks(body: Node | None) -> Iterator[tuple[str, list[str], Node | None]]:
    for block in body.named_children if body else []:
        if block.type != "block":
            continue
        words = [
            _text(child).strip('"') for child in block.named_children if child.type in ("identifier", "string_lit")
        ]
        if words:
            yield words[0], words[1:], _body(block)


def _attributes(body: Node | None) -> Iterator[tuple[str, Node]]:
    for attribute in body.named_children if body else []:
        if attribute.type == "attribute" and len(attribute.named_children) > 1:
            yield _text(attribute.named_children[0]), attribute.named_children[-1]


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")


def _literal(node: Node) -> Any:
    """The JSON value of a literal expression, or `_UNKNOWN`."""
    try:
        return _literal_value(node)
    except RecursionError:
        return _UNKNOWN


def _literal_value(node: Node) -> Any:
    kids = node.named_children
    if node.type in ("expression", "literal_value", "collection_value", "template_expr") and len(kids) == 1:
        return _literal_value(kids[0])
    if node.type == "string_lit":
        return _unescape(_text(node)[1:-1])
    if node.type == "heredoc_template" and not any(kid.type == "template_interpolation" for kid in kids):
        return "".join(_text(kid) for kid in kids if kid.type == "template_literal")
    if node.type in ("bool_lit", "numeric_lit", "null_lit", "operation"):  # `-1` is an operation
        try:
            return json.loads(_text(node))
        except ValueError:
            return _UNKNOWN
    if node.type == "tuple":
        items = [_literal_value(kid) for kid in kids if kid.type == "expression"]
        return _UNKNOWN if any(item is _UNKNOWN for item in items) else items
    if node.type == "object":
        pairs = {}
        for element in (kid for kid in kids if kid.type == "object_elem" and kid.named_children):
            key, value = element.named_children[0], _literal_value(element.named_children[-1])
            if value is _UNKNOWN:
                return _UNKNOWN
            pairs[_text(key).strip().strip('"')] = value
        return pairs
    return _UNKNOWN


_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}


def _unescape(text: str) -> str:
    def replace(match: re.Match[str]) -> str:
        code = match[1]
        if len(code) == 1:
            return _ESCAPES.get(code, match[0])
        number = int(code[1:], 16)
        return "\ufffd" if number > sys.maxunicode or 0xD800 <= number < 0xE000 else chr(number)  # noqa: PLR2004

    plain = re.sub(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", replace, text)
    return plain.replace("$${", "${").replace("%%{", "%{")


def _add_module(source: Any, reference: PathReference | None, found: _Found) -> None:
    if isinstance(source, str):
        found.modules.append(source)
    elif reference and reference.exact:
        found.modules.append("./" + reference.path if not reference.path.startswith(".") else reference.path)


# --- JSON syntax -----------------------------------------------------------------------------------------------------


def _read_json(content: bytes, found: _Found) -> None:
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        found.broken = True
        return
    for section in data if isinstance(data, list) else [data]:
        if isinstance(section, dict):
            _read_json_section(section, found)
    for text in _strings(data):
        if "${" not in text:
            found.paths.extend(_mentions(text))
        else:
            quoted = json.dumps(text, ensure_ascii=False).replace('\\"', '"') if '\\"' in text else f'"{text}"'
            _find_paths(_parse(f"x = {quoted}\n".encode(errors="replace")), found)


def _read_json_section(section: dict[str, Any], found: _Found) -> None:
    for module in _labelled(section.get("module")).values():
        _add_module(module.get("source"), None, found)
    for name, variable in _labelled(section.get("variable")).items():
        sensitive = variable.get("sensitive") not in (None, False, "false")
        found.variables.append(Variable(name, sensitive, "default" in variable, variable.get("default")))
    found.outputs.extend(_labelled(section.get("output")))
    terraform = section.get("terraform")
    for settings in terraform if isinstance(terraform, list) else [terraform]:
        if isinstance(settings, dict):
            for backend, body in _labelled(settings.get("backend")).items():
                found.backend = backend
                found.backend_varies = any(_VARIES.search(text) for text in _strings(body))
            if "cloud" in settings:
                found.backend = "cloud"


def _labelled(value: Any) -> dict[str, dict[str, Any]]:
    """`{"a": {...}}`, or a list of such, as one mapping of mappings."""
    merged: dict[str, dict[str, Any]] = {}
    for item in value if isinstance(value, list) else [value]:
        for label, body in item.items() if isinstance(item, dict) else ():
            first = body[0] if isinstance(body, list) and body else body
            merged[label] = first if isinstance(first, dict) else {}
    return merged


def _strings(value: Any) -> Iterator[str]:
    """Every text in a JSON value, however deep it is."""
    pending = [value]
    while pending:
        current = pending.pop()
        if isinstance(current, str):
            yield current
        elif isinstance(current, dict):
            pending.extend(reversed(current.values()))
        elif isinstance(current, list):
            pending.extend(reversed(current))
