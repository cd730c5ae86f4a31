"""A plan that is handed over to fresh clones, again and again: the ledger says that it was applied, and how."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_ledger import LEDGER, Remote
from tests.e2e.test_ledger_complete import head
from tests.repository import copy_tree, minimal_config, reader, resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.repository import Done, Repository

    Build = Callable[..., Repository]


def _remote(build: Build, base: Path, more: str = "") -> Remote:
    """The stacks `a` and `c`, whose apply fails as long as a file exists; a ledger was begun."""
    config = minimal_config(more + LEDGER).replace("{root}/.state/", f"{base}/states/")
    failing = f"""
resource "terraform_data" "fragile" {{
  provisioner "local-exec" {{
    command = "test ! -e {base}/broken"
  }}
}}
"""
    first = build(config, f"stacks/a/main.tf:{resource()}", f"stacks/c/main.tf:{resource('c', extra=failing)}")
    remote = Remote(base, first)
    remote.clone().doit("ledger", "init")
    return remote


def _pipeline(number: int) -> dict[str, str]:
    return {"GITLAB_CI": "true", "CI_PIPELINE_ID": str(number), "CI_PROJECT_ID": "1", "CI_COMMIT_BRANCH": "main"}


def _planned(remote: Remote) -> Repository:
    planner = remote.clone()
    planner.doit("plan", **_pipeline(7))
    return planner


def _deployed(remote: Remote, planner: Repository, code: int = 0, *words: str) -> tuple[Done, Repository]:
    """What the deploy says on a fresh clone with the folder of the plan job."""
    job = remote.clone()
    copy_tree(planner.deploy_dir(), job.deploy_dir())
    return job.doit(*(words or ("deploy",)), code=code, **_pipeline(7)), job


def test_a_deploy_that_failed_goes_on_with_what_is_left(build: Build, tmp_path: Path) -> None:
    remote = _remote(build, tmp_path)
    (tmp_path / "broken").touch()
    planner = _planned(remote)
    for _ in range(2):
        done, _ = _deployed(remote, planner, 1)
        assert "FAILED  deploy c: engine error" in done.out
    (tmp_path / "broken").unlink()
    done, job = _deployed(remote, planner)
    assert "its last apply failed" in done.out
    assert [call.split()[0] for call in job.engine_calls("apply")] == ["c"]
    done, job = _deployed(remote, planner)
    assert job.engine_calls() == []
    assert "all up to date" in remote.clone().doit("status", **_pipeline(8)).out


def test_what_is_planned_again_is_compared_with_what_was_reviewed(build: Build, tmp_path: Path) -> None:
    remote = _remote(build, tmp_path, "plan: {on_unreviewed: fail}\n")
    (tmp_path / "broken").touch()
    reviewer = remote.clone()
    reviewer.doit("plan", **_pipeline(6), CI_MERGE_REQUEST_IID="5")
    words = (f"reviewed={reviewer.deploy_dir('review.json')}", "deploy")
    planner = remote.clone()
    planner.doit(words[0], "plan", **_pipeline(7))
    done, _ = _deployed(remote, planner, 1, *words)
    assert "FAILED  deploy c: engine error" in done.out
    (tmp_path / "broken").unlink()
    done, job = _deployed(remote, planner, 1, *words)
    assert "differs from the review" in done.out  # half of it exists by now, so it is replaced
    assert job.engine_calls("apply") == []


def test_a_push_in_another_clone_ends_what_a_deferred_stack_has_announced(build: Build, tmp_path: Path) -> None:
    """It was announced before it had a plan: only the pipeline that announced it shows that the receipt ends that."""
    config = minimal_config("stacks: {b: {inputs: {x: a.value}}}\n" + LEDGER).replace(
        "{root}/.state/", f"{tmp_path}/states/"
    )
    remote = Remote(tmp_path, build(config, f"stacks/a/main.tf:{resource()}", f"stacks/b/main.tf:{reader('x')}"))
    remote.clone().doit("ledger", "init")
    hook = remote.path / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\n[ ! -e {tmp_path}/once ] && touch {tmp_path}/once\n")
    hook.chmod(0o755)
    job = remote.clone()
    assert "not recorded: a, b" in job.doit("deploy", code=1, **_pipeline(7)).out
    hook.unlink()
    assert head(remote)["begun"].keys() == {"a", "b"}
    other = remote.clone()
    copy_tree(job.deploy_dir(), other.deploy_dir())
    assert "recorded: a, b" in other.doit("ledger", "push").out
    assert head(remote)["begun"] == {}
    assert "all up to date" in remote.clone().doit("status").out
    retried = remote.clone()
    retried.doit("deploy", **_pipeline(7))
    assert retried.engine_calls() == []
    assert head(remote)["lease"] is None


@pytest.mark.parametrize("more", [(), ("outputs",)], ids=["without outputs", "with outputs"])
def test_a_push_takes_no_outputs_of_an_earlier_apply_for_those_that_were_handed_on(
    build: Build, tmp_path: Path, more: tuple[str, ...]
) -> None:
    """A clone that has read the ledger before gets an artifact with the receipt: the outputs there are older."""
    config = minimal_config("stacks: {b: {inputs: {x: a.value}}}\n" + LEDGER).replace(
        "{root}/.state/", f"{tmp_path}/states/"
    )
    remote = Remote(tmp_path, build(config, f"stacks/a/main.tf:{resource()}", f"stacks/b/main.tf:{reader('x')}"))
    remote.clone().doit("ledger", "init")
    remote.clone().doit("deploy", **_pipeline(6))
    other, job = remote.clone(), remote.clone()
    other.doit("plan")
    job.write(f"stacks/a/main.tf:{resource('2')}")
    job.commit()
    remote.push(job)
    hook = remote.path / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\n[ ! -e {tmp_path}/once ] && touch {tmp_path}/once\n")
    hook.chmod(0o755)
    assert "not recorded: a" in job.doit("deploy:a", code=1, **_pipeline(7)).out
    hook.unlink()
    other.git("pull", "--quiet")
    for name in ("receipts", "unrecorded", *more):
        shutil.copytree(job.deploy_dir(name), other.deploy_dir(name), dirs_exist_ok=True)
    said = other.doit("ledger", "push").out
    assert ("not recorded: a: the outputs beside its receipt are not those of its apply" in said) is not bool(more)
    assert ("ledger    recorded: a" in said) is bool(more)
    assert re.search("^b .*affected" if more else "^a .*affected", remote.clone().doit("status").out, re.MULTILINE)
    remote.clone().doit("deploy", **_pipeline(7))
    assert json.loads((tmp_path / "states/b-local.tfstate").read_text())["outputs"]["value"]["value"] == ["2"]
