"""Forgeries of what passes between jobs: a seeded mutator with all that a merge request's job holds.

The forger holds the passphrase that encrypts states, the review's key, folders that a merge request's job signed with
them, the folder of an earlier pipeline of the protected branch and the one of another project, both as their jobs left
them. It does not hold the artifact's key. Every change that it makes to the folder of a pipeline has to be refused.

    python -m tests.forgeries 10000 [SEED]
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.artifact import folder, index
from tasks.artifact.index import Origin
from tasks.base.errors import FolderRefusedError
from tasks.base.files import sha256_bytes
from tasks.base.layout import Layout
from tasks.project.config import keyring, signer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tasks.project.config.signer import Signer

STACKS = ("network", "web", "jobs/batch")
COMMIT, EARLIER = "a" * 40, "b" * 40
HERE = Origin("gitlab.example.com/1", "prod", COMMIT, "42")
LONGEST = 5.0  # seconds for one forgery: more is a hang
MONSTERS = (b"", b"\0" * 64, b"[" * 100_000, b"\xff\xfe{}", b'{"a":' * 5_000, b"1" * 10_000, b"\n" * 9)


def artifact_key() -> Signer:
    """The key that the forger does not hold."""
    os.environ["FORGERIES_KEY"] = base64.b64encode(hashlib.sha256(b"the artifact's key").digest()).decode()
    found = signer.read("FORGERIES_KEY", "artifact")
    assert found is not None
    return found


@dataclass
class World:
    """The folder of a pipeline as its jobs left it, and what the forger has."""

    root: Path
    key: Signer = field(default_factory=artifact_key)
    passphrase: Signer = field(
        default_factory=lambda: keyring.derive("DEPLOY_ENCRYPTION_KEY", "known to all who review")
    )

    @property
    def layout(self) -> Layout:
        """The folder that is forged."""
        return Layout(self.root / "here", HERE.environment)

    def make(self) -> None:
        """Make all folders."""
        fill(self.layout, self.key, HERE, "now")
        for name, key, origin in (
            ("review", self.passphrase, Origin(HERE.project, "prod", "c" * 40, "43")),
            ("same", self.passphrase, HERE),
            ("earlier", self.key, Origin(HERE.project, "prod", EARLIER, "41")),
            ("project", self.key, Origin("gitlab.example.com/2", "prod", COMMIT, "42")),
            ("environment", self.key, Origin(HERE.project, "dev", COMMIT, "42")),
        ):
            fill(Layout(self.root / name, HERE.environment), key, origin, name)

    def others(self) -> list[Layout]:
        """The folders that the forger has."""
        names = ("review", "same", "earlier", "project", "environment")
        return [Layout(self.root / name, HERE.environment) for name in names]

    def verify(self) -> dict[str, str]:
        """What the job does that receives the folder; returns the files that it then uses, by content.

        Raises:
            FolderRefusedError: It refuses it.
        """
        return folder.verify(self.layout, [self.key], HERE).files


def fill(layout: Layout, key: Signer, origin: Origin, mark: str) -> None:
    """What the jobs of a pipeline leave: plans of two jobs, and what was deployed before them."""
    for number, stacks in enumerate((STACKS[:2], STACKS[2:])):
        writer = index.Writer(layout.indexes / f"job-{number}.jsonl", key, origin, {})
        layout.watch.listener = lambda files, _, to=writer: to.announce(files, durable=False)
        for stack in stacks:
            content = f"plan of {stack}, {mark}".encode()
            folder.announce(layout, {layout.plan(stack): sha256_bytes(content)})
            layout.plan(stack).parent.mkdir(parents=True, exist_ok=True)
            layout.plan(stack).write_bytes(content)
            record = {"stack": stack, "origin": "plan", "serial": 3, "mocked": [], "dirty": False, "mark": mark}
            folder.keep(layout, layout.manifest(stack), record, durable=False)
            folder.keep(layout, layout.plan_json(stack), {"changes": [mark]}, durable=False)
            folder.keep(layout, layout.receipt(stack), {"outcome": "applied", "mark": mark}, durable=False)
            folder.keep(layout, layout.outputs(stack), {"outputs": {"id": {"value": mark}}}, durable=False)
            folder.keep(layout, layout.result("plan", stack), {"status": "ok", "mark": mark}, durable=False)
        folder.keep(layout, layout.image(f"image{number}"), {"digest": f"sha256:{mark}"}, durable=False)
        folder.keep(layout, layout.hook("deploy", stacks[0]), {"stage": "deploy"}, durable=False)
        folder.keep(layout, layout.build(f"build{number}"), {"outputs": mark}, durable=False)
        writer.end()
        layout.watch.listener = None
    kept = {name: digest for name, digest in folder_files(layout).items() if folder.is_remembered(name)}
    index.Writer(layout.memory, key, origin, kept).end()


def _files(layout: Layout, kinds: str = "") -> list[Path]:
    found = [path for path in sorted((layout.root / ".deploy").rglob("*")) if path.is_file()]
    return [path for path in found if kinds in path.as_posix()]


def _target(world: World, chance: random.Random) -> Path:
    return chance.choice(_files(world.layout))


def forge_bytes(world: World, chance: random.Random) -> None:
    """Other bytes somewhere in a file."""
    path = _target(world, chance)
    data = bytearray(path.read_bytes())
    for _ in range(chance.choice((1, 1, 2, 8))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def forge_value(world: World, chance: random.Random) -> None:
    """Another value in a JSON file, or in a line of an index, which stays JSON."""
    path = _target(world, chance)
    text = path.read_text()
    words = ["ok", "applied", "plan", "3", "false", "now", "prod", COMMIT, "42", "job-0.jsonl", "null"]
    known = [word for word in words if word in text] or [text[:1]]
    path.write_text(
        text.replace(chance.choice(known), chance.choice((*words, "deploy", "failed", "true", "[]")), 1) + " "
    )


def forge_removal(world: World, chance: random.Random) -> None:
    """A file less; results and builds that are missing make a run fail by themselves."""
    _target_of(world, chance, ("plans/", "receipts/", "outputs/", "images/", "hooks/", "index/")).unlink()


def _target_of(world: World, chance: random.Random, kinds: tuple[str, ...]) -> Path:
    base = world.layout.base
    return chance.choice(
        [path for path in _files(world.layout) if path.as_posix()[len(f"{base}/") :].startswith(kinds)]
    )


def forge_addition(world: World, chance: random.Random) -> None:
    """A file more, of one's own or of another folder."""
    layout = world.layout
    name = chance.choice(("receipts/new.json", "outputs/new.json", "plans/new/plan.tfplan", "plans/web/claim.json",
                          "results/deploy/web.json", "images/new.json", "ci/before/receipts/web.json", "notified.json",
                          "secrets.json", "hooks/deploy/web.json", "new", "plans/new/manifest.json"))  # fmt: skip
    path = layout.base / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(chance.choice(_files(chance.choice(world.others()))).read_bytes())


