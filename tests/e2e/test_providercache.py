"""The cache of providers: filled by one `init` at a time, never left half filled, and looked at before it is trusted.

And the lock files that an `init` writes: what another job would not have is said in the plan.
"""

from __future__ import annotations

import platform
import shutil
import signal
import time
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.gomodule import built
from tests.repository import Repository, kill_group, minimal_config, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SYSTEM = f"linux_{ {'x86_64': 'amd64', 'aarch64': 'arm64'}[platform.machine()] }"
PROVIDER = "example.test/acme/time/0.14.2"
BINARY = "terraform-provider-time_v0.14.2"
STACKS = 16
STACK = """
terraform {
  backend "local" {}
  required_providers {
    time = {
      source = "example.test/acme/time"
    }
  }
}

resource "time_static" "it" {}
"""


@pytest.fixture
def repository(build: Callable[..., Repository], tmp_path: Path) -> Repository:
    """Stacks without lock files; their provider comes unpacked from a mirror on this machine."""
    package = tmp_path / "mirror" / PROVIDER / SYSTEM
    package.mkdir(parents=True)
    provider = built("timeprovider", "github.com/hashicorp/terraform-provider-time") / "terraform-provider-time"
    (package / BINARY).symlink_to(provider)
    (tmp_path / "tofurc").write_text(
        f'provider_installation {{\n  filesystem_mirror {{\n    path = "{tmp_path}/mirror"\n  }}\n}}\n'
    )
    made = build(minimal_config(), *(f"stacks/s{number}/main.tf:{STACK}" for number in range(STACKS)))
    made.variables["TF_CLI_CONFIG_FILE"] = str(tmp_path / "tofurc")
    return made


def _cold(repository: Repository) -> None:
    """As on a machine that has never run this."""
    shutil.rmtree(repository.path / ".deploy", ignore_errors=True)
    shutil.rmtree(repository.home / "cache/providers", ignore_errors=True)
    for lock in repository.path.glob("stacks/*/.terraform.lock.hcl"):
        lock.unlink()


@pytest.mark.parametrize("round_", range(3))
def test_a_cold_cache_is_filled_for_many_stacks_at_once(repository: Repository, round_: int) -> None:
    _cold(repository)
    done = repository.doit("run", "-n", "16", "plan")
    lines = [done.task("plan", f"s{number}") for number in range(STACKS)]
    assert all("+1 ~0 -0" in line for line in lines), f"round {round_}:\n{done.out}"


@pytest.fixture
def few(repository: Repository) -> Repository:
    """Two of them."""
    for number in range(2, STACKS):
        shutil.rmtree(repository.path / f"stacks/s{number}")
    repository.commit()
    return repository


def test_a_provider_that_is_gone_is_installed_again(few: Repository) -> None:
    few.doit("plan")
    shutil.rmtree(few.home / "cache/providers")
    for place in few.path.glob(".deploy/.cache/data/local/s0/providers"):
        shutil.rmtree(place)
    marker = few.path / ".deploy/.cache/data/local/s0/initialized.json"
    assert marker.exists()
    few.engine_calls()
    few.doit("-a", "plan:s0")  # nothing that an init depends on has changed
    assert [call.split()[0] for call in few.engine_calls("init")] == ["s0"]
    assert marker.exists()


@pytest.mark.parametrize("damage", ["emptied", "not executable"])
def test_a_provider_that_was_damaged_is_installed_again(few: Repository, tmp_path: Path, damage: str) -> None:
    """A mirror of archives: the cache has a copy, which the stacks' folders lead to."""
    package = tmp_path / "mirror" / PROVIDER / SYSTEM
    archive = package.parent.parent / f"terraform-provider-time_0.14.2_{SYSTEM}.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write((package / BINARY).resolve(), BINARY)
    shutil.rmtree(package.parent)
    few.doit("plan:s0")
    binary = few.home / "cache/providers" / PROVIDER / SYSTEM / BINARY
    if damage == "emptied":
        binary.write_bytes(b"")
    else:
        binary.chmod(0o644)
    few.doit("-a", "plan:s0")
    assert binary.stat().st_size > 1_000_000
    assert binary.stat().st_mode & 0o100


