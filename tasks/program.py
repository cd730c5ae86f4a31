"""The command line: doit's, with our own help, version and errors, from any folder of a repository.

`doit` finds the commands below as plugins (https://pydoit.org/extending.html#command-plugins); `doit-tofu` and
`python -m doit_tofu` run the same commands without it.
"""

from __future__ import annotations

import io
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doit import (
    cmd_clean,
    cmd_completion,
    cmd_dumpdb,
    cmd_forget,
    cmd_help,
    cmd_ignore,
    cmd_info,
    cmd_list,
    cmd_resetdep,
    cmd_run,
    cmd_strace,
)
from doit.cmd_base import Command, DoitCmdBase
from doit.cmdparse import CmdOption, CmdParseError
from doit.doit_cmd import DoitMain
from doit.exceptions import InvalidCommand, InvalidDodoFile

from . import doitwords
from .base import standard, terminal
from .base.errors import DeployError, ExitCode
from .doitwords import EmptyWordError, NothingNamedError, UnsupportedError
from .run.commandline import COMMANDS, JSON, named, threads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_DODO = "dodo.py"
_HELP = ("-h", "--help")
_ENGINES = {"tofu": "OpenTofu", "terraform": "Terraform"}
_ERROR = "ERROR: "  # what doit prints before an error
_USAGE = 3  # doit's exit code for a command line that it does not understand
_PLAN = "plan"
_FAULTS = (CmdParseError, InvalidCommand, InvalidDodoFile)


class _Command:
    """What we add to every doit command: it finds `dodo.py` in a parent folder, has our help, and explains errors."""

    name: str
    outstream: Any
    task_list: Sequence[Any] = ()

    def parse_execute(self, arguments: list[str]) -> Any:
        """Run with these arguments.

        Raises:
            InvalidCommand: One of them is unknown, or does not serve here, or `dodo.py` cannot be imported; the text
                says what is wrong.
        """
        standard.prepare()
        self.outstream = sys.stdout  # doit's own was None if the stream was closed
        if any(word in _HELP for word in arguments):
            return _shown(lambda: print(self._help(arguments)))  # noqa: T201 - before there is a run
        try:
            if self.name in doitwords.INSTEAD and is_ours():
                raise InvalidCommand
            return super().parse_execute(arguments)  # type: ignore[misc] # of doit's command beside it
        except _FAULTS as error:
            from . import refusals

            names = [task.name for task in self.task_list]
            raise _refusal(refusals.of(error, self.name, arguments, names)) from None
        except Exception as error:
            from . import dodofile

            if (said := dodofile.of_error(error)) is None:
                raise
            raise _refusal(said) from None

    def execute(self, options: Any, words: list[str]) -> Any:
        """Run with options and the names of tasks.

        Raises:
            InvalidCommand: A name is unknown, or an option does not serve here.
        """
        given = options._non_default_keys  # noqa: SLF001 - of all options, those that the command line has
        if is_ours():
            if (name := doitwords.unsupported(given, options)) is not None:
                raise UnsupportedError(name)
            if self._names_nothing(options, words):
                raise NothingNamedError
        if options.get("dodoFile") == "":  # `-f ''`, at which doit ends with a traceback
            raise EmptyWordError
        if not options.get("cwdPath"):
            options["seek_file"] = True
        return super().execute(options, words)  # type: ignore[misc] # as above

    def _names_nothing(self, options: Any, words: Sequence[str]) -> bool:
        """Whether the command would do nothing, as no task is named."""
        own = doitwords.OWN.get(self.name)
        return own is not None and bool(own.example) and not words and not options.get("forget_all")

    def _help(self, arguments: Sequence[str]) -> str:
        """The help of the command that is named, `doit plan --help`; of all without one."""
        command = named(arguments) if self.name == "run" else self.name
        if command is None or not is_ours():
            return _explained()
        return _explained(command)


class Run(_Command, cmd_run.Run):  # type: ignore[misc] # doit has no types
    """`doit run`, which `doit plan` is short for."""

    def execute(self, options: Any, words: list[str]) -> Any:
        """Run with options and the names of tasks; without `-n`, doit takes the number of tasks from `dodo.py`.

        Raises:
            InvalidCommand: As any command.
        """
        if "num_process" in options._non_default_keys and is_ours():  # noqa: SLF001 - as above
            options["num_process"] = threads(options["num_process"])
        return super().execute(options, words)


class _Showing(_Command):
    """A command that prints what it does itself, without a run of ours."""

    def parse_execute(self, arguments: list[str]) -> Any:
        """Run with these arguments; a reader that has seen enough (`doit list | head -1`) ends it."""
        begin = super().parse_execute
        return _shown(lambda: begin(arguments))


class List(_Showing, cmd_list.List):  # type: ignore[misc]
    """`doit list`."""


class Info(_Showing, cmd_info.Info):  # type: ignore[misc]
    """`doit info`, which does not serve here."""

    def _execute(self, pos_args: list[str], hide_status: bool = False) -> Any:
        """Describe a task; doit's own ends with a `KeyError` if there is none of that name."""
        if len(pos_args) == 1 and all(task.name != pos_args[0] for task in self.task_list):
            raise InvalidCommand(not_found=pos_args[0])
        return super()._execute(pos_args, hide_status)


