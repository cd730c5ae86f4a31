"""One open merge request for each drifted stack that the code can follow, on both forges, however they behave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from tasks.forges import adoptions
from tasks.forges.adoptions import Draft, Where
from tasks.forges.http import ForgeError
from tests.servers.forge import SOMEBODY, Answer, Forge
from tests.unit.test_forges import KINDS, client

WHERE = Where("prod", "c" * 40, "main")
WEB = "drift/prod/web"


@pytest.fixture(params=KINDS)
def forge(request: pytest.FixtureRequest) -> Iterator[Forge]:
    server = Forge(request.param)
    yield server
    server.stop()


def draft(print_: str = "a1") -> Draft:
    """A draft for a stack."""
    return Draft(
        "Adopt the drift of web", lambda room: "what it adopts"[:room], {"stacks/web/main.tf": "x = 5\n"}, print_
    )


def sync(forge: Forge, drafts: Mapping[str, Draft], kept: tuple[str, ...] = ()) -> str:
    """One run's merge requests; what was done in words."""
    return adoptions.sync(client(forge), WHERE, drafts, kept).text()


def test_one_is_opened_updated_when_the_draft_changes_and_closed_at_its_end(forge: Forge) -> None:
    assert sync(forge, {"web": draft()}) == "opened for web"
    assert forge.open_proposals() == [WEB]
    assert "x = 5" in str(forge.pushed)
    assert sync(forge, {"web": draft()}) == ""
    before = forge.branches[WEB]
    assert sync(forge, {"web": draft("b2")}) == "updated for web"
    assert forge.branches[WEB] != before
    assert sync(forge, {}, kept=("web",)) == ""
    assert sync(forge, {}) == "closed for web"
    assert (forge.open_proposals(), WEB in forge.branches) == ([], False)
    assert len(forge.proposals) == 1


def test_what_others_did_is_left_alone(forge: Forge) -> None:
    forge.push(WEB, "d" * 40)
    assert "the branch drift/prod/web is not ours" in sync(forge, {"web": draft()})
    del forge.branches[WEB]
    sync(forge, {"web": draft()})
    forge.push(WEB, "d" * 40)
    assert "somebody has pushed to drift/prod/web" in sync(forge, {"web": draft("b2")})
    assert forge.branches[WEB] == "d" * 40
    assert sync(forge, {}) == "closed for web"
    assert forge.branches[WEB] == "d" * 40


def test_a_copied_marker_and_another_environment_do_not_count(forge: Forge) -> None:
    sync(forge, {"web": draft()})
    forge.proposals[1]["user"] = SOMEBODY
    assert sync(forge, {}) == ""
    forge.proposals[1]["user"] = forge.proposals[1]["user"] | {"id": 7, "login": "github-actions[bot]"}
    assert adoptions.sync(client(forge), Where("dev", "c" * 40, "main"), {}, ()).text() == ""
    assert forge.open_proposals() == [WEB]


def test_a_declined_change_is_not_offered_again_but_another_one_is(forge: Forge) -> None:
    sync(forge, {"web": draft()})
    forge.proposals[1] |= {"state": "closed", "head": forge.branches[WEB]}
    assert "the same change was declined" in sync(forge, {"web": draft()})
    assert sync(forge, {"web": draft("b2")}) == "opened for web"
    assert len(forge.proposals) == 2


def test_after_a_merge_the_next_drift_gets_the_branch_again(forge: Forge) -> None:
    sync(forge, {"web": draft()})
    merged = {"state": "merged"} if forge.kind == "gitlab" else {"state": "closed", "merged_at": "2026-11-26T00:00:00Z"}
    forge.proposals[1] |= {**merged, "head": forge.branches[WEB]}
    assert sync(forge, {"web": draft()}) == "opened for web"


def test_an_answer_that_was_lost_opens_no_second_one(forge: Forge) -> None:
    forge.lost_answers = 1
    sync(forge, {"web": draft()})
    assert forge.open_proposals() == [WEB]
    assert sync(forge, {"web": draft()}) == ""
    assert len(forge.proposals) == 1


def test_a_busy_forge_is_asked_again_and_pages_are_followed(forge: Forge) -> None:
    forge.per_page = 1
    for stack in ("a", "b", "web"):
        sync(forge, {stack: draft()}, kept=("a", "b", "web"))
    forge.answer("GET", Answer(429, {"Retry-After": "0"}), Answer(503))
    assert sync(forge, {}) == "closed for a, b, web"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(403), "status 403"),
        (Answer(200, body=b"<html>hello</html>"), "JSON"),
        (Answer(200, body=b"[]"), "answer has no"),
        (Answer(200, body=b'{"id": 5, "sha": null, "tree": []}'), "answer has no"),
    ],
)
def test_a_token_without_the_right_and_garbage_are_said_and_open_nothing(
    forge: Forge, answer: Answer, words: str
) -> None:
    forge.answer(r"POST .*commits$|GET .*/git/commits/", answer)
    with pytest.raises(ForgeError, match=words):
        sync(forge, {"web": draft()})
    assert forge.proposals == {}


def test_a_protected_branch_is_said(forge: Forge) -> None:
    forge.protected.add(WEB)
    with pytest.raises(ForgeError, match="not allowed to push"):
        sync(forge, {"web": draft()})
    assert forge.proposals == {}
