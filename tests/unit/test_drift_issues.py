"""One open issue for each drifted stack, on both forges, however they behave."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest

from tasks.forges import issues
from tasks.forges.http import ForgeError
from tasks.forges.issues import Page
from tests.servers.forge import SOMEBODY, Answer, Forge
from tests.unit.test_forges import KINDS, client


@pytest.fixture(params=KINDS)
def forge(request: pytest.FixtureRequest) -> Iterator[Forge]:
    server = Forge(request.param)
    yield server
    server.stop()


def page(stack: str, print_: str = "a1", body: Callable[[int], str] | None = None) -> Page:
    """The issue of a stack."""
    return Page(f"Drift in prod: {stack}", body or (lambda room: f"what drifted in {stack}"[:room]), print_)


def sync(forge: Forge, drifted: Mapping[str, Page], kept: tuple[str, ...] = (), environment: str = "prod") -> str:
    """One run's issues; what was done in words."""
    return issues.sync(client(forge), environment, drifted, kept, wait=lambda _: False).text()


def test_an_issue_is_opened_once_updated_when_the_drift_changes_and_closed_at_its_end(forge: Forge) -> None:
    assert sync(forge, {"web": page("web"), "db": page("db")}) == "opened for db, web"
    assert sync(forge, {"web": page("web"), "db": page("db")}) == ""
    assert sync(forge, {"web": page("web", "b2"), "db": page("db")}) == "updated for web"
    assert sync(forge, {"db": page("db")}) == "closed for web"
    assert forge.open_issues() == ["Drift in prod: db"]
    assert sync(forge, {"web": page("web"), "db": page("db")}) == "opened for web"
    assert len(forge.issues) == 3


def test_a_stack_that_was_not_checked_keeps_its_issue_and_one_that_is_gone_does_not(forge: Forge) -> None:
    sync(forge, {"web": page("web"), "db": page("db")})
    assert sync(forge, {}, kept=("web",)) == "closed for db"
    assert forge.open_issues() == ["Drift in prod: web"]


def test_issues_of_other_environments_and_people_are_left_alone(forge: Forge) -> None:
    forge.issue("<!-- doit-tofu drift prod web a1 -->", SOMEBODY, title="copied by a person")
    forge.issue("something else", title="ours, about something else")
    sync(forge, {"web": page("web")}, environment="dev")
    assert sync(forge, {"web": page("web")}) == "opened for web"
    assert sync(forge, {}) == "closed for web"
    assert sorted(forge.open_issues()) == ["Drift in prod: web", "copied by a person", "ours, about something else"]


def test_a_title_that_somebody_changed_is_put_back_and_the_issue_found(forge: Forge) -> None:
    sync(forge, {"web": page("web")})
    forge.issues[1]["title"] = "taken by me"
    assert sync(forge, {"web": page("web")}) == "updated for web"
    assert forge.open_issues() == ["Drift in prod: web"]


def test_an_issue_whose_creation_was_not_answered_is_not_opened_twice(forge: Forge) -> None:
    forge.lost_answers = 1
    assert sync(forge, {"web": page("web")}) == "opened for web"
    assert len(forge.issues) == 2  # the request was sent again
    assert forge.open_issues() == ["Drift in prod: web"]
    assert sync(forge, {"web": page("web")}) == ""


def test_two_runs_at_once_end_with_one_issue(forge: Forge) -> None:
    def other(_: str) -> None:
        issues.sync(client(forge), "prod", {"web": page("web")}, (), wait=lambda _: True)

    forge.before_write = other
    assert sync(forge, {"web": page("web")}) == "opened for web"
    assert len(forge.issues) == 2
    assert [number for number, item in forge.issues.items() if item["state"] != "closed"] == [1]


def test_a_list_of_many_pages_with_merge_requests_in_it_is_read_to_its_end(forge: Forge) -> None:
    forge.per_page = 2
    sync(forge, {f"s{number}": page(f"s{number}") for number in range(5)})
    if forge.kind == "github":
        forge.issue("<!-- doit-tofu drift prod s9 a1 -->", pull_request={}, title="a pull request")
    assert sync(forge, {f"s{number}": page(f"s{number}") for number in range(5)}) == ""
    assert sync(forge, {}) == "closed for s0, s1, s2, s3, s4"


def test_a_text_fits_the_forges_limit_with_its_marker(forge: Forge) -> None:
    sync(forge, {"web": page("web", body=lambda room: "x" * room)})
    text = forge.issues[1].get("description") or forge.issues[1].get("body")
    assert len(text) == client(forge).limit
    assert sync(forge, {"web": page("web", body=lambda room: "x" * room)}) == ""


def test_a_forge_that_refuses_is_an_error_that_says_what_to_do(forge: Forge) -> None:
    forge.answer("POST .*/issues$", Answer(403))
    with pytest.raises(ForgeError) as refused:
        sync(forge, {"web": page("web")})
    assert refused.value.problem.next_text


def test_a_forge_that_stumbles_is_asked_again(forge: Forge) -> None:
    forge.answer("GET .*/issues$", Answer(500), Answer(429, {"Retry-After": "1"}))
    assert sync(forge, {"web": page("web")}) == "opened for web"
