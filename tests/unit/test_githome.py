"""A ledger on a git remote: a real server over HTTP that refuses, dies, lies and is slow; and clones of every kind."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
import zlib
from base64 import b64encode
from hashlib import sha256
from secrets import token_hex
from typing import TYPE_CHECKING

import pytest

from tasks.ledger.gitclone import Clone, Login
from tasks.ledger.githome import GitHome
from tasks.ledger.gitrefs import MOST
from tasks.ledger.home import KEPT, BrokenError, DeniedError, HomeError, MovedError, UnreachableError, Version
from tests.servers.gitserver import READER, WRITER, GitServer, git
from tests.servers.slowproxy import SlowProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

REF = "refs/heads/doit-tofu/prod/ledger"
SHARDS = {"shards/00.json": b"{}", "shards/3f.json": b'{"web": "\xff\x00\n"}'}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    server = GitServer(tmp_path / "server")
    yield server
    server.stop()


def home(
    root: Path, *, remote: str = "origin", token: str | None = None, ref: str = REF, timeout: float = 20
) -> GitHome:
    return GitHome(Clone(root, remote, root / ".deploy" / ".cache" / "ledger.git", token, timeout), ref, lambda _: None)


def begun(server: GitServer) -> Version:
    """A ledger with two blobs and one entry."""
    return home(server.clone("first")).write(None, b"head 1", SHARDS, [(1, b"entry 1")])


def digests(*names: str) -> dict[str, str]:
    return {name: sha256(SHARDS[name]).hexdigest() for name in names}


def test_no_ledger_is_none(server: GitServer) -> None:
    assert home(server.clone("a")).read() is None


def test_no_ledger_in_an_empty_repository(server: GitServer) -> None:
    git(server.repository, "update-ref", "-d", "refs/heads/main")
    assert home(server.clone("a")).read() is None


def test_what_was_written_is_read_elsewhere(server: GitServer) -> None:
    written = begun(server)
    other = home(server.clone("b"))
    version = other.read()
    assert version == written
    assert other.blobs(version, digests(*SHARDS)) == SHARDS
    assert list(other.entries(version)) == [(1, b"entry 1")]


def test_blobs_that_are_not_named_stay(server: GitServer) -> None:
    base = begun(server)
    writer = home(server.clone("b"))
    writer.read()
    writer.write(base, b"head 2", {"shards/00.json": b"new"}, [(2, b"entry 2"), (3, b"entry 3")])
    reader = home(server.clone("c"))
    version = reader.read()
    assert version
    assert version.head == b"head 2"
    assert reader.blobs(version, digests("shards/3f.json")) == {"shards/3f.json": SHARDS["shards/3f.json"]}
    assert reader.blobs(version, {"shards/00.json": sha256(b"new").hexdigest()}) == {"shards/00.json": b"new"}


def test_a_version_that_was_read_before_keeps_its_blobs(server: GitServer) -> None:
    base = begun(server)
    reader = home(server.clone("b"))
    old = reader.read()
    assert old
    home(server.clone("c")).write(base, b"head 2", {"shards/00.json": b"new"}, []) if False else None
    writer = home(server.folder / "first")
    writer.write(base, b"head 2", {"shards/00.json": b"new"}, [])
    assert reader.read() != old
    assert reader.blobs(old, digests("shards/00.json")) == {"shards/00.json": b"{}"}


def test_a_missing_or_changed_blob_is_broken(server: GitServer) -> None:
    version = begun(server)
    reader = home(server.folder / "first")
    with pytest.raises(BrokenError, match=r"has no shards/77\.json"):
        reader.blobs(version, {"shards/77.json": "00"})
    with pytest.raises(BrokenError, match=r"shards/00\.json .* does not match the digest"):
        reader.blobs(version, {"shards/00.json": "00"})


def test_a_branch_that_is_no_ledger_is_broken(server: GitServer) -> None:
    with pytest.raises(BrokenError, match="not a ledger"):
        home(server.clone("a"), ref="refs/heads/main").read()


def test_entries_come_from_the_history_oldest_first(server: GitServer) -> None:
    writer = home(server.clone("w"))
    version = writer.write(None, b"head", {}, [(1, b"entry 1")])
    for number in range(2, 13):
        version = writer.write(version, b"head", {}, [(number, b"entry %d" % number)])
    reader = home(server.clone("r"))
    found = reader.read()
    assert found == version
    assert list(reader.entries(found, after=9)) == [(number, b"entry %d" % number) for number in (10, 11, 12)]
    version = writer.write(version, b"head", {}, [(13, b"entry 13")])
    assert [number for number, _ in reader.entries(reader.read() or version)] == list(range(1, 14))


def _entries(first: int, last: int) -> list[tuple[int, bytes]]:
    return [(number, b"entry %d" % number) for number in range(first, last + 1)]


def _held(server: GitServer, version: Version) -> list[int]:
    """The entries in the tree of a version, as a fresh clone finds them with its one fetch."""
    reader = home(server.clone(token_hex(4)))
    assert reader.read() == version
    server.log.clear()
    found = reader.recent(version, 0)
    assert server.log == []
    assert all(content == b"entry %d" % number for number, content in found)
    assert list(reader.recent(version, max(0, found[-1][0] - 2))) == list(found)[-2:]
    return [number for number, _ in found]


def test_a_version_holds_the_newest_entries(server: GitServer) -> None:
    writer = home(server.clone("w"))
    version = writer.write(None, b"head", {}, _entries(1, 1))
    version = writer.write(version, b"head", {}, _entries(2, KEPT - 1))
    assert _held(server, version) == list(range(1, KEPT))
    version = writer.write(version, b"head", {}, _entries(KEPT, KEPT))
    assert _held(server, version) == list(range(1, KEPT + 1))
    version = writer.write(version, b"head", {}, _entries(KEPT + 1, KEPT + 1))
    assert _held(server, version) == list(range(2, KEPT + 2))
    version = writer.write(version, b"a lease", {}, ())
    assert _held(server, version) == list(range(2, KEPT + 2))
    version = home(server.clone(token_hex(4))).probe(version)
    assert _held(server, version) == list(range(2, KEPT + 2))
    many = 2 * KEPT
    version = home(server.clone("x")).write(version, b"head", {}, _entries(KEPT + 2, KEPT + 1 + many))
    assert _held(server, version) == list(range(KEPT + 2, KEPT + 2 + many))  # all that were added at once
    last = KEPT + 2 + many
    version = writer.write(version, b"head", {}, _entries(last, last))
    assert _held(server, version) == list(range(last - KEPT + 1, last + 1))
    assert list(home(server.clone(token_hex(4))).entries(version)) == _entries(1, last)
    assert list(writer.entries(version, after=70)) == _entries(71, last)
    version = writer.drop(version, 10)
    assert _held(server, version) == list(range(10, last + 1))
    version = writer.write(version, b"head", {}, _entries(last + 1, last + 1))
    assert _held(server, version) == list(range(last - KEPT + 2, last + 2))
    assert list(home(server.clone(token_hex(4))).entries(version)) == _entries(10, last + 1)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_a_ledger_that_is_rebuilt_holds_no_earlier_entry(server: GitServer, count: int) -> None:
    writer = home(server.clone("w"))
    version = writer.write(None, b"head", {}, [(number, b"old %d" % number) for number in range(1, 4)])
    version = writer.write(version, b"head", {}, _entries(1, count))
    assert _held(server, version) == list(range(1, count + 1))
    version = writer.write(version, b"head", {}, _entries(count + 1, count + 1))
    assert _held(server, version) == list(range(1, count + 2))
    assert list(home(server.clone(token_hex(4))).entries(version)) == _entries(1, count + 1)


def test_the_first_entry_that_was_edited_starts_no_ledger_over(server: GitServer) -> None:
    writer = home(server.clone("w"))
    version = writer.write(None, b"head", {}, _entries(1, 4))
    blob = git(server.repository, "hash-object", "-w", "--stdin", given="forged").strip()
    stream = f"commit {REF}\ncommitter x <x> 0 +0000\ndata 0\nfrom {version.token}\nM 100644 {blob} entries/1\n\ndone\n"
    git(server.repository, "fast-import", "--quiet", "--done", given=stream)
    found = home(server.clone("r"))
    assert list(found.entries(found.read() or version)) == [(1, b"forged"), *_entries(2, 4)]


def test_a_branch_that_an_older_version_wrote_goes_on(server: GitServer) -> None:
    """Its commits hold the entries alone that they add; a lease's holds none."""
    root = server.clone("w")
    writer = home(root)
    version = writer.write(None, b"head", {}, _entries(1, 3))
    for number in (4, 5):
        version = writer.write(version, b"head", {}, _entries(number, number))
        _leave(server, version, number)
        version = home(server.clone(token_hex(4))).read() or version
        assert _held(server, version) == [number]
    version = home(server.clone("x")).write(version, b"head", {}, _entries(6, 6))
    assert _held(server, version) == [5, 6]
    assert list(home(server.clone(token_hex(4))).entries(version)) == _entries(1, 6)


