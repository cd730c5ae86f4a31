"""The chain of a ledger: what is added is found again, and whatever is changed in it is named."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field, replace

import pytest
from securesystemslib.dsse import Envelope as Foreign
from securesystemslib.signer import SSlibKey

from tasks.base.files import canonical_json, sha256_bytes
from tasks.ledger import chain, keys, record, statement
from tasks.ledger.chain import KeyMissingError, Verification
from tasks.ledger.keys import PublicKey, SigningKey
from tasks.ledger.record import Change, Head, Kind, Shard

ONE, TWO, STRANGER = (SigningKey(bytes([number]) * 32) for number in (1, 2, 3))


@dataclass
class Chain:
    """A ledger in memory, to add to and to tamper with."""

    key: SigningKey | None
    environment: str = "prod"
    rebuilt: bool = False
    entries: list[tuple[int, bytes]] = field(default_factory=list)
    shards: dict[str, Shard] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.head = Head(ledger="0a" * 16, project="acme/infra", environment=self.environment)
        begin = replace(
            change("begin", kind=Kind.INIT, stack=None, new=self.key), facts={"rebuilt": True} if self.rebuilt else {}
        )
        self.add(begin, keys=[self.key] if self.key else [])

    def add(self, *changes: Change, keys: list[SigningKey] | None = None) -> None:
        signing = keys if keys is not None else [self.key] if self.key else []
        made = chain.draft(self.head, self.shards, changes, "w", signing)
        self.head, self.head_bytes = made.head, made.head_bytes
        self.entries += made.entries
        for name, data in made.blobs.items():
            assert sha256_bytes(data) == self.head.shards[name.removeprefix("shards/").removesuffix(".json")]
            self.shards[name.removeprefix("shards/").removesuffix(".json")] = record.read_shard(data)

    def deploy(self, *stacks: str) -> None:
        self.add(*(change(f"{stack}-{self.head.sequence}", stack=stack) for stack in stacks))

    def verify(self) -> Verification:
        return chain.verify(self.head, self.entries, self.shards.values())

    def what(self) -> str:
        broken = self.verify().broken
        return broken.what if broken else "whole"


def change(name: str, *, kind: Kind = Kind.DEPLOY, stack: str | None = "web", new: SigningKey | None = None, lost: bool = False) -> Change:  # fmt: skip
    receipt = {"stack": stack, "plan_sha256": name, "outcome": "applied"} if stack else None
    return Change(
        kind, name, "2026-11-25T10:00:00+00:00", stack, sha256_bytes(name.encode()) if stack else None, receipt,
        key=new.public.text if new else None, lost=lost,
    )  # fmt: skip


def edited(data: bytes, **fields: object) -> bytes:
    """An entry with other fields, its signature left as it is."""
    envelope = statement.read(data, statement.STATEMENT)
    body = json.loads(envelope.content)
    body["predicate"].update(fields)
    return envelope.model_copy(update={"payload": base64.b64encode(canonical_json(body)).decode()}).to_bytes()


def _deployed(commit: str, name: str, *, outcome: str = "applied", follows: str | None = None) -> Change:
    receipt = {"stack": "web", "outcome": outcome, "commit": commit}
    facts = {"commit": commit}
    return Change(Kind.DEPLOY, name, "2026-11-25T10:00:00+00:00", "web", None, receipt, None, follows, facts=facts)


@pytest.mark.parametrize(
    ("first", "second", "besides"),
    [
        (_deployed("x", "1"), _deployed("y", "2", follows="1"), None),
        (_deployed("x", "1"), _deployed("y", "2"), ["x"]),
        (_deployed("x", "1"), _deployed("x", "2"), ["x"]),
        (_deployed("x", "1", outcome="failed"), _deployed("y", "2"), ["x"]),  # the record stays the failed one's
    ],
)
def test_an_entry_says_which_commits_have_no_order_with_its_own(
    first: Change, second: Change, besides: list[str] | None
) -> None:
    found = Chain(None)
    found.add(first)
    found.add(second)
    entry, _ = record.read_entry(found.entries[-1][1])
    assert entry.facts.get("besides") == besides
    assert found.what() == "whole"


@pytest.fixture(params=[None, ONE], ids=["unsigned", "signed"])
def made(request: pytest.FixtureRequest) -> Chain:
    found = Chain(request.param)
    for number in range(4):
        found.deploy("web", f"s{number}")
    return found


def test_a_chain_that_nobody_touched_is_whole(made: Chain) -> None:
    assert made.what() == "whole"
    assert made.verify().count == 9
    head, envelope = record.read_head(made.head_bytes)
    assert head == made.head
    assert chain.judge_head(head, envelope, [ONE.public] if made.key else []) is None


@pytest.mark.parametrize("at", range(9))
def test_an_edited_entry_is_named(made: Chain, at: int) -> None:
    number, data = made.entries[at]
    made.entries[at] = (number, edited(data, at="2020-01-01T00:00:00+00:00"))
    broken = made.verify().broken
    assert broken is not None
    if made.key or at == 8:
        assert broken.number == number
        assert "was changed" in broken.what
    else:  # without signatures the next one tells
        assert broken.number == number + 1
        assert f"does not follow entry {number}: one of them was changed" in broken.what


@pytest.mark.parametrize("at", range(9))
def test_a_dropped_entry_is_named(made: Chain, at: int) -> None:
    number, _ = made.entries.pop(at)
    broken = made.verify().broken
    assert broken is not None
    assert (broken.number, f"entry {number} is missing" in broken.what) == (number, True)


def test_a_dropped_entry_is_named_when_the_others_are_renumbered(made: Chain) -> None:
    made.entries = [(number - (number > 4), data) for number, data in made.entries if number != 4]
    assert made.what() == "entry 4 is numbered 5: entries were reordered"


def test_reordered_entries_are_named(made: Chain) -> None:
    (a, first), (b, second) = made.entries[3:5]
    made.entries[3:5] = [(a, second), (b, first)]
    assert made.what() == "entry 4 is numbered 5: entries were reordered"


def test_an_inserted_entry_is_named(made: Chain) -> None:
    made.entries.insert(5, made.entries[4])
    assert made.what() == "entry 5 appears twice: one was inserted"


def test_an_entry_by_another_key_is_named() -> None:
    made, other = Chain(ONE), Chain(STRANGER)
    made.deploy("web")
    other.deploy("web")
    made.entries[1] = other.entries[1]
    assert made.what() == "entry 2 does not follow entry 1: one of them was changed or inserted"
    again = Chain(ONE)
    again.head = again.head.model_copy(update={"key": STRANGER.public.text})
    again.key = STRANGER
    again.deploy("web")
    again.head = again.head.model_copy(update={"key": ONE.public.text})
    assert f"not signed by the key {ONE.public.id} (it names {STRANGER.public.id})" in again.what()


def test_a_key_that_is_not_in_force_signs_nothing() -> None:
    made = Chain(ONE)
    with pytest.raises(KeyMissingError):
        made.add(change("x"), keys=[STRANGER])
    with pytest.raises(KeyMissingError):
        made.add(change("x"), keys=[])


@pytest.mark.parametrize(("field", "value"), [("environment", "dev"), ("project", "acme/other"), ("ledger", "0b" * 16)])
def test_a_foreign_chain_is_named(field: str, value: str) -> None:
    made = Chain(None)
    made.deploy("web")
    made.head = made.head.model_copy(update={field: value})
    assert made.what().startswith("entry 1 belongs to another ledger: acme/infra, environment prod")


def test_a_receipt_without_its_entry_is_named(made: Chain) -> None:
    shard = made.shards[record.shard_of("new")] = dict(made.shards.get(record.shard_of("new"), {}))
    shard["new"] = made.shards[record.shard_of("web")]["web"]
    assert made.what() == "the receipt of new has no entry"


def test_a_receipt_that_was_changed_is_named(made: Chain) -> None:
    shard = made.shards[record.shard_of("web")]
    shard["web"] = shard["web"].model_copy(update={"receipt": {"stack": "web", "plan_sha256": "forged"}})
    assert made.what() == "the receipt of web is not the one that entry 8 records"


def test_a_receipt_that_was_removed_is_named(made: Chain) -> None:
    made.shards[record.shard_of("s2")].pop("s2")
    assert made.what() == "the receipt of s2 is missing"


def test_a_head_that_was_changed_is_named() -> None:
    made = Chain(ONE)
    made.deploy("web")
    head, envelope = record.read_head(made.head_bytes)
    forged = statement.seal(head.model_copy(update={"shards": {}}).content(), statement.HEAD, [STRANGER])
    broken = chain.judge_head(*record.read_head(forged.to_bytes()), [ONE.public])
    assert broken is not None
    assert broken.what == f"the head is not signed by the key {ONE.public.id}: it was tampered with"
    assert chain.judge_head(head, envelope, [TWO.public]) is not None
    unsigned = Chain(None)
    broken = chain.judge_head(*record.read_head(unsigned.head_bytes), [ONE.public])
    assert broken is not None
    assert broken.what == "the ledger is not signed, but the configuration names a key"


def test_a_head_of_yesterday_does_not_lead_to_todays_chain(made: Chain) -> None:
    yesterday = made.head
    made.deploy("web")
    made.head = yesterday
    assert made.what() == "the head is at 9, but the chain goes on to 10: the head is old"


def test_a_rotation_is_signed_by_both_keys_and_the_old_one_signs_nothing_after_it() -> None:
    made = Chain(ONE)
    made.deploy("web")
    made.add(change("rotate", kind=Kind.ROTATE, stack=None, new=TWO), keys=[ONE, TWO])
    made.key = TWO
    made.deploy("web")
    assert made.what() == "whole"
    assert made.head.key == TWO.public.text
    made.key = ONE
    with pytest.raises(KeyMissingError):
        made.deploy("web")


def test_a_rotation_that_the_old_key_did_not_sign_is_named_unless_that_key_is_lost() -> None:
    made = Chain(ONE)
    with pytest.raises(KeyMissingError):
        made.add(change("rotate", kind=Kind.ROTATE, stack=None, new=TWO), keys=[TWO])
    made.add(change("rotate", kind=Kind.ROTATE, stack=None, new=TWO, lost=True), keys=[TWO])
    made.key = TWO
    made.deploy("web")
    assert made.what() == "whole"
    assert made.verify().replaced == {2: "lost"}


def test_a_key_that_was_revoked_never_signs_again() -> None:
    made = Chain(ONE)
    revoke = replace(change("revoke", kind=Kind.ROTATE, stack=None, new=TWO, lost=True), facts={"old": "revoked"})
    made.add(revoke, keys=[TWO])
    assert made.head.revoked == (ONE.public.text,)
    made.add(change("a"), keys=[TWO])
    assert made.what() == "whole"
    made.add(change("again", kind=Kind.ROTATE, stack=None, new=ONE), keys=[ONE, TWO])
    assert made.what() == f"entry 4 is signed with the key {ONE.public.id} again, which entry 2 revoked"
    envelope = record.read_head(made.head_bytes)[1]
    broken = chain.judge_head(made.head, envelope, [ONE.public, TWO.public])
    assert broken
    assert broken.what == f"the ledger's current key is {ONE.public.id}, which was revoked"


def test_a_head_that_keeps_quiet_about_a_revoked_key_is_named() -> None:
    made = Chain(ONE)
    revoke = replace(change("revoke", kind=Kind.ROTATE, stack=None, new=TWO, lost=True), facts={"old": "revoked"})
    made.add(revoke, keys=[TWO])
    made.head = made.head.model_copy(update={"revoked": ()})
    assert made.what() == f"the head does not name {ONE.public.id} among the revoked keys"


def test_a_lost_key_that_is_found_may_sign_again() -> None:
    made = Chain(ONE)
    made.add(replace(change("l", kind=Kind.ROTATE, stack=None, new=TWO, lost=True), facts={"old": "lost"}), keys=[TWO])
    made.add(change("again", kind=Kind.ROTATE, stack=None, new=ONE), keys=[ONE, TWO])
    assert made.what() == "whole"


def _renamed(made: Chain, name: str, before: str | None = None) -> None:
    facts = {"from": before or made.head.project, "to": name}
    formerly = (*made.head.formerly, made.head.project)
    made.head = made.head.model_copy(update={"project": name, "formerly": formerly})
    made.add(replace(change(f"to {name}", kind=Kind.RENAME, stack=None), facts=facts))


def test_a_renamed_repository_goes_on_with_its_chain(made: Chain) -> None:
    _renamed(made, "acme/platform")
    made.deploy("web")
    _renamed(made, "acme/infra")  # and back
    made.deploy("db")
    found = made.verify()
    assert found.broken is None
    assert found.projects == ["acme/infra", "acme/platform", "acme/infra"]


def test_a_name_that_no_entry_gave_is_named(made: Chain) -> None:
    made.head = made.head.model_copy(update={"project": "acme/other", "formerly": ("acme/infra",)})
    assert made.what() == "the chain is of acme/infra, but the head names acme/other"
    made.deploy("web")
    assert made.what().startswith("entry 10 belongs to another ledger: acme/other, environment prod")


def test_a_rename_of_another_name_is_named(made: Chain) -> None:
    _renamed(made, "acme/platform", before="acme/elsewhere")
    assert made.what().startswith("entry 10 belongs to another ledger: acme/platform, environment prod")


def test_a_ledger_without_a_key_gets_one() -> None:
    made = Chain(None)
    made.deploy("web")
    made.add(change("rotate", kind=Kind.ROTATE, stack=None, new=ONE), keys=[ONE])
    made.key = ONE
    made.deploy("web")
    assert made.what() == "whole"


def test_a_newer_format_is_refused_and_names_the_version_it_takes() -> None:
    made = Chain(None)
    body = {**json.loads(made.head.content()), "format": record.FORMAT + 1, "needs": "0.9.0"}
    body.pop("sequence")
    envelope = statement.seal(canonical_json(body), statement.HEAD, [])
    with pytest.raises(
        record.NewerFormatError, match=r"format 4 is newer than 3; doit-tofu 0\.9\.0 or newer can read it"
    ):
        record.read_head(envelope.to_bytes())


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"null", b'{"payload":"!","payloadType":"x","signatures":[]}', b"\xff" * 9]
)
def test_what_is_no_envelope_is_refused(data: bytes) -> None:
    with pytest.raises(statement.FormatError):
        record.read_head(data)
    with pytest.raises(statement.FormatError):
        record.read_entry(data)
    with pytest.raises(statement.FormatError):
        record.read_shard(data + b"x")


def test_others_verify_our_envelopes() -> None:
    """An entry is an in-toto statement in a DSSE envelope that a well-known library accepts."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    made = Chain(ONE)
    made.deploy("web")
    foreign = Foreign.from_dict(json.loads(made.entries[1][1]))
    public = SSlibKey.from_crypto(Ed25519PrivateKey.from_private_bytes(ONE.secret).public_key(), keyid=ONE.public.id)
    assert foreign.verify([public], 1)
    body = json.loads(foreign.payload)
    assert body["_type"] == "https://in-toto.io/Statement/v1"
    assert body["subject"] == [{"name": "web", "digest": {"sha256": sha256_bytes(b"web-1")}}]


def test_a_key_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    made = keys.generate()
    assert "\n" not in made.text
    assert made.text not in repr(made)
    monkeypatch.setenv(keys.VARIABLE, f" {made.text}\n")
    again = keys.from_environment()
    assert again == made
    assert PublicKey(made.public.text).verifies(made.sign(b"x"), b"x")
    assert not PublicKey(made.public.text).verifies(made.sign(b"x"), b"y")


@pytest.mark.parametrize("text", ["secret", "AAAA", "!" * 44])
def test_what_is_no_key_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(keys.VARIABLE, text)
    with pytest.raises(keys.ConfigError) as caught:
        keys.from_environment()
    assert text not in caught.value.problem.text()
