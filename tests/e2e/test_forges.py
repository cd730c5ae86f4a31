"""What a reviewer sees on the forge, and what a deploy makes of it: real runs against a forge on loopback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator

import pytest

from tests.repository import Done, Repository, reader, resource
from tests.servers.forge import BOT, TOKEN, Answer, Forge

PIPELINES = iter(range(500, 10_000))


class Project:
    """A repository with a forge: runs of merge request 1, and of the branch main."""

    def __init__(self, repository: Repository, forge: Forge) -> None:
        self.repository, self.forge = repository, forge

    def variables(self, request: int | None, **more: str) -> dict[str, str]:
        commit, number = self.repository.git("rev-parse", "HEAD"), str(next(PIPELINES))
        if self.forge.kind == "gitlab":
            found = {
                "GITLAB_CI": "true", "CI_API_V4_URL": self.forge.url, "CI_PROJECT_ID": "42", "CI_COMMIT_SHA": commit,
                "CI_PIPELINE_ID": number, "CI_JOB_ID": number, "CI_JOB_URL": "https://ci.example/jobs/1",
                "GITLAB_TOKEN": TOKEN,
            } | ({"CI_MERGE_REQUEST_IID": str(request)} if request else {"CI_COMMIT_BRANCH": "main"})  # fmt: skip
        else:
            event = self.repository.home / "event.json"
            pull = {"pull_request": {"number": request, "head": {"sha": commit}}} if request else {"ref": "main"}
            event.write_text(json.dumps(pull))
            found = {
                "GITHUB_ACTIONS": "true", "GITHUB_API_URL": self.forge.url, "GITHUB_REPOSITORY": "acme/infra",
                "GITHUB_SERVER_URL": "https://github.example", "GITHUB_SHA": commit, "GITHUB_RUN_ID": number,
                "GITHUB_RUN_ATTEMPT": "1", "GITHUB_REF_NAME": "main", "GITHUB_EVENT_PATH": str(event),
                "GITHUB_TOKEN": TOKEN,
            }  # fmt: skip
        return found | more

    def review(self, *arguments: str, code: int | None = 0, **more: str) -> Done:
        """`doit plan` in a pipeline of the merge request."""
        return self.repository.doit(*(arguments or ("plan",)), code=code, **self.variables(1, **more))

    def merge(self, *, head: str | None = None) -> None:
        """The merge request is merged: its commit is on main, as after a fast-forward."""
        commit = self.repository.git("rev-parse", "HEAD")
        self.forge.merged[commit] = [
            {
                "iid": 1, "number": 1, "state": "merged", "merged_at": "2026-01-01T00:00:00Z", "target_branch": "main",
                "base": {"ref": "main"}, "sha": head or commit, "head": {"sha": head or commit},
            }
        ]  # fmt: skip

    def deploy(self, code: int | None = 0, **more: str) -> Done:
        """`doit deploy` on main, in a clone that knows nothing of the merge request's plan."""
        for name in ("plans", "results", "review.json"):
            path = self.repository.deploy_dir(name)
            if path.exists():
                path.rename(path.with_name(f"{name}-{next(PIPELINES)}"))
        return self.repository.doit("deploy", code=code, **self.variables(None, **more))

    @property
    def body(self) -> str:
        return self.about("plan")

    @property
    def outcome(self) -> str:
        """The comment about the deploy."""
        return self.about("deploy")

    def about(self, stage: str) -> str:
        [item] = [item for item in self.forge.ours() if item["body"].startswith(f"<!-- doit-tofu:{stage} ")]
        return str(item["body"])


@pytest.fixture(params=["gitlab", "github"])
def project(request: pytest.FixtureRequest, one: Repository) -> Iterator[Project]:
    forge = Forge(request.param)
    yield Project(one, forge)
    forge.stop()


@pytest.fixture
def on_gitlab(one: Repository) -> Iterator[Project]:
    forge = Forge("gitlab")
    yield Project(one, forge)
    forge.stop()


def change(repository: Repository, value: str, extra: str = "") -> None:
    repository.write(f"stacks/a/main.tf:{resource(value, extra=extra)}")
    repository.commit(f"value {value}")


# The comment