def _leave(server: GitServer, version: Version, number: int) -> None:
    """Make the newest commit one that holds this entry alone."""
    blob = git(server.repository, "rev-parse", f"{version.token}:entries/{number}").strip()
    parent = git(server.repository, "rev-parse", f"{version.token}^").strip()
    stream = (
        f"commit {REF}\ncommitter x <x> 0 +0000\ndata 0\nfrom {parent}\nD entries\n"
        f"M 100644 {blob} entries/{number}\n\ndone\n"
    )
    git(server.repository, "fast-import", "--quiet", "--force", "--done", given=stream)


@pytest.mark.parametrize(
    "options", [(), ("--depth=1",), ("--filter=blob:none",), ("--no-checkout",), ("--bare",)], ids="".join
)
def test_every_kind_of_clone_reads_and_stays_as_it_is(server: GitServer, options: tuple[str, ...]) -> None:
    git(server.repository, "config", "uploadpack.allowFilter", "true")
    written = begun(server)
    clone = server.clone("b", *options)
    before = _look(clone)
    assert home(clone).read() == written
    assert _look(clone) == before


def _look(clone: Path) -> tuple[str, ...]:
    return (
        git(clone, "rev-parse", "--is-shallow-repository"), git(clone, "for-each-ref"), git(clone, "config", "--list"),
        git(clone, "count-objects", "-v"), git(clone, "rev-parse", "HEAD"),
    )  # fmt: skip


