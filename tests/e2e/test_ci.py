"""`doit ci`: its pipelines run job by job, each in a clone of its own that has nothing but what was handed to it."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.base.errors import ExitCode
from tests.childpipeline import ChildPipeline
from tests.repository import Repository, reader, resource

Build = Callable[..., Repository]

# Fails in the middle of an apply, while a file is there: the resource is created first, and so the state moves on.
FRAGILE = """
resource "terraform_data" "fragile" {{
  depends_on = [terraform_data.it]

  provisioner "local-exec" {{
    command = "test ! -e '{marker}'"
  }}
}}
"""

NEVER = """
resource "terraform_data" "never" {
  lifecycle {
    precondition {
      condition     = terraform_data.it.input == "2"
      error_message = "not today"
    }
  }
}
"""


def config(states: Path, more: str = "") -> str:
    """States outside of any clone; a tag that a complete deploy moves; a diamond `a --> b, c --> d`, and `e` alone."""
    return (
        f'config/pipeline.yaml:version: 1\nbackend: {{kind: local, settings: {{path: "{states}/{{stack}}.tfstate"}}}}\n'
        'deploy: {tag: "deployed-{environment}", push: true}\n'
        "stacks:\n  b: {inputs: {x: a.value}}\n  c: {inputs: {x: a.value}}\n  d: {inputs: {x: b.value, y: c.value}}\n"
        + more
    )


@pytest.fixture
def diamond(build: Build, tmp_path: Path) -> Repository:
    """What its jobs hand over is signed; states are in clear, as tests read them."""
    repository = build(
        config(tmp_path / "states"),
        f"stacks/a/main.tf:{resource()}", f"stacks/b/main.tf:{reader('x')}", f"stacks/c/main.tf:{reader('x')}",
        f"stacks/d/main.tf:{reader('x', 'y')}", f"stacks/e/main.tf:{resource()}",
    )  # fmt: skip
    repository.variables["DEPLOY_ARTIFACT_KEY"] = base64.b64encode(b"k" * 32).decode()
    return repository


def write(repository: Repository, tmp_path: Path, *arguments: str, number: int = 1) -> ChildPipeline:
    """Write a pipeline and read it as GitLab would."""
    repository.doit(*arguments)
    return ChildPipeline(repository, tmp_path / f"pipeline-{number}", number)


def value(tmp_path: Path, stack: str) -> object:
    """The output of a stack, from its state."""
    return json.loads((tmp_path / f"states/{stack}.tfstate").read_text())["outputs"]["value"]["value"]


def fragile(repository: Repository, stack: str, marker: Path, body: str) -> None:
    repository.write(f"stacks/{stack}/main.tf:{body}{FRAGILE.format(marker=marker)}")
    repository.commit("fragile")


def test_every_plan_is_there_before_any_deploy_and_the_report_is_one(diamond: Repository, tmp_path: Path) -> None:
    first = write(diamond, tmp_path, "ci").run()
    assert {job.status for job in first.jobs.values()} == {"success"}, first.jobs
    assert sorted(first.jobs) == sorted(
        [f"{stage}:{name}" for stage in ("plan", "deploy") for name in "abcde"] + ["planned", "report"]
    )
    assert [value(tmp_path, name) for name in "abd"] == ["1", ["1"], [["1"], ["1"]]]
    assert "deferred until a.value exists" in first.out("planned")
    assert "planned after its upstream" in first.out("report")
    assert "5 deployed" in first.out("report")
    receipts = first.folder("report") / ".deploy/local/receipts"
    assert sorted(path.stem for path in receipts.iterdir()) == [*"abcde"]
    assert diamond.git("rev-parse", "deployed-local^{commit}") == diamond.git("rev-parse", "HEAD")

    for name in ("planned", "report"):  # the last ones start no engine, whatever the others found
        diamond.engine_calls()
        del first.jobs[name]
        first.run()
        assert first.status(name) == "success"
        assert diamond.engine_calls() == []


def test_a_plan_is_made_again_where_its_upstream_was_deployed_by_another_job(
    diamond: Repository, tmp_path: Path
) -> None:
    write(diamond, tmp_path, "ci").run()
    diamond.write(f"stacks/a/main.tf:{resource('2')}")
    diamond.commit("two")
    second = write(diamond, tmp_path, "ci", number=2)
    assert "deploy:e" not in second.definitions  # not affected: no job
    second.run()
    assert {job.status for job in second.jobs.values()} == {"success"}, second.jobs
    assert [value(tmp_path, name) for name in "abd"] == ["2", ["2"], [["2"], ["2"]]]
    for name in "bcd":
        line = next(line for line in second.out("report").splitlines() if re.match(rf"deploy +{name} ", line))
        assert "planned again: an upstream's output changed" in line

    third = write(
        diamond, tmp_path, "ci", number=3
    ).run()  # nothing is affected: a file all the same, one job that says so
    assert list(third.jobs) == ["report"]
    assert "nothing to deploy" in third.out("report")


def test_receipts_of_the_cache_tell_what_is_deployed_and_never_lie_over_newer_ones(
    diamond: Repository, tmp_path: Path
) -> None:
    path = diamond.path / "config/pipeline.yaml"
    path.write_text(path.read_text().replace("deploy: {tag", "ci: {caches: receipts}\n#"))
    diamond.commit("no tag")
    write(diamond, tmp_path, "ci").run()
    cached = tmp_path / "pipeline-1/cache/doit-tofu-receipts-local-deploy"
    diamond.write(f"stacks/a/main.tf:{resource('2')}")
    diamond.commit("two")
    shutil.copytree(cached, diamond.path, dirs_exist_ok=True)  # the cache of the job that writes the pipeline
    diamond.doit("ci")
    second = ChildPipeline(diamond, tmp_path / "pipeline-1", 2)
    names = {name for name in second.definitions if ":" in name}
    assert names == {"plan:a", *(f"deploy:{name}" for name in "abcd")}  # its dependents may become affected
    second.run()
    assert {job.status for job in second.jobs.values()} == {"success"}, second.jobs
    assert [value(tmp_path, name) for name in "abd"] == ["2", ["2"], [["2"], ["2"]]]
    assert "4 deployed" in second.out("report")
    assert json.loads((cached / ".deploy/local/outputs/a.json").read_text())["outputs"]["value"]["value"] == "2"


def test_several_stacks_in_a_job_are_deployed_in_their_order(diamond: Repository, tmp_path: Path) -> None:
    diamond.variables["DEPLOY_CI__JOBS"] = "2"
    pipeline = write(diamond, tmp_path, "ci")
    assert {name for name in pipeline.definitions if ":" in name} == {
        f"{stage}:{number}/2" for stage in ("plan", "deploy") for number in (1, 2)
    }
    pipeline.run()
    assert {job.status for job in pipeline.jobs.values()} == {"success"}, pipeline.jobs
    assert value(tmp_path, "d") == [["1"], ["1"]]
    diamond.write(f"stacks/a/main.tf:{resource('2')}")
    diamond.commit("two")
    second = write(diamond, tmp_path, "ci", number=2).run()
    assert {job.status for job in second.jobs.values()} == {"success"}, second.jobs
    assert value(tmp_path, "d") == [["2"], ["2"]]
    assert "4 deployed" in second.out("report")


def test_a_plan_that_a_deploy_job_refuses_is_what_the_report_says(diamond: Repository, tmp_path: Path) -> None:
    pipeline = write(diamond, tmp_path, "ci")
    changing = "echo >> .deploy/local/plans/e/plan.tfplan"
    pipeline.definitions["plan:e"]["script"].append(changing)  # somebody changes it
    pipeline.run()
    for name in ("planned", "report"):
        assert "plans/e/plan.tfplan was changed" in pipeline.out(name)
    assert pipeline.status("deploy:a") == "skipped"

    del diamond.variables["DEPLOY_ARTIFACT_KEY"]  # without a key, only the stack's own job can tell
    pipeline = write(diamond, tmp_path, "ci", number=2)
    pipeline.definitions["plan:e"]["script"].append(changing)
    pipeline.definitions["planned"]["script"] = ["true"]
    pipeline.run()
    assert pipeline.status("deploy:e") == "failed"
    assert {pipeline.status(f"deploy:{name}") for name in "abcd"} == {"success"}
    assert pipeline.jobs["report"].code == ExitCode.FAILED
    assert "is not the file that was planned" in pipeline.out("report")
    assert not (tmp_path / "states/e.tfstate").exists()


def test_when_one_plan_fails_nothing_is_deployed(diamond: Repository, tmp_path: Path) -> None:
    diamond.write(f"stacks/e/main.tf:{resource()}{NEVER}")
    diamond.commit("broken")
    pipeline = write(diamond, tmp_path, "ci").run()
    assert pipeline.status("plan:e") == "failed"
    assert {pipeline.status(name) for name in ("planned", "deploy:a", "deploy:e")} == {"skipped"}
    assert pipeline.jobs["report"].code == ExitCode.FAILED
    assert "not today" in pipeline.out("report")
    assert "nothing was deployed" in pipeline.out("report")
    assert diamond.engine_calls("apply") == []
    assert list((tmp_path / "states").glob("*.tfstate")) == []


def test_a_failed_deploy_stops_its_dependents_alone_and_a_retry_converges(diamond: Repository, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    marker.touch()
    fragile(diamond, "b", marker, reader("x"))
    pipeline = write(diamond, tmp_path, "ci").run()
    assert pipeline.status("deploy:b") == "failed"
    assert pipeline.status("deploy:d") == "skipped"
    assert {pipeline.status(f"deploy:{name}") for name in "ace"} == {"success"}
    assert pipeline.jobs["report"].code == ExitCode.FAILED
    assert "not run: deploy:b failed" in pipeline.out("report")
    assert "deployed-local" not in diamond.git("tag")

    marker.unlink()
    diamond.engine_calls()
    pipeline.retry()
    assert {job.status for job in pipeline.jobs.values()} == {"success"}, pipeline.out("deploy:b")
    assert "planned again after its failed apply" in pipeline.out("deploy:b")
    assert [line.split()[0] for line in diamond.engine_calls("apply")] == ["b", "d"]
    assert value(tmp_path, "d") == [["1"], ["1"]]
    assert diamond.git("rev-parse", "deployed-local^{commit}") == diamond.git("rev-parse", "HEAD")


def test_a_retry_whose_memory_is_lost_refuses_the_plan_that_was_begun(diamond: Repository, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    marker.touch()
    fragile(diamond, "a", marker, resource())
    pipeline = write(diamond, tmp_path, "ci").run()
    assert pipeline.status("deploy:a") == "failed"
    marker.unlink()
    shutil.rmtree(tmp_path / "pipeline-1/cache")
    pipeline.retry()
    assert pipeline.jobs["deploy:a"].code == ExitCode.FAILED
    assert "the state has changed since this was planned" in pipeline.out("deploy:a")
    for name in ("plan:a", "deploy:a"):
        del pipeline.jobs[name]
    pipeline.retry()  # the way out that it names: plan again
    assert {job.status for job in pipeline.jobs.values()} == {"success"}, pipeline.out("deploy:a")


def test_a_check_that_failed_is_all_that_a_retry_does_again(build: Build, tmp_path: Path) -> None:
    marker = tmp_path / "healthy"
    check = f"  a: {{verify: [{{kind: command, command: [test, -e, '{marker}'], timeout: 0}}]}}\n"
    repository = build(
        config(tmp_path / "states", check), f"stacks/a/main.tf:{resource()}", f"stacks/b/main.tf:{reader('x')}",
        f"stacks/c/main.tf:{reader('x')}", f"stacks/d/main.tf:{reader('x', 'y')}",
    )  # fmt: skip
    pipeline = write(repository, tmp_path, "ci").run()
    assert (pipeline.status("deploy:a"), pipeline.status("deploy:b")) == ("failed", "skipped")
    assert "check failed" in pipeline.out("report") or "checks failed" in pipeline.out("report")
    marker.touch()
    repository.engine_calls()
    pipeline.retry()
    assert {job.status for job in pipeline.jobs.values()} == {"success"}, pipeline.out("deploy:a")
    assert [line.split()[0] for line in repository.engine_calls("apply")].count("a") == 0
    assert "already applied" in pipeline.out("deploy:a")


def test_a_stack_whose_job_left_nothing_fails_the_report(diamond: Repository, tmp_path: Path) -> None:
    pipeline = write(diamond, tmp_path, "ci", "-p", "plan")
    del pipeline.definitions["plan:e"]  # its runner died, or what is deployed has changed since
    pipeline.run()
    assert pipeline.jobs["report"].code == ExitCode.FAILED
    assert "no job of this pipeline left a result for plan:e" in pipeline.out("report")
    assert "run the pipeline again" in pipeline.out("report")


def test_drift_of_all_jobs_is_one_report_and_one_exit_code(diamond: Repository, tmp_path: Path) -> None:
    write(diamond, tmp_path, "ci").run()
    quiet = write(diamond, tmp_path, "ci", "-p", "drift", number=2).run()
    assert {job.code for job in quiet.jobs.values()} == {ExitCode.OK}
    assert sorted(quiet.jobs) == [*(f"drift:{name}" for name in "abcde"), "report"]

    (tmp_path / "states/e.tfstate").unlink()  # somebody lost it
    drifted = write(diamond, tmp_path, "ci", "-p", "drift", number=3).run()
    assert drifted.jobs["drift:e"].code == drifted.jobs["report"].code == ExitCode.DRIFT
    assert "e" in (drifted.folder("report") / ".deploy/local/reports/drift.md").read_text()

    (tmp_path / "states/d.tfstate").write_text("torn")
    failed = write(diamond, tmp_path, "ci", "-p", "drift", number=4).run()
    assert failed.jobs["drift:e"].code == ExitCode.DRIFT
    assert failed.jobs["drift:d"].code == failed.jobs["report"].code == ExitCode.FAILED
