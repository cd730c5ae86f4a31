"""What a stranger who may push can do to a ledger, and what of it is seen; what happens where it cannot be written."""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tasks.base.files import canonical_json, sha256_bytes
from tasks.base.process import Ended
from tasks.ledger import gitobjects, record, statement
from tasks.ledger.keys import SigningKey
from tests.e2e.test_ledger import REF, Remote, remote
from tests.repository import resource

if TYPE_CHECKING:
    from collections.abc import Callable


__all__ = ["remote"]
KEY, STRANGER = SigningKey(b"k" * 32), SigningKey(b"s" * 32)
Signed = {"DEPLOY_LEDGER_KEY": KEY.text}


@pytest.fixture
def signed(remote: Remote) -> Remote:
    """A signed ledger with two deploys of `c`."""
    job = remote.clone()
    config = job.path / "config/pipeline.yaml"
    config.write_text(config.read_text().replace("{kind: git}", f"{{kind: git, public_key: {KEY.public.text}}}"))
    job.commit("a key")
    remote.push(job)
    job.prepare("ledger", "init", **Signed)
    job.prepare("deploy", **Signed)
    job.write(f"stacks/c/main.tf:{resource('c2')}")
    job.commit("a change")
    remote.push(job)
    job.prepare("deploy", **Signed)
    return remote


@dataclass
class Content:
    """All that a ledger holds, to be tampered with and put in its place."""

    remote: Remote
    head: bytes
    shards: dict[str, bytes]
    entries: dict[int, bytes]

    @classmethod
    def of(cls, remote: Remote) -> Content:
        git = _git(remote)
        names = remote.git("ls-tree", "-r", "--name-only", REF).splitlines()
        files = {name: found[1] for name in names if (found := gitobjects.read(git, [f"{REF}:{name}"])[0])}
        shards = {name: data for name, data in files.items() if name.startswith("shards/")}
        return cls(remote, files["head"], shards, dict(gitobjects.entries(git, REF, 0)))

    def put(self) -> None:
        """Force it onto the branch."""
        made = gitobjects.commit(_git(self.remote), None, self.head, self.shards, sorted(self.entries.items()))
        self.remote.git("update-ref", REF, made)

    def sign_head(self, key: SigningKey) -> None:
        """Make the head name the shards that are there, signed with another key."""
        head, _ = record.read_head(self.head)
        digests = {
            name.removeprefix("shards/").removesuffix(".json"): sha256_bytes(data) for name, data in self.shards.items()
        }
        self.head = statement.seal(
            head.model_copy(update={"shards": digests}).content(), statement.HEAD, [key]
        ).to_bytes()


def _git(remote: Remote) -> Callable[..., Ended]:
    def run(*arguments: str, given: bytes = b"") -> Ended:
        done = subprocess.run(["git", *arguments], cwd=remote.path, input=given, capture_output=True, check=False)
        return Ended(done.returncode, done.stdout.decode(errors="surrogateescape"), done.stderr.decode())

    return run


def _edit(data: bytes, **facts: object) -> bytes:
    envelope = statement.read(data, statement.STATEMENT)
    body = json.loads(envelope.content)
    body["predicate"]["facts"].update(facts)
    return envelope.model_copy(update={"payload": base64.b64encode(canonical_json(body)).decode()}).to_bytes()


def _edited(content: Content) -> None:
    content.entries[3] = _edit(content.entries[3], commit="0" * 40)


def _dropped(content: Content) -> None:
    del content.entries[3]


def _reordered(content: Content) -> None:
    content.entries[2], content.entries[3] = content.entries[3], content.entries[2]


def _inserted(content: Content) -> None:
    later = {number + 1: data for number, data in content.entries.items() if number > 2}
    content.entries = (
        {number: data for number, data in content.entries.items() if number < 3} | {3: content.entries[2]} | later
    )


def _by_another_key(content: Content) -> None:
    envelope = statement.read(content.entries[3], statement.STATEMENT)
    content.entries[3] = statement.seal(envelope.content, statement.STATEMENT, [STRANGER]).to_bytes()


