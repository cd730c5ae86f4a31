"""Validates the command line: refuses unknown `name=value` variables and task patterns without a match."""

from __future__ import annotations

import os
import sys
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypedDict

from doit import doit_cmd
from doit.cmd_base import DodoTaskLoader, DoitCmdBase
from doit.cmd_run import Run as RunCommand
from doit.cmdparse import CmdOption, CmdParse, CmdParseError

from ..base.errors import ConfigError, nearest
from ..base.problem import doit
from .request import Repair

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

COMMANDS = {
    "setup": "install the pinned engine and verify it",
    "validate": "check the configuration, the format, and each affected stack with the engine",
    "build": "make builds and images whose inputs changed; changes no stack",
    "plan": "save a plan for every affected stack, for review; changes nothing",
    "deploy": "plan every affected stack, then apply exactly these plans and run the checks",
    "verify": "run the checks of all deployed stacks",
    "drift": "compare what exists with what was deployed; exits with 2 if they differ",
    "status": "show what is deployed, affected, drifted, failing",
    "log": "show what the ledger has of every deployment: of all stacks, or of some",
    "audit": "verify every entry of the ledger",
    "ledger": "keep the ledger: init, check, push, release, accept, prune, rebuild, key, rotate, revoke, rename",
    "restore": "put a copy of a stack's state back where the state is lost",
    "graph": "show which stack needs which",
    "ci": "generate a pipeline with one job per affected stack",
    "publish": "send run records and reports to the dashboard's source",
    "notify-test": "send a test message to every notification channel",
}
"""What doit calls, with a line for `doit list` and the help."""

VARIABLES = {
    "env": "the environment",
    "base": "compare with this ref if there are no receipts: plan, status, drift",
    "mocks": "`no`: plan without mocks",
    "allow": "accept findings of this policy rule; needs reason=",
    "accept": "accept exactly this state; needs reason=",
    "reason": "the reason for `allow` or `accept`, which is recorded",
    "reviewed": "compare with the review.json of a merge request job",
    "shard": "drift: check only this part of the stacks, `2/8`",
    "from": "take over the files of another job from this folder",
    "ci": "`job` or `report`: this run is part of a generated pipeline",
    "upstream": "`update`: pin an overlay's upstream again",
}
"""What `NAME=VALUE` may be, with a line for the help."""

_STAGES = frozenset({"validate", "build", "plan", "deploy", "verify", "drift"})
TAKEN_BY = {
    "base": frozenset({"validate", "plan", "drift", "status", "ci"}),
    "mocks": frozenset({"validate", "plan"}),
    "allow": frozenset({"plan", "deploy"}),
    "accept": frozenset({"plan", "deploy", "drift"}),
    "reason": frozenset({"plan", "deploy", "drift", "ledger"}),
    "reviewed": frozenset({"plan", "deploy"}),
    "shard": frozenset({"drift"}),
    "from": _STAGES,
    "ci": _STAGES,
}
"""The commands for which a variable has a meaning, for their help; one that is not named has it for all."""

_YES_OR_NO = frozenset({"mocks"})
"""The variables that are either `yes`, the default, or `no`."""

ADOPT = "--adopt"
REPAIR = "--repair"
AUTO_REPAIR = "--auto-repair"
_MOST_PARALLEL = 16
_AHEAD = 2  # tasks that are under way besides those whose engine processes run
JSON = "--json"
DOCUMENTED = frozenset({"plan", "drift", "status", "graph", "log", "audit", "ledger"})
"""The commands that have a document for programs; of each, one is printed."""

_declared: set[str] = set()


class OptionDict(TypedDict, total=False):
    """An option of a task, as doit's dictionaries have it."""

    name: str
    short: str
    long: str
    type: type[bool | int | str]
    default: bool | int | str
    choices: Sequence[tuple[str, str]]
    help: str


def declare_variables(*names: str) -> None:
    """Declare a `dodo.py`'s own command-line variables; call it before `from doit_tofu import *`."""
    _declared.update(names)


