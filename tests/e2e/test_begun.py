"""A deploy that was begun and has not ended is known from the tag, whatever becomes of its commit."""

from __future__ import annotations

import base64
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_observation import BLIND, READS
from tests.repository import Repository, minimal_config, reader, resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TAG = "deployed-local"
CONFIG = "deploy: {{tag: 'deployed-{{environment}}', push: true}}\n{}"
WITH_DEFAULT = reader("x").replace("  type = any", "  type    = any\n  default = 1")
BROKEN = '\nresource "terraform_data" "bad" {\n  provisioner "local-exec" {\n    command = "false"\n  }\n}\n'


class Pipelines:
    """Pipelines of one repository, each on a machine that has a clone of origin and the states, and nothing else."""

    def __init__(self, repository: Repository, folder: Path) -> None:
        self.repository = repository
        self.origin = folder / "origin.git"
        self._folder = folder
        self._number = 0
        repository.git("clone", "--quiet", "--bare", str(repository.path), str(self.origin))
        repository.git("remote", "add", "origin", str(self.origin))

    def push(self) -> None:
        self.repository.git("push", "--quiet", "--force", "origin", "HEAD:main")

    def machine(self) -> Repository:
        self._number += 1
        fresh = self.repository.clone(self._folder / f"machine{self._number}")
        for tag in fresh.git("tag").split():
            fresh.git("tag", "-d", tag)
        fresh.git("remote", "set-url", "origin", str(self.origin))
        fresh.git("fetch", "--quiet", "--tags", "--force", "origin")
        shutil.rmtree(fresh.path / ".state", ignore_errors=True)
        fresh.path.joinpath(".state").symlink_to(self.repository.path / ".state")
        return fresh

    def applied(self, *arguments: str, code: int = 0, **variables: str) -> list[str]:
        """What a deploy on a machine of its own applies."""
        fresh = self.machine()
        done = fresh.doit(*(arguments or ("deploy",)), code=None, **variables)
        assert done.code == code, done.out
        return sorted(line.split()[0] for line in fresh.engine_calls("apply"))


@pytest.fixture
def three(build: Callable[..., Repository], tmp_path: Path) -> Pipelines:
    repository = build(
        minimal_config(CONFIG.format("stacks: {b: {depends_on: [a]}}\n")),
        *(f"stacks/{name}/main.tf:{resource()}" for name in "abc"), f"stacks/c/main.tf:{WITH_DEFAULT}",
        ".gitignore:.deploy/\n.state\n",
    )  # fmt: skip
    repository.path.joinpath(".state").mkdir(exist_ok=True)
    pipelines = Pipelines(repository, tmp_path)
    assert pipelines.applied() == ["a", "b", "c"]
    assert pipelines.applied() == []
    return pipelines


def status(machine: Repository) -> dict[str, str]:
    lines = machine.doit("status").out.splitlines()
    return {line.split()[0]: line for line in lines if "affected: " in line}


def test_what_a_deploy_has_begun_is_affected_after_its_commit_is_gone(three: Pipelines) -> None:
    one = three.repository
    good = one.git("rev-parse", "HEAD")
    one.write(f"stacks/a/main.tf:{resource('2')}", f"stacks/b/main.tf:{resource('2', extra=BROKEN)}")
    bad = one.commit("applies a, and fails on b")
    three.push()
    assert three.applied(code=1) == ["a", "b"]
    one.git("reset", "--quiet", "--hard", good)
    three.push()
    found = status(three.machine())
    assert set(found) == {"a", "b"}
    assert f"a deploy of {bad[:8]}, after {TAG}, was about to apply it and has not ended" in found["a"]
    assert three.applied() == ["a", "b"]
    assert three.repository.state("a")["outputs"]["value"]["value"] == "1"
    assert status(three.machine()) == {}
    assert three.applied() == []


