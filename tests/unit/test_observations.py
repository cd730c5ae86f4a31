"""Observations: since when a drift is known and what each channel was told, merged from runs that write at once."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tasks.base.errors import LedgerError
from tasks.base.objects.folder import Folder
from tasks.base.objects.web import Web
from tasks.ledger import keys, statement
from tasks.ledger.gitclone import Clone
from tasks.ledger.githome import GitHome
from tasks.ledger.identity import Identity
from tasks.ledger.observations import Incident, Observations, Outcome, Update
from tasks.ledger.observer import KIND, Observer, UntrustedError
from tasks.ledger.session import Trust
from tasks.ledger.storehome import StoreHome
from tests.servers.fileserver import TOKEN, FileServer
from tests.servers.gitserver import READER, WRITER, GitServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tasks.ledger.home import Home

REF = "refs/heads/doit-tofu/prod/observations"
KEY, STRANGER = keys.SigningKey(b"o" * 32), keys.SigningKey(b"x" * 32)
SIGNED = Trust([KEY.public], [KEY])
MONDAY, TUESDAY, FRIDAY = (f"2026-11-{day}T06:00:00Z" for day in (23, 24, 27))


@pytest.fixture(params=["git", "folder", "web"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Home]]:
    """Opens one place as a machine of its own does."""
    if request.param == "folder":
        yield lambda: StoreHome(Folder(tmp_path / "store", durable=True))
    elif request.param == "web":
        web = FileServer()
        yield lambda: StoreHome(Web(web.url, "Authorization", TOKEN, 5, lambda _: None, once=True))
        web.stop()
    else:
        server, count = GitServer(tmp_path / "server"), iter(range(1000))

        def opened() -> Home:
            root = server.clone(f"job{next(count)}")
            clone = Clone(root, "origin", root / ".deploy" / "observations.git", WRITER, 20)
            return GitHome(clone, REF, lambda _: None)

        yield opened
        server.stop()


class _Nowhere(StoreHome):
    """A place that is empty and stays so."""

    def __init__(self) -> None:
        pass

    def read(self) -> None:
        return None

    def write(self, *_: object) -> None:
        return None


def observer(home: Home, trust: Trust = SIGNED, environment: str = "prod", label: str = "pipeline 7") -> Observer:
    return Observer(home, Identity("group/project", environment), label, trust, lambda _: None)


def check(at: str, run: str = "pipeline 7", **stacks: dict[str, str]) -> Update:
    return Update(at, run, checked=stacks)


def incident(what: str = "x", at: str = MONDAY) -> Incident:
    return Incident(
        event="drift", stack="web", stage="drift", command="drift", kind="drifted", what=what, fingerprint="f",
        since=at, told=at,
    )  # fmt: skip


def test_there_are_none_at_first(place: Callable[[], Home]) -> None:
    found = observer(place()).read()
    assert (found.writes, found.stacks, found.channels) == (0, {}, {})


def test_another_machine_knows_since_when(place: Callable[[], Home]) -> None:
    observer(place()).write(check(MONDAY, web={"a": "1", "b": "1"}))
    observer(place()).write(check(TUESDAY, "pipeline 8", web={"a": "1", "b": "2", "c": "1"}))
    found = observer(place()).read().stacks["web"]
    assert found.at == TUESDAY
    assert {name: (item.since, item.changed, item.run) for name, item in found.drifts.items()} == {
        "a": (MONDAY, MONDAY, "pipeline 7"), "b": (MONDAY, TUESDAY, "pipeline 7"),
        "c": (TUESDAY, TUESDAY, "pipeline 8"),
    }  # fmt: skip


def test_a_drift_that_comes_again_is_new(place: Callable[[], Home]) -> None:
    home = place()
    for at, found in ((MONDAY, {"a": "1"}), (TUESDAY, {}), (FRIDAY, {"a": "1"})):
        observer(home).write(check(at, web=found))
    known = observer(place()).read().stacks["web"]
    assert known.drifts["a"].since == FRIDAY


def test_a_stack_that_was_not_checked_keeps_what_is_known(place: Callable[[], Home]) -> None:
    observer(place()).write(check(MONDAY, web={"a": "1"}, db={}))
    observer(place()).write(check(TUESDAY, db={}))
    found = observer(place()).read()
    assert found.stacks["web"].drifts["a"].since == MONDAY
    assert (found.stacks["web"].at, found.stacks["db"].at) == (MONDAY, TUESDAY)


def test_a_stack_that_is_gone_is_forgotten() -> None:
    known = check(MONDAY, web={"a": "1"}, db={}).over(Observations(project="p", environment="prod"))
    assert set(Update(TUESDAY, "r", stacks=["db"]).over(known).stacks) == {"db"}


def test_channels_are_merged_and_not_replaced(place: Callable[[], Home]) -> None:
    observer(place()).write(Update(MONDAY, "r", noted={"chat": {"one": incident()}, "mail": {"one": incident()}}))
    observer(place()).write(Update(TUESDAY, "r", noted={"chat": {"two": incident()}}))
    observer(place()).write(Update(FRIDAY, "r", ended={"mail": ["one"]}, noted={"chat": {"one": incident(at=FRIDAY)}}))
    found = observer(place()).read().channels
    assert {label: set(items) for label, items in found.items()} == {"chat": {"one", "two"}}
    assert (found["chat"]["one"].since, found["chat"]["one"].told) == (MONDAY, FRIDAY)


def test_runs_that_write_at_once_lose_nothing(place: Callable[[], Home]) -> None:
    writers = [observer(place()) for _ in range(4)]
    failed: list[Exception] = []

    def write(number: int) -> None:
        try:
            writers[number].write(check(MONDAY, **{f"s{number}": {"a": "1"}}))
        except LedgerError as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert set(observer(place()).read().stacks) == {"s0", "s1", "s2", "s3"}


def test_an_update_that_changes_nothing_is_still_a_check() -> None:
    known = check(MONDAY, web={}).over(Observations(project="p", environment="prod"))
    assert check(TUESDAY, web={}).over(known).stacks["web"].at == TUESDAY


def test_a_stranger_is_not_believed_and_is_overwritten(place: Callable[[], Home]) -> None:
    observer(place(), Trust([STRANGER.public], [STRANGER])).write(check(MONDAY, web={"a": "1"}))
    with pytest.raises(UntrustedError, match="not signed by the key"):
        observer(place()).read()
    observer(place()).write(check(TUESDAY, web={"a": "1"}))
    assert observer(place()).read().stacks["web"].drifts["a"].since == TUESDAY


def test_an_earlier_version_that_is_put_back_silences_nothing(place: Callable[[], Home]) -> None:
    home = place()
    known = [observer(home).write(check(at, web=found)) for at, found in ((MONDAY, {"a": "1"}), (TUESDAY, {}))]
    old = statement.seal(known[0].content(), KIND, [KEY])
    home.write(home.read(), old.to_bytes(), {}, ())  # signed, and the drift of Monday is known in it
    reader = observer(place())
    reader.floor = known[1].writes
    with pytest.raises(UntrustedError, match="rolled back to an earlier version: number 1, but 2 was seen"):
        reader.require_newest(reader.read())
    made = reader.write(check(FRIDAY, web={"a": "1"}))
    assert (made.writes, made.stacks["web"].drifts["a"].since) == (3, FRIDAY)
    reader.require_newest(reader.read())


def test_lost_observations_are_new_ones_and_are_numbered_on() -> None:
    made = observer(_Nowhere())
    made.floor = 7
    made.require_newest(made.read())
    assert made.write(check(MONDAY, web={})).writes == 8


def test_damage_is_not_believed_and_is_overwritten(place: Callable[[], Home]) -> None:
    place().write(None, b"rubbish", {}, ())
    with pytest.raises(UntrustedError, match="not an envelope"):
        observer(place()).read()
    observer(place()).write(check(TUESDAY, web={}))
    assert observer(place()).read().writes == 1


def test_a_job_without_the_key_reads_and_cannot_write(place: Callable[[], Home]) -> None:
    observer(place()).write(check(MONDAY, web={}))
    reader = observer(place(), Trust([KEY.public]))
    assert reader.read().writes == 1
    with pytest.raises(LedgerError, match=f"signed with the key {KEY.public.id}, which this job does not have"):
        reader.write(check(TUESDAY, web={}))


def test_those_of_another_environment_or_project_are_neither_read_nor_overwritten(place: Callable[[], Home]) -> None:
    observer(place()).write(check(MONDAY, web={}))
    for identity, said in (
        (Identity("group/project", "dev"), "they are of environment 'prod', not of 'dev'"),
        (Identity("group/other", "prod"), "they are of 'group/project', but this is 'group/other'"),
    ):
        other = replace(observer(place()), identity=identity)
        for attempt in (other.read, partial(other.write, check(TUESDAY, web={}))):
            with pytest.raises(LedgerError, match=f"the observations cannot be used: {said}"):
                attempt()
    assert observer(place()).read().stacks["web"].at == MONDAY


def test_those_of_a_renamed_repository_are_renamed(place: Callable[[], Home]) -> None:
    observer(place()).write(check(MONDAY, web={"a": "1"}))
    renamed = replace(observer(place()), identity=Identity("group/platform", "prod"))
    with pytest.raises(LedgerError) as caught:
        renamed.read()
    assert "they are of 'group/project', but this is 'group/platform'" in caught.value.message
    assert "`doit reason=WHY ledger rename`" in caught.value.problem.next_text
    assert renamed.rename() is True
    assert renamed.read().stacks["web"].drifts["a"].since == MONDAY
    assert renamed.rename() is False


def test_a_newer_format_is_neither_read_nor_overwritten(place: Callable[[], Home]) -> None:
    newer = Observations(project="group/project", environment="prod").model_copy(update={"format": 9, "needs": "9.1.0"})
    place().write(None, statement.seal(newer.content(), KIND, [KEY]).to_bytes(), {}, ())
    for attempt in (observer(place()).read, lambda: observer(place()).write(check(TUESDAY, web={}))):
        with pytest.raises(LedgerError, match=r"doit-tofu 9\.1\.0 or newer can read it"):
            attempt()


def test_a_job_that_may_only_read_says_so(tmp_path: Path) -> None:
    server = GitServer(tmp_path / "server")
    try:
        root = server.clone("reader")
        clone = Clone(root, "origin", root / ".deploy" / "observations.git", READER, 20)
        job = observer(GitHome(clone, REF, lambda _: None))
        with pytest.raises(LedgerError, match="the observations cannot be written"):
            job.write(check(MONDAY, web={}))
        assert job.read().writes == 0
    finally:
        server.stop()


def test_a_write_without_an_answer_is_repeated_and_counts_once() -> None:
    known = check(MONDAY, web={"a": "1"}).over(Observations(project="p", environment="prod"))
    again = check(MONDAY, web={"a": "1"}).over(known)
    assert replace(check(MONDAY), checked={}).over(again).stacks == known.stacks


def test_how_the_last_checks_ended_is_kept_a_failed_one_beside_the_last_answer() -> None:
    found = Observations(project="p", environment="e")
    ended = []
    for status in ("drifted", "failed", "failed", "ok", "failed"):
        outcome = Outcome(status=status, began=f"T{len(ended)}")
        found = Update("now", "r", outcomes={"a": outcome}).over(found)
        now = found.stacks["a"]
        assert now.last == outcome
        ended.append(now.ended and now.ended.status)
    assert ended == [None, "drifted", "drifted", None, "ok"]
    found = Update("now", "r", checked={"a": {}}).over(found)
    assert found.stacks["a"].last is None, "what was repaired has no drift"
