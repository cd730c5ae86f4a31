"""A hook after a deploy that failed runs again until it passes, on whichever clone the next deploy is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_ledger import LEDGER, Remote
from tests.e2e.test_ledger_complete import commit, head, pipeline
from tests.repository import minimal_config, resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.repository import Repository

OWED = "the hooks after its deploy have not passed"


@pytest.fixture
def remote(build: Callable[..., Repository], tmp_path: Path) -> Remote:
    """The stacks `a` and `c`, of which `c` has a hook that notes its runs, and fails until a file exists."""
    script = f"echo ran >> {tmp_path}/runs; test -e {tmp_path}/fixed"
    hook = f'hooks: [{{stage: deploy, when: after, stacks: [c], command: [sh, -c, "{script}"]}}]\n'
    config = minimal_config(hook + LEDGER).replace("{root}/.state/", f"{tmp_path}/states/")
    first = build(config, f"stacks/a/main.tf:{resource()}", f"stacks/c/main.tf:{resource('c')}")
    found = Remote(tmp_path, first)
    found.clone().doit("ledger", "init")
    return found


def _runs(remote: Remote) -> int:
    path = remote.base / "runs"
    found = len(path.read_text().splitlines()) if path.exists() else 0
    path.unlink(missing_ok=True)
    return found


@pytest.mark.parametrize("number", [7, 8], ids=["the same pipeline", "another pipeline"])
def test_a_hook_that_failed_runs_again_on_another_clone(remote: Remote, number: int) -> None:
    here = remote.clone().git("rev-parse", "HEAD")
    done = remote.clone().doit("deploy", code=1, **pipeline(7))
    assert "it runs again until it passes" in done.out
    assert _runs(remote) == 1
    assert "its hooks have not passed" in remote.clone().doit("log").out
    assert OWED in remote.clone().doit("status").out
    for command in ("deploy:c", "deploy"):
        job = remote.clone()
        done = job.doit(command, code=1, **pipeline(number))
        assert "already applied; the hooks after it had not passed yet" in " ".join(done.out.split())
        assert _runs(remote) == 1
        assert job.engine_calls() == []
    assert [(item["commit"], item["but"]) for item in head(remote)["partly"]] == [(here, ["c"])]

    (remote.base / "fixed").touch()
    job = remote.clone()
    assert "nothing to deploy, its hooks passed" in job.doit("deploy", **pipeline(number)).out
    assert _runs(remote) == 1
    assert job.engine_calls() == []
    found = head(remote)
    assert (found["complete"], found["partly"], found["lease"]) == ([here], [], None)
    remote.clone().doit("deploy", **pipeline(9))
    assert _runs(remote) == 0
    status = remote.clone()
    assert "all up to date" in status.doit("status").out
    assert json.loads(status.doit("audit", "--json").out)["whole"]


def test_a_hook_that_is_configured_no_longer_is_not_owed(remote: Remote) -> None:
    remote.clone().doit("deploy", code=1, **pipeline(7))
    _runs(remote)
    job = remote.clone()
    config = (job.path / "config/pipeline.yaml").read_text()
    job.write("config/pipeline.yaml:" + config.replace("stacks: [c]", "stacks: [a]"))
    job.commit("no hook of c")
    remote.push(job)
    done = remote.clone().doit("deploy", **pipeline(8))
    assert "up to date" in done.out
    assert _runs(remote) == 0


def test_a_hook_of_a_deploy_whose_check_failed_runs_once_that_has_passed(remote: Remote) -> None:
    """It did not run at all, as the deploy has not ended well: that is owed, too."""
    (remote.base / "fixed").touch()
    job = remote.clone()
    config = (job.path / "config/pipeline.yaml").read_text()
    check = (
        f"stacks: {{c: {{verify: [{{kind: command, command: [test, -e, '{remote.base}/healthy'], timeout: 0}}]}}}}\n"
    )
    job.write(f"config/pipeline.yaml:{config}{check}")
    job.commit("a check of c")
    remote.push(job)
    remote.clone().doit("deploy", code=1, **pipeline(7))
    assert _runs(remote) == 0
    (remote.base / "healthy").touch()
    remote.clone().doit("verify", **pipeline(7))
    assert OWED in remote.clone().doit("status").out
    job = remote.clone()
    job.doit("deploy", **pipeline(8))
    assert (_runs(remote), job.engine_calls()) == (1, [])


def test_the_next_deploy_runs_it_although_another_stack_has_changed(remote: Remote) -> None:
    remote.clone().doit("deploy", code=1, **pipeline(7))
    commit(remote, "2")
    (remote.base / "fixed").touch()
    _runs(remote)
    done = remote.clone().doit("deploy", **pipeline(8))
    assert _runs(remote) == 1
    assert "1 changed" in done.out