def test_a_worktree_and_a_detached_head_read(server: GitServer) -> None:
    written = begun(server)
    clone = server.clone("b")
    git(clone, "worktree", "add", "-q", "--detach", str(server.folder / "tree"))
    assert home(server.folder / "tree").read() == written


def test_an_unchanged_ledger_takes_one_request(server: GitServer) -> None:
    first = begun(server)
    reader = home(server.clone("b"))
    server.log.clear()
    reader.read()
    # The login in the URL is sent at once, although git itself would wait until the server asks for it.
    assert server.log == ["GET upload-pack 200", "POST upload-pack 200", "POST upload-pack 200"]
    for _ in range(2):  # the refs are counted by the first
        server.log.clear()
        assert reader.read() == first
        assert server.log == ["GET upload-pack 200"]
    written = home(server.clone("w")).write(first, b"head 2", {}, [])
    server.log.clear()
    assert reader.read() == written
    assert server.log == ["GET upload-pack 200", "POST upload-pack 200"]


def test_where_there_are_many_refs_they_are_not_listed_at_each_read(server: GitServer) -> None:
    first = begun(server)
    commit = git(server.repository, "rev-parse", "main")
    many = "".join(f"create refs/pull/{number}/head {commit}\n" for number in range(MOST))
    git(server.repository, "update-ref", "--stdin", given=many)
    reader = home(server.clone("b"))
    proxy = SlowProxy(server.host)
    git(reader.clone.root, "remote", "set-url", "origin", server.with_login(WRITER).replace(server.host, proxy.host))
    passed = []
    for _ in range(3):
        before = proxy.traffic.copy()
        assert reader.read() == first
        passed.append(proxy.traffic.copy().less(before).received)
    proxy.stop()
    assert server.log[-6:] == [
        "GET upload-pack 200", "POST upload-pack 200", "POST upload-pack 200",  # a shallow fetch
        "GET upload-pack 200",  # counts them
        "GET upload-pack 200", "POST upload-pack 200",
    ]  # fmt: skip
    assert passed[1] > 60 * MOST
    assert passed[2] < 2000


def test_the_protocol_that_the_user_has_set_is_used(server: GitServer) -> None:
    first = begun(server)
    reader = home(server.clone("b"))
    git(reader.clone.root, "config", "protocol.version", "2")
    assert reader.read() == first
    server.log.clear()
    assert reader.read() == first
    assert server.log == ["GET upload-pack 200", "POST upload-pack 200"]


@pytest.mark.parametrize("content", ["", "many", "7", "[7]", '["a", "b"]', "[7, 0]", "[7, 9e99]", "{}", "null"])
def test_a_count_that_cannot_be_read_is_made_again(server: GitServer, content: str) -> None:
    first = begun(server)
    reader = home(server.clone("b"))
    reader.read()
    counted = reader.clone.folder.with_suffix(".refs.json")
    counted.write_text(content)
    server.log.clear()
    assert reader.read() == first
    assert server.log == ["GET upload-pack 200"]
    assert json.loads(counted.read_text())[0] == 3  # with HEAD


def test_a_branch_that_is_gone_is_noticed_while_refs_are_counted(server: GitServer) -> None:
    begun(server)
    reader = home(server.clone("b"))
    reader.read()
    git(server.repository, "update-ref", "-d", REF)
    with pytest.raises(UnreachableError, match="is gone"):
        reader.read()
    git(server.repository, "update-ref", REF, "main")
    with pytest.raises(BrokenError, match="is not a ledger"):
        reader.read()


def test_a_push_with_a_login_in_the_url_takes_two_requests(server: GitServer) -> None:
    base = begun(server)
    writer = home(server.clone("b", url=server.with_login(WRITER)))
    writer.read()
    server.log.clear()
    writer.write(base, b"head 2", {}, [])
    assert server.log == ["GET receive-pack 200", "POST receive-pack 200"]


def test_a_push_with_a_token_takes_two_requests(server: GitServer) -> None:
    base = begun(server)
    writer = home(server.clone("b", url=server.with_login(READER)), token=WRITER)
    writer.read()
    server.log.clear()
    writer.write(base, b"head 2", {}, [])
    assert server.log == ["GET receive-pack 200", "POST receive-pack 200"]


def test_push_options_only_where_the_remote_takes_them(server: GitServer) -> None:
    server.hook("pre-receive", 'echo "options $GIT_PUSH_OPTION_COUNT $GIT_PUSH_OPTION_0" >> options')
    writer = home(server.clone("a"))
    base = writer.write(None, b"1", {}, [])
    assert (server.repository / "options").read_text() == "options 1 ci.skip\n"
    git(server.repository, "config", "receive.advertisePushOptions", "false")
    base = writer.write(base, b"2", {}, [])
    server.log.clear()
    writer.write(base, b"3", {}, [])
    assert server.log.count("POST receive-pack 200") == 1
    assert [line for line in server.log if line.endswith("200")] == ["GET receive-pack 200", "POST receive-pack 200"]
    assert "[skip ci]" in git(server.repository, "log", "-1", "--format=%s", REF)


def test_of_two_writers_one_wins(server: GitServer) -> None:
    base = begun(server)
    one, two = home(server.clone("b")), home(server.clone("c"))
    assert one.read() == two.read() == base
    won = one.write(base, b"same", {}, [(2, b"same")])
    with pytest.raises(MovedError):
        two.write(base, b"same", {}, [(2, b"same")])
    assert two.read() == won


