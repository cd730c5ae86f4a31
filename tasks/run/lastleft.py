"""Which state the last apply of a stack left: by the ledger, on any machine, or else by the receipt on this disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..artifact import receipt
from ..ledger.machine import Failed, Look, Trouble
from . import lease, ledgerof

if TYPE_CHECKING:
    from .run import Run

_GONE = frozenset({Trouble.UNREACHABLE, Trouble.DENIED, Trouble.NO_KEY, Trouble.MISSING})


class LastLeft(NamedTuple):
    """The lineage and the serial of a state; None where they are not known."""

    lineage: str | None = None
    serial: int | None = None


def find(run: Run, stack: str) -> LastLeft:
    """What the last apply of a stack left, while no other run deploys.

    Where the ledger is gone, which is printed, the receipt on this disk says it.

    Raises:
        LedgerError: Another run is deploying, or the ledger cannot be trusted.
        RecordError: The receipt cannot be read.
    """
    if run.recording is not None and (found := _by_ledger(run, stack)) is not None:
        return found
    last = receipt.read(run.layout, stack)
    return LastLeft(last.lineage, last.serial) if last is not None else LastLeft()


def _by_ledger(run: Run, stack: str) -> LastLeft | None:
    """What the ledger says; None if it is gone or does not know the stack."""
    found = ledgerof.opened(run)
    session = found.session
    failed = next((effect for effect in session.handle(Look()) if isinstance(effect, Failed)), None)
    if failed is not None:
        problem = session.problem(failed)
        if failed.trouble not in _GONE:
            raise problem
        run.say(f"{run.problem(problem).summary}; whether another run is deploying is unknown")
        return None
    if found.deployer is not None:
        raise lease.held(run, found.deployer, session.home.name)
    held = session.records([stack]).get(stack)
    if held is None:
        return None
    lineage, serial = held.receipt.get("lineage"), held.receipt.get("serial")
    return LastLeft(lineage if isinstance(lineage, str) else None, serial if isinstance(serial, int) else None)
