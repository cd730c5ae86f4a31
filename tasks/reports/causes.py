"""When two failures have the same cause: what differs from stack to stack and from run to run does not count."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..base.files import canonical_json, sha256_bytes

if TYPE_CHECKING:
    from ..base.problem import Problem

_VARYING = (  # what differs between two runs that fail for the same cause; the order matters
    r"\d{4}-\d\d-\d\d[t ]\d\d:\d\d(:\d\d)?(\.\d+)?(z|[+-]\d\d:?\d\d)?",
    r"\b\d\d:\d\d:\d\d(\.\d+)?\b",
    r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",
    r"\b(?=[a-z]*\d)[0-9a-z]{16,}\b",
    r"\b0x[0-9a-f]+\b|\b(?=[a-f]*\d)[0-9a-f]{7,}\b",
    r"\b\d+(\.\d+)?\s?(ms|µs|s|m|h|sec|secs|seconds?|minutes?|hours?|tries|attempts|times)\b",
    r"\bline \d+\b|\.tf:\d+(:\d+)?",
    r"\b\d{5,}\b",
    r"/dev/fd/\d+|/tmp/\S+",
)
_ERROR = re.compile(r"^[│| ]*Error: ", re.MULTILINE)
_PLACE = re.compile(r"^[│| ]*(with \S.*,|on \S.* line \d+(, in .*)?:|\d+: .*)$\n?", re.MULTILINE)


def fingerprint(stage: str, kind: str, cause: str) -> str:
    """A digest of a cause without its varying parts: times, durations, ids, line numbers."""
    text = cause.lower()
    for pattern in _VARYING:
        text = re.sub(pattern, "#", text)
    lines = {" ".join(line.split()) for line in text.splitlines()}  # several errors may come in any order
    return sha256_bytes(canonical_json([stage, kind, sorted(lines)]))[:16]


def errors_of(log: str) -> str:
    """What the engine says of its errors, which is the end of its output; empty if there are none."""
    begin = _ERROR.search(log)
    return log[begin.start() :] if begin else ""


def shared(stage: str, stack: str, problem: Problem | None, summary: str) -> tuple[str, str]:
    """The keys of a failure's cause, with the stack's name and without it: one in common is the same cause.

    Where the error is does not count: the same one may be in another line of each stack. What to do about it does, so
    each lock keeps the command that releases it.
    """
    # A stack may be called as a word of the text is: what is the same as it stands is the same in any case.
    nameless = problem and problem.mapped(lambda text: _unnamed(stack, text))
    return _key(stage, problem, summary), _key(stage, nameless, _unnamed(stack, summary))


def same(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Whether the texts of two stacks, each behind its stack's name, are the same apart from the names."""
    return one[1] == other[1] or _unnamed(*one) == _unnamed(*other)


def _unnamed(stack: str, text: str) -> str:
    """A text without the name of its stack, to be compared with that of another one."""
    return re.sub(rf"(?<![\w-]){re.escape(stack)}(?![\w-])", "\0", text) if stack else text


def _key(stage: str, problem: Problem | None, summary: str) -> str:
    if problem is None:
        return fingerprint(stage, "", summary)
    said = _PLACE.sub("", errors_of(problem.log))
    exactly = [*problem.details, problem.untouched, problem.next_text, "" if said else problem.log]
    return fingerprint(stage, f"{problem.kind} {canonical_json(exactly).decode()}", f"{summary}\n{said}")
