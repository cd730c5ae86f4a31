"""When two failures have the same cause: what differs from stack to stack and from run to run does not count."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from ..base.files import canonical_json, sha256_bytes
from ..base.problem import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..base.problem import Problem

T = TypeVar("T")
# Which files are not formatted is what differs, and one command formats all; and who holds a lock, which is told.
_BY_KIND = frozenset({Kind.UNFORMATTED, Kind.STATE_LOCKED})
_MOST_COMPARED = 50  # causes of a stage and kind
_VARYING = (  # what differs between two runs that fail for the same cause; the order matters
    r"\d{4}-\d\d-\d\d[t ]\d\d:\d\d(:\d\d)?(\.\d+)?(z|[+-]\d\d:?\d\d)?",
    r"\b\d\d:\d\d:\d\d(\.\d+)?\b",
    r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",
    r"\b(?=[a-z]*\d)[0-9a-z]{16,}\b",
    r"\b0x[0-9a-f]+\b|\b(?=[a-f]*\d)[0-9a-f]{7,}\b",
    r"\b\d+(\.\d+)?\s?(ms|µs|s|m|h|sec|secs|seconds?|minutes?|hours?|tries|attempts|times)\b",
    r"\bline \d+\b|\.tf:\d+(:\d+)?",
    r"\bserial \d+\b",
    r"\b\d{5,}\b",
    r"/dev/fd/\d+|/tmp/\S+",
)
_ERROR = re.compile(r"^[│| ]*Error: ", re.MULTILINE)
_FRAME = re.compile(r"[│╷╵]")  # beside the lines of an error, which break where a longer name makes them break
_ACCEPTED = re.compile(r"\baccept=\S+")  # the state of each stack is another one
_SERIAL = re.compile(r"\bserial \d+\b")
_PLACE = re.compile(r"^[│| ]*(with \S.*,|on \S.* line \d+(, in .*)?:|\d+: .*)$\n?", re.MULTILINE)


def fingerprint(stage: str, kind: str, cause: str) -> str:
    """A digest of a cause without its varying parts: times, durations, ids, line numbers."""
    lines = {" ".join(line.split()) for line in _steady(cause).splitlines()}  # several errors may come in any order
    return sha256_bytes(canonical_json([stage, kind, sorted(lines)]))[:16]


def errors_of(log: str) -> str:
    """What the engine says of its errors, which is the end of its output; empty if there are none."""
    begin = _ERROR.search(log)
    return log[begin.start() :] if begin else ""


def unframed(line: str) -> str:
    """A line of an error without the frame that the engine draws around it."""
    return line.removeprefix("│").removeprefix("╷").removeprefix("╵").removeprefix(" ")


class Groups(Generic[T]):
    """Failures by their cause: two that say the same, each of its own stack, have one."""

    def __init__(self) -> None:
        self._known: dict[str, T] = {}
        self._texts: dict[str, list[tuple[_Text, T]]] = {}

    def of(self, stage: str, stack: str, problem: Problem | None, summary: str, make: Callable[[], T]) -> T:
        """The group of a failure; made if nothing before it has the same cause.

        Where the error is does not count: the same one may be in another line of each stack. What to do about it does.
        Locks are one cause, whoever holds them: each is named by what shows the group.

        Args:
            stage: The stage.
            stack: The stack.
            problem: What went wrong; None if only the summary is known.
            summary: What happened.
            make: Makes a group.
        """
        # Nearly always the same as it stands, or without the names of the stacks. But a stack may be called as a word
        # of the text is, such as a command: then it has to be compared with each.
        scope, text = f"{stage} {problem.kind if problem else ''}", _text(stack, problem, summary)
        keys = [text.key(scope), text.unnamed.key(scope)]
        found = next((self._known[key] for key in keys if key in self._known), None)
        others = self._texts.setdefault(scope, [])
        if found is None:
            found = next((group for other, group in others if text.is_as(other)), None)
        if found is None:
            found = make()
            if len(others) < _MOST_COMPARED:
                others.append((text, found))
        for key in keys:
            self._known.setdefault(key, found)
        return found


class _Text(NamedTuple):
    """All that decides about the cause of a failure: what has to be the same, and what may differ in times and ids."""

    stack: str
    exactly: str
    nearly: str

    @property
    def unnamed(self) -> _Text:
        """The text without the name of its stack."""
        return _Text("", *(unnamed(self.stack, part) for part in (self.exactly, self.nearly)))

    def key(self, scope: str) -> str:
        """A digest of it."""
        return fingerprint(scope, self.exactly, self.nearly)

    def is_as(self, other: _Text) -> bool:
        """Whether the other one says the same of its stack."""
        one, two = self.stack.lower(), other.stack.lower()
        return same((self.stack, self.exactly), (other.stack, other.exactly)) and same(
            (one, _steady(self.nearly)), (two, _steady(other.nearly))
        )


def _text(stack: str, problem: Problem | None, summary: str) -> _Text:
    if problem is None:
        return _Text(stack, "", summary)
    if problem.kind in _BY_KIND:
        return _Text(stack, "", "")
    said = _PLACE.sub("", errors_of(problem.log))
    exactly = [*problem.details, problem.untouched, _advice(problem), "" if said else problem.log]
    errors = (" ".join(_FRAME.sub(" ", error).split()) for error in _ERROR.split(said))
    return _Text(stack, canonical_json(exactly).decode(), "\n".join([summary, *errors]))


def _advice(problem: Problem) -> str:
    """What to do next, without the serial or state that each stack has of its own."""
    words = [part if isinstance(part, str) else _ACCEPTED.sub("accept=", str(part)) for part in problem.next]
    return _SERIAL.sub("serial #", "".join(words))


def same(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Whether the texts of two stacks, each behind its stack's name, are the same apart from the names.

    A name may also be a word of the text that both have: `doit plan:plan` says of the stack `plan` what `doit plan:web`
    says of `web`.
    """
    (name, text), (other_name, other_text) = one, other
    first, *rest = re.split(f"({_named(name)})", text) if name else [text]
    ends = {len(first)} if other_text.startswith(first) else set()
    for word, piece in zip(rest[::2], rest[1::2], strict=True):
        ends = {
            end + len(said) + len(piece)
            for end in ends
            for said in (word, *_forms(other_name))
            if other_text.startswith(f"{said}{piece}", end)
        }
    return len(other_text) in ends


def unnamed(stack: str, text: str) -> str:
    """A text without the name of its stack."""
    return re.sub(_named(stack), "\0", text) if stack else text


def _forms(stack: str) -> list[str]:
    """How a stack is called: by its name, or in addresses where that may have no slash, or by its folder alone."""
    found = {stack, stack.replace("/", "-"), stack.replace("/", "_"), stack.rpartition("/")[2]}
    return sorted(found, key=lambda form: (-len(form), form))


def _named(stack: str) -> str:
    """The pattern of a stack's name that is no part of a longer word."""
    return rf"(?<![^\W_])(?:{'|'.join(map(re.escape, _forms(stack)))})(?![^\W_])"


def _steady(text: str) -> str:
    """A text in small letters, without what differs between two runs."""
    text = text.lower()
    for pattern in _VARYING:
        text = re.sub(pattern, "#", text)
    return text
