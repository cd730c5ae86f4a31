"""Plays emergencies around the ledger's protocol: deploys without it, runs on old disks, and older commits.

To the rounds of `ledgermodel`: somebody deploys without the ledger (having read it, or not even that), in a clone that
keeps its receipts; a clone with receipts that are not recorded runs again, or pushes them later, `hurried` also while
another run holds the lease. Every pipeline's commit comes after those with a lower number, and a deploy of an older commit than what is deployed is refused, by what
the disk and the ledger say. Whether it should have been is judged by what happened, not by what is recorded.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.ledger import machine, order
from tasks.ledger.completed import Completed
from tasks.ledger.machine import Record as Recorded
from tasks.ledger.record import Change, Kind, deployed
from tests.ledgermodel import BrokenError, Disk, Pipeline, Process, World, is_certain, recorded_later

if TYPE_CHECKING:
    from tasks.base.jsonvalue import JsonObject
    from tasks.ledger.record import Head
    from tests.ledgermodel import Receipts, Steps, Version


_WITHOUT, _AGAIN = 0.3, 0.7  # of one moment at which nothing runs
_UNPLANNED = 0.15  # of one run that has something to apply
_HURRIED = 0.1  # of one step of a run that holds the lease


@dataclass
class Emergencies(World):
    """A world with emergencies; their dice are separate, so that the other rounds stay as they are.

    `hurried` if receipts that only a disk has are pushed as soon as another run holds the lease, `unplanned` if plans
    fail.
    """

    hurried: bool = False
    unplanned: bool = False
    dice: random.Random = field(init=False)
    used: dict[str, Disk] = field(default_factory=dict)  # by run: the disk that it began with
    unseen: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    queued: dict[str, dict[str, str]] = field(default_factory=dict)
    newest: dict[str, int] = field(default_factory=dict)  # the newest commit whose apply a lease holder has begun
    begun: dict[str, set[str]] = field(default_factory=dict)  # by run: the stacks whose apply it has begun
    announced: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)  # by run: as it was read
    entries: dict[str, tuple[Change, ...]] = field(default_factory=dict)  # by run: the chain when it announced
    proven: dict[str, int] = field(default_factory=dict)  # the newest commit that has left each stack as it wants it
    before: dict[str, dict[str, int]] = field(default_factory=dict)  # by run: these, when it began to announce
    outside: dict[str, str] = field(default_factory=dict)  # the latest plan of each stack that was applied without it

    def __post_init__(self) -> None:
        """Begin the round; more commits than there are pipelines."""
        super().__post_init__()
        self.dice = random.Random(f"emergencies {self.seed}")  # noqa: S311 - the same seed plays the same round

    # What happens

    def happen(self) -> None:
        """Perhaps an emergency, or a run on an old disk."""
        if any(item.alive for item in self.pipelines):
            held = any(item.alive and item.alive.holding for item in self.pipelines)
            if self.hurried and self.disks and held and self.dice.random() < _HURRIED:
                self.count("pushed under another's lease")
                self.push()
            return
        chance = self.dice.random()
        if chance < _WITHOUT:
            self._break_glass()
        elif chance < _AGAIN and self.disks:
            disk = self.dice.choice(self.disks)
            disk.pipeline.ended = False
            disk.pipeline.retries += 1
            if disk.pipeline not in self.pipelines:
                self.pipelines.append(disk.pipeline)
            self.count("run again on its disk")
            self.start(disk.pipeline, disk)

    def _break_glass(self) -> None:
        """A deploy without the ledger, of some stacks; with what it knows, it goes back behind no commit either."""
        number = len(self.pipelines)
        pipeline = Pipeline(number, self.dice.randrange(len(self.code)), ended=True)
        self.pipelines.append(pipeline)
        assert self.home is not None
        has_read = self.dice.random() < 0.5
        records = self.home.records if has_read else {}
        known = {name: item.change for name, item in records.items()}
        disk = Disk(pipeline, {}, known, dict(known))
        for name in self.dice.sample(sorted(self.real), self.dice.randint(1, len(self.real))):
            there = [*deployed(records[name].receipt)] if name in records else []
            if has_read and name in self.home.head.begun:
                there += self.home.head.begun[name].commits
            there += named(self.home.head, name) if has_read else ()
            if any(int(commit) > pipeline.commit for commit in there if commit):
                continue
            plan = f"plan {number} {name} without"
            version, serial = self.code[pipeline.commit][name], self.real[name][1] + 1
            self.real[name], self.applied[plan], self.outside[name] = (version, serial), (name, serial), plan
            receipt: JsonObject = {
                "outcome": "applied", "version": version, "plan_id": plan, "serial": serial,
                "commit": str(pipeline.commit), "follows": known.get(name),
            }  # fmt: skip
            disk.receipts[name] = Change(Kind.DEPLOY, f"without {number} {name}", "", name, plan, receipt, follows=known.get(name))  # fmt: skip
        if disk.receipts:
            self.count("without the ledger")
            self.disks.append(disk)

    # A process

    def start(self, pipeline: Pipeline, disk: Disk | None = None) -> None:
        """Start a process, on a fresh clone or on a disk."""
        super().start(pipeline)
        if disk is not None and pipeline.alive is not None:
            self.disks.remove(disk)
            self.used[pipeline.alive.me.run] = disk
            pipeline.alive.disk = dict(disk.receipts)

    def leave(self, process: Process) -> None:
        """Keep the disk: what this process has not applied again is as it was."""
        super().leave(process)
        disk = self.used.get(process.me.run)
        if process.disk and disk is not None:
            for name in set(disk.receipts) - self.begun.get(process.me.run, set()):
                _restore(self.disks[-1].known, disk.known, name)
                _restore(self.disks[-1].follows, disk.follows, name)

    def affected(self, process: Process, head: Head, records: Receipts, wanted: dict[str, int]) -> list[str]:
        """The stacks to deploy, by the receipts on the disk that are not recorded, and by the ledger."""
        disk, found = self.used.get(process.me.run), super().affected(process, head, records, wanted)
        self.announced[process.me.run] = {name: item.commits for name, item in head.begun.items()}
        if disk is None:
            return found
        unseen = self.unseen[process.me.run] = {}
        for name in disk.receipts:
            receipt = self._receipt(disk, name)
            commits = order.unseen(
                receipt, disk.known.get(name), records.get(name), head.begun.get(name), process.me.holder
            )
            if commits is not None:
                unseen[name] = commits
            as_wanted = is_certain(receipt) and receipt.get("version") == wanted[name] and commits is None
            found = [item for item in found if item != name] + ([] if as_wanted else [name])
        return [name for name in wanted if name in found]

    def is_refused(self, process: Process, head: Head, records: Receipts, affected: list[str]) -> bool:
        """Whether a commit that may be deployed comes after this process's, or a plan fails."""
        if self.unplanned and self.dice.random() < _UNPLANNED:
            self.count("a plan failed")
            return True
        disk, own = self.used.get(process.me.run), process.pipeline.commit
        for name in affected:
            there = named(head, name)
            if disk is not None and name in disk.receipts:
                there += [*deployed(self._receipt(disk, name)), *self.unseen[process.me.run].get(name, ())]
            else:
                there += deployed(records[name].receipt) if name in records else []
                there += head.begun[name].commits if name in head.begun else ()
            if any(int(commit) > own for commit in there if commit):
                self.count("older refused")
                return True
        return False

    def is_passed(self, process: Process, name: str) -> bool:
        """Whether a newer commit has left a stack as it wants it, as this process has read."""
        known = process.state.known
        return known is not None and any(int(commit) > process.pipeline.commit for commit in named(known, name))

    def completed(self, process: Process) -> Completed | None:
        """How a deploy is named; not if a newer one is, if nothing is proven by it, or if it is named already."""
        known, own = process.state.known, process.pipeline.commit
        unproven = None if process.complete else process.unproven
        if known is None or (not process.complete and (unproven is None or unproven >= self.real.keys())):
            return None
        there = {*known.complete, *(item.commit for item in known.partly)}
        if any(int(commit) > own for commit in there):
            return None
        if str(own) in known.complete and (not process.complete or not self.begun.get(process.me.run)):
            return None
        found = Completed(str(own), frozenset(commit for commit in there if int(commit) < own), unproven)
        return found if found.under(known) != known else None

    def has_completed(self, process: Process) -> None:
        """From now on no older commit is deployed, where it was proven, by a run that has not begun to announce."""
        kind = "complete" if process.complete else "partly"
        self.count(kind if self.begun.get(process.me.run) else f"{kind}, with nothing applied")
        for name in self.real:
            if process.complete or name not in (process.unproven or ()):
                self.proven[name] = max(self.proven.get(name, 0), process.pipeline.commit)

    def announce(self, process: Process, plans: dict[str, str | None]) -> Steps:
        """Announce: what was complete before is read with it at the latest."""
        self.before[process.me.run] = dict(self.proven)
        yield from super().announce(process, plans)

    def queue(self, process: Process, records: Receipts) -> None:
        """Record the receipts that only the disk has, with the announcement or at the end."""
        disk, run = self.used.get(process.me.run), process.me.run
        if disk is None or run in self.queued:
            return
        self.queued[run] = {}
        for name, change in disk.receipts.items():
            if change is not None:
                again = recorded_later(change, f"{run} later {name}", disk.known.get(name), records.get(name))
                self.queued[run][name] = again.id
                process.state, _ = machine.step(process.state, Recorded(again))
                self.count("recorded later")

    def finish(self, process: Process) -> Steps:
        """End, with all that is on the disk."""
        if process.state.known is not None:
            self.queue(process, self.records_of(process.state.known))
        yield from super().finish(process)

    def moved(self, process: Process, now: Receipts, records: Receipts) -> bool:
        """Whether another run has deployed, or a receipt of ours met a deploy that it did not know of."""
        run = process.me.run
        self.entries[run] = self._version(process).entries
        assert process.state.known is not None
        for name, mark in process.state.known.begun.items():
            if set(mark.commits) - {str(process.pipeline.commit)} - set(self.announced[run].get(name, ())):
                return True
        for name in self.real:
            item, before = now.get(name), records.get(name)
            if item == before:
                continue
            if item is None or item.change != self.queued.get(run, {}).get(name):
                return True
            known = {*self.unseen.get(run, {}).get(name, ()), *(deployed(before.receipt) if before else ())}
            disk = self.used.get(run)
            known |= set(deployed(self._receipt(disk, name)) if disk is not None and name in disk.receipts else ())
            if not known.issuperset(deployed(item.receipt)):
                return True
        return False

    def _receipt(self, disk: Disk, name: str) -> JsonObject:
        change = disk.receipts[name]
        if change is not None and change.receipt is not None:
            return dict(change.receipt)
        return {"outcome": "started", "commit": str(disk.pipeline.commit), "follows": disk.follows.get(name)}

    # The judge

    def judge_order(self, process: Process, name: str) -> None:
        """No lease holder applies an older commit than what another one began, or than what it read of as recorded.

        Nor of a stack that a deploy of a newer one has left as it wants it, before this run announced its own, had that
        nothing to do. Nor, whichever commits these are, over a deploy that another run has recorded since it announced
        its own, once it has read that.

        Raises:
            BrokenError: It does.
        """
        newer = self.before[process.me.run].get(name, 0)
        if newer > process.pipeline.commit and not self.touched:
            raise BrokenError(
                f"{process.me.run} deploys commit {process.pipeline.commit} of {name}, which {newer} has left right"
            )
        read, own = self._version(process).entries, self.begun.get(process.me.run, set())
        of_it = [change for change in read if change.stack == name]
        known = len([change for change in self.entries[process.me.run] if change.stack == name])
        before = of_it[known - 1].receipt if known else None
        others = [change for change in of_it[known:] if change.receipt != before]
        if others and name not in own and not self.touched:
            raise BrokenError(f"{process.me.run} deploys {name} over {others[0].id}, of which it has read")
        self.begun.setdefault(process.me.run, set()).add(name)
        found = [
            int(commit)
            for change in read
            if change.stack == name and change.receipt is not None
            for commit in deployed(change.receipt)
            if commit
        ]
        newest = max([self.newest.get(name, 0), *found])
        if newest > process.pipeline.commit and not self.touched:
            raise BrokenError(f"{process.me.run} deploys commit {process.pipeline.commit} of {name} over {newest}")
        self.newest[name] = max(process.pipeline.commit, newest)
        self.outside.pop(name, None)

    def judge_deployed(self, process: Process, wanted: dict[str, int]) -> None:
        """Only what this run applied, or what nobody has recorded anything about since it announced."""
        assert self.home is not None
        own, now = self.begun.get(process.me.run, set()), self.home.records
        left = {name for name, item in now.items() if item.change == process.follows.get(name)}
        super().judge_deployed(process, {name: wanted[name] for name in wanted if name in own | left})

    def _version(self, process: Process) -> Version:
        return next(item for item in [*self.history, self.home] if item and item.head == process.state.known)

    def differing(self, wanted: dict[str, int]) -> list[str]:
        """The stacks that are not as they are wanted, but for those of which the ledger cannot know."""
        assert self.home is not None
        recorded = {change.plan for change in self.home.entries}
        unknown = {name for name, plan in self.outside.items() if plan not in recorded}
        unknown |= {name for name, item in self.home.records.items() if item.receipt.get("besides")}  # it is affected
        return [name for name in super().differing(wanted) if name not in unknown]

    def judge_history(self) -> None:
        """Also: a receipt that follows the record before it has no other deploy besides it.

        Raises:
            BrokenError: It has.
        """
        super().judge_history()
        assert self.home is not None
        last: dict[str, Change] = {}
        for change in self.home.entries[1:]:
            assert change.stack is not None
            assert change.receipt is not None
            before = last.get(change.stack)
            follows = change.receipt.get("follows")
            if (
                change.receipt.get("besides")
                and before is not None
                and follows == before.id
                and change.kind is Kind.DEPLOY
            ):
                raise BrokenError(f"{change.id} has no order, although it follows {before.id}")
            last[change.stack] = change


def named(head: Head, name: str) -> list[str]:
    """The commits of deploys that have left a stack as they want it, as a head names them."""
    return [*head.complete, *(item.commit for item in head.partly if name not in item.but)]


def _restore(found: dict[str, str], before: dict[str, str], name: str) -> None:
    found.pop(name, None)
    if name in before:
        found[name] = before[name]


def play(seed: int, *, hurried: bool = False, unplanned: bool = False) -> dict[str, int]:
    """One round; returns how often what happened in it.

    Raises:
        BrokenError: A history that must not be.
    """
    try:
        return Emergencies(seed, hurried=hurried, unplanned=unplanned).play()
    except BrokenError as error:
        raise BrokenError(f"seed {seed}: {error}") from error
