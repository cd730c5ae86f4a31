"""Git that does not answer stops a run that needs it: no plan may pass as bound to a clean commit."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.repository import minimal_config, resource

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.repository import Repository

OWNER = 12345


@pytest.fixture
def foreign(one: Repository) -> Repository:
    """A repository that belongs to another user, which git refuses to look at."""
    if os.getuid() != 0:
        pytest.fail("this test gives a folder away, which only root can do")
    for folder, folders, names in os.walk(one.path):
        for name in [".", *folders, *names]:
            os.chown(os.path.join(folder, name), OWNER, OWNER, follow_symlinks=False)  # noqa: PTH118
    return one


@pytest.mark.parametrize("command", ["plan", "deploy"])
def test_a_repository_of_another_owner_is_refused_with_the_way_out(foreign: Repository, command: str) -> None:
    done = foreign.doit(command, code=1)
    assert "git refuses: detected dubious ownership in repository" in done.out
    assert f"git config --global --add safe.directory {foreign.path}" in done.out
    assert not foreign.deploy_dir("plans/a/manifest.json").exists()
    assert not foreign.deploy_dir("receipts").exists()


def test_an_exception_in_the_environment_holds_for_us_as_for_git(foreign: Repository) -> None:
    allowed = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    foreign.doit("plan", **allowed)
    assert foreign.json("plans/a/manifest.json")["commit"]


def test_a_base_says_that_git_refuses_not_that_there_is_no_such_commit(foreign: Repository) -> None:
    assert "dubious ownership" in foreign.doit("base=main", "plan", code=1).out


def test_a_repository_without_git_on_path_is_refused(one: Repository) -> None:
    for name in ("tofu", "sh", "env", "basename", "cat"):
        found = shutil.which(name)
        if found and not (one.bin / name).exists():
            (one.bin / name).symlink_to(found)
    done = one.doit("plan", code=1, PATH=str(one.bin))
    assert "git error: cannot run git" in done.out
    assert not one.deploy_dir("plans/a/manifest.json").exists()


def test_a_broken_worktree_is_refused(one: Repository) -> None:
    shutil.rmtree(one.path / ".git")
    (one.path / ".git").write_text("gitdir: /nowhere/.git/worktrees/x\n")
    assert "git error: git refuses: not a git repository: /nowhere" in one.doit("plan", code=1).out


@pytest.mark.parametrize("how", ["settings", "branch", "killed"])
def test_git_that_cannot_tell_the_commit_is_not_taken_for_no_commit(one: Repository, how: str) -> None:
    said = "HEAD does not name a commit"
    if how == "settings":
        (one.path / ".git/config").write_text("[core\n")
        said = "bad config line 1"
    elif how == "branch":
        (one.path / ".git/refs/heads/main").write_text("garbage\n")
    else:
        (one.bin / "git").write_text("#!/bin/sh\nkill -9 $$\n")
        (one.bin / "git").chmod(0o755)
        said = "it ended with -9 and said nothing"
    assert f"git refuses: {said}" in one.doit("plan", code=1).out
    assert not one.deploy_dir("plans/a/manifest.json").exists()


def test_before_its_first_commit_a_repository_is_planned_without_one(one: Repository) -> None:
    shutil.rmtree(one.path / ".git")
    one.git("init", "--quiet", "--template=")
    one.doit("plan")
    assert one.json("plans/a/manifest.json")["commit"] is None


def test_a_folder_that_is_no_repository_is_planned_without_a_commit(build: Callable[..., Repository]) -> None:
    repository = build(minimal_config(), f"stacks/a/main.tf:{resource()}")
    shutil.rmtree(repository.path / ".git")
    repository.doit("plan")
    assert repository.json("plans/a/manifest.json")["commit"] is None


def test_a_change_beside_the_root_is_a_dirty_tree(one: Repository) -> None:
    one.write("sub/dodo.py:" + (one.path / "dodo.py").read_text(), "module/main.tf:")
    for name in ("config", "stacks"):
        shutil.copytree(one.path / name, one.path / "sub" / name)
    one.commit()
    one.write("module/main.tf:# changed\n")
    one.doit("--dir", "sub", "-f", "dodo.py", "plan")
    assert '"dirty": true' in (one.path / "sub/.deploy/local/plans/a/manifest.json").read_text()


@pytest.mark.parametrize("where", [".gitmodules", ".git/config"])
def test_a_change_in_a_submodule_that_git_was_told_to_ignore_is_a_dirty_tree(one: Repository, where: str) -> None:
    origin = one.path.parent / "sub"
    origin.mkdir()
    one.git("-C", str(origin), "init", "--quiet")
    (origin / "main.tf").write_text("# one\n")
    one.git("-C", str(origin), "add", ".")
    one.git("-C", str(origin), "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "one")
    one.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(origin), "modules")
    one.git("config", "-f", where, "submodule.modules.ignore", "all")
    one.commit()
    one.write("modules/main.tf:# changed\n")
    one.prepare("plan")
    assert one.json("plans/a/manifest.json")["dirty"] is True
