"""Hooks: commands of the user's own before and after a stage of a stack; a failing one fails that task.

The commands run where the stacks are looked for, so that `scripts/x` is a file of the repository, or for an overlay of
its build tree. They get the engine's environment, a session of their own, no input, and a time limit.
"""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from ..artifact import folder
from ..base import interpolate, process
from ..base.errors import DeployError, HookError, StoppedError, nearest
from ..base.problem import doit
from ..base.process import kept_environment
from .result import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..base.errors import ConfigError
    from ..base.problem import Problem
    from ..project import model
    from ..project.project import Project
    from ..project.stack import Stack
    from .result import Result
    from .run import Run

_PLACEHOLDERS = ("stack", "environment", "stage", "root", "path")
_DONE = frozenset({Status.OK, Status.DRIFTED, Status.UNDEPLOYED})


def check(project: Project) -> Iterator[ConfigError]:
    """What is wrong with the configured hooks, as far as that can be known before anything runs."""
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
                yield project.loaded.error("a NUL cannot be in an argument", "hooks", position, "command", number)


def around(run: Run, stage: str, stack: Stack, act: Callable[[], Result]) -> Result:
    """A stage with its hooks, and when it failed, by itself or by one of them, those for failures.

    These change nothing of how it ended: one that fails is told beside the failure.

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
                run.say(f"{stage} {stack.name}: {run.problem(other).text()}")
        raise


def _around(run: Run, stage: str, stack: Stack, act: Callable[[], Result]) -> Result:
    """A stage with its hooks: those before it, the stage when they ended well, those after it when it was done.

    While hooks after a stage have not all ended well, a marker says so, and the task does not count as up to date:
    a run that was cut off, or whose hook failed, runs them the next time.

    Raises:
        HookError: A hook failed; says whether the stage was done.
    """
    after = _of(run, stage, "after", stack)
    marker = run.layout.hook(stage, stack.name)
    owed = marker.exists()
    for hook in _of(run, stage, "before", stack):
        _run(run, stack, *hook, untouched=f"{stage} of this stack was not begun")
    if after and not owed:
        folder.keep(run.layout, marker, {"stage": stage, "stack": stack.name})
    try:
        outcome = act()
    except DeployError:
        if not owed:
            folder.drop(run.layout, marker)
        raise
    again = owed and stage == "deploy" and outcome.status is Status.UNAFFECTED
    if outcome.status in _DONE or again:
        for hook in after:
            try:
                _run(run, stack, *hook)
            except (HookError, StoppedError) as error:
                raise error.saying(_after(stage, stack, outcome, error)) from error
    if not outcome.failed:
        folder.drop(run.layout, marker)
    return outcome


def _after(stage: str, stack: Stack, outcome: Result, error: DeployError) -> Problem:
    """The problem of a hook that failed when its stage was done: that stands, and the hook is still to pass."""
    again = doit(f"{stage}:{stack.name}")
    return replace(
        error.problem,
        summary=f"{stage} itself was done ({outcome.summary}), but: {error.message}",
        untouched=f"what {stage} did stands",
        next=("correct the hook, then ", again, ": it runs again until it passes"),
    )


def owed(run: Run, stage: str, stack: Stack) -> bool:
    """Whether a hook after a stage has still to run; one that is configured no more is not owed."""
    return run.layout.hook(stage, stack.name).exists() and bool(_of(run, stage, "after", stack))


def _of(run: Run, stage: str, when: str, stack: Stack) -> list[tuple[int, model.Hook]]:
    return [
        (position, hook)
        for position, hook in enumerate(run.project.config.hooks)
        if hook.stage == stage and hook.when == when and any(fnmatchcase(stack.name, text) for text in hook.stacks)
    ]


def _run(
    run: Run, stack: Stack, position: int, hook: model.Hook, *, untouched: str | None = None, failure: str | None = None
) -> None:
    """Run one hook to its end; `failure` is what one for failures is told.

    Raises:
        HookError: It could not be run, ended with another code than 0, or took too long; its output is in the log.
        StoppedError: The run was asked to stop.
    """
    project, stage = run.project, hook.stage
    values: dict[str, Any] = {
        **project.organization, "stack": stack.name, "environment": project.environment, "stage": stage,
        "root": project.root_from_tree, "path": stack.path, "error": failure,
    }  # fmt: skip
    key, where = f"hooks[{position}]", project.loaded.where("hooks", position)
    command = [interpolate.fill(text, values, key=f"{key}.command", where=where) for text in hook.command]
    shown = run.mask.text(" ".join(command))
    when = "after a failed" if hook.when == "failure" else hook.when
    try:
        ended = process.run(
            run.stop, f"hook {when} {stage} {stack.name}", command, cwd=project.root,
            env=kept_environment(project.keyring.variables), timeout=hook.timeout, leave=True,
        )  # fmt: skip
    except OSError as error:
        raise HookError(
            f"`{shown}` cannot be run: {error.strerror}", key=key, where=where, untouched=untouched,
            next_step="is the file there, and executable? paths are relative to the repository's root",
        ) from error  # fmt: skip
    if not ended.ok:
        raise HookError(
            f"the hook `{shown}` {when} {stage} {process.how(ended.code, hook.timeout)}",
            log=run.mask.text(ended.output), key=key, where=where, untouched=untouched,
            next_step="correct the hook, then run the same command again",
        )  # fmt: skip
