"""A folder that was handed over: whoever changes what decides in it, without the key, is found before it is used."""

from __future__ import annotations

import base64
import json
import shutil
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.repository import Repository, copy_tree, kill_group, minimal_config, reader, resource, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PASSPHRASE = "correct-horse-battery-staple"
ARTIFACT = base64.b64encode(b"a" * 32).decode()
GITLAB = {"GITLAB_CI": "true", "CI": "true", "CI_PROJECT_ID": "1", "CI_PIPELINE_ID": "42",
          "CI_API_V4_URL": "https://gitlab.invalid/api/v4"}  # fmt: skip


@pytest.fixture
def keyed(chain: Repository) -> Repository:
    """`a --> b --> c`, deployed and planned again after a change of `a`, with a key."""
    chain.variables["DEPLOY_ENCRYPTION_KEY"] = PASSPHRASE
    chain.prepare("deploy")
    chain.write(f"stacks/a/main.tf:{resource('2')}")
    chain.commit()
    chain.prepare("plan")
    return chain


def _edit(path: Path, change: Callable[[Any], None]) -> None:
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def _refused(repository: Repository, said: str, *command: str, **variables: str) -> str:
    """What a run says that refuses the folder and starts no engine."""
    repository.engine_calls()
    done = repository.doit(*(command or ("deploy",)), code=1, **variables)
    assert said in done.out
    assert repository.engine_calls() == []
    return done.out


def test_a_value_of_an_output_is_bound(keyed: Repository) -> None:
    _edit(keyed.deploy_dir("outputs/a.json"), lambda record: record["outputs"]["value"].update(value="EVIL"))
    out = _refused(keyed, "outputs/a.json was changed")
    assert "nothing was planned or applied" in out


def test_a_plan_does_not_become_the_deploys_own(keyed: Repository) -> None:
    """What a deploy made for itself it may replace: a changed word must not make it plan what nobody saw."""
    _edit(keyed.deploy_dir("plans/a/manifest.json"), lambda record: record.update(origin="deploy"))
    _refused(keyed, "plans/a/manifest.json was changed")


def test_a_receipt_that_says_deployed_is_not_believed(keyed: Repository) -> None:
    planned = keyed.json("plans/a/manifest.json")

    def forge(record: dict[str, Any]) -> None:
        record.update({key: planned[key] for key in ("inputs", "inputs_digest", "commit", "plan_sha256")})

    _edit(keyed.deploy_dir("receipts/a.json"), forge)
    shutil.rmtree(keyed.deploy_dir("plans/a"))
    out = _refused(keyed, "receipts/a.json was changed")
    assert "plans/a/manifest.json is missing" in out


def test_a_receipt_of_a_stack_that_was_never_deployed_is_not_believed(keyed: Repository) -> None:
    keyed.write(f"stacks/new/main.tf:{resource()}")
    shutil.copyfile(keyed.deploy_dir("receipts/a.json"), keyed.deploy_dir("receipts/new.json"))
    _refused(keyed, "receipts/new.json is not listed")
    _refused(keyed, "receipts/new.json is not listed", "plan")
    _refused(keyed, "receipts/new.json is not listed", "status")


def test_a_result_that_opens_a_pipelines_gate_is_not_believed(keyed: Repository) -> None:
    _edit(keyed.deploy_dir("results/plan/a.json"), lambda record: record.update(status="failed"))
    _refused(keyed, "results/plan/a.json was changed", "ci=report", "plan")


def test_an_image_record_is_not_put_in(keyed: Repository) -> None:
    keyed.deploy_dir("images").mkdir()
    keyed.deploy_dir("images/web.json").write_text("{}")
    _refused(keyed, "images/web.json is not listed", "plan")


def test_what_was_removed_by_hand_is_named_and_the_folder_may_go(keyed: Repository) -> None:
    """The way out on one's own machine: what is deployed is found by planning."""
    keyed.deploy_dir("receipts/a.json").unlink()
    out = _refused(keyed, "receipts/a.json is missing")
    assert "remove .deploy/local" in out
    shutil.rmtree(keyed.deploy_dir())
    keyed.doit("deploy")
    assert keyed.json("receipts/a.json")["outcome"] == "applied"