def test_of_two_that_begin_it_one_wins(server: GitServer) -> None:
    one, two = home(server.clone("b")), home(server.clone("c"))
    one.write(None, b"same", {}, [])
    with pytest.raises(MovedError):
        two.write(None, b"same", {}, [])


def test_racing_writers_exactly_one_wins_each_round(server: GitServer) -> None:
    homes = [home(server.clone(f"clone{number}")) for number in range(3)]
    base: Version | None = None
    for _ in range(4):
        outcomes: list[Version | None] = []
        start = threading.Barrier(len(homes))

        def race(
            writer: GitHome,
            base: Version | None = base,
            start: threading.Barrier = start,
            outcomes: list[Version | None] = outcomes,
        ) -> None:
            start.wait()
            try:
                outcomes.append(writer.write(base, b"same", {}, []))
            except MovedError:
                outcomes.append(None)

        threads = [threading.Thread(target=race, args=(writer,)) for writer in homes]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert len(outcomes) == len(homes)
        won = [outcome for outcome in outcomes if outcome]
        assert len(won) == 1
        assert [writer.read() for writer in homes] == won * len(homes)
        base = won[0]
    assert git(server.repository, "rev-list", "--count", REF) == "4"


def test_a_rewritten_branch_is_not_pushed_over(server: GitServer) -> None:
    base = begun(server)
    writer = home(server.folder / "first")
    second = writer.write(base, b"head 2", {}, [])
    git(server.repository, "update-ref", REF, base.token)  # an ancestor: a plain push would fast-forward it
    with pytest.raises(MovedError):
        writer.write(second, b"head 3", {}, [])
    assert writer.read() == base, "the server that takes pushes has it, so it is no outdated answer"
    assert git(server.repository, "rev-parse", REF) == base.token


def test_a_branch_that_is_removed_is_gone(server: GitServer) -> None:
    base = begun(server)
    writer = home(server.folder / "first")
    writer.write(base, b"head 2", {}, [])
    git(server.repository, "update-ref", "-d", REF)
    assert writer.read() is None


def test_who_may_not_push_cannot_tell_a_rewritten_branch_from_an_outdated_answer(server: GitServer) -> None:
    base = begun(server)
    home(server.folder / "first").write(base, b"head 2", {}, [])
    reader = home(server.clone("second", url=server.with_login(READER)))
    assert reader.read() is not None
    git(server.repository, "update-ref", "-d", REF)
    with pytest.raises(UnreachableError, match="it was there a moment ago"):
        reader.read()


def test_a_stale_replica_is_not_believed(server: GitServer) -> None:
    base = begun(server)
    writer = home(server.folder / "first")
    assert writer.read() == base
    git(server.folder, "clone", "-q", "--mirror", str(server.repository), "replica.git")
    second = writer.write(base, b"head 2", {}, [])
    server.replica = server.folder / "replica.git"
    with pytest.raises(UnreachableError, match="older version"):
        writer.read()
    server.replica = None
    assert writer.read() == second


@pytest.mark.parametrize("known", [True, False], ids=["older", "none"])
def test_a_stale_replica_is_not_believed_when_somebody_has_pushed_since(server: GitServer, *, known: bool) -> None:
    """The server that takes pushes is elsewhere than this writer knows, but not where the replica says."""
    base = begun(server) if known else None
    git(server.folder, "clone", "-q", "--mirror", str(server.repository), "replica.git")
    first = base or begun(server)
    writer, other = home(server.folder / "first"), home(server.clone("second"))
    second = writer.write(first, b"head 2", {}, [])
    assert writer.read() == second
    assert other.read() == second
    third = other.write(second, b"head 3", {}, [])
    server.replica = server.folder / "replica.git"
    with pytest.raises(UnreachableError, match="outdated"):
        writer.read()
    server.replica = None
    assert writer.read() == third


def test_a_replica_that_does_not_know_the_new_ledger_yet(server: GitServer) -> None:
    git(server.folder, "clone", "-q", "--mirror", str(server.repository), "replica.git")
    begun(server)
    writer = home(server.folder / "first")
    version = writer.read()
    server.replica = server.folder / "replica.git"
    with pytest.raises(UnreachableError, match="a moment ago"):
        writer.read()
    server.replica = None
    assert writer.read() == version


def test_a_protected_branch_is_denied_in_the_words_of_the_forge(server: GitServer) -> None:
    server.hook("pre-receive", 'echo "GitLab: You are not allowed to push code to protected branches." >&2; exit 1')
    with pytest.raises(DeniedError, match="not allowed to push code to protected branches"):
        begun(server)
    assert git(server.repository, "for-each-ref", "refs/heads/doit-tofu") == ""


def test_a_token_that_may_only_read_is_denied(server: GitServer) -> None:
    base = begun(server)
    writer = home(server.clone("b", url=server.with_login(READER)))
    writer.read()
    with pytest.raises(DeniedError, match="403"):
        writer.write(base, b"2", {}, [])


