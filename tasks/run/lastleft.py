"""Which state the last apply of a stack left: by the ledger, on any machine, or else by the receipt on this disk."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from ..artifact import receipt
from ..base.clock import now
from ..base.errors import LedgerError
from ..ledger.machine import Announce, Busy, Failed, Finish, HolderEnded, Look, Trouble
from . import lease, ledgerof

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..ledger.machine import Effect, Event
    from .recording import Recording
    from .run import Run

_GONE = frozenset({Trouble.UNREACHABLE, Trouble.DENIED, Trouble.NO_KEY, Trouble.MISSING})


class LastLeft(NamedTuple):
    """The lineage and the serial of a state; None where they are not known."""

    lineage: str | None = None
    serial: int | None = None


@contextmanager
def held(run: Run, stack: str) -> Iterator[LastLeft]:
    """What the last apply of a stack left; until the end, no other run begins to deploy.

    Where the ledger is gone, which is printed, the receipt on this disk says it. Where this machine may only read the
    ledger, which is printed, too, other runs are kept away by the backend's lock alone.

    Raises:
        LedgerError: Another run is deploying, or the ledger cannot be trusted.
        RecordError: The receipt cannot be read.
    """
    found = ledgerof.opened(run) if run.recording is not None else None
    if found is None or _asked(run, found, Look(), "whether another run is deploying is unknown") is None:
        yield _by_receipt(run, stack)
        return
    _require_free(run, found)
    taken = _take(run, found)
    try:
        yield _by_ledger(found, stack) or _by_receipt(run, stack)
    finally:
        if taken:
            _give_back(run, found)


def _by_receipt(run: Run, stack: str) -> LastLeft:
    last = receipt.read(run.layout, stack)
    return LastLeft(last.lineage, last.serial) if last is not None else LastLeft()


def _by_ledger(found: Recording, stack: str) -> LastLeft | None:
    """What the ledger says; None if it does not know the stack."""
    known = found.session.records([stack]).get(stack)
    if known is None:
        return None
    lineage, serial = known.receipt.get("lineage"), known.receipt.get("serial")
    return LastLeft(lineage if isinstance(lineage, str) else None, serial if isinstance(serial, int) else None)


def _require_free(run: Run, found: Recording) -> None:
    """Refuse to continue while another run deploys.

    Raises:
        LedgerError: It does.
    """
    holding = found.deployers.lease
    if holding is not None:
        raise lease.held(run, holding, found.session.home.name)


def _take(run: Run, found: Recording) -> bool:
    """Take the lease; False if this machine may not, or if its pipeline has it already, whose last job ends it."""
    session = found.session
    if session.head is not None and session.head.lease and session.head.lease.holder == session.me.holder:
        return False
    event: Announce | HolderEnded = Announce(since=now())
    while effects := _asked(run, found, event, "only the backend's lock protects against other deploys"):
        busy = next((effect for effect in effects if isinstance(effect, Busy)), None)
        if busy is None:
            return True
        _require_free(run, found)
        event = HolderEnded(busy.lease.holder)
    return False


def _give_back(run: Run, found: Recording) -> None:
    """End the lease; what goes wrong is said, as the work is done."""
    release = run.typed("reason=WHY", "ledger", "release")
    try:
        _asked(run, found, Finish(), f"the lease is still held; {release} releases it")
    except LedgerError as error:
        run.say(run.problem(error).summary)


def _asked(run: Run, found: Recording, event: Event, otherwise: str) -> list[Effect] | None:
    """What the ledger answers; None if it is gone for this machine, which is said with what follows from it.

    Raises:
        LedgerError: It cannot be trusted.
    """
    effects = found.session.handle(event)
    failed = next((effect for effect in effects if isinstance(effect, Failed)), None)
    if failed is None:
        return effects
    problem = found.session.problem(failed)
    if failed.trouble not in _GONE:
        raise problem
    run.say(f"{run.problem(problem).summary}; {otherwise}")
    return None
