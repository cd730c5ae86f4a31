"""The words of the command line: `name=value` variables that mean something, and task patterns that match something."""

from __future__ import annotations

import sys
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from doit import doit_cmd
from doit.cmd_base import DodoTaskLoader, DoitCmdBase
from doit.cmd_run import Run as RunCommand
from doit.cmdparse import CmdOption, CmdParse, CmdParseError

from ..base.errors import ConfigError, nearest
from ..base.problem import doit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

VARIABLES = ("accept", "allow", "base", "ci", "env", "from", "mocks", "reason", "reviewed", "upstream")
_declared: set[str] = set()


def declare_variables(*names: str) -> None:
    """Allow a `dodo.py` variables of its own on the command line; call it before `from doit_tofu import *`."""
    _declared.update(names)


def check_variables() -> None:
    """Refuse a variable that means nothing: `doit evn=prod deploy` must not deploy the default environment.

    Raises:
        ConfigError: There is such a variable, or one without a value.
    """
    given: dict[str, str] = doit_cmd._CMDLINE_VARS or {}  # noqa: SLF001 - doit has no way to list them
    known = [*VARIABLES, *sorted(_declared)]
    for name, value in given.items():
        if name not in known:
            raise ConfigError(
                f"`{name}={value}` on the command line means nothing{nearest(name.lower(), known)}",
                untouched="nothing was planned or applied",
                next_step="correct it; a `dodo.py` with variables of its own declares them: `declare_variables(...)`",
            )
        if not value and name not in _declared:
            raise ConfigError(
                f"`{name}=` on the command line has no value",
                untouched="nothing was planned or applied",
                next_step=f"write `{name}=VALUE`, or leave it out",
            )


def check_patterns(tasks: Iterable[str]) -> None:
    """Refuse a task pattern that matches nothing: `doit deploy:prd*` must not look like a success.

    Raises:
        ConfigError: There is such a pattern.
    """
    names = list(tasks)
    for pattern in _positional(sys.argv[1:]):
        if "*" in pattern and not any(fnmatchcase(name, pattern) for name in names):
            shown = [name for name in names if not name.startswith("_")]
            raise ConfigError(
                f"no task matches '{pattern}'{nearest(pattern.replace('*', ''), shown)}",
                untouched="nothing was run",
                next_step=(doit("list", "--all"), " shows every task"),
            )


def forces() -> bool:
    """Whether `doit -a` was called: every selected task runs, up to date or not."""
    try:
        options, _ = _parse(sys.argv[1:])
    except CmdParseError:
        return False
    return bool(options.get("always"))


def _positional(arguments: Sequence[str]) -> list[str]:
    """The arguments that are no options of `doit run`, nor values of these."""
    try:
        return list(_parse(arguments)[1])
    except CmdParseError:
        return []


def _parse(arguments: Sequence[str]) -> tuple[dict[str, object], list[str]]:
    """What doit itself makes of the arguments of `doit run`; options of tasks stay among the positional ones.

    Raises:
        CmdParseError: They are another command's.
    """
    words = [word for word in arguments if word.startswith("-") or "=" not in word]
    known = [*DodoTaskLoader.cmd_options, *DoitCmdBase.base_options, *RunCommand.cmd_options]
    parser = CmdParse([CmdOption(option) for option in known])
    options, rest = parser.parse_only(words, {})
    if rest[:1] == ["run"]:
        more, rest = parser.parse_only(rest[1:], {})
        options = {**options, **more}
    return dict(options), list(rest)
