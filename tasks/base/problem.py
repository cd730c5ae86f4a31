"""A problem as a value: what happened, where, what is untouched, what to run next. Only a face makes text of it."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Kind(StrEnum):
    """The kinds of problems; the words are those that people see."""

    ERROR = "error"
    UNEXPECTED = "unexpected error"
    CONFIG = "config error"
    UPSTREAM = "upstream error"
    GIT = "git error"
    HOOK = "hook failed"
    BUILD = "build failed"
    REGISTRY = "registry error"
    ENGINE = "engine error"
    STATE_LOCKED = "state locked"
    STATE_NOT_SAVED = "state not saved"
    STATE_REFUSED = "state refused"
    REFUSED = "refused"
    NOT_REVIEWED = "not reviewed"
    OLDER = "older commit"
    POLICY = "policy error"
    REFUSED_BY_POLICY = "refused by policy"
    CHECK_FAILED = "check failed"
    RECORD = "record error"
    RUN_LOCKED = "locked"
    PUBLISH = "publish failed"
    FORGE = "forge"
    TEMPLATE = "broken template"
    NO_RESULT = "no result"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Where:
    """A place a person can go to.

    Args:
        file: The file, or another name of the place (`environment variable DEPLOY_X`).
        line: The line in it, from 1.
        key: The config key path (`stacks.web.inputs`).
    """

    file: str | None = None
    line: int | None = None
    key: str | None = None

    def __str__(self) -> str:
        """`file:line`."""
        return f"{self.file or ''}:{self.line}" if self.line else self.file or ""


@dataclass(frozen=True)
class Command:
    """A `doit` command.

    Args:
        arguments: What follows `doit`: tasks, options, variables.
        environment: The environment it is for; None for the default one, or for one that is not known yet.
        variables: Environment variables that are set for it alone.
    """

    arguments: tuple[str, ...]
    environment: str | None = None
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """The command line, word by word, unquoted."""
        environment = [f"env={self.environment}"] if self.environment else []
        return (*(f"{name}={value}" for name, value in self.variables), "doit", *environment, *self.arguments)

    def within(self, environment: str | None) -> Command:
        """The same command in an environment, unless it says itself which one it is for."""
        return self if self.environment or not environment else replace(self, environment=environment)

    def mapped(self, change: Callable[[str], str]) -> Command:
        """The command with every text in it changed."""
        variables = tuple((name, change(value)) for name, value in self.variables)
        return replace(self, arguments=tuple(change(word) for word in self.arguments), variables=variables)

    def __str__(self) -> str:
        """The command as a person types it into a shell."""
        return " ".join(_quoted(word) for word in self.words)

    @property
    def quoted(self) -> str:
        """The command within a sentence: in backquotes."""
        return f"`{self}`"


Steps = str | Command | tuple[str | Command, ...]


def doit(*arguments: str, environment: str | None = None, **variables: str) -> Command:
    """The command `doit ARGUMENTS`, with these environment variables set for it."""
    return Command(arguments, environment, tuple(variables.items()))


@dataclass(frozen=True)
class Problem:
    """What went wrong, for the person at 3 a.m.

    Args:
        kind: Which kind of problem it is.
        summary: What happened, in one sentence, without secrets.
        where: The place it is about.
        stack: The stack it is about.
        untouched: What was not changed.
        next: What to run or edit next: a sentence in parts, its commands as values.
        details: Further lines: differences, what was looked at, commands with which to look further.
        log: What the engine or another program said.
    """

    kind: Kind
    summary: str
    where: Where | None = None
    stack: str | None = None
    untouched: str | None = None
    next: tuple[str | Command, ...] = ()
    details: tuple[str, ...] = ()
    log: str = ""

    @property
    def next_text(self) -> str:
        """What to do next as a sentence, its commands in backquotes; empty when nothing is known."""
        return "".join(part.quoted if isinstance(part, Command) else part for part in self.next)

    @property
    def next_command(self) -> Command | None:
        """The first command to run next."""
        return next((part for part in self.next if isinstance(part, Command)), None)

    def within(self, environment: str | None) -> Problem:
        """The problem with its commands in an environment; None for the default one."""
        steps = tuple(part.within(environment) if isinstance(part, Command) else part for part in self.next)
        return replace(self, next=steps)

    def mapped(self, change: Callable[[str], str]) -> Problem:
        """The problem with every text in it changed: masked, or made visible."""

        def changed(text: str | None) -> str | None:
            return text and change(text)

        place = self.where and replace(self.where, file=changed(self.where.file), key=changed(self.where.key))
        return replace(
            self,
            summary=change(self.summary),
            where=place,
            stack=changed(self.stack),
            untouched=changed(self.untouched),
            next=tuple(part.mapped(change) if isinstance(part, Command) else change(part) for part in self.next),
            details=tuple(change(line) for line in self.details),
            log=change(self.log),
        )

    def rows(self) -> list[str]:
        """The lines below the first one, indented."""
        named = [
            ("where", str(self.where or "")),
            ("stack", self.stack),
            ("untouched", self.untouched),
            ("next", self.next_text),
        ]
        return [*(f"  {line}" for line in self.details), *(f"  {name}: {text}" for name, text in named if text)]

    def text(self) -> str:
        """All but the log, for people: several lines, no newline at the end."""
        key = f"{self.where.key}: " if self.where and self.where.key else ""
        return "\n".join([f"{self.kind}: {key}{self.summary}", *self.rows()])

    def to_json(self) -> dict[str, Any]:
        """The problem as records hold it; `next.command` and `next.text` are for readers, `next.parts` is the value."""
        command = self.next_command
        following = {
            "command": list(command.words) if command else [],
            "text": self.next_text,
            "parts": [asdict(part) if isinstance(part, Command) else part for part in self.next],
        }
        return {
            "kind": str(self.kind),
            "summary": self.summary,
            "where": asdict(self.where) if self.where else None,
            "stack": self.stack,
            "untouched": self.untouched,
            "next": following if self.next else None,
            "details": "\n".join(self.details),
            "log": self.log,
        }

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Problem:
        """The problem that `to_json` wrote.

        Raises:
            TypeError, KeyError, ValueError: It is no such record.
        """
        where, following, details = record["where"], record["next"], record["details"]
        return cls(
            Kind(record["kind"]),
            record["summary"],
            Where(**where) if where else None,
            record["stack"],
            record["untouched"],
            tuple(_part(part) for part in following["parts"]) if following else (),
            tuple(details.split("\n")) if details else (),
            record["log"],
        )


def listed(problems: Iterable[Problem]) -> str:
    """Several problems for people, one after the other."""
    return "\n".join(problem.text() for problem in problems)


def steps(given: Steps | None) -> tuple[str | Command, ...]:
    """What to do next in parts, however it was given."""
    if given is None:
        return ()
    return given if isinstance(given, tuple) else (given,)


def _part(part: Any) -> str | Command:
    if isinstance(part, str):
        return part
    variables = tuple((str(name), str(value)) for name, value in part["variables"])
    return Command(tuple(part["arguments"]), part["environment"], variables)


def _quoted(word: str) -> str:
    """A word for a shell; of `NAME=value` the value alone is quoted, as people write it."""
    name, equals, value = word.partition("=")
    return f"{name}={shlex.quote(value)}" if equals and value and name.isidentifier() else shlex.quote(word)