def test_one_stack_that_was_deployed_from_a_commit_that_is_gone(three: Pipelines) -> None:
    one = three.repository
    good = one.git("rev-parse", "HEAD")
    one.write(f"stacks/a/main.tf:{resource('2')}", f"stacks/b/main.tf:{resource('2')}")
    one.commit()
    three.push()
    assert three.applied("deploy:a") == ["a"]
    one.git("reset", "--quiet", "--hard", good)
    three.push()
    assert three.applied() == ["a"]
    assert three.applied() == []


def test_a_value_of_the_environment_that_was_taken_back(three: Pipelines) -> None:
    one = three.repository
    one.write(f"stacks/b/main.tf:{resource(extra=BROKEN)}")
    one.commit()
    three.push()
    assert three.applied(code=1, TF_VAR_x="2") == ["b", "c"]
    one.git("revert", "--no-edit", "HEAD")
    three.push()
    assert set(status(three.machine())) == {"b", "c"}
    assert three.applied() == ["b", "c"]
    assert three.applied() == []


def test_what_a_dirty_tree_has_deployed_is_affected(three: Pipelines) -> None:
    machine = three.machine()
    machine.write(f"stacks/c/main.tf:{WITH_DEFAULT.replace('= 1', '= 2')}")
    machine.doit("deploy")
    assert set(status(three.machine())) == {"c"}


def test_what_a_failed_deploy_has_not_begun_is_not_affected(three: Pipelines) -> None:
    one = three.repository
    good = one.git("rev-parse", "HEAD")
    one.write(f"stacks/a/main.tf:{resource('2', extra=BROKEN)}", f"stacks/b/main.tf:{resource('2')}")
    one.commit()
    three.push()
    assert three.applied(code=1) == ["a"]
    one.git("reset", "--quiet", "--hard", good)
    three.push()
    assert set(status(three.machine())) == {"a"}


def test_a_deploy_that_cannot_say_what_it_begins_applies_nothing(three: Pipelines) -> None:
    one = three.repository
    one.write(f"stacks/a/main.tf:{resource('2')}")
    one.commit()
    three.push()
    hook = three.origin / "hooks/update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\n[ "$1" != "refs/tags/deployed-local" ]\n')
    hook.chmod(0o755)
    machine = three.machine()
    done = machine.doit("deploy", code=1)
    assert f"git cannot push the tag {TAG} to origin" in done.out
    assert "allow this job to push it, or set `deploy.push: false`" in done.out
    assert machine.engine_calls("apply") == []
    hook.unlink()
    assert three.applied() == ["a"]


def test_a_run_whose_tag_another_one_has_moved_applies_nothing(three: Pipelines) -> None:
    one = three.repository
    one.write(f"stacks/a/main.tf:{resource('2')}")
    one.commit()
    three.push()
    late = three.machine()
    one.write(f"stacks/c/main.tf:{resource('3')}")
    one.commit()
    three.push()
    assert three.applied() == ["a", "c"]
    done = late.doit("deploy", code=1)
    assert "has moved to" in done.out
    assert late.engine_calls("apply") == []


def moved_by_hand(one: Repository) -> None:
    one.git("tag", "--force", TAG)


def moved_with_a_copy_of_its_note(one: Repository) -> None:
    note = one.git("for-each-ref", "--format=%(contents)", f"refs/tags/{TAG}")
    assert "deployed by doit-tofu" in note
    one.git("tag", "--force", "--annotate", "--message", note, TAG)


@pytest.mark.parametrize("move", [moved_by_hand, moved_with_a_copy_of_its_note])
def test_a_tag_that_no_deploy_has_put_there_does_not_count_and_a_deploy_puts_it_right(
    three: Pipelines, move: Callable[[Repository], None]
) -> None:
    one = three.repository
    one.git("fetch", "--quiet", "--tags", "--force", "origin")
    one.write(f"stacks/a/main.tf:{resource('2')}")
    never = one.commit("never deployed")
    move(one)
    three.push()
    one.git("push", "--quiet", "--force", "origin", f"refs/tags/{TAG}")
    machine = three.machine()
    done = machine.doit("status")
    assert f"no deploy of {never[:8]} has put the tag {TAG} there" in done.out
    assert f"`doit base={TAG} deploy`" in done.out
    assert set(status(machine)) == {"a", "b", "c"}
    assert "affected: " not in machine.doit(f"base={TAG}", "status").out
    assert three.applied() == ["a", "b", "c"]
    assert status(three.machine()) == {}


