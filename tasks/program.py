"""The command line: doit's, with our own help, version and errors, from any folder of a repository.

`doit` finds the commands below as plugins (https://pydoit.org/extending.html#command-plugins); `doit-tofu` and
`python -m doit_tofu` run the same commands without it.
"""

from __future__ import annotations

import re
import sys
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doit import cmd_clean, cmd_forget, cmd_help, cmd_info, cmd_list, cmd_run
from doit.cmd_base import Command, DoitCmdBase
from doit.cmdparse import CmdParseError
from doit.doit_cmd import DoitMain
from doit.exceptions import InvalidCommand

from .base import standard, terminal
from .base.errors import DeployError, ExitCode, nearest
from .base.text import few
from .base.unseen import one_line
from .helptext import OF_STACKS, about, options, usage
from .run.commandline import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

_DODO = "dodo.py"
_HELP = ("-h", "--help")
_SYNONYMS = {"apply": "deploy", "fmt": "validate"}  # the engine's words for it
_ENGINES = {"tofu": "OpenTofu", "terraform": "Terraform"}
_ERROR = "ERROR: "  # what doit prints before an error
_SHOWN = 12
_USAGE = 3  # doit's exit code for a command line that it does not understand
_CLOSE = 0.75  # "destroy" is not "deploy"
_UNKNOWN_OPTION = re.compile(r"option (\S+) not recognized")  # as getopt says it
_NO_NUMBER = re.compile(r"Error parsing parameter '(\w+)' <class 'int'>\.\n.*: (\S.*)\n?")  # as doit says it
_NO_CHOICE = re.compile(r"Error parsing parameter '(\w+)'\. Provided '(.*)' but available choices are: (.+)\.")
_EMPTY_WORD = (
    "a word on the command line is empty\n  untouched: nothing was run\n"
    "  next: omit it; in a script, a variable may have no value"
)
_NO_TASK = "'{}' is not a task."  # as `list`, `forget` and `clean` say it
_ENVIRONMENT = ("-e", "--env", "--environment")
_OF_DOIT = {"num_process": "-n", "verbosity": "-v", "failure_verbosity": "--failure-verbosity"}
_OF_OURS = {"form": "-f", "purpose": "-p", "forge": "-f", "most": "--most"}
_EMPTY = {"verify": "no stack has checks", "build": "there are no builds"}  # why a command has no parts


class _Command:
    """What we add to every doit command: it finds `dodo.py` in a parent folder, and explains errors."""

    outstream: Any
    task_list: Sequence[Any] = ()

    def parse_execute(self, arguments: list[str]) -> Any:
        """Run with these arguments.

        Raises:
            InvalidCommand: One of them is unknown; the text names it, and the nearest known one.
        """
        standard.prepare()
        self.outstream = sys.stdout  # doit's own was None if the stream was closed
        if any(word in _HELP for word in arguments):
            return _shown(lambda: print(terminal.fit(_help(arguments))))  # noqa: T201 - before there is a run
        try:
            return super().parse_execute(arguments)  # type: ignore[misc] # of doit's command beside it
        except CmdParseError as error:
            raise _refusal(_of_option(arguments, str(error))) from None

    def execute(self, options: Any, words: list[str]) -> Any:
        """Run with options and the names of tasks.

        Raises:
            InvalidCommand: A name is unknown.
        """
        if options.get("dodoFile") == "":  # `-f ''`, at which doit ends with a traceback
            raise _refusal(_EMPTY_WORD)
        if not options.get("cwdPath"):
            options["seek_file"] = True
        try:
            return super().execute(options, words)  # type: ignore[misc] # as above
        except InvalidCommand as error:
            word = error.not_found or next((word for word in words if str(error) == _NO_TASK.format(word)), None)
            if word is None:
                raise
            names = [task.name for task in self.task_list]
            raise _refusal(_of_name(one_line(word), names, _before(word, words))) from None


class Run(_Command, cmd_run.Run):  # type: ignore[misc] # doit has no types
    """`doit run`, which `doit plan` is short for."""