def test_a_plan_that_is_cleaned_is_gone_for_the_index_too(keyed: Repository) -> None:
    keyed.doit("clean", "plan:a")
    assert not keyed.deploy_dir("plans/a/plan.tfplan").exists()
    keyed.doit("plan")
    keyed.deploy_dir("receipts/b.json").write_text("{}")
    assert "receipts/b.json was changed" in keyed.doit("clean", "plan:a", code=1).out
    assert keyed.deploy_dir("plans/a/plan.tfplan").exists()


def test_runs_one_after_the_other_read_what_they_wrote_themselves(keyed: Repository) -> None:
    for command in ("deploy", "status", "deploy", "verify", "drift", "plan", "deploy"):
        keyed.doit(command)
    keyed.commit("another")
    keyed.doit("deploy")


def test_a_key_of_the_artifacts_ends_what_the_passphrase_signs(keyed: Repository) -> None:
    """Who may review has the passphrase, and may not forge."""
    out = _refused(keyed, "is signed with another key", DEPLOY_ARTIFACT_KEY=ARTIFACT)
    assert "DEPLOY_ARTIFACT_KEY" in out
    shutil.rmtree(keyed.deploy_dir())
    keyed.variables["DEPLOY_ARTIFACT_KEY"] = ARTIFACT
    keyed.doit("plan")
    keyed.doit("deploy")
    keyed.variables.pop("DEPLOY_ARTIFACT_KEY")
    _refused(keyed, "is signed with another key", "plan")


def test_a_wrong_key_is_said_before_anything_runs(one: Repository) -> None:
    done = one.doit("plan", code=1, DEPLOY_ARTIFACT_KEY="not a key")
    assert "DEPLOY_ARTIFACT_KEY holds no key: its 9 characters are not base64" in done.out
    assert "`openssl rand -base64 32`" in done.out
    assert "DEPLOY_ARTIFACT_KEY" in one.doit("verify", code=1, DEPLOY_ARTIFACT_KEY="not a key").out


@pytest.fixture
def planned(one: Repository) -> Repository:
    """One stack, planned by a job of a pipeline that holds the artifact's key."""
    one.variables |= {**GITLAB, "DEPLOY_ENCRYPTION_KEY": PASSPHRASE, "DEPLOY_ARTIFACT_KEY": ARTIFACT}
    one.prepare("plan")
    return one


def test_a_folder_goes_from_job_to_job_of_one_pipeline(planned: Repository, tmp_path: Path) -> None:
    deploying = planned.clone(tmp_path / "deploying")
    copy_tree(planned.deploy_dir(), deploying.deploy_dir())
    deploying.doit("deploy")
    verifying = planned.clone(tmp_path / "verifying")
    copy_tree(deploying.deploy_dir(), verifying.deploy_dir())
    verifying.doit("verify")
    assert verifying.json("receipts/a.json")["outcome"] == "applied"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"CI_PROJECT_ID": "2"}, "it belongs to project gitlab.invalid/1, but this is gitlab.invalid/2"),
        ({"CI_PIPELINE_ID": "43"}, "belongs to pipeline 42, but this is pipeline 43"),
    ],
)
def test_a_folder_of_another_project_or_pipeline_is_refused(
    planned: Repository, variables: dict[str, str], said: str
) -> None:
    _refused(planned, said, **variables)


def test_jobs_of_two_pipelines_are_not_mixed(pair: Repository, tmp_path: Path) -> None:
    """Each job's artifacts are well signed; together they are no pipeline."""
    pair.variables |= {**GITLAB, "DEPLOY_ENCRYPTION_KEY": PASSPHRASE, "DEPLOY_ARTIFACT_KEY": ARTIFACT}
    other = pair.clone(tmp_path / "other")
    pair.doit("ci=job", "plan:a")
    other.doit("ci=job", "plan:b", CI_PIPELINE_ID="41")
    copy_tree(other.deploy_dir("plans/b"), pair.deploy_dir("plans/b"))
    copy_tree(other.deploy_dir("results"), pair.deploy_dir("results"))
    _refused(pair, "plans/b/manifest.json is not listed", "ci=report", "plan")
    for path in other.deploy_dir("index").iterdir():
        shutil.copyfile(path, pair.deploy_dir("index", path.name))
    _refused(pair, "belongs to pipeline 41, but this is pipeline 42", "ci=report", "plan")


