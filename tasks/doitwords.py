"""doit's own commands and options: those that serve here, with our help, and what serves instead of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from doit.exceptions import InvalidCommand

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class Own(NamedTuple):
    """A command of doit's that serves here.

    Args:
        purpose: What it does, in one line.
        words: What follows its name.
        options: Its options, each with a line.
        example: What to write instead of the command alone; empty if it may stand alone.
    """

    purpose: str
    words: str
    options: Mapping[str, str]
    example: str = ""


class Instead(NamedTuple):
    """Why a command or an option of doit's does not serve here, and what does; `{}` is the program's name."""

    why: str
    next_step: str


OWN = {
    "run": Own(
        "run commands; `{} plan` is short for `{} run plan`",
        " [OPTIONS] [NAME=VALUE ...] COMMAND[:STACK] ...",
        {
            "-n NUMBER": "how many engine processes and builds run at once; by default one for each processor",
            "-a": "run the named tasks even if they are up to date",
            "--no-continue": "begin nothing more after a failure; else what does not need it goes on",
            "-f FILE": "another file than dodo.py",
            "-d FOLDER": "run in this folder",
        },
    ),
    "list": Own(
        "list the commands, and the repository's own tasks",
        " [OPTIONS] [TASK ...]",
        {
            "--all": "also the task of each stack, build and image",
            "-q, --quiet": "names alone",
            "-p, --private": "also those that a command runs by itself",
            "--sort ORDER": "name, the default, or definition",
        },
    ),
    "clean": Own(
        "remove saved plans: all of them by `{} clean plan`",
        " [OPTIONS] TASK ...",
        {"-n, --dry-run": "only say what would be removed"},
        "clean plan",
    ),
    "ignore": Own(
        "skip tasks in this clone until they are forgotten; to leave a stack out everywhere, disable it",
        " TASK ...",
        {},
        "ignore plan:STACK",
    ),
    "forget": Own(
        "run tasks again that are ignored; what is deployed is not forgotten",
        " [OPTIONS] TASK ...",
        {"-a, --all": "all tasks"},
        "forget --all",
    ),
    "tabcompletion": Own(
        "print what makes a shell complete names",
        " [--shell SHELL]",
        {"-s, --shell SHELL": "bash, the default, zsh or fish"},
    ),
    "help": Own("explain all commands, or one", " [COMMAND]", {}),
    "version": Own("show the versions of doit-tofu, the engine and doit", "", {}),
}
"""doit's commands that serve here; `run` is what is meant where none of these is named."""

INSTEAD = {
    "info": Instead("what doit knows of a task decides nothing here", "`{} status` shows what is affected and why"),
    "dumpdb": Instead(
        "doit's records decide nothing here", "`{} status` shows what is deployed; --json is for programs"
    ),
    "reset-dep": Instead(
        "receipts decide what is up to date, and not doit's records", "`{} status` shows what is affected and why"
    ),
    "strace": Instead(
        "the task would run, a deploy, too",
        "to have plans watched, write `inputs: {{observe: true}}` in config/pipeline.yaml",
    ),
}
"""doit's commands that do not serve here."""

OPTIONS = {
    "single": ("-s", Instead("what a stack needs would be left out", "omit it: `{} deploy:STACK` is one stack")),
    "par_type": ("-P process", Instead("tasks share what they find", "omit it; `-n` says how many run at once")),
    "outfile": ("-o", Instead("the file would be empty", "let the shell do it: `{} plan > FILE`")),
    "reporter": ("-r", Instead("doit-tofu needs its own reporter for its exit codes", "omit it")),
    "dep_file": ("--db-file", Instead("doit's records have their place in .deploy", "omit it")),
    "backend": ("--backend", Instead("doit's records have their form", "omit it")),
    "check_file_uptodate": ("--check_file_uptodate", Instead("files are compared by their content", "omit it")),
    "status": ("-s", Instead("what doit knows of a task decides nothing here", "`{} status` shows what is affected")),
    "list_deps": ("--deps", Instead("doit knows no files of a stack", "`{} graph` shows which stack needs which")),
    "template": ("--template", Instead("the list has one form", "write `-q` for names alone")),
}
"""doit's options that do not serve here, by doit's name for them: as they are written, and what serves."""

COMPLETION = {
    "bash": """\
_doit() {
  local word=${COMP_LINE:0:COMP_POINT}; word=${word##* }
  COMPREPLY=($(compgen -W "$("$1" list --all --quiet 2>/dev/null)" -- "$word"))
  # bash completes what follows a colon
  [[ $COMP_WORDBREAKS != *:* ]] || COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*:}"}"}")
}
complete -F _doit doit doit-tofu tools/doit
""",
    "zsh": """\
_doit() { compadd -- ${(f)"$($words[1] list --all --quiet 2>/dev/null)"// /} }; compdef _doit doit doit-tofu
""",
    "fish": """\
function __doit_tasks; set -l words (commandline -opc); $words[1] list --all --quiet 2>/dev/null | string trim; end
complete -c doit -c doit-tofu -f -a '(__doit_tasks)'
""",
}
"""What makes a shell complete names."""


class UnsupportedError(InvalidCommand):  # type: ignore[misc] # doit has no types
    """An option of doit's that does not serve here, by doit's name for it."""


class NothingNamedError(InvalidCommand):  # type: ignore[misc]
    """A command that does nothing without a name."""


class EmptyWordError(InvalidCommand):  # type: ignore[misc]
    """A word without a letter."""


def unsupported(given: Collection[str], values: Mapping[str, object]) -> str | None:
    """The first option that does not serve here, by doit's name for it; None if all do.

    Args:
        given: doit's names for the options that the command line has.
        values: What they are.
    """
    return next((name for name in OPTIONS if name in given and values[name] != "thread"), None)


def is_known(command: str) -> bool:
    """Whether there is help about a command of doit's."""
    return command in OWN or command in INSTEAD


def flags(command: str) -> list[str]:
    """The options of a command of doit's, as they are written."""
    return [flag.partition(" ")[0] for names in OWN[command].options for flag in names.split(", ")]
