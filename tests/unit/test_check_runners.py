"""The runner checks against a loopback forge that follows the published APIs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from tasks.checks.runners import GithubRunnerCheck, GitlabRunnerCheck
from tasks.checks.waiting import Outcome
from tests.servers.runners import TOKEN, Runners

if TYPE_CHECKING:
    from tests.unit.site import Site

Gitlab = Callable[..., Outcome]


@pytest.fixture
def forge(monkeypatch: pytest.MonkeyPatch) -> Iterator[Runners]:
    """A forge, and a token for it in the environment."""
    monkeypatch.setenv("FORGE_TOKEN", TOKEN)
    server = Runners()
    yield server
    server.close()


@pytest.fixture
def gitlab(forge: Runners, site: Site) -> Gitlab:
    """Looks once for runners of project 42."""

    def look(**keys: Any) -> Outcome:
        scope = {} if "group" in keys or keys.get("project", 42) is None else {"project": 42}
        keys = {"api": forge.url("/api/v4"), "token": "FORGE_TOKEN", "timeout": 0, "interval": 0.05, **scope, **keys}
        return site.wait(GitlabRunnerCheck(kind="gitlab_runner", **keys))

    return look


def test_a_runner_that_is_online_and_asked_for_jobs_is_success(forge: Runners, gitlab: Gitlab, site: Site) -> None:
    site.since = datetime.now(UTC) - timedelta(seconds=60)
    forge.add(7, contacted=5)
    found = gitlab(tags=["k8s"], version=">=18, <19")
    assert found.passed, found.text
    assert "runner-7 (#7)" in found.text
    assert {header["PRIVATE-TOKEN"] for header in forge.headers} == {TOKEN}
    assert not any(TOKEN in line for line in forge.asked)
    assert TOKEN not in str(found)


def test_online_since_before_the_deploy_is_not_enough(forge: Runners, gitlab: Gitlab, site: Site) -> None:
    """GitLab calls a runner online for two hours after it was last seen."""
    site.since = datetime.now(UTC) - timedelta(seconds=60)
    forge.add(7, contacted=90)
    found = gitlab()
    assert not found.passed
    assert "before the deploy began" in found.text


def test_a_runner_that_turns_up_late_is_waited_for(forge: Runners, gitlab: Gitlab) -> None:
    import threading

    later = threading.Timer(0.3, forge.add, (7,))
    later.start()
    found = gitlab(timeout=60)
    assert found.passed
    assert found.looks > 1


@pytest.mark.parametrize(
    ("runner", "keys", "problem"),
    [
        ({"contacted": 1200}, {}, "s ago, expected within 900 s"),
        ({"status": "offline"}, {}, "it is offline"),
        ({"paused": True}, {}, "it is paused"),
        ({}, {"paused": True}, "it is not paused"),
        ({"contacted_at": None}, {"no_managers": True}, "it has never contacted GitLab"),
        ({"version": "16.1.0"}, {"version": ">=17"}, "its version is 16.1.0, expected >=17"),
        ({}, {"tags": ["gpu"]}, "no runner with the tags gpu is registered in project 42"),
        ({}, {"runner": "prod-*"}, "no runner 'prod-*' is registered in project 42"),
        ({}, {"count": 2}, "1 of 1 runner of project 42 as expected, 2 required"),
    ],
)
def test_what_is_wrong_with_a_runner_is_said(
    forge: Runners, gitlab: Gitlab, runner: dict[str, Any], keys: dict[str, Any], problem: str
) -> None:
    forge.add(7, **runner)
    if keys.pop("no_managers", False):
        forge.managers[7] = []
    found = gitlab(**keys)
    assert not found.passed
    assert problem in found.text


def test_all_pages_are_read(forge: Runners, gitlab: Gitlab) -> None:
    for number in range(1, 8):
        forge.add(number)
    assert gitlab(count=7).passed
    assert gitlab(runner="runner-7").passed


@pytest.mark.parametrize(
    ("scope", "path"),
    [
        ({"project": 42}, "/api/v4/projects/42/runners?"),
        ({"project": "team/app"}, "/api/v4/projects/team%2Fapp/runners?"),
        ({"group": "team"}, "/api/v4/groups/team/runners?"),
        ({"project": None}, "/api/v4/runners/all?"),
    ],
)
def test_each_scope_has_its_own_list(forge: Runners, gitlab: Gitlab, scope: dict[str, Any], path: str) -> None:
    gitlab(**scope)
    assert forge.asked[0].startswith(f"GET {path}")


@pytest.mark.parametrize(
    ("refusals", "said", "final"),
    [
        ([(401, {})], "the token in FORGE_TOKEN is not accepted (401)", True),
        ([(403, {})], "the token in FORGE_TOKEN may not read this (403)", True),
        ([(404, {})], "or the token in FORGE_TOKEN may not see it (404)", False),
        ([(500, {})], "status 500", False),
        ([(429, {"Retry-After": "1"})], "too many requests (429)", False),
        ([(302, {"Location": "https://user:hunter2@other.test/x"})], "redirected to https://other.test/x", False),
    ],
)
def test_a_refusal_is_told_from_a_runner_that_is_not_there(
    forge: Runners, gitlab: Gitlab, refusals: list[Any], said: str, final: bool
) -> None:
    forge.add(7)
    forge.refuse = list(refusals)
    once = gitlab()
    assert not once.passed
    assert said in once.text
    assert TOKEN not in once.text
    forge.refuse = list(refusals)
    assert gitlab(timeout=60).passed is not final


def test_without_a_token_nothing_is_asked(forge: Runners, gitlab: Gitlab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORGE_TOKEN")
    assert "the environment variable FORGE_TOKEN is not set" in gitlab(timeout=3600).text
    assert forge.asked == []


@pytest.fixture
def github(forge: Runners, site: Site) -> Gitlab:
    """Looks once for runners of a repository on GitHub."""

    def look(**keys: Any) -> Outcome:
        scope = {} if "organization" in keys else {"repository": "acme/app"}
        keys = {"api": forge.url(""), "token": "FORGE_TOKEN", "timeout": 0, "interval": 0.05, **scope, **keys}
        return site.wait(GithubRunnerCheck(kind="github_runner", **keys))

    return look


def test_a_github_runner_with_its_labels_online(forge: Runners, github: Gitlab) -> None:
    for number in range(1, 5):
        labels = [{"name": "self-hosted"}, {"name": "gpu" if number == 4 else "cpu"}]
        forge.runners.append({"id": number, "name": f"r{number}", "status": "online", "busy": False, "labels": labels})
    assert github(tags=["gpu", "self-hosted"]).passed
    assert forge.asked[0].startswith("GET /repos/acme/app/actions/runners?")
    assert github(tags=["gpu"], busy=True).text.startswith(
        "0 of 1 runner of acme/app as expected, 1 required; r4: it is idle"
    )
    assert "no runner with the tags tpu is registered in acme/app" in github(tags=["tpu"]).text
    forge.runners[3]["status"] = "offline"
    assert "r4: it is offline" in github(tags=["gpu"]).text
    assert github(organization="acme").passed
    assert forge.asked[-2].startswith("GET /orgs/acme/actions/runners?")


@pytest.mark.parametrize("keys", [{}, {"repository": "a/b", "organization": "a"}])
def test_a_github_runner_has_one_scope(keys: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="set exactly one of"):
        GithubRunnerCheck(kind="github_runner", **keys)


def test_a_gitlab_runner_has_one_scope() -> None:
    with pytest.raises(ValidationError, match="not both"):
        GitlabRunnerCheck(kind="gitlab_runner", project=1, group=2)
