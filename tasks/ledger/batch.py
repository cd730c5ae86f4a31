"""One write of a run to the ledger: what it changes in the head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .order import ends
from .record import Lease

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .completed import Completed
    from .record import Begun, Change, Head

_MOST_REPORTED = 32  # pipelines that the head names


@dataclass(frozen=True)
class Me:
    """Who writes: the pipeline, this run, a label for people, and the run's process (`base.alive`)."""

    holder: str
    run: str
    label: str
    process: str = ""


@dataclass(frozen=True)
class Batch:
    """What is written in one go.

    `begun`, if not None, announces stacks and takes the lease. `ends` withdraws what this run announced and did not
    apply, and releases the lease, unless it `shares` it with later jobs of its pipeline, or another job of that may be
    applying: not if it is `alone`. `taking_over` is the holder of another lease that is known to have ended.
    `completed`, if not None, names a deploy that has ended, whoever has the lease. `reported` says that the last job of
    its pipeline has ended: from then on, each of its jobs that is retried ends the lease that it takes.
    """

    write: str
    changes: tuple[Change, ...] = ()
    begun: Mapping[str, Begun] | None = None
    since: str = ""
    ends: bool = False
    shares: bool = False
    alone: bool = False
    taking_over: str | None = None
    completed: Completed | None = None
    reported: bool = False

    def over(self, me: Me, head: Head) -> Head:
        """The head with the new lease, announced stacks and named deploy; its chain is unchanged."""
        lease, begun = head.lease, dict(head.begun)
        if self.begun is not None:
            lease = Lease(holder=me.holder, run=me.run, label=me.label, since=self.since, process=me.process)
            for name, item in self.begun.items():
                before = begun.get(name)
                doubtful = before is not None and (before.doubtful or before.run != me.run)
                commits = tuple(dict.fromkeys((*item.commits, *(before.commits if before is not None else ()))))
                begun[name] = item.model_copy(update={"doubtful": item.doubtful or doubtful, "commits": commits})
        for change in self.changes:
            name = change.stack or ""
            known = begun.get(name)
            if change.receipt is None or known is None:
                continue
            # A receipt that is written with the announcement may be of an earlier apply, which this disk alone knew of.
            is_own = known.run == me.run and name not in (self.begun or ())
            if is_own or ends(known, change.receipt, change.holder or me.holder):
                del begun[name]
        if self.ends:
            begun = {name: item for name, item in begun.items() if item.run != me.run or item.doubtful}
            is_ours = lease is not None and lease.holder == me.holder
            at_work = {item.holder for item in begun.values() if item.run != me.run and not item.doubtful}
            lease = None if is_ours and not self.shares and (self.alone or me.holder not in at_work) else lease
        named = self.completed.under(head) if self.completed is not None else head
        reported = (me.holder, *(item for item in head.reported if item != me.holder))[:_MOST_REPORTED]
        update = {"lease": lease, "begun": begun, "reported": reported if self.reported else head.reported}
        return named.model_copy(update=update)
