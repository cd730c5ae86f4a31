"""Finds what texts refer to: paths, and outputs of other states."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from . import expressions, syntax
from .facts import IF_THERE, PathReference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_sitter import Node

    from .facts import Facts

VARIES = re.compile(r"\b(var|local|terraform)\.")  # an expression whose value depends on one of these
_FILE_FUNCTIONS = re.compile(r"^(file[a-z0-9]*|templatefile)$")
_MAKE_PATHS = ("format", "join", "abspath")
_ANCHORED_PATH = re.compile(r"\$\{\s*path\.(module|root|cwd)\s*\}((?:/[A-Za-z0-9_.@+-]*)*)")
_RELATIVE_PATH = re.compile(r"(?:^|(?<=[\s=:,'\"]))\.{1,2}/[A-Za-z0-9_./@+-]*")
_ONE_PATH = re.compile(r"(?:\$\{\s*path\.(?:module|root|cwd)\s*\}|\.{1,2})/(?:[A-Za-z0-9_.@+/-]|\$\{[^{}]*\})*")
_MADE_PATH = re.compile(r"(?!/)(?:[A-Za-z0-9_.@+/-]|\$\{[^{}]*\})+")
_BARE_PATH = re.compile(
    r"(?:^|(?<=[\s=,;'\"(\[]))[A-Za-z0-9_][A-Za-z0-9_.@+-]*(?:/[A-Za-z0-9_.@+-]*)*(?=$|[\s,;'\")\]|&<>]|[$%]\{)"
)
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_IS_A_PLACE = re.compile(r"(^|_)(path|file|filename|dir|directory|folder|source|src|chart|context|script)s?$")
_OWN_NAME = re.compile(r"basename\(\s*abspath\(\s*path\.(?:module|root|cwd)\s*\)\s*\)")  # names no file
_VERB = re.compile(r"%[0-9]*[svdq]")
_STATE = re.compile(r"\bdata\.terraform_remote_state\b(?:\.([A-Za-z_][A-Za-z0-9_-]*)(\[[^\]]*\])?)?")
_OUTPUT = re.compile(r"\.outputs(?:\.([A-Za-z_][A-Za-z0-9_-]*)|\[\"([^\"]+)\"\])")
_LEAVES = frozenset({  # single tokens: there is nothing in them, not even an error
    "identifier", "block_start", "block_end", "comment", "quoted_template_start", "quoted_template_end", "numeric_lit",
    "bool_lit", "null_lit", "object_start", "object_end", "tuple_start", "tuple_end",
})  # fmt: skip
_MENTIONS = re.compile(rb'["(]|<<')  # a path is in quotes, in a heredoc or made by a function
_WORKSPACE = re.compile(rb"(?<![\w.])(terraform|tofu)\.workspace\b")


def find_state_outputs(text: str, found: Facts) -> None:
    """Find the outputs of remote states that a file's text refers to."""
    for match in _STATE.finditer(text):
        name = match[1] or ""
        following = _OUTPUT.match(text, match.end()) if name else None
        if following is None:
            found.state_outputs[name] = None
        elif (known := found.state_outputs.setdefault(name, [])) is not None:
            output = following[1] or following[2]
            found.state_outputs[name] = sorted({*known, output})


def asks_for_workspace(text: str) -> bool:
    """Whether a text refers to the workspace's name."""
    return _WORKSPACE.search(text.encode(errors="replace")) is not None


def find_workspace(root: Node, found: Facts) -> None:
    """Find where a file refers to the workspace's name."""
    content, begin = root.text or b"", root.start_byte
    for match in _WORKSPACE.finditer(content):
        node = root.descendant_for_byte_range(begin + match.start(), begin + match.end())
        if node is not None and node.type != "comment":
            found.workspace = root.start_point[0] + content.count(b"\n", 0, match.start()) + 1
            return


