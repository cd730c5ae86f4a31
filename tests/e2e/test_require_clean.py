"""`plan.require_clean` sees everything that a plan reads, not only what `git status` shows."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from tests.repository import Repository, minimal_config, resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

READS = '\noutput "read" {\n  value = try(file("%s"), "")\n}\n'
CLEAN = "plan: {require_clean: true}\n"


@pytest.fixture
def clean(build: Callable[..., Repository]) -> Repository:
    """A clean tree whose one stack reads files of every kind; `other` reads nothing."""
    repository = build(
        minimal_config(CLEAN), f"stacks/a/main.tf:{resource(extra=READS % '../../data/read.txt')}",
        f"stacks/other/main.tf:{resource()}", "data/seen.txt:1", "data/tracked.txt:1",
        ".gitignore:.deploy/\n.state/\n*.tfstate*\n*.auto.tfvars\ndata/read.txt\nprod.yaml\n",
    )  # fmt: skip
    repository.prepare("plan")
    repository.engine_calls()
    return repository


def ignored_var_file(repository: Repository) -> None:
    repository.write("stacks/a/mine.auto.tfvars:# mine\n")


def ignored_file(repository: Repository) -> None:
    repository.write("data/read.txt:mine")


def assumed_unchanged(repository: Repository) -> None:
    repository.git("update-index", "--assume-unchanged", "stacks/a/main.tf")
    repository.write(f"stacks/a/main.tf:{resource('2')}")


def skipped(repository: Repository) -> None:
    repository.git("update-index", "--skip-worktree", "stacks/a/main.tf")
    repository.write(f"stacks/a/main.tf:{resource('2')}")


def monitored(repository: Repository) -> None:
    """A program of the clone says that only the configuration was changed, and git believes it."""
    monitor = repository.home / "monitor"
    monitor.write_text("#!/bin/sh\nprintf 'token\\0config/pipeline.yaml\\0'\n")
    monitor.chmod(0o755)
    repository.git("config", "core.fsmonitor", str(monitor))
    repository.git("update-index", "--fsmonitor")
    repository.git("status")
    repository.write(f"stacks/a/main.tf:{resource('2')}")


def same_times(repository: Repository) -> None:
    """A file of the same size gets its old time back, where git was told to look at nothing else."""
    repository.git("config", "core.trustctime", "false")
    repository.git("config", "core.checkStat", "minimal")
    main = repository.path / "stacks/a/main.tf"
    os.utime(main, (1e9, 1e9))
    repository.git("status")
    time.sleep(1.1)  # git compares whole seconds
    main.write_text(main.read_text().replace('"1"', '"2"'))
    os.utime(main, (1e9, 1e9))
    assert repository.git("status", "--porcelain") == ""


def same_second(repository: Repository) -> None:
    """An edit of the same size, with the old time, in the second in which git has noted the file's times."""
    main = repository.path / "stacks/a/main.tf"
    for _ in range(5):
        main.write_text(main.read_text().replace('"2"', '"1"'))
        time.sleep(1.02 - time.time() % 1)
        begun = int(time.time())
        os.utime(main, (1e9, 1e9))
        repository.git("status")
        main.write_text(main.read_text().replace('"1"', '"2"'))
        os.utime(main, (1e9, 1e9))
        if int(time.time()) == begun and repository.git("status", "--porcelain") == "":
            return
    pytest.fail("git saw the change each time")


def outside(repository: Repository) -> None:
    file = repository.path.parent / "outside.txt"
    file.write_text("1")
    repository.write(f"stacks/a/main.tf:{resource(extra=READS % file)}")
    repository.commit()


def linked_outside(repository: Repository) -> None:
    (repository.path.parent / "outside.txt").write_text("1")
    (repository.path / "data/link.txt").symlink_to("../../outside.txt")
    repository.write(f"stacks/a/main.tf:{resource(extra=READS % '../../data/link.txt')}")
    repository.commit()


