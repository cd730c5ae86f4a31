"""What is wrong with a command line that doit does not understand, in words, and the next step."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from doit.cmdparse import CmdParseError
from doit.exceptions import InvalidDodoFile

from . import doitwords
from .base import whence
from .base.errors import nearest
from .base.problem import doit
from .base.text import few
from .base.unseen import one_line
from .doitwords import EmptyWordError, NothingNamedError, UnsupportedError
from .helptext import OF_STACKS, about, options
from .run.commandline import COMMANDS, named

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_SYNONYMS = {"apply": "deploy", "fmt": "validate"}  # the engine's words for it
_SHOWN = 12
_UNTOUCHED = "  untouched: nothing was run"
EMPTY_WORD = (
    f"a word on the command line is empty\n{_UNTOUCHED}\n  next: omit it; in a script, a variable may have no value"
)
_NO_TASK = "'{}' is not a task."  # as `list`, `forget` and `clean` say it
_NO_FILE = re.compile(r"Could not find dodo file '(.*)'")  # as doit says it
_NO_FOLDER = re.compile(r"Got '(.*?)'\(")  # as above
_CLOSE = 0.75  # "destroy" is not "deploy"
_UNKNOWN_OPTION = re.compile(r"option (\S+) not recognized")  # as getopt says it
_NO_NUMBER = re.compile(r"Error parsing parameter '(\w+)' <class 'int'>\.\n.*: (\S.*)\n?")  # as doit says it
_NO_CHOICE = re.compile(r"Error parsing parameter '(\w+)'\. Provided '(.*)' but available choices are: (.+)\.")
_DASHES = r"\u2010-\u2015\u2212\ufe58\ufe63\uff0d"  # what pages and chats make of hyphens
_DASHED = re.compile(rf"-*[{_DASHES}][-{_DASHES}]*(\w[-\w]*)(=.*)?")
_ENVIRONMENT = ("-e", "--env", "--environment")
_OF_DOIT = {"num_process": "-n", "verbosity": "-v", "failure_verbosity": "--failure-verbosity"}
_OF_OURS = {"form": "-f", "purpose": "-p", "forge": "-f", "most": "--most", "shell": "--shell", "sort": "--sort"}
_EMPTY = {"verify": "no stack has checks", "build": "there are no builds"}  # why a command has no parts


def of(error: Exception, name: str, arguments: Sequence[str], tasks: Sequence[str]) -> str:
    """What is wrong with a command line, what is untouched, and the next step.

    Args:
        error: What doit, or the command, says of it.
        name: The command of doit's: `run` for ours.
        arguments: What follows it.
        tasks: The names of all tasks; none before they are known.
    """
    if dashed := next((found for word in arguments if (found := _DASHED.fullmatch(word))), None):
        return _of_dash(dashed)
    if name in doitwords.INSTEAD and not tasks:
        head, step = about(name, whence.program()).split("\n")
        return f"{head}\n{_UNTOUCHED}\n{step}"
    if isinstance(error, CmdParseError):
        return of_option(arguments, str(error), name)
    if isinstance(error, InvalidDodoFile) or _NO_FOLDER.search(str(error)):
        return _of_place(str(error))
    if isinstance(error, EmptyWordError):
        return EMPTY_WORD
    if isinstance(error, NothingNamedError):
        example = _typed(*doitwords.OWN[name].example.split())
        return f"name what to {name}\n{_UNTOUCHED}\n  next: write {example}"
    if isinstance(error, UnsupportedError):
        flag, (why, step) = doitwords.OPTIONS[str(error)]
        return f"`{flag}` is not supported: {why}\n{_UNTOUCHED}\n  next: {step.format(whence.program())}"
    word = getattr(error, "not_found", None)
    word = word or next((word for word in arguments if str(error) == _NO_TASK.format(word)), None)
    if word is None:
        return f"{one_line(str(error))}\n{_UNTOUCHED}\n  next: {_shows(name, 'how it is written')}"
    if not tasks and name != "run":
        return f"`{name}` takes no '{one_line(word)}'\n{_UNTOUCHED}\n  next: {_shows(name, 'how it is written')}"
    return of_name(one_line(word), tasks, before(word, arguments))


def _of_dash(found: re.Match[str]) -> str:
    """What is wrong with an option that was copied from where hyphens are made into dashes."""
    option, value = found[1], found[2] or ""
    meant = f"-{option}" if len(option) == 1 else f"--{option}{value}"
    return f"'{one_line(found[0])}' begins with a typographic dash, not a hyphen\n{_UNTOUCHED}\n  next: write {meant}"


def _of_place(said: str) -> str:
    """What is wrong with the folder or the file that tasks were to be read from."""
    if found := _NO_FILE.match(said):
        if found[1] != "dodo.py":
            return f"there is no '{one_line(found[1])}' to read tasks from\n{_UNTOUCHED}\n  next: fix `-f`, or omit it"
        return (
            f"there is no dodo.py in this folder, nor in one above it\n{_UNTOUCHED}\n"
            "  next: run it in a repository of stacks; a new one has a dodo.py with `from doit_tofu import *`"
        )
    if found := _NO_FOLDER.search(said):
        return f"there is no folder '{one_line(found[1])}'\n{_UNTOUCHED}\n  next: fix `-d`, or omit it"
    return f"{one_line(said)}\n{_UNTOUCHED}\n  next: mend dodo.py"


def _typed(*words: str) -> str:
    return whence.typed(doit(*words))


def _shows(command: str | None, what: str) -> str:
    """The command that explains one, in a sentence."""
    return f"{_typed('help', command) if command else _typed('-h')} shows {what}"


def of_option(arguments: Sequence[str], said: str, name: str = "run") -> str:
    """What is wrong with the options, in one line, and the next step.

    Args:
        arguments: The command line, behind a command of doit's.
        said: What doit says of it.
        name: That command.
    """
    for position, word in enumerate(arguments):
        option, _, value = word.partition("=")
        if option in _ENVIRONMENT:
            value = value or (arguments[position + 1] if position + 1 < len(arguments) else "")
            name = value if value and value not in COMMANDS else "NAME"
            use = whence.typed(doit("plan", environment=name))
            return f"there is no option {option}\n{_UNTOUCHED}\n  next: use `env={name}`, as in {use}"
    text = said.partition(" (parsing options")[0].removeprefix("Error parsing Command: ")
    text = text.removeprefix("Error parsing Task: ")
    command = named(arguments) if name == "run" else name
    shows = command
    if unknown := _UNKNOWN_OPTION.fullmatch(text):
        if command and unknown[1] in options(command):
            text = f"`{unknown[1]}` is an option of `{command}`, which comes after it"
            return f"{text}\n{_UNTOUCHED}\n  next: write {unknown[1]} after `{command}`"
        if command:
            near = get_close_matches(unknown[1], options(command), n=1)
            text = f"`{command}` has no option {unknown[1]}"
            text += f" (did you mean '{near[0]}'?)" if near else ""
    elif wrong := _of_value(text):
        option, text = wrong
        shows = command if command and option not in _OF_DOIT else "run"
    return f"{text}\n{_UNTOUCHED}\n  next: {_shows(shows, 'the options')}"


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


def before(word: str, words: Sequence[str]) -> str | None:
    """The command of ours that stands before a word that is no task; None if there is none."""
    earlier = words[: words.index(word)] if word in words else ()
    return named(earlier[::-1])


def of_name(word: str, tasks: Sequence[str], before: str | None = None) -> str:
    """What is wrong with a task's name, and the nearest one; `before` is the command in front of it."""
    if word[:1] == "-" != word:  # doit parses the options that follow a task's name, not those that follow a pattern
        text = f"a pattern takes no options, so {word} has no meaning here\n{_UNTOUCHED}"
        return f"{text}\n  next: write the names of the tasks in full; {_typed('list', '--all')} shows them"
    stage, colon, stack = word.partition(":")
    shown = [name for name in tasks if not name.startswith("_")]
    whole = [name for name in shown if ":" not in name]
    stacks = [name.partition(":")[2] for name in shown if name.startswith("plan:")]
    if not colon and word in stacks:
        return _unknown(word, f": it is a stack{_of_stack(word, before, shown)}")
    if not colon and (meant := _at_path(word, stacks)):
        return _unknown(word, f": it is the folder of a stack{_of_stack(meant, before, shown)}")
    if word in _SYNONYMS and _SYNONYMS[word] in shown:
        hint = f" (did you mean '{_SYNONYMS[word]}'?)"
    elif colon and stage in whole:
        hint = _of_part(stage, stack, shown)
    elif colon and f"{stack}:{stage}" in shown:
        hint = f" (did you mean '{stack}:{stage}'?)"
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
        hint = f" (known: {', '.join(whole)})" if whole else ": dodo.py has none; it needs `from doit_tofu import *`"
    return _unknown(word, hint)


def _at_path(word: str, stacks: Sequence[str]) -> str | None:
    """The stack whose folder a word names, as a shell completes it: `stacks/network/`."""
    path = f"/{word.rstrip('/')}" if "/" in word else ""
    return max((stack for stack in stacks if path.endswith(f"/{stack}")), key=len, default=None)


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
    return f"there is no task '{word}'{hint}\n{_UNTOUCHED}\n  next: {_typed('list', '--all')} shows every task"
