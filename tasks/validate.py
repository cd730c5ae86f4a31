"""`doit validate`: configuration, format and `tofu validate`, for what is affected and was not validated as it is."""

from __future__ import annotations

import posixpath
import re
import threading
from typing import TYPE_CHECKING, Any

from . import build
from .base.errors import DeployError, EngineError
from .engine.command import Context
from .engine.engine import failure
from .run import validated
from .run.action import stage_action
from .run.assessment import assess_once
from .run.commandline import COMMANDS
from .run.result import Result, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .project.stack import Stack
    from .run.run import Run

STAGE = "validate"
_UNFORMATTED, _OK = 3, 0
_CHUNK = 1000  # files that fit an argument list everywhere
_BROKEN = re.compile(r"\bon (\S+) line \d+")


def tasks(run: Run) -> Iterator[dict[str, Any]]:
    """`validate:<stack>`: up to date when unaffected, or when its configuration passed before as it is now."""
    yield {"name": None, "doc": COMMANDS[STAGE]}
    formats = Formats(run)
    for name, stack in run.project.stacks.items():

        def uptodate(stack: Stack = stack) -> bool:
            return up_to_date(run, stack)

        yield {
            "name": name,
            "actions": [stage_action(run, STAGE, name, formats.act)],
            "task_dep": build.needed_by(run, stack),
            "uptodate": [uptodate],
            "doc": f"validate {stack.path}",
        }


def up_to_date(run: Run, stack: Stack) -> bool:
    """Whether the stack is unaffected, or its configuration is known to be valid as it is now."""
    try:
        if not assess_once(run, stack).affected:
            return True
    except DeployError:
        pass  # the plan reports it
    return validated.is_known(run, stack)


class Formats:
    """The format of all files, asked of the engine once in a run, for every stack that is being validated."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._problems: dict[str, str] | None = None

    def act(self, run: Run, stack: Stack, forced: bool) -> Result:  # noqa: ARG002 - a stage's signature
        """Validate one stack: the format of its files and its modules', then `tofu validate`."""
        problems = self._of(stack)
        if problems:
            names = ", ".join(path for path, _ in problems)
            raise EngineError(
                f"not formatted, or not to be parsed: {names}",
                log="\n".join(dict.fromkeys(text for _, text in problems)),
                stack=stack.name,
                untouched="nothing was planned or applied",
                next_step="`tofu fmt " + " ".join(path for path, _ in problems) + "` writes the format",
            )
        if stack.name in run.asked.planned:
            return Result(STAGE, stack.name, Status.OK, "formatted; its plan validates the rest")
        completed = validated.check(run, stack)
        warnings = completed.raw.count("Warning: ")
        return Result(STAGE, stack.name, Status.OK, f"valid, {warnings} warnings" if warnings else "valid")

    def _of(self, stack: Stack) -> list[tuple[str, str]]:
        with self._lock:
            if self._problems is None:
                self._problems = self._ask()
        files = {*validated.files(self._run, stack)}
        return [(path, text) for path, text in sorted(self._problems.items()) if path in files]

    def _ask(self) -> dict[str, str]:
        """Path to diff, or to the parse error, of each file that is not as `tofu fmt` would write it."""
        run, project = self._run, self._run.project
        paths = {path for stack in project.stacks.values() for path in validated.readable_files(run, stack)}
        paths = {path for path in paths if not path.endswith(".json")}
        if project.tree is not None:  # the upstream's format is the upstream's own
            paths = {path for path in paths if project.tree.own(path)}
        where = Context("validate format", project.root, run.layout.cache / "data" / "format")
        problems: dict[str, str] = {}
        names = sorted(paths)
        for start in range(0, len(names), _CHUNK):
            problems.update(self._ask_some(where, names[start : start + _CHUNK]))
        return problems

    def _ask_some(self, where: Context, names: list[str]) -> dict[str, str]:
        """One call; a file that does not parse hides the others' format, so it is left out and the rest asked again."""
        problems: dict[str, str] = {}
        while names:
            done = self._run.engine().run(where, "fmt", "-no-color", "-check", "-diff", "-list=true", *names)
            if done.code in (_OK, _UNFORMATTED):
                return {**problems, **_split(done.output)}
            broken = {posixpath.normpath(path) for path in _BROKEN.findall(done.output)} & set(names)
            if not broken:
                raise failure(f"{self._run.engine().kind} fmt failed", done, where)
            problems.update(dict.fromkeys(broken, done.output.strip()))
            names = [name for name in names if name not in broken]
        return problems


def _split(output: str) -> dict[str, str]:
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
    return {path: "\n".join(text) for path, text in found.items()}