@pytest.mark.parametrize("token", ["no-such-token-77", None])
def test_a_wrong_token_is_denied(server: GitServer, token: str | None) -> None:
    server.private = False
    base = begun(server)
    writer = home(server.clone("b", url=server.url), token=token)
    writer.read()
    with pytest.raises(HomeError) as caught:
        writer.write(base, b"2", {}, [])
    assert isinstance(caught.value, DeniedError)
    assert "no-such-token" not in str(caught.value)
    assert ("does not accept this token" if token else "none is set here") in str(caught.value)


def test_the_write_token_is_another_than_the_jobs(server: GitServer) -> None:
    base = begun(server)
    clone = server.clone("b", url=server.with_login(READER))
    git(clone, "config", "http.extraHeader", "X-Unrelated: 1")
    writer = home(clone, token=WRITER)
    assert writer.read() == base
    written = writer.write(base, b"2", {}, [])
    assert home(clone).read() == written


def test_the_write_token_wins_over_what_a_checkout_left_in_the_configuration(server: GitServer) -> None:
    base = begun(server)
    clone = server.clone("b")
    git(clone, "remote", "set-url", "origin", "http://forge.example/remote.git")
    git(
        clone,
        "config",
        f"url.{server.with_login(READER).removesuffix('remote.git')}.insteadOf",
        "http://forge.example/",
    )
    writer = home(clone, token=WRITER)
    assert writer.read() == base
    writer.write(base, b"2", {}, [])
    git(clone, "remote", "set-url", "origin", server.url)
    header = "Authorization: Basic " + b64encode(f"ci:{READER}".encode()).decode()
    git(clone, "config", f"http.http://{server.host}/.extraheader", header)
    again = home(clone, token=WRITER)
    version = again.read()
    assert again.write(version, b"3", {}, []).head == b"3"


def test_a_checkout_without_credentials_is_read_with_the_jobs_own(server: GitServer) -> None:
    written = begun(server)
    clone = server.clone("b")
    git(clone, "remote", "set-url", "origin", server.url)  # as actions/checkout leaves it without credentials

    def with_reader(reader: Login) -> GitHome:
        return GitHome(Clone(clone, "origin", clone / ".deploy" / "ledger.git", reader=reader), REF, lambda _: None)

    assert with_reader(Login(f"http://{server.host}", f"x-access-token:{READER}")).read() == written
    server.log.clear()
    with pytest.raises(DeniedError):
        with_reader(Login("http://other.example", f"x-access-token:{READER}")).read()
    with pytest.raises(DeniedError) as caught:
        with_reader(Login(f"http://{server.host}", "x-access-token:wrong-token-3310")).read()
    assert "wrong-token" not in str(caught.value)


def test_the_jobs_own_login_comes_after_that_of_the_clone(server: GitServer) -> None:
    written = begun(server)
    clone = server.clone("b")
    reader = Login(f"http://{server.host}", "x-access-token:wrong-token-3310")
    assert GitHome(Clone(clone, "origin", clone / ".deploy" / "l.git", reader=reader), REF).read() == written


def test_a_token_that_dies_between_fetch_and_push(server: GitServer) -> None:
    base = begun(server)
    writer = home(server.clone("b"))
    writer.read()
    del server.tokens[WRITER]
    with pytest.raises(UnreachableError, match="accepted before"):
        writer.write(base, b"2", {}, [])
    with pytest.raises(UnreachableError, match="accepted before"):
        writer.read()


def test_a_token_that_dies_within_a_push(server: GitServer) -> None:
    base = begun(server)
    writer = home(server.clone("b"))
    writer.read()
    server.fault = lambda method, service: 401 if (method, service) == ("POST", "receive-pack") else None
    with pytest.raises(UnreachableError):
        writer.write(base, b"2", {}, [])


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_failing_server_is_unreachable(server: GitServer, status: int) -> None:
    base = begun(server)
    writer = home(server.folder / "first")
    writer.read()
    server.fault = lambda _method, _service: status
    with pytest.raises(UnreachableError, match=str(status)):
        writer.read()
    with pytest.raises(UnreachableError, match=str(status)):
        writer.write(base, b"2", {}, [])


def test_a_short_outage_is_bridged_when_reading(server: GitServer) -> None:
    base = begun(server)
    reader = home(server.clone("b"))
    left = [503, 503]
    server.fault = lambda _method, _service: left.pop() if left else None
    assert reader.read() == base


def test_a_lost_answer_may_have_been_written(server: GitServer) -> None:
    base = begun(server)
    writer = home(server.clone("b"))
    writer.read()
    server.cut = lambda method, service: (method, service) == ("POST", "receive-pack")
    with pytest.raises(UnreachableError):
        writer.write(base, b"2", {}, [])
    server.cut = lambda _method, _service: False
    version = writer.read()
    assert version
    assert version.head == b"2"


def test_a_host_that_is_gone(server: GitServer) -> None:
    clone = server.clone("b")
    server.stop()
    with pytest.raises(UnreachableError):
        home(clone).read()


def test_a_server_that_does_not_answer_in_time(server: GitServer) -> None:
    clone = server.clone("b")
    server.delay = 3
    with pytest.raises(UnreachableError, match="did not respond in time"):
        home(clone, timeout=0.5).read()


def test_a_repository_that_is_not_there(server: GitServer) -> None:
    clone = server.clone("b")
    git(clone, "remote", "set-url", "origin", server.with_login(WRITER).replace("remote.git", "other.git"))
    with pytest.raises(DeniedError, match="not found"):
        home(clone).read()


