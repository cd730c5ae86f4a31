"""Forges: one comment for each environment, always current, whatever the forge does; tokens go nowhere else."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import pytest

from tasks.forges import comment, note, place
from tasks.forges.client import Client, Merged, State
from tasks.forges.connect import connect
from tasks.forges.http import ForgeError
from tasks.project.model import Forge as Settings
from tests.servers.forge import BOT, SOMEBODY, TOKEN, Answer, Forge

HEAD = "a" * 40
KINDS = ("gitlab", "github")


@pytest.fixture(params=KINDS)
def forge(request: pytest.FixtureRequest) -> Iterator[Forge]:
    server = Forge(request.param)
    yield server
    server.stop()


def variables(forge: Forge, token: str = TOKEN) -> dict[str, str]:
    if forge.kind == "gitlab":
        return {
            "GITLAB_CI": "true", "CI_API_V4_URL": forge.url, "CI_PROJECT_ID": "42", "CI_MERGE_REQUEST_IID": "1",
            "CI_COMMIT_SHA": HEAD, "CI_PIPELINE_ID": "500", "CI_JOB_ID": "9000", "GITLAB_TOKEN": token,
        }  # fmt: skip
    return {
        "GITHUB_ACTIONS": "true", "GITHUB_API_URL": forge.url, "GITHUB_REPOSITORY": "acme/infra", "GITHUB_SHA": HEAD,
        "GITHUB_RUN_ID": "500", "GITHUB_RUN_ATTEMPT": "1", "GITHUB_TOKEN": token,
    }  # fmt: skip


def client(
    forge: Forge, *, seconds: float = 5, token: str = TOKEN, waits: list[float] | None = None, longest: float = 0.02
) -> Client:
    found = place.find(Settings(), variables(forge, token))
    assert found is not None

    def wait(pause: float) -> bool:
        if waits is not None:
            waits.append(pause)
        time.sleep(min(pause, longest))
        return False

    return connect(found, seconds=seconds, wait=wait)


def push(number: int, verdict: str = "1 plan (+1 ~0 -0).", *, quiet: bool = False) -> note.Push:
    return note.Push((number, 1), f"{number:040x}", verdict, "2026-01-01T00:00:00Z", quiet)


def publish(forge: Forge, entry: note.Push, environment: str = "prod", **more: Any) -> str:
    connected = more.pop("client", None) or client(forge)

    def compose(pushes: dict[note.Order, note.Push]) -> str:
        shown = pushes[max(pushes)]
        return note.compose(
            environment, pushes, report=lambda room: f"### {shown.verdict}\n"[:room], sealed=lambda _: {"of": shown.commit},
            limit=connected.limit,
        )  # fmt: skip

    return comment.publish(
        connected, 1, environment, entry, compose, wait=more.pop("wait", lambda _: time.sleep(0.01) or False)
    )


# One comment, always current


def test_the_second_push_updates_the_comment_of_the_first_and_folds_it_in(forge: Forge) -> None:
    assert publish(forge, push(1, "first")) == "written"
    assert publish(forge, push(2, "second")) == "updated"
    [item] = forge.ours()
    assert "### second" in item["body"]
    assert re.search(r"<details><summary>1 earlier push</summary>.*first.*</details>", item["body"], re.DOTALL)


def test_the_comment_is_found_behind_pages_of_others(forge: Forge) -> None:
    for number in range(130):
        forge.comment(f"talk {number}", SOMEBODY)
    publish(forge, push(1))
    for number in range(130):
        forge.comment(f"more talk {number}", SOMEBODY)
    forge.per_page = 30  # a forge may give fewer than it was asked for
    publish(forge, push(2, "second"))
    [item] = forge.ours()
    assert "### second" in item["body"]


def test_two_environments_have_a_comment_each(forge: Forge) -> None:
    threads = [threading.Thread(target=publish, args=(forge, push(1), name)) for name in ("dev", "prod")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    publish(forge, push(2), "prod")
    assert sorted(item["body"].splitlines()[0] for item in forge.ours()) == [note.name("dev"), note.name("prod")]


def test_nothing_is_written_for_a_merge_request_that_never_changed_anything(forge: Forge) -> None:
    assert "not needed" in publish(forge, push(1, quiet=True))
    assert forge.comments == {}


def test_a_push_that_changes_nothing_any_more_resolves_the_comment(forge: Forge) -> None:
    publish(forge, push(1, "1 plan"))
    publish(forge, push(2, "No stack is affected", quiet=True))
    [item] = forge.ours()
    assert "**Resolved" in item["body"]
    publish(forge, push(3, "1 plan again"))
    [item] = forge.ours()
    assert "Resolved" not in item["body"]


def test_an_older_pipeline_does_not_overwrite_a_newer_one(forge: Forge) -> None:
    publish(forge, push(2, "newer"))
    assert "newer pipeline" in publish(forge, push(1, "older"))
    [item] = forge.ours()
    assert "### newer" in item["body"]


def test_two_pipelines_at_once_leave_one_comment_of_the_newer(forge: Forge) -> None:
    barrier = threading.Barrier(2)

    def run(number: int) -> None:
        barrier.wait()
        publish(forge, push(number, f"of {number}"), wait=lambda _: time.sleep(0.2) or False)

    for _ in range(5):
        forge.comments.clear()
        threads = [threading.Thread(target=run, args=(number,)) for number in (1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        [item] = forge.ours()
        assert "### of 2" in item["body"]


def test_a_newer_comment_that_is_overwritten_in_a_race_is_put_back(forge: Forge) -> None:
    publish(forge, push(1, "first"))
    old = forge.ours()[0]["body"]
    waited: list[float] = []

    def wait(pause: float) -> bool:
        if not waited:  # an older pipeline's write arrives now
            forge.ours()[0]["body"] = old
        waited.append(pause)
        return False

    publish(forge, push(2, "second"), wait=wait)
    [item] = forge.ours()
    assert "### second" in item["body"]


def test_a_comment_of_somebody_else_with_our_name_is_left_alone(forge: Forge) -> None:
    theirs = forge.comment(f"{note.name('prod')}\nhello", SOMEBODY)
    publish(forge, push(1))
    assert forge.comments[theirs]["body"].endswith("hello")
    assert len(forge.ours()) == 1


def test_a_comment_of_ours_that_somebody_edited_is_written_anew(forge: Forge) -> None:
    publish(forge, push(1))
    forge.ours()[0]["body"] = f"{note.name('prod')}\n<!-- doit-tofu:data AAAA -->"
    publish(forge, push(2, "second"))
    [item] = forge.ours()
    assert "### second" in item["body"]


def test_history_is_bounded_and_the_comment_within_the_limit(forge: Forge) -> None:
    for number in range(1, note.MOST_RUNS + 6):
        publish(forge, push(number, "x" * 200))
    [item] = forge.ours()
    assert item["body"].count("| `") == note.MOST_RUNS - 1
    assert len(item["body"].encode()) <= client(forge).limit


def test_braces_and_markup_in_a_verdict_stay_text(forge: Forge) -> None:
    publish(forge, push(1, "{0} <img src=x> | `a`"))
    publish(forge, push(2, "{x}"))
    [item] = forge.ours()
    assert "<img" not in item["body"]


# What forges do


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(forge: Forge, status: int) -> None:
    forge.answer("GET .*(notes|comments)", Answer(status), Answer(status))
    forge.answer("POST", Answer(status))
    assert publish(forge, push(1)) == "written"
    assert len(forge.ours()) == 1


@pytest.mark.parametrize("value", ["3", "date"])
def test_retry_after_is_honoured_in_seconds_and_as_a_date(forge: Forge, value: str) -> None:
    header = formatdate(time.time() + 4, usegmt=True) if value == "date" else value
    forge.answer("GET", Answer(429, {"Retry-After": header}))
    waits: list[float] = []
    publish(forge, push(1), client=client(forge, seconds=30, waits=waits))
    assert 2 < waits[0] < 5


def test_the_reset_of_a_rate_limit_is_honoured(forge: Forge) -> None:
    name = "RateLimit" if forge.kind == "gitlab" else "X-RateLimit"
    headers = {f"{name}-Remaining": "0", f"{name}-Reset": str(int(time.time()) + 4)}
    forge.answer("GET", Answer(429 if forge.kind == "gitlab" else 403, headers))
    waits: list[float] = []
    publish(forge, push(1), client=client(forge, seconds=30, waits=waits))
    assert 2 < waits[0] < 5


def test_a_wait_that_is_longer_than_there_is_time_is_not_begun(forge: Forge) -> None:
    forge.answer("GET", Answer(429, {"Retry-After": "3600"}))
    with pytest.raises(ForgeError, match="asks to wait 3600 s"):
        publish(forge, push(1))


def test_all_tries_together_end_in_time(forge: Forge) -> None:
    forge.answer("GET", *[Answer(503)] * 50)
    waits: list[float] = []
    with pytest.raises(ForgeError, match="status 503"):
        publish(forge, push(1), client=client(forge, seconds=3, waits=waits, longest=3))
    assert 1 < len(forge.requests) < 10
    assert 0 < sum(waits) < 3


def test_a_write_whose_answer_was_lost_leaves_one_comment(forge: Forge) -> None:
    def written_and_lost(_: str) -> None:
        forge.comment(posted)
        forge.answer("POST", Answer(502))

    publish(forge, push(1))
    posted = forge.ours()[0]["body"]
    forge.comments.clear()
    forge.answer("POST", Answer(502))
    forge.comment(posted)
    forge.comment(posted)
    publish(forge, push(1))
    assert len(forge.ours()) == 1


@pytest.mark.parametrize(
    "answer",
    [Answer(200, body=b"<html>sign in</html>"), Answer(200, body=b'{"no": "list"}'), Answer(200, body=b"\xff[")],
)
def test_garbage_is_an_error_that_says_so(forge: Forge, answer: Answer) -> None:
    forge.answer("GET .*(notes|comments)", answer)
    with pytest.raises(ForgeError, match=r"not JSON|not a list"):
        publish(forge, push(1))


def test_an_answer_that_drips_is_given_up(forge: Forge) -> None:
    forge.answer("GET", Answer(200, body=b"[" + b" " * 200 + b"]", dripping=True))
    with pytest.raises(ForgeError, match="time"):
        publish(forge, push(1), client=client(forge, seconds=1.2))


@pytest.mark.parametrize(
    ("status", "word"), [(401, "rejects the token"), (403, "may not do this"), (404, "also returns 404")]
)
def test_a_refusal_is_explained_by_the_token(forge: Forge, status: int, word: str) -> None:
    forge.answer("POST", Answer(status))
    with pytest.raises(ForgeError) as caught:
        publish(forge, push(1))
    assert caught.value.problem.next_text
    assert word in caught.value.problem.next_text
    assert TOKEN not in caught.value.problem.text()


def test_a_token_that_the_forge_does_not_know_is_not_tried_twice(forge: Forge) -> None:
    with pytest.raises(ForgeError, match="401"):
        publish(forge, push(1), client=client(forge, token="wrong-token-of-tests"))
    assert len(forge.requests) == 1


def test_a_token_with_a_line_break_is_an_error_at_once(forge: Forge) -> None:
    with pytest.raises(ForgeError, match="cannot be sent"):
        publish(forge, push(1), client=client(forge, token="a\nb"))


def test_the_token_goes_into_headers_and_never_to_another_host(forge: Forge) -> None:
    other = Forge(forge.kind)
    for status in (301, 302, 307, 308):
        forge.answer("GET", Answer(status, {"Location": f"{other.url}/steal"}))
        with pytest.raises(ForgeError, match="another host"):
            publish(forge, push(1))
    assert other.requests == []
    other.stop()
    assert all(TOKEN not in str(item.query) + item.path for item in forge.requests)


def test_a_redirect_within_the_host_is_followed(forge: Forge) -> None:
    path = (
        "/api/v4/projects/42/merge_requests/1/notes"
        if forge.kind == "gitlab"
        else "/repos/acme/infra/issues/1/comments"
    )
    forge.answer("GET .*(notes|comments)", Answer(302, {"Location": f"{path}?per_page=100&page=1"}))
    assert publish(forge, push(1)) == "written"


def test_a_netrc_does_not_replace_the_token(forge: Forge, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert publish(forge, push(1)) == "written"


def test_the_token_of_a_job_that_may_not_ask_who_it_is_writes_as_the_bot() -> None:
    server = Forge("github")
    server.may_ask_who = False
    publish(server, push(1))
    publish(server, push(2, "second"))
    assert ["### second" in item["body"] for item in server.ours()] == [True]
    server.stop()


# Statuses, merged requests, places


def test_a_status_is_set_with_its_link(forge: Forge) -> None:
    client(forge).status(HEAD, State.FAILED, "doit-tofu/plan/prod", "x" * 500, "https://ci.example/job/1")
    [status] = forge.statuses
    assert status["sha"] == HEAD
    assert status["state"] == ("failed" if forge.kind == "gitlab" else "failure")
    assert status["target_url"] == "https://ci.example/job/1"
    assert len(status["description"]) <= (255 if forge.kind == "gitlab" else 140)


def test_the_merge_request_of_a_commit_is_the_last_that_was_merged_into_the_branch(forge: Forge) -> None:
    def entry(number: int, branch: str, merged_at: str | None) -> dict[str, Any]:
        return {
            "iid": number, "number": number, "state": "merged" if merged_at else "closed", "merged_at": merged_at,
            "target_branch": branch, "base": {"ref": branch}, "sha": f"{number}" * 40, "head": {"sha": f"{number}" * 40},
        }  # fmt: skip

    forge.merged[HEAD] = [
        entry(1, "main", "2026-01-01T00:00:00Z"), entry(3, "main", "2026-01-03T00:00:00Z"),
        entry(4, "main", None), entry(5, "release", "2026-01-05T00:00:00Z"),
    ]  # fmt: skip
    assert client(forge).merged(HEAD, "main") == Merged(3, "3" * 40)
    assert client(forge).merged("b" * 40, "main") is None


def test_a_merge_request_from_a_fork_is_commented_in_the_project_that_has_it() -> None:
    found = place.find(
        Settings(),
        {"GITLAB_CI": "1", "CI_PROJECT_ID": "77", "CI_MERGE_REQUEST_PROJECT_ID": "42", "CI_MERGE_REQUEST_IID": "5"},
    )
    assert found is not None
    assert (found.project, found.own, found.request) == ("42", "77", 5)


def test_the_configuration_wins_over_the_environment() -> None:
    settings = Settings(kind="github", url="https://ghe.example/api/v3", project="o/r", token="OTHER_TOKEN")
    found = place.find(settings, {"GITLAB_CI": "true", "OTHER_TOKEN": "t"})
    assert found is not None
    assert (found.kind, found.api, found.project, found.token) == ("github", "https://ghe.example/api/v3", "o/r", "t")
    assert place.find(Settings(kind="none"), {"GITLAB_CI": "true", "CI_PROJECT_ID": "1"}) is None


@pytest.mark.parametrize("event", ["", "[]", "{}", '{"pull_request": 3}', '{"pull_request": {"number": "x"}}', "{"])
def test_an_event_that_cannot_be_read_is_no_pull_request(event: str, tmp_path: Any) -> None:
    (tmp_path / "event.json").write_text(event)
    found = place.find(
        Settings(),
        {"GITHUB_ACTIONS": "1", "GITHUB_REPOSITORY": "o/r", "GITHUB_EVENT_PATH": str(tmp_path / "event.json")},
    )
    assert found is not None
    assert found.request is None


def test_the_token_is_not_in_what_is_shown_of_a_place() -> None:
    found = place.find(Settings(), {"GITLAB_CI": "1", "CI_PROJECT_ID": "1", "GITLAB_TOKEN": TOKEN})
    assert found is not None
    assert TOKEN not in repr(replace(found, request=1))
    assert BOT["id"] == 7
