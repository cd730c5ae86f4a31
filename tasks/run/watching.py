"""Watches which files the engine reads while it plans."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from ..artifact import observed
from ..base.errors import EngineError
from ..base.layout import cache_dir
from ..base.problem import NOTHING_PLANNED
from ..engine import tracing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..artifact.inputs import Inputs
    from ..artifact.observed import Seen
    from ..engine.command import Context
    from ..project.stack import Stack
    from .run import Run


@contextmanager
def watched(
    run: Run, stack: Stack, where: Context
) -> Iterator[tuple[Context, Callable[[Inputs], Seen]]]:  # fmt: skip
    """A context that watches a plan if the configuration asks for it, and a function that returns what it read.

    Args:
        run: The run.
        stack: The stack.
        where: Its context.

    Raises:
        EngineError: Watching is required but not possible here.
    """
    if not _is_asked_for(run, stack):
        yield where, lambda _: observed.Seen({}, [])
        return
    with tracing.recording() as trace:

        def seen(found: Inputs) -> Seen:
            caches = [
                str(run.layout.cache),
                str(cache_dir()),
                str(run.engine().providers.folder),
                str(run.engine().binary),
            ]
            return observed.seen(run.project, stack, found, trace.accesses(where.folder), caches)

        yield replace(where, trace=trace), seen


def _is_asked_for(run: Run, stack: Stack) -> bool:
    asked = run.project.config.inputs.observe
    if not asked or (problem := tracing.problem()) is None:
        return bool(asked)
    if asked == "auto":
        run.say_once(f"plans are not watched: {problem}")
        return False
    raise EngineError(
        f"the engine cannot be watched while it plans: {problem}",
        where=run.project.loaded.where("inputs", "observe"), key="inputs.observe", stack=stack.name,
        untouched=NOTHING_PLANNED,
        next_step="install strace and allow this job to trace (ptrace); or set `observe: auto` to continue without",
    )  # fmt: skip
