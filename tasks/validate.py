"""`doit validate`: checks configuration, format and `tofu validate` for affected stacks."""

from __future__ import annotations

import posixpath
import re
import shlex
import threading
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from . import build
from .base.errors import DeployError, EngineError, UnformattedError
from .base.problem import Shell, Where
from .base.text import plural
from .engine import diagnostics
from .project import variables
from .run.action import described, stage_action
from .run.assessment import assess_once
from .run.commandline import COMMANDS
from .run.result import Result, Status
from .run.selection import Part

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .engine.command import Context
    from .project.stack import Stack
    from .run.run import Run
    from .run.taskdict import TaskDict

STAGE = "validate"
_UNFORMATTED, _OK = 3, 0
_FEW = 5  # files that a command names one by one
_CHUNK = 1000  # a number of files that fits an argument list everywhere
_BROKEN = re.compile(r"\bon (\S+) line \d+")
_LINE = re.compile(r"\bon \S+ line (\d+)")
_ERROR = re.compile(r"^(?=Error: )", re.MULTILINE)


def tasks(run: Run) -> Iterator[TaskDict]:
    """`validate:<stack>`: up to date if the stack is unaffected or its current configuration has passed before."""
    yield {"name": None, "doc": COMMANDS[STAGE]}
    formats = Formats(run)
    for name, stack in run.project.stacks.items():

        def uptodate(stack: Stack = stack) -> bool:
            return up_to_date(run, stack)

        yield {
            "name": name,
            "actions": [stage_action(run, STAGE, name, formats.act)],
            "task_dep": build.needed_by(run, stack),
            "uptodate": [described(uptodate)],
            "doc": f"validate {stack.path}",
        }


def up_to_date(run: Run, stack: Stack) -> bool:
    """Whether the stack is unaffected, or its current configuration is known to be valid."""
    try:
        if not assess_once(run, stack).affected:
            return True
    except DeployError:
        pass  # the plan reports it
    from .run import validated

    return validated.is_known(run, stack)


@dataclass(frozen=True)
class BadFile:
    """A file that does not parse (`broken`, its errors in `text`) or is not formatted (the difference in `text`)."""

    path: str
    text: str
    broken: bool

    @property
    def error(self) -> str:
        """The first error of a file that does not parse, in the engine's words."""
        return self.text.partition("\n")[0].removeprefix("Error: ")

    @property
    def line(self) -> int | None:
        """The line of that error."""
        found = _LINE.search(self.text)
        return int(found[1]) if found else None