def forge_exchange(world: World, chance: random.Random) -> None:
    """Two files in each other's place."""
    one, other = chance.sample(_files(world.layout), 2)
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second if second != first else first + b" ")
    other.write_bytes(first)


def forge_replay(world: World, chance: random.Random) -> None:
    """Files of another folder in the place of these, some or all, with or without their indexes."""
    other = chance.choice(world.others())
    names = [path.relative_to(other.root) for path in _files(other)]
    chosen = names if chance.random() < 0.3 else chance.sample(names, chance.randint(1, len(names)))
    kept = {}
    for name in chosen:
        data = (other.root / name).read_bytes()
        kept[name] = (world.layout.root / name).read_bytes() != data
        (world.layout.root / name).write_bytes(data)
    if not any(kept.values()):
        forge_bytes(world, chance)


def forge_index(world: World, chance: random.Random) -> None:
    """Lines of an index left out, doubled, moved, cut, or of another index."""
    path = chance.choice(_files(world.layout, "/index/"))
    lines = path.read_bytes().splitlines(keepends=True)
    before = list(lines)
    while lines == before:
        match chance.randrange(6):
            case 0:
                del lines[chance.randrange(len(lines))]
            case 1:
                lines.insert(chance.randrange(len(lines) + 1), chance.choice(lines))
            case 2:
                chance.shuffle(lines)
            case 3:
                lines = lines[: chance.randrange(len(lines))]
            case 4:
                other = (
                    chance.choice(_files(chance.choice(world.others()), "/index/"))
                    .read_bytes()
                    .splitlines(keepends=True)
                )
                lines[chance.randrange(len(lines))] = chance.choice(other)
            case _:
                lines[-1] = lines[-1][: chance.randrange(len(lines[-1]))]
    path.write_bytes(b"".join(lines))


def forge_signature(world: World, chance: random.Random) -> None:
    """The whole index made again with a key that the forger has, perhaps under the other one's fingerprint."""
    path = chance.choice(_files(world.layout, "/index/"))
    files = folder_files(world.layout)
    base = world.passphrase if chance.random() < 0.5 else signer.Signer("X", "0" * 8, chance.randbytes(32))
    fingerprint = world.key.fingerprint if chance.random() < 0.7 else base.fingerprint
    path.unlink()
    receipt = world.layout.receipt("web")
    receipt.write_text('{"outcome": "applied", "mark": "forged"}')
    files["receipts/web.json"] = sha256_bytes(receipt.read_bytes())
    index.Writer(path, signer.Signer("X", fingerprint, base.signature), HERE, files).end()