def check_variables() -> None:
    """Refuse an unknown variable: `doit evn=prod deploy` must not deploy the default environment.

    Raises:
        ConfigError: A variable is unknown, has no value, a wrong one, or two.
    """
    _check_values()
    given: dict[str, str] = doit_cmd._CMDLINE_VARS or {}  # noqa: SLF001 - doit has no way to list them
    known = [*VARIABLES, *sorted(_declared)]
    for name, value in given.items():
        if name not in known:
            raise ConfigError(
                f"unknown variable `{name}={value}` on the command line{nearest(name.lower(), known)}",
                untouched="nothing was planned or applied",
                next_step="fix it, or declare it in `dodo.py` with `declare_variables(...)`",
            )
        if not value and name not in _declared:
            raise ConfigError(
                f"`{name}=` on the command line has no value",
                untouched="nothing was planned or applied",
                next_step=f"write `{name}=VALUE`, or omit it",
            )
        if name in _YES_OR_NO and value not in ("no", "yes"):
            raise ConfigError(
                f"`{name}={value}` is not valid: it is `no`, or `yes`, the default",
                untouched="nothing was planned or applied",
                next_step=f"write `{name}=no`, or omit it",
            )


def check_order() -> None:
    """Refuse an option of doit itself after a task's name, which doit takes for the task's own.

    Raises:
        ConfigError: There is one.
    """
    words = positional(sys.argv[1:])
    if not words or words[0].partition(":")[0] not in _STAGES:
        return
    takes_value = {flag: option.type is not bool for option in _options() for flag in _flags(option)}
    for place, word in enumerate(words):
        flag = word.partition("=")[0] if word.startswith("--") else word[:2]
        if flag not in takes_value:
            continue
        moved = words[place : place + 1 + (takes_value[flag] and word == flag)]
        rest = [*words[:place], *words[place + len(moved) :]]
        raise ConfigError(
            f"`{flag}` is an option of doit, which comes before the names of tasks",
            untouched="nothing was run", next_step=("write ", doit(*moved, *rest)),
        )  # fmt: skip


def _flags(option: CmdOption) -> list[str]:
    return [f"-{option.short}"] * bool(option.short) + [f"--{option.long}"] * bool(option.long)


def _check_values() -> None:
    """Refuse a variable with two values, of which doit would silently use the last.

    Raises:
        ConfigError: There is one.
    """
    values: dict[str, str] = {}
    for word in sys.argv[1:]:
        name, given, value = word.partition("=")
        if not given or name not in VARIABLES:
            continue
        if values.setdefault(name, value) != value:
            raise ConfigError(
                f"`{name}=` is on the command line twice: `{name}={values[name]}` and `{name}={value}`",
                untouched="nothing was planned or applied",
                next_step=f"choose one of them; `doit` runs for one value of `{name}`",
            )


def check_patterns(tasks: Iterable[str]) -> None:
    """Refuse a task pattern that matches nothing: `doit deploy:prd*` must not look like a success.

    Raises:
        ConfigError: A pattern matches no task.
    """
    names = list(tasks)
    for pattern in positional(sys.argv[1:]):
        if "*" in pattern and not any(fnmatchcase(name, pattern) for name in names):
            shown = [name for name in names if not name.startswith("_")]
            raise ConfigError(
                f"no task matches '{pattern}'{nearest(pattern.replace('*', ''), shown)}",
                untouched="nothing was run",
                next_step=(doit("list", "--all"), " lists all tasks"),
            )


def named(words: Sequence[str]) -> str | None:
    """The command of ours that a command line runs; None if it names none."""
    return next((name for word in words if (name := word.partition(":")[0]) in COMMANDS), None)


def names(stages: Collection[str]) -> bool:
    """Whether the command line names a task of one of some stages."""
    return any(word.partition(":")[0] in stages for word in positional(sys.argv[1:]))


def wants_json() -> bool:
    """Whether a command that has a document is to print it: `doit plan --json`, also named by a pattern."""
    stages = [word.partition(":")[0] for word in positional(sys.argv[1:])] if JSON in sys.argv[1:] else []
    return any(fnmatchcase(name, stage) for stage in stages for name in DOCUMENTED)


def json_option() -> list[OptionDict]:
    """The option `--json` of a task that runs, in doit's form; none where it was not asked for."""
    if not wants_json():
        return []
    name = JSON.removeprefix("--")
    return [{"name": "as_json", "short": "", "long": name, "type": bool, "default": False, "help": "JSON"}]


def _values(option: str, stage: str) -> list[str]:
    """The values of an option of a stage's task, in order."""
    words, found = sys.argv[1:], list[str]()
    for place, word in enumerate(words):
        if word == option and names((stage,)):
            found.append(words[place + 1] if place + 1 < len(words) else "")
        elif word.startswith(f"{option}="):
            found.append(word.partition("=")[2])
    return found


def adopting() -> str | None:
    """The stack whose drift is taken over into the code: `doit drift --adopt STACK`; None without that.

    Raises:
        ConfigError: It is given for several.
    """
    found = _values(ADOPT, "drift")
    if len(set(found)) > 1:
        raise ConfigError(
            "`--adopt` is given twice, and a run adopts the drift of one stack", untouched="nothing was run",
            next_step=("run one after the other, first ", doit("drift", ADOPT, found[0])),
        )  # fmt: skip
    return found[0] if found else None


