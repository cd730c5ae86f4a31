"""Forgeries of a ledger, on a branch and in a store: `doit audit` names each, and so does a deploy before it plans."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tasks.base.files import sha256_bytes
from tasks.ledger import gitobjects, record, statement
from tasks.ledger.storehome import HEAD, StoreHome
from tests.e2e.test_ledger import LEDGER, REF, Remote, remote
from tests.e2e.test_ledger_trust import KEY, STRANGER, Content, _edit, _git
from tests.ledgerforgeries import Memory
from tests.repository import resource

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.repository import Repository

__all__ = ["remote"]
_OTHER = "0b" * 16


@dataclass
class Ledger:
    """A ledger with two deploys of `c`: 5 entries. It can be forged, and be put back as it was.

    Args:
        remote: The remote.
        store: The folder of the store; None on a branch.
        signed: Whether it is signed.
        deployed: The clone that deployed.
    """

    remote: Remote
    store: Path | None
    signed: bool
    deployed: Repository

    def __post_init__(self) -> None:
        self.variables = {"DEPLOY_LEDGER_KEY": KEY.text} if self.signed else {}
        self._before = self.now() if self.store is None else ""
        self._files = {} if self.store is None else self._read(self.store)

    def now(self) -> str:
        """The newest version."""
        return self.remote.git("rev-parse", REF) if self.store is None else (self.store / HEAD).read_text()

    def content(self) -> Content:
        """What is there."""
        if self.store is None:
            return Content.of(self.remote)
        home = StoreHome(Memory(dict(self._files)))
        version = home.read()
        assert version
        head, _ = record.read_head(version.head)
        names = {record.blob_name(name): digest for name, digest in head.shards.items()}
        return Content(self.remote, version.head, home.blobs(version, names), dict(home.entries(version)))

    def put(self, content: Content, entries: list[tuple[int, bytes]]) -> None:
        """Write something else over it: a commit on top, which takes no force; a head, and objects."""
        if self.store is None:
            made = gitobjects.commit(_git(self.remote), None, content.head, content.shards, entries)
            on_top = self.remote.git("commit-tree", "-p", self._before, "-m", "x", f"{made}^{{tree}}")
            self.remote.git("update-ref", REF, on_top)
            return
        place = Memory({})
        StoreHome(place).write(None, content.head, content.shards, entries)
        self._write(self.store, place.files)

    def restore(self) -> None:
        """As it was."""
        if self.store is None:
            self.remote.git("update-ref", REF, self._before)
        else:
            self._write(self.store, self._files)

    @staticmethod
    def _read(store: Path) -> dict[str, bytes]:
        names = [path for path in store.rglob("*") if path.is_file() and not path.name.startswith(".")]
        return {path.relative_to(store).as_posix(): path.read_bytes() for path in names}

    def _write(self, store: Path, files: dict[str, bytes]) -> None:
        for path in self._read(store):
            (store / path).unlink()
        for path, data in files.items():
            (store / path).parent.mkdir(parents=True, exist_ok=True)
            (store / path).write_bytes(data)


@pytest.fixture(params=["git", "store"])
def place(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[True, False], ids=["signed", "unsigned"])
def ledger(request: pytest.FixtureRequest, remote: Remote, place: str, tmp_path: Path) -> Ledger:
    """A ledger that was begun and written by two deploys; its clone has one more change to deploy."""
    store = None if place == "git" else tmp_path / "ledgers/local/ledger"
    job = remote.clone()
    config = job.path / "config/pipeline.yaml"
    key = f", public_key: {KEY.public.text}" if request.param else ""
    kind = "kind: git" if store is None else f'kind: store, url: "{tmp_path}/ledgers"'
    config.write_text(config.read_text().replace(LEDGER, f"ledger: {{{kind}{key}}}\n"))
    job.commit("a ledger")
    variables = {"DEPLOY_LEDGER_KEY": KEY.text} if request.param else {}
    job.doit("ledger", "init", **variables)
    job.doit("deploy", **variables)
    job.write(f"stacks/c/main.tf:{resource('c2')}")
    job.commit("a change")
    remote.push(job)
    job.doit("deploy", **variables)
    job.write(f"stacks/a/main.tf:{resource('a2')}")
    job.commit("another change")
    remote.push(job)
    job.engine_calls()
    return Ledger(remote, store, request.param, job)


Entries = list[tuple[int, bytes]]


def _edited(_: Content, entries: Entries) -> None:
    entries[2] = (3, _edit(entries[2][1], commit="0" * 40))


def _last_edited(_: Content, entries: Entries) -> None:
    entries[4] = (5, _edit(entries[4][1], commit="0" * 40))


def _dropped(_: Content, entries: Entries) -> None:
    del entries[2]


def _first_dropped(_: Content, entries: Entries) -> None:
    del entries[0]


def _last_dropped(_: Content, entries: Entries) -> None:
    del entries[4]


def _reordered(_: Content, entries: Entries) -> None:
    entries[1:3] = [(2, entries[2][1]), (3, entries[1][1])]


def _inserted(_: Content, entries: Entries) -> None:
    entries[2:] = [(3, entries[1][1]), *((number + 1, data) for number, data in entries[2:])]


def _by_another_key(_: Content, entries: Entries) -> None:
    envelope = statement.read(entries[2][1], statement.STATEMENT)
    entries[2] = (3, statement.seal(envelope.content, statement.STATEMENT, [STRANGER]).to_bytes())


def _of_another(entries: Entries, **fields: str) -> None:
    envelope = statement.read(entries[2][1], statement.STATEMENT)
    body = json.loads(envelope.content)
    body["predicate"].update(fields)
    content = record.canonical_json(body)
    entries[2] = (3, statement.seal(content, statement.STATEMENT, [KEY] if envelope.signatures else []).to_bytes())


def _of_another_environment(_: Content, entries: Entries) -> None:
    _of_another(entries, environment="prod", ledger=_OTHER)


def _of_another_repository(_: Content, entries: Entries) -> None:
    _of_another(entries, project="acme/other", ledger=_OTHER)


def _chain_of_another(content: Content, **fields: str) -> None:
    head, envelope = record.read_head(content.head)
    keys = [KEY] if envelope.signatures else []
    content.head = statement.seal(head.model_copy(update=fields).content(), statement.HEAD, keys).to_bytes()


def _chain_of_another_environment(content: Content, _: Entries) -> None:
    _chain_of_another(content, environment="prod")


def _chain_of_another_repository(content: Content, _: Entries) -> None:
    _chain_of_another(content, project="acme/other")


def _receipts(content: Content, change: Callable[[dict[str, dict[str, object]]], None]) -> None:
    """Other receipts, and a head that names them; who has the key signs it."""
    name = record.blob_name(record.shard_of("c"))
    shard = json.loads(content.shards[name])
    change(shard)
    content.shards[name] = record.canonical_json(shard)
    head, envelope = record.read_head(content.head)
    digests = {**head.shards, record.shard_of("c"): sha256_bytes(content.shards[name])}
    forged = head.model_copy(update={"shards": digests}).content()
    content.head = statement.seal(forged, statement.HEAD, [KEY] if envelope.signatures else []).to_bytes()


def _receipt_without_entry(content: Content, _: Entries) -> None:
    _receipts(content, lambda shard: shard.update(new=shard["c"]))


def _receipt_changed(content: Content, _: Entries) -> None:
    _receipts(content, lambda shard: shard["c"].update(receipt={"outcome": "failed"}))


def _receipt_removed(content: Content, _: Entries) -> None:
    _receipts(content, lambda shard: shard.pop("c"))


CHANGED = "entry {} does not follow entry {}: one of them was changed or inserted"
BY_KEY = f"entry {{}} was changed, or is not signed by the key {KEY.public.id}"
# The forgery, what is said of it in a signed ledger, and in one that is not signed if that is something else.
FORGERIES: list[tuple[Callable[[Content, Entries], None], str, str]] = [
    (_edited, BY_KEY.format(3), CHANGED.format(4, 3)),
    (_last_edited, BY_KEY.format(5), "entry 5 was changed or replaced: the head has another digest"),
    (_dropped, "entry 3 is missing: 4 follows 2", ""),
    (_first_dropped, "entry 1 is missing: 2 follows 0", ""),
    (_last_dropped, "entry 5 is missing: the head is at 5", ""),
    (_reordered, "entry 2 is numbered 3: entries were reordered", ""),
    (_inserted, "entry 3 is numbered 2: entries were reordered", ""),
    (_by_another_key, f"not signed by the key {KEY.public.id} (it names {STRANGER.public.id})",
     "entry 3 is signed, but the ledger has no key"),
    (_of_another_environment, "entry 3 belongs to another ledger: ", ""),
    (_of_another_repository, "entry 3 belongs to another ledger: acme/other", ""),
    (_chain_of_another_environment, "it is the ledger of environment 'prod', not of 'local'", ""),
    (_chain_of_another_repository, "it is the ledger of 'acme/other'", ""),
    (_receipt_without_entry, "the receipt of new has no entry", ""),
    (_receipt_changed, "the receipt of c is not the one that entry 5 records", ""),
    (_receipt_removed, "the receipt of c is missing", ""),
]  # fmt: skip


def refused(ledger: Ledger, what: str, name: str) -> None:
    """A deploy on a fresh clone and on the one that deployed before plans nothing; an audit on both says the same."""
    before = ledger.now()
    for job in (ledger.remote.clone(), ledger.deployed):
        done = job.doit("deploy", code=1, **ledger.variables)
        said = " ".join(done.out.split())
        assert what in said, f"{name}: {done.out}"
        assert "untouched: nothing was planned or applied" in said, f"{name}: {done.out}"
        assert job.engine_calls() == [], name
        assert what in " ".join(job.doit("audit", code=1, **ledger.variables).out.split()), name
    assert ledger.now() == before, name


def test_each_forgery_is_named_by_an_audit_and_by_a_deploy(ledger: Ledger) -> None:
    for forge, signed, unsigned in FORGERIES:
        content = ledger.content()
        entries = sorted(content.entries.items())
        assert [number for number, _ in entries] == [1, 2, 3, 4, 5]
        forge(content, entries)
        ledger.put(content, entries)
        refused(ledger, signed if ledger.signed or not unsigned else unsigned, forge.__name__)
        ledger.restore()
    ledger.remote.clone().doit("audit")
    ledger.deployed.doit("deploy", **ledger.variables)
    assert "intact: 7 events" in ledger.remote.clone().doit("audit").out


@pytest.mark.parametrize("place", ["store"])
def test_a_file_of_a_store_that_is_deleted_or_damaged_is_named(ledger: Ledger) -> None:
    assert ledger.store
    digest = sha256_bytes(ledger.content().entries[3])
    path = ledger.store / "objects" / digest[:2] / digest[2:]
    path.unlink()
    refused(ledger, "has no entry 3, which its head names", "deleted")
    path.write_bytes(b"{}")
    refused(ledger, "does not match the digest in its head", "damaged")
    ledger.restore()
    ledger.deployed.doit("deploy", **ledger.variables)


@pytest.mark.parametrize("place", ["git"])
def test_a_lease_alone_hides_no_forged_entry(ledger: Ledger) -> None:
    """The newest commit adds no entry: a job that died has left its lease."""
    content = ledger.content()
    head, envelope = record.read_head(content.head)
    lease = record.Lease(holder="gitlab:7:1", run="1", label="pipeline 1", since="2026-11-27T10:00:00+00:00")
    forged = head.model_copy(update={"lease": lease}).content()
    content.head = statement.seal(forged, statement.HEAD, [KEY] if envelope.signatures else []).to_bytes()
    entries = sorted(content.entries.items())
    del entries[4]
    ledger.put(content, entries)
    refused(ledger, "entry 5 is missing: the head is at 5", "the newest one")


@pytest.mark.parametrize("place", ["git"])
@pytest.mark.parametrize("ledger", [False], indirect=True, ids=["unsigned"])
def test_a_head_that_claims_to_be_older_hides_no_forged_receipt(ledger: Ledger) -> None:
    """Without a key, anybody can write a head by which its version need not hold the entries."""
    for fields in ({"kept": 6}, {"kept": 0, "format": 2}):
        content = ledger.content()
        _receipt_changed(content, [])
        head, _ = record.read_head(content.head)
        content.head = statement.seal(head.model_copy(update=fields).content(), statement.HEAD, []).to_bytes()
        ledger.put(content, [])
        refused(ledger, "the receipt of c is not the one that entry 5 records", str(fields))
        ledger.restore()


@pytest.mark.parametrize("ledger", [False], indirect=True, ids=["unsigned"])
def test_a_chain_that_was_written_anew_is_named_where_it_was_seen(ledger: Ledger) -> None:
    """Without a key, whoever may write can write all of it; a machine that has seen it knows one of its entries."""
    content = ledger.content()
    entries, previous = list[tuple[int, bytes]](), ""
    for number, data in sorted(content.entries.items()):
        body = json.loads(statement.read(data, statement.STATEMENT).content)
        body["predicate"] |= {"previous": previous, "at": "2026-11-27T10:00:00+00:00"}
        sealed = statement.seal(record.canonical_json(body), statement.STATEMENT, []).to_bytes()
        entries.append((number, sealed))
        previous = sha256_bytes(sealed)
    body = json.loads(statement.read(entries[-1][1], statement.STATEMENT).content)
    body["predicate"] |= {"sequence": 6, "previous": previous, "kind": "verify", "record": None, "stack": None}
    entries.append((6, statement.seal(record.canonical_json(body), statement.STATEMENT, []).to_bytes()))
    head, _ = record.read_head(content.head)
    forged = head.model_copy(update={"sequence": 6, "chain": sha256_bytes(entries[-1][1])}).content()
    content.head = statement.seal(forged, statement.HEAD, []).to_bytes()
    ledger.put(content, entries)
    what = "entry 5 is not the one that this machine has seen: it was changed or replaced"
    for command in ("deploy", "audit"):
        assert what in " ".join(ledger.deployed.doit(command, code=1).out.split())
