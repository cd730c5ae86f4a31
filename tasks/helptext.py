"""The help: of all commands, and of one with the values and options that it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import doitwords
from .run.commandline import ADOPT, AUTO_REPAIR, COMMANDS, DOCUMENTED, JSON, REPAIR, TAKEN_BY, VARIABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

OF_STACKS = ("validate", "plan", "deploy", "verify", "drift")
"""The commands that have a task for each stack."""

_WORDS = {"build": "[:BUILD] ...", "log": " [STACK ...]", "ledger": " COMMAND [ARGUMENT ...]"}
_OPTIONS = {
    "drift": {f"{ADOPT} STACK": "change the stack's code to match what was done outside"},
    "deploy": {
        f"{REPAIR} STACK,...": "undo the drift of these stacks, if it is what the last check has shown",
        AUTO_REPAIR: "undo the drift that was shown and that a rule of drift.repair names",
    },
    "log": {"--most NUMBER": "how many entries; 50 by default, 0 for all"},
    "ci": {
        "-p PURPOSE": "plan, deploy (the default) or drift",
        "-f FORGE": "gitlab or github; by default the one that the job runs on",
    },
    "graph": {"-f FORM": "text, mermaid, dot or json"},
}
_JSON = "print one JSON document for programs"
_ONLY_CHECK = "after `check`: print one JSON document for programs"


def usage(versions: str, program: str) -> str:
    """The help of all commands, below the versions.

    Args:
        versions: The versions, on one line.
        program: How doit is started.
    """
    values = {f"{name}=...": text for name, text in VARIABLES.items()}
    options = {
        "-n NUMBER": "how many engine processes run at once",
        "-a": "run the named tasks even if they are up to date",
    }
    others = {name: own.purpose.format(program, program) for name, own in doitwords.OWN.items()}
    width = max(map(len, [*COMMANDS, *values, *options])) + 2
    return "\n".join(
        [
            versions,
            "OpenTofu stacks: planned, deployed, verified and checked for drift",
            "",
            f"usage: {program} [OPTIONS] [NAME=VALUE ...] COMMAND[:STACK] ...",
            "",
            "commands",
            *_rows(COMMANDS.items(), width),
            "",
            "other commands",
            *_rows(others.items(), width),
            "",
            "values",
            *_rows(values.items(), width),
            "",
            "options",
            *_rows(options.items(), width),
            "",
            f"`{program} help plan` explains a command. `doit --version` is answered by doit, before it looks",
            "for us; `doit version` and `doit-tofu --version` show the versions above.",
        ]
    )


def about(command: str, program: str) -> str:
    """What a command does, how it is written, and the values and options that it takes.

    Args:
        command: One that is known.
        program: How doit is started.
    """
    if command in COMMANDS:
        return f"{command}  {COMMANDS[command]}\n\n{_about_ours(command, program)}"
    if command in doitwords.INSTEAD:
        why, step = doitwords.INSTEAD[command]
        return f"`{command}` is a command of doit's that is not supported: {why}\n  next: {step.format(program)}"
    own = doitwords.OWN[command]
    head = f"{command}  {own.purpose.format(program, program)}\n\nusage: {program} {command}{own.words}"
    return "\n".join([head, *_about_options(own.options)])


def _about_options(found: Mapping[str, str]) -> list[str]:
    return ["", "options", *_rows(found.items(), max(map(len, found)) + 2)] if found else []


def _about_ours(command: str, program: str) -> str:
    words = "[:STACK] ..." if command in OF_STACKS else _WORDS.get(command, "")
    taken = [name for name in VARIABLES if command in TAKEN_BY.get(name, COMMANDS)]
    values = {f"{name}=...": VARIABLES[name] for name in taken}
    found = _options(command)
    width = max(map(len, [*values, *found])) + 2
    lines = [f"usage: {program} [NAME=VALUE ...] {command}{words}", "", "values", *_rows(values.items(), width)]
    return "\n".join([*lines, *(["", "options", *_rows(found.items(), width)] if found else [])])


def options(command: str) -> list[str]:
    """The options of a command, without their values: `--json`."""
    if command in doitwords.OWN:
        return doitwords.flags(command)
    return [text.partition(" ")[0] for text in _options(command)]


def _options(command: str) -> dict[str, str]:
    found = dict(_OPTIONS.get(command, {}))
    if command in DOCUMENTED:
        found[JSON] = _ONLY_CHECK if command == "ledger" else _JSON
    return found


def _rows(rows: Iterable[tuple[str, str]], width: int) -> list[str]:
    return [f"  {name:<{width}}{text}" for name, text in rows]
