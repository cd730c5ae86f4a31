"""Forgeries of the observations: a seeded mutator with everything but the key that signs them.

The forger can write to their place, and has a key of its own, observations that it signed with that, every earlier
version of these, those of another project and another environment that the same key signed, and the ledger's head,
which another key signed. What is read has to be a version that a run wrote: observations remember no order, so an
earlier one is read as what it is (docs/ledger.md).

    python -m tests.observationforgeries 10000 [SEED]
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from tasks.base.errors import LedgerError
from tasks.base.files import canonical_json
from tasks.ledger import statement
from tasks.ledger.identity import Identity
from tasks.ledger.keys import SigningKey
from tasks.ledger.observations import Incident, Update
from tasks.ledger.observer import KIND, Observer
from tasks.ledger.session import Trust
from tasks.ledger.storehome import HEAD, StoreHome
from tests import ledgerforgeries
from tests.forgeries import MONSTERS, Outcome, main, tried
from tests.ledgerforgeries import ENVIRONMENT, PROJECT, Files, Memory

OURS, FORGERS = SigningKey(b"w" * 32), SigningKey(b"f" * 32)
_TOLD = Incident(event="drift", stack="web", stage="drift", command="drift", kind="drift", fingerprint="f1",
                 since="2026-11-23T06:00:00Z", told="2026-11-23T06:00:00Z")  # fmt: skip


def written(key: SigningKey, project: str, environment: str, mark: str) -> list[Files]:
    """Observations as runs wrote them, in all their versions, the newest last."""
    memory, versions = Memory(), []
    observer = Observer(
        StoreHome(memory), Identity(project, environment), mark, Trust([key.public], [key]), lambda _: True
    )
    for day in (23, 24, 25):
        at = f"2026-11-{day}T06:00:00Z"
        noted = {"chat": {f"{mark}-{day}": _TOLD}}
        observer.write(Update(at, mark, {"web": {"a": f"{mark}{day}"}, "network": {}}, noted=noted))
        versions.append(dict(memory.files))
    return versions


@dataclass
class World:
    """Observations that are forged, and what the forger has."""

    versions: list[Files] = field(default_factory=lambda: written(OURS, PROJECT, ENVIRONMENT, "ours"))
    others: list[Files] = field(
        default_factory=lambda: [
            written(FORGERS, PROJECT, ENVIRONMENT, "ours")[-1],
            written(OURS, "acme/other", ENVIRONMENT, "ours")[-1],
            written(OURS, PROJECT, "dev", "ours")[-1],
            ledgerforgeries.written(OURS, PROJECT, ENVIRONMENT, "ours")[-1],
        ]
    )
    files: Files = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin with what the runs wrote."""
        self.own = []
        for version in self.versions:
            self.files = dict(version)
            self.own.append(self.read())

    def read(self) -> str:
        """What a run uses of them.

        Raises:
            LedgerError: They are refused.
        """
        home = StoreHome(Memory(dict(self.files)))
        found = Observer(home, Identity(PROJECT, ENVIRONMENT), "run", Trust([OURS.public])).read()
        return repr(found) if found.writes else ""

    def envelope(self) -> bytes:
        """The signed document."""
        return self.files[HEAD].partition(b"\n")[2]

    def put(self, document: bytes) -> None:
        """Replace the signed document."""
        self.files[HEAD] = self.files[HEAD].partition(b"\n")[0] + b"\n" + document


def forge_bytes(world: World, chance: random.Random) -> None:
    """Other bytes in the document."""
    data = bytearray(world.files[HEAD])
    for _ in range(chance.choice((1, 1, 2, 8))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    world.files[HEAD] = bytes(data)


def forge_replay(world: World, chance: random.Random) -> None:
    """Those of another key, project or environment, or an earlier version."""
    world.files = dict(chance.choice([*world.others, *world.versions[:-1]]))


def forge_monster(world: World, chance: random.Random) -> None:
    """What no parser likes."""
    monster = chance.choice(MONSTERS)
    if chance.random() < 0.5:
        world.files[HEAD] = monster
    else:
        world.put(monster)


def forge_content(world: World, chance: random.Random) -> None:
    """Another content, signed by the forger: under its own id, under ours, by both, or not at all."""
    envelope = statement.read(world.envelope(), KIND)
    content = json.loads(envelope.content)
    content |= chance.choice((
        {"stacks": {}}, {"channels": {}}, {"writes": 10**6}, {"writes": -1}, {"format": 0}, {"project": "acme/other"},
        {"stacks": {"web": {"at": "2099-01-01T00:00:00Z", "drifts": {}}}}, {"environment": "prod "}, {"more": 1},
    ))  # fmt: skip
    forged = statement.seal(canonical_json(content), KIND, [FORGERS])
    mine, ours = forged.signatures[0], envelope.signatures
    as_ours = mine.model_copy(update={"keyid": OURS.public.id})
    signatures = chance.choice(
        (
            forged.signatures,
            (as_ours,),
            ours,
            (),
            (*ours, mine),
            (as_ours, *ours),
            (ours[0].model_copy(update={"sig": ""}),),
        )
    )
    world.put(forged.model_copy(update={"signatures": signatures}).to_bytes())


def forge_type(world: World, chance: random.Random) -> None:
    """A document of another kind that our key signed, under its own type or that of observations."""
    other = json.loads(world.others[-1][HEAD].partition(b"\n")[2])
    own = json.loads(world.envelope())
    if chance.random() < 0.7:
        other["payloadType"] = KIND
    if chance.random() < 0.3:
        other["signatures"] = own["signatures"]
    world.put(canonical_json(other))


KINDS: list[Callable[[World, random.Random], None]] = [
    forge_bytes, forge_replay, forge_monster, forge_content, forge_type,
]  # fmt: skip


def attack(count: int, seed: int = 1, *, at_first: bool = False) -> Outcome:
    """Make forgeries, and see what becomes of each; see `forgeries.attack`."""
    chance, outcome, world = random.Random(seed), Outcome(), World()  # noqa: S311 - the same in every run
    while outcome.tried < count and (outcome.held or not at_first):
        kind = chance.choice(KINDS)
        kind(world, chance)
        with tried(kind.__name__, outcome, LedgerError):
            if world.read() in world.own:
                outcome.harmless += 1
            else:
                outcome.accepted[kind.__name__] += 1
        world.files = dict(world.versions[-1])
    return outcome


if __name__ == "__main__":
    raise SystemExit(main(attack))
