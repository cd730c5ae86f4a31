"""Facts of one configuration file, read without the engine: modules called, files named, variables, backend.

The syntax is HCL (https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md), parsed by tree-sitter-hcl, or the
JSON form (https://opentofu.org/docs/language/syntax/json/). Where an expression cannot be known without running it,
the facts say more than is true, never less: a folder in place of a file.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from . import hclsyntax

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_sitter import Node

Parts = tuple[str, ...]  # see `hclsyntax.parts`

FACTS_VERSION = 7  # a cache of facts made by another version of this module is not used
_HIDES = ("sensitive", "ephemeral")  # what makes a variable's value a secret to us
_FILE_FUNCTIONS = re.compile(r"^(file[a-z0-9]*|templatefile|abspath)$")
_ANCHORED_PATH = re.compile(r"\$\{\s*path\.(module|root|cwd)\s*\}((?:/[A-Za-z0-9_.@+-]*)*)")
_RELATIVE_PATH = re.compile(r"(?:^|(?<=[\s=:,'\"]))\.{1,2}/[A-Za-z0-9_./@+-]*")
_VARIES = re.compile(r"\b(var|local|terraform)\.")


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
    """A declared input variable; `default` is its JSON value where it is a literal one and not sensitive.

    An ephemeral variable counts as sensitive: it is there to be kept nowhere.
    """

    name: str
    sensitive: bool = False
    has_default: bool = False
    default: Any = None


@dataclass(frozen=True)
class Read:
    """A path that a function reads and that depends on locals or variables; `folder` is what `fileset` takes."""

    parts: Parts
    folder: bool


@dataclass(frozen=True)
class Call:
    """A call of a module: its source, and those of its arguments that are texts."""

    source: str
    arguments: dict[str, Parts]


@dataclass(frozen=True)
class RemoteState:
    """A `terraform_remote_state`: whose state it reads, and which outputs; no `outputs` where it may be any."""

    name: str
    backend: str
    settings: dict[str, Parts]
    outputs: tuple[str, ...] | None


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
    backend_settings: dict[str, Parts] = field(default_factory=dict)
    reads: tuple[Read, ...] = ()
    locals: dict[str, Parts] = field(default_factory=dict)
    calls: tuple[Call, ...] = ()
    remote_states: tuple[RemoteState, ...] = ()

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
            _tuples(value["backend_settings"]),
            tuple(Read(tuple(item["parts"]), item["folder"]) for item in value["reads"]),
            _tuples(value["locals"]),
            tuple(Call(item["source"], _tuples(item["arguments"])) for item in value["calls"]),
            tuple(
                RemoteState(
                    item["name"], item["backend"], _tuples(item["settings"]),
                    None if item["outputs"] is None else tuple(item["outputs"]),
                )
                for item in value["remote_states"]
            ),
        )  # fmt: skip


def _tuples(value: dict[str, list[str]]) -> dict[str, Parts]:
    return {name: tuple(parts) for name, parts in value.items()}


@dataclass
class _Found:
    modules: list[str] = field(default_factory=list)
    paths: list[PathReference] = field(default_factory=list)
    variables: list[Variable] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    backend: str | None = None
    backend_varies: bool = False
    broken: bool = False
    backend_settings: dict[str, Parts] = field(default_factory=dict)
    reads: list[Read] = field(default_factory=list)
    locals: dict[str, Parts] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    remote_states: list[RemoteState] = field(default_factory=list)

    def facts(self) -> Facts:
        named = [reference for reference in self.paths if reference.read or reference.path not in self.modules]
        return Facts(
            tuple(self.modules), tuple(dict.fromkeys(named)), tuple(self.variables), tuple(self.outputs),
            self.backend, self.backend_varies, self.broken, self.backend_settings, tuple(self.reads), self.locals,
            tuple(self.calls), tuple(self.remote_states),
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
    for name, expression in hclsyntax.attributes(hclsyntax.body(hclsyntax.parse(content))):
        value = hclsyntax.literal(expression)
        if value is not hclsyntax.UNKNOWN:
            values[name] = value
    return values


# --- native syntax ---------------------------------------------------------------------------------------------------


def _read_native(content: bytes, found: _Found) -> None:
    root = hclsyntax.parse(content)
    found.broken = root.has_error
    for kind, labels, body in hclsyntax.blocks(hclsyntax.body(root)):
        attributes = dict(hclsyntax.attributes(body))
        if kind == "module" and "source" in attributes:
            _add_module(hclsyntax.literal(attributes["source"]), _template_path(attributes["source"]), found)
            arguments = {name: hclsyntax.parts(value) for name, value in attributes.items() if name != "source"}
            _add_call_of_module(attributes["source"], arguments, found)
        elif kind == "locals":
            found.locals.update({name: hclsyntax.parts(value) for name, value in attributes.items()})
        elif kind == "data" and labels[:1] == ["terraform_remote_state"] and len(labels) > 1:
            _add_remote_state(labels[1], attributes, hclsyntax.text(root), found)
        elif kind == "variable" and labels:
            found.variables.append(_variable(labels[0], attributes))
        elif kind == "output" and labels:
            found.outputs.append(labels[0])
        elif kind == "terraform":
            for inner, inner_labels, settings in hclsyntax.blocks(body):
                if inner in ("backend", "cloud"):
                    found.backend = inner_labels[0] if inner_labels else inner
                    found.backend_varies = settings is not None and bool(_VARIES.search(hclsyntax.text(settings)))
                    pairs = hclsyntax.attributes(settings)
                    found.backend_settings = {name: hclsyntax.parts(value) for name, value in pairs}
    _find_paths(root, found)


def _add_call_of_module(source: Node, arguments: dict[str, Parts], found: _Found) -> None:
    """Note a call of a local module, whose source was just taken, with what it is given."""
    reference = _template_path(source)
    if isinstance(hclsyntax.literal(source), str) or (reference and reference.exact):
        found.calls.append(Call(found.modules[-1], arguments))


def _add_remote_state(name: str, attributes: dict[str, Node], text: str, found: _Found) -> None:
    backend = hclsyntax.literal(attributes["backend"]) if "backend" in attributes else None
    settings: dict[str, Parts] = {}
    if "config" in attributes:
        node = attributes["config"]
        while node.type in ("expression", "collection_value") and len(node.named_children) == 1:
            node = node.named_children[0]
        for element in node.named_children if node.type == "object" else []:
            if element.type == "object_elem" and len(element.named_children) > 1:
                key = hclsyntax.text(element.named_children[0]).strip().strip('"')
                settings[key] = hclsyntax.parts(element.named_children[-1])
    if isinstance(backend, str):
        found.remote_states.append(RemoteState(name, backend, settings, outputs_read(name, text)))


def outputs_read(name: str, text: str) -> tuple[str, ...] | None:
    """The outputs of a `terraform_remote_state` that a file's text refers to; None where it may be any."""
    found = set()
    for match in re.finditer(rf"\bdata\.terraform_remote_state\.{re.escape(name)}\b(\[[^\]]*\])?", text):
        following = re.match(r"\.outputs(?:\.([A-Za-z_][A-Za-z0-9_-]*)|\[\"([^\"]+)\"\])", text[match.end() :])
        if following is None:
            return None
        found.add(following[1] or following[2])
    return tuple(sorted(found))