class _Showing(_Command):
    """A command that prints what it does itself, without a run of ours."""

    def parse_execute(self, arguments: list[str]) -> Any:
        """Run with these arguments; a reader that has seen enough (`doit list | head -1`) ends it."""
        begin = super().parse_execute
        return _shown(lambda: begin(arguments))


class List(_Showing, cmd_list.List):  # type: ignore[misc]
    """`doit list`."""


class Info(_Showing, cmd_info.Info):  # type: ignore[misc]
    """`doit info`."""

    def _execute(self, pos_args: list[str], hide_status: bool = False) -> Any:
        """Describe a task; doit's own ends with a `KeyError` if there is none of that name."""
        if len(pos_args) == 1 and all(task.name != pos_args[0] for task in self.task_list):
            raise InvalidCommand(not_found=pos_args[0])
        return super()._execute(pos_args, hide_status)


class Clean(_Showing, cmd_clean.Clean):  # type: ignore[misc]
    """`doit clean`."""


class Forget(_Showing, cmd_forget.Forget):  # type: ignore[misc]
    """`doit forget`."""


class Help(_Showing, cmd_help.Help):  # type: ignore[misc]
    """`doit help`: ours where `dodo.py` is ours, doit's for everything else."""

    def execute(self, options: Any, words: list[str]) -> Any:
        """Explain a command; `doit help plan` also says how it is written and what it takes.

        Raises:
            InvalidCommand: There is no such command.
        """
        if len(words) == 1 and is_ours():
            if words[0] in COMMANDS:
                print(terminal.fit(_about(words[0])))  # noqa: T201 - what was asked for
                return 0
            if words[0] not in (*self.cmds, "task"):
                return self._about_task(options, words)
        return super().execute(options, words)

    def _about_task(self, options: Any, words: list[str]) -> int:
        """Explain a task, a stack's or one of the repository's own.

        Raises:
            InvalidCommand: There is no such task.
        """
        options["seek_file"] = True
        if not DoitCmdBase.execute(self, options, words):
            raise _refusal(_of_name(words[0], [task.name for task in self.task_list]))
        return 0


class Version(Command):  # type: ignore[misc]
    """`doit version`: doit answers `doit --version` itself, before it looks for commands such as these."""

    doc_purpose = "show the versions of doit-tofu, the engine and doit"
    doc_usage = ""
    doc_description = None

    def execute(self, options: Any, words: list[str]) -> Any:  # noqa: ARG002 - doit's signature
        """Print them on one line."""
        standard.prepare()
        return _shown(lambda: print(versions()))  # noqa: T201 - what was asked for


_print_usage = cmd_help.Help.print_usage


def _print_our_usage(command: Any, commands: Any) -> None:
    """Print our help in a repository of ours, doit's anywhere else."""
    if not is_ours():
        _print_usage(command, commands)
    elif isinstance(command, _Showing):
        print(terminal.fit(usage(versions())))  # noqa: T201 - what was asked for
    else:
        _shown(lambda: print(terminal.fit(usage(versions()))))  # noqa: T201 - as above


cmd_help.Help.print_usage = _print_our_usage  # `doit --help` makes doit's own class, but loads these commands first


class Program(DoitMain):  # type: ignore[misc]
    """`doit-tofu`: doit with these commands, even without plugins."""

    BIN_NAME = "doit-tofu"
    DOIT_CMDS = (*DoitMain.DOIT_CMDS, Run, List, Info, Clean, Forget, Help, Version)

    def run(self, arguments: list[str]) -> Any:
        """Run a command line; `--help` runs the command `help`."""
        standard.prepare()
        if "" in arguments:  # at which doit ends with a traceback
            standard.complain(f"{_ERROR}{_EMPTY_WORD}\n")
            return _USAGE
        if arguments[:1] == ["--help"]:
            arguments = ["help", *arguments[1:]]
        return super().run(arguments)

    @staticmethod
    def print_version() -> None:
        """Print our version and those of what we run on."""
        _shown(lambda: print(versions()))  # noqa: T201 - what was asked for