def test_a_note_that_was_written_by_hand_does_not_count_for_who_has_the_key(
    build: Callable[..., Repository], tmp_path: Path
) -> None:
    one = build(minimal_config(CONFIG.format("")), f"stacks/a/main.tf:{resource()}", ".gitignore:.deploy/\n.state\n")
    one.path.joinpath(".state").mkdir(exist_ok=True)
    pipelines = Pipelines(one, tmp_path)
    key = {"DEPLOY_ARTIFACT_KEY": base64.b64encode(b"a" * 32).decode()}
    assert pipelines.applied(**key) == ["a"]
    assert pipelines.applied(**key) == []
    one.git("fetch", "--quiet", "--tags", "--force", "origin")
    before = one.git("rev-parse", "HEAD").strip()
    one.write(f"stacks/a/main.tf:{resource('2')}")
    fix = one.commit("a fix that somebody does not want to be deployed")
    note = one.git("for-each-ref", "--format=%(contents)", f"refs/tags/{TAG}").replace(before, fix)
    one.git("tag", "--force", "--annotate", "--message", note, TAG)
    pipelines.push()
    one.git("push", "--quiet", "--force", "origin", f"refs/tags/{TAG}")
    reviewing = pipelines.machine()
    assert "affected: " not in reviewing.doit("status").out  # it has no key, and applies nothing
    done = reviewing.doit("status", **key)
    assert f"no deploy of {fix[:8]} with DEPLOY_ARTIFACT_KEY has put the tag {TAG} there" in done.out
    assert pipelines.applied(**key) == ["a"]
    assert pipelines.applied(**key) == []


def test_what_fails_after_a_tag_that_was_named_is_known(three: Pipelines) -> None:
    one = three.repository
    good = one.git("rev-parse", "HEAD")
    moved_by_hand(one)
    one.git("push", "--quiet", "--force", "origin", f"refs/tags/{TAG}")
    one.write(f"stacks/a/main.tf:{resource('2', extra=BROKEN)}")
    one.commit()
    three.push()
    assert three.applied(f"base={TAG}", "deploy", code=1) == ["a"]
    one.git("reset", "--quiet", "--hard", good)
    three.push()
    assert set(status(three.machine())) == {"a"}


def test_a_branch_with_the_name_of_the_tag_does_not_count(three: Pipelines) -> None:
    machine = three.machine()
    machine.git("tag", "--delete", TAG)
    machine.git("branch", TAG)
    assert set(status(machine)) == {"a", "b", "c"}


def test_what_a_plan_was_seen_to_read_is_known_from_the_tag(build: Callable[..., Repository], tmp_path: Path) -> None:
    repository = build(
        minimal_config(CONFIG.format("inputs: {observe: true}\n")), f"stacks/a/main.tf:{resource(extra=READS)}",
        f"stacks/b/main.tf:{resource()}", "data/seen.txt:1", "folder/one.json:{}", ".gitignore:.deploy/\n.state\n",
    )  # fmt: skip
    repository.write("dodo.py:" + BLIND)
    repository.commit()
    repository.path.joinpath(".state").mkdir(exist_ok=True)
    pipelines = Pipelines(repository, tmp_path)
    assert pipelines.applied() == ["a", "b"]
    for change in ("data/seen.txt:2", "data/absent.txt:there", "folder/two.json:{}"):
        assert status(pipelines.machine()) == {}
        repository.write(change)
        repository.commit()
        pipelines.push()
        assert set(status(pipelines.machine())) == {"a"}, change
        assert pipelines.applied() == ["a"]