def adopt_option() -> list[OptionDict]:
    """The option `--adopt` in doit's form."""
    text = "adopt what was changed outside into this stack's code"
    return [{"name": "adopt", "short": "", "long": ADOPT.removeprefix("--"), "type": str, "default": "", "help": text}]


def repairing() -> Repair | None:
    """The drift that a deploy undoes: `--repair STACK,STACK` or `--auto-repair`; None without either.

    Raises:
        ConfigError: Both are given, or no stack is named.
    """
    found = _values(REPAIR, "deploy")
    automatic = AUTO_REPAIR in sys.argv[1:] and names(("deploy",))
    if not found and not automatic:
        return None
    stacks = tuple(dict.fromkeys(name for text in found for name in text.replace(",", " ").split()))
    if automatic and found:
        raise ConfigError(
            f"`{REPAIR}` and `{AUTO_REPAIR}` exclude each other", untouched="nothing was run",
            next_step=(doit("deploy", REPAIR, *stacks[:1]), " repairs that stack"),
        )  # fmt: skip
    if not automatic and not stacks:
        raise ConfigError(
            f"`{REPAIR}` names no stack", untouched="nothing was run",
            next_step=("write ", doit("deploy", REPAIR, "STACK")),
        )  # fmt: skip
    return Repair(stacks, automatic=automatic)


def repair_options() -> list[OptionDict]:
    """The options `--repair` and `--auto-repair` in doit's form."""
    return [
        {"name": "repair", "short": "", "long": REPAIR.removeprefix("--"), "type": str, "default": "",
         "help": "undo the drift of these stacks, if it is what was shown"},
        {"name": "auto", "short": "", "long": AUTO_REPAIR.removeprefix("--"), "type": bool, "default": False,
         "help": "undo the drift that was shown and that a rule of drift.repair asks to undo"},
    ]  # fmt: skip


def forces() -> bool:
    """Whether `doit -a` was called: every selected task runs, up to date or not."""
    try:
        options, _ = _parse(sys.argv[1:])
    except CmdParseError:
        return False
    return bool(options.get("always"))


def parallel() -> int:
    """How many engine processes and builds run at once: what `-n` says, else one for each processor we may use."""
    try:
        options, _ = _parse(sys.argv[1:])
    except CmdParseError:
        return default_parallel()
    given = options.get("num_process")
    return given if isinstance(given, int) and given > 0 else default_parallel()


def threads(at_once: int) -> int:
    """How many tasks doit has under way, so that this many engine processes run at any time.

    While a task reads what its engine process left and writes its records, the process of another one runs.
    """
    return at_once + _AHEAD if at_once > 1 else at_once


def check_parallel() -> None:
    """Refuse a negative `-n`, with which doit runs nothing and calls that a success.

    Raises:
        ConfigError: It is negative.
    """
    try:
        options, _ = _parse(sys.argv[1:])
    except CmdParseError:
        return
    given = options.get("num_process")
    if isinstance(given, int) and given < 0:
        raise ConfigError(
            f"`-n {given}`: not a number of tasks", untouched="nothing was run",
            next_step=("write how many may run at once, as in ", doit("-n", "4", "plan"), ", or leave it out"),
        )  # fmt: skip


def default_parallel() -> int:
    """How many engine processes run at once without `-n`; at least two, as they wait for others."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(max(usable, 2), _MOST_PARALLEL)


def positional(arguments: Sequence[str]) -> list[str]:
    """The arguments that are neither options of `doit run` nor their values."""
    try:
        return list(_parse(arguments)[1])
    except CmdParseError:
        return []


def _parse(arguments: Sequence[str]) -> tuple[dict[str, str | int | bool | None], list[str]]:
    """The arguments of `doit run` as doit parses them; options of tasks stay positional.

    Raises:
        CmdParseError: They belong to another command.
    """
    words = [word for word in arguments if word.startswith("-") or "=" not in word]
    parser = CmdParse(_options())
    options, rest = parser.parse_only(words, {})
    if rest[:1] == ["run"]:
        more, rest = parser.parse_only(rest[1:], {})
        options = {**options, **more}
    return dict(options), list(rest)


def _options() -> list[CmdOption]:
    """The options of `doit run`."""
    known = [*DodoTaskLoader.cmd_options, *DoitCmdBase.base_options, *RunCommand.cmd_options]
    return [CmdOption(option) for option in known]
