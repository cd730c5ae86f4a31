"""What a job takes of what another handed over (`from=`): what belongs, and nothing that it could be tricked by."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.repository import Repository, copy_tree, minimal_config, resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOOK = "hooks: [{{after: deploy, run: [touch, '{mark}']}}]\n"


@pytest.fixture
def planned(build: Callable[..., Repository], tmp_path: Path) -> Repository:
    """A plan of `a`, made in one checkout, its state outside of any."""
    states = f'backend: {{kind: local, settings: {{path: "{tmp_path}/states/{{stack}}.tfstate"}}}}\n'
    repository = build(f"config/pipeline.yaml:version: 1\n{states}", f"stacks/a/main.tf:{resource()}")
    repository.prepare("plan")
    return repository


@pytest.fixture
def handed_over(planned: Repository, tmp_path: Path) -> Path:
    """All that the plan job left, unpacked apart."""
    folder = tmp_path / "handed-over"
    copy_tree(planned.path / ".deploy", folder / ".deploy")
    return folder


@pytest.fixture
def fresh(planned: Repository, tmp_path: Path) -> Repository:
    """The checkout of the job that deploys, as it was committed."""
    return planned.clone(tmp_path / "deploying")


def test_a_plan_is_taken_and_deployed(fresh: Repository, handed_over: Path) -> None:
    sha256 = json.loads((handed_over / ".deploy/local/plans/a/manifest.json").read_text())["plan_sha256"]
    fresh.doit(f"from={handed_over}", "deploy")
    assert fresh.json("receipts/a.json")["plan_sha256"] == sha256
    assert fresh.engine_calls("plan") == []


def test_nothing_of_the_checkout_is_replaced_and_no_hook_of_the_artifact_runs(
    fresh: Repository, handed_over: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "pwned"
    config = (fresh.path / "config/pipeline.yaml").read_text()
    for path, text in {
        "config/pipeline.yaml": config + HOOK.format(mark=mark),
        "config/environments/local.yaml": HOOK.format(mark=mark),
        "dodo.py": f"open({str(mark)!r}, 'w').close()\n",
        "stacks/a/more_override.tf": f'resource "terraform_data" "it" {{\n  input = file("{mark}")\n}}\n',
        "stacks/a/x.auto.tfvars": "x = 1\n",
        ".git/config": f"[core]\n\tfsmonitor = touch {mark}\n",
        ".deploy/local/receipts/a.json": "{}",
        ".deploy/local/outputs/a.json": "{}",
        ".deploy/local/doit.db": "no database",
        ".deploy/local/hooks/deploy/a.json": "{}",
        ".deploy/local/ci/before/receipts/a.json": "{}",
        ".deploy/.cache/data/local/a/terraform.tfstate": "{}",
        ".deploy/prod/plans/a/plan.tfplan": "another environment's",
    }.items():
        (handed_over / path).parent.mkdir(parents=True, exist_ok=True)
        (handed_over / path).write_text(text)
    git = (fresh.path / ".git/config").read_text()

    done = fresh.doit(f"from={handed_over}", "deploy")

    assert "1 deployed" in done.out
    assert not mark.exists()
    assert fresh.git("status", "--porcelain") == ""
    assert (fresh.path / ".git/config").read_text() == git
    assert not (fresh.path / ".deploy/prod").exists()
    assert not fresh.deploy_dir("hooks").exists()
    assert not fresh.deploy_dir("ci").exists()


@pytest.mark.parametrize(
    ("place", "make"),
    [
        ("plans/a/manifest.json", lambda at: at.symlink_to("/etc/hostname")),
        ("plans/a/plan.tfplan", os.mkfifo),
        ("results/plan/a.json", lambda at: at.symlink_to("/dev/zero")),
        ("plans/a/link", lambda at: at.symlink_to("plan.tfplan")),
        ("plans/a", lambda at: at.symlink_to("/etc")),
        ("results", lambda at: at.symlink_to("plans")),
    ],
)
def test_a_link_or_pipe_in_the_artifact_is_refused_by_name_before_anything_happens(
    fresh: Repository, handed_over: Path, place: str, make: Callable[[Path], None]
) -> None:
    at = handed_over / ".deploy/local" / place
    shutil.rmtree(at) if at.is_dir() else at.unlink(missing_ok=True)
    make(at)
    done = fresh.doit(f"from={handed_over}", "deploy", code=1)
    assert f"from={handed_over}: {at.name} is not a plain file" in done.out
    assert "untouched: nothing was planned or applied" in done.out
    assert fresh.engine_calls() == []


def test_a_folder_that_is_not_there_is_named(fresh: Repository, tmp_path: Path) -> None:
    done = fresh.doit(f"from={tmp_path}/nowhere", "deploy", code=1)
    assert f"from={tmp_path}/nowhere: the folder does not exist" in done.out


def test_outputs_of_builds_are_taken_and_files_that_git_tracks_are_not(
    build: Callable[..., Repository], tmp_path: Path
) -> None:
    repository = build(
        minimal_config("builds: {page: {kind: command, path: app, command: [sh, make], outputs: [out, kept]}}\n"),
        "app/make:mkdir -p out; echo made > out/page",
        "app/kept:as committed\n",
        ".gitignore:.deploy/\napp/out/\n",
        f"stacks/a/main.tf:{resource()}",
    )
    handed_over = tmp_path / "handed-over"
    for path in ("app/out/page", "app/kept", "app/make", "other/file"):
        (handed_over / path).parent.mkdir(parents=True, exist_ok=True)
        (handed_over / path).write_text("handed over")

    repository.doit(f"from={handed_over}", "status")

    assert (repository.path / "app/out/page").read_text() == "handed over"
    assert (repository.path / "app/kept").read_text() == "as committed\n"
    assert not (repository.path / "other").exists()
    assert repository.git("status", "--porcelain") == ""