def test_one_comment_follows_all_pushes_of_a_merge_request(project: Project) -> None:
    done = project.review()
    assert done.line("forge:", "written")
    assert "terraform_data.it" in project.body

    change(project.repository, "2")
    project.review()
    assert "1 earlier push" in project.body

    project.repository.write("stacks/a/broken.tf:resource {\n")
    project.repository.commit("broken")
    project.review(code=1)
    assert "failed" in project.body.splitlines()[1]

    (project.repository.path / "stacks/a/broken.tf").unlink()
    project.repository.git("reset", "--quiet", "--hard", "HEAD~2")  # a rebase: another history
    project.repository.commit("rebased")
    project.review()
    assert project.repository.git("rev-parse", "--short=8", "HEAD") in project.body
    assert "failed" not in project.body.splitlines()[1]


def test_a_plan_that_disappears_is_not_left_standing(project: Project) -> None:
    project.repository.doit("deploy")
    change(project.repository, "2")
    project.review()
    assert "Resolved" not in project.body
    change(project.repository, "1")
    project.review()
    assert "**Resolved" in project.body


def test_a_configuration_that_is_broken_is_told_too(project: Project) -> None:
    project.review(DEPLOY_ENV="local")
    project.repository.write("config/pipeline.yaml:version: 1\nstakcs: {}\n")
    project.repository.commit("broken")
    project.review(code=1, DEPLOY_ENV="local")
    assert "Nothing could be planned" in project.body.splitlines()[1]
    assert "stakcs" in project.body
    project.repository.git("revert", "--no-edit", "HEAD")
    project.review(DEPLOY_ENV="local")
    assert "Nothing could be planned" not in project.body.splitlines()[1]


def test_two_environments_have_a_comment_each(project: Project) -> None:
    project.repository.write("config/environments/dev.yaml:{}\n", "config/environments/prod.yaml:{}\n")
    project.repository.commit("environments")
    project.review("env=dev", "plan")
    project.review("env=prod", "plan")
    project.review("env=dev", "plan")
    assert sorted(item["body"].splitlines()[0] for item in project.forge.ours()) == [
        "<!-- doit-tofu:plan dev -->",
        "<!-- doit-tofu:plan prod -->",
    ]


def test_a_forge_that_refuses_never_fails_a_good_plan_and_is_shown(project: Project) -> None:
    project.forge.answer("POST", Answer(403), Answer(403))
    done = project.review()
    assert "could not be written" in done.out
    assert "may not do this" in done.out
    assert TOKEN not in done.out
    assert project.repository.deploy_dir("plans/a/plan.tfplan").exists()


@pytest.mark.parametrize("answer", [Answer(200, body=b"<html>"), Answer(200, body=b"[{}, 3, null]"), Answer(500)])
def test_a_forge_that_answers_nonsense_never_fails_a_good_plan(on_gitlab: Project, answer: Answer) -> None:
    on_gitlab.forge.answer("/", *[answer] * 60)
    assert "forge" in on_gitlab.review(DEPLOY_FORGE__TIMEOUT="2").out


def test_without_a_token_the_plan_is_good_and_says_what_is_missing(on_gitlab: Project) -> None:
    done = on_gitlab.review(GITLAB_TOKEN="")
    assert done.line("forge:", "GITLAB_TOKEN is not set")
    assert on_gitlab.forge.requests == []


def test_a_part_of_the_stacks_is_not_told_as_the_whole(on_gitlab: Project) -> None:
    on_gitlab.review("plan:a")
    assert on_gitlab.forge.requests == []


def test_the_commit_has_a_status_for_each_environment(project: Project) -> None:
    project.review()
    [status] = project.forge.statuses
    assert status.get("name", status.get("context")) == "doit-tofu/plan/local"
    assert status["state"] == "success"
    assert status["target_url"].startswith("https://")
    project.repository.write("stacks/a/broken.tf:resource {\n")
    project.repository.commit("broken")
    project.review(code=1)
    assert project.forge.statuses[-1]["state"] in ("failed", "failure")


# Reviewed against fresh


def test_a_deploy_says_that_it_does_what_was_reviewed(project: Project) -> None:
    project.review()
    project.merge()
    assert project.deploy().line("review:", "as reviewed in")


def test_a_deploy_says_what_differs_from_what_was_reviewed(project: Project) -> None:
    project.review()
    project.merge()
    reviewed = project.repository.git("rev-parse", "HEAD")
    change(project.repository, "2", '\nresource "terraform_data" "more" {}\n')  # somebody else's, merged before
    project.merge(head=reviewed)
    done = project.deploy()
    assert done.line("a:", "terraform_data.more", "reviewed nothing, now add")


