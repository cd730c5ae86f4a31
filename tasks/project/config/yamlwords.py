"""What is wrong with a YAML file, in plain words and at the line to look at, instead of its parser's terms."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    import yaml

_BRACES = {"mapping": ("{", "}"), "sequence": ("[", "]")}
_CHARACTER = re.compile(r"found character '(.+)' that cannot start any token")
_NO_VALUE = re.compile(r"expected the node content, but found ('.+')")
_TAG = re.compile(r"could not determine a constructor for the tag '(.*)'")


class Wrong(NamedTuple):
    """What is wrong, and in which line, from 1."""

    message: str
    line: int | None


class _Meaning(NamedTuple):
    """What a parser means; `at_begin` if the line to look at is where the value begins, not where it noticed."""

    message: str
    at_begin: bool = False


def explain(error: yaml.MarkedYAMLError, text: str) -> Wrong:
    """What a parser's error means.

    Args:
        error: The error.
        text: The file.
    """
    mark, begin = error.problem_mark or error.context_mark, error.context_mark
    line = mark.line + 1 if mark else None
    problem, context = error.problem or "", error.context or ""
    for known in _KNOWN:
        if (found := known(problem, context)) is not None:
            return Wrong(found.message, begin.line + 1 if found.at_begin and begin else line)
    return Wrong(_character(problem, text, line) or problem or context, line)


def _unclosed(problem: str, context: str) -> _Meaning | None:
    """A brace or bracket that is not closed: the parser notices at the end of the file, or at the next key."""
    kind = context.removeprefix("while parsing a flow ")
    if kind not in _BRACES or not problem.startswith("expected ','"):
        return None
    opened, closed = _BRACES[kind]
    message = f"`{opened}` in this line is not closed by `{closed}`, or a comma is missing after an element"
    return _Meaning(message, at_begin=True)


def _quote(problem: str, context: str) -> _Meaning | None:
    if context == "while scanning a quoted scalar" and problem == "found unexpected end of stream":
        return _Meaning("the quote in this line is not closed", at_begin=True)
    if context == "while scanning a double-quoted scalar" and problem.startswith("found unknown escape"):
        return _Meaning(r"in double quotes a backslash begins an escape: write two, or use single quotes")
    return None


def _colon(problem: str, _: str) -> _Meaning | None:
    if problem == "could not find expected ':'":
        return _Meaning("this is neither `key: value` nor a list's `- value`", at_begin=True)
    if problem == "mapping values are not allowed here":
        return _Meaning("a `key:` cannot stand here: quote the value if it contains `: `, or fix the indentation")
    return None


def _indentation(problem: str, context: str) -> _Meaning | None:
    if problem.endswith("sequence entries are not allowed here"):
        return _Meaning("a list's `-` cannot stand here: begin it in a line of its own, below its key")
    if not problem.startswith("expected <block end>"):
        return None
    if context == "while parsing a block mapping":
        return _Meaning(
            "this line does not fit the mapping above it: indent it like the keys of the same mapping, and leave"
            " nothing after a quoted value"
        )
    return _Meaning("this line does not fit the list above it: indent it like the list's other `-`")


def _missing(problem: str, _: str) -> _Meaning | None:
    found = _NO_VALUE.fullmatch(problem)
    return _Meaning(f"a value is missing before {found[1]}") if found else None


def _documents(problem: str, context: str) -> _Meaning | None:
    if "but found another document" in problem or context == "expected a single document in the stream":
        return _Meaning("`---` begins a second document; a file holds one")
    if problem.startswith("expected '<document start>'"):
        return _Meaning("this line does not belong to what stands above it: fix its indentation, or close what is open")
    return None


def _names(problem: str, _: str) -> _Meaning | None:
    """An alias or a tag that nothing defines."""
    if problem.startswith("found undefined alias"):
        return _Meaning(problem.replace("found undefined alias", "no `&` defines the alias"))
    found = _TAG.fullmatch(problem)
    return _Meaning(f"the tag {found[1]} is not supported: quote a value that begins with `!`") if found else None


def _character(problem: str, text: str, line: int | None) -> str | None:
    """A character that no value begins with."""
    found = _CHARACTER.fullmatch(problem)
    if found is None:
        return None
    lines = text.splitlines()
    if found[1] == "\\t" or (line and line <= len(lines) and lines[line - 1].lstrip(" ").startswith("\t")):
        return "a tab cannot indent: use spaces"
    return f"a value cannot begin with {found[1]}: quote it"


_KNOWN: tuple[Callable[[str, str], _Meaning | None], ...] = (
    _unclosed, _quote, _colon, _indentation, _missing, _documents, _names,
)  # fmt: skip
