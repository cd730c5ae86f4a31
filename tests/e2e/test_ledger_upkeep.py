"""The upkeep of a ledger, done once each with the very commands that docs/ledger.md shows."""

from __future__ import annotations

import base64
import json
import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest

from tasks.base.files import canonical_json, sha256_bytes
from tasks.ledger import record, statement
from tasks.ledger.keys import SigningKey
from tests.e2e.test_ledger import REF, Remote, document, remote
from tests.e2e.test_ledger_homes import files, project
from tests.e2e.test_ledger_trust import KEY, Content, Signed, signed
from tests.repository import DODO, INSTALLED, ROOT, reader, resource
from tests.servers.fileserver import TOKEN, FileServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.repository import Done, Repository

__all__ = ["files", "project", "remote", "signed"]
NEW = SigningKey(b"n" * 32)


def documented(section: str, level: int = 3) -> list[str]:
    """The shell commands that docs/ledger.md shows in a section."""
    text = (ROOT / "docs/ledger.md").read_text()
    match = re.search(rf"^{'#' * level} {re.escape(section)}\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    assert match, f"docs/ledger.md has no section '{section}'"
    blocks = re.findall(r"^```sh\n(.*?)^```$", match[1], re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def run(job: Repository, line: str, *more: str, code: int = 0, **variables: str) -> Done:
    """Run a documented command, with more words at its end; `$NEW` in it is the new key."""
    words = shlex.split(line.replace("$NEW", NEW.text))
    at = words.index("doit")
    given = dict(word.split("=", 1) for word in words[:at])
    return job.doit(*words[at + 1 :], *more, code=code, **{**variables, **given})


def configure(remote: Remote, before: str, after: str) -> Repository:
    """Replace a part of the configuration, on main."""
    job = remote.clone()
    config = job.path / "config/pipeline.yaml"
    assert before in config.read_text()
    config.write_text(config.read_text().replace(before, after))
    job.commit("configuration")
    remote.push(job)
    return remote.clone()


def change(remote: Remote, stack: str, content: str) -> Repository:
    """A clone of main in which a stack was changed."""
    job = remote.clone()
    job.write(f"stacks/{stack}/main.tf:{content}")
    job.commit(f"change {stack}")
    remote.push(job)
    return remote.clone()


def audit(remote: Remote, **variables: str) -> dict[str, object]:
    """What an audit in a fresh clone finds; it has to be whole."""
    found: dict[str, object] = json.loads(remote.clone().doit("audit", "--json", **variables).out)
    assert found["whole"] is True, found
    return found


def test_a_key_is_replaced_without_a_moment_in_which_readers_refuse(signed: Remote) -> None:
    rotate = documented("Replace the key")[0]
    old, both = KEY.public.text, f"[{KEY.public.text}, {NEW.public.text}]"
    job = configure(signed, old, both)
    signed.clone().doit("plan")
    run(job, rotate, **Signed)
    signed.clone().doit("plan")
    assert audit(signed)["key"] == NEW.public.id
    configure(signed, both, NEW.public.text)
    assert "which this job does not have" in change(signed, "c", resource("c5")).doit("deploy", code=1, **Signed).out
    signed.clone().doit("deploy", DEPLOY_LEDGER_KEY=NEW.text)
    assert audit(signed)["replaced"] == []


def test_a_lost_key_is_replaced_and_the_audit_says_so(signed: Remote) -> None:
    rotate = documented("Replace the key")[1]
    job = configure(signed, KEY.public.text, f"[{KEY.public.text}, {NEW.public.text}]")
    assert "needs a reason" in run(job, documented("Replace the key")[0], code=1).out
    assert "the lost key did not sign this" in run(job, rotate).out
    configure(signed, f"[{KEY.public.text}, {NEW.public.text}]", NEW.public.text)
    change(signed, "c", resource("c5")).doit("deploy", DEPLOY_LEDGER_KEY=NEW.text)
    assert audit(signed)["replaced"] == [6]
    assert "entry 6 replaced a lost key" in signed.clone().doit("audit").out


def test_a_revoked_key_is_worth_nothing_from_then_on(signed: Remote) -> None:
    revoke = documented("Replace the key")[2]
    yesterday = signed.git("rev-parse", REF)
    job = configure(signed, KEY.public.text, f"[{KEY.public.text}, {NEW.public.text}]")
    assert "the revoked key did not sign this" in run(job, revoke, **Signed).out
    again = {"DEPLOY_LEDGER_KEY": NEW.text, "DEPLOY_LEDGER_NEXT_KEY": KEY.text}
    assert f"the key {KEY.public.id} was revoked" in signed.clone().doit("ledger", "rotate", code=1, **again).out
    configure(signed, f"[{KEY.public.text}, {NEW.public.text}]", NEW.public.text)
    assert "entry 6 replaced a revoked key" in signed.clone().doit("audit").out
    signed.git("update-ref", REF, yesterday)  # what the thief can still make: a ledger from before, signed by that key
    refused = signed.clone().doit("deploy", code=1, **Signed)
    assert f"the ledger's current key is {KEY.public.id}, which the configuration does not name" in refused.out


def test_a_ledger_gets_its_first_key(remote: Remote) -> None:
    """Before its public key is configured, and, with a reason, also after: a reader cannot tell who was first."""
    first, own = {"DEPLOY_LEDGER_KEY": NEW.text}, {"DEPLOY_LEDGER_KEY": KEY.text}
    job = remote.clone()
    job.doit("ledger", "init")
    assert "there is no key to revoke" in job.doit("reason=x", "ledger", "revoke", code=1, **first).out
    assert "there is no key to sign the ledger with" in job.doit("ledger", "rotate", code=1).out
    configure(remote, "{kind: git}", f"{{kind: git, public_key: {NEW.public.text}}}")
    for command in ("plan", "deploy", "audit"):
        said = remote.clone().doit(command, code=1, **first).out
        assert "the ledger is not signed, but the configuration names a key" in said
        assert "sign it in a job that has DEPLOY_LEDGER_KEY: `doit reason=WHY ledger rotate`" in said
    assert "needs a reason" in remote.clone().doit("ledger", "rotate", code=1, **first).out
    sign = next(line for line in documented("Verify it", level=2) if "rotate" in line)
    assert "the key that signs the ledger is missing here" in run(remote.clone(), sign, code=1).out
    assert "is not the one that the configuration names" in run(remote.clone(), sign, code=1, **own).out
    said = run(remote.clone(), sign, **first).out
    assert f"signed with {NEW.public.id} from now on" in said
    assert "what is before, 1 event, stays unsigned" in said
    assert "old" not in said
    again = remote.clone().doit("ledger", "rotate", code=1, DEPLOY_LEDGER_NEXT_KEY=NEW.text, **first)
    assert "is the one that signs the ledger already" in again.out
    remote.clone().doit("deploy", **first)
    assert audit(remote)["key"] == NEW.public.id


def test_old_entries_are_dropped_and_the_rest_is_proven(signed: Remote) -> None:
    [prune] = documented("Drop old entries")
    assert "nothing to drop" in run(signed.clone(), prune, **Signed).out
    few = prune.replace("1000", "2")
    assert (
        run(signed.clone(), few, **Signed)
        .out.strip()
        .endswith("entries before 4 were dropped; entry 6 vouches for them")
    )
    found = audit(signed)
    assert (found["first"], found["sequence"], found["entries"]) == (4, 6, 3)
    assert signed.git("rev-list", "--count", REF) == "1"
    change(signed, "c", resource("c5")).doit("deploy", **Signed)
    assert audit(signed)["entries"] == 4
    run(signed.clone(), few.replace("2", "1"), **Signed)  # again: the receipts of `a` and `b` were vouched for before
    assert audit(signed)["first"] == 7
    assert "3 stacks, all up to date" in signed.clone().doit("status").out
    assert "needs a number" in signed.clone().doit("ledger", "prune", code=1, **Signed).out


@pytest.mark.parametrize("what", ["receipt", "checkpoint", "first"])
def test_a_forged_remainder_is_named(signed: Remote, what: str) -> None:
    [prune] = documented("Drop old entries")
    run(signed.clone(), prune.replace("1000", "2"), **Signed)
    content = Content.of(signed)
    if what == "receipt":  # whose entry was dropped
        name = record.blob_name(record.shard_of("a"))
        content.shards[name] = content.shards[name].replace(b'"outcome":"applied"', b'"outcome":"failed"')
        content.sign_head(KEY)
        said = "the receipt of a is not the one that entry 6 records"
    elif what == "checkpoint":
        head, _ = record.read_head(content.head)
        assert head.checkpoint
        forged = head.model_copy(update={"checkpoint": head.checkpoint.model_copy(update={"previous": "0" * 64})})
        content.head = statement.seal(forged.content(), statement.HEAD, [KEY]).to_bytes()
        said = "entry 4 does not follow entry 3"
    else:
        del content.entries[4]
        said = "entry 4 is missing"
    content.put()
    assert said in signed.clone().doit("audit", code=1).out


def test_a_branch_that_allows_no_force_keeps_its_history_and_the_checkpoint(signed: Remote) -> None:
    [prune] = documented("Drop old entries")
    signed.git("config", "receive.denyNonFastForwards", "true")
    done = run(signed.clone(), prune.replace("1000", "2"), code=1, **Signed)
    assert "the older entries were not dropped" in done.out
    assert "allow force pushes for this command only" in done.out
    assert audit(signed)["first"] == 4
    signed.git("config", "receive.denyNonFastForwards", "false")
    run(signed.clone(), prune.replace("1000", "3"), **Signed)
    assert signed.git("rev-list", "--count", REF) == "1"
    assert audit(signed)["first"] == 4


def test_old_entries_are_dropped_from_a_store(project: Callable[[str], Remote], files: FileServer) -> None:
    [prune] = documented("Drop old entries")
    remote, token = project(f'{{kind: store, url: "{files.url}"}}'), {"DEPLOY_LEDGER_TOKEN": TOKEN}
    remote.clone().doit("ledger", "init", **token)
    remote.clone().doit("deploy", **token)
    before = set(files.files)
    run(remote.clone(), prune.replace("1000", "2"), **token)
    assert len(before - set(files.files)) == 2  # of four entries; nothing else was deleted
    found = audit(remote, **token)
    assert (found["first"], found["sequence"]) == (3, 5)
    second = remote.clone()
    second.doit("deploy", **token)
    assert second.engine_calls() == []


def test_a_lost_ledger_is_rebuilt_from_states_and_disks(signed: Remote) -> None:
    [rebuild] = documented("Lost, or not to be trusted")
    artifact = signed.clone()
    artifact.doit("plan", **Signed)  # it has the ledger's receipts
    signed.git("update-ref", "-d", REF)
    job = signed.clone()
    assert "there is no ledger" in job.doit("deploy", code=1, **Signed).out
    done = run(job, rebuild, **Signed)  # a fresh clone: the states alone say what exists
    assert "a: from its state; counts as affected" in done.out
    job = signed.clone()
    assert "3 affected" in job.doit("status").out
    assert [line.split()[0] for line in job.engine_calls()] == []
    done = run(job, rebuild, f"{artifact.path}/.deploy", **Signed)
    assert "a: from " in done.out
    assert "counts as affected" not in done.out
    assert "3 stacks, all up to date" in signed.clone().doit("status").out
    first = json.loads(signed.clone().doit("log", "--json", "--most", "0").out)["entries"][0]
    assert first["kind"] == "init"
    assert first["facts"]["rebuilt"] is True
    assert sorted(first["facts"]["stacks"]) == ["a", "b", "c"]
    assert audit(signed)["entries"] == 4
    # A machine that has seen the lost one is told, and goes on once it did what the message says.
    assert "is not the one that this machine has seen" in artifact.doit("plan", code=1).out
    (artifact.path / ".deploy/local/ledger.json").unlink()
    artifact.doit("plan")
    assert artifact.planned() == []


def test_a_rewritten_ledger_is_rebuilt_over_what_is_there(signed: Remote) -> None:
    [rebuild] = documented("Lost, or not to be trusted")
    content = Content.of(signed)
    head, _ = record.read_head(content.head)
    stranger = SigningKey(b"s" * 32)
    content.head = statement.seal(head.content(), statement.HEAD, [stranger]).to_bytes()
    content.put()
    assert "was tampered with" in signed.clone().doit("plan", code=1).out
    assert "counts as affected" in run(signed.clone(), rebuild, **Signed).out
    done = signed.clone().doit("deploy", **Signed)
    assert "3 stacks" in done.out or "3 deployed" in done.out, done.out
    assert audit(signed)["entries"] == 7
    assert "3 stacks, all up to date" in signed.clone().doit("status").out


@pytest.mark.parametrize("left", ["whole", "head", "shards", "nothing"])
def test_a_rebuilt_ledger_still_refuses_older_commits(signed: Remote, left: str) -> None:
    """Of a ledger that can be read, or partly, each commit that it names counts; of one that is gone, none can."""
    [rebuild] = documented("Lost, or not to be trusted")
    old = signed.clone()
    change(signed, "c", resource("newer")).doit("deploy", **Signed)
    new = signed.git("rev-parse", "main")
    content = Content.of(signed)
    if left == "head":  # signed by a stranger
        head, _ = record.read_head(content.head)
        content.head = statement.seal(head.content(), statement.HEAD, [SigningKey(b"s" * 32)]).to_bytes()
        content.put()
    elif left == "shards":  # of which the one with `c` is damaged
        content.shards[record.blob_name(record.shard_of("c"))] = b"{}"
        content.put()
    elif left == "nothing":
        signed.git("update-ref", "-d", REF)
    said = run(signed.clone(), rebuild, **Signed).out
    known = f"c: from its state; counts as affected, as it may not be the latest; none older than {new[:8]} is deployed"
    assert (known in said) is (left != "nothing")
    assert ("a, b, c: their commits are not known, so no older one is refused: deploy" in said) is (left == "nothing")
    if left != "nothing":
        old.git("fetch", "--quiet")
        refused = old.doit("deploy:c", code=1, **Signed).out
        assert f"{new[:8]} is deployed, and {old.git('rev-parse', 'HEAD')[:8]} is older" in refused
        assert _value(signed) == "newer"
    signed.clone().doit("deploy", **Signed)
    assert "3 stacks, all up to date" in signed.clone().doit("status").out


def test_a_rebuilt_ledger_still_guards_the_states(signed: Remote) -> None:
    [rebuild] = documented("Lost, or not to be trusted")
    signed.git("update-ref", "-d", REF)
    run(signed.clone(), rebuild, **Signed)
    (signed.base / "states/c-local.tfstate").unlink()
    assert "its state is gone" in signed.clone().doit("deploy", code=1, **Signed).out


@pytest.mark.parametrize("gone", ["forge", "ledger", "key"])
def test_a_deploy_that_cannot_wait_is_recorded_afterwards(signed: Remote, gone: str) -> None:
    deploy, push = documented("In a hurry")
    job = change(signed, "c", resource("c9"))
    key = {} if gone == "key" else Signed
    yesterday = signed.git("rev-parse", REF)
    if gone == "forge":
        signed.path.rename(signed.base / "gone.git")
    elif gone == "ledger":
        signed.git("update-ref", "-d", REF)
    assert job.doit("deploy", code=1, **key).code == 1
    assert job.engine_calls("apply") == []
    done = run(job, deploy, code=1, **key)
    assert "c" in [line.split()[0] for line in job.engine_calls("apply")]
    assert "not recorded: " in done.out
    if gone == "forge":
        (signed.base / "gone.git").rename(signed.path)
    elif gone == "ledger":
        signed.git("update-ref", REF, yesterday)
    assert "c" in run(job, push, **Signed).out
    found = audit(signed)
    assert isinstance(found["sequence"], int)
    assert found["sequence"] > 5
    last = json.loads(signed.clone().doit("log", "--json", "c").out)["entries"][-1]
    assert last["facts"]["commit"] == job.git("rev-parse", "HEAD")
    after = signed.clone()
    after.prepare("deploy", **Signed)
    assert "3 stacks, all up to date" in signed.clone().doit("status").out


@pytest.mark.parametrize("form", [record.FORMAT, record.FORMAT + 1])
def test_an_older_reader_writes_nothing_and_names_the_version(signed: Remote, form: int) -> None:
    content = Content.of(signed)
    head, _ = record.read_head(content.head)
    newer = head.model_copy(update={"format": form, "needs": "9.1.0"})
    content.head = statement.seal(newer.content(), statement.HEAD, [KEY]).to_bytes()
    content.put()
    before = signed.git("rev-parse", REF)
    job = change(signed, "c", resource("c5"))
    done = job.doit("deploy", code=1, **Signed)
    assert "install doit-tofu 9.1.0 or newer here" in done.out
    assert job.engine_calls("apply") == []
    assert signed.git("rev-parse", REF) == before
    reader = signed.clone()
    if form == record.FORMAT:  # what is new in it does not matter to a reader
        reader.doit("plan")
        assert reader.planned() == ["c"]
    else:
        assert "install doit-tofu 9.1.0 or newer here" in reader.doit("plan", code=1).out


def test_a_renamed_repository_keeps_its_ledger(remote: Remote) -> None:
    old = remote.clone()
    old.doit("ledger", "init")
    old.doit("deploy")
    moved = remote.base / "renamed.git"
    remote.path.rename(moved)
    remote.path = moved
    job = remote.clone()
    refused = job.doit("deploy", code=1).out
    assert "/remote', but this is '" in refused
    assert "if the repository was renamed or moved: `doit reason=WHY ledger rename`" in refused
    assert "needs a reason" in job.doit("ledger", "rename", code=1).out
    [command] = documented("A repository that was renamed or moved")
    assert "/renamed from now on; until now it was of " in run(job, command).out
    assert "already" in run(job, command).out
    again = remote.clone()
    again.git("remote", "set-url", "origin", f"file://{moved}/")  # another form of the same address
    again.doit("deploy")
    assert again.engine_calls() == []
    assert audit(remote)["entries"] == 5
    assert "/remote -> " in again.doit("log").out
    moved.parent.joinpath("remote.git").symlink_to(moved)
    assert "this clone has its former address: `git remote set-url origin ADDRESS`" in old.doit("plan", code=1).out


def test_no_documented_command_is_left_untried() -> None:
    sections = (
        "Replace the key",
        "A stack that was removed",
        "A repository that was renamed or moved",
        "Drop old entries",
        "Lost, or not to be trusted",
        "In a hurry",
    )
    shown = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs/ledger.md").read_text(), re.MULTILINE | re.DOTALL)
    assert [line for block in shown for line in block.splitlines()] == [
        *documented("Verify it", level=2), *(line for section in sections for line in documented(section)),
    ]  # fmt: skip


def test_a_state_is_accepted_by_the_command_that_the_docs_show(remote: Remote) -> None:
    remote.clone().prepare("ledger", "init")
    remote.clone().prepare("deploy")
    done = remote.clone().doit("accept=c:5f0c7a52:9", "reason=moved by hand", "ledger", "accept")
    assert "accepted: c" in done.out
    audit(remote)
    found = json.loads(remote.clone().doit("log", "c", "--json").out)["entries"]
    [entry] = [item for item in found if item["kind"] == "accept"]
    assert (entry["facts"]["lineage"], entry["facts"]["serial"]) == ("5f0c7a52", 9)


def test_an_older_version_reads_the_ledger_and_says_once_why_it_does_not_write(remote: Remote) -> None:
    remote.clone().prepare("ledger", "init")
    remote.clone().prepare("deploy")
    content = Content.of(remote)
    head, _ = record.read_head(content.head)
    newer = head.model_copy(update={"needs": "9.0.0"}).content()
    content.head = statement.seal(newer, statement.HEAD, []).to_bytes()
    content.put()
    job = change(remote, "c", resource("c5"))
    job.doit("plan")
    done = job.doit("deploy", code=1)
    assert "a newer doit-tofu writes this ledger: it may be read here, but not written" in done.out
    assert "install doit-tofu 9.0.0 or newer here" in done.out
    assert done.out.count("untouched: nothing was applied, and the ledger is unchanged") == 2  # and in the last lines
    assert done.out.count("untouched: the ledger is unchanged") == 0
    assert job.engine_calls("apply") == []


def test_a_machine_that_knows_the_ledger_begins_no_new_one_from_what_it_has(remote: Remote) -> None:
    remote.clone().prepare("ledger", "init")
    old = remote.clone()
    old.doit("deploy")
    change(remote, "c", resource("newer")).doit("deploy")
    remote.git("update-ref", "-d", REF)
    for command in (("ledger", "init"), ("deploy",)):
        refused = old.doit(*command, code=1).out
        assert "doit reason=WHY ledger rebuild" in refused
    assert "there is no ledger at" in remote.clone().doit("deploy", code=1).out


def test_of_two_deploys_that_did_not_know_of_each_other_neither_is_undone_by_an_older_commit(remote: Remote) -> None:
    remote.clone().prepare("ledger", "init")
    remote.clone().prepare("deploy")
    here = change(remote, "c", resource("here"))
    old = here.git("rev-parse", "HEAD")
    hook = remote.path / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'You are not allowed to push code to protected branches.' >&2\nexit 1\n")
    hook.chmod(0o755)
    here.doit("allow=unrecorded", "reason=the forge is down", "deploy", code=None)
    hook.unlink()
    there = change(remote, "c", resource("there"))
    there.doit("deploy")
    new = there.git("rev-parse", "HEAD")
    here.git("fetch", "--quiet")
    assert (
        f"{new[:8]} is deployed, and {old[:8]} is older" in here.doit("deploy", code=1).out
    )  # its own disk is not all
    assert _value(remote) == "there"
    here.doit("ledger", "push")  # both are recorded now
    last = document(remote.clone(), "log", "c")["entries"][-1]
    assert (last["commit"], last["besides"]) == (old, [new])
    assert f"commit {old[:8]}  {new[:8]} may be deployed, too" in remote.clone().doit("log", "c").out.splitlines()[0]
    fresh = remote.clone()
    fresh.git("checkout", "--quiet", old)
    assert f"{new[:8]} is deployed, and {old[:8]} is older" in fresh.doit("deploy", code=1).out
    assert _value(remote) == "there"
    said = remote.clone().doit("status").out
    assert f"{new[:8]} was deployed, too, and which of its deploys came last is not known" in said
    assert "failed" not in said
    change(remote, "c", resource("here"))
    here.git("pull", "--quiet")
    here.doit("deploy")
    assert _value(remote) == "here"
    assert "all up to date" in remote.clone().doit("status").out


def test_a_run_that_was_killed_and_is_repeated_later_has_not_failed(remote: Remote) -> None:
    remote.clone().prepare("ledger", "init")
    killed = change(remote, "c", resource("new"))
    package = "doit_tofu" if INSTALLED else "tasks"
    die = f"import os\n\nimport {package}.applying\n\n{package}.applying._run_apply = lambda *_: os.kill(os.getpid(), 9)\n"
    killed.write(f"dodo.py:{DODO}{die}")
    assert killed.doit("deploy:c", code=None).code == -9
    killed.git("checkout", "--quiet", "dodo.py")
    assert remote.clone().doit("reason=it died", "ledger", "release")
    remote.clone().doit("deploy")
    killed.doit("deploy:c")
    assert "all up to date" in remote.clone().doit("status").out


def test_without_the_remote_a_deploy_goes_on_and_is_recorded_later(remote: Remote) -> None:
    remote.clone().prepare("ledger", "init")
    remote.clone().prepare("deploy")
    job = change(remote, "c", resource("new"))
    job.git("remote", "remove", "origin")
    refused = job.doit("deploy", code=1).out
    assert "this clone has no remote 'origin': `git remote add origin ADDRESS` adds it" in refused
    job.doit("allow=unrecorded", "reason=the forge is gone", "deploy", code=1)
    assert _value(remote) == "new"
    job.git("remote", "add", "origin", str(remote.path))
    job.doit("ledger", "push")
    said = remote.clone().doit("status").out  # it had never read the ledger: nobody knows whether others had deployed
    assert "which of its deploys came last is not known" in said
    assert "failed" not in said
    remote.clone().doit("deploy")
    assert "all up to date" in remote.clone().doit("status").out


def test_what_was_planned_with_an_output_that_nobody_recorded_is_planned_again(remote: Remote) -> None:
    remote.clone().prepare("ledger", "init")
    remote.clone().prepare("deploy")
    elsewhere = remote.clone()
    elsewhere.write(f"stacks/a/main.tf:{resource('2')}")
    elsewhere.commit()
    elsewhere.git("remote", "remove", "origin")
    elsewhere.doit("allow=unrecorded", "reason=the forge is gone", "deploy:a", code=1)
    change(remote, "b", f"{reader('x')}# changed\n").doit("deploy")
    assert _value(remote, "b") == "['2']"  # the state of `a` has that; the ledger does not know it
    change(remote, "a", f"{resource()}# changed\n").doit("deploy")
    assert _value(remote, "a") == "1"
    assert _value(remote, "b") == "['1']"
    assert "all up to date" in remote.clone().doit("status").out


def test_a_state_that_the_engine_reads_by_itself_is_one_that_the_receipt_names(remote: Remote) -> None:
    remote.clone().doit("ledger", "init")
    path = remote.base / "states/a-local.tfstate"
    reading = (
        'terraform {\n  backend "local" {}\n}\n\ndata "terraform_remote_state" "a" {\n  backend = "local"\n'
        f'  config  = {{ path = "{path}" }}\n}}\n\nresource "terraform_data" "it" {{\n'
        "  input = data.terraform_remote_state.a.outputs.value\n}\n\n"
        'output "value" {\n  value = terraform_data.it.output\n}\n'
    )
    change(remote, "b", reading)
    configure(remote, "  b: {inputs: {x: a.value}}\n", "  b: {}\n").doit("deploy")
    _set_output(path, json.loads(path.read_text()), "elsewhere", 1)  # as a deploy that was never recorded leaves it
    job = change(remote, "b", f"{reading}# changed\n")
    job.doit("deploy")
    assert _value(remote, "b") == "elsewhere"
    change(remote, "a", f"{resource()}# changed\n").doit("deploy")
    assert (_value(remote, "a"), _value(remote, "b")) == ("1", "1")
    assert "all up to date" in remote.clone().doit("status").out


def test_a_value_of_another_state_stays_in_no_clone(remote: Remote) -> None:
    """What a run found in a state, and recorded of it, is not what the ledger says: every clone says the same."""
    remote.clone().doit("ledger", "init")
    remote.clone().doit("deploy")
    path = remote.base / "states/a-local.tfstate"
    state = json.loads(path.read_text())
    _set_output(path, state, "by hand", 1)
    job = change(remote, "b", f"{reader('x')}# changed\n")
    job.doit("deploy")
    assert _value(remote, "b") == "['by hand']"
    _set_output(path, state, "1", 2)
    for clone in (job, remote.clone()):
        assert "affected: output a.value (variable x) changed" in clone.doit("status").out
    job.doit("deploy")
    assert _value(remote, "b") == "['1']"
    assert "all up to date" in remote.clone().doit("status").out


def test_a_sensitive_output_without_a_digest_is_never_called_the_same(remote: Remote) -> None:
    """Without a key the ledger has no digest of it: elsewhere its readers are planned, here they are compared."""

    def secret(value: str) -> str:
        return resource(extra=f'\noutput "s" {{\n  value     = "{value}"\n  sensitive = true\n}}\n')

    reading = reader("x").replace("type = any", "type      = any\n  sensitive = true")
    reading = reading.replace("value = terraform", "value     = terraform").replace(
        "output\n}", "output\n  sensitive = true\n}"
    )
    change(remote, "a", secret("first-1144")).doit("ledger", "init")
    change(remote, "b", reading)
    job = configure(remote, "x: a.value", "x: a.s")
    for clone in (job, remote.clone()):
        clone.doit("deploy")
        assert "all up to date" in clone.doit("status").out
        assert "nothing to deploy" in clone.doit("deploy").out
    said = " ".join(remote.clone().doit("status").out.split())
    assert "b affected: output a.s (variable x) cannot be compared" in re.sub(r"b +\S+ \S+ \S+ UTC +", "b ", said)
    change(remote, "a", secret("second-5527")).doit("deploy:a")
    remote.clone().doit("deploy:b")
    assert _value(remote, "b") == "['second-5527']"
    everything = remote.git("log", "-p", "--format=", REF)
    assert not [value for value in ("first-1144", "second-5527") if sha256_bytes(canonical_json(value)) in everything]


@pytest.mark.parametrize("since", ["it is plain", "there is a key"])
def test_an_output_that_has_a_digest_only_now_is_compared_with_the_state(remote: Remote, since: str) -> None:
    """Its stack is not deployed again, so the ledger has none: its reader is planned once, and then it is compared."""
    secret = resource(extra='\noutput "s" {\n  value     = "first-1144"\n  sensitive = true\n}\n')
    reading = reader("x").replace("type = any", "type      = any\n  sensitive = true")
    reading = reading.replace("value = terraform", "value     = terraform").replace(
        "output\n}", "output\n  sensitive = true\n}"
    )
    change(remote, "a", secret).doit("ledger", "init")
    change(remote, "b", reading)
    configure(remote, "ledger:", "encryption: {state: false}\nledger:")
    configure(remote, "x: a.value", "x: a.s").doit("deploy")
    key = base64.b64encode(b"s" * 32).decode()
    variables = {"DEPLOY_STATE_KEY": key} if since == "there is a key" else {}
    if not variables:
        path = remote.base / "states/a-local.tfstate"
        state = json.loads(path.read_text())
        del state["outputs"]["s"]["sensitive"]
        path.write_text(json.dumps({**state, "serial": state["serial"] + 1}))
    first, why = remote.clone(), "output a.s (variable x) cannot be compared: without an encryption key the ledger has"
    assert why in " ".join(first.doit("status", **variables).out.split())
    first.doit("deploy:b", **variables)
    assert first.planned() == ["b"]
    second = remote.clone()
    said = " ".join(second.doit("status", **variables).out.split())
    assert why in said
    assert "changed" not in said
    for command in ("plan", "deploy"):
        second.doit(f"{command}:b", **variables)
        assert second.engine_calls("plan") == second.engine_calls("apply") == []


def test_an_output_that_is_null_is_a_value_in_every_clone(remote: Remote) -> None:
    """A state does not have it."""
    remote.clone().doit("ledger", "init")
    null = 'terraform {\n  backend "local" {}\n}\n\noutput "value" {\n  value = null\n}\n'
    change(remote, "a", null).doit("deploy")
    job = change(remote, "b", f"{reader('x')}# changed\n")
    job.doit("deploy")
    assert job.planned() == ["b"]
    assert _value(remote, "b") == "[None]"
    assert "all up to date" in remote.clone().doit("status").out
    change(remote, "a", resource("2")).doit("deploy")
    assert _value(remote, "b") == "['2']"


def test_what_is_not_a_ledger_is_not_rebuilt_over(remote: Remote) -> None:
    remote.clone().prepare("ledger", "init")
    main = remote.git("rev-parse", "main")
    remote.git("update-ref", REF, main)
    refused = remote.clone().doit("reason=lost", "ledger", "rebuild", code=1).out
    assert "is not a ledger" in refused
    assert "look at it" in refused
    assert remote.git("rev-parse", REF) == main


def test_status_says_that_it_could_not_read_the_ledger(remote: Remote) -> None:
    remote.clone().prepare("ledger", "init")
    job = remote.clone()
    remote.path.rename(remote.path.with_name("gone.git"))
    assert "what other machines have deployed is not known here" in job.doit("status").out
    assert document(job, "status")["stacks"]


def _value(remote: Remote, stack: str = "c") -> str:
    """The output of a stack, as its state has it."""
    state = json.loads((remote.base / f"states/{stack}-local.tfstate").read_text())
    return str(state["outputs"]["value"]["value"])


def _set_output(path: Path, state: dict[str, Any], value: str, more: int) -> None:
    """Write a state with another output, as another tool does."""
    outputs = {"value": {**state["outputs"]["value"], "value": value}}
    path.write_text(json.dumps({**state, "serial": state["serial"] + more, "outputs": outputs}))
