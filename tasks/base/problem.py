"""A problem as a value: what happened, where, what is untouched, what to run next. Text is made where it is shown."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Kind(StrEnum):
    """The kinds of problems, as people read them."""

    ERROR = "error"
    UNEXPECTED = "unexpected error"
    CONFIG = "config error"
    UPSTREAM = "upstream error"
    GIT = "git error"
    HOOK = "hook failed"
    BUILD = "build failed"
    REGISTRY = "registry error"
    ENGINE = "engine error"
    UNFORMATTED = "not formatted"
    EXPOSED = "secret exposed"
    STATE_LOCKED = "state locked"
    STATE_NOT_SAVED = "state not saved"
    STATE_REFUSED = "state refused"
    DRIFT_NOT_ADOPTED = "drift not adopted"
    DRIFT_NOT_REPAIRED = "drift not repaired"
    REFUSED = "refused"
    NOT_REVIEWED = "not reviewed"
    OLDER = "older commit"
    POLICY = "policy error"
    REFUSED_BY_POLICY = "refused by policy"
    CHECK_FAILED = "check failed"
    RECORD = "record error"
    RUN_LOCKED = "locked"
    PUBLISH = "publish failed"
    LEDGER = "ledger"
    FORGE = "forge"
    TEMPLATE = "broken template"
    NO_RESULT = "no result"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Where:
    """A place to look at.

    Args:
        file: The file, or another source (`environment variable DEPLOY_X`).
        line: The line number, from 1.
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
        environment: The environment it is for; None for the default one, or if it is not known yet.
        variables: Environment variables set for this command only.
        program: How doit is started in the shell that it is shown in, as typed there; empty for `doit`.
    """

    arguments: tuple[str, ...]
    environment: str | None = None
    variables: tuple[tuple[str, str], ...] = ()
    program: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        """The command line, word by word, unquoted."""
        return (*self._variables, "doit", *self._rest)

    @property
    def _variables(self) -> tuple[str, ...]:
        return tuple(f"{name}={value}" for name, value in self.variables)

    @property
    def _rest(self) -> tuple[str, ...]:
        return (*([f"env={self.environment}"] if self.environment else ()), *self.arguments)

    def within(self, environment: str | None) -> Command:
        """The same command in an environment, unless it already has one."""
        return self if self.environment or not environment else replace(self, environment=environment)

    def mapped(self, change: Callable[[str], str]) -> Command:
        """The command with a function applied to every text in it."""
        variables = tuple((name, change(value)) for name, value in self.variables)
        return replace(self, arguments=tuple(change(word) for word in self.arguments), variables=variables)

    def __str__(self) -> str:
        """The command as typed into a shell."""
        before, after = (" ".join(map(_quoted, words)) for words in (self._variables, self._rest))
        return " ".join(part for part in (before, self.program or "doit", after) if part)

    def seen_from(self, program: str) -> Command:
        """The command for a shell in which doit is started so."""
        return replace(self, program=program)

    @property
    def quoted(self) -> str:
        """The command in backquotes, for use in a sentence."""
        return f"`{self}`"


@dataclass(frozen=True)
class Shell:
    """A line for a shell that is in the repository's folder; its words are quoted already.

    Args:
        line: The line.
        alone: Whether it stands on a line of its own, to be copied whole; else within a sentence.
        anywhere: Whether it does the same in every folder.
        folder: Where that folder is from the shell that it is shown in; empty if the shell is there.
    """

    line: str
    alone: bool = False
    anywhere: bool = False
    folder: str = ""

    def mapped(self, change: Callable[[str], str]) -> Shell:
        """The line with a function applied to its text."""
        return replace(self, line=change(self.line))

    def __str__(self) -> str:
        """The line as typed; where it leads into the folder first, in a shell of its own."""
        leads = self.folder and not self.anywhere
        return f"(cd {shlex.quote(self.folder)} && {self.line})" if leads else self.line

    @property
    def quoted(self) -> str:
        """The line in backquotes, for use in a sentence, or below it."""
        return f"\n    {self}" if self.alone else f"`{self}`"


Step = str | Command | Shell
Steps = Step | tuple[Step, ...]


def doit(*arguments: str, environment: str | None = None, **variables: str) -> Command:
    """The command `doit ARGUMENTS` with these environment variables."""
    return Command(arguments, environment, tuple(variables.items()))


class Untouched(NamedTuple):
    """What was not changed, said of a stack, and of several that failed for one cause."""

    one: str
    several: str


NOTHING_CHANGED = Untouched("nothing in this stack was changed", "nothing in these stacks was changed")
NOTHING_PLANNED = Untouched(
    "nothing in this stack was planned or applied", "nothing in these stacks was planned or applied"
)


_NOTHING_BEGUN = "nothing was planned or applied"
_CORRECT = ("correct it, then run the same command again",)
_ALL = "correct them, then run the same command again"


@dataclass(frozen=True)
class Problem:
    """What went wrong, for the person at 3 a.m.

    Args:
        kind: The kind of problem.
        summary: What happened, in one sentence, without secrets.
        where: Where it happened.
        stack: The stack concerned.
        untouched: What was not changed.
        next: What to run or edit next: the parts of a sentence, with commands as values.
        details: Further lines: differences, observations, commands for a closer look.
        log: The output of the engine or another program.
        untouched_of_several: `untouched` where several stacks have the problem; None if that is the same.
    """

    kind: Kind
    summary: str
    where: Where | None = None
    stack: str | None = None
    untouched: str | None = None
    next: tuple[Step, ...] = ()
    details: tuple[str, ...] = ()
    log: str = ""
    untouched_of_several: str | None = None

    @property
    def next_text(self) -> str:
        """The next step as a sentence, with commands in backquotes; empty if unknown."""
        return sentence(self.next)

    @property
    def next_command(self) -> Command | None:
        """The first command to run next."""
        return next((part for part in self.next if isinstance(part, Command)), None)

    def within(self, environment: str | None) -> Problem:
        """The problem with its commands set to an environment; None for the default one."""
        steps = tuple(part.within(environment) if isinstance(part, Command) else part for part in self.next)
        return replace(self, next=steps)

    def before_anything(self) -> Problem:
        """The problem of a command that could not begin: what is untouched and what to do, where it does not say so."""
        step = self.next or (_CORRECT if self.kind is Kind.CONFIG else ())
        return replace(self, untouched=self.untouched or _NOTHING_BEGUN, next=step)

    def seen_from(self, folder: str, program: str) -> Problem:
        """The problem for a shell.

        Args:
            folder: Where the repository is from there; empty if the shell is in it.
            program: How doit is started there.
        """

        def seen(part: Step) -> Step:
            if isinstance(part, Shell):
                return replace(part, folder=folder)
            return part.seen_from(program) if isinstance(part, Command) else part

        return replace(self, next=tuple(map(seen, self.next)))

    def mapped(self, change: Callable[[str], str]) -> Problem:
        """The problem with a function applied to every text in it, such as masking."""

        def changed(text: str | None) -> str | None:
            return text and change(text)

        place = self.where and replace(self.where, file=changed(self.where.file), key=changed(self.where.key))
        return replace(
            self,
            summary=change(self.summary),
            where=place,
            stack=changed(self.stack),
            untouched=changed(self.untouched),
            next=tuple(change(part) if isinstance(part, str) else part.mapped(change) for part in self.next),
            details=tuple(change(line) for line in self.details),
            log=change(self.log),
            untouched_of_several=changed(self.untouched_of_several),
        )

    def rows(self) -> list[str]:
        """The lines after the first, indented."""
        named = [
            ("where", str(self.where or "")),
            ("stack", self.stack),
            ("untouched", self.untouched),
            ("next", self.next_text),
        ]
        return [*(f"  {line}" for line in self.details), *(f"  {name}: {text}" for name, text in named if text)]

    def text(self) -> str:
        """Everything but the log as text: several lines, without a final newline."""
        key = f"{self.where.key}: " if self.where and self.where.key else ""
        kind = "" if self.summary.startswith(f"{self.kind}:") else f"{self.kind}: "
        return "\n".join([f"{kind}{key}{self.summary}", *self.rows()])

    def to_json(self) -> dict[str, Any]:
        """The problem as JSON; `next.command` and `next.text` are for readers, `next.parts` is the value."""
        command = self.next_command
        following = {
            "command": list(command.words) if command else [],
            "text": self.next_text,
            "parts": [_kept(part) for part in self.next],
        }
        return {
            "kind": str(self.kind),
            "summary": self.summary,
            "where": asdict(self.where) if self.where else None,
            "stack": self.stack,
            "untouched": self.untouched,
            "untouched_of_several": self.untouched_of_several,
            "next": following if self.next else None,
            "details": "\n".join(self.details),
            "log": self.log,
        }

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Problem:
        """Read a problem that `to_json` wrote.

        Raises:
            TypeError, KeyError, ValueError: It is not such a record.
        """
        where, following, details = record["where"], record["next"], record["details"]
        texts = [record["summary"], record["log"], *(text for text in (record["stack"], record["untouched"]) if text)]
        if where:
            texts += [text for text in (where["file"], where["key"]) if text]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("a text is something else")
        return cls(
            Kind(record["kind"]),
            record["summary"],
            Where(**where) if where else None,
            record["stack"],
            record["untouched"],
            tuple(_part(part) for part in following["parts"]) if following else (),
            tuple(details.split("\n")) if details else (),
            record["log"],
            several if isinstance(several := record.get("untouched_of_several"), str) else None,
        )


def sentence(parts: Iterable[Step]) -> str:
    """The parts of a next step as text, its commands in backquotes or on lines of their own."""
    return "".join(part if isinstance(part, str) else part.quoted for part in parts)


def listed(problems: Iterable[Problem]) -> str:
    """Several problems as text, one after the other; of errors in a configuration, what all of them say stands last."""
    found = list(problems)
    said = {(each.kind, each.untouched) for each in found}
    if len(found) == 1 or len(said) != 1 or found[0].kind is not Kind.CONFIG or not found[0].untouched:
        return "\n".join(each.text() for each in found)
    step = (_ALL,) if any(each.next == _CORRECT for each in found) else ()
    apart = [replace(each, untouched=None, next=() if each.next == _CORRECT else each.next) for each in found]
    last = Problem(Kind.CONFIG, f"{len(found):,} errors in the configuration", untouched=found[0].untouched, next=step)
    return "\n".join([*(each.text() for each in apart), last.summary, *last.rows()])


def steps(given: Steps | None) -> tuple[Step, ...]:
    """The next step as parts, in whatever form it was passed."""
    if given is None:
        return ()
    return given if isinstance(given, tuple) else (given,)


def _kept(part: Step) -> Any:
    """A part of a next step as JSON: without what is only so in one shell."""
    if isinstance(part, str):
        return part
    return {name: value for name, value in asdict(part).items() if name != "program"}


def _part(part: Any) -> Step:
    if isinstance(part, str):
        return part
    if "line" in part:
        return Shell(str(part["line"]), part["alone"] is True, part["anywhere"] is True)
    variables = tuple((str(name), str(value)) for name, value in part["variables"])
    environment = None if part["environment"] is None else str(part["environment"])
    return Command(tuple(str(word) for word in part["arguments"]), environment, variables)


def _quoted(word: str) -> str:
    """A word quoted for a shell; in `NAME=value` only the value is quoted, as people write it."""
    name, equals, value = word.partition("=")
    return f"{name}={shlex.quote(value)}" if equals and value and name.isidentifier() else shlex.quote(word)
