"""What is known outlives the runner wherever the ledger lives: a fresh clone for each job, over real servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_ledger import REF, Remote
from tests.repository import Repository, minimal_config, reader, resource
from tests.servers.fileserver import TOKEN, FileServer
from tests.servers.gitserver import READER, WRITER, GitServer, git
from tests.servers.objectstore import ACCESS_KEY, SECRET_KEY, ObjectStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

STACKS = (f"stacks/a/main.tf:{resource()}", f"stacks/b/main.tf:{reader('x')}", f"stacks/c/main.tf:{resource('c')}")


@pytest.fixture
def project(build: Callable[..., Repository], tmp_path: Path) -> Callable[[str], Remote]:
    """Three stacks, `a --> b` and `c`, whose states lie outside of every clone, with a ledger."""

    def project(ledger: str) -> Remote:
        config = minimal_config(f"stacks:\n  b: {{inputs: {{x: a.value}}}}\nledger: {ledger}\n")
        return Remote(tmp_path, build(config.replace("{root}/.state/", f"{tmp_path}/states/"), *STACKS))

    return project


@pytest.fixture
def files() -> Iterator[FileServer]:
    server = FileServer()
    yield server
    server.stop()


def outlives(remote: Remote, **variables: str) -> None:
    """A second pipeline in fresh clones starts no engine and knows what the first one did."""
    remote.clone().doit("ledger", "init", **variables)
    assert "can read and write the ledger" in remote.clone().doit("ledger", "check", **variables).out
    first = remote.clone()
    first.doit("deploy", **variables)
    assert len(first.engine_calls("apply")) == 3
    second = remote.clone()
    second.doit("deploy", **variables)
    assert second.engine_calls() == []
    assert remote.clone().doit("audit", **variables).code == 0


def test_in_a_folder(project: Callable[[str], Remote], tmp_path: Path) -> None:
    outlives(project(f'{{kind: store, url: "{tmp_path}/ledgers"}}'))


def test_on_a_server_with_etags(project: Callable[[str], Remote], files: FileServer) -> None:
    outlives(project(f'{{kind: store, url: "{files.url}"}}'), DEPLOY_LEDGER_TOKEN=TOKEN)


def test_on_a_server_that_ignores_conditions(project: Callable[[str], Remote], files: FileServer) -> None:
    files.conditions = False
    remote = project(f'{{kind: store, url: "{files.url}"}}')
    remote.clone().doit("ledger", "init", DEPLOY_LEDGER_TOKEN=TOKEN)
    done = remote.clone().doit("ledger", "check", code=1, DEPLOY_LEDGER_TOKEN=TOKEN)
    assert "could overwrite each other's records" in done.out


def test_in_a_bucket(project: Callable[[str], Remote], object_store: ObjectStore) -> None:
    object_store.create("ledgers")
    remote = project(f'{{kind: store, url: "s3://ledgers/of-us", endpoint: "{object_store.url}"}}')
    outlives(
        remote, AWS_ACCESS_KEY_ID=ACCESS_KEY, AWS_SECRET_ACCESS_KEY=SECRET_KEY, AWS_DEFAULT_REGION="us-east-1",
    )  # fmt: skip


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[GitServer]:
    """A forge whose ledger's branch only the writer may push to."""
    server = GitServer(tmp_path / "forge")
    yield server
    server.stop()


class Forge(Remote):
    """The same project, cloned over HTTP with a token that may only read."""

    def __init__(self, remote: Remote, server: GitServer) -> None:
        self.base, self._first, self._count, self._server = remote.base, remote._first, 100, server
        self.path = server.repository
        git(remote.path, "push", "-q", "--force", str(server.repository), "main:main")

    def clone(self) -> Repository:
        job = super().clone()
        job.git("remote", "set-url", "origin", self._server.with_login(READER))
        return job


def test_on_a_branch_that_only_the_deploys_token_may_push_to(
    project: Callable[[str], Remote], forge: GitServer
) -> None:
    remote = Forge(project("{kind: git}"), forge)
    outlives(remote, DEPLOY_LEDGER_TOKEN=WRITER)
    change = remote.clone()
    change.write(f"stacks/c/main.tf:{resource('c2')}")
    change.commit()
    git(change.path, "push", "-q", str(forge.repository), "HEAD:main")
    before = git(forge.repository, "rev-parse", REF)
    review = remote.clone()
    review.doit("plan")  # without the token
    assert review.planned() == ["c"]
    refused = remote.clone()
    done = refused.doit("deploy", code=1)
    assert "403" in done.out
    assert READER not in done.out
    assert "untouched: nothing was applied, and the ledger is unchanged" in done.out
    assert (
        "next: `doit ledger check` in the same job says which right is missing, then run the same command" in done.out
    )
    assert "`doit allow=unrecorded reason=WHY deploy`" in done.out
    assert refused.engine_calls("apply") == []
    assert git(forge.repository, "rev-parse", REF) == before
    check = remote.clone().doit("ledger", "check", "--json", code=1)
    assert "may not write" in check.out
    assert '"usable": false' in check.out
    assert '"access": "readable"' in check.out


def test_a_token_that_dies_while_a_deploy_applies(project: Callable[[str], Remote], forge: GitServer) -> None:
    remote = Forge(project("{kind: git}"), forge)
    remote.clone().doit("ledger", "init", DEPLOY_LEDGER_TOKEN=WRITER)
    pushes: list[str] = []

    def dies_after_the_first_push(method: str, service: str) -> int | None:
        if service == "receive-pack":
            pushes.append(method)
        return 401 if service == "receive-pack" and len(pushes) > 2 else None

    forge.fault = dies_after_the_first_push
    job = remote.clone()
    done = job.doit("deploy", code=1, DEPLOY_LEDGER_TOKEN=WRITER)
    assert len(job.engine_calls("apply")) == 3
    assert "not recorded" in done.out
    assert WRITER not in done.out
    forge.fault = lambda _method, _service: None
    job.doit("ledger", "push", DEPLOY_LEDGER_TOKEN=WRITER)
    later = remote.clone()
    later.doit("deploy", DEPLOY_LEDGER_TOKEN=WRITER)
    assert later.engine_calls() == []


def test_a_deploy_waits_for_one_fetch_and_two_pushes(project: Callable[[str], Remote], forge: GitServer) -> None:
    remote = Forge(project("{kind: git}"), forge)
    remote.clone().doit("ledger", "init", DEPLOY_LEDGER_TOKEN=WRITER)
    job = remote.clone()
    forge.log.clear()
    job.doit("deploy", DEPLOY_LEDGER_TOKEN=WRITER)
    assert len(job.engine_calls("apply")) == 3
    fetch = ["GET upload-pack 200", "POST upload-pack 200", "POST upload-pack 200"]
    push = ["GET receive-pack 200", "POST receive-pack 200"]
    assert forge.log == [*fetch, *push, *push]  # and no answer asks for a login
    reviewer = remote.clone()
    forge.log.clear()
    reviewer.doit("plan")
    assert forge.log == fetch
    for _ in range(2):
        forge.log.clear()
        reviewer.doit("plan")
        assert forge.log == ["GET upload-pack 200"]  # one round trip more than without a ledger
