"""Forgeries of the ledger: a seeded mutator with everything but the key that signs it.

The forger can write to the ledger's place. It has a key of its own, whole ledgers that it signed with that, every
earlier version of this ledger, and ledgers of another project and another environment that the same key signed. The
reader has the public key and has seen the newest version once: a rollback beyond that is what `doit audit` says it
cannot prove. Whatever the reader then uses has to be what the deploys wrote.

    python -m tests.ledgerforgeries 10000 [SEED]
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from tasks.base.errors import LedgerError
from tasks.base.files import canonical_json, sha256_bytes
from tasks.ledger import chain, record, statement
from tasks.ledger.batch import Me
from tasks.ledger.identity import Identity
from tasks.ledger.keys import SigningKey
from tasks.ledger.machine import Look, Mark
from tasks.ledger.record import Change, Head, Kind, Shard
from tasks.ledger.session import Session, Trust
from tasks.ledger.storehome import HEAD, StoreHome
from tests.forgeries import MONSTERS, Outcome, main, tried

OURS, FORGERS = SigningKey(b"o" * 32), SigningKey(b"f" * 32)
PROJECT, ENVIRONMENT = "acme/infra", "prod"
STACKS = ("network", "web", "jobs/batch")
Files = dict[str, bytes]


@dataclass
class Memory:
    """A place of files in memory; the tag of a file is its digest."""

    files: Files = field(default_factory=dict)
    name: str = "memory"

    def read(self, path: str) -> tuple[bytes | None, str | None]:
        """A file."""
        data = self.files.get(path)
        return data, None if data is None else sha256_bytes(data)

    def write(self, path: str, data: bytes, *, tag: str | None = None, new: bool = False) -> str | None:
        """Replace a file."""
        del tag, new
        self.files[path] = data
        return sha256_bytes(data)

    def close(self) -> None:
        """Nothing is left open."""


def written(key: SigningKey, project: str, environment: str, mark: str) -> list[Files]:
    """A ledger as its deploys wrote it, in all its versions, the newest last."""
    memory, shards = Memory(), dict[str, Shard]()
    home = StoreHome(memory)
    head, version, versions = Head(ledger="0a" * 16, project=project, environment=environment), None, []
    for number in range(5):
        changes = [_change(stack, f"{mark}-{number}") for stack in STACKS[: number + 1]]
        if number == 0:
            changes = [Change(Kind.INIT, f"{mark}-begin", "2026-11-25T10:00:00+00:00", key=key.public.text)]
        made = chain.draft(head, shards, changes, f"{mark}-{number}", [key])
        version = home.write(version, made.head_bytes, made.blobs, made.entries)
        shards |= {name[len("shards/") : -len(".json")]: record.read_shard(data) for name, data in made.blobs.items()}
        head = made.head
        versions.append(dict(memory.files))
    return versions


def _change(stack: str, mark: str) -> Change:
    plan = sha256_bytes(f"{stack} {mark}".encode())
    receipt = {"stack": stack, "plan_sha256": plan, "outcome": "applied", "serial": 3, "commit": "a" * 40}
    outputs = {"id": {"value": mark}}
    return Change(
        Kind.DEPLOY, f"{stack} {mark}", "2026-11-25T10:00:00+00:00", stack, plan, receipt, outputs, facts={"mark": mark}
    )


@dataclass
class World:
    """A ledger that is forged, and the ledgers that the forger has."""

    versions: list[Files] = field(default_factory=lambda: written(OURS, PROJECT, ENVIRONMENT, "ours"))
    others: list[Files] = field(
        default_factory=lambda: [
            written(FORGERS, PROJECT, ENVIRONMENT, "forged")[-1],
            written(FORGERS, PROJECT, ENVIRONMENT, "ours")[-1],
            written(OURS, "acme/other", ENVIRONMENT, "ours")[-1],
            written(OURS, PROJECT, "dev", "ours")[-1],
        ]
    )
    files: Files = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin with what the deploys wrote."""
        self.files = dict(self.versions[-1])
        head, _ = record.read_head(self.files[HEAD].partition(b"\n")[2])
        self.seen = Mark.of(head)

    def read(self) -> tuple[str, str | None]:
        """What a deploy uses of the ledger, and what an audit finds in it; None if it finds that it is broken.

        Raises:
            LedgerError: It is refused.
        """
        trust, me = Trust([OURS.public]), Me("gitlab:7:42", "run", "pipeline 42")
        home = StoreHome(Memory(dict(self.files)))
        session = Session(home, me, Identity(PROJECT, ENVIRONMENT), trust, self.seen, pause=lambda _: True)
        failed = session.handle(Look())
        head = session.head
        if head is None or failed:
            raise LedgerError("; ".join(str(each) for each in failed) or "there is none")
        session.check_newest(STACKS)
        used = {name: found.model_dump() for name, found in sorted(session.all_records().items())}
        verified = session.verify()
        return repr((head, used)), None if verified.broken else repr((verified.count, verified.records))


