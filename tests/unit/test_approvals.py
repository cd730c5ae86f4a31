"""Who approved a merge request, as each forge tells it, and what of that the ledger and `doit log` show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tasks import log
from tasks.forges.http import ForgeError
from tasks.run.reviewing import Approver, Review
from tests.servers.forge import Answer, Forge
from tests.unit.test_forges import client

ANN, BOB = {"id": 11, "login": "ann", "username": "ann"}, {"id": 12, "login": "bob", "username": "bob"}


@pytest.fixture(params=["gitlab", "github"])
def forge(request: pytest.FixtureRequest) -> Iterator[Forge]:
    server = Forge(request.param)
    yield server
    server.stop()


def approved(forge: Forge, *users: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"user": user} if forge.kind == "gitlab" else {"user": user, "state": "APPROVED"} for user in users]


def test_those_who_approve_are_named_by_the_id_of_the_forge(forge: Forge) -> None:
    assert client(forge).approvers(3) == []
    forge.approvals[3] = approved(forge, ANN, BOB)
    assert client(forge).approvers(3) == [Approver("11", "ann"), Approver("12", "bob")]


def test_on_github_the_latest_review_of_each_person_counts() -> None:
    forge = Forge("github")

    def reviews(*found: tuple[dict[str, Any] | None, str]) -> list[str]:
        forge.approvals[3] = [{"user": user, "state": state} for user, state in found]
        return [item.name for item in client(forge).approvers(3)]

    assert reviews((ANN, "COMMENTED"), (BOB, "APPROVED")) == ["bob"]
    assert reviews((ANN, "APPROVED"), (ANN, "COMMENTED")) == ["ann"]
    assert reviews((ANN, "APPROVED"), (ANN, "CHANGES_REQUESTED")) == []
    assert reviews((ANN, "CHANGES_REQUESTED"), (ANN, "APPROVED")) == ["ann"]
    assert reviews((ANN, "DISMISSED"), (BOB, "PENDING"), (None, "APPROVED")) == []
    forge.stop()


@pytest.mark.parametrize("answer", [Answer(403), Answer(404), Answer(200, body=b"<html>")])
def test_a_forge_that_does_not_say_is_an_error(forge: Forge, answer: Answer) -> None:
    forge.answer("GET .*/(approvals|reviews)", answer)
    with pytest.raises(ForgeError):
        client(forge, seconds=1).approvers(3)


def test_names_are_recorded_only_if_that_is_allowed() -> None:
    found = Review(3, (Approver("11", "ann"), Approver("12", "bob")))
    assert found.facts(public=False) == {"request": 3, "approvers": ["11", "12"]}
    assert found.facts(public=True) == {"request": 3, "approvers": ["11", "12"], "names": ["ann", "bob"]}


@pytest.mark.parametrize(
    ("review", "request_", "text"),
    [
        (Review(3, (Approver("11", "ann"), Approver("12", "bob"))), None, "merge request 3, approved by user 11, user 12"),
        (Review(3), None, "merge request 3, not approved"),
        (Review(None), None, "no merge request"),
        (None, "3", "merge request 3"),
        (None, None, ""),
    ],
)  # fmt: skip
def test_log_says_who_approved(review: Review | None, request_: str | None, text: str) -> None:
    assert log._review(review.facts(public=False) if review else None, request_) == text