@pytest.mark.parametrize(
    ("forge", "what"),
    [
        (_edited, "entry 3 was changed, or is not signed by"),
        (_dropped, "entry 3 is missing: 4 follows 2"),
        (_reordered, "entry 2 is numbered 3: entries were reordered"),
        (_inserted, "entry 3 is numbered 2: entries were reordered"),
        (_by_another_key, f"not signed by the key {KEY.public.id} (it names {STRANGER.public.id})"),
    ],
)
def test_audit_names_a_forged_entry(signed: Remote, forge: Callable[[Content], None], what: str) -> None:
    assert "intact: 5 events" in signed.clone().doit("audit").out
    content = Content.of(signed)
    forge(content)
    content.put()
    assert what in signed.clone().doit("audit", code=1).out
    found = json.JSONDecoder().raw_decode(signed.clone().doit("audit", "--json", code=1).out)[0]
    assert found["whole"] is False
    assert what.split(": ", maxsplit=1)[0] in found["broken"]["what"]


def _last_edited(content: Content) -> None:
    content.entries[5] = _edit(content.entries[5], commit="0" * 40)


def _last_dropped(content: Content) -> None:
    del content.entries[5]


@pytest.mark.parametrize(
    ("forge", "what"),
    [
        (_last_edited, "entry 5 was changed, or is not signed by"),
        (_last_dropped, "entry 5 is missing: the head is at 5"),
    ],
)
def test_a_deploy_names_a_newest_entry_that_was_forged(
    signed: Remote, forge: Callable[[Content], None], what: str
) -> None:
    content = Content.of(signed)
    forge(content)
    content.put()
    job = signed.clone()
    job.write(f"stacks/a/main.tf:{resource('a2')}")
    job.commit("another change")
    assert what in " ".join(job.doit("deploy", code=1, **Signed).out.split())
    assert job.engine_calls() == []


def test_a_forged_receipt_is_refused_before_anything_is_planned(signed: Remote) -> None:
    content = Content.of(signed)
    name = record.blob_name(record.shard_of("c"))
    content.shards[name] = content.shards[name].replace(b'"outcome":"applied"', b'"outcome":"failed"')
    content.sign_head(STRANGER)
    content.put()
    for command in ("deploy", "plan", "audit"):
        job = signed.clone()
        assert "the head is not signed by the key" in job.doit(command, code=1, **Signed).out
        assert job.engine_calls() == []


def test_a_shard_that_the_head_does_not_name_is_refused(signed: Remote) -> None:
    content = Content.of(signed)
    name = record.blob_name(record.shard_of("c"))
    content.shards[name] = content.shards[name].replace(b'"outcome":"applied"', b'"outcome":"failed"')
    content.put()
    assert "does not match the digest in its head" in signed.clone().doit("deploy", code=1, **Signed).out


def test_a_ledger_of_yesterday_is_refused_where_today_was_seen(signed: Remote) -> None:
    yesterday = signed.git("rev-parse", REF)
    job = signed.clone()
    job.write(f"stacks/a/main.tf:{resource('a2')}")
    job.commit("another change")
    signed.push(job)
    job.doit("deploy", **Signed)
    signed.git("update-ref", REF, yesterday)
    for command in ("deploy", "plan", "status"):
        assert (
            "lacks entries that this machine has already seen: it was rewritten"
            in job.doit(command, code=1, **Signed).out
        )


def test_a_ledger_of_another_environment_or_repository_is_refused(signed: Remote) -> None:
    head, _ = record.read_head(Content.of(signed).head)
    for change, what in (
        ({"environment": "prod"}, "it is the ledger of environment 'prod', not of 'local'"),
        ({"project": "acme/other"}, "it is the ledger of 'acme/other'"),
    ):
        content = Content.of(signed)
        content.head = statement.seal(head.model_copy(update=change).content(), statement.HEAD, [KEY]).to_bytes()
        content.put()
        assert what in signed.clone().doit("deploy", code=1, **Signed).out