def test_with_fail_nothing_is_deployed_that_was_not_reviewed(project: Project) -> None:
    project.review()
    reviewed = project.repository.git("rev-parse", "HEAD")
    change(project.repository, "2", '\nresource "terraform_data" "more" {}\n')
    project.merge(head=reviewed)
    done = project.deploy(code=1, DEPLOY_PLAN__ON_UNREVIEWED="fail")
    assert done.line("review", "FAILED", "differs from the review in")
    assert done.line("a:", "terraform_data.more", "reviewed nothing, now add")
    assert done.line("untouched: nothing was deployed")
    assert not project.repository.deploy_dir("receipts").exists()


@pytest.mark.parametrize("rule", ["warn", "fail"])
def test_a_push_without_a_merge_request_is_unreviewed(project: Project, rule: str) -> None:
    done = project.deploy(code=1 if rule == "fail" else 0, DEPLOY_PLAN__ON_UNREVIEWED=rule)
    assert "has no merge request" in done.out
    assert project.repository.deploy_dir("receipts/a.json").exists() == (rule == "warn")


def test_a_last_push_that_was_not_planned_is_unreviewed(on_gitlab: Project) -> None:
    on_gitlab.review()
    change(on_gitlab.repository, "2")
    on_gitlab.merge()
    assert "but its plan is from" in on_gitlab.deploy(code=1, DEPLOY_PLAN__ON_UNREVIEWED="fail").out


def test_with_a_key_a_record_that_somebody_edited_does_not_count(on_gitlab: Project) -> None:
    key = {"DEPLOY_ENCRYPTION_KEY": "a passphrase of many characters", "DEPLOY_PLAN__ON_UNREVIEWED": "fail"}
    on_gitlab.review(**key)
    on_gitlab.merge()
    genuine = on_gitlab.body
    unsigned = Project(on_gitlab.repository, Forge("gitlab"))
    here = on_gitlab.repository.path / ".deploy"
    shutil.rmtree(here)  # what was written with a key is refused without it, and the other way round
    unsigned.review("-a", "plan")
    shutil.rmtree(here)
    on_gitlab.forge.ours()[0]["body"] = unsigned.body
    unsigned.forge.stop()
    assert "not signed" in on_gitlab.deploy(code=1, **key).out
    shutil.rmtree(here)  # the next pipeline begins in a fresh clone
    on_gitlab.forge.ours()[0]["body"] = genuine
    assert on_gitlab.deploy(**key).line("review:", "as reviewed in !1")


def test_a_comment_of_somebody_else_is_no_review(on_gitlab: Project) -> None:
    on_gitlab.review()
    on_gitlab.merge()
    [item] = on_gitlab.forge.ours()
    item["author"] = {"id": 8, "username": "somebody"}
    assert item["author"] is not BOT
    assert "has no doit-tofu comment" in on_gitlab.deploy(code=1, DEPLOY_PLAN__ON_UNREVIEWED="fail").out


def test_a_run_that_has_nothing_to_do_asks_nobody(on_gitlab: Project) -> None:
    on_gitlab.repository.doit("deploy")
    assert "nothing to deploy" in on_gitlab.deploy(DEPLOY_PLAN__ON_UNREVIEWED="fail").out
    assert on_gitlab.forge.requests == []


def test_plan_on_the_branch_compares_too(on_gitlab: Project) -> None:
    done = on_gitlab.repository.doit("plan", code=1, **on_gitlab.variables(None, DEPLOY_PLAN__ON_UNREVIEWED="fail"))
    assert "has no merge request" in done.out


def test_a_plan_that_deploy_makes_for_itself_is_compared_too(chain: Repository) -> None:
    project = Project(chain, Forge("gitlab"))
    chain.doit("deploy")
    chain.write(f"stacks/a/main.tf:{resource('2')}", f"stacks/b/main.tf:{reader('x')}")
    chain.commit("another value")
    project.review()
    project.merge()
    done = project.deploy(code=1, DEPLOY_PLAN__ON_UNREVIEWED="fail")
    assert chain.json("receipts/a.json")["outcome"] == "applied"
    assert "b" in done.line("b:", "not reviewed at all")
    project.forge.stop()


def test_a_file_takes_the_place_of_a_forge(one: Repository) -> None:
    forge = Forge("gitlab")
    project = Project(one, forge)
    project.review(GITLAB_TOKEN="")
    record = one.home / "review.json"
    record.write_bytes(one.deploy_dir("review.json").read_bytes())
    assert one.doit(f"reviewed={record}", "deploy", DEPLOY_PLAN__ON_UNREVIEWED="fail").line("review:", "as reviewed in")
    forge.stop()


