"""A run that dies leaves its lease: another pipeline takes it over when the forge says that the first one has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_ledger import LEDGER, Remote, _is_announced, _slow
from tests.repository import Repository, copy_tree, minimal_config, resource, wait_for
from tests.servers.forge import TOKEN, Answer, Forge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DEAD = "pipeline 7 of main has been deploying 'local' since"


@pytest.fixture
def forge() -> Iterator[Forge]:
    server = Forge("gitlab")
    yield server
    server.stop()


@pytest.fixture
def died(build: Callable[..., Repository], tmp_path: Path, forge: Forge) -> Remote:
    """Two stacks; pipeline 7 was killed while it applied one of them."""
    config = minimal_config(LEDGER).replace("{root}/.state/", f"{tmp_path / 'states'}/")
    first = build(config, f"stacks/a/main.tf:{resource(extra=_slow())}", f"stacks/b/main.tf:{resource()}")
    first.variables |= {
        "GITLAB_CI": "true", "CI_API_V4_URL": forge.url, "CI_PROJECT_ID": "42", "CI_COMMIT_BRANCH": "main",
        "CI_PROJECT_PATH": "acme/infra", "GITLAB_TOKEN": TOKEN, "DEPLOY_FORGE__TIMEOUT": "2",
    }  # fmt: skip
    remote = Remote(tmp_path, first)
    remote.clone().doit("ledger", "init")
    process = remote.clone().start("deploy", CI_PIPELINE_ID="7")
    wait_for(lambda: _is_announced(remote), "the announcement")
    process.kill()
    process.communicate()
    return remote


def test_a_pipeline_that_has_ended_is_taken_over_at_once(died: Remote, forge: Forge) -> None:
    forge.pipelines[7] = "failed"
    done = died.clone().doit("deploy", CI_PIPELINE_ID="8")
    assert "pipeline 7 of main has ended, as the forge says: its lease is taken over" in done.out
    assert "its last deploy was cut off" in done.out
    assert len([item for item in forge.sent("GET") if item.path.endswith("/pipelines/7")]) == 1
    assert "all up to date" in died.clone().doit("status", CI_PIPELINE_ID="9").out


@pytest.mark.parametrize(
    ("state", "answers"),
    [
        ("running", []),
        ("canceling", []),
        (None, []),  # 404: it was deleted, or the token may not see it
        ("failed", [Answer(403)]),
        ("failed", [Answer(503)] * 100),
        ("failed", [Answer(429, {"Retry-After": "600"})]),
        ("failed", [Answer(200, body=b"<html>sign in</html>")]),
    ],
)
def test_anything_but_a_clear_answer_leaves_the_lease_alone(
    died: Remote, forge: Forge, state: str | None, answers: list[Answer]
) -> None:
    if state is not None:
        forge.pipelines[7] = state
    forge.answer("GET /projects/42/pipelines/7", *answers)
    job = died.clone()
    done = job.doit("deploy", code=1, CI_PIPELINE_ID="8")
    assert DEAD in done.out
    assert job.engine_calls("apply") == []
    assert died.git("show", "refs/heads/doit-tofu/local/ledger:head")


def test_a_revert_is_not_deployed_while_what_it_reverts_is_being_applied(died: Remote, forge: Forge) -> None:
    forge.pipelines[7] = "failed"
    died.clone().doit("deploy", CI_PIPELINE_ID="8")
    job = died.clone()
    before = job.git("rev-parse", "HEAD")
    job.write(f"stacks/b/main.tf:{resource('2', extra=_slow())}")
    job.commit()
    died.push(job)
    process = died.clone().start("deploy", CI_PIPELINE_ID="10")
    wait_for(lambda: _is_announced(died), "the announcement")
    job.git("revert", "--no-edit", "HEAD")
    died.push(job)
    forge.pipelines[10] = "running"
    done = died.clone().doit("deploy", code=1, CI_PIPELINE_ID="11")  # its inputs are those of the last receipt
    assert job.git("diff", before, "HEAD", "--", "stacks") == ""
    assert "pipeline 10 of main has been deploying 'local' since" in done.out
    process.communicate()
    forge.pipelines[10] = "success"
    died.clone().doit("deploy", CI_PIPELINE_ID="12")
    assert "all up to date" in died.clone().doit("status", CI_PIPELINE_ID="13").out


def test_without_a_token_the_forge_is_not_asked_and_that_is_said(died: Remote, forge: Forge) -> None:
    forge.pipelines[7] = "failed"
    done = died.clone().doit("deploy", code=1, CI_PIPELINE_ID="8", GITLAB_TOKEN="")
    assert DEAD in done.out
    assert "the forge cannot be asked whether pipeline 7 has ended: GITLAB_TOKEN is not set" in done.out
    assert [item for item in forge.requests if "/pipelines/" in item.path] == []


def test_the_plan_before_it_knows_that_the_stack_was_left_half_way(died: Remote, forge: Forge) -> None:
    forge.pipelines[7] = "running"
    assert "being deployed by pipeline 7 of main" in died.clone().doit("status", CI_PIPELINE_ID="8").out
    forge.pipelines[7] = "canceled"
    assert "its last deploy was cut off" in died.clone().doit("status", CI_PIPELINE_ID="8").out


def test_a_release_by_hand_is_refused_while_the_forge_says_that_the_pipeline_runs(died: Remote, forge: Forge) -> None:
    forge.pipelines[7] = "running"
    done = died.clone().doit("reason=runner died", "ledger", "release", code=1, CI_PIPELINE_ID="8")
    assert "pipeline 7 of main still deploys: the forge says that pipeline 7 is running" in done.out
    assert "`doit allow=running reason=WHY ledger release`" in done.out
    done = died.clone().doit("allow=running", "reason=runner died", "ledger", "release", CI_PIPELINE_ID="8")
    assert "the lease of pipeline 7 of main was released" in done.out
    assert "although the forge says that pipeline 7 is running" in done.out
    died.clone().doit("deploy", CI_PIPELINE_ID="8")


def _paused(build: Callable[..., Repository], tmp_path: Path, **variables: str) -> Remote:
    """A remote with the stacks `a`, whose apply goes on once there is a file `a`, and `b`."""
    first = build(
        minimal_config(LEDGER).replace("{root}/.state/", f"{tmp_path / 'states'}/"),
        f"stacks/a/main.tf:{resource(extra=_until(tmp_path / 'a'))}", f"stacks/b/main.tf:{resource()}",
    )  # fmt: skip
    first.variables |= variables
    return Remote(tmp_path, first)


def test_a_job_for_checks_leaves_the_lease_to_the_deploy_of_its_pipeline(
    build: Callable[..., Repository], tmp_path: Path
) -> None:
    remote = _paused(build, tmp_path, GITLAB_CI="true", CI_PROJECT_ID="42", CI_COMMIT_BRANCH="main")
    remote.clone().doit("ledger", "init")
    job = remote.clone()
    process = job.start("deploy:a", CI_PIPELINE_ID="7")
    wait_for(lambda: "a" in _applying(job), "its apply")
    remote.clone().doit("verify", CI_PIPELINE_ID="7")
    other = remote.clone()
    assert DEAD in other.doit("deploy:b", code=1, CI_PIPELINE_ID="8").out
    assert _applying(other) == []
    (tmp_path / "a").touch()
    out, _ = process.communicate()
    assert process.returncode == 0, out
    assert not _is_announced(remote)


def test_a_copy_of_a_clone_does_not_hold_its_lease(build: Callable[..., Repository], tmp_path: Path) -> None:
    """It has the clone's id, and is another place: two runs would deploy at once."""
    remote = _paused(build, tmp_path)
    job, copied = remote.clone(), remote.clone()
    job.doit("ledger", "init")
    copy_tree(job.path, copied.path)
    process = job.start("deploy:a")
    wait_for(lambda: "a" in _applying(job), "its apply")
    said = copied.doit("deploy:b", code=1).out
    assert "a run outside of CI (clone " in said
    assert "has been deploying 'local' since" in said
    assert _applying(copied) == []
    (tmp_path / "a").touch()
    out, _ = process.communicate()
    assert process.returncode == 0, out
    copied.doit("deploy:b")