class Formats:
    """Checks the format of the files of all validated stacks with one engine call per run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._problems: dict[str, BadFile] | None = None

    def act(self, run: Run, stack: Stack, forced: bool) -> Result:  # noqa: ARG002 - a stage's signature
        """Validate one stack: the format of its files and its modules', then `tofu validate`."""
        from .run import validated

        problems = self._of(stack)
        if problems:
            # The differences show code, so also the defaults of variables that are declared sensitive.
            run.mask.add(variables.sensitive_values(run.project, stack, {}))
            raise self._error(stack, problems)
        if stack.name in run.asked.planned:
            return Result(STAGE, stack.name, Status.OK, "formatted; the plan validates the rest")
        completed = validated.check(run, stack)
        warnings = len(diagnostics.warnings(completed.events)) or completed.raw.count("Warning: ")
        return Result(STAGE, stack.name, Status.OK, f"valid, {plural(warnings, 'warning')}" if warnings else "valid")

    def _error(self, stack: Stack, problems: list[BadFile]) -> EngineError:
        """What is wrong with the files of a stack; where all of them parse, one command formats those of the run."""
        from .run import workdir

        broken = [problem.path for problem in problems if problem.broken]
        unformatted = [problem.path for problem in problems if not problem.broken]
        shown = {"not valid": broken, "not formatted": unformatted}
        together = unformatted if broken else self._unformatted or unformatted
        format_them = format_command(workdir.typed(self._run), together)
        first = next((problem for problem in problems if problem.broken), None)
        return (EngineError if broken else UnformattedError)(
            "; ".join(f"{what}: {', '.join(paths)}" for what, paths in shown.items() if paths)
            + (f": {first.error}" if first is not None else ""),
            log="\n".join(problem.text for problem in problems),
            where=Where(first.path, first.line) if first is not None else None,
            stack=stack.name,
            untouched="nothing was applied",
            next_step=(
                *(["correct the errors above"] if broken else []),
                *([" and "] if broken and unformatted else []),
                *([format_them] if unformatted else []),
            ),
        )

    @cached_property
    def _unformatted(self) -> list[str]:
        """The files of the run's stacks that are not formatted; of all stacks where this run is one of many jobs."""
        from .run import validated

        run = self._run
        names = run.project.stacks if run.request.part is Part.JOB else run.asked.validated
        files = {path for name in names for path in validated.readable_files(run, run.project.stacks[name])}
        found = self._problems or {}
        return [path for path, problem in sorted(found.items()) if not problem.broken and path in files]

    def _of(self, stack: Stack) -> list[BadFile]:
        from .run import validated

        with self._lock:
            if self._problems is None:
                self._problems = self._ask()
        files = {*validated.files(self._run, stack)}
        return [problem for path, problem in sorted(self._problems.items()) if path in files]

    def _ask(self) -> dict[str, BadFile]:
        """The diff or parse error of each file that `tofu fmt` would change, by path."""
        from .engine.command import Context
        from .run import validated

        run, project = self._run, self._run.project
        paths = {path for stack in project.stacks.values() for path in validated.readable_files(run, stack)}
        paths = {path for path in paths if not path.endswith(".json")}
        if project.tree is not None:  # the format of upstream files is up to the upstream
            paths = {path for path in paths if project.tree.own(path)}
        where = Context("validate format", project.root, run.layout.cache / "data" / "format")
        problems: dict[str, BadFile] = {}
        names = sorted(paths)
        for start in range(0, len(names), _CHUNK):
            problems.update(self._ask_some(where, names[start : start + _CHUNK]))
        return problems

    def _ask_some(self, where: Context, names: list[str]) -> dict[str, BadFile]:
        """One call; a file that does not parse hides the format of others, so it is left out of another call."""
        from .engine.engine import failure

        problems: dict[str, BadFile] = {}
        while names:
            done = self._run.engine().run(where, "fmt", "-no-color", "-check", "-diff", "-list=true", *names)
            if done.code in (_OK, _UNFORMATTED):
                return {**problems, **_split(done.output)}
            broken = {posixpath.normpath(path) for path in _BROKEN.findall(done.output)} & set(names)
            if not broken:
                raise failure(f"{self._run.engine().kind} fmt failed", done, where)
            problems.update({path: BadFile(path, _about(path, done.output), broken=True) for path in broken})
            names = [name for name in names if name not in broken]
        return problems


def format_command(engine: str, paths: Sequence[str]) -> Shell:
    """The command that formats files: a few by name, many by the folders that they are in."""
    if len(paths) <= _FEW:
        return Shell(f"{engine} fmt {shlex.join(paths)}")
    folders = sorted({path.partition("/")[0] for path in paths})
    return Shell(f"{engine} fmt -recursive {shlex.join(folders)}")


def _about(path: str, output: str) -> str:
    """The errors in the output of one call that are in a file; other files are other stacks'."""
    errors = _ERROR.split(output.strip())
    return "\n\n".join(
        error.strip() for error in errors if path in map(posixpath.normpath, _BROKEN.findall(error))
    )  # fmt: skip


def _split(output: str) -> dict[str, BadFile]:
    """The output of `fmt -check -diff -list` by file: its name, then its diff."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    lines = output.splitlines()
    for position, line in enumerate(lines):
        following = lines[position + 1] if position + 1 < len(lines) else ""
        if following.startswith("--- old/"):
            current = found.setdefault(posixpath.normpath(line), [])
        else:
            current.append(line)
    return {path: BadFile(path, "\n".join(text), broken=False) for path, text in found.items()}
