"""The working copy of the ledger has one writer at a time, also where the folder is signed with a key."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from tasks.artifact import statecheck
from tests.e2e.test_ledger import LEDGER, REF, Remote
from tests.repository import DODO, ROOT, minimal_config, reader, resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.repository import Repository

KEY = {"STATE_KEY": "a passphrase that is long enough"}
_NAMES = tuple("abcdefgh")


@pytest.fixture
def keyed(build: Callable[..., Repository], tmp_path: Path) -> Remote:
    """Eight stacks in folders that are signed with a key; the ledger is not begun."""
    config = minimal_config(f"encryption: {{key: STATE_KEY}}\n{LEDGER}").replace(
        "{root}/.state/", f"{tmp_path}/states/"
    )
    return Remote(tmp_path, build(config, *(f"stacks/{name}/main.tf:{resource(name)}" for name in _NAMES)))


def test_a_ledger_that_begins_with_receipts_leaves_a_signed_folder(keyed: Remote) -> None:
    job = keyed.clone()
    config = job.path / "config/pipeline.yaml"
    whole = config.read_text()
    config.write_text(whole.replace(LEDGER, ""))
    job.doit("deploy", **KEY)
    config.write_text(whole)
    job.doit("ledger", "init", **KEY)
    assert "8 stacks, all up to date" in job.doit("status", **KEY).out
    job.doit("plan", **KEY)
    assert job.planned() == list(_NAMES)  # by the deploy, and not again


def test_commands_that_read_at_the_same_moment_leave_a_signed_folder(keyed: Remote) -> None:
    keyed.clone().prepare("ledger", "init", **KEY)
    keyed.clone().prepare("deploy", **KEY)
    for _ in range(3):
        job = keyed.clone()  # nothing is known here: each of them fills the working copy
        running = [job.start(*command, **KEY) for command in (["status"], ["ci"], ["status"], ["ci", "--for", "drift"])]
        said = [process.communicate(timeout=120)[0] for process in running]
        assert [process.returncode for process in running] == [0] * len(running), "\n".join(said)
        assert "8 stacks, all up to date" in job.doit("status", **KEY).out
        job.doit("plan", **KEY)
        assert job.planned() == []


def test_a_deploy_that_starts_while_others_read_is_not_refused(keyed: Remote) -> None:
    keyed.clone().prepare("ledger", "init", **KEY)
    keyed.clone().prepare("deploy", **KEY)
    for number in range(3):
        job = keyed.clone()
        job.write(f"stacks/a/main.tf:{resource(str(number))}")
        job.commit()
        keyed.push(job)
        running = [job.start(command, **KEY) for command in ("status", "deploy", "status")]
        said = [process.communicate(timeout=120)[0] for process in running]
        assert [process.returncode for process in running] == [0] * len(running), "\n".join(said)
        assert "8 stacks, all up to date" in job.doit("status", **KEY).out
        assert json.loads(job.doit("audit", "--json", **KEY).out)["whole"]


def test_a_fresh_clone_refuses_to_create_what_exists(build: Callable[..., Repository], tmp_path: Path) -> None:
    """A higher serial alone is said; a state that lost resources is refused, by keyed digests of their addresses."""
    config = minimal_config(f"encryption: {{key: STATE_KEY, state: false}}\n{LEDGER}")
    config = config.replace("{root}/.state/", f"{tmp_path}/states/")
    remote = Remote(tmp_path, build(config, *(f"stacks/{name}/main.tf:{resource(name)}" for name in "ab")))
    remote.clone().doit("ledger", "init", **KEY)
    remote.clone().doit("deploy", **KEY)
    names = remote.git("ls-tree", "-r", "--name-only", REF).splitlines()
    everything = "".join(remote.git("show", f"{REF}:{name}") for name in names)
    assert statecheck.digest("terraform_data.it") not in everything
    job = remote.clone()
    job.write(*(f"stacks/{name}/main.tf:{resource('changed')}" for name in "ab"))
    job.commit()
    remote.push(job)
    for stack, lost in (("a", {"resources": []}), ("b", {})):
        path = tmp_path / f"states/{stack}-local.tfstate"
        state = json.loads(path.read_text())
        path.write_text(json.dumps({**state, **lost, "serial": state["serial"] + 1}))
    done = remote.clone().doit("plan", code=1, **KEY)
    line = done.task("plan", "a")
    assert "the plan would create 1 resource that the last apply left in place (terraform_data.it)" in line
    assert "FAILED" not in done.task("plan", "b")
    assert "outside doit-tofu" in done.task("plan", "b")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_run_that_is_killed_while_it_fills_the_folder_leaves_no_receipt_beside_older_outputs(
    build: Callable[..., Repository], tmp_path: Path, number: int
) -> None:
    """The next deploy there would take them for those of the receipt, and so skip what reads them."""
    config = minimal_config("stacks: {b: {inputs: {x: a.value}}}\n" + LEDGER)
    watched = (
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom tests import failpoints\nfailpoints.install()\n{DODO}"
    )
    first = build(
        config.replace("{root}/.state/", f"{tmp_path}/states/"), f"dodo.py:{watched}",
        f"stacks/a/main.tf:{resource()}", f"stacks/b/main.tf:{reader('x')}",
    )  # fmt: skip
    remote = Remote(tmp_path, first)
    remote.clone().doit("ledger", "init")
    remote.clone().doit("deploy")
    job, used = remote.clone(), remote.clone()
    used.doit("plan")
    job.write(f"stacks/a/main.tf:{resource('2')}")
    job.commit()
    remote.push(job)
    remote.clone().doit("deploy:a")
    used.git("pull", "--quiet")
    killed = used.start("plan", TESTS_FAILPOINT=f"rename.after:{number}")
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    used.doit("deploy")
    assert json.loads((tmp_path / "states/b-local.tfstate").read_text())["outputs"]["value"]["value"] == ["2"]
