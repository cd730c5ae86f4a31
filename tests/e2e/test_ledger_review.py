"""A merge request's plan is exact without a base on the command line: what the branch changed, and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_ledger import LEDGER, Remote, _is_announced, _slow
from tests.repository import Repository, minimal_config, resource, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = {"DEPLOY_ENCRYPTION_KEY": "correct horse battery staple"}
SIZED = resource("var.size", extra='\nvariable "size" {\n  default = 1\n}\n').replace('"var.size"', "var.size")


@pytest.fixture
def deployed(build: Callable[..., Repository], tmp_path: Path) -> Remote:
    """Three deployed stacks; `c` reads a variable that may come from the environment."""
    config = minimal_config(LEDGER).replace("{root}/.state/", f"{tmp_path / 'states'}/")
    first = build(
        config,
        f"stacks/a/main.tf:{resource()}",
        f"stacks/b/main.tf:{resource('b')}",
        f"stacks/c/main.tf:{SIZED}",
    )
    first.variables |= KEY
    remote = Remote(tmp_path, first)
    remote.clone().prepare("ledger", "init")
    remote.clone().prepare("deploy", TF_VAR_size="3")
    return remote


def gitlab(job: Repository, **more: str) -> dict[str, str]:
    """The variables of a merge request's pipeline, for a branch that left `main` at its merge base."""
    base = job.git("merge-base", "origin/main", "HEAD").strip()
    return {
        "GITLAB_CI": "true", "CI_PROJECT_ID": "42", "CI_PIPELINE_ID": "9", "CI_MERGE_REQUEST_IID": "1",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": base, "CI_COMMIT_SHA": job.git("rev-parse", "HEAD").strip(), **more,
    }  # fmt: skip


def commit(remote: Remote, stack: str, value: str, *, push: bool = True) -> Repository:
    job = remote.clone()
    job.write(f"stacks/{stack}/main.tf:{resource(value)}")
    job.commit(f"{stack} is {value}")
    if push:
        remote.push(job)
    return job


def test_a_branch_behind_its_target_shows_no_revert_of_others_work(deployed: Remote) -> None:
    branch = commit(deployed, "a", "2", push=False)
    commit(deployed, "b", "new-on-the-target")
    deployed.clone().doit("deploy", TF_VAR_size="3")  # b is newer on the target now, and deployed
    branch.git("fetch", "--quiet", "origin")
    done = branch.doit("plan", **gitlab(branch))
    assert branch.planned() == ["a"]
    assert "pending, or newer on the target, and not planned here: b" in done.out
    assert "new-on-the-target" not in done.out


def test_what_the_forge_merged_is_planned_where_it_offers_that(deployed: Remote) -> None:
    branch = commit(deployed, "a", "2", push=False)
    commit(deployed, "b", "new-on-the-target")
    deployed.clone().doit("deploy", TF_VAR_size="3")
    base = branch.git("merge-base", "origin/main", "HEAD").strip()
    branch.git("fetch", "--quiet", "origin")
    head = branch.git("rev-parse", "HEAD").strip()
    branch.git("checkout", "--quiet", "--detach", "origin/main")
    branch.git("merge", "--quiet", "--no-ff", "-m", "merged", head)
    merge = branch.git("rev-parse", "HEAD").strip()
    there = gitlab(branch, CI_COMMIT_SHA=merge, CI_MERGE_REQUEST_EVENT_TYPE="merged_result")
    done = branch.doit("plan", **{**there, "CI_MERGE_REQUEST_DIFF_BASE_SHA": base})
    assert branch.planned() == ["a"]  # compared with the old merge base, b would be planned too
    assert "pending" not in done.out


def test_the_merge_that_github_checks_out_is_compared_with_its_first_parent(deployed: Remote, tmp_path: Path) -> None:
    branch = commit(deployed, "a", "2", push=False)
    base = branch.git("rev-parse", "origin/main").strip()
    commit(deployed, "b", "new-on-the-target")
    branch.git("fetch", "--quiet", "origin")
    head = branch.git("rev-parse", "HEAD").strip()
    branch.git("checkout", "--quiet", "--detach", "origin/main")
    branch.git("merge", "--quiet", "--no-ff", "-m", "merged", head)
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 1, "head": {"sha": head}, "base": {"sha": base}}}))
    merge = branch.git("rev-parse", "HEAD").strip()
    there = {
        "GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": f"{deployed.path.parent.name}/remote",
        "GITHUB_EVENT_PATH": str(event), "GITHUB_SHA": merge, "GITHUB_REF": "refs/pull/1/merge",
    }  # fmt: skip
    done = branch.doit("plan", **there)
    assert branch.planned() == ["a"]
    assert "pending, or newer on the target, and not planned here: b" in done.out  # merged, and not deployed yet
    branch.git("checkout", "--quiet", head)  # a workflow of one's own that checks out the branch itself
    branch.log.unlink(missing_ok=True)
    branch.doit("plan", **there)
    assert branch.planned() == ["a"]


def test_a_protected_variable_is_not_compared_and_named_once(deployed: Remote) -> None:
    branch = commit(deployed, "a", "2", push=False)
    done = branch.doit("plan", **gitlab(branch))
    assert branch.planned() == ["a"]
    assert done.out.count("TF_VAR_size") == 1
    assert "not compared, as this job has no value for it: TF_VAR_size" in done.out
    job = deployed.clone()
    done = job.doit("deploy", GITLAB_CI="true", CI_PIPELINE_ID="10")
    assert [line.split()[0] for line in job.engine_calls("apply")] == ["c"]  # in a deploy it is a change


def test_a_value_that_only_the_deploy_has_otherwise_is_pending(deployed: Remote) -> None:
    branch = commit(deployed, "a", "2", push=False)
    done = branch.doit("plan", **gitlab(branch), TF_VAR_size="4")
    assert branch.planned() == ["a"]
    assert "pending, or newer on the target, and not planned here: c" in done.out
    again = commit(deployed, "a", "2", push=False)
    done = again.doit("plan", **gitlab(again), TF_VAR_size="3")
    assert "pending" not in done.out


def test_a_stack_that_a_live_run_deploys_is_named(deployed: Remote) -> None:
    slow = deployed.clone()
    slow.write(f"stacks/b/main.tf:{resource('b3', extra=_slow())}")
    slow.commit()
    deployed.push(slow)
    pipeline = {"GITLAB_CI": "true", "CI_PROJECT_ID": "42", "CI_PIPELINE_ID": "7", "CI_COMMIT_BRANCH": "main"}
    running = deployed.clone().start("deploy", TF_VAR_size="3", **pipeline)
    wait_for(lambda: _is_announced(deployed), "the announcement")
    branch = commit(deployed, "a", "2", push=False)
    done = branch.doit("plan", **gitlab(branch))
    assert "being deployed by pipeline 7 of main: b" in done.out
    assert branch.planned() == ["a"]
    refused = deployed.clone().doit("reason=impatient", "ledger", "release", code=1)
    assert f"pipeline 7 of main still deploys: its process {running.pid} is still there on this machine" in refused.out
    running.communicate()


def test_a_clone_without_the_base_says_so(deployed: Remote) -> None:
    branch = commit(deployed, "a", "2", push=False)
    done = branch.doit("plan", **{**gitlab(branch), "CI_MERGE_REQUEST_DIFF_BASE_SHA": "1" * 40}, TF_VAR_size="3")
    assert "11111111, where this merge request left its target, is not in this clone" in done.out
    assert branch.planned() == ["a"]  # then the ledger decides