def test_jobs_of_one_pipeline_are_put_together(pair: Repository, tmp_path: Path) -> None:
    pair.variables |= {**GITLAB, "DEPLOY_ENCRYPTION_KEY": PASSPHRASE, "DEPLOY_ARTIFACT_KEY": ARTIFACT}
    other = pair.clone(tmp_path / "other")
    pair.doit("ci=job", "plan:a")
    other.doit("ci=job", "plan:b")
    for name in ("plans/b", "results/plan/b.json", "index"):
        source, target = other.deploy_dir(name), pair.deploy_dir(name)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, target)
    pair.doit("ci=report", "plan")
    pair.doit("deploy")
    assert pair.json("receipts/b.json")["outcome"] == "applied"


def test_a_plan_is_for_one_state_wherever_its_project_is_said_to_be(one: Repository, tmp_path: Path) -> None:
    """A backend that the environment names is in no file; the plan names it all the same."""
    one.write('config/pipeline.yaml:version: 1\nbackend: {kind: local, settings: {path: "${PLACE}/a.tfstate"}}\n')
    one.commit()
    one.doit("plan", PLACE=str(tmp_path / "one"))
    done = one.doit("deploy", code=1, PLACE=str(tmp_path / "other"))
    assert "the backend of this stack is set differently here" in done.task("plan", "a")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("moment", ["plan", "apply"])
def test_a_run_that_was_killed_is_gone_on_with(build: Callable[..., Repository], moment: str) -> None:
    """An index has no end then: the same command converges, and nothing that is changed meanwhile is believed."""
    slow = 'provisioner "local-exec" {\n    command = "touch ../../begun; sleep 3"\n  }\n  '
    body = resource().replace("input =", f"{slow}input =") if moment == "apply" else resource()
    repository = build(minimal_config(), f"stacks/a/main.tf:{body}", f"stacks/b/main.tf:{reader()}")
    repository.variables["DEPLOY_ENCRYPTION_KEY"] = PASSPHRASE
    process = repository.start("deploy:a")
    if moment == "apply":
        wait_for((repository.path / "begun").exists, "the apply")
    else:
        wait_for(lambda: any(repository.deploy_dir("index").glob("*")), "the index")
    kill_group(process, signal.SIGKILL)
    process.communicate(timeout=60)
    copy_tree(repository.deploy_dir(), repository.path / ".kept")
    for path in repository.deploy_dir("receipts").glob("*.json"):
        path.write_text("{}")
        _refused(repository, "receipts/a.json was changed", "deploy:a")
        shutil.copyfile(repository.path / ".kept/receipts/a.json", path)
    wait_for(lambda: repository.doit("deploy:a", code=None).code == 0, "the deploy")
    assert repository.json("receipts/a.json")["outcome"] == "applied"


def test_a_run_that_cannot_sign_what_it_leaves_does_not_say_that_it_succeeded(build: Callable[..., Repository]) -> None:
    """The next job would refuse the folder; what was applied stays in its receipt."""
    hook = "hooks: [{when: after, stage: deploy, stacks: [a], command: [mkdir, .deploy/local/memory.jsonl]}]\n"
    repository = build(minimal_config(hook), f"stacks/a/main.tf:{resource()}")
    repository.variables |= {"DEPLOY_ENCRYPTION_KEY": PASSPHRASE, **GITLAB}
    done = repository.doit("deploy", code=1)
    assert done.out.count("what this run leaves cannot be signed, so the next job will refuse it: cannot write") == 1
    assert "memory.jsonl" in done.out
    assert "all passed" not in done.out
    assert "local: failed" in done.out.splitlines()[-1]
    assert repository.json("receipts/a.json")["outcome"] == "applied"


def test_what_is_written_after_the_folder_was_signed_is_signed_too(keyed: Repository) -> None:
    """`notified.json` is written when the outcome is known."""
    keyed.write(
        "config/environments/local.yaml:notify: [{url: '${CHAT}', on: [failure, deploy], kind: webhook, secret: '${CHAT_SECRET}'}]\n"
    )
    keyed.commit()
    keyed.variables |= {"CHAT": "http://127.0.0.1:9/x", "CHAT_SECRET": "the-secret-of-the-chat"}
    keyed.doit("plan")
    keyed.doit("deploy")
    keyed.write("stacks/a/main.tf:nonsense {\n")
    keyed.doit("deploy", code=1)
    assert keyed.doit("status").code == 0