def _find_paths(node: Node, found: _Found) -> None:
    """Every path that a function reads or a string builds on `path.*`, in the whole tree."""
    stack = [node]
    while stack:
        current = stack.pop()
        if current.type == "function_call":
            _add_call(current, found)
        elif current.type in ("quoted_template", "heredoc_template", "string_lit"):
            found.paths.extend(_mentions(hclsyntax.text(current).strip('"')))
        stack.extend(current.named_children)


def _add_call(call: Node, found: _Found) -> None:
    children = call.named_children
    arguments = next((child for child in children if child.type == "function_arguments"), None)
    if not children or arguments is None or not _FILE_FUNCTIONS.match(hclsyntax.text(children[0])):
        return
    first = next((child for child in arguments.named_children if child.type == "expression"), None)
    if first is None:
        return
    value = hclsyntax.literal(first)
    folder = hclsyntax.text(children[0]) == "fileset"
    pieces = hclsyntax.parts(first)
    open_ended = any(piece.startswith(("$local.", "$var.")) for piece in pieces) or pieces == (hclsyntax.ANYTHING,)
    if open_ended and ("path.module" not in hclsyntax.text(first) or hclsyntax.ANYTHING not in pieces):
        found.reads.append(Read(pieces, folder))
        return
    if isinstance(value, str):
        found.paths.append(PathReference("root", value, not folder, read=True))
    elif reference := _template_path(first):
        found.paths.append(PathReference(reference.base, reference.path, reference.exact and not folder, read=True))
    elif "path.module" in hclsyntax.text(first):
        found.paths.append(PathReference("module", ".", exact=False, read=True))


def _template_path(node: Node) -> PathReference | None:
    """The path in a string like `"${path.module}/files/${var.x}.json"`, or a bare `path.module`; else None."""
    while node.type in ("expression", "template_expr", "literal_value") and len(node.named_children) == 1:
        node = node.named_children[0]
    text = hclsyntax.text(node).strip()
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
            _find_paths(hclsyntax.parse(f"x = {quoted}\n".encode(errors="replace")), found)


def _variable(name: str, attributes: dict[str, Node]) -> Variable:
    """A declared variable; of a secret one's default that is no literal, all the literals in it."""
    given = [hclsyntax.text(attributes[flag]).strip() for flag in _HIDES if flag in attributes]
    sensitive = any(value != "false" for value in given)
    if "default" not in attributes:
        return Variable(name, sensitive)
    default = hclsyntax.literal(attributes["default"])
    if default is hclsyntax.UNKNOWN:
        default = list(hclsyntax.literals(attributes["default"])) if sensitive else None
    return Variable(name, sensitive, has_default=True, default=default)


def _read_json_section(section: dict[str, Any], found: _Found) -> None:
    for module in _labelled(section.get("module")).values():
        _add_module(module.get("source"), None, found)
    for name, variable in _labelled(section.get("variable")).items():
        sensitive = any(variable.get(flag) not in (None, False, "false") for flag in _HIDES)
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
