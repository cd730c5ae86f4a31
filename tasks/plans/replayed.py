"""The values of volatile variables as a saved plan has them: what it is applied with, whatever they are by then."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..project import variables, volatile
from . import reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..base.sealed import Sealed
    from ..engine.command import Context
    from ..project.stack import Stack
    from ..run.run import Run


@contextmanager
def values(run: Run, stack: Stack, where: Context, plan: Sealed) -> Iterator[tuple[Context, list[str]]]:
    """Where a plan is applied, and the arguments that give its volatile variables the values that it was made with.

    They come last, so they win over var files, the environment and the configuration: the engine refuses to apply a
    plan with another value than its own.

    Args:
        run: The run.
        stack: The stack.
        where: Its context.
        plan: The plan.

    Raises:
        EngineError: The plan cannot be read.
    """
    names = volatile.volatile(run.project, stack)
    if not names:
        yield where, []
        return
    known = reading.variables(run, where, plan, names)
    planned = {name: known[name] for name in sorted(names) if name in known}
    run.mask.add(value for name, value in planned.items() if run.project.module(stack.name).variables[name].sensitive)
    with variables.handed_over(planned) as (arguments, descriptors):
        yield where.holding(*descriptors), arguments
