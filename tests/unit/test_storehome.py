"""A ledger in a place of files: a folder, a server with ETags, an S3 bucket; and what each of them may do wrong."""

from __future__ import annotations

import threading
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from tasks.base.objects.bucket import Bucket
from tasks.base.objects.folder import Folder
from tasks.base.objects.web import Web
from tasks.ledger import storehome
from tasks.ledger.home import (
    KEPT,
    BrokenError,
    DeniedError,
    HomeError,
    MovedError,
    UnconditionalError,
    UnreachableError,
    Version,
)
from tasks.ledger.storehome import StoreHome
from tests.ledgerforgeries import Memory
from tests.servers.azurite import ACCOUNT, KEY, Azurite
from tests.servers.fileserver import TOKEN, FileServer
from tests.servers.objectstore import ACCESS_KEY, SECRET_KEY, ObjectStore
from tests.servers.web import Server, answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tasks.base.objects.place import Place

BLOBS = {"shards/00.json": b"{}", "shards/3f.json": b'{"web": "\xff\x00\n"}'}


@pytest.fixture(scope="module")
def object_store() -> Iterator[ObjectStore]:
    store = ObjectStore()
    yield store
    store.stop()


@pytest.fixture
def server() -> Iterator[FileServer]:
    server = FileServer()
    yield server
    server.stop()


def web(server: FileServer, token: str = TOKEN) -> Web:
    return Web(server.url, "Authorization", token, 5, time.sleep, once=True)


@pytest.fixture
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)


@pytest.fixture
def bucket(object_store: ObjectStore, _credentials: None, request: pytest.FixtureRequest) -> Callable[[], Bucket]:
    name = f"ledger-{abs(hash(request.node.name))}"
    object_store.create(name)
    return lambda: Bucket(f"s3://{name}/pre/fix", object_store.url, 5, once=True)


@pytest.fixture(scope="module")
def azurite() -> Iterator[Azurite]:
    server = Azurite()
    yield server
    server.stop()