def main(arguments: list[str] | None = None) -> int:
    """Run a command line; returns the exit code."""
    return int(Program().run(sys.argv[1:] if arguments is None else arguments) or 0)


def _shown(show: Callable[[], Any]) -> Any:
    """What a command that prints returns; 1 and a sentence if its output cannot take what it prints."""
    try:
        code = show()
        sys.stdout.flush()
    except BrokenPipeError:
        standard.silence(sys.stdout)
        return 0
    except OSError as error:
        if error.filename is not None:  # another file than its output
            raise
        standard.silence(sys.stdout)
        standard.complain(f"this could not be printed: {error.strerror}\n")
        return int(ExitCode.FAILED)
    return code


def _help(arguments: Sequence[str]) -> str:
    """The help of the command that is named, `doit plan --help`; of all without one."""
    named = _command(arguments)
    return _about(named) if named and is_ours() else usage(versions())


def _about(command: str) -> str:
    return f"{command}  {COMMANDS[command]}\n\n{about(command)}"


def versions() -> str:
    """Our version and those of what we run on, on one line."""
    try:
        own = version("doit-tofu")
    except PackageNotFoundError:  # run from its own tree
        own = "from source"
    parts = [_engine(), f"doit {version('doit')}", f"Python {sys.version.split()[0]}"]
    return f"doit-tofu {own} ({', '.join(part for part in parts if part)})"


def _engine() -> str:
    """The engine of the repository that we are in; empty where there is none, or its configuration cannot be read."""
    root = _home()
    if root is None:
        return ""
    from .project.config import loading

    try:
        engine = loading.load(root).config.engine
    except DeployError:
        return ""
    return f"{_ENGINES[engine.kind]} {engine.version}"


def is_ours() -> bool:
    """Whether the nearest `dodo.py`, here or in a parent folder, imports its tasks from this package."""
    return _home() is not None


def _home() -> Path | None:
    """The folder of that `dodo.py`; None if it is not ours."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        try:
            text = (folder / _DODO).read_text(errors="replace")
        except OSError:
            continue
        ours = f"from {__package__} import" in text or "from doit_tofu import" in text
        return folder if ours else None
    return None


def _refusal(text: str) -> InvalidCommand:
    """The error with a text, which doit prints behind a word of its own."""
    return InvalidCommand(terminal.fit(f"{_ERROR}{text}", sys.stderr).removeprefix(_ERROR))


def _of_option(arguments: Sequence[str], said: str) -> str:
    """What is wrong with the options, in one line, and the next step."""
    for position, word in enumerate(arguments):
        option, _, value = word.partition("=")
        if option in _ENVIRONMENT:
            value = value or (arguments[position + 1] if position + 1 < len(arguments) else "")
            name = value if value and value not in COMMANDS else "NAME"
            return f"there is no option {option}\n  next: use `env={name}`, as in `doit env={name} plan`"
    text = said.partition(" (parsing options")[0].removeprefix("Error parsing Command: ")
    text, shows, command = text.removeprefix("Error parsing Task: "), "doit -h", _command(arguments)
    if unknown := _UNKNOWN_OPTION.fullmatch(text):
        if command and unknown[1] in options(command):
            text = f"`{unknown[1]}` is an option of `{command}`, which comes after it"
            return f"{text}\n  untouched: nothing was run\n  next: write {unknown[1]} after `{command}`"
        if command:
            near = get_close_matches(unknown[1], options(command), n=1)
            text, shows = f"`{command}` has no option {unknown[1]}", f"doit help {command}"
            text += f" (did you mean '{near[0]}'?)" if near else ""
    elif wrong := _of_value(text):
        name, text = wrong
        shows = f"doit help {command}" if command and name not in _OF_DOIT else "doit help run"
    return f"{text}\n  untouched: nothing was run\n  next: `{shows}` shows the options"


def _of_value(said: str) -> tuple[str, str] | None:
    """The option that has a wrong value, by doit's name for it, and what is wrong; None if that is not the error."""
    if found := _NO_NUMBER.fullmatch(said):
        name, value = found.groups()
        return name, f"{_flag(name)} takes a whole number, not {value}"
    if found := _NO_CHOICE.fullmatch(said):
        name, value, listed = found.groups()
        known = [choice for choice in re.findall(r"'([^']*)'", listed) if choice]
        return name, f"{_flag(name)} takes no '{value}'{nearest(value, known)}"
    return None