def _name(world: World, chance: random.Random) -> str:
    return HEAD if chance.random() < 0.3 else chance.choice(sorted(world.files))


def forge_bytes(world: World, chance: random.Random) -> None:
    """Other bytes in a file."""
    name = _name(world, chance)
    data = bytearray(world.files[name])
    for _ in range(chance.choice((1, 1, 2, 8))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    world.files[name] = bytes(data)


def forge_removal(world: World, chance: random.Random) -> None:
    """A file less."""
    del world.files[_name(world, chance)]


def forge_exchange(world: World, chance: random.Random) -> None:
    """Two files in each other's place."""
    one, other = chance.sample(sorted(world.files), 2)
    world.files[one], world.files[other] = world.files[other], world.files[one]


def forge_replay(world: World, chance: random.Random) -> None:
    """Files of another ledger or of an earlier version, some or all."""
    other = chance.choice([*world.others, *world.versions[:-1]])
    names = sorted(other) if chance.random() < 0.4 else chance.sample(sorted(other), chance.randint(1, len(other)))
    world.files |= {name: other[name] for name in names}


def forge_rollback(world: World, chance: random.Random) -> None:
    """An earlier version as a whole, with or without what came after it."""
    earlier = chance.choice(world.versions[:-1])
    world.files = dict(earlier) if chance.random() < 0.5 else world.files | {HEAD: earlier[HEAD]}


def forge_monster(world: World, chance: random.Random) -> None:
    """What no parser likes, in a file's place or behind the head's first line."""
    name, monster = _name(world, chance), chance.choice(MONSTERS)
    first = world.files[name].partition(b"\n")[0]
    world.files[name] = first + b"\n" + monster if chance.random() < 0.5 else monster


def forge_links(world: World, chance: random.Random) -> None:
    """The head's first line, which is not signed: entries left out, doubled, moved, of other numbers, pages that loop."""
    line, _, head = world.files[HEAD].partition(b"\n")
    link = json.loads(line)
    entries = link["entries"]
    match chance.randrange(7):
        case 0:
            entries.pop(chance.randrange(len(entries)))
        case 1:
            entries.insert(chance.randrange(len(entries)), chance.choice(entries))
        case 2:
            entries.reverse()
        case 3:
            entries[chance.randrange(len(entries))][0] = chance.choice((-1, 0, 10**30, True, "7"))
        case 4:
            page = json.dumps({"entries": entries[:1], "before": "", "write": ""}).encode() + b"\n"
            world.files[_object(sha256_bytes(page))] = page
            link["before"] = sha256_bytes(page)
        case 5:
            link["before"] = chance.choice(("../../head", "0" * 64, "/etc/passwd", entries[0][1]))
        case _:
            entries[chance.randrange(len(entries))][1] = chance.choice(("../head", "", entries[0][1], None, []))
    world.files[HEAD] = json.dumps(link).encode() + b"\n" + head


def forge_head(world: World, chance: random.Random) -> None:
    """Another head, signed by the forger: under its own id, under ours, by both, not at all, or with its key inside."""
    line, _, data = world.files[HEAD].partition(b"\n")
    head, envelope = record.read_head(data)
    changed: dict[str, object] = chance.choice((
        {"shards": {}}, {"begun": {}, "lease": None, "recent": ()}, {"sequence": head.sequence + 1},
        {"key": FORGERS.public.text}, {"key": None}, {"first": head.sequence}, {"chain": "0" * 64},
        {"sequence": 0, "chain": ""}, {"format": 0}, {"environment": "prod "}, {"shards": dict.fromkeys(head.shards, "0" * 64)},
    ))  # fmt: skip
    other = head.model_copy(update=changed)
    forged = statement.seal(other.content(), statement.HEAD, [FORGERS])
    mine = forged.signatures[0]
    signatures = chance.choice((
        forged.signatures, (mine.model_copy(update={"keyid": OURS.public.id}),), envelope.signatures, (),
        (*envelope.signatures, mine), (mine.model_copy(update={"keyid": OURS.public.id}), *envelope.signatures),
        (mine.model_copy(update={"keyid": OURS.public.id, "sig": ""}),),
    ))  # fmt: skip
    world.files[HEAD] = line + b"\n" + forged.model_copy(update={"signatures": signatures}).to_bytes()


def forge_type(world: World, chance: random.Random) -> None:
    """A statement that our key signed, in the head's place, under the head's type or its own."""
    line, _, data = world.files[HEAD].partition(b"\n")
    entries = [found for name, found in sorted(world.files.items()) if name != HEAD and b'"payloadType"' in found]
    envelope = json.loads(chance.choice(entries))
    if chance.random() < 0.7:
        envelope["payloadType"] = statement.HEAD
    if chance.random() < 0.3:
        envelope["payload"] = json.loads(data)["payload"]
    world.files[HEAD] = line + b"\n" + canonical_json(envelope)


def forge_receipt(world: World, chance: random.Random) -> None:
    """Another receipt in a shard, under its own digest, and a head that names it, signed as the forger can."""
    line, _, data = world.files[HEAD].partition(b"\n")
    head, envelope = record.read_head(data)
    name = chance.choice(sorted(head.shards))
    shard = json.loads(world.files[_object(head.shards[name])])
    for item in shard.values():
        item["receipt"]["outcome"] = chance.choice(("applied", "failed"))
        item["receipt"]["plan_sha256"] = "f" * 64
    forged = canonical_json(shard)
    place = head.shards[name] if chance.random() < 0.5 else sha256_bytes(forged)
    world.files[_object(place)] = forged
    other = head.model_copy(update={"shards": {**head.shards, name: sha256_bytes(forged)}})
    sealed = statement.seal(other.content(), statement.HEAD, [FORGERS])
    if chance.random() < 0.5:
        sealed = sealed.model_copy(update={"signatures": envelope.signatures})
    world.files[HEAD] = line + b"\n" + sealed.to_bytes()


def forge_entry(world: World, chance: random.Random) -> None:
    """Another entry in the chain, under its own digest, so that only its signature and its place can tell."""
    line, _, head = world.files[HEAD].partition(b"\n")
    link = json.loads(line)
    at = chance.randrange(len(link["entries"]))
    envelope = json.loads(world.files[_object(link["entries"][at][1])])
    body = json.loads(base64.b64decode(envelope["payload"]))
    body["predicate"][chance.choice(("at", "stack", "record", "previous", "plan"))] = chance.choice(("web", "f" * 64))
    sealed = statement.seal(canonical_json(body), statement.STATEMENT, [FORGERS])
    if chance.random() < 0.5:
        kept = tuple(statement.Signature.model_validate(each) for each in envelope["signatures"])
        sealed = sealed.model_copy(update={"signatures": kept})
    link["entries"][at][1] = sha256_bytes(sealed.to_bytes())
    world.files[_object(link["entries"][at][1])] = sealed.to_bytes()
    world.files[HEAD] = json.dumps(link).encode() + b"\n" + head


def _object(digest: str) -> str:
    return f"objects/{digest[:2]}/{digest[2:]}"


KINDS: list[Callable[[World, random.Random], None]] = [
    forge_bytes, forge_removal, forge_exchange, forge_replay, forge_rollback, forge_monster, forge_links, forge_head,
    forge_type, forge_receipt, forge_entry,
]  # fmt: skip


def attack(count: int, seed: int = 1, *, at_first: bool = False) -> Outcome:
    """Make forgeries, and see what becomes of each; see `forgeries.attack`."""
    chance, outcome, world = random.Random(seed), Outcome(), World()  # noqa: S311 - the same in every run
    used, audited = world.read()
    while outcome.tried < count and (outcome.held or not at_first):
        kind = chance.choice(KINDS)
        kind(world, chance)
        with tried(kind.__name__, outcome, LedgerError):
            found = world.read()
            if found == (used, audited):  # it changed nothing that is read, so it has proven nothing
                outcome.tried, outcome.harmless = outcome.tried - 1, outcome.harmless + 1
            else:  # a deploy has to refuse all that an audit finds
                outcome.accepted[kind.__name__] += 1
        world.files = dict(world.versions[-1])
    return outcome


if __name__ == "__main__":
    raise SystemExit(main(attack))