def test_a_deploy_without_the_key_applies_nothing(signed: Remote) -> None:
    job = signed.clone()
    job.write(f"stacks/a/main.tf:{resource('a2')}")
    job.commit("another change")
    done = job.doit("deploy", code=1)
    assert f"the ledger is signed with the key {KEY.public.id}, which this job does not have" in done.out
    assert job.engine_calls("apply") == []


def test_a_key_is_replaced(signed: Remote) -> None:
    job = signed.clone()
    done = job.doit("ledger", "rotate", DEPLOY_LEDGER_NEXT_KEY=STRANGER.text, **Signed)
    assert STRANGER.public.text in done.out
    config = job.path / "config/pipeline.yaml"
    config.write_text(config.read_text().replace(KEY.public.text, STRANGER.public.text))
    job.write(f"stacks/c/main.tf:{resource('c3')}")
    job.commit("the new key")
    signed.push(job)
    signed.clone().doit("deploy", DEPLOY_LEDGER_KEY=STRANGER.text)
    assert f"the current key is {STRANGER.public.id}" in signed.clone().doit("audit").out


def test_what_could_not_be_recorded_is_named_and_recorded_later(signed: Remote) -> None:
    job = signed.clone()
    job.write(f"stacks/c/main.tf:{resource(chr(99) + '4', extra=_breaks(signed))}")
    job.commit("it breaks the remote")
    done = job.doit("deploy", code=1, **Signed)
    assert "not recorded: c: " in done.out
    assert "doit ledger push" in done.out
    (signed.base / "gone.git").rename(signed.path)
    assert "recorded: c" in job.doit("ledger", "push", **Signed).out
    assert "intact: 6 events" in job.doit("audit").out
    assert "its lease is free" in job.doit("reason=test", "ledger", "release", **Signed).out
    fresh = signed.clone()
    fresh.git("fetch", "--quiet", str(job.path), "HEAD")
    fresh.git("checkout", "--quiet", "FETCH_HEAD")
    assert "3 stacks, all up to date" in fresh.doit("status").out


def _breaks(remote: Remote) -> str:
    """A resource whose apply takes the remote away."""
    gone = remote.base / "gone.git"
    command = f"mv {remote.path} {gone}"
    return (
        f'\nresource "terraform_data" "breaks" {{\n  provisioner "local-exec" {{\n    command = "{command}"\n  }}\n}}\n'
    )


def test_an_unreachable_ledger_stops_a_deploy_unless_that_is_allowed_with_a_reason(signed: Remote) -> None:
    job = signed.clone()
    signed.path.rename(signed.base / "gone.git")
    assert "cannot fetch from" in job.doit("deploy", code=1, **Signed).out
    assert job.engine_calls() == []
    done = job.doit("status")
    assert "the ledger could not be read" in done.out
    done = job.doit("plan")
    assert "what other machines have deployed is not known here" in done.out
    assert {"a", "c"} <= set(job.planned())
    assert "a variable may tighten" in job.doit("deploy", code=1, DEPLOY_LEDGER__REQUIRED="false", **Signed).out
    done = job.doit("allow=unrecorded", "reason=the forge is down", "deploy", code=1, **Signed)
    assert "continuing without the ledger (the forge is down): " in done.out
    receipts = [json.loads(path.read_text()) for path in sorted((job.path / ".deploy/local/receipts").glob("*.json"))]
    assert {item["stack"]: item["allowed"] for item in receipts} == {
        item["stack"]: ["unrecorded: the forge is down"] for item in receipts
    }
    (signed.base / "gone.git").rename(signed.path)
    job.doit("ledger", "push", **Signed)
    assert "the ledger could not be read" not in job.doit("deploy", **Signed).out
    job.doit("audit")


def test_a_branch_behind_main_shows_no_revert_of_the_work_of_others(signed: Remote) -> None:
    branch = signed.clone()
    branch.git("checkout", "--quiet", "-b", "mine", "HEAD~1")  # before the last change of `c`
    branch.write(f"stacks/a/main.tf:{resource('mine')}")
    branch.commit("mine")
    branch.git("fetch", "--quiet", "origin")
    done = branch.doit("base=origin/main", "plan")
    assert "a" in branch.planned()
    assert "pending, or newer on the target, and not planned here: c" in done.out
