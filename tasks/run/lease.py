"""The lease of the ledger, as other runs hold it: whether its holder is still at work, and what to say of that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base import alive, clock
from ..base.errors import LedgerError
from ..base.problem import NOTHING_CHANGED, doit
from ..base.text import few, short
from ..ledger import holder
from ..ledger.record import deployed
from . import ledgers
from .selection import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from ..ledger import receipts
    from ..ledger.batch import Me
    from ..ledger.holder import Pipeline
    from ..ledger.record import Begun, Head, Lease
    from ..ledger.record import Record as Held
    from .run import Run

    Ask = Callable[[Run, Pipeline], bool]

_MOST = 3


class Holders:
    """Which holders of the lease are still at work.

    Args:
        run: The run.
        me: Its own holder.
        has_ended: Asks the forge whether a pipeline has ended.
    """

    def __init__(self, run: Run, me: str, has_ended: Ask) -> None:
        self._run, self._me, self._ask = run, me, has_ended
        self._ended: dict[str, bool] = {}

    def is_live(self, lease: Lease) -> bool:
        """Whether a lease is another pipeline's that, as far as the forge says, has not ended; each is asked once."""
        if lease.holder == self._me:
            return False
        if lease.holder not in self._ended:
            pipeline = holder.pipeline(lease.holder)
            self._ended[lease.holder] = pipeline is not None and self._ask(self._run, pipeline)
        return not self._ended[lease.holder]

    def forget(self) -> None:
        """Ask again next time: pipelines end."""
        self._ended.clear()


def is_alone(run: Run, me: Me) -> bool:
    """Whether no other run of the same holder is at work: a clone has one at a time, a report is the last."""
    return me.holder.startswith(ledgers.CLONE) or is_report(run)


def is_report(run: Run) -> bool:
    """Whether the run is the last job of a generated pipeline."""
    return run.request.part is Part.REPORT


def is_over(run: Run, me: Me, head: Head, held: Iterable[Held]) -> bool:
    """Whether the report of a job's pipeline has ended already, so that a job which is retried alone ends the lease.

    Then the head says so, or this pipeline has recorded or announced something, and no longer has the lease. Where that
    is so for another reason, jobs that wait for this one take the lease again.

    Args:
        run: The run.
        me: Who it is.
        head: The ledger, as it was before this run wrote it.
        held: Its records.
    """
    if run.request.part is not Part.JOB:
        return False
    if me.holder in head.reported:
        return True
    has_lease = head.lease is not None and head.lease.holder == me.holder
    holders = [*(item.holder for item in held), *(item.holder for item in head.begun.values())]
    return me.holder in holders and not has_lease


def held(run: Run, lease: Lease, where: str) -> LedgerError:
    """The error of a run that another one's lease stops."""
    return LedgerError(
        f"{lease.label} has been deploying '{run.project.environment}' since {clock.shown(lease.since)}",
        where=where, untouched="nothing was applied",
        next_step=(
            "wait for it to end, then run the same command again; if it died: ",
            doit("reason=WHY", "ledger", "release"),
        ),
    )  # fmt: skip


def overtaken(moved: Sequence[str], left: Sequence[str]) -> LedgerError:
    """The error of a run whose plans are older than what another run has deployed, or begun, since."""
    what = f"{', '.join(moved[:_MOST])} was deployed" if moved else f"{', '.join(left[:_MOST])} was started"
    return LedgerError(
        f"{what} by another run since this one started",
        untouched="nothing was applied", next_step="run the same command again; it plans from the current state",
    )  # fmt: skip


def undoing(stack: str, commits: Sequence[str]) -> LedgerError:
    """The error of a stack of which another run has recorded a deploy since this one announced its own."""
    found = ", ".join(short(commit) for commit in commits if commit)
    return LedgerError(
        f"a deploy{f' of {found}' if found else ''} that this run did not know of was recorded meanwhile",
        stack=stack, untouched=NOTHING_CHANGED,
        next_step=(doit(f"plan:{stack}"), " makes a new plan to review; then ", doit("deploy")),
    )  # fmt: skip


def ended_marks(head: Head, me: str, holders: Holders, *, known: bool) -> dict[str, Begun]:
    """The stacks whose apply was announced by a run that has ended: it is unknown what was applied.

    Without those that a live run is deploying, and without this clone's own, which its disk knows better.

    Args:
        head: The head.
        me: The holder that this run is.
        holders: Which holders are live.
        known: Whether this disk has read the ledger before.
    """
    now = head.lease
    if now is not None and holders.is_live(now):
        return {name: item for name, item in head.begun.items() if item.holder != now.holder}
    own = me.startswith(ledgers.CLONE) and known
    return {name: item for name, item in head.begun.items() if not own or item.holder != me or item.doubtful}


def running(run: Run, head: Head, me: Me) -> str | None:
    """What to say of stacks that an earlier run of the same holder announced whose process is still there; else None.

    Its pipeline's retry counts them as cut off. Only a process on this machine is known to be there. A job that deploys
    others is not concerned.
    """
    now = head.lease
    if now is None or now.holder != me.holder or now.run == me.run:
        return None
    mine = run.asked.planned if run.asked.deploying else head.begun
    stacks = sorted(name for name, item in head.begun.items() if item.run == now.run and name in mine)
    number = alive.pid(now.process) if stacks else None
    if number is None:
        return None
    return (
        f"still being deployed by another run of {now.label}, process {number} on this machine: {few(stacks, _MOST)};"
        " if this run deploys them, too, wait for that one to end"
    )


def concerned(run: Run) -> Collection[str]:
    """The stacks whose deploy by another run makes the plans of this one too old: its own, and all that they need."""
    asked, graph = run.asked.planned, run.project.graph
    return asked if len(asked) == len(run.project.stacks) else asked.union(*map(graph.upstreams, asked))


def is_begun_since(known: Begun | None, item: Begun, me: str, own: Sequence[str | None] | None) -> bool:
    """Whether another run has announced a stack since this one read; it may have died before it recorded that.

    Args:
        known: The stack's announcement as this run read it.
        item: Its announcement now.
        me: The holder that this run is.
        own: The commit of this run, if the announcement is its own: then it has the commits of those before it.
    """
    if own is None:
        return item.holder != me and known is None
    return not {*own, *(known.commits if known is not None else ())}.issuperset(item.commits)


def is_crossed(read: Collection[str], before: Held | None, here: receipts.Record | None, item: Held) -> bool:
    """Whether a record with our holder, written since this run read, names a deploy that this run does not know of.

    Args:
        read: The commits that this run knows of besides those of the two receipts.
        before: The stack's record before the announcement.
        here: Its receipt on this disk.
        item: Its record now.
    """
    known = {*read, *(deployed(before.receipt) if before is not None else ())}
    known |= set(deployed(here.receipt) if here is not None else ())
    return not known.issuperset(deployed(item.receipt))
