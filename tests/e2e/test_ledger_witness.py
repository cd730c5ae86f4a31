"""What the forge knows of a ledger: which entry is the last, and who approved what was deployed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tasks.ledger.keys import SigningKey
from tests.e2e.test_ledger import LEDGER, REF, Remote
from tests.repository import Repository, minimal_config, resource
from tests.servers.forge import TOKEN, Answer, Forge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY = SigningKey(b"k" * 32)
ANN = {"id": 11, "login": "ann", "username": "ann"}
STATUS = "doit-tofu/ledger/local"


@pytest.fixture(params=["gitlab", "github"])
def forge(request: pytest.FixtureRequest) -> Iterator[Forge]:
    server = Forge(request.param)
    yield server
    server.stop()


def _job(forge: Forge, commit: str, number: int) -> dict[str, str]:
    """The variables of a job of the default branch."""
    if forge.kind == "gitlab":
        return {"CI_COMMIT_SHA": commit, "CI_PIPELINE_ID": str(number), "CI_JOB_ID": str(number)}
    return {"GITHUB_SHA": commit, "GITHUB_RUN_ID": str(number), "GITHUB_RUN_ATTEMPT": "1"}


@pytest.fixture
def deployed(build: Callable[..., Repository], tmp_path: Path, forge: Forge) -> Remote:
    """A signed ledger with one deploy of one stack, which came by merge request 3, approved by Ann."""
    ledger = LEDGER.replace("git}", f"git, public_key: {KEY.public.text}}}")
    config = minimal_config(ledger).replace("{root}/.state/", f"{tmp_path / 'states'}/")
    first = build(config, f"stacks/a/main.tf:{resource()}")
    first.variables |= {"DEPLOY_FORGE__TIMEOUT": "2", "DEPLOY_LEDGER_KEY": KEY.text}
    first.variables |= (
        {
            "GITLAB_CI": "true", "CI_API_V4_URL": forge.url, "CI_PROJECT_ID": "42", "CI_COMMIT_BRANCH": "main",
            "CI_PROJECT_PATH": "acme/infra", "GITLAB_TOKEN": TOKEN,
        }
        if forge.kind == "gitlab"
        else {
            "GITHUB_ACTIONS": "true", "GITHUB_API_URL": forge.url, "GITHUB_REPOSITORY": "acme/infra",
            "GITHUB_REF_NAME": "main", "GITHUB_TOKEN": TOKEN,
        }
    )  # fmt: skip
    remote = Remote(tmp_path, first)
    job = remote.clone()
    job.doit("ledger", "init", GITLAB_TOKEN="", GITHUB_TOKEN="")
    _deploy(remote, job, forge, 7)
    return remote


def _deploy(remote: Remote, job: Repository, forge: Forge, number: int) -> str:
    """A deploy job of the newest commit; returns what it printed."""
    remote.push(job)
    commit = job.git("rev-parse", "HEAD")
    merged: dict[str, object] = {"merged_at": "2026-01-01", "state": "merged", "target_branch": "main", "sha": commit}
    forge.merged[commit] = [{**merged, "iid": 3, "number": 3, "base": {"ref": "main"}, "head": {"sha": commit}}]
    forge.approvals[3] = [{"user": ANN, "state": "APPROVED"}]
    forge.deployments.setdefault("local", []).insert(0, commit)
    return remote.clone().doit("deploy", **_job(forge, commit, number)).out


def _change(remote: Remote, value: str, *, public: bool = False) -> Repository:
    job = remote.clone()
    if public:
        path = job.path / "config/pipeline.yaml"
        path.write_text(path.read_text().replace("git, public_key", "git, public: true, public_key"))
    job.write(f"stacks/a/main.tf:{resource(value)}")
    job.commit(value)
    return job


def _notes(forge: Forge) -> list[str]:
    name = "name" if forge.kind == "gitlab" else "context"
    return [item["description"] for item in forge.statuses if item[name] == STATUS]


def test_the_forge_names_the_last_entry_and_a_ledger_of_yesterday_is_noticed(deployed: Remote, forge: Forge) -> None:
    [note] = _notes(forge)
    assert note.startswith("2 ")
    done = deployed.clone().doit("audit")
    assert "intact: 2 events" in done.out
    assert "the forge names 2 as the last entry" in done.out
    assert "approved by user 11" in deployed.clone().doit("log", "a").out
    yesterday = deployed.git("rev-parse", REF)
    said = _deploy(deployed, _change(deployed, "2", public=True), forge, 8)
    assert "approved" not in said
    assert [text.split()[0] for text in _notes(forge)] == ["2", "3"]
    assert "merge request 3, approved by ann" in deployed.clone().doit("log", "a").out
    deployed.git("update-ref", REF, yesterday)  # whole, signed, and a fresh clone has never seen a later one
    done = deployed.clone().doit("audit", code=1)
    assert "the ledger ends at entry 2, but the forge has recorded entry 3: it was rolled back" in done.out
    found = json.loads(deployed.clone().doit("audit", "--json", code=1).out)
    assert (found["whole"], found["forge"]["verdict"], found["forge"]["sequence"]) == (True, "rolled back", 3)
    assert (
        "nothing proves that 2 is the last entry"
        in deployed.clone().doit("audit", GITLAB_TOKEN="", GITHUB_TOKEN="").out
    )


def test_a_forge_that_does_not_play_along_is_said_and_stops_nothing(deployed: Remote, forge: Forge) -> None:
    posts, reads = "POST .*/statuses/", "GET .*/(approvals|reviews|deployments|commits)"
    refused = [Answer(403, body=b'{"message": "insufficient scope"}')] * 20
    forge.answer(posts, *refused)
    forge.answer("GET .*/(approvals|reviews)", *refused)
    said = _deploy(deployed, _change(deployed, "2"), forge, 8)
    assert "ledger: entry 3 was not recorded at the forge: " in said
    assert "insufficient scope" in said
    assert "the approvals of this commit are not recorded: " in said
    assert "merge request" not in deployed.clone().doit("log", "--most", "1").out
    forge.answers.clear()
    done = deployed.clone().doit("audit")
    assert "the forge has recorded entries up to 2; nothing proves that 3 is the last entry" in done.out
    for answers in ([Answer(503)] * 100, [Answer(429, {"Retry-After": "600"})], [Answer(200, body=b"<html>")] * 2):
        forge.answer(reads, *answers)
        done = deployed.clone().doit("audit")
        assert "nothing proves that 3 is the last entry (the forge did not answer: " in done.out
        forge.answers.clear()
