"""A deploy that had nothing to apply counts as one of its commit: no older one is deployed afterwards."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tasks.base.files import canonical_json
from tests.e2e.test_ledger import LEDGER, REF, Remote
from tests.e2e.test_ledger_trust import Content
from tests.repository import minimal_config, resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.repository import Repository


def pipeline(number: int) -> dict[str, str]:
    return {
        "GITLAB_CI": "true", "CI_PIPELINE_ID": str(number), "CI_PROJECT_ID": "1", "CI_COMMIT_BRANCH": "main",
    }  # fmt: skip


@pytest.fixture
def remote(build: Callable[..., Repository], tmp_path: Path) -> Remote:
    """Two stacks, both deployed by pipeline 6."""
    return deployed(build, tmp_path, LEDGER)


def deployed(build: Callable[..., Repository], base: Path, ledger: str) -> Remote:
    config = minimal_config(ledger).replace("{root}/.state/", f"{base}/states/")
    first = build(config, f"stacks/a/main.tf:{resource()}", f"stacks/c/main.tf:{resource('c')}")
    found = Remote(base, first)
    found.clone().doit("ledger", "init")
    found.clone().doit("deploy", **pipeline(6))
    return found


def commit(remote: Remote, value: str) -> str:
    """A commit on main that changes stack `a`."""
    job = remote.clone()
    job.write(f"stacks/a/main.tf:{resource(value)}")
    job.write(f"README.md:{value} after {job.git('rev-parse', 'HEAD')}")
    found = job.commit(f"a is {value}")
    remote.push(job)
    return found


def revert(remote: Remote) -> str:
    job = remote.clone()
    job.git("revert", "--no-edit", "HEAD")
    remote.push(job)
    return job.git("rev-parse", "HEAD")


def value(remote: Remote) -> str:
    found: str = json.loads((remote.base / "states/a-local.tfstate").read_text())["outputs"]["value"]["value"]
    return found


def head(remote: Remote) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(json.loads(remote.git("show", f"{REF}:head"))["payload"]))
    return found


def version(remote: Remote) -> str:
    return remote.git("rev-parse", REF)


def said(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("fetched", [False, True])
def test_a_reverted_commit_is_not_deployed_after_the_revert(remote: Remote, *, fetched: bool) -> None:
    """The revert has nothing to apply, because what it reverts was never deployed; its pipeline is still waiting."""
    old = commit(remote, "2")
    late = remote.clone()
    late.doit("plan", **pipeline(7))
    new = revert(remote)
    job = remote.clone()
    job.doit("deploy", **pipeline(8))
    assert job.engine_calls() == []
    if fetched:
        late.git("fetch", "-q", "origin")
    late.doit("plan", **pipeline(7))  # a plan is not refused
    done = said(late.doit("deploy", code=1, **pipeline(7)).out)
    assert value(remote) == "1"
    assert late.engine_calls("apply") == []
    if fetched:
        assert f"{new[:8]} is deployed, and {old[:8]} is older: this would undo later deploys" in done
    else:
        assert f"{new[:8]} is deployed, and this clone cannot tell whether {old[:8]} comes after it" in done
        assert f"git fetch origin {new}" in done
    assert "doit allow=older:a reason=WHY deploy" in done
    assert head(remote)["complete"] == [new]
    assert head(remote)["lease"] is None


def test_only_the_first_deploy_of_a_commit_without_anything_to_apply_is_written(remote: Remote) -> None:
    before = version(remote)
    remote.clone().doit("deploy", **pipeline(6))
    assert version(remote) == before, "the deploy that has applied it has named it"
    commit(remote, "2")
    new = revert(remote)
    remote.clone().doit("deploy:a", "deploy:c", **pipeline(8))
    assert version(remote) == before, "not all stacks were asked for"
    remote.clone().doit("deploy", **pipeline(8))
    named = version(remote)
    assert named != before
    for again in (remote.clone(), remote.clone()):
        again.doit("deploy", **pipeline(8))
        assert again.engine_calls() == []
    assert version(remote) == named
    assert head(remote)["complete"] == [new]
    dirty = remote.clone()
    commit(remote, "1")
    dirty.git("pull", "-q")
    dirty.write("notes.txt:not committed")
    dirty.doit("deploy")
    assert version(remote) == named
    assert json.loads(dirty.doit("audit", "--json").out)["whole"] is True


def test_a_commit_that_was_not_pushed_stops_no_other_clone(remote: Remote) -> None:
    """Nobody else has it: each would be told to fetch it, and could not."""
    before = version(remote)
    own = remote.clone()
    own.write("notes.md:not pushed")
    own.commit("not pushed")
    own.doit("deploy")
    assert version(remote) == before
    commit(remote, "2")
    remote.clone().doit("deploy", **pipeline(7))
    assert value(remote) == "2"
    own.git("pull", "-q", "--rebase")
    own.git("push", "-q")
    own.doit("deploy")
    assert head(remote)["complete"] == [own.git("rev-parse", "HEAD")]


def test_an_older_commit_without_anything_to_apply_takes_nothing_back(remote: Remote) -> None:
    older = remote.clone()
    commit(remote, "2")
    new = revert(remote)
    remote.clone().doit("deploy", **pipeline(8))
    named = version(remote)
    older.git("fetch", "-q", "origin")
    older.doit("deploy", **pipeline(6))
    assert version(remote) == named
    assert head(remote)["complete"] == [new]


def test_a_commit_apart_is_not_refused(remote: Remote) -> None:
    """A branch was deployed, without anything to apply, and then squashed into main."""
    branch = remote.clone()
    branch.write("README.md:a branch")
    apart = branch.commit("a branch")
    branch.git("push", "-q", "origin", "HEAD:refs/heads/branch")
    branch.doit("deploy")
    assert head(remote)["complete"][0] == apart
    new = commit(remote, "2")
    job = remote.clone()
    job.git("fetch", "-q", "origin", "branch")
    job.doit("deploy", **pipeline(7))
    assert value(remote) == "2"
    assert head(remote)["complete"] == [new, apart], "neither comes after the other"


def test_an_older_commit_that_is_allowed_is_what_is_deployed_from_then_on(remote: Remote) -> None:
    old = commit(remote, "2")
    late = remote.clone()
    revert(remote)
    remote.clone().doit("deploy", **pipeline(8))
    late.git("fetch", "-q", "origin")
    late.doit("deploy", code=1, **pipeline(7))
    late.doit("allow=older:a", "reason=it was right", "deploy", **pipeline(7))
    assert value(remote) == "2"
    assert head(remote)["complete"] == [old]
    named = version(remote)
    late.doit("deploy", **pipeline(7))
    assert version(remote) == named
    state = remote.base / "states/a-local.tfstate"
    late.write("stacks/a/extra.tf:" + 'output "more" {\n  value = 1\n}\n')
    late.commit("after the older one")
    late.doit("deploy", **pipeline(9))
    assert "more" in json.loads(state.read_text())["outputs"]


def _refuse(remote: Remote) -> None:
    hook = remote.path / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'You are not allowed to push code to protected branches.' >&2\nexit 1\n")
    hook.chmod(0o755)


def test_a_deploy_that_cannot_be_named_fails(remote: Remote) -> None:
    commit(remote, "2")
    new = revert(remote)
    _refuse(remote)
    done = said(remote.clone().doit("deploy", code=1).out)
    assert f"not recorded: that {new[:8]} is deployed" in done
    assert "`doit ledger check` tests it and reports what is missing" in done
    assert "then run the same command again: until then, an older commit is not refused" in done


def test_where_the_ledger_is_not_required_it_is_said(build: Callable[..., Repository], tmp_path: Path) -> None:
    remote = deployed(build, tmp_path, LEDGER.replace("}", ", required: false}"))
    commit(remote, "2")
    new = revert(remote)
    _refuse(remote)
    job = remote.clone()
    assert f"not recorded: that {new[:8]} is deployed" in said(job.doit("deploy").out)
    assert job.engine_calls() == []


def test_a_ledger_that_is_rebuilt_names_it_still(remote: Remote) -> None:
    commit(remote, "2")
    late = remote.clone()
    new = revert(remote)
    remote.clone().doit("deploy")
    remote.clone().doit("reason=test", "ledger", "rebuild")
    assert head(remote)["complete"] == [new]
    assert f"{new[:8]} is deployed" in said(late.doit("deploy", code=1).out)
    assert value(remote) == "1"


def test_a_deploy_with_nothing_to_apply_is_a_part_of_the_chain(remote: Remote) -> None:
    """Else whoever may push could put the ledger back to before it, and no machine would notice."""
    commit(remote, "2")
    new, before = revert(remote), version(remote)
    job = remote.clone()
    job.doit("deploy", **pipeline(8))
    assert re.search(rf" complete +- +commit {new[:8]}$", job.doit("log").out, re.MULTILINE)
    assert "intact: 4 events" in said(job.doit("audit").out)
    after = version(remote)
    job.doit("deploy", **pipeline(8))
    assert version(remote) == after, "nothing new was to be written"
    remote.git("update-ref", REF, before)
    for command in ("status", "deploy"):
        assert "lacks entries that this machine has already seen" in said(job.doit(command, code=1, **pipeline(8)).out)


@pytest.mark.parametrize("forged", [[], ["0" * 40], ["another", "first"]])
def test_an_audit_names_a_head_that_names_other_complete_deploys(remote: Remote, forged: list[str]) -> None:
    commit(remote, "2")
    new = revert(remote)
    remote.clone().doit("deploy", **pipeline(8))
    assert head(remote)["complete"] == [new]
    content = Content.of(remote)
    envelope = json.loads(content.head)
    payload = json.loads(base64.b64decode(envelope["payload"])) | {"complete": forged}
    envelope["payload"] = base64.b64encode(canonical_json(payload)).decode()
    content.head = canonical_json(envelope)
    content.put()
    done = said(remote.clone().doit("audit", code=1).out)
    assert "the head names other complete deploys than the chain: one of them was changed" in done


BREAKING = {
    "plan": 'resource "terraform_data" "no" {\n  input = file("gone")\n}\n',
    "apply": 'resource "terraform_data" "no" {\n  provisioner "local-exec" {\n    command = "false"\n  }\n}\n',
    "syntax": 'resource "terraform_data" {\n',
}


def _breaking(remote: Remote, what: str) -> str:
    """A commit that reverts the last one, in which stack `c` fails."""
    job = remote.clone()
    job.git("revert", "--no-edit", "HEAD")
    job.write(f"stacks/c/broken.tf:{BREAKING[what]}")
    found = job.commit("a revert, and c is broken")
    remote.push(job)
    return found


@pytest.mark.parametrize("what", BREAKING)
def test_a_reverted_commit_is_not_deployed_after_a_revert_that_failed_elsewhere(remote: Remote, what: str) -> None:
    """The revert has nothing to apply to `a`; that something else in its pipeline failed does not matter to `a`."""
    old = commit(remote, "2")
    late, plan = remote.clone(), what == "plan"
    new = _breaking(remote, what)
    job = remote.clone()
    job.doit("deploy", code=1, **pipeline(8))
    assert head(remote)["partly"] == [{"commit": new, "but": ["c"]}]
    late.git("fetch", "-q", "origin")
    done = said(late.doit("deploy:a", code=1, **pipeline(7)).out)
    assert f"{new[:8]} is deployed, and {old[:8]} is older: this would undo later deploys" in done
    assert value(remote) == "1"
    if plan:
        assert re.search(rf" partly +- +commit {new[:8]}  all stacks but c$", job.doit("log").out, re.MULTILINE)
    assert json.loads(remote.clone().doit("audit", "--json").out)["whole"] is True
    named = version(remote)
    if plan:
        remote.clone().doit("deploy", code=1, **pipeline(9))
        assert version(remote) == named, "the same again says nothing new"
    mended = remote.clone()
    mended.git("rm", "-q", "stacks/c/broken.tf")
    mended.commit("c is mended")
    remote.push(mended)
    remote.clone().doit("deploy", **pipeline(10))
    assert head(remote)["partly"] == []
    assert head(remote)["complete"][0] == mended.git("rev-parse", "HEAD")


def test_what_a_deploy_that_failed_has_not_judged_may_be_deployed(remote: Remote) -> None:
    """The older pipeline brings `c` to its commit, which the newer one could not do."""
    job = remote.clone()
    job.write(f"stacks/c/main.tf:{resource('c2')}")
    job.commit("c changes")
    remote.push(job)
    late = remote.clone()
    _breaking(remote, "plan")
    remote.clone().doit("deploy", code=1, **pipeline(8))
    late.git("fetch", "-q", "origin")
    late.doit("deploy", **pipeline(7))
    assert "c2" in (remote.base / "states/c-local.tfstate").read_text()


def test_an_audit_names_a_head_without_a_deploy_that_the_chain_knows(remote: Remote) -> None:
    commit(remote, "2")
    _breaking(remote, "plan")
    remote.clone().doit("deploy", code=1, **pipeline(8))
    content = Content.of(remote)
    envelope = json.loads(content.head)
    payload = json.loads(base64.b64decode(envelope["payload"])) | {"partly": []}
    envelope["payload"] = base64.b64encode(canonical_json(payload)).decode()
    content.head = canonical_json(envelope)
    content.put()
    done = said(remote.clone().doit("audit", code=1).out)
    assert "the head names other deploys than the chain: one of them was changed" in done