def test_a_branch_of_the_upper_name_excludes_it(server: GitServer) -> None:
    git(server.repository, "branch", "doit-tofu", "main")
    with pytest.raises(HomeError, match="refs/heads/doit-tofu exists, and a branch cannot be below"):
        begun(server)


def test_no_credential_in_any_message(server: GitServer, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = server.clone("b")
    monkeypatch.setenv("GIT_TRACE", "1")
    monkeypatch.setenv("GIT_CURL_VERBOSE", "1")
    server.hook("pre-receive", f'echo "denied for {WRITER} at http://ci:{WRITER}@x/" >&2; exit 1')
    with pytest.raises(DeniedError) as caught:
        home(clone).write(None, b"1", {}, [])
    assert WRITER not in str(caught.value)
    server.stop()
    writer = home(clone, remote=server.with_login(WRITER), token=WRITER)
    for act in (writer.read, lambda: writer.write(None, b"1", {}, [])):
        with pytest.raises(UnreachableError) as caught:
            act()
        assert WRITER not in str(caught.value)
    assert WRITER not in f"{writer!r} {writer.name}"


def test_a_token_is_not_sent_in_clear(server: GitServer) -> None:
    clone = server.clone("b")
    with pytest.raises(HomeError, match="not sent in plain text to http://forge"):
        home(clone, remote="http://forge.example/a.git", token=WRITER).write(None, b"1", {}, [])


def test_a_remote_that_this_clone_does_not_have(server: GitServer) -> None:
    with pytest.raises(HomeError, match=r"no remote 'upstream' \(it has origin\): `git remote add upstream"):
        home(server.clone("b"), remote="upstream").read()


def test_hooks_signing_and_filters_of_the_user_stay_out(
    server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("pre-push", "reference-transaction", "post-checkout", "fsmonitor"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {ran}\nexit 1\n")
        (hooks / name).chmod(0o755)
    settings = tmp_path / ".gitconfig"
    settings.write_text(
        f"[core]\n hooksPath = {hooks}\n fsmonitor = {hooks}/fsmonitor\n[commit]\n gpgSign = true\n[gpg]\n program = false\n"
        f'[push]\n gpgSign = true\n pushOption = other\n[filter "lfs"]\n clean = touch {ran}\n process = touch {ran}\n[user]\n'
        " useConfigOnly = true\n"
    )
    clone = server.clone("b")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("GIT_CONFIG_GLOBAL", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    writer = home(clone)
    writer.write(None, b"1", {}, [])
    assert writer.read()
    assert not ran.exists()
    assert git(server.repository, "log", "-1", "--format=%cn <%ce>", REF).startswith("doit-tofu <")


def test_the_clones_proxy_is_used(server: GitServer) -> None:
    clone = server.clone("b")
    git(clone, "remote", "set-url", "origin", f"http://ci:{WRITER}@forge.invalid/remote.git")
    git(clone, "config", "http.proxy", f"http://{server.host}")
    written = home(clone).write(None, b"1", {}, [])
    assert home(clone).read() == written


def test_the_clones_ssh_command_is_used(server: GitServer) -> None:
    clone = server.clone("b")
    ssh = server.folder / "ssh"
    ssh.write_text('#!/bin/sh\n[ "$1" = -o ] && shift 2\n[ "$1" = git@forge.invalid ] && shift && exec sh -c "$*"\n')
    ssh.chmod(0o755)
    git(clone, "remote", "set-url", "origin", f"git@forge.invalid:{server.repository}")
    git(clone, "config", "core.sshCommand", str(ssh))
    server.stop()
    written = home(clone, token=WRITER).write(None, b"1", {}, [])  # no token goes over SSH
    assert home(clone).read() == written


def test_another_address_for_pushes_is_used(server: GitServer) -> None:
    base = begun(server)
    clone = server.clone("b", url=server.with_login(READER))
    git(clone, "remote", "set-url", "--push", "origin", server.with_login(WRITER))
    writer = home(clone)
    assert writer.read() == base
    written = writer.write(base, b"2", {}, [])
    assert writer.read() == written


def test_a_job_without_any_login_is_told_so(server: GitServer) -> None:
    server.private = False
    base = begun(server)
    writer = home(server.clone("b", url=server.url))
    writer.read()
    with pytest.raises(DeniedError, match="asks for a login, but none is set here"):
        writer.write(base, b"2", {}, [])


def test_what_a_killed_process_left_is_made_new(server: GitServer) -> None:
    base = begun(server)
    reader = home(server.clone("b"))
    reader.read()
    (reader.clone.folder / "shallow.lock").write_text("")
    assert reader.read() == base
    (reader.clone.folder / "refs" / "ledger" / "head.lock").write_text("")
    assert reader.read() == base


def test_a_file_remote(server: GitServer) -> None:
    clone = server.clone("b", url=f"file://{server.repository}")
    written = home(clone).write(None, b"1", SHARDS, [(1, b"one")])
    other = home(server.clone("c", url=str(server.repository)))
    assert other.read() == written
    assert list(other.entries(written)) == [(1, b"one")]


def test_sha256_repositories(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "--object-format=sha256", "remote.git")
    git(tmp_path, "init", "-q", "--object-format=sha256", "clone")
    git(tmp_path / "clone", "remote", "add", "origin", "../remote.git")
    written = home(tmp_path / "clone").write(None, b"1", {}, [])
    assert len(written.token) == 64
    assert home(tmp_path / "clone").read() == written


def test_probe_writes_and_is_refused(server: GitServer) -> None:
    version = begun(server)
    writer = home(server.folder / "first")
    after = writer.probe(version)
    assert after.head == version.head
    assert writer.read() == after
    assert list(writer.entries(after)) == [(1, b"entry 1")]


def test_probe_of_a_reader(server: GitServer) -> None:
    version = begun(server)
    with pytest.raises(DeniedError):
        home(server.clone("b", url=server.with_login(READER))).probe(version)


def test_two_threads_share_a_home(server: GitServer) -> None:
    base = begun(server)
    shared = home(server.clone("b"))
    found: list[Version | None] = []
    threads = [threading.Thread(target=lambda: found.append(shared.read())) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert found == [base] * 4


def _setting(folder: Path, text: str) -> None:
    with (folder / "config").open("a") as stream:
        stream.write(text)


def _hooks(folder: Path, canary: Path) -> Path:
    folder.mkdir(parents=True)
    for name in ("reference-transaction", "pre-push", "post-update"):
        (folder / name).write_text(f"#!/bin/sh\ntouch {canary}\n")
        (folder / name).chmod(0o755)
    return folder


PLANTED: dict[str, Callable[[Path, Path], object]] = {
    "hooks": lambda folder, canary: _hooks(folder / "hooks", canary),
    "the folder of hooks": lambda folder, canary: _setting(
        folder, f"[core]\n\thooksPath = {_hooks(folder.parent / 'elsewhere', canary)}\n"
    ),
    "a program of the remote": lambda folder, canary: _setting(
        folder, f'[remote "origin"]\n\tuploadpack = "touch {canary}; git-upload-pack"\n\tvcs = ext\n'
    ),
    "a helper for credentials": lambda folder, canary: _setting(
        folder, f'[credential]\n\thelper = "!touch {canary}; echo"\n'
    ),
    "another address": lambda folder, canary: _setting(folder, f'[url "ext::touch {canary} %G"]\n\tinsteadOf = http\n'),
    "an included file": lambda folder, canary: (
        (folder.parent / "more").write_text(f"[core]\n\tsshCommand = touch {canary}\n"),
        _setting(folder, f"[include]\n\tpath = {folder.parent / 'more'}\n"),
    ),
    "objects of another repository": lambda folder, canary: (
        (folder / "objects/info").mkdir(exist_ok=True),
        (folder / "objects/info/alternates").write_text(f"{canary.parent}\n"),
    ),
    "a common folder": lambda folder, canary: (folder / "commondir").write_text(f"{canary.parent}\n"),
    "a configuration that is a link": lambda folder, canary: (
        (folder / "config").rename(canary.parent / "config"),
        (folder / "config").symlink_to(canary.parent / "config"),
    ),
}


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)
def test_what_was_planted_in_the_cached_repository_is_not_run(
    server: GitServer, tmp_path: Path, plant: Callable[[Path, Path], object]
) -> None:
    """Whoever may write a cache decides nothing: the repository is made again."""
    begun(server)
    root = server.clone("b")
    found = home(root).read()
    folder, canary = root / ".deploy/.cache/ledger.git", tmp_path / "canary"
    plant(folder, canary)
    reader = home(root, token=WRITER)
    version = reader.read()
    assert version == found
    assert version is not None
    reader.write(version, b"head 2", {}, [(2, b"entry 2")])
    assert not canary.exists()
    assert {path.name for path in folder.iterdir()} <= {"HEAD", "config", "objects", "refs", "shallow", "packed-refs"}
    assert len((folder / "config").read_text().splitlines()) < 8


def test_a_cached_repository_that_is_as_it_was_is_kept(server: GitServer) -> None:
    begun(server)
    root = server.clone("b")
    assert home(root).read() is not None
    folder = root / ".deploy/.cache/ledger.git"
    before = folder.stat().st_ino, (folder / "config").stat().st_mtime_ns
    assert home(root).read() is not None
    assert (folder.stat().st_ino, (folder / "config").stat().st_mtime_ns) == before


def _objects(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "objects").rglob("*") if path.is_file())


def _each(paths: list[Path], content: Callable[[bytes], bytes]) -> None:
    for path in paths:
        path.chmod(0o644)
        path.write_bytes(content(path.read_bytes()))


def _in_its_place(folder: Path, make: Callable[[Path], object]) -> None:
    shutil.rmtree(folder)
    make(folder)


def _other_head(folder: Path) -> None:
    """Put another head into the object that has the digest of the genuine one, as git's own checks do not notice."""
    data = b"blob 6\0head X"
    for path in _objects(folder):
        with contextlib.suppress(zlib.error):
            if zlib.decompress(path.read_bytes()).startswith(b"blob 6\0head"):
                _each([path], lambda _: zlib.compress(data))


def _replaced_head(folder: Path) -> None:
    other = git(folder, "hash-object", "-w", "--stdin", given="head X")
    git(folder, "replace", git(folder, "rev-parse", "refs/ledger/head:head"), other)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "objects that are empty": lambda folder: _each(_objects(folder), lambda _: b""),
    "objects that are cut": lambda folder: _each(_objects(folder), lambda data: data[: len(data) // 2]),
    "one object that is empty": lambda folder: _each(_objects(folder)[:1], lambda _: b""),
    "the last object that is empty": lambda folder: _each(_objects(folder)[-1:], lambda _: b""),
    "no objects": lambda folder: [path.unlink() for path in _objects(folder)],
    "no folder of objects": lambda folder: shutil.rmtree(folder / "objects"),
    "no refs": lambda folder: shutil.rmtree(folder / "refs"),
    "a ref that is empty": lambda folder: (folder / "refs/ledger/head").write_text(""),
    "a ref that is garbage": lambda folder: (folder / "refs/ledger/head").write_text("garbage\n"),
    "a ref to nothing": lambda folder: (folder / "refs/ledger/head").write_text(f"{'0a' * 20}\n"),
    "packed refs that are garbage": lambda folder: (folder / "packed-refs").write_text("garbage\n"),
    "a HEAD that is empty": lambda folder: (folder / "HEAD").write_text(""),
    "a HEAD that is garbage": lambda folder: (folder / "HEAD").write_bytes(b"\x00\xff"),
    "no HEAD": lambda folder: (folder / "HEAD").unlink(),
    "a list of shallow commits that is garbage": lambda folder: (folder / "shallow").write_text("garbage\n"),
    "a folder in place of that list": lambda folder: ((folder / "shallow").unlink(True), (folder / "shallow").mkdir()),
    "folders without rights": lambda folder: ((folder / "objects").chmod(0), folder.chmod(0)),
    "a file in its place": lambda folder: _in_its_place(folder, lambda path: path.write_text("file")),
    "a link in its place": lambda folder: _in_its_place(folder, lambda path: path.symlink_to("/nowhere")),
    "another head under the digest of the genuine one": _other_head,
    "another head that replaces the genuine one": _replaced_head,
}


@pytest.mark.parametrize(
    ("name", "whole"), [(name, False) for name in DAMAGE] + [(name, True) for name in DAMAGE if "object" in name]
)
def test_a_damaged_cache_is_forgotten_and_read_again(tmp_path: Path, name: str, *, whole: bool) -> None:
    """Only what the remote has counts: a cache is read again, and is never called a ledger that was tampered with."""
    git(tmp_path, "init", "-q", "--bare", "-b", "main", "remote.git")
    git(tmp_path, "init", "-q", "clone")
    git(tmp_path / "clone", "remote", "add", "origin", f"file://{tmp_path / 'remote.git'}")
    writer = GitHome(Clone(tmp_path / "clone", "origin", tmp_path / "writer.git"), REF)
    first = writer.write(None, b"head 1", SHARDS, [(1, b"entry 1")])
    written = writer.write(first, b"head 2", {}, [(2, b"entry 2")])
    root = tmp_path / "clone"
    before = home(root)
    assert before.read() == written
    if whole:
        assert len(list(before.entries(written))) == 2
    DAMAGE[name](before.clone.folder)
    reader = home(root)
    assert reader.read() == written
    assert reader.blobs(written, digests(*SHARDS)) == SHARDS
    assert list(reader.entries(written)) == [(1, b"entry 1"), (2, b"entry 2")]
    again = home(root).write(written, b"head 3", {}, [(3, b"entry 3")])
    assert home(root).read() == again


@pytest.mark.parametrize("damage", ["objects that are empty", "no objects", "packed refs that are garbage", "no HEAD"])
def test_a_cache_that_is_damaged_while_a_run_uses_it_is_read_again(server: GitServer, damage: str) -> None:
    base = begun(server)
    used = home(server.clone("b"))
    assert used.read() == base
    DAMAGE[damage](used.clone.folder)
    assert used.blobs(base, digests(*SHARDS)) == SHARDS
    other = home(server.clone("c"))
    assert other.read() == base
    DAMAGE[damage](other.clone.folder)
    assert other.write(base, b"head 2", {}, [(2, b"entry 2")]).head == b"head 2"


def test_a_version_that_another_run_has_forgotten_is_read_again(server: GitServer) -> None:
    """What replaced a damaged cache has only the newest version."""
    base = begun(server)
    root = server.clone("b")
    used = home(root)
    assert used.read() == base
    home(server.folder / "first").write(base, b"head 2", {"shards/00.json": b"new"}, [(2, b"entry 2")])
    used.clone.forget()
    assert home(root).read() != base
    assert used.blobs(base, digests("shards/00.json")) == {"shards/00.json": b"{}"}


def test_damage_at_the_remote_stays_an_error(server: GitServer) -> None:
    """It is looked at once, and then it is what the remote says."""
    begun(server)
    reader = home(server.clone("b"), ref="refs/heads/main")
    for _ in range(2):
        with pytest.raises(BrokenError, match="not a ledger"):
            reader.read()


def test_a_folder_where_the_number_of_refs_is_kept_is_no_matter(server: GitServer) -> None:
    base = begun(server)
    reader = home(server.clone("b"))
    reader.read()
    count = reader.clone.folder.with_suffix(".refs.json")
    count.unlink(missing_ok=True)
    count.mkdir()
    assert reader.read() == base
