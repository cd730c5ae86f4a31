"""The help: of all commands, and of one with the values and options that it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .run.commandline import ADOPT, AUTO_REPAIR, COMMANDS, DOCUMENTED, JSON, REPAIR, TAKEN_BY, VARIABLES

if TYPE_CHECKING:
    from collections.abc import Iterable

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


def usage(versions: str) -> str:
    """The help of all commands, below the versions."""
    values = {f"{name}=...": text for name, text in VARIABLES.items()}
    options = {
        "-n NUMBER": "how many tasks run in parallel",
        "-a": "run the named tasks even if they are up to date",
    }
    width = max(map(len, [*COMMANDS, *values, *options])) + 2
    return "\n".join(
        [
            versions,
            "OpenTofu stacks: planned, deployed, verified and checked for drift",
            "",
            "usage: doit [OPTIONS] [NAME=VALUE ...] COMMAND[:STACK] ...",
            "",
            "commands",
            *_rows(COMMANDS.items(), width),
            "",
            "values",
            *_rows(values.items(), width),
            "",
            "options",
            *_rows(options.items(), width),
            "",
            "`doit list --all` shows the stacks' tasks, `doit help plan` explains a command,",
            "`doit help run` shows all of doit's options. `doit version` and `doit-tofu --version` show",
            "these versions; `doit --version` is answered by doit, before it looks for us.",
        ]
    )


def about(command: str) -> str:
    """How a command is written, and the values and options that it takes."""
    words = "[:STACK] ..." if command in OF_STACKS else _WORDS.get(command, "")
    taken = [name for name in VARIABLES if command in TAKEN_BY.get(name, COMMANDS)]
    values = {f"{name}=...": VARIABLES[name] for name in taken}
    found = _options(command)
    width = max(map(len, [*values, *found])) + 2
    lines = [f"usage: doit [NAME=VALUE ...] {command}{words}", "", "values", *_rows(values.items(), width)]
    return "\n".join([*lines, *(["", "options", *_rows(found.items(), width)] if found else [])])


def options(command: str) -> list[str]:
    """The options of a command, without their values: `--json`."""
    return [text.partition(" ")[0] for text in _options(command)]


def _options(command: str) -> dict[str, str]:
    found = dict(_OPTIONS.get(command, {}))
    if command in DOCUMENTED:
        found[JSON] = _ONLY_CHECK if command == "ledger" else _JSON
    return found


def _rows(rows: Iterable[tuple[str, str]], width: int) -> list[str]:
    return [f"  {name:<{width}}{text}" for name, text in rows]