def _flag(name: str) -> str:
    """An option as it is written, by doit's name for it."""
    flag = _OF_DOIT.get(name) or _OF_OURS.get(name)
    return f"`{flag}`" if flag else f"the option '{name}'"


def _command(words: Sequence[str]) -> str | None:
    """The command of ours that a command line runs; None if it names none."""
    return next((name for word in words if (name := word.partition(":")[0]) in COMMANDS), None)


def _before(word: str, words: Sequence[str]) -> str | None:
    """The command of ours that stands before a word that is no task; None if there is none."""
    before = words[: words.index(word)] if word in words else ()
    return _command(before[::-1])


def _of_name(word: str, tasks: Sequence[str], before: str | None = None) -> str:
    """What is wrong with a task's name, and the nearest one; `before` is the command in front of it."""
    stage, colon, stack = word.partition(":")
    shown = [name for name in tasks if not name.startswith("_")]
    whole = [name for name in shown if ":" not in name]
    stacks = [name.partition(":")[2] for name in shown if name.startswith("plan:")]
    if not colon and word in stacks:
        return _unknown(word, f": it is a stack{_of_stack(word, before, shown)}")
    if word in _SYNONYMS and _SYNONYMS[word] in shown:
        hint = f" (did you mean '{_SYNONYMS[word]}'?)"
    elif colon and stage in whole:
        hint = _of_part(stage, stack, shown)
    elif colon and (near := get_close_matches(stage.lower(), whole, n=1)):
        hint = f" (did you mean '{near[0]}:{stack}'?)"
    elif near := get_close_matches(word.lower(), [*whole, *_SYNONYMS], n=1, cutoff=_CLOSE):
        hint = f" (did you mean '{_SYNONYMS.get(near[0], near[0])}'?)"
    elif not colon and (near := get_close_matches(word, stacks, n=1, cutoff=_CLOSE)):
        command = before if f"{before}:{near[0]}" in shown else "plan"
        hint = f" (did you mean '{command}:{near[0]}'?)"
        if before and before not in OF_STACKS:
            hint = f" (the nearest stack is '{near[0]}'{_of_stack(near[0], before, shown)})"
    else:
        hint = f" (known: {', '.join(whole)})"
    return _unknown(word, hint)


def _of_stack(stack: str, before: str | None, shown: Sequence[str]) -> str:
    """How a stack is written after a command, or that the command takes none."""
    command = before or "plan"
    if f"{command}:{stack}" in shown:
        return f"; write `{command}:{stack}`"
    return ", and it has no checks" if command == "verify" else f", and `{command}` takes none"


def _of_part(stage: str, part: str, shown: Sequence[str]) -> str:
    """What is wrong with a part of a command, such as the stack of `plan:STACK`."""
    names = [name for name in shown if name.startswith(f"{stage}:")]
    if not names and stage in _EMPTY:
        return f": {_EMPTY[stage]}"
    if not names and stage not in OF_STACKS:
        return f": `{stage}` is for all stacks at once"
    if stage == "verify" and part in _stacks():
        return f": the stack '{part}' has no checks"
    near = get_close_matches(part, [name.partition(":")[2] for name in names], n=1, cutoff=0.5)
    return f" (did you mean '{stage}:{near[0]}'?)" if near else f" (known: {few(names, _SHOWN)})"


def _stacks() -> Collection[str]:
    """The stacks of the run that has begun, also those without checks; empty before there is one."""
    from . import _run

    return _run().project.stacks if _run.cache_info().currsize else ()


def _unknown(word: str, hint: str) -> str:
    return f"there is no task '{word}'{hint}\n  untouched: nothing was run\n  next: `doit list --all` shows every task"
