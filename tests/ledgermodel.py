"""Plays the ledger's protocol: pipelines that race, die and are retried over a network that loses answers.

A process dies at a named point (`POINTS`) or anywhere. What its disk then holds may be recorded later, as an artifact
is by `doit ledger push`. A stack whose upstream was never deployed is deferred: announced without a plan, and planned
once the upstream is applied. Everything is drawn from one seed. The engine's own check for stale plans is left out here, so that the ledger alone has
to keep two pipelines apart; the histories are judged as they are made (`Broken`).
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from tasks.base.files import sha256_bytes
from tasks.ledger import machine, order
from tasks.ledger.batch import Batch, Me
from tasks.ledger.machine import (  # fmt: skip
    Announce,
    Busy,
    Failed,
    Fetch,
    Fetched,
    Finish,
    Flush,
    Held,
    HolderEnded,
    Look,
    Lost,
    Mark,
    Moved,
    Put,
    State,
    Trouble,
    Written,
)
from tasks.ledger.machine import Record as Recorded
from tasks.ledger.record import RECENT, Begun, Change, Head, Kind, Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.base.jsonvalue import Json, JsonObject
    from tasks.ledger.completed import Completed

Receipts = dict[str, Record]
Steps = Generator[str, None, None]

POINTS = (
    "fetch", "push", "answered", "planned", "announced", "receipt started", "engine started", "engine ended",
    "receipt ended", "between stacks",
)  # fmt: skip


class BrokenError(AssertionError):
    """A history that must not be."""


def is_certain(receipt: Mapping[str, Json]) -> bool:
    """Whether a receipt is of an apply that succeeded, and was the last."""
    return receipt["outcome"] == "applied" and not receipt.get("besides")


@dataclass(frozen=True)
class Version:
    """What the home holds at one moment."""

    head: Head
    records: Receipts
    entries: tuple[Change, ...]


@dataclass
class Ghost:
    """A write whose answer was lost and that may still come to be."""

    base: Head
    batch: Batch
    me: Me


@dataclass
class Pipeline:
    """A pipeline of the forge: a commit, its plans, and the process that runs now, if any."""

    number: int
    commit: int
    ended: bool = False
    alive: Process | None = None
    retries: int = 0
    planned: dict[str, tuple[str | None, str | None]] = field(
        default_factory=dict
    )  # of each plan that is handed on, what it follows


@dataclass
class Process:
    """One process: its machine, what it does next, where it dies, and what its disk holds.

    `disk` has the receipts that are durable there: None for an apply that has started and not ended.
    """

    pipeline: Pipeline
    me: Me
    state: State
    steps: Iterator[str] = field(default_factory=lambda: iter(()))
    holding: bool = False
    trouble: Trouble | None = None
    complete: bool = False  # whether it has found or made all stacks as its commit wants them
    unproven: frozenset[str] | None = None  # otherwise those of which it does not know that; None if of none
    failpoint: tuple[str, int] | None = None
    passed: dict[str, int] = field(default_factory=dict)
    disk: dict[str, Change | None] = field(default_factory=dict)
    known: dict[str, str] = field(default_factory=dict)  # of each stack the change that the ledger had, as it was read
    follows: dict[str, str] = field(default_factory=dict)  # of each stack the change that its apply replaces

    def dies_at(self, point: str) -> bool:
        """Whether it is killed at this point, which it has just reached."""
        self.passed[point] = self.passed.get(point, 0) + 1
        return self.failpoint == (point, self.passed[point])


@dataclass
class Disk:
    """What a dead process left: its receipts, and what it knew of the ledger."""

    pipeline: Pipeline
    receipts: dict[str, Change | None]
    known: dict[str, str] = field(default_factory=dict)
    follows: dict[str, str] = field(default_factory=dict)


@dataclass
class World:
    """The home, the real stacks, the forge, and all that went on.

    `code` is what each commit wants of each stack; `real` what is really there, with the serial of its state.
    """

    seed: int
    faults: bool = True
    strangers: bool = False
    stacks: int = 6
    random: random.Random = field(init=False)
    home: Version | None = field(init=False)
    history: list[Version] = field(default_factory=list)
    ghosts: list[Ghost] = field(default_factory=list)
    pipelines: list[Pipeline] = field(default_factory=list)
    code: list[dict[str, int]] = field(default_factory=list)
    real: dict[str, tuple[int, int]] = field(default_factory=dict)  # version, serial
    applied: dict[str, tuple[str, int]] = field(default_factory=dict)  # of each plan: the stack, the serial it left
    away: int = 0  # steps for which the network is gone
    touched: bool = False  # whether a stranger has rewritten the ledger
    reads: dict[str, str] = field(default_factory=dict)  # the upstream of a stack
    failed: set[str] = field(default_factory=set)  # the plans whose apply failed
    disks: list[Disk] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    pushes: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 - the same seed plays the same round
        head = Head(
            ledger="0" * 32, project="acme/infra", environment="prod", sequence=1, chain="c1", recent=("begin",)
        )
        self.home = Version(head, {}, (Change(Kind.INIT, "begin", ""),))
        names = [f"s{number}" for number in range(self.random.randint(1, self.stacks))]
        self.real = dict.fromkeys(names, (0, 0))
        self.reads = {this: last for last, this in pairwise(names) if self.random.random() < 0.4}
        self.code = [dict.fromkeys(names, 1)]
        for _ in range(self.random.randint(0, 3)):
            changed = dict(self.code[-1])
            for name in self.random.sample(names, self.random.randint(0, len(names))):
                changed[name] = self.random.choice([1, 2, 3])
            self.code.append(changed)
        for number in range(self.random.randint(1, 4)):
            self.pipelines.append(Pipeline(number, self.random.randrange(len(self.code))))

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    # The home

    def read(self) -> machine.Event:
        if self.away or (self.faults and self.random.random() < 0.08):
            self.count("read lost")
            return Lost()
        return Fetched(self.home.head if self.home else None)

    def write(self, base: Head, batch: Batch, me: Me) -> machine.Event:
        chance = self.random.random() if self.faults else 1.0
        if self.away or chance < 0.06:
            self.count("write lost")
            return Lost()
        if chance < 0.12:
            self.count("write late")
            self.ghosts.append(Ghost(base, batch, me))
            return Lost()
        landed = self.land(base, batch, me)
        if chance < 0.2:
            self.count("answer lost")
            return Lost()
        if landed is None:
            self.count("moved")
            return Moved()
        return Written(landed)

    def land(self, base: Head, batch: Batch, me: Me) -> Head | None:
        """Compare and swap; what a draft does, without bytes and signatures."""
        if self.home is None or self.home.head != base:
            return None
        head, records = batch.over(me, base), dict(self.home.records)
        entries = self.home.entries
        sequence, chain = head.sequence, head.chain
        for wanted in batch.changes:
            change = wanted.settled(records.get(wanted.stack or ""))
            sequence += 1
            chain = sha256_bytes(f"{chain} {change.id}".encode())
            entries = (*entries, change)
            assert change.stack is not None
            assert change.receipt is not None
            records[change.stack] = Record(change=change.id, entry=sequence, receipt=dict(change.receipt))
        recent = (*head.recent, batch.write)[-RECENT:]
        self.history.append(self.home)
        self.home = Version(
            head.model_copy(update={"sequence": sequence, "chain": chain, "recent": recent}), records, entries
        )
        return self.home.head

    def haunt(self) -> None:
        """Let a late write come to be, or not."""
        if self.ghosts and self.random.random() < 0.3:
            ghost = self.ghosts.pop(self.random.randrange(len(self.ghosts)))
            if self.land(ghost.base, ghost.batch, ghost.me):
                self.count("late write landed")

    # A process

    def start(self, pipeline: Pipeline) -> None:
        number = pipeline.retries
        me = Me(f"p{pipeline.number}", f"p{pipeline.number}r{number}", f"pipeline {pipeline.number}")
        process = Process(pipeline, me, State(me))
        process.steps = self.run(process)
        if self.faults and self.random.random() < 0.3:
            process.failpoint = self.random.choice(POINTS), self.random.choice([1, 1, 2, 3])
        pipeline.alive = process

    def drive(self, process: Process, event: machine.Event) -> Generator[str, None, list[machine.Effect]]:
        """Carry an event out; each effect that reaches the home is a step of its own. Returns the other effects."""
        events, told = [event], list[machine.Effect]()
        while events:
            process.state, effects = machine.step(process.state, events.pop(0), self.random.random())
            for effect in effects:
                match effect:
                    case Fetch():
                        yield "fetch"
                        events.append(self.read())
                    case Put(base, batch):
                        yield "push"
                        events.append(self.write(base, batch, process.me))
                    case _:
                        told.append(effect)
        yield "answered"
        return told

    def run(self, process: Process) -> Steps:
        """What a deploy does; each `yield` is a place where another one goes on, or where it is killed."""
        wanted = self.code[process.pipeline.commit]
        told = yield from self.drive(process, Look())
        if any(isinstance(effect, Failed) for effect in told):
            process.trouble = next(effect.trouble for effect in told if isinstance(effect, Failed))
            return
        assert process.state.known is not None
        seen, records = process.state.known, dict(self.records_of(process.state.known))
        process.known = {name: item.change for name, item in records.items()}
        affected = self.affected(process, seen, records, wanted)
        process.unproven = frozenset(affected)
        if not affected:
            self.judge_nothing_to_do(seen, wanted)
            process.complete = True
            yield from self.finish(process)
            return
        if self.is_refused(process, seen, records, affected):
            process.trouble = Trouble.DENIED
            yield from self.finish(process)
            return
        plans = {name: self.plan(process, name, seen, records, affected) for name in affected}
        yield "planned"
        self.queue(process, records)
        yield from self.announce(process, plans)
        if not process.holding:
            yield from self.finish(process)
            return
        now = process.state.known
        current = self.records_of(now)
        if self.moved(process, current, records) or self.left_by_others(now, plans, process.me):
            self.count("moved on while planning")
            process.trouble = Trouble.CROWDED
            yield from self.finish(process)
            return
        process.follows = {name: item.change for name, item in current.items()}
        yield "announced"
        yield from self.apply_all(process, plans, current, wanted)
        process.complete = process.trouble is None
        yield from self.finish(process)
        if process.trouble is None and not self.touched:
            self.judge_deployed(process, wanted)

    def apply_all(
        self, process: Process, plans: dict[str, str | None], current: Receipts, wanted: dict[str, int]
    ) -> Steps:
        """Apply what was announced, but for what another run has recorded a deploy of since, and what reads that."""
        refused = set[str]()
        for name, plan in plans.items():
            yield "between stacks"
            if not process.state.holds or process.state.known is None:  # lost, or the ledger was put back
                process.trouble = Trouble.TAKEN
                break
            newest = self.records_of(process.state.known)
            if self.is_passed(process, name):
                self.count("a newer deploy meanwhile")
                process.trouble = Trouble.CROWDED
                break
            if order.is_overtaken(current.get(name), newest.get(name)) or self.reads.get(name) in refused:
                self.count("recorded by another meanwhile")
                process.trouble = Trouble.CROWDED
                refused.add(name)
                continue
            if process.disk.get(self.reads.get(name, ""), None) is None and plan is None:
                process.trouble = Trouble.DENIED  # its upstream was not applied
                break
            self.judge_order(process, name)
            yield from self.apply(process, name, self.latest(process, name, plan), wanted)
            if self.random.random() < 0.4:
                yield from self.drive(process, Flush())

    def announce(self, process: Process, plans: dict[str, str | None]) -> Steps:
        """Take the lease, and wait for one that is held; the process then holds it, or not."""
        event: machine.Event = Announce(
            {
                name: Begun(
                    holder=process.me.holder, run=process.me.run, since="", plan_id=plan,
                    commits=(str(process.pipeline.commit),),
                )
                for name, plan in plans.items()
            }
        )  # fmt: skip
        for _ in range(6):
            told = yield from self.drive(process, event)
            if any(isinstance(effect, Held) for effect in told):
                process.holding = True
                return
            busy = next((effect for effect in told if isinstance(effect, Busy)), None)
            if busy is None:
                process.trouble = next((effect.trouble for effect in told if isinstance(effect, Failed)), None)
                return
            self.count("busy")
            holder = next(item for item in self.pipelines if f"p{item.number}" == busy.lease.holder)
            event = HolderEnded(busy.lease.holder) if holder.ended else Look()
            yield "answered"

    def affected(self, process: Process, head: Head, records: Receipts, wanted: dict[str, int]) -> list[str]:
        del process
        return [
            name for name, version in wanted.items()
            if name in head.begun or name not in records
            or not is_certain(records[name].receipt) or records[name].receipt["version"] != version
        ]  # fmt: skip

    def is_refused(self, process: Process, head: Head, records: Receipts, affected: list[str]) -> bool:
        """Whether a deploy of an older commit is refused; here any commit may be deployed over any other."""
        del process, head, records, affected
        return False

    def is_passed(self, process: Process, name: str) -> bool:
        """Whether a deploy of a newer commit has left a stack as it wants it; here none counts."""
        del process, name
        return False

    def completed(self, process: Process) -> Completed | None:
        """How a deploy is named; here it is not."""
        del process
        return None

    def has_completed(self, process: Process) -> None:
        """A deploy has ended, and the home has said that its end is written."""

    def queue(self, process: Process, records: Receipts) -> None:
        """Record what is on the disk only, together with the announcement; here nothing is."""

    def moved(self, process: Process, now: Receipts, records: Receipts) -> bool:
        """Whether another run has deployed while this one planned."""
        del process
        return any(now.get(name) != records.get(name) for name in self.real)

    def latest(self, process: Process, name: str, plan: str | None) -> str:
        """The plan that is applied: made now if the stack was deferred, or if what it reads has changed."""
        upstream = process.disk.get(self.reads.get(name, ""))
        if plan is not None and (upstream is None or self.random.random() < 0.5):
            return plan
        self.count("deferred" if plan is None else "planned again")
        return f"plan {process.me.run} {name} late"

    def left_by_others(self, head: Head, plans: dict[str, str | None], me: Me) -> list[str]:
        """Stacks that somebody else announced and that this run does not apply."""
        return [name for name, item in head.begun.items() if item.run != me.run and name not in plans]

    def plan(self, process: Process, name: str, head: Head, records: Receipts, affected: list[str]) -> str | None:
        """The plan that was handed over, unless the ledger knows it: then one made now; None if it is deferred."""
        upstream = self.reads.get(name)
        if upstream is not None and upstream not in records and upstream in affected:
            return None
        pipeline, last = process.pipeline, records[name].change if name in records else None
        handed = f"plan {pipeline.number} {name}"
        begun = head.begun.get(name)
        follows = (last, begun.plan_id if begun else None)
        if not pipeline.retries:
            pipeline.planned[name] = follows
        fits = pipeline.planned.get(name) == follows
        return handed if fits else f"{handed} again {pipeline.retries}"

    def apply(self, process: Process, name: str, plan: str, wanted: dict[str, int]) -> Steps:
        process.disk[name] = None
        yield "receipt started"
        others = [
            item.alive for item in self.pipelines if item is not process.pipeline and item.alive and item.alive.holding
        ]
        if others and not self.touched:
            raise BrokenError(f"{process.me.run} and {others[0].me.run} both apply")
        if plan in self.applied and not self.touched:  # then the engine's own check is the last one
            raise BrokenError(f"{plan} is applied twice")
        self.applied[plan] = (name, -1)
        yield "engine started"
        serial = self.real[name][1]
        serial += self.random.random() < 0.8
        good = self.random.random() < 0.9
        self.real[name] = (wanted[name] if good else -1, serial)
        self.applied[plan] = (name, serial)
        if not good:
            self.failed.add(plan)
        yield "engine ended"
        follows = process.follows.get(name)
        receipt: JsonObject = {
            "outcome": "applied" if good else "failed", "version": wanted[name], "plan_id": plan, "serial": serial,
            "commit": str(process.pipeline.commit), "follows": follows,
        }  # fmt: skip
        change = Change(Kind.DEPLOY, f"{process.me.run} {name}", "", name, plan, receipt, follows=follows)
        process.disk[name] = change
        yield "receipt ended"
        process.state, _ = machine.step(process.state, Recorded(change))
        if good:
            process.unproven = (process.unproven or frozenset()) - {name}
        else:
            process.trouble = Trouble.DENIED  # the run has failed; which trouble it is does not matter

    def finish(self, process: Process) -> Steps:
        process.holding = False
        told = yield from self.drive(process, Finish(completed=self.completed(process)))
        failed = [effect for effect in told if isinstance(effect, Failed)]
        if failed or not process.state.settled:
            process.trouble = failed[0].trouble if failed else Trouble.UNREACHABLE
            self.count("not all recorded")
            self.leave(process)
        elif process.complete or process.unproven is not None:
            self.has_completed(process)

    def leave(self, process: Process) -> None:
        """Keep what a process left on its disk, as an artifact."""
        if process.disk:
            self.disks.append(Disk(process.pipeline, process.disk, process.known, process.follows))

    def push(self) -> None:
        """Start `doit ledger push` on what a process left, unless that pipeline runs again."""
        disk = self.disks.pop(self.random.randrange(len(self.disks)))
        pipeline = disk.pipeline
        if pipeline.alive:
            return
        self.pushes += 1
        me = Me(f"p{pipeline.number}", f"push{self.pushes}", f"pipeline {pipeline.number}")
        process = Process(pipeline, me, State(me))
        process.steps = self.pushing(process, disk)
        pipeline.alive = process

    def pushing(self, process: Process, disk: Disk) -> Steps:
        """What `doit ledger push` does: it records the receipts of applies that have ended."""
        told = yield from self.drive(process, Look())
        head = process.state.known
        if any(isinstance(effect, Failed) for effect in told) or head is None:
            process.trouble = Trouble.UNREACHABLE
            self.disks.append(disk)
            return
        held = self.records_of(head)
        process.disk, process.known, process.follows = disk.receipts, disk.known, disk.follows
        for name, change in disk.receipts.items():
            if change is None or change.receipt is None:
                continue
            again = recorded_later(change, f"{process.me.run} {name}", disk.known.get(name), held.get(name))
            process.state, _ = machine.step(process.state, Recorded(again))
            self.count("pushed later")
        told = yield from self.drive(process, Flush())
        process.trouble = process.trouble or Trouble.DENIED  # the pipeline itself has not ended well
        if not process.state.settled or any(isinstance(effect, Failed) for effect in told):
            self.disks.append(disk)

    def records_of(self, head: Head) -> Receipts:
        """The records at a head; shards are read by digest, so they belong to it."""
        for version in reversed([*self.history, *([self.home] if self.home else [])]):
            if version.head == head:
                return version.records
        raise BrokenError("a head that never was")

    # The judge

    def judge_order(self, process: Process, name: str) -> None:
        """An apply is about to start: whether its commit may be deployed now."""

    def judge_nothing_to_do(self, head: Head, wanted: dict[str, int]) -> None:
        if self.touched or head.lease is not None:
            return
        if self.home and self.home.head == head and self.differing(wanted):
            raise BrokenError(f"affected and skipped: wanted {wanted}, real {self.real}")

    def judge_deployed(self, process: Process, wanted: dict[str, int]) -> None:
        self.count("deployed")
        others = [item for item in self.pipelines if item is not process.pipeline and item.alive and item.alive.holding]
        if not others and process.state.known == (self.home.head if self.home else None):
            wrong = self.differing(wanted)
            if wrong:
                raise BrokenError(f"{process.me.run} ended well, and {wrong} is not as it wants it")

    def differing(self, wanted: dict[str, int]) -> list[str]:
        """The stacks that are not as they are wanted."""
        return [name for name, version in wanted.items() if self.real[name][0] != version]

    def judge_history(self) -> None:
        assert self.home is not None
        entries = self.home.entries
        ids = [change.id for change in entries]
        if len(ids) != len(set(ids)):
            raise BrokenError("an event is recorded twice")
        if len(entries) != self.home.head.sequence:
            raise BrokenError("the chain has another length than its head says")
        serials: dict[str, int] = {}
        for change in entries[1:]:
            assert change.stack is not None
            assert change.receipt is not None
            if change.plan not in self.applied:
                raise BrokenError(f"a receipt of {change.plan}, which was never applied")
            if change.receipt["outcome"] == "failed" and change.receipt["plan_id"] not in self.failed:
                raise BrokenError(f"{change.id} says that an apply failed which did not")
            serial = change.receipt["serial"]
            assert isinstance(serial, int)
            if serial < serials.get(change.stack, 0):
                raise BrokenError(f"the serial of {change.stack} goes from {serials[change.stack]} to {serial}")
            serials[change.stack] = serial

    # The round

    def play(self) -> dict[str, int]:
        """One round to its end.

        Raises:
            BrokenError: A history that must not be.
        """
        waiting = list(self.pipelines)
        for _ in range(600):
            self.away = max(0, self.away - 1)
            if self.faults and self.random.random() < 0.01:
                self.away = self.random.randint(1, 25)
            self.haunt()
            if self.strangers and self.random.random() < 0.01:
                self.rewrite()
            self.happen()
            live = [item for item in self.pipelines if item.alive]
            if waiting and (not live or self.random.random() < 0.15):
                self.start(waiting.pop())
                continue
            if self.disks and self.random.random() < 0.02:
                self.push()
                continue
            if not live:
                if self.retry():
                    continue
                break
            self.go_on(self.random.choice(live))
        self.heal()
        return self.counts

    def happen(self) -> None:
        """What else happens; here nothing does."""

    def go_on(self, pipeline: Pipeline) -> None:
        process = pipeline.alive
        assert process is not None
        try:
            point = next(process.steps)
            if self.faults and (self.random.random() < 0.015 or process.dies_at(point)):
                self.count(f"killed: {point}")
                self.leave(process)
                pipeline.alive = None
                pipeline.ended = self.random.random() < 0.5
        except StopIteration:
            pipeline.alive = None
            pipeline.ended = process.trouble is None or self.random.random() < 0.5
            self.judge_alarm(process)

    def judge_alarm(self, process: Process) -> None:
        seen = process.state.known
        if (
            process.trouble is None
            and seen
            and self.home
            and not Mark.of(seen).leads_to(self.home.head)
            and not self.touched
        ):
            raise BrokenError("the ledger went back and it was not seen")

    def retry(self) -> bool:
        """Start a pipeline again that has not ended well; its jobs get fresh clones."""
        for pipeline in self.pipelines:
            if not pipeline.ended and not pipeline.alive and pipeline.retries < 3:
                pipeline.retries += 1
                self.start(pipeline)
                self.count("retried")
                return True
        return False

    def rewrite(self) -> None:
        """A stranger's forced push: to an older version, or nothing at all."""
        self.touched = True
        self.count("rewritten")
        if self.home:
            self.history.append(self.home)
        if self.history and self.random.random() < 0.7:
            self.home = self.random.choice(self.history)

    def heal(self) -> None:
        """In the end, with a network that works, one more pipeline makes everything as its commit wants it."""
        self.faults, self.away = False, 0
        self.ghosts.clear()
        for pipeline in self.pipelines:
            pipeline.alive, pipeline.ended = None, True
        last = Pipeline(len(self.pipelines), len(self.code) - 1)
        self.pipelines.append(last)
        for _ in range(4):
            self.start(last)
            process = last.alive
            assert process is not None
            for _ in process.steps:
                pass
            last.alive = None
            if process.trouble is None:
                break
            last.retries += 1
        if not self.touched:
            wanted = self.code[last.commit]
            if process.trouble is None and (wrong := self.differing(wanted)):
                raise BrokenError(f"in the end {wrong} is not as it is wanted")
            assert self.home is not None
            if process.trouble is None and self.home.head.lease and self.home.head.lease.holder == process.me.holder:
                raise BrokenError("in the end the lease is still held")
            self.judge_history()


def recorded_later(change: Change, event: str, known: str | None, held: Record | None) -> Change:
    """How a receipt is recorded by a later run than the one that wrote it."""
    assert change.receipt is not None
    same = held is not None and held.receipt.get("plan_id") == change.receipt["plan_id"]
    kind = Kind.VERIFY if same else Kind.DEPLOY
    return replace(change, kind=kind, id=event, follows=order.follows(change.receipt, known, held))


def play(seed: int, *, strangers: bool = False) -> dict[str, int]:
    """One round; returns how often what happened in it."""
    try:
        return World(seed, strangers=strangers).play()
    except BrokenError as error:
        raise BrokenError(f"seed {seed}: {error}") from error