LOCKS = "lock file stacks/s0/.terraform.lock.hcl, stacks/s1/.terraform.lock.hcl: "
ADD = "`git add stacks/s0/.terraform.lock.hcl stacks/s1/.terraform.lock.hcl`"


def _faces(repository: Repository, *arguments: str) -> list[str]:
    """What a plan says: on the screen, in the comment, on the page."""
    out = repository.doit(*arguments, "plan").out
    return [out, *(repository.deploy_dir("reports", name).read_text() for name in ("plan.md", "plan.html"))]


def test_a_lock_file_that_no_commit_has_is_named_with_what_to_commit(few: Repository) -> None:
    for text in _faces(few):
        assert f"{LOCKS}written by the engine, but not committed" in text
        assert ADD.strip("`") in text
    assert few.json("results", "plan", "s0.json")["details"]["lock_file"]["state"] == "new"
    other = few.clone(few.home / "deploys")
    shutil.copytree(few.path / ".deploy", other.path / ".deploy")
    assert "nothing was deployed" in other.doit("deploy", code=1).out
    few.commit("the lock files")
    assert not any("lock file" in text for text in _faces(few, "-a"))


def test_a_committed_lock_file_that_was_completed_is_named(few: Repository) -> None:
    few.doit("plan")
    lock = few.path / "stacks/s0/.terraform.lock.hcl"
    whole = lock.read_text()
    lock.write_text("# This file is maintained automatically.\n")
    few.commit("a lock file without providers")
    shutil.rmtree(few.path / ".deploy")
    for text in _faces(few):
        assert "lock file stacks/s0/.terraform.lock.hcl: differs from the commit" in text
    assert "provider" in lock.read_text()
    lock.write_text(whole)
    few.commit("a whole one")
    assert not any("lock file" in text for text in _faces(few, "-a"))


@pytest.mark.parametrize("same", [True, False])
def test_a_committed_lock_file_that_is_missing_is_said(few: Repository, same: bool) -> None:
    few.doit("plan")
    lock = few.path / "stacks/s0/.terraform.lock.hcl"
    if not same:
        lock.write_text(lock.read_text() + "# reviewed\n")
    few.commit("the lock files")
    lock.unlink()
    words = "the engine wrote the same one" if same else "missing here, and the engine wrote a different one"
    for text in _faces(few):
        assert "lock file stacks/s0/.terraform.lock.hcl: committed" in text
        assert words in text


def test_a_lock_file_that_git_ignores_is_named(few: Repository) -> None:
    few.write(".gitignore:.deploy/\n*.tfstate*\n.terraform*\n")
    few.commit("ignores")
    for text in _faces(few):
        assert f"{LOCKS}ignored by git" in text


def test_what_a_killed_init_has_begun_is_not_taken_for_a_provider(few: Repository) -> None:
    half = few.home / "cache/providers" / PROVIDER / SYSTEM
    tofu = few.bin / "tofu"
    real = tofu.read_text()
    few.engine_script(
        "#!/bin/sh\n"
        f'if [ "$1" = init ]; then mkdir -p {half}; : > {half}/{BINARY}; : > {few.home}/begun; sleep 60; fi\n'
        + real.removeprefix("#!/bin/sh\n")
    )
    process = few.start("plan")
    wait_for((few.home / "begun").exists, "the init")
    kill_group(process, signal.SIGKILL)
    process.communicate()
    few.engine_script(real)
    time.sleep(0.2)
    second = few.start("plan")  # the engine that was left alone holds the cache until it ends
    time.sleep(3)
    assert second.poll() is None
    _end_engines(few)
    out, _ = second.communicate(timeout=120)
    assert second.returncode == 0, out
    assert (half / BINARY).stat().st_size > 1_000_000


def _end_engines(repository: Repository) -> None:
    """End the `sleep` of the engine that was left alone, and with it the engine."""
    import os
    from pathlib import Path

    mark = f"HOME={repository.home}".encode()
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if entry.read_bytes() == b"sleep\x0060\x00" and mark in (entry.parent / "environ").read_bytes().split(
                b"\0"
            ):
                os.kill(int(entry.parent.name), signal.SIGKILL)
        except OSError:
            continue
