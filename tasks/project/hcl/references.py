"""What expressions refer to: paths that functions read or strings mention, modules, outputs of other states."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from . import syntax
from .facts import PathReference, Read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_sitter import Node

    from .facts import Found

VARIES = re.compile(r"\b(var|local|terraform)\.")  # an expression whose value depends on these
_FILE_FUNCTIONS = re.compile(r"^(file[a-z0-9]*|templatefile|abspath)$")
_ANCHORED_PATH = re.compile(r"\$\{\s*path\.(module|root|cwd)\s*\}((?:/[A-Za-z0-9_.@+-]*)*)")
_RELATIVE_PATH = re.compile(r"(?:^|(?<=[\s=:,'\"]))\.{1,2}/[A-Za-z0-9_./@+-]*")


def outputs_read(name: str, text: str) -> tuple[str, ...] | None:
    """The outputs of a `terraform_remote_state` that a file's text refers to; None where it may be any."""
    found = set()
    for match in re.finditer(rf"\bdata\.terraform_remote_state\.{re.escape(name)}\b(\[[^\]]*\])?", text):
        following = re.match(r"\.outputs(?:\.([A-Za-z_][A-Za-z0-9_-]*)|\[\"([^\"]+)\"\])", text[match.end() :])
        if following is None:
            return None
        found.add(following[1] or following[2])
    return tuple(sorted(found))


def find_paths(node: Node, found: Found) -> None:
    """Every path that a function reads or a string builds on `path.*`, in the whole tree."""
    stack = [node]
    while stack:
        current = stack.pop()
        if current.type == "function_call":
            _add_call(current, found)
        elif current.type in ("quoted_template", "heredoc_template", "string_lit"):
            found.paths.extend(mentions(syntax.text(current).strip('"')))
        stack.extend(current.named_children)


def _add_call(call: Node, found: Found) -> None:
    children = call.named_children
    arguments = next((child for child in children if child.type == "function_arguments"), None)
    if not children or arguments is None or not _FILE_FUNCTIONS.match(syntax.text(children[0])):
        return
    first = next((child for child in arguments.named_children if child.type == "expression"), None)
    if first is None:
        return
    value, name = syntax.literal(first), syntax.text(children[0])
    folder, template = name == "fileset", name == "templatefile"
    pieces = syntax.parts(first)
    open_ended = any(piece.startswith(("$local.", "$var.")) for piece in pieces) or pieces == (syntax.ANYTHING,)
    if open_ended and ("path.module" not in syntax.text(first) or syntax.ANYTHING not in pieces):
        found.reads.append(Read(pieces, folder, template))
    elif isinstance(value, str):
        found.paths.append(PathReference("root", value, not folder, read=True, template=template))
    elif known := template_path(first):
        exact = known.exact and not folder
        found.paths.append(PathReference(known.base, known.path, exact, read=True, template=template))
    elif "path.module" in syntax.text(first):
        found.paths.append(PathReference("module", ".", exact=False, read=True))
    else:
        found.reads.append(Read(pieces, folder, template))


def template_path(node: Node) -> PathReference | None:
    """The path in a string like `"${path.module}/files/${var.x}.json"`, or a bare `path.module`; else None."""
    while node.type in ("expression", "template_expr", "literal_value") and len(node.named_children) == 1:
        node = node.named_children[0]
    text = syntax.text(node).strip()
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


def mentions(text: str) -> Iterator[PathReference]:
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


def add_module(source: Any, reference: PathReference | None, found: Found) -> None:
    """Note a module's source, a literal one or a path that is known whole."""
    if isinstance(source, str):
        found.modules.append(source)
    elif reference and reference.exact:
        found.modules.append("./" + reference.path if not reference.path.startswith(".") else reference.path)