class Clean(_Showing, cmd_clean.Clean):  # type: ignore[misc]
    """`doit clean`."""

    def clean_tasks(self, tasks: Sequence[Any], dryrun: bool, cleanforget: bool) -> None:
        """Clean, and say of our tasks in our words what that is; doit names functions."""
        if not is_ours():
            super().clean_tasks(tasks, dryrun, cleanforget)
            return
        for task in {task.name: task for task in tasks}.values():
            if not task.name.startswith(f"{_PLAN}:"):
                task.clean(self.outstream, dryrun)
                continue
            said = io.StringIO()
            try:
                task.clean(said, dryrun)
            finally:  # why it failed is said there, too
                lines = said.getvalue().splitlines(keepends=True)
                self.outstream.writelines(line for line in lines if not line.startswith(f"{task.name} - executing "))
            print(f"{task.name}: its saved plan {'would be' if dryrun else 'was'} removed")  # noqa: T201 - as above
        self.dep_manager.close()


class Forget(_Showing, cmd_forget.Forget):  # type: ignore[misc]
    """`doit forget`."""


class Ignore(_Showing, cmd_ignore.Ignore):  # type: ignore[misc]
    """`doit ignore`."""


class DumpDB(_Showing, cmd_dumpdb.DumpDB):  # type: ignore[misc]
    """`doit dumpdb`, which does not serve here."""


class Strace(_Showing, cmd_strace.Strace):  # type: ignore[misc]
    """`doit strace`, which does not serve here."""


class ResetDep(_Showing, cmd_resetdep.ResetDep):  # type: ignore[misc]
    """`doit reset-dep`, which does not serve here."""


class TabCompletion(_Showing, cmd_completion.TabCompletion):  # type: ignore[misc]
    """`doit tabcompletion`: ours also completes the names of stacks, and knows fish."""

    def get_options(self) -> list[CmdOption]:
        """doit's options."""
        found: list[CmdOption] = super().get_options()
        for option in found:
            if option.name == "shell" and is_ours():
                option.choices = dict.fromkeys(doitwords.COMPLETION, "")
        return found

    def execute(self, options: Any, words: list[str]) -> Any:
        """Print what makes a shell complete names.

        Raises:
            InvalidCommand: There is a word that means nothing.
        """
        if not is_ours():
            return super().execute(options, words)
        if words:
            raise InvalidCommand(not_found=words[0])
        print(doitwords.COMPLETION[options["shell"]], end="")  # noqa: T201 - what was asked for
        return 0


class Help(_Showing, cmd_help.Help):  # type: ignore[misc]
    """`doit help`: ours where `dodo.py` is ours, doit's for everything else."""

    def execute(self, options: Any, words: list[str]) -> Any:
        """Explain a command; `doit help plan` also says how it is written and what it takes.

        Raises:
            InvalidCommand: There is no such command.
        """
        if not is_ours() or words[:1] == ["task"]:  # how tasks of one's own are written
            return super().execute(options, words)
        if len(words) != 1:
            print(_explained())  # noqa: T201 - what was asked for
        elif words[0] in COMMANDS or doitwords.is_known(words[0]):
            print(_explained(words[0]))  # noqa: T201 - as above
        else:
            options["seek_file"] = True
            if not DoitCmdBase.execute(self, options, words):
                raise InvalidCommand(not_found=words[0])
        return 0


class Version(_Showing, Command):  # type: ignore[misc]
    """`doit version`: doit answers `doit --version` itself, before it looks for commands such as these."""

    doc_purpose = doitwords.OWN["version"].purpose
    doc_usage = ""
    doc_description = None

    def execute(self, options: Any, words: list[str]) -> Any:  # noqa: ARG002 - doit's signature
        """Print them on one line.

        Raises:
            InvalidCommand: There is a word that means nothing.
        """
        if words:
            raise InvalidCommand(not_found=words[0])
        print(versions())  # noqa: T201 - what was asked for
        return 0


_print_usage = cmd_help.Help.print_usage


def _print_our_usage(command: Any, commands: Any) -> None:
    """Print our help in a repository of ours, doit's anywhere else."""
    if not is_ours():
        _print_usage(command, commands)
    elif isinstance(command, _Showing):
        print(_explained())  # noqa: T201 - what was asked for
    else:
        _shown(lambda: print(_explained()))  # noqa: T201 - as above


cmd_help.Help.print_usage = _print_our_usage  # `doit --help` makes doit's own class, but loads these commands first


class Program(DoitMain):  # type: ignore[misc]
    """`doit-tofu`: doit with these commands, even without plugins."""

    BIN_NAME = "doit-tofu"
    DOIT_CMDS = (Run, List, Info, Clean, Forget, Ignore, DumpDB, Strace, TabCompletion, ResetDep, Help, Version)

    def run(self, arguments: list[str]) -> Any:
        """Run a command line; `--help` runs the command `help`."""
        standard.prepare()
        if "" in arguments:  # at which doit ends with a traceback
            from . import refusals

            standard.complain(f"{_ERROR}{refusals.EMPTY_WORD}\n")
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


def _explained(command: str | None = None) -> str:
    """The help of a command, or of all, as it fits the terminal; its modules are only needed for that."""
    from . import helptext
    from .base import whence

    program = whence.program()
    return terminal.fit(helptext.about(command, program) if command else helptext.usage(versions(), program))


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
