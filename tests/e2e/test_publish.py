"""`doit publish`: run records reach a folder, an HTTP server and S3, once, whole, and whatever the server does."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tasks.base.errors import PublishError
from tasks.base.objects.web import Web
from tasks.history.destination import Destination
from tasks.history.publish import amend
from tests.repository import Repository, minimal_config, resource
from tests.servers.fileserver import TOKEN, FileServer
from tests.servers.objectstore import ACCESS_KEY, SECRET_KEY, ObjectStore
from tests.servers.web import Server, answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def server() -> Iterator[FileServer]:
    """A server of files that wants a token."""
    server = FileServer()
    yield server
    server.stop()


@pytest.fixture
def published(build: Callable[..., Repository], server: FileServer) -> Repository:
    """One stack, published to the server."""
    repository = build(minimal_config('publish: {to: "${DASHBOARD_URL}"}\n'), f"stacks/a/main.tf:{resource()}")
    repository.variables |= {"DASHBOARD_URL": server.url, "DEPLOY_PUBLISH_TOKEN": TOKEN}
    return repository


def test_a_deploy_is_published_to_a_folder_with_its_records_overview_and_index(
    build: Callable[..., Repository], tmp_path: Path
) -> None:
    repository = build(minimal_config(f"publish: {{to: {tmp_path}/board}}\n"), f"stacks/a/main.tf:{resource()}")
    repository.doit("deploy")
    repository.doit("publish")
    [run] = [path.stem for path in repository.deploy_dir("runs").glob("*.json")]
    board = tmp_path / "board"
    assert json.loads((board / "index.json").read_text())["environments"] == {"local": [f"{run[:4]}-{run[4:6]}"]}
    index = json.loads((board / f"local/index/{run[:4]}-{run[4:6]}.json").read_text())
    assert index["runs"][run]["exit_code"] == 0
    assert (board / f"local/runs/{run}.json").read_bytes() == repository.deploy_dir(f"runs/{run}.json").read_bytes()
    assert (board / f"local/runs/{run}.jsonl").exists()
    assert json.loads((board / "local/overview.json").read_text())["stacks"]["a"]["deployed"]["run"] == run
    assert (board / "local/reports/deploy.md").exists()


def test_publishing_again_sends_nothing_but_what_is_new(published: Repository, server: FileServer) -> None:
    published.doit("deploy")
    published.doit("publish")
    server.log.clear()
    published.doit("publish")
    assert [line for line in server.log if line.startswith("PUT")] == []
    published.doit("drift")
    published.doit("publish")
    assert len([line for line in server.log if line.startswith("PUT") and "/runs/" in line]) == 2


def test_a_server_that_is_busy_or_failing_is_tried_again_and_the_token_is_never_shown(
    published: Repository, server: FileServer
) -> None:
    published.doit("deploy")
    server.faults += [(503, {}), (429, {"Retry-After": "1"}), (500, {})]
    done = published.doit("publish")
    assert "published 1 run" in done.out
    assert TOKEN not in done.out + "".join(data.decode() for data in server.files.values())


def test_a_server_that_refuses_is_named_and_the_command_fails(published: Repository, server: FileServer) -> None:
    published.doit("deploy")
    done = published.doit("publish", code=1, DEPLOY_PUBLISH_TOKEN="wrong-token-value")
    assert "HTTP 401" in done.out
    assert server.url in done.out
    assert server.files == {}


def test_a_redirect_does_not_carry_the_token_elsewhere(published: Repository, server: FileServer) -> None:
    published.doit("deploy")
    server.faults.append((307, {"Location": "http://127.0.0.1:9/elsewhere"}))
    assert "HTTP 307" in published.doit("publish", code=1).out


def test_a_token_in_a_header_of_another_name_does_not_follow_a_redirect() -> None:
    home, away = Server(), Server()
    home.answers["/store/index.json"] = answer(302, Location=away.url("/index.json"))
    away.answers["/index.json"] = answer(200, b"{}")
    to = Web(home.url("/store"), "PRIVATE-TOKEN", TOKEN, 10, time.sleep, once=False)
    assert to.read("index.json")[0] == b"{}"
    assert [headers["PRIVATE-TOKEN"] for headers in home.headers] == [TOKEN]
    assert [headers["PRIVATE-TOKEN"] for headers in away.headers] == [None]
    for each in (to, home, away):
        each.close()


def test_publishing_at_the_end_of_a_run_changes_no_outcome_when_it_fails(published: Repository) -> None:
    done = published.doit(
        "deploy", DEPLOY_PUBLISH__AUTOMATIC="true", DASHBOARD_URL="http://127.0.0.1:9/x", DEPLOY_PUBLISH_TOKEN=TOKEN
    )
    assert "not published; nothing else is affected" in done.out


def test_a_run_publishes_itself_at_its_end_where_that_is_wanted(published: Repository, server: FileServer) -> None:
    published.doit("deploy", DEPLOY_PUBLISH__AUTOMATIC="true")
    [run] = [path.stem for path in published.deploy_dir("runs").glob("*.json")]
    assert json.loads(server.files[f"local/runs/{run}.json"])["exit_code"] == 0


def test_a_token_is_not_sent_in_clear_over_the_network(published: Repository) -> None:
    published.doit("deploy")
    assert (
        "not sent in plain text" in published.doit("publish", code=1, DASHBOARD_URL="http://files.example.test/x").out
    )


def test_where_to_publish_is_asked_for_with_the_key(one: Repository) -> None:
    assert "publish.to" in one.doit("publish", code=1).out


def test_s3_gets_the_same_files(build: Callable[..., Repository], object_store: ObjectStore) -> None:
    object_store.create("board")
    repository = build(
        minimal_config(f'publish: {{to: "s3://board/runs-of/me", endpoint: "{object_store.url}"}}\n'),
        f"stacks/a/main.tf:{resource()}",
    )
    repository.variables |= {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_DEFAULT_REGION": "us-east-1",
    }  # fmt: skip
    repository.doit("deploy")
    repository.doit("publish")
    repository.doit("drift")
    repository.doit("publish")
    runs = sorted(path.name for path in repository.deploy_dir("runs").iterdir())
    keys = object_store.keys("board")
    assert [key.rpartition("/")[2] for key in keys if "/runs/" in key] == runs
    month = f"{runs[0][:4]}-{runs[0][4:6]}"
    index = object_store.state("board", f"runs-of/me/local/index/{month}.json")
    assert index is not None
    assert len(index["runs"]) == 2
    assert "runs-of/me/index.json" in keys


def test_a_stop_ends_the_tries_to_write_what_others_change(server: FileServer) -> None:
    server.faults += [(200, {}), (412, {})] * 12
    to = Destination(Web(server.url, "Authorization", TOKEN, 10, time.sleep, once=False))
    waited: list[float] = []

    def stopped(seconds: float) -> bool:
        waited.append(seconds)
        return True

    with pytest.raises(PublishError, match=r"stopped while other runs were changing index\.json"):
        amend(to, "index.json", lambda _: {"mine": 1}, stopped)
    assert len(waited) == 1
    assert server.log == ["GET /store/index.json", "PUT /store/index.json"]
    to.close()


def test_publishers_that_come_at_once_lose_no_entry(server: FileServer) -> None:
    together = threading.Barrier(6)

    def publisher(number: int) -> None:
        to = Destination(Web(server.url, "Authorization", TOKEN, 10, time.sleep, once=False))
        together.wait()
        for entry in range(4):
            name = f"{number}-{entry}"
            amend(to, "index.json", lambda old, name=name: {**(old or {}), name: 1})  # type: ignore[misc]
        to.close()

    threads = [threading.Thread(target=publisher, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    index: dict[str, Any] = json.loads(server.files["index.json"])
    assert sorted(index) == [f"{number}-{entry}" for number in range(6) for entry in range(4)]