def test_outside_of_ci_a_deploy_warns_of_nothing(one: Repository) -> None:
    assert "review" not in one.doit("deploy").out


def test_a_plan_json_that_somebody_edited_is_not_believed(on_gitlab: Project) -> None:
    repository = on_gitlab.repository
    on_gitlab.review()
    on_gitlab.merge()
    reviewed = repository.deploy_dir("plans/a/plan.json").read_text()
    change(repository, "2", '\nresource "terraform_data" "more" {}\n')
    on_gitlab.merge(head=repository.git("rev-parse", "HEAD~1"))
    repository.doit("plan", **on_gitlab.variables(None))
    repository.deploy_dir("plans/a/plan.json").write_text(reviewed)
    done = repository.doit("deploy", code=1, **on_gitlab.variables(None, DEPLOY_PLAN__ON_UNREVIEWED="fail"))
    assert done.line("a:", "the changes of its plan are not known")


def test_the_log_folds_what_went_well_and_leaves_open_what_failed(on_gitlab: Project) -> None:
    done = on_gitlab.review()
    [title] = [line for line in done.out.splitlines() if "section_start" in line and "plan_a" in line]
    assert "[collapsed=true]" in title
    on_gitlab.repository.write("stacks/a/broken.tf:resource {\n")
    on_gitlab.repository.commit("broken")
    failed = on_gitlab.review(code=1)
    lines = failed.out.splitlines()  # the head's carriage return ends a line here
    [place] = [place for place, line in enumerate(lines) if "section_start" in line and "_a" in line]
    assert "[collapsed=true]" not in lines[place]
    assert "FAILED" in lines[place + 1]


# The deploy's outcome


def test_the_outcome_of_a_deploy_comes_back_to_the_merge_request_that_brought_it(project: Project) -> None:
    project.review()
    plan = project.body
    project.merge()
    done = project.deploy()
    assert done.line("forge:", "the comment about this deploy on", "written")
    lines = project.outcome.splitlines()
    assert lines[1] == "### Deployed 1 stack (1 created)."
    commit = project.repository.git("rev-parse", "HEAD")
    assert lines[3].startswith("Deploy of `local` at ")
    assert commit[:8] in lines[3]
    if project.forge.kind == "github":
        assert f"(https://github.example/acme/infra/commit/{commit})" in lines[3]
    assert project.body == plan  # what was reviewed stays as it is


def test_a_deploy_that_failed_says_why_there_and_the_next_one_replaces_it(project: Project) -> None:
    fails = '\nresource "terraform_data" "bad" {\n  provisioner "local-exec" {\n    command = "test -e ../../fixed"\n  }\n}\n'
    change(project.repository, "2", fails)
    project.review()
    project.merge()
    done = project.deploy(code=1)
    assert project.outcome.splitlines()[1] == "### Deploy failed: 1 failed."
    assert "local-exec provisioner error" in project.outcome
    report = project.repository.deploy_dir("reports/deploy.md").read_text()
    assert report.startswith("### Deploy failed: 1 failed")
    assert not project.repository.deploy_dir("reports/plan.html").read_text().startswith("### Deploy")
    if project.forge.kind == "github":
        assert [line for line in done.out.splitlines() if line.startswith("::error") and "deploy a" in line]
    project.repository.write("fixed:")
    project.deploy()
    assert project.outcome.splitlines()[1].startswith("### Deployed 1 stack (")
    assert "1 earlier deploy<" in project.outcome
    assert "Deploy failed: 1 failed" in project.outcome


def test_a_deploy_that_could_not_begin_says_so_too(on_gitlab: Project) -> None:
    on_gitlab.review()
    on_gitlab.repository.write("config/pipeline.yaml:version: 1\nstakcs: {}\n")
    on_gitlab.repository.commit("broken")
    on_gitlab.merge()
    on_gitlab.deploy(code=1, DEPLOY_ENV="local")
    assert on_gitlab.outcome.splitlines()[1] == "### Deploy failed, nothing was deployed: config error."
    assert "stakcs" in on_gitlab.outcome


def test_a_deploy_of_nothing_or_of_no_merge_request_says_nothing(on_gitlab: Project) -> None:
    on_gitlab.deploy()
    assert on_gitlab.forge.ours() == []
    on_gitlab.merge()
    on_gitlab.deploy()
    assert on_gitlab.forge.ours() == []
