"""The forge as a witness of a ledger's last entry: what a note proves, and what nobody can make it say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tasks.forges.client import Noted, State
from tasks.forges.http import ForgeError
from tasks.ledger import witness
from tasks.ledger.keys import PublicKey
from tasks.ledger.record import Kind
from tasks.ledger.witness import Judgement, Verdict, Witness
from tests.servers.forge import Answer, Forge
from tests.unit.test_forges import HEAD, client
from tests.unit.test_ledger_chain import ONE, STRANGER, TWO, Chain, change


@pytest.fixture(params=[None, ONE], ids=["unsigned", "signed"])
def made(request: pytest.FixtureRequest) -> Chain:
    found = Chain(request.param)
    found.deploy("web", "db", "dns")
    return found


def noted(chain: Chain, order: int = 1) -> tuple[int, str]:
    return order, witness.note(chain.head, [chain.key] if chain.key else [])


def judged(chain: Chain, *notes: tuple[int, str]) -> Judgement:
    verified = chain.verify()
    assert verified.broken is None
    keys = [PublicKey(text) for text in verified.keys]
    found = [item for order, text in notes if (item := witness.read(order, text, chain.head, keys))]
    return witness.judge(chain.head, verified.digests, found, rebuilt=verified.rebuilt)


def back(chain: Chain, number: int) -> Chain:
    """The chain as it was at an entry."""
    found = Chain(chain.key)
    found.deploy(*[f"s{count}" for count in range(number - 1)])
    return found


def test_a_note_fits_what_a_forge_takes_and_names_the_last_entry(made: Chain) -> None:
    text = witness.note(made.head.model_copy(update={"sequence": 9_999_999}), [ONE])
    assert len(text) <= 140
    assert judged(made, noted(made)) == Judgement(Verdict.LAST, Witness(1, 4, made.head.chain))


def test_entries_after_the_note_are_not_proven_and_are_no_alarm(made: Chain) -> None:
    note = noted(made)
    made.deploy("web")
    found = judged(made, note)
    assert (found.verdict, found.witness and found.witness.number) == (Verdict.LATER, 4)
    assert not found.is_alarm


def test_without_a_note_nothing_is_known(made: Chain) -> None:
    assert judged(made) == Judgement(Verdict.NONE)


def test_a_ledger_of_yesterday_is_named(made: Chain) -> None:
    yesterday = noted(made, 1)
    head, entries, shards = made.head, list(made.entries), dict(made.shards)
    made.deploy("web")
    today = noted(made, 2)
    made.head, made.entries, made.shards = head, entries, shards
    for notes in ((yesterday, today), (today,), (today, (3, yesterday[1]))):  # the last: an old note, copied
        found = judged(made, *notes)
        assert found.verdict is Verdict.ROLLED_BACK
        assert found.witness is not None
        assert found.witness.number == 5
        assert found.is_alarm


def test_a_chain_that_was_written_again_is_named(made: Chain) -> None:
    note = noted(made)
    other = back(made, 6)
    assert judged(other, note).verdict is Verdict.OTHER
    assert judged(other, note, noted(other, 2)).verdict is Verdict.OTHER


def test_only_notes_by_a_key_of_the_ledger_count() -> None:
    made = Chain(ONE)
    made.deploy("web")
    later = back(made, 9)
    unsigned = witness.note(later.head, [])
    foreign = witness.note(later.head.model_copy(update={"key": STRANGER.public.text}), [STRANGER])
    signed = noted(made)[1]
    changed = signed.replace("2 ", "3 ", 1)
    for text in (unsigned, foreign, changed, "", "hello", "4 x", signed[:-3], f"{signed} more"):
        assert judged(made, (1, text)) == Judgement(Verdict.NONE), text
        assert judged(made, (1, signed), (2, text)).verdict is Verdict.LAST, text


def test_a_note_of_another_environment_or_repository_does_not_count() -> None:
    made = Chain(ONE)
    other = Chain(ONE, environment="dev")
    other.deploy("web", "db")
    assert judged(made, noted(other)) == Judgement(Verdict.NONE)


def test_notes_of_an_earlier_key_count_unless_it_was_revoked() -> None:
    for why, expected in (("", Verdict.LATER), ("revoked", Verdict.NONE)):
        made = Chain(ONE)
        made.deploy("web")
        note = noted(made)
        rotate = change("rotate", kind=Kind.ROTATE, stack=None, new=TWO, lost=bool(why))
        made.add(replace(rotate, facts={"old": why}), keys=[ONE, TWO])
        made.key = TWO
        assert judged(made, note).verdict is expected
        assert judged(made, note, noted(made, 2)).verdict is Verdict.LAST


def test_a_rebuilt_ledger_is_not_held_to_the_notes_about_the_one_before() -> None:
    before = Chain(ONE)
    before.deploy("web", "db", "dns")
    rebuilt = Chain(ONE, rebuilt=True)
    found = judged(rebuilt, noted(before, 1))  # without a key, whoever can write the ledger can say so
    assert (found.verdict, found.witness and found.witness.number) == (Verdict.REPLACED, before.head.sequence)
    assert not found.is_alarm
    assert judged(rebuilt, noted(before, 1), noted(rebuilt, 2)).verdict is Verdict.LAST
    assert judged(rebuilt, noted(rebuilt, 1), noted(before, 2)).is_alarm  # it was in use again, after this one
    assert judged(before, noted(before, 1), noted(rebuilt, 2)).is_alarm  # the one before was put back
    assert judged(before, noted(before, 1), noted(rebuilt, 2), noted(before, 3)).is_alarm


# At the forge


@pytest.fixture(params=["gitlab", "github"])
def forge(request: pytest.FixtureRequest) -> Iterator[Forge]:
    server = Forge(request.param)
    yield server
    server.stop()


def test_a_forge_returns_every_status_of_a_name_that_was_set(forge: Forge) -> None:
    asked = client(forge)
    for text in ("one", "two"):
        asked.status(HEAD, State.SUCCESS, "doit-tofu/ledger/prod", text, None)
    asked.status(HEAD, State.SUCCESS, "doit-tofu/ledger/dev", "other", None)
    asked.status("b" * 40, State.SUCCESS, "doit-tofu/ledger/prod", "elsewhere", None)
    assert asked.statuses(HEAD, "doit-tofu/ledger/prod") == [Noted(2, "two"), Noted(1, "one")]


def test_a_forge_returns_what_was_deployed_and_its_commits_page_by_page(forge: Forge) -> None:
    forge.per_page = 2
    forge.deployments = {"prod": ["a" * 40, "a" * 40, "b" * 40], "dev": ["c" * 40]}
    forge.commits = [f"{number:040x}" for number in range(5)]
    assert list(client(forge).deployed("prod")) == forge.deployments["prod"]
    assert list(client(forge).commits()) == forge.commits


@pytest.mark.parametrize("answer", [Answer(403), Answer(404), Answer(200, body=b"<html>"), *[Answer(200, body=b"{}")]])
def test_a_forge_that_does_not_answer_that_is_an_error(forge: Forge, answer: Answer) -> None:
    asked = client(forge, seconds=1)
    for call in (
        lambda: asked.statuses(HEAD, "x"),
        lambda: list(asked.deployed("prod")),
        lambda: list(asked.commits()),
    ):
        forge.answer("GET", answer)
        with pytest.raises(ForgeError):
            call()
