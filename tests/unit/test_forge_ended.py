"""Whether a pipeline has ended: only a clear answer of the forge counts, as a lease is taken over by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.forges.http import ForgeError
from tasks.ledger import holder
from tasks.ledger.holder import Pipeline
from tests.servers.forge import Answer, Forge
from tests.unit.test_forges import client

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDED = {"gitlab": ("success", "failed", "canceled", "skipped"), "github": ("completed",)}
LIVE = {
    "gitlab": (
        "created", "waiting_for_resource", "preparing", "pending", "running", "canceling", "manual", "scheduled", "new",
    ),
    "github": ("queued", "in_progress", "waiting", "requested", "pending", "action_required", "success"),
}  # fmt: skip


@pytest.fixture(params=["gitlab", "github"])
def forge(request: pytest.FixtureRequest) -> Iterator[Forge]:
    server = Forge(request.param)
    yield server
    server.stop()


def test_only_states_that_a_pipeline_does_not_leave_by_itself_are_an_end(forge: Forge) -> None:
    for expected, states in ((True, ENDED[forge.kind]), (False, LIVE[forge.kind])):
        for state in states:
            forge.pipelines[7] = state
            assert client(forge).has_ended("7") is expected, state


def test_only_states_of_a_pipeline_at_work_are_called_running(forge: Forge) -> None:
    waiting = ("manual", "scheduled", "new") if forge.kind == "gitlab" else ("waiting", "action_required", "success")
    for state in (*ENDED[forge.kind], *LIVE[forge.kind]):
        forge.pipelines[7] = state
        live = state in LIVE[forge.kind] and state not in waiting
        assert client(forge).is_running("7") is live, state
    forge.answer("GET .*/7$", Answer(200, body=b'{"id": 8, "status": "running"}'))
    assert client(forge).is_running("7") is False


@pytest.mark.parametrize(
    "body", [b"[]", b"null", b'"failed"', b"{}", b'{"status": "failed"}', b'{"id": 8, "status": "failed"}']
)
def test_an_answer_about_something_else_is_no_end(forge: Forge, body: bytes) -> None:
    forge.answer("GET .*/7$", Answer(200, body=body.replace(b"failed", ENDED[forge.kind][0].encode())))
    assert client(forge).has_ended("7") is False


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_is_an_error(forge: Forge, status: int) -> None:
    forge.pipelines[7] = ENDED[forge.kind][0]
    forge.answer("GET .*/7$", Answer(status))
    with pytest.raises(ForgeError):
        client(forge).has_ended("7")


@pytest.mark.parametrize("answer", [Answer(200, body=b"<html>sign in</html>"), Answer(200, body=b"\xff\xfe")])
def test_garbage_is_an_error(forge: Forge, answer: Answer) -> None:
    forge.answer("GET .*/7$", answer)
    with pytest.raises(ForgeError):
        client(forge).has_ended("7")


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_what_may_pass_is_asked_again(forge: Forge, status: int) -> None:
    forge.pipelines[7] = ENDED[forge.kind][0]
    forge.answer("GET .*/7$", Answer(status))
    assert client(forge).has_ended("7") is True


def test_what_does_not_pass_is_an_error_in_time(forge: Forge) -> None:
    forge.answer("GET .*/7$", *[Answer(503)] * 1000)
    with pytest.raises(ForgeError):
        client(forge, seconds=1).has_ended("7")


def test_a_holder_is_read_as_it_was_written() -> None:
    for found in (Pipeline("gitlab", "42", "7"), Pipeline("github", "acme/infra", "7")):
        assert holder.pipeline(found.text) == found
    for other in ("clone:abcd", "gitlab::7", "gitlab:42:", "other:x:7", "gitlab:42:x", ""):
        assert holder.pipeline(other) is None