def test_a_retry_says_that_the_run_before_it_still_applies_on_this_machine(
    build: Callable[..., Repository], tmp_path: Path
) -> None:
    remote = _paused(build, tmp_path, GITLAB_CI="true", CI_PROJECT_ID="42", CI_COMMIT_BRANCH="main")
    remote.clone().doit("ledger", "init")
    job = remote.clone()
    process = job.start("deploy:a", CI_PIPELINE_ID="7")
    wait_for(lambda: "a" in _applying(job), "its apply")
    words = "still being deployed by another run of pipeline 7 of main, process"
    assert words in remote.clone().doit("status", CI_PIPELINE_ID="7").out
    assert words in remote.clone().doit("deploy:a", code=1, CI_PIPELINE_ID="7", DEPLOY_ENGINE__LOCK_TIMEOUT="1").out
    assert words not in remote.clone().doit("deploy:b", CI_PIPELINE_ID="7").out
    (tmp_path / "a").touch()
    out, _ = process.communicate()
    assert process.returncode == 0, out
    assert words not in remote.clone().doit("status", CI_PIPELINE_ID="7").out


def _until(path: Path) -> str:
    """A resource that is there once a file is."""
    wait = f"while [ ! -e {path} ]; do sleep 0.1; done"
    return f'\nresource "terraform_data" "slow" {{\n  provisioner "local-exec" {{\n    command = "{wait}"\n  }}\n}}\n'


def _applying(job: Repository) -> list[str]:
    """The stacks that the engine has begun to apply in a clone."""
    lines = job.log.read_text().splitlines() if job.log.exists() else []
    return [line.split()[0] for line in lines if line.split()[1] == "apply"]
