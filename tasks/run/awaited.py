"""Which upstreams have to exist before a stack can be planned."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..artifact import outputs, receipt
from ..artifact.receipt import Outcome
from ..base.errors import EngineError, StateEncryptionError, StateLockedError, StateNotSavedError
from . import readstate, workdir

if TYPE_CHECKING:
    from ..project.stack import Stack
    from .run import Run

_NO_STATE = "Unable to find remote state"


def upstreams(run: Run, stack: Stack, error: EngineError) -> list[str]:
    """The missing upstreams that explain a failed plan; empty if it is a genuine failure.

    Only an upstream with neither a receipt nor a state here explains it; otherwise everything that the plan needs
    exists.

    Args:
        run: The run.
        stack: The stack.
        error: Why it could not be planned.

    Raises:
        RecordError: A receipt or outputs record cannot be read.
        StoppedError: The run was asked to stop.
    """
    if isinstance(error, StateEncryptionError | StateLockedError | StateNotSavedError):
        return []
    found = {name for name in run.project.graph.needs[stack.name] if _is_absent(run, name)}
    if _NO_STATE in error.message:
        reads = run.project.remote_reads.get(stack.name, ())
        needed = {read.stack for read in reads}.intersection(run.project.graph.needs[stack.name])
        found |= {name for name in needed if outputs.stored(run.layout, name) is None}
    return sorted(found)


def failure(run: Run, stack: Stack, error: EngineError) -> EngineError:
    """The failure of a plan; if an upstream's last apply failed, with the next step."""
    last = {name: receipt.read(run.layout, name) for name in run.project.graph.needs[stack.name]}
    unfinished = [name for name, known in last.items() if known is not None and known.outcome is not Outcome.APPLIED]
    if not unfinished or error.problem.next:
        return error
    deploys = run.command(*(f"deploy:{name}" for name in unfinished))
    step = ("the last apply of ", ", ".join(unfinished), " did not succeed, and this may depend on it: ", deploys)
    return error.saying(replace(error.problem, next=(*step, " deploys only that")))


def _is_absent(run: Run, name: str) -> bool:
    """Whether a stack has neither a receipt nor a state here; False if its state cannot be read.

    A stack whose upstream is absent is absent too, as the upstream may create the backend of its state.
    """
    if receipt.read(run.layout, name) is not None or receipt.is_outdated(run.layout, name):
        return False
    known = run.once(_answers)
    if name not in known:
        try:
            known[name] = not _has_state(run, run.project.stacks[name])
        except EngineError:
            known[name] = any(_is_absent(run, other) for other in run.project.graph.needs[name])
    return known[name]


def _answers(run: Run) -> dict[str, bool]:  # noqa: ARG001 - made once for each run
    return {}


def _has_state(run: Run, stack: Stack) -> bool:
    with workdir.context(run, stack, "read the state of") as (where, _):
        workdir.initialize(run, stack, where, backend=True)
        return readstate.exists(run, stack, where)
