"""What a check of the ledger finds out, and what it tells a person to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.base.objects.folder import Folder
from tasks.base.problem import Command
from tasks.ledger import advice
from tasks.ledger.check import Check, Found, check
from tasks.ledger.gitclone import Clone
from tasks.ledger.githome import GitHome
from tasks.ledger.storehome import StoreHome
from tasks.project.model import Ledger
from tests.servers.fileserver import FileServer
from tests.servers.gitserver import READER, WRITER, GitServer
from tests.unit.test_storehome import web

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tasks.base.problem import Steps

REF = "refs/heads/doit-tofu/prod/ledger"
GIT = Ledger(kind="git")  # type: ignore[call-arg]


def words(steps: Steps) -> str:
    return "".join(str(part) for part in ([steps] if isinstance(steps, str | Command) else steps))


@pytest.fixture
def git_server(tmp_path: Path) -> Iterator[GitServer]:
    server = GitServer(tmp_path / "server")
    yield server
    server.stop()


def on_git(server: GitServer, name: str, token: str) -> GitHome:
    clone = server.clone(name, url=server.with_login(token))
    return GitHome(Clone(clone, "origin", clone / ".deploy" / "ledger.git"), REF, lambda _: None)


def test_a_branch_that_is_absent_readable_and_writable(git_server: GitServer) -> None:
    writer = on_git(git_server, "writer", WRITER)
    assert check(writer) == Check(writer.name, Found.ABSENT)
    writer.write(None, b"head", {}, [(1, b"entry")])
    before = writer.read()
    assert check(writer).found is Found.WRITABLE
    assert writer.read() != before
    reader = check(on_git(git_server, "reader", READER))
    assert reader.found is Found.READABLE
    assert "403" in reader.said
    git_server.hook("pre-receive", "echo 'protected branch hook declined' >&2; exit 1")
    assert check(writer).found is Found.READABLE


def test_a_branch_that_cannot_be_read(git_server: GitServer) -> None:
    home = on_git(git_server, "clone", WRITER)
    del git_server.tokens[WRITER]
    assert check(home).found is Found.UNREADABLE
    git_server.stop()
    assert check(home).found is Found.UNREACHABLE


def test_a_store_that_ignores_conditions() -> None:
    server = FileServer()
    home = StoreHome(web(server))
    home.write(None, b"head", {}, [])
    assert check(home).found is Found.WRITABLE
    server.conditions = False
    assert check(home).found is Found.UNCONDITIONAL
    server.stop()


def test_what_is_no_ledger(tmp_path: Path) -> None:
    (tmp_path / "head").write_text("x")
    assert check(StoreHome(Folder(tmp_path))).found is Found.BROKEN


@pytest.mark.parametrize("found", Found)
def test_every_outcome_has_a_sentence(found: Found) -> None:
    assert "the-place" in advice.headline(Check("the-place", found))
    assert advice.headline(Check("the-place", found, "HTTP 403")).endswith(": HTTP 403")


def test_what_is_missing_is_named_as_the_forges_settings_name_it() -> None:
    readable = Check(REF, Found.READABLE)
    gitlab = words(advice.next_step(readable, GIT, "prod", "gitlab"))
    assert "Settings > Repository > Protected branches" in gitlab
    assert "`doit-tofu/prod/ledger`" in gitlab
    assert "DEPLOY_LEDGER_TOKEN" in gitlab
    github = words(advice.next_step(readable, GIT, "prod", "github"))
    assert "Settings > Rules > Rulesets" in github
    assert "Settings > Environments > prod" in github
    assert "push to `doit-tofu/prod/ledger`" in words(advice.next_step(readable, GIT, "prod", "none"))


def test_an_absent_ledger_is_begun_or_brought_back() -> None:
    step = words(advice.next_step(Check(REF, Found.ABSENT), GIT, "prod", "gitlab"))
    assert "doit ledger init" in step
    assert "restore the branch" in step


def test_where_all_is_well_there_is_nothing_to_do() -> None:
    assert advice.next_step(Check(REF, Found.WRITABLE), GIT, "prod", "gitlab") == ()
