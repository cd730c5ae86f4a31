"""Which of our tasks a command line can reach, so that the others, and all that they import, need not be made."""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path

from .run.commandline import COMMANDS, positional
from .run.selection import BARRIER

_BEFORE_PLAN = ("build", "validate", "plan")
_REACHED = {
    "validate": ("build", "validate"),
    "plan": _BEFORE_PLAN,
    "deploy": (*_BEFORE_PLAN, BARRIER, "deploy"),
    "drift": ("build", "drift"),
}
"""The tasks that those of a command wait for, and its own; each other command has only its own."""


_OF_THE_LEDGER = frozenset({"audit", "log"})


def looks_at_code() -> bool:
    """Whether the command line may need what the stacks' code says; with thousands of stacks that takes a while."""
    words = positional(sys.argv[1:])
    named = {word.partition(":")[0] for word in words} & COMMANDS.keys()
    return not words or words[0] not in _OF_THE_LEDGER or not named <= _OF_THE_LEDGER or not is_plain(Path("dodo.py"))


def is_wanted(name: str) -> bool:
    """Whether the command line may reach a task of this name, or one below it."""
    reached = _reached()
    return reached is None or name in reached


@cache
def _reached() -> frozenset[str] | None:
    """The names of the tasks that can be reached; None for all of them.

    All, unless nothing but our commands and the environment is named, and no task but ours can wait for one of ours.
    """
    words = sys.argv[1:]
    stages = {word.partition(":")[0] for word in positional(words)}
    values = [word for word in words if "=" in word and not word.startswith(("-", "env="))]
    if not stages or values or not stages <= COMMANDS.keys() or not is_plain(Path("dodo.py")):
        return None
    return frozenset(name for stage in stages for name in _REACHED.get(stage, (stage,)))


def is_plain(dodo: Path) -> bool:
    """Whether a `dodo.py` has no task but ours, and does nothing after it has imported them."""
    try:
        *before, last = ast.parse(dodo.read_bytes()).body
    except (OSError, ValueError, SyntaxError, RecursionError):
        return False
    return (
        isinstance(last, ast.ImportFrom)
        and last.module == __package__
        and not last.level
        and [item.name for item in last.names] == ["*"]
        and all(isinstance(statement, ast.Expr | ast.Import) for statement in before)
    )