def find_paths(node: Node, found: Facts) -> None:
    """Find the paths that a tree's texts mention, apart from what functions read, which is known exactly."""
    stack, paths = [node], dict[PathReference, None]()
    while stack:
        current = stack.pop()
        kind = current.type
        if kind in _LEAVES:  # most nodes are, and asking each for its children takes the longest
            continue
        if kind == "attribute" and not _MENTIONS.search(current.text or b""):
            continue
        inner = current.named_children
        if kind == "function_call" and _OWN_NAME.fullmatch(syntax.text(current)):
            continue
        if kind == "function_call" and inner and _FILE_FUNCTIONS.match(syntax.text(inner[0])):
            arguments = [argument for kid in inner[1:] for argument in kid.named_children]
            stack.extend(arguments[1:])
            continue
        if kind == "function_call" and inner and syntax.text(inner[0]) in _MAKE_PATHS:
            found.mentioned.append(expressions.convert(current))
        if kind in ("attribute", "object_elem") and len(inner) > 1:
            paths |= dict.fromkeys(_at_a_place(inner))
        if kind in ("quoted_template", "heredoc_template", "string_lit"):
            text = syntax.text(current).strip('"')
            if "${" in text and _ONE_PATH.fullmatch(text):
                found.mentioned.append(expressions.convert(current))
                continue
            if "${" in text and "/" in text and _MADE_PATH.fullmatch(text):
                found.mentioned.append(expressions.convert(current))
            elif "/" in text or "." in text:  # else it mentions none
                paths |= dict.fromkeys(mentions(text))
        if kind != "string_lit":  # a plain text, nothing in it is evaluated
            stack.extend(inner)
    found.paths.extend(reference for reference in paths if reference not in found.paths)


def _at_a_place(pair: list[Node]) -> Iterator[PathReference]:
    """The single names that an attribute has whose own name says that it is a path."""
    if _IS_A_PLACE.search(name := syntax.text(pair[0]).strip('"')):
        value = syntax.literal(pair[-1])
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, str):
                yield from named(name, item)


def named(attribute: str, text: str) -> Iterator[PathReference]:
    """The path that a single name is as the value of an attribute: `lambda` in `source_dir`, and of `type` none."""
    if _NAME.fullmatch(text) and _IS_A_PLACE.search(attribute):
        yield PathReference(IF_THERE, text, exact=True)


def mentions(text: str) -> Iterator[PathReference]:
    """The paths in a string's text: after `${path.module}` and the like, or as a word that looks like a path.

    One that continues with `%` is the pattern of a `format`, which is evaluated instead.
    """
    for match in _ANCHORED_PATH.finditer(text):
        if _VERB.match(text, match.end()):
            continue
        base = "module" if match[1] == "module" else "root"
        known, dynamic = match[2].strip("/"), text[match.end() : match.end() + 2] in ("${", "%{")
        if dynamic:
            known = match[2].rpartition("/")[0].strip("/")
        yield PathReference(base, known or ".", exact=bool(known) and not dynamic)
    for word in _RELATIVE_PATH.finditer(text):
        if _VERB.match(text, word.end()):
            continue
        dynamic = text[word.end() : word.end() + 2] in ("${", "%{")
        yield PathReference("root", word[0].rpartition("/")[0] if dynamic else word[0], exact=not dynamic)
    for word in _BARE_PATH.finditer(text):
        yield from _bare(word)


def _bare(word: re.Match[str]) -> Iterator[PathReference]:
    """The path that a word is which does not begin with `./`: it has a slash or an extension.

    Most words of this kind are something else, such as `text/html`, so within a text they count only if they lead
    somewhere. A whole text counts in any case: a build may be about to make the file.
    """
    text, path = word.string, word[0].rstrip(".")
    if word.end() < len(text) and text[word.end()] in "$%":
        if folder := path.rpartition("/")[0]:
            yield PathReference(IF_THERE, folder, exact=False)
    elif ("/" in path or "." in path) and not path.replace("/", "").replace(".", "").isdecimal():
        yield PathReference("root" if word[0] == text and "/" in path else IF_THERE, path, exact=True)
