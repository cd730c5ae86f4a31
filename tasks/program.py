"""The command line: doit's, with our own help, version and errors, from any folder of a repository.

`doit` finds the commands below as plugins (https://pydoit.org/extending.html#command-plugins); `doit-tofu` and
`python -m doit_tofu` run the same commands without it.
"""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doit import cmd_clean, cmd_forget, cmd_help, cmd_info, cmd_list, cmd_run
from doit.cmd_base import Command, DoitCmdBase
from doit.cmdparse import CmdParseError
from doit.doit_cmd import DoitMain
from doit.exceptions import InvalidCommand

from .base import standard, terminal
from .base.errors import DeployError, ExitCode
from .base.unseen import one_line
from .helptext import about, usage
from .run.commandline import COMMANDS, JSON

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_DODO = "dodo.py"
_HELP = ("-h", "--help")
_ENGINES = {"tofu": "OpenTofu", "terraform": "Terraform"}
_ERROR = "ERROR: "  # what doit prints before an error
_USAGE = 3  # doit's exit code for a command line that it does not understand
_EMPTY_WORD = (
    "a word on the command line is empty\n  untouched: nothing was run\n"
    "  next: omit it; in a script, a variable may have no value"
)
_NO_TASK = "'{}' is not a task."  # as `list`, `forget` and `clean` say it


class _Command:
    """What we add to every doit command: it finds `dodo.py` in a parent folder, and explains errors."""

    outstream: Any
    task_list: Sequence[Any] = ()

    def parse_execute(self, arguments: list[str]) -> Any:
        """Run with these arguments.

        Raises:
            InvalidCommand: One of them is unknown, or `dodo.py` cannot be imported; the text says what is wrong.
        """
        standard.prepare()
        self.outstream = sys.stdout  # doit's own was None if the stream was closed
        if any(word in _HELP for word in arguments):
            return _shown(lambda: print(terminal.fit(_help(arguments))))  # noqa: T201 - before there is a run
        try:
            return super().parse_execute(arguments)  # type: ignore[misc] # of doit's command beside it
        except CmdParseError as error:
            from . import refusals

            raise _refusal(refusals.of_option(arguments, str(error))) from None
        except Exception as error:
            from . import dodofile

            if (said := dodofile.of_error(error)) is None:
                raise
            raise _refusal(said) from None

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
            from . import refusals

            names = [task.name for task in self.task_list]
            raise _refusal(refusals.of_name(one_line(word), names, refusals.before(word, words))) from None


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
            from . import refusals

            raise _refusal(refusals.of_name(words[0], [task.name for task in self.task_list]))
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
    from .refusals import named

    command = named(arguments)
    return _about(command) if command and is_ours() else usage(versions())


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
    """The error with a text, which doit prints behind a word of its own; with `--json` also as a document."""
    if JSON in sys.argv[1:]:
        from .run.documents import refused

        _shown(lambda: print(refused(text, _USAGE)))  # noqa: T201 - what was asked for
    return InvalidCommand(terminal.fit(f"{_ERROR}{text}", sys.stderr).removeprefix(_ERROR))
