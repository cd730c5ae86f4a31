"""Makes a plan in an unnamed file, and reads what the engine says about it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..artifact import changes
from ..base import sealed
from ..base.errors import EngineError
from ..base.sealed import Sealed
from ..engine.engine import failure
from ..run import workdir
from . import reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..artifact.changes import PlanChanges
    from ..base.jsonvalue import Json
    from ..engine.command import Completed, Context
    from ..project.stack import Stack
    from ..run.run import Run


@dataclass(frozen=True)
class Fresh:
    """A plan as bytes that cannot change, what it says as `show -json` has it, and the same reduced and redacted."""

    plan: Sealed
    document: Mapping[str, Json]
    changes: PlanChanges


@contextmanager
def planned(
    run: Run, stack: Stack, where: Context, variables: Sequence[str], *, lock: bool = True
) -> Iterator[Fresh]:  # fmt: skip
    """A plan of a stack that is initialized; it is gone when this ends.

    The engine writes it into a file that has no name, so there is no moment at which another one could be put in its
    place, and a killed run leaves nothing behind.

    Args:
        run: The run.
        stack: The stack.
        where: The stack's context.
        variables: The arguments that carry its variables.
        lock: Whether to lock the state meanwhile.

    Raises:
        EngineError: The engine could not plan, or only in part.
        StoppedError: The run was asked to stop.
    """
    with _written(run, stack, where, variables, lock) as (plan, completed):
        document = reading.of(run, where, plan)
        found = changes.read(document, run.mask, hidden=run.hides_values)
        if found.errored:
            raise failure("the plan is incomplete and could not be applied", completed, where)
        yield Fresh(plan, document, found)


@contextmanager
def _written(
    run: Run, stack: Stack, where: Context, variables: Sequence[str], lock: bool
) -> Iterator[tuple[Sealed, Completed]]:  # fmt: skip
    """A plan as the engine has written it, sealed."""
    try:
        blank = sealed.blank()
    except OSError as error:
        raise EngineError(f"no memory for the plan: {error.strerror}") from error
    try:
        start = workdir.run_locked if lock else workdir.run_unlocked
        completed = start(
            run, where.holding(blank), "plan", "-no-color", "-input=false", "-detailed-exitcode",
            f"-out={sealed.path_of(blank)}", *workdir.state_arguments(run.project, stack), *variables,
        )  # fmt: skip
        if not completed.ok:
            raise failure(f"{run.engine().kind} plan failed", completed, where)
    except BaseException:
        os.close(blank)
        raise
    with Sealed(blank) as plan:
        yield plan, completed
