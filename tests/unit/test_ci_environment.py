"""Which CI runs this: one reading of its variables, and what git says of the checkout."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tasks.base import ci, git

PACKAGE = Path(ci.__file__).parent.parent
GITLAB = {
    "CI": "true", "GITLAB_CI": "true", "CI_API_V4_URL": "https://gitlab.test/api/v4", "CI_PROJECT_PATH": "acme/infra",
    "CI_PROJECT_ID": "42", "CI_PIPELINE_ID": "500", "CI_JOB_ID": "9000", "CI_PIPELINE_URL": "https://gitlab.test/p/500",
    "CI_JOB_URL": "https://gitlab.test/j/9000", "CI_COMMIT_SHA": "c" * 40, "CI_COMMIT_BRANCH": "main",
    "GITLAB_USER_LOGIN": "ada",
}  # fmt: skip
GITHUB = {
    "CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_API_URL": "https://ghe.test/api/v3", "GITHUB_SHA": "c" * 40,
    "GITHUB_REPOSITORY": "acme/infra", "GITHUB_RUN_ID": "500", "GITHUB_RUN_ATTEMPT": "2", "GITHUB_REF_NAME": "main",
    "GITHUB_REF": "refs/heads/main", "GITHUB_SERVER_URL": "https://ghe.test", "GITHUB_ACTOR": "ada",
}  # fmt: skip


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "none"),
        ({"CI": "true"}, "other"),
        ({"CI": "woodpecker"}, "other"),
        ({"CI": "false", "GITLAB_CI": "0"}, "none"),
        ({"GITLAB_CI": "true"}, "gitlab"),
        ({"GITLAB_CI": "1"}, "gitlab"),
        ({"GITHUB_ACTIONS": "true"}, "github"),
        ({"GITLAB_CI": "", "GITHUB_ACTIONS": " True "}, "github"),
    ],
)
def test_which_system_it_is(variables: dict[str, str], expected: str) -> None:
    assert ci.kind(variables) == ci.read(variables).kind == expected


def test_a_branchs_pipeline_on_gitlab() -> None:
    assert ci.read(GITLAB) == ci.CI(
        "gitlab", api="https://gitlab.test/api/v4", name="acme/infra", project="42", reviewing="42", head="c" * 40,
        branch="main", pipeline="500", order=(500, 9000), pipeline_url="https://gitlab.test/p/500",
        job_url="https://gitlab.test/j/9000", actor="ada",
    )  # fmt: skip


def test_a_merge_requests_pipeline_on_gitlab_from_a_fork() -> None:
    more = {
        "CI_MERGE_REQUEST_IID": "7", "CI_MERGE_REQUEST_PROJECT_ID": "1", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "idea",
        "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": "d" * 40,
    }  # fmt: skip
    found = ci.read({name: value for name, value in (GITLAB | more).items() if name != "CI_COMMIT_BRANCH"})

    assert (found.request, found.reviewing, found.project) == (7, "1", "42")
    assert (found.branch, found.head) == ("idea", "d" * 40)


def test_a_branchs_workflow_on_github() -> None:
    assert ci.read(GITHUB) == ci.CI(
        "github", api="https://ghe.test/api/v3", name="acme/infra", project="acme/infra", reviewing="acme/infra",
        head="c" * 40, branch="main", pipeline="500", order=(500, 2),
        pipeline_url="https://ghe.test/acme/infra/actions/runs/500", actor="ada",
        page="https://ghe.test/acme/infra",
    )  # fmt: skip


@pytest.mark.parametrize("ref", ["refs/pull/9/merge", "refs/heads/main"])  # the latter in `pull_request_target`
def test_a_pull_requests_workflow_on_github(tmp_path: Path, ref: str) -> None:
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 9, "head": {"sha": "d" * 40}}}))
    found = ci.read(GITHUB | {"GITHUB_HEAD_REF": "idea", "GITHUB_REF": ref, "GITHUB_EVENT_PATH": str(event)})

    assert (found.request, found.branch, found.head) == (9, "idea", "d" * 40)


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"pull_request": 3}', '{"pull_request": {"number": "x"}}', "[" * 100_000]
)
def test_an_event_that_cannot_be_read_is_no_pull_request(tmp_path: Path, content: str) -> None:
    (tmp_path / "event.json").write_text(content)
    found = ci.read(GITHUB | {"GITHUB_EVENT_PATH": str(tmp_path / "event.json")})

    assert (found.request, found.head) == (None, "c" * 40)


@pytest.mark.parametrize("number", ["", "x", "-1", "٣", "1.5", "9" * 21, "9" * 5000])
def test_what_is_no_number_is_no_merge_request(number: str) -> None:
    found = ci.read(GITLAB | {"CI_MERGE_REQUEST_IID": number, "CI_PIPELINE_ID": number})

    assert (found.request, found.order[0]) == (None, 0)


@pytest.mark.parametrize(
    ("variables", "link"),
    [
        (GITLAB, "https://gitlab.test/j/9000"),
        (GITLAB | {"CI_JOB_URL": ""}, "https://gitlab.test/p/500"),
        (GITHUB, "https://ghe.test/acme/infra/actions/runs/500"),
        (GITHUB | {"GITHUB_RUN_ID": ""}, None),
        ({"CI": "woodpecker", "CI_PIPELINE_URL": "https://ci.test/1"}, "https://ci.test/1"),
        ({"CI_JOB_URL": "https://ci.test/1"}, "https://ci.test/1"),
        (GITLAB | {"CI_JOB_URL": "javascript:alert(1)"}, "https://gitlab.test/p/500"),
        ({}, None),
    ],
)
def test_only_an_address_of_the_web_becomes_a_link(variables: dict[str, str], link: str | None) -> None:
    assert ci.read(variables).link == link


def test_the_wanted_systems_variables_count_also_elsewhere() -> None:
    assert ci.read(GITHUB | {"GITHUB_ACTIONS": ""}, "github").project == "acme/infra"
    assert ci.read(GITLAB, "none") == ci.CI(
        "none", pipeline_url=GITLAB["CI_PIPELINE_URL"], job_url=GITLAB["CI_JOB_URL"]
    )


def test_no_other_module_asks_which_ci_this_is() -> None:
    pattern = re.compile(r"\"(GITLAB_CI|GITHUB_ACTIONS|CI_PIPELINE_\w+|CI_JOB_\w+|GITHUB_(RUN_ID|REF|SHA|HEAD_REF))\"")
    found = {path.name for path in PACKAGE.rglob("*.py") if pattern.search(path.read_text())}

    assert found == {"ci.py"}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "repo"
    path.mkdir()
    run(path, "init", "--quiet", "--initial-branch=main")
    run(path, "commit", "--quiet", "--allow-empty", "--message=one")
    return path


def run(path: Path, *arguments: Any) -> str:
    settings = ["-c", "user.name=T", "-c", "user.email=t@example.com"]
    return subprocess.check_output(["git", *settings, *map(str, arguments)], cwd=path, text=True).strip()


def test_the_head_of_a_repository_of_a_branch_and_of_a_commit(repository: Path) -> None:
    commit = run(repository, "rev-parse", "HEAD")
    assert git.head(repository) == (commit, "main")
    run(repository, "switch", "--quiet", "--create=feature/x")
    assert git.head(repository) == (commit, "feature/x")
    run(repository, "switch", "--quiet", "--detach")
    assert git.head(repository) == (commit, None)


def test_the_head_of_a_worktree_is_its_own(repository: Path, tmp_path: Path) -> None:
    run(repository, "worktree", "add", "--quiet", "-b", "other", tmp_path / "tree")
    run(tmp_path / "tree", "commit", "--quiet", "--allow-empty", "--message=two")
    run(tmp_path / "tree", "pack-refs", "--all")

    assert git.head(tmp_path / "tree") == (run(tmp_path / "tree", "rev-parse", "HEAD"), "other")
    assert git.head(repository)[1] == "main"


def reftables(path: Path) -> bool:
    """Whether this git can keep refs in tables; makes a repository that does."""
    return subprocess.run(["git", "init", "--quiet", "--ref-format=reftable", "-b", "main", path], capture_output=True, check=False).returncode == 0  # fmt: skip


def test_the_head_of_a_repository_that_keeps_its_refs_in_another_way(tmp_path: Path) -> None:
    """By tables where this git knows them; else by a link in place of HEAD, which git reads and a reader of files may not."""
    if not reftables(tmp_path / "repo"):
        run(tmp_path, "init", "--quiet", "-b", "main", "repo")
        (tmp_path / "repo/.git/HEAD").unlink()
        (tmp_path / "repo/.git/HEAD").symlink_to("refs/heads/main")
    run(tmp_path / "repo", "commit", "--quiet", "--allow-empty", "--message=one")

    assert git.head(tmp_path / "repo") == (run(tmp_path / "repo", "rev-parse", "HEAD"), "main")


def test_without_a_commit_or_without_git_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "empty").mkdir()
    assert git.head(tmp_path / "empty") == (None, None)
    run(tmp_path / "empty", "init", "--quiet")
    assert git.head(tmp_path / "empty") == (None, None)


@pytest.mark.parametrize(
    ("variables", "login"),
    [
        (
            {"GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_TOKEN": "t"},
            ("https://github.com", "x-access-token:t"),
        ),
        (
            {"GITLAB_CI": "true", "CI_SERVER_URL": "https://gitlab.example.com/", "CI_JOB_TOKEN": "t"},
            ("https://gitlab.example.com", "gitlab-ci-token:t"),
        ),
        ({"GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://github.com"}, None),
        ({"GITLAB_CI": "true", "CI_SERVER_URL": "http://gitlab.example.com", "CI_JOB_TOKEN": "t"}, None),
        ({"GITHUB_TOKEN": "t", "GITHUB_SERVER_URL": "https://github.com"}, None),
    ],
)
def test_the_login_of_a_job(variables: dict[str, str], login: tuple[str, str] | None) -> None:
    assert ci.job_login(variables) == login


@pytest.mark.parametrize(
    ("source", "parent", "found"),
    [
        ("parent_pipeline", "77", "77"), ("push", "77", "500"), ("web", "77", "500"), ("schedule", "77", "500"),
        ("", "77", "500"), ("parent_pipeline", "", "500"), ("parent_pipeline", "7 or 8", "500"),
    ],
)  # fmt: skip
def test_only_a_pipeline_that_another_one_started_is_a_part_of_it(source: str, parent: str, found: str) -> None:
    """Whoever starts a pipeline may set its variables: it would hold the lease of any other one."""
    given = GITLAB | {"CI_PIPELINE_SOURCE": source, "DOIT_TOFU_PIPELINE": parent}
    assert ci.outermost(ci.read(given), given) == found
