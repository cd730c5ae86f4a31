"""What a deploy's checks and hooks need from this machine and do not find, known before anything is applied."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from ..base.errors import ConfigErrors
from ..base.text import few
from . import filling, hooks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..base.errors import ConfigError
    from ..checks.check import Lack
    from ..project.stack import Stack
    from .run import Run

_STAGE = "deploy"
_FEW = 3


def refuse(run: Run, stacks: Iterable[Stack], runs: Callable[[Stack], bool]) -> None:
    """Refuse a deploy whose checks or hooks could not run; say what is missing that an apply may still make.

    Args:
        run: The run.
        stacks: The stacks that it was asked to deploy.
        runs: Whether it may apply or check one of them; only asked of those for which something is missing.

    Raises:
        ConfigErrors: A variable is not set, or a client is not installed.
    """
    found: dict[str, list[ConfigError]] = {}
    absent: dict[str, list[str]] = {}
    for stack in stacks:
        errors = list(_certain(run, stack))
        files = dict.fromkeys(lack.text for _, lack in _lacks(run, stack) if lack.may_come)
        if not (errors or files) or not runs(stack):
            continue
        for error in errors:
            found.setdefault(error.message, []).append(error)
        for text in files:
            absent.setdefault(text, []).append(stack.name)
    if found:
        raise ConfigErrors(list(map(_once, found.values())))
    for text, names in absent.items():
        run.say(f"{text}; unless this deploy makes it, the checks of {few(names, _FEW)} fail")


def _certain(run: Run, stack: Stack) -> Iterator[ConfigError]:
    """What nothing that this run does can bring."""
    project = run.project
    yield from hooks.unset(project, _STAGE, stack)
    yield from filling.unset(project, stack)
    for position, lack in _lacks(run, stack):
        if not lack.may_come:
            key = [lack.key] if lack.key else []
            step = lack.step or None
            yield project.loaded.error(lack.text, "stacks", stack.name, "verify", position, *key, next_step=step)


def _lacks(run: Run, stack: Stack) -> Iterator[tuple[int, Lack]]:
    for position, check in enumerate(stack.settings.verify):
        with suppress(Exception):  # of a plug-in: its looks say what is wrong
            yield from [(position, lack) for lack in check.lacks(run.project.root)]


def _once(errors: list[ConfigError]) -> ConfigError:
    """One error for those that say the same at different places."""
    first, places = errors[0], dict.fromkeys(str(error.problem.where) for error in errors)
    others = [place for place in places if place != str(first.problem.where)]
    if not others:
        return first
    return first.saying(replace(first.problem, details=(f"the same at {few(others, _FEW)}",)))
