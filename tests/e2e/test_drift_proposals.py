"""A scheduled check keeps a merge request with the proven adoption of each drifted stack; the working tree stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_drift_adopt import change, code
from tests.e2e.test_drift_cron import pipeline
from tests.repository import minimal_config
from tests.servers.forge import TOKEN, Forge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.repository import Repository

CONFIG = "drift: {merge_requests: true}\nforge: {status: false}\n"
SECRET = "s3cr3t-of-the-job"


@pytest.fixture
def forge() -> Iterator[Forge]:
    server = Forge("gitlab")
    yield server
    server.stop()


def test_a_drift_is_offered_as_a_merge_request_and_the_offer_ends_with_it(
    build: Callable[..., Repository], forge: Forge
) -> None:
    stacks = (f"stacks/a/main.tf:{code({'x': 'input = 3'})}", f"stacks/b/main.tf:{code({'y': 'input = 1 + 2'})}")
    repository = build(minimal_config(CONFIG), *stacks)
    repository.prepare("deploy")
    change(repository, {"x": 5})
    job = {**pipeline(forge, repository, 500), "GITLAB_TOKEN": ""}
    assert "none, as DEPLOY_ADOPTION_TOKEN is not set" in repository.doit("drift", code=2, **job).out
    assert forge.requests == []
    job["DEPLOY_ADOPTION_TOKEN"] = TOKEN
    assert "forge: merge requests for drift: opened for a" in repository.doit("drift", code=2, **job).out
    assert forge.open_proposals() == ["drift/local/a"]
    [made] = forge.proposals.values()
    for words in ("the plan is empty", "+  input = 5", "`doit deploy --repair a`", "terraform_data.x"):
        assert words in made["text"]
    assert made["target"] == "main"
    [pushed] = forge.pushed.values()
    assert pushed["start_sha"] == repository.git("rev-parse", "HEAD")
    assert [(item["file_path"], "input = 5" in item["content"]) for item in pushed["actions"]] == [
        ("stacks/a/main.tf", True)
    ]
    assert repository.git("status", "--short") == ""
    repository.doit("drift", code=2, **job)
    assert (len(forge.proposals), len(forge.pushed)) == (1, 1)
    change(repository, {"x": SECRET})
    done = repository.doit("drift", code=2, **job, MY_PASSWORD=SECRET)
    assert "merge requests for drift: none for a" in done.out
    assert SECRET not in str(forge.proposals) + str(forge.pushed) + done.out
    change(repository, {"x": 3})
    assert "closed for a" in repository.doit("drift", code=0, **job).out
    assert (forge.open_proposals(), list(forge.branches)) == ([], ["main"])
