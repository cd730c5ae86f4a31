"""The values of upstream outputs for a stack's inputs; sensitive ones stay in memory."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..artifact import inputs, outputs
from ..artifact.reasons import Why
from ..base.jsonvalue import named
from . import readstate, workdir
from .assessment import assess, assess_again, assess_once

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..artifact.affected import Assessment
    from ..artifact.inputs import Inputs
    from ..artifact.outputs import Output
    from ..artifact.reasons import Reason
    from ..base.jsonvalue import JsonObject
    from ..project.stack import Stack
    from .run import Run


@dataclass(frozen=True)
class Given:
    """Values by variable; `missing` are the inputs whose upstream has no such output yet."""

    values: JsonObject = field(repr=False, default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def missing_text(self, stack: Stack) -> str:
        """The missing upstream outputs, for people: `network.subnet_id`."""
        return ", ".join(str(stack.inputs[variable]) for variable in self.missing)


def values(run: Run, stack: Stack) -> Given:
    """What the inputs of a stack are now.

    Raises:
        EngineError: A sensitive value had to be read from an upstream's state and could not.
        RecordError: A record of outputs cannot be read.
    """
    given, missing = {}, []
    for variable, reference in stack.inputs.items():
        known = outputs.stored(run.layout, reference.stack)
        if known is None:
            known = _from_state(run, run.project.stacks[reference.stack])
        output = known.get(reference.output)
        if output is not None and (output.sensitive or not output.known):
            output = _of_now(run, run.project.stacks[reference.stack], known).get(reference.output)
            run.mask.add([output.value] if output and output.sensitive else [])
        if output is None:
            missing.append(variable)
        else:
            given[variable] = output.value
    for name in sorted({found.stack for found in run.project.remote_reads.get(stack.name, ())}):
        _compare(run, run.project.stacks[name])
    return Given(given, missing)


class _States:
    """The outputs that a run has read from states, by stack, and those compared; `lock` is held while one is read."""

    def __init__(self, _: Run) -> None:
        self.outputs: dict[str, dict[str, Output]] = {}
        self.compared: set[str] = set()
        self.lock = threading.Lock()


def _from_state(run: Run, stack: Stack) -> dict[str, Output]:
    """The outputs of a stack of which nothing is recorded here, as on a fresh clone: from its state, asked once a run.

    What is found is recorded, as after an apply, so that the inputs digest of this run has it too.
    """
    states = run.once(_States)
    with states.lock:
        if stack.name not in states.outputs:
            found = read(run, stack, _deployed(run, stack))
            if found:
                outputs.store(run.layout, stack.name, found, run.mask, run.project.keyring.current)
            states.outputs[stack.name] = found
        return states.outputs[stack.name] if stack.name not in run.applied else {}


def _of_now(run: Run, stack: Stack, recorded: Mapping[str, Output]) -> dict[str, Output]:
    """The outputs of a stack, from its state, where what is recorded of them has no values.

    If they are not those that are recorded, the state was changed outside; of some the ledger has no digest. They are
    recorded then, so that the inputs of what is planned with them have their digests; a deploy of the stack itself
    changes these again.
    """
    last, keys = assess_once(run, stack), run.project.keyring
    found = read(run, stack, [name for name, item in recorded.items() if item.digest == outputs.NULL.digest])
    made_with = last.receipt.inputs.key if last.receipt is not None else None
    has_key = made_with is None or keys.find(made_with) is not None  # else sensitive ones cannot be compared here
    comparable = [name for name, item in recorded.items() if name in found and (has_key or not item.sensitive)]
    if not all(outputs.agree(recorded[name], found[name], keys.all) for name in comparable):
        outputs.store(run.layout, stack.name, found, run.mask, keys.current)
    return found


def _compare(run: Run, stack: Stack) -> None:
    """Record the outputs of a stack whose state the engine reads by itself, if the ledger says others; once a run.

    Without a ledger, only this disk says what is deployed, and another value is drift.
    """
    states, known = run.once(_States), outputs.stored(run.layout, stack.name)
    if run.recording is None or known is None or stack.name in run.applied:
        return
    with states.lock:
        if stack.name in states.compared:
            return
        states.compared.add(stack.name)
        is_whole = all(output.digest != inputs.NOT_RECORDED for output in known.values())
        if not (is_whole and readstate.is_as_left(run, stack, assess_once(run, stack).receipt)):
            _of_now(run, stack, known)


def assessed(run: Run, stack: Stack) -> Assessment:
    """A stack as `assess` finds it, once the outputs were read from states that alone make it affected.

    The ledger has no digest of an output that was sensitive when its stack was deployed without a key. If it no longer
    is, or there is a key now, the state tells whether it is still the one that this stack was deployed with.

    Raises:
        ConfigError, RecordError: See `assess`.
        EngineError: A state cannot be read.
    """
    found = assess(run, stack)
    if not found.reasons or not all(_is_unread_output(reason) for reason in found.reasons):
        return found
    values(run, stack)
    return assess_again(run, stack)


def _is_unread_output(reason: Reason) -> bool:
    return reason.why is Why.NOT_RECORDED and reason.input is not None and reason.input.kind in inputs.OUTPUTS


def is_unrecorded(run: Run, stack: Stack) -> bool:
    """Whether the ledger has no digest of an upstream's output that a stack reads, and no run here has read it yet."""
    return inputs.NOT_RECORDED in inputs.upstream_outputs(run.project, stack).values()


def _deployed(run: Run, stack: Stack) -> Collection[str]:
    """The outputs that a stack was deployed with: those that it declares, where it is as it was deployed."""
    return () if assess_once(run, stack).affected else run.project.module(stack.name).outputs


def moved_alone(run: Run, stack: Stack, before: Inputs, after: Inputs, among: Collection[str]) -> bool:
    """Whether the inputs of a stack differ only by outputs of some upstreams, which were deployed in between.

    Args:
        run: The run.
        stack: The stack.
        before: The inputs that were planned with.
        after: Those of now.
        among: The upstreams that were deployed.
    """
    return before.key == after.key and {*before.differing(after)} <= {
        *inputs.upstream_outputs(run.project, stack, among=among)
    }


def read(run: Run, stack: Stack, declared: Collection[str] = ()) -> dict[str, Output]:
    """All outputs of a stack, values included, by `tofu output -json`; in memory only.

    Args:
        run: The run.
        stack: The stack.
        declared: The outputs that it was deployed with: those that its state does not have are null.

    Raises:
        EngineError: The state cannot be read.
    """
    with workdir.context(run, stack, "read outputs of") as (where, _):
        workdir.initialize(run, stack, where, backend=True)
        arguments = ["-json", "-no-color", *workdir.state_arguments(run.project, stack)]
        values = named(run.engine().json(where, "output", *arguments))
        exists = bool(values) or (bool(declared) and readstate.now(run, stack, where)[0] is not None)
        found = outputs.parse(values, declared if exists else ())
    run.mask.add(output.value for output in found.values() if output.sensitive)
    return found
