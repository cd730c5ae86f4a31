"""A stack that is deployed, but no longer in the code, is named in every clone until it is forgotten."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_ledger import LEDGER, Remote, document
from tests.e2e.test_ledger_complete import head
from tests.e2e.test_ledger_upkeep import documented, run
from tests.repository import minimal_config, resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.repository import Repository

GONE = "web: deployed from {}, but no longer a stack of this environment; its resources still exist"


@pytest.fixture
def remote(build: Callable[..., Repository], tmp_path: Path) -> Remote:
    """Two stacks that are deployed; main then removes `web`."""
    config = minimal_config(LEDGER).replace("{root}/.state/", f"{tmp_path}/states/")
    found = Remote(tmp_path, build(config, f"stacks/a/main.tf:{resource()}", f"stacks/web/main.tf:{resource('c')}"))
    found.clone().doit("ledger", "init")
    found.clone().doit("deploy")
    return found


def remove(remote: Remote) -> str:
    """Remove `web` on main; returns the commit that had deployed it."""
    job = remote.clone()
    deployed = job.git("rev-parse", "HEAD")
    shutil.rmtree(job.path / "stacks/web")
    job.commit("web is removed")
    remote.push(job)
    return deployed


def said(text: str) -> str:
    return " ".join(text.split())


def test_a_fresh_clone_names_what_was_removed_as_the_one_that_deployed_it_does(remote: Remote) -> None:
    keeper = remote.clone()
    keeper.doit("status")
    deployed = remove(remote)
    keeper.git("pull", "-q")
    sentence = GONE.format(deployed[:8])
    for clone in (keeper, remote.clone()):
        assert sentence in said(clone.doit("status").out)
        assert sentence in said(clone.doit("plan").out)
        found = json.loads(clone.doit("status", "--json").out)["removed"]
        assert [(item["name"], item["commit"]) for item in found] == [("web", deployed)]
        assert found[0]["summary"].startswith(sentence)
    assert any(note.startswith(sentence) for note in document(remote.clone(), "plan")["notes"])
    assert sentence in said(remote.clone().doit("deploy").out)


def test_a_stack_that_is_newer_than_a_branch_is_not_called_removed(remote: Remote) -> None:
    behind = remote.clone()
    job = remote.clone()
    job.write(f"stacks/new/main.tf:{resource('new')}")
    newer = job.commit("a new stack")
    remote.push(job)
    remote.clone().doit("deploy")
    for fetched in (False, True):
        if fetched:
            behind.git("fetch", "-q", "origin")
        out = said(behind.doit("status").out)
        which = "is not part of this commit" if fetched else "this clone does not have"
        assert f"new: deployed from {newer[:8]}, which {which}, and not a stack here: it may be newer" in out
        assert "no longer a stack" not in out
        refused = said(behind.doit("reason=x", "ledger", "forget", "new", code=1).out)
        assert f"new is deployed from {newer[:8]}, which this commit does not contain: it may be newer" in refused
        assert "doit allow=older reason=WHY ledger forget new" in refused
    assert "new is forgotten" in behind.doit("allow=older", "reason=x", "ledger", "forget", "new").out


def test_what_is_forgotten_is_named_nowhere(remote: Remote) -> None:
    keeper = remote.clone()
    keeper.doit("status")
    assert "web is a stack of this environment" in keeper.doit("reason=x", "ledger", "forget", "web", code=1).out
    remove(remote)
    keeper.git("pull", "-q")
    job = remote.clone()
    assert "needs a reason" in job.doit("ledger", "forget", "web", code=1).out
    assert "did you mean 'web'?" in job.doit("reason=x", "ledger", "forget", "wbe", code=1).out
    assert "needs the name of one stack" in job.doit("reason=x", "ledger", "forget", code=1).out
    assert "web is forgotten" in run(job, documented("A stack that was removed")[0]).out
    for clone in (job, keeper, remote.clone()):
        assert "no longer a stack" not in said(clone.doit("status").out)
        assert json.loads(clone.doit("status", "--json").out)["removed"] == []
    found = json.loads(remote.clone().doit("audit", "--json").out)
    assert found["whole"] is True
    assert "forget     web" in remote.clone().doit("log").out
    job.doit("ledger", "prune", "1")
    assert json.loads(remote.clone().doit("audit", "--json").out)["whole"] is True


def test_a_stack_that_comes_back_after_that_was_never_deployed(remote: Remote) -> None:
    keeper = remote.clone()
    keeper.doit("status")
    remove(remote)
    job = remote.clone()
    job.doit("reason=it was destroyed", "ledger", "forget", "web")
    (remote.base / "states/web-local.tfstate").unlink()
    job.git("revert", "--no-edit", "HEAD")
    remote.push(job)
    keeper.git("pull", "-q")
    keeper.doit("deploy")
    assert [line.split()[0] for line in keeper.engine_calls("apply")] == ["web"]
    assert json.loads(remote.clone().doit("audit", "--json").out)["whole"] is True


def test_the_commits_of_the_last_complete_deploy_are_shown(remote: Remote) -> None:
    commit = head(remote)["complete"][0]
    line = f"last complete deploy: {commit[:8]}"
    assert line in remote.clone().doit("status").out
    assert line in remote.clone().doit("log").out
    for command in ("status", "log"):
        assert json.loads(remote.clone().doit(command, "--json").out)["complete"] == [commit]
