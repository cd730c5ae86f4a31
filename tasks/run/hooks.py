"""Runs hooks: the user's commands before and after a stage of a stack; a failing hook fails the task.

They run in the repository's root, or in the build tree of an overlay, so that `scripts/x` works. They get the engine's
environment, their own session, no input, and a time limit.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..artifact import folder, receipt
from ..base import interpolate, process, whence
from ..base.errors import DeployError, HookError, StoppedError, nearest
from ..base.problem import Untouched, doit
from ..base.process import kept_environment
from . import filling
from .assessment import assess_once
from .result import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..base.errors import ConfigError
    from ..base.jsonvalue import JsonObject
    from ..base.problem import Problem
    from ..project import model
    from ..project.project import Project
    from ..project.stack import Stack
    from .result import Result
    from .run import Run

_DEPLOY = "deploy"
_PLACEHOLDERS = ("stack", "environment", "stage", "root", "path")
_DONE = frozenset({Status.OK, Status.DRIFTED, Status.UNDEPLOYED, Status.ADOPTED})


def check(project: Project) -> Iterator[ConfigError]:
    """What is wrong with the configured hooks, as far as that is known before anything runs."""
    known = {*project.stacks, *project.config.stacks}
    for position, hook in enumerate(project.config.hooks):
        for number, pattern in enumerate(hook.stacks):
            if not any(mark in pattern for mark in "*?[") and pattern not in known:
                yield project.loaded.error(project.unknown_stack(pattern), "hooks", position, "stacks", number)
        words = [*_PLACEHOLDERS, *(["error"] if hook.when == "failure" else [])]
        for number, text in enumerate(hook.command):
            for name in interpolate.placeholders(text):
                if name not in words and not name.startswith(interpolate.ORGANIZATION):
                    message = f"unknown placeholder {{{name}}} in a hook{nearest(name, words)}"
                    yield project.loaded.error(message, "hooks", position, "command", number)
            if "\0" in text:
                yield project.loaded.error("an argument must not contain a NUL", "hooks", position, "command", number)


def unset(project: Project, stage: str, stack: Stack) -> Iterator[ConfigError]:
    """Variables without a value in a stack's hooks of a stage: only where these run must they be set."""
    for position, hook in enumerate(project.config.hooks):
        if hook.is_for(stage, hook.when, stack.name):
            for number, text in enumerate(hook.command):
                yield from filling.unset_in(project, text, "hooks", position, "command", number)


def around(run: Run, stage: str, stack: Stack, act: Callable[[], Result]) -> Result:
    """A stage with its hooks and, if it or one of them failed, the hooks for failures.

    Those do not change the outcome: if one fails, that is reported in addition to the failure.

    Raises:
        DeployError: The stage or one of its hooks failed.
    """
    try:
        return _around(run, stage, stack, act)
    except StoppedError:
        raise
    except DeployError as error:
        for position, hook in _of(run, stage, "failure", stack):
            try:
                _run(run, stack, position, hook, failure=run.mask.text(error.message))
            except DeployError as other:
                run.say(f"{stage} {stack.name}: {whence.text(run.problem(other))}")
        raise


def _around(run: Run, stage: str, stack: Stack, act: Callable[[], Result]) -> Result:
    """A stage with its hooks: those before it, the stage if they succeeded, those after it if it succeeded.

    Until all hooks after a stage have succeeded, a marker keeps the task from being up to date, so that the next run
    repeats them after a failure or a kill. After a deploy that is in the receipt, and so in the ledger, too: there the
    next run may be on another machine.

    Raises:
        HookError: A hook failed; the error says whether the stage was done.
    """
    after = _of(run, stage, "after", stack)
    marker = run.layout.hook(stage, stack.name)
    due = owed(run, stage, stack)
    for hook in _of(run, stage, "before", stack):
        _run(
            run,
            stack,
            *hook,
            untouched=Untouched(f"{stage} of this stack was not started", f"{stage} of these stacks was not started"),
        )
    if after and not due:
        folder.keep(run.layout, marker, {"stage": stage, "stack": stack.name})
    try:
        outcome = act()
    except DeployError:
        if not due:
            folder.drop(run.layout, marker)
        raise
    again = due and stage == _DEPLOY and outcome.status is Status.UNAFFECTED
    if outcome.status in _DONE or again:
        _remember(run, stage, stack, passed=not after)
        for hook in after:
            try:
                _run(run, stack, *hook)
            except (HookError, StoppedError) as error:
                raise error.saying(_after(stage, stack, outcome, error)) from error
        _remember(run, stage, stack, passed=True)
    if not outcome.failed:
        folder.drop(run.layout, marker)
    return outcome


