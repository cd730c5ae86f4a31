"""What is deployed is never replaced by an older commit unawares: not by a job that is run again, nor by a retry."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.repository import Repository, copy_tree, resource

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = 'backend: {kind: local, settings: {path: "%s/{stack}-{environment}.tfstate"}}\n'


def _with_state_elsewhere(repository: Repository, folder: Path, more: str = "") -> None:
    """States in a folder that all clones share."""
    folder.mkdir()
    repository.write(f"config/pipeline.yaml:version: 1\n{SETTINGS % folder}{more}")
    repository.commit("base")


def _change(repository: Repository, value: str) -> str:
    repository.write(f"stacks/a/main.tf:{resource(value)}")
    return repository.commit(value)


def _clone(repository: Repository, path: Path, *options: str) -> Repository:
    """A clone as over a network, with what was deployed from the first one."""
    other = Repository(path, repository.home, repository.tofu)
    repository.git("clone", "-q", *options, f"file://{repository.path}", str(path))
    copy_tree(repository.path / ".deploy", path / ".deploy")
    return other


def _value(folder: Path) -> str:
    state = json.loads((folder / "a-local.tfstate").read_text())
    return str(state["resources"][0]["instances"][0]["attributes"]["input"]["value"])


@pytest.fixture
def shared(one: Repository, tmp_path: Path) -> tuple[Repository, Path]:
    folder = tmp_path / "states"
    _with_state_elsewhere(one, folder)
    one.prepare("deploy")
    return one, folder


def test_a_commit_before_the_deployed_one_is_refused_by_its_receipt(shared: tuple[Repository, Path]) -> None:
    """Checked out again and deployed, an older commit would undo what came after it."""
    repository, folder = shared
    old = _change(repository, "two")
    new = _change(repository, "three")
    repository.doit("deploy")
    repository.git("checkout", "-q", old)
    done = repository.doit("deploy", code=1)
    assert f"{new[:8]} is deployed, and {old[:8]} is older" in done.out
    assert "allow=older:a reason=WHY deploy" in done.out
    assert _value(folder) == "three"


def test_the_way_back_is_a_revert_or_an_allowance_that_the_receipt_keeps(shared: tuple[Repository, Path]) -> None:
    repository, folder = shared
    old = _change(repository, "two")
    new = _change(repository, "three")
    repository.doit("deploy")
    repository.git("revert", "--no-edit", "HEAD")
    repository.doit("deploy")
    assert _value(folder) == "two"
    repository.git("checkout", "-q", new)
    repository.doit("allow=older", "reason=the incident", "deploy")
    assert _value(folder) == "three"
    (kept,) = repository.json("receipts/a.json")["allowed"]
    assert kept.startswith(f"older {new[:8]} after ")
    assert kept.endswith(": the incident")
    repository.git("checkout", "-q", old)
    repository.write(f"stacks/b/main.tf:{resource()}")
    assert "is older" in repository.doit("allow=older:b", "reason=another stack", "deploy", code=1).out
    repository.doit("allow=older", "deploy", code=1)  # without a reason


def test_a_plan_of_a_job_that_is_run_again_is_refused_by_the_tag(one: Repository, tmp_path: Path) -> None:
    """A forge's "run again" of an old workflow has its plan, its commit, a fresh state, and no receipt."""
    folder = tmp_path / "states"
    _with_state_elsewhere(one, folder, 'deploy: {tag: "deployed-{environment}"}\n')
    one.doit("deploy")
    _change(one, "two")
    again = one.clone(tmp_path / "again")
    again.doit("plan")
    one.git("revert", "--no-edit", "HEAD")
    one.doit("deploy")
    again.git("fetch", "-q", "--tags", "--force")
    done = again.doit("deploy", code=1)
    assert "is older" in done.out
    assert _value(folder) == "1"


def test_only_the_stacks_that_would_go_back_are_refused(pair: Repository, tmp_path: Path) -> None:
    """It is asked per stack: one that was not deployed since goes forward."""
    folder = tmp_path / "states"
    _with_state_elsewhere(pair, folder)
    pair.doit("deploy")
    pair.write(f"stacks/b/main.tf:{resource('b-two')}")
    pair.commit("b")
    old = _change(pair, "two")
    _change(pair, "three")
    pair.doit("deploy:a")
    pair.git("checkout", "-q", old)
    pair.doit("deploy:a", code=1)
    pair.doit("deploy:b")
    assert _value(folder) == "three"


def test_a_clone_without_the_history_cannot_tell_and_says_what_to_fetch(
    shared: tuple[Repository, Path], tmp_path: Path
) -> None:
    repository, folder = shared
    _change(repository, "two")
    _change(repository, "three")
    shallow = _clone(repository, tmp_path / "shallow", "--depth=1")
    done = shallow.doit("deploy", code=1)
    assert "this clone cannot tell" in done.out
    assert "`git fetch --unshallow`" in done.out
    assert _value(folder) == "1"
    shallow.git("fetch", "-q", "--unshallow")
    shallow.doit("deploy")
    assert _value(folder) == "three"


def test_a_commit_that_is_gone_is_named_and_can_be_gone_on_from(
    shared: tuple[Repository, Path], tmp_path: Path
) -> None:
    """After a force push the deployed commit is not in a fresh clone."""
    repository, folder = shared
    gone = _change(repository, "two")
    repository.doit("deploy")
    repository.git("reset", "-q", "--hard", "HEAD~1")
    _change(repository, "three")
    fresh = _clone(repository, tmp_path / "fresh")
    done = fresh.doit("deploy", code=1)
    assert f"`git fetch origin {gone}`" in done.out
    repository.doit("deploy")  # where both are known to lie apart, nothing is older
    assert _value(folder) == "three"