def new(repository: Repository) -> None:
    repository.write("stacks/a/new.tf:")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (ignored_var_file, "(stacks/a/mine.auto.tfvars: ignored by git)"),
        (ignored_file, "(data/read.txt: ignored by git)"),
        (assumed_unchanged, "(stacks/a/main.tf: differs from the commit)"),
        (skipped, "(stacks/a/main.tf: differs from the commit)"),
        (monitored, "(stacks/a/main.tf)"),
        (same_times, "(stacks/a/main.tf)"),
        (same_second, "(stacks/a/main.tf: differs from the commit)"),
        (outside, "/outside.txt: outside of the repository)"),
        (linked_outside, "(data/link.txt: outside of the repository)"),
        (new, "(stacks/a/new.tf)"),
    ],
)
def test_what_a_plan_reads_and_the_commit_has_not_is_named_and_refused(
    clean: Repository, change: Callable[[Repository], None], said: str
) -> None:
    change(clean)
    shutil.rmtree(clean.path / ".deploy")
    done = clean.doit("-a", "plan:a", code=1)
    assert said in done.task("plan", "a")
    assert "config/pipeline.yaml:3" in done.out
    assert clean.engine_calls("plan") == []
    clean.write(minimal_config())
    clean.doit("plan:a")  # without the key it is planned
    clean.git("checkout", "--quiet", "config")
    done = clean.doit("deploy:a", code=1)
    assert "uncommitted changes" in done.task("plan", "a")
    assert clean.engine_calls("apply") == []


def test_only_what_a_stack_reads_concerns_it_unless_git_shows_it(clean: Repository) -> None:
    ignored_file(clean)
    assert "+1" in clean.doit("-a", "plan:other").task("plan", "other")
    clean.git("update-index", "--assume-unchanged", "data/tracked.txt")
    clean.write("data/tracked.txt:2")
    done = clean.doit("-a", "plan:other", code=1)
    assert "(data/tracked.txt: differs from the commit)" in done.task("plan", "other")


def test_an_environments_file_that_git_ignores_is_named(clean: Repository) -> None:
    clean.write("config/environments/prod.yaml:stacks: {other: {variables: {}}}\n")
    done = clean.doit("env=prod", "-a", "plan:other", code=1)
    assert "(config/environments/prod.yaml: ignored by git)" in done.task("plan", "other")


def test_files_that_a_sparse_tree_leaves_out_are_no_change(clean: Repository) -> None:
    clean.git("update-index", "-q", "--refresh")  # it leaves a file that may differ
    clean.git("sparse-checkout", "set", "--no-cone", "/*", "!/data/")
    assert not (clean.path / "data/tracked.txt").exists()
    assert "+1" in clean.doit("-a", "plan:other").task("plan", "other")


def test_a_submodule_is_looked_into_whatever_it_asks_git_to_hide(clean: Repository, tmp_path: Path, tofu: Path) -> None:
    shared = Repository.create(tmp_path / "shared", tofu, "m/main.tf:", "m/.gitignore:*.auto.json\n")
    clean.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(shared.path), "vendor")
    clean.git("config", "--file", ".gitmodules", "submodule.vendor.ignore", "all")
    clean.write(f"stacks/a/main.tf:{resource(extra=READS % '../../vendor/m/x.auto.json')}")
    clean.write('stacks/a/m.tf:module "m" {\n  source = "../../vendor/m"\n}\n')
    clean.commit()
    clean.doit("-a", "plan:a")
    clean.write("vendor/m/x.auto.json:{}")
    assert "vendor/m/x.auto.json: " in clean.doit("-a", "plan:a", code=1).task("plan", "a")
    (clean.path / "vendor/m/x.auto.json").unlink()
    clean.write("vendor/m/main.tf:# changed\n")
    assert "(vendor" in clean.doit("-a", "plan:a", code=1).task("plan", "a")


def test_a_change_outside_of_the_projects_folder_is_named(clean: Repository, tofu: Path) -> None:
    inner = Repository(clean.path / "inner", clean.home, tofu, clean.variables)
    inner.write(
        minimal_config(CLEAN), f"stacks/a/main.tf:{resource()}", "dodo.py:" + (clean.path / "dodo.py").read_text()
    )
    clean.commit()
    inner.doit("plan")
    clean.write("data/tracked.txt:2")
    assert "(data/tracked.txt)" in inner.doit("-a", "plan", code=1).task("plan", "a")


def test_without_a_commit_nothing_can_be_compared(clean: Repository) -> None:
    shutil.rmtree(clean.path / ".git")
    assert "(all files: there is no commit)" in clean.doit("-a", "plan:other", code=1).task("plan", "other")