@pytest.fixture
def azure(azurite: Azurite, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Callable[[], Bucket]:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
    name = f"ledger-{abs(hash(request.node.name))}"
    azurite.create(name)
    return lambda: Bucket(f"az://{name}/pre/fix", azurite.url, 5, once=True)


@pytest.fixture(params=["folder", "web", "bucket", "azure"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], StoreHome]:
    """Opens the same place, as another machine would."""
    places: dict[str, Callable[[], Place]] = {"folder": lambda: Folder(tmp_path / "ledger", durable=True)}
    if request.param == "web":
        server = request.getfixturevalue("server")
        places["web"] = lambda: web(server)
    if request.param == "bucket":
        places["bucket"] = request.getfixturevalue("bucket")
    if request.param == "azure":
        places["azure"] = request.getfixturevalue("azure")
    return lambda: StoreHome(places[request.param]())


def digests(blobs: dict[str, bytes]) -> dict[str, str]:
    return {name: sha256(content).hexdigest() for name, content in blobs.items()}


def test_no_ledger_is_none(home: Callable[[], StoreHome]) -> None:
    assert home().read() is None


def test_what_was_written_is_read_elsewhere(home: Callable[[], StoreHome]) -> None:
    written = home().write(None, b"head\n1", BLOBS, [(1, b"entry 1")])
    other = home()
    version = other.read()
    assert version == written
    assert version.head == b"head\n1"
    assert other.blobs(version, digests(BLOBS)) == BLOBS
    assert list(other.entries(version)) == [(1, b"entry 1")]


def test_of_two_writers_one_wins_and_the_losers_entry_is_not_read(home: Callable[[], StoreHome]) -> None:
    one, two = home(), home()
    base = one.write(None, b"head", {}, [(1, b"first")])
    won = one.write(base, b"same", {}, [(2, b"the winner's")])
    with pytest.raises(MovedError):
        two.write(base, b"same", {}, [(2, b"the loser's")])
    assert two.read() == won
    assert list(two.entries(won)) == [(1, b"first"), (2, b"the winner's")]


def test_of_two_that_begin_it_one_wins(home: Callable[[], StoreHome]) -> None:
    home().write(None, b"same", {}, [])
    with pytest.raises(MovedError):
        home().write(None, b"same", {}, [])


def test_the_same_head_twice_is_two_versions(home: Callable[[], StoreHome]) -> None:
    one = home()
    base = one.write(None, b"same", {}, [])
    one.write(base, b"same", {}, [])
    with pytest.raises(MovedError):
        home().write(base, b"same", {}, [])


def test_racing_writers_exactly_one_wins_each_round(home: Callable[[], StoreHome]) -> None:
    homes = [home() for _ in range(4)]
    base: Version | None = None
    for number in range(1, 6):
        outcomes: list[Version | None] = []
        start = threading.Barrier(len(homes))

        def race(
            writer: StoreHome, base: Version | None = base, start: threading.Barrier = start, number: int = number,
            outcomes: list[Version | None] = outcomes,
        ) -> None:  # fmt: skip
            start.wait()
            try:
                outcomes.append(writer.write(base, b"same", {}, [(number, b"%d" % number)]))
            except MovedError:
                outcomes.append(None)

        threads = [threading.Thread(target=race, args=(writer,)) for writer in homes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(outcomes) == len(homes)
        [base] = [outcome for outcome in outcomes if outcome]
        assert homes[0].read() == base
    assert base
    assert list(homes[1].entries(base)) == [(number, b"%d" % number) for number in range(1, 6)]


def test_many_entries_are_found_through_pages(home: Callable[[], StoreHome]) -> None:
    writer = home()
    version = writer.write(None, b"head", {}, [(1, b"1")])
    for first in range(2, 302, 30):
        version = writer.write(version, b"head", {}, [(number, b"%d" % number) for number in range(first, first + 30)])
    assert len(version.token) < 10_000
    assert list(home().entries(version)) == [(number, b"%d" % number) for number in range(1, 302)]
    assert [number for number, _ in home().entries(version, after=64)] == list(range(65, 302))
    assert [number for number, _ in home().entries(version, after=299)] == [300, 301]


class _Slow(Folder):
    """A folder that takes its time, and counts what is read at once and in all."""

    now, most, reads = 0, 0, 0
    lock = threading.Lock()

    def read(self, path: str) -> tuple[bytes | None, str | None]:
        """The file, after a while."""
        with self.lock:
            self.now, self.reads = self.now + 1, self.reads + 1
            self.most = max(self.most, self.now)
        time.sleep(0.002)
        found = super().read(path)
        with self.lock:
            self.now -= 1
        return found


def test_entries_are_read_sixteen_at_a_time_and_only_some_ahead(tmp_path: Path) -> None:
    written = [(number, b"entry %d" % number) for number in range(1, 301)]
    StoreHome(Folder(tmp_path, durable=False)).write(None, b"head", {}, written)
    place = _Slow(tmp_path, durable=False)
    slow = StoreHome(place)
    version = slow.read()
    assert version is not None
    entries = slow.entries(version)
    next(entries)
    assert place.reads < 64
    assert [(1, b"entry 1"), *entries] == written
    assert place.most == 16
    (tmp_path / "objects" / (digest := sha256(b"entry 200").hexdigest())[:2] / digest[2:]).unlink()
    found = []
    with pytest.raises(BrokenError, match="has no entry 200, which its head names"):
        found.extend(slow.entries(version))


def test_old_entries_are_dropped_and_the_others_stay(home: Callable[[], StoreHome]) -> None:
    first = home()
    version = first.write(None, b"head 0", {"shards/3f.json": b"{}"}, [(1, b"entry 1")])
    for number in range(2, 201):
        version = first.write(version, b"head", {}, [(number, b"entry %d" % number)])
    dropped = home().drop(version, 150)
    assert dropped.head == b"head"
    found = home().read()
    assert found is not None
    assert [number for number, _ in home().entries(found)] == [*range(150, 201)]
    assert dict(home().entries(found))[150] == b"entry 150"
    assert home().blobs(found, digests({"shards/3f.json": b"{}"})) == {"shards/3f.json": b"{}"}
    following = home().write(found, b"head", {}, [(201, b"entry 201")])
    assert [number for number, _ in home().entries(following, 198)] == [199, 200, 201]
    with pytest.raises(MovedError):
        home().write(version, b"head", {}, [(201, b"late")])
    with pytest.raises(UnreachableError, match="was written while it was read"):  # and not: it is broken
        list(home().entries(version))


def test_one_write_of_many_entries(home: Callable[[], StoreHome]) -> None:
    version = home().write(None, b"head", {}, [(number, b"%d" % number) for number in range(1, 201)])
    assert [number for number, _ in home().entries(version)] == list(range(1, 201))


def test_a_blob_that_is_missing_is_broken(home: Callable[[], StoreHome]) -> None:
    version = home().write(None, b"head", BLOBS, [])
    with pytest.raises(BrokenError, match=r"has no shards/77\.json"):
        home().blobs(version, {"shards/77.json": "ab" * 32})


def test_probe_writes_and_is_refused(home: Callable[[], StoreHome]) -> None:
    version = home().write(None, b"head", BLOBS, [(1, b"entry")])
    after = home().probe(version)
    assert home().read() == after
    assert after.head == b"head"
    assert list(home().entries(after)) == [(1, b"entry")]


def test_a_blob_that_somebody_changed_is_broken(tmp_path: Path) -> None:
    home = StoreHome(Folder(tmp_path))
    version = home.write(None, b"head", BLOBS, [])
    digest = sha256(b"{}").hexdigest()
    (tmp_path / "objects" / digest[:2] / digest[2:]).write_bytes(b"other")
    with pytest.raises(BrokenError, match="does not match the digest"):
        home.blobs(version, digests(BLOBS))


@pytest.mark.parametrize("content", [b"", b"no ledger", b"no ledger\n", b'{"entries": 1, "before": 2}\nhead'])
def test_what_is_no_ledger_is_broken(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "head").write_bytes(content)
    with pytest.raises(BrokenError, match="it is not a ledger"):
        StoreHome(Folder(tmp_path)).read()


def test_a_server_that_ignores_conditions_is_found_out(server: FileServer) -> None:
    server.conditions = False
    home = StoreHome(web(server))
    version = home.write(None, b"head", {}, [])
    with pytest.raises(UnconditionalError, match="no longer there"):
        home.probe(version)
    assert home.read() is not None


@pytest.mark.parametrize("status", [401, 403])
def test_a_server_that_refuses(server: FileServer, status: int) -> None:
    server.faults.append((status, {}))
    with pytest.raises(DeniedError, match=str(status)):
        StoreHome(web(server)).read()
    with pytest.raises(DeniedError) as caught:
        StoreHome(web(server, "wrong-token-4471")).write(None, b"head", {}, [])
    assert "wrong-token" not in str(caught.value)


def test_a_server_that_fails_while_the_head_is_written_is_asked_once(server: FileServer) -> None:
    home = StoreHome(web(server))
    base = home.write(None, b"head", {}, [])
    server.log.clear()
    server.faults.append((503, {}))
    with pytest.raises(UnreachableError, match="503"):
        home.write(base, b"head 2", {}, [])
    assert server.log == ["PUT /store/head"]


def test_a_server_that_is_busy_for_a_moment_is_read_again(server: FileServer) -> None:
    home = StoreHome(web(server))
    base = home.write(None, b"head", {}, [])
    server.faults.append((503, {}))
    assert home.read() == base


@pytest.mark.parametrize("wrong", ["missing", "untagged", "garbage", "older"])
def test_an_answer_that_cannot_be_is_asked_for_again_once(server: FileServer, wrong: str) -> None:
    home = StoreHome(web(server))
    base = home.write(None, b"head", {}, [(1, b"entry 1")])
    older = server.files["head"]
    base = home.write(base, b"head 2", {}, [(2, b"entry 2")])
    tagged = {"ETag": '"1"'}
    answers = {"missing": (404, {}), "untagged": (200, {}), "garbage": (200, tagged), "older": (200, tagged, older)}
    server.log.clear()
    server.faults.append(answers[wrong])
    assert home.read() == base
    assert server.log == ["GET /store/head"] * 2


def test_a_store_that_was_put_back_or_removed_is_read_as_it_is(server: FileServer) -> None:
    home = StoreHome(web(server))
    base = home.write(None, b"head", {}, [(1, b"entry 1")])
    old = server.files["head"]
    home.write(base, b"head 2", {}, [(2, b"entry 2")])
    server.files["head"] = old
    found = home.read()
    assert found is not None
    assert found.head == b"head"
    del server.files["head"]
    assert home.read() is None
    server.files["head"] = b"no ledger"
    home = StoreHome(web(server))
    with pytest.raises(BrokenError):
        home.read()


def test_caches_on_the_way_are_told_to_ask_the_server() -> None:
    server = Server()
    server.answers["/head"] = answer(200, b"{}", ETag='"1"')
    place = Web(server.url(""), "Authorization", None, 5, time.sleep, once=True)
    assert place.read("head") == (b"{}", '"1"')
    assert [headers["Cache-Control"] for headers in server.headers] == ["no-cache"]
    place.close()
    server.close()


@pytest.mark.parametrize(
    "fault",
    [(200, {"ETag": '"x"'}), (200, {}), (202, {}, b""), (200, {}, b"")],
    ids=["login", "page", "later", "empty"],
)
@pytest.mark.parametrize("at", [0, 1])
def test_an_answer_that_does_not_prove_a_write_is_checked(server: FileServer, fault: Any, at: int) -> None:
    """A page of a proxy in place of an entry, or of the head: neither is taken for written."""
    home = StoreHome(web(server))
    base = home.write(None, b"head", {}, [(1, b"entry 1")])
    before = dict(server.files)
    act, count = server._act, iter(range(100))

    def wrong_once(request: Any, body: bytes | None) -> tuple[int, dict[str, str], bytes]:
        status, headers, *content = fault
        wrong = (status, headers, content[0] if content else b"<html>sign in</html>")
        return wrong if next(count) == at else act(request, body)

    server._act = wrong_once  # type: ignore[method-assign]
    with pytest.raises(UnreachableError):
        home.write(base, b"head 2", {}, [(2, b"entry 2")])
    assert server.files["head"] == before["head"]
    written = home.write(base, b"head 2", {}, [(2, b"entry 2")])
    assert list(StoreHome(web(server)).entries(written)) == [(1, b"entry 1"), (2, b"entry 2")]


def test_a_server_that_says_so_with_a_page_is_believed_once_it_has_the_file(server: FileServer) -> None:
    act = server._act

    def chatty(request: Any, body: bytes | None) -> tuple[int, dict[str, str], bytes]:
        status, headers, content = act(request, body)
        return (200, headers, b"stored") if status == 201 else (status, headers, content)

    server._act = chatty  # type: ignore[method-assign]
    written = StoreHome(web(server)).write(None, b"head", BLOBS, [(1, b"entry 1")])
    assert list(StoreHome(web(server)).entries(written)) == [(1, b"entry 1")]


@pytest.mark.parametrize("count", [1, KEPT - 1, KEPT, KEPT + 1, 2 * KEPT - 1, 2 * KEPT, 3 * KEPT])
def test_the_newest_entries_are_read_without_a_page(home: Callable[[], StoreHome], count: int) -> None:
    every = [(number, b"entry %d" % number) for number in range(1, count + 1)]
    version = home().write(None, b"head", {}, every[:1])
    for first in range(1, count, 50):
        version = home().write(version, b"head", {}, every[first : first + 50])
    reader = home()
    pages: list[object] = []
    reader._objects = pages.append  # type: ignore[assignment, method-assign, return-value]
    assert list(reader.recent(version, max(0, count - KEPT))) == every[-KEPT:]
    assert pages == []


def test_an_entry_whose_file_is_gone_is_named(home: Callable[[], StoreHome]) -> None:
    entries = [(number, b"entry %d" % number) for number in range(1, 6)]
    writer = home()
    version = writer.write(None, b"head", {}, entries)
    assert list(writer.recent(version, 0)) == entries
    writer.place.remove(storehome._object(sha256(b"entry 3").hexdigest()))
    for each in (writer, home()):  # also where it was read before
        with pytest.raises(BrokenError, match="has no entry 3, which its head names"):
            each.recent(version, 0)


def test_a_head_that_an_older_version_wrote_is_read_through_its_page() -> None:
    place = Memory({})
    writer = StoreHome(place)
    entries = [(number, b"entry %d" % number) for number in range(1, KEPT + 2)]
    version = writer.write(None, b"head", {}, entries)
    page = storehome._Link(storehome._link(version).entries[:KEPT]).line("")
    writer._send([page])
    older = storehome._Link(storehome._link(version).entries[KEPT:], sha256(page).hexdigest())
    place.files["head"] = older.line("mark") + b"head"
    found = writer.read()
    assert found
    assert list(writer.recent(found, 1)) == entries[1:]
    assert list(writer.entries(writer.write(found, b"head", {}, [(KEPT + 2, b"next")]))) == [
        *entries,
        (KEPT + 2, b"next"),
    ]


def test_a_server_that_is_gone(server: FileServer) -> None:
    home = StoreHome(Web(server.url, "Authorization", TOKEN, 0.1, lambda _: True, once=True))
    server.stop()
    with pytest.raises(UnreachableError):
        home.read()


def test_cost_of_one_deploy_on_a_server(server: FileServer) -> None:
    home = StoreHome(web(server))
    base = home.write(None, b"head", BLOBS, [(1, b"entry 1")])
    server.log.clear()
    home.write(base, b"head 2", {"shards/00.json": b"{1}"}, [(2, b"entry 2")])
    assert len(server.log) == 4  # a shard, an entry, the head, and its ETag, which this server does not say
    server.log.clear()
    home.read()
    assert server.log == ["GET /store/head"]


@pytest.mark.usefixtures("_credentials")
def test_a_bucket_that_is_not_there(object_store: ObjectStore) -> None:
    home = StoreHome(Bucket("s3://no-such-bucket/x", object_store.url, 5, once=True))
    acts: list[Callable[[], Any]] = [home.read, lambda: home.write(None, b"head", {}, [])]
    for act in acts:
        with pytest.raises(DeniedError, match="no such bucket"):
            act()


def test_a_container_that_is_not_there(azure: Callable[[], Bucket], azurite: Azurite) -> None:
    assert StoreHome(azure()).read() is None
    home = StoreHome(Bucket("az://no-such-container/x", azurite.url, 5, once=True))
    with pytest.raises(DeniedError, match="no such bucket"):
        home.read()
    with pytest.raises(DeniedError, match="no such bucket"):
        home.write(None, b"head", {}, [])


@pytest.mark.usefixtures("_credentials")
def test_a_bucket_that_does_not_answer() -> None:
    home = StoreHome(Bucket("s3://bucket/x", "http://127.0.0.1:9", 1, once=True))
    with pytest.raises(UnreachableError) as caught:
        home.read()
    assert SECRET_KEY not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("_credentials")
@pytest.mark.parametrize(
    ("status", "error"),
    [(403, DeniedError), (409, MovedError), (412, MovedError), (500, UnreachableError), (501, UnconditionalError)],
)
def test_what_a_store_answers(server: FileServer, status: int, error: type[HomeError]) -> None:
    home = StoreHome(Bucket("s3://bucket/x", server.url, 5, once=True))
    server.faults += [(status, {})] * 2
    with pytest.raises(error):
        home.write(Version('"x"\n{"entries": [], "before": ""}', b""), b"head", {}, [])
    assert len(server.log) == 1


@pytest.mark.usefixtures("_credentials")
def test_a_profile_without_boto3_credentials_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    from tasks.base.objects.place import RefusedError

    with pytest.raises(RefusedError, match="AWS_PROFILE"):
        Bucket("s3://bucket/x", None, 1, once=True)