def folder_files(layout: Layout) -> dict[str, str]:
    """The digests of all files of the environment's folder but the indexes."""
    base, deploy = layout.base, layout.root / ".deploy"
    found = {path.relative_to(base).as_posix(): path for path in base.rglob("*") if path.suffix != ".jsonl"}
    found |= {path.relative_to(deploy).as_posix(): path for path in (deploy / ".builds").rglob("*.json")}
    return {name: sha256_bytes(path.read_bytes()) for name, path in sorted(found.items()) if path.is_file()}


def forge_memory(world: World, chance: random.Random) -> None:
    """A cache's index of another folder, or another index in its place, with a receipt that goes with it."""
    other, layout = chance.choice(world.others()), world.layout
    target = chance.choice((layout.memory, layout.before / "memory.jsonl"))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(chance.choice((*_files(other, "/index/"), other.memory)).read_bytes())
    shutil.copyfile(other.receipt("web"), layout.receipt("web"))


def forge_kind(world: World, chance: random.Random) -> None:
    """Something else where a file was: a link, a pipe, a folder."""
    path = _target_of(world, chance, ("plans/", "receipts/", "outputs/", "images/", "hooks/", "index/", "results/"))
    match chance.randrange(4):
        case 0:
            kept = path.with_name("aside")
            path.rename(kept)
            path.symlink_to(kept)
        case 1:
            path.unlink()
            path.symlink_to("/dev/zero")
        case 2:
            path.unlink()
            os.mkfifo(path)
        case _:
            path.unlink()
            path.mkdir()
            (path / "file").write_text("x")


def forge_monster(world: World, chance: random.Random) -> None:
    """What no parser likes, in a file's place or within a line of an index."""
    path = _target(world, chance)
    monster = chance.choice(MONSTERS)
    path.write_bytes(path.read_bytes().partition(b"\n")[0] + b"\n" + monster if chance.random() < 0.5 else monster)


@dataclass
class Outcome:
    """What became of the forgeries; `accepted`, `crashed` and `hung` name the kinds.

    `harmless` ones were not refused, and every file that decides is as the jobs left it: what was exchanged is a
    cache's list of files that are not there.
    """

    tried: int = 0
    harmless: int = 0
    accepted: Counter[str] = field(default_factory=Counter)
    crashed: Counter[str] = field(default_factory=Counter)
    hung: Counter[str] = field(default_factory=Counter)

    @property
    def held(self) -> bool:
        """Whether every one was refused, by name and in time."""
        return not (self.accepted or self.crashed or self.hung)


def attack(count: int, seed: int = 1, *, at_first: bool = False) -> Outcome:
    """Make forgeries, and see what becomes of each.

    Args:
        count: How many.
        seed: The same one makes the same forgeries.
        at_first: Whether to stop at the first one that is not refused.
    """
    chance, outcome = random.Random(seed), Outcome()  # noqa: S311 - the same in every run
    memory = Path("/dev/shm")  # folders are copied thousands of times
    with tempfile.TemporaryDirectory(prefix="forgeries-", dir=memory if memory.is_dir() else None) as place:
        world = World(Path(place))
        world.make()
        left = world.verify()
        pristine = Path(place, "here.kept")
        shutil.copytree(world.root / "here", pristine)
        kinds = [value for name, value in sorted(globals().items()) if name.startswith("forge_")]
        while outcome.tried < count and (outcome.held or not at_first):
            kind = chance.choice(kinds)
            kind(world, chance)
            _try(world, kind.__name__, left, outcome)
            shutil.rmtree(world.root / "here")
            shutil.copytree(pristine, world.root / "here")
    return outcome


def _try(world: World, kind: str, left: dict[str, str], outcome: Outcome) -> None:
    with tried(kind, outcome, FolderRefusedError):
        if world.verify() == left:
            outcome.harmless += 1
        else:
            outcome.accepted[kind] += 1


@contextmanager
def tried(kind: str, outcome: Outcome, refused: type[Exception]) -> Iterator[None]:
    """Count one forgery: what is `refused` held, any other error crashed."""
    began = time.monotonic()
    outcome.tried += 1
    try:
        yield
    except refused:
        pass
    except Exception as error:  # noqa: BLE001 - what is counted
        outcome.crashed[f"{kind}: {type(error).__name__}"] += 1
    if time.monotonic() - began > LONGEST:
        outcome.hung[kind] += 1


def main(attack: Callable[[int, int], Outcome]) -> int:
    """Run forgeries from the command line: how many, and a seed; returns the exit code."""
    count, seed = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000, int(sys.argv[2]) if len(sys.argv) > 2 else 1
    began = time.monotonic()
    outcome = attack(count, seed)
    summary = {name: dict(getattr(outcome, name)) for name in ("accepted", "crashed", "hung")}
    summary["harmless"] = outcome.harmless
    print(f"{outcome.tried} forgeries in {time.monotonic() - began:.0f} s, seed {seed}: {json.dumps(summary)}")
    return 0 if outcome.held else 1


if __name__ == "__main__":
    raise SystemExit(main(attack))