def _remember(run: Run, stage: str, stack: Stack, *, passed: bool) -> None:
    """Record in the receipt whether the hooks after a deploy have passed."""
    last = receipt.read(run.layout, stack.name) if stage == _DEPLOY else None
    if last is not None and last.applied and last.hooked != passed:
        receipt.write(run.layout, replace(last, hooked=passed))


def _after(stage: str, stack: Stack, outcome: Result, error: DeployError) -> Problem:
    """The problem of a hook that failed after its stage: the stage is done, but the hook still has to succeed."""
    again = doit(f"{stage}:{stack.name}")
    return replace(
        error.problem,
        summary=f"{stage} itself was done ({outcome.summary}), but: {error.message}",
        untouched=f"{stage} itself succeeded",
        next=("fix the hook, then ", again, ": it runs again until it passes"),
    )


def owed(run: Run, stage: str, stack: Stack) -> bool:
    """Whether a hook after a stage still has to run; one that is no longer configured does not.

    Of a deploy, the receipt says so, wherever it was. The marker counts where there is none, as with a base.

    Raises:
        ConfigError: The stack has an error.
        RecordError: A receipt or outputs record cannot be read.
    """
    if not _of(run, stage, "after", stack):
        return False
    if stage == _DEPLOY and (found := assess_once(run, stack)).receipt is not None:
        return found.unhooked
    return run.layout.hook(stage, stack.name).exists()


def _of(run: Run, stage: str, when: str, stack: Stack) -> list[tuple[int, model.Hook]]:
    return [
        (position, hook)
        for position, hook in enumerate(run.project.config.hooks)
        if hook.is_for(stage, when, stack.name)
    ]


def _run(
    run: Run,
    stack: Stack,
    position: int,
    hook: model.Hook,
    *,
    untouched: Untouched | str | None = None,
    failure: str | None = None,
) -> None:
    """Run one hook to its end; `failure` is the error for a failure hook.

    Raises:
        HookError: It could not be started, failed or timed out; its output is in the log.
        StoppedError: The run was asked to stop.
    """
    project, stage = run.project, hook.stage
    values: JsonObject = {
        **project.organization, "stack": stack.name, "environment": project.environment, "stage": stage,
        "root": project.root_from_tree, "path": stack.path, "error": failure,
    }  # fmt: skip
    key, where = f"hooks[{position}]", project.loaded.where("hooks", position)
    command = [interpolate.fill(text, values, key=f"{key}.command", where=where) for text in hook.command]
    shown = " ".join(command)
    when = "after a failed" if hook.when == "failure" else hook.when
    try:
        ended = process.run(
            run.stop, f"hook {when} {stage} {stack.name}", command, mask=run.mask,
            cwd=project.root, env=kept_environment(project.keyring.variables), timeout=hook.timeout, leave=True,
        )  # fmt: skip
    except OSError as error:
        raise HookError(
            f"`{shown}` cannot be started: {error.strerror}", key=key, where=where, untouched=untouched,
            next_step="check that the file exists and is executable; paths are relative to the repository's root",
        ) from error  # fmt: skip
    if not ended.ok:
        raise HookError(
            f"the hook `{shown}` {when} {stage} {process.how(ended.code, hook.timeout)}",
            log=ended.output, key=key, where=where, untouched=untouched,
            next_step="fix the hook, then run the same command again",
        )  # fmt: skip
