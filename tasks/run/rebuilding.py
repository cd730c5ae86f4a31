"""What is deployed, found again: from states, from receipts on disks, and from what a ledger that is replaced says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..artifact.receipt import FORMAT, Outcome
from ..base.clock import now
from ..base.errors import ConfigError, RecordError
from ..base.files import read_json
from ..ledger.receipts import Record
from ..ledger.record import deployed
from ..ledger.remains import Remains
from . import readstate, workdir

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from ..base.jsonvalue import Json, JsonObject
    from ..project.stack import Stack
    from .run import Run

_UNTOUCHED = "the ledger is unchanged"
_HERE = "this machine"
_LEDGER = "the ledger that this one replaces"


@dataclass(frozen=True)
class State:
    """Lineage and serial of a state; both are None if there is no state."""

    lineage: str | None
    serial: int | None


@dataclass(frozen=True)
class Receipt:
    """A receipt that was found.

    Args:
        source: The folder, as shown to people.
        record: It, with the outputs beside it.
    """

    source: str
    record: Record

    @property
    def state(self) -> State:
        """The state that its apply left."""
        lineage, serial = self.record.receipt.get("lineage"), self.record.receipt.get("serial")
        return State(lineage if isinstance(lineage, str) else None, serial if isinstance(serial, int) else None)


@dataclass(frozen=True)
class Found:
    """What is known of a stack.

    Args:
        source: Where it is from: a folder, "its state", or the ledger that is replaced.
        record: What the ledger records.
        certain: Whether the receipt is that of the stack's latest apply; otherwise the stack counts as affected.
    """

    source: str
    record: Record
    certain: bool

    @property
    def commits(self) -> list[str]:
        """The commits that may be deployed, as far as they are known; an older one is refused."""
        return [commit for commit in dict.fromkeys(deployed(self.record.receipt)) if commit]


def choose(
    stack: str, environment: str, receipts: Sequence[Receipt], state: State, left: Remains | None = None
) -> Found | None:
    """What a stack's receipts and its state say together; None if it was never deployed.

    Only a receipt with the very lineage and serial of the state can be that of the latest apply. If two of them
    differ, it is unknown which one was later. The ledger that is replaced proves nothing, but each commit that it names
    may be deployed, unless the receipt is of a later apply.

    Args:
        stack: The stack.
        environment: The environment.
        receipts: Its receipts.
        state: Its state.
        left: What the ledger that is replaced says of the stack.
    """
    left = left or Remains()
    receipts = [item for item in receipts if item.record.receipt.get("plan_sha256")]  # not of an earlier rebuilding
    ended = [item for item in receipts if item.record.receipt.get("outcome") != Outcome.STARTED]
    if state.lineage is None:  # a receipt of a state that is gone is kept, so that the next plan refuses to go on
        latest = max(ended, key=lambda item: item.state.serial or 0, default=None)
        if latest is not None and _is_latest(latest, left):
            return Found(latest.source, latest.record, certain=True)
        if latest is None and not left.commits:
            return None
        expected = latest.state if latest else State(left.lineage, left.serial)
        record = _doubtful(stack, environment, latest, left.commits, expected)
        return Found(latest.source if latest else _LEDGER, record, certain=False)
    fitting = [item for item in ended if item.state == state]
    unended = len(ended) < len(receipts)
    is_one = bool(fitting) and all(item.record.receipt == fitting[0].record.receipt for item in fitting)
    if is_one and not unended and _is_latest(fitting[0], left):
        return Found(fitting[0].source, fitting[0].record, certain=True)
    same = [item for item in ended if item.state.lineage == state.lineage]
    best = max(same, key=lambda item: item.state.serial or 0, default=None)
    others = [commit for item in receipts if item is not best for commit in deployed(item.record.receipt)]
    record = _doubtful(stack, environment, best, [*others, *left.commits], state)
    return Found(best.source if best else "its state", record, certain=False)


def _is_latest(found: Receipt, left: Remains) -> bool:
    """Whether no deploy that the ledger knows of may have followed the apply of a receipt."""
    if left.begun:
        return False
    if left.plan_id is None or left.plan_id == found.record.receipt.get("plan_id"):
        return set(left.commits) <= set(deployed(found.record.receipt))
    theirs, ours = left.serial, found.state.serial
    return left.lineage == found.state.lineage and theirs is not None and ours is not None and theirs < ours


def _doubtful(stack: str, environment: str, best: Receipt | None, others: Sequence[str], state: State) -> Record:
    """A record that makes the stack affected, with the state that is expected and every commit that may be there."""
    never: JsonObject = {
        "stack": stack, "environment": environment, "plan_sha256": "", "inputs_digest": "",
        "inputs": {"key": None, "digests": []}, "format": FORMAT, "started_at": now(), "finished_at": now(),
    }  # fmt: skip
    known = dict(best.record.receipt) if best else {**never, "outcome": str(Outcome.APPLIED)}
    found = [*deployed(known)[1:], *(commit for commit in others if not best or commit != known.get("commit"))]
    besides: list[Json] = [*dict.fromkeys(found)] or [""]
    receipt: JsonObject = {**known, "lineage": state.lineage, "serial": state.serial, "besides": besides}
    return Record(receipt, best.record.outputs if best else None)


def collect(run: Run, folders: Sequence[Path], left: Mapping[str, Remains]) -> dict[str, Found]:
    """What is known of each stack that was deployed.

    Args:
        run: The run, which holds the environment.
        folders: `.deploy` folders of other machines or jobs.
        left: What the ledger that is replaced says of each stack.

    Raises:
        ConfigError: A folder has no receipts of this environment.
        EngineError, RecordError: A state or a receipt cannot be read.
    """
    bases = [(_HERE, run.layout.base), *((str(folder), _base(run, folder)) for folder in folders)]
    found: dict[str, Found] = {}
    for name in run.project.graph.order:
        receipts = [Receipt(source, record) for source, base in bases for record in _records(run, base, name)]
        chosen = choose(name, run.project.environment, receipts, _state(run, run.project.stacks[name]), left.get(name))
        if chosen is not None:
            found[name] = chosen
    return found


def _base(run: Run, folder: Path) -> Path:
    """The environment's folder in what another machine or job left."""
    below = run.layout.base.relative_to(run.layout.root)
    for base in (folder / below, folder / below.name, folder):
        if (base / "receipts").is_dir():
            return base
    raise ConfigError(
        f"{folder} has no receipts of environment '{run.project.environment}'", untouched=_UNTOUCHED,
        next_step=f"name a `.deploy` folder, as a job's artifact has it: it contains `{below.name}/receipts`",
    )  # fmt: skip


def _records(run: Run, base: Path, stack: str) -> Iterator[Record]:
    receipt, outputs = (
        read_json(base / path.relative_to(run.layout.base))
        for path in (run.layout.receipt(stack), run.layout.outputs(stack))
    )
    if isinstance(receipt, dict) and receipt.get("environment") == run.project.environment:
        yield Record(receipt, outputs if isinstance(outputs, dict) else None)


def _state(run: Run, stack: Stack) -> State:
    with workdir.context(run, stack, "read the state of") as (where, _):
        workdir.initialize(run, stack, where, backend=True)
        try:
            return State(*readstate.required(run, stack, where))
        except (OSError, ValueError, RecursionError) as error:
            reason = error if isinstance(error, OSError) else "it is not a state"
            raise RecordError(
                f"the state of {stack.name} cannot be read: {reason}", stack=stack.name, untouched=_UNTOUCHED,
                next_step="restore it (docs/recover.md), then run the same command again",
            ) from None  # fmt: skip
