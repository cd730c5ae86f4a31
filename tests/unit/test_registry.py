"""The registry client: what it makes of every answer, and whom it tells a password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tasks.base.errors import RegistryError, StoppedError
from tasks.base.masking import MASK, Masker
from tasks.base.stop import Stop
from tasks.builds import registry
from tasks.builds.credentials import Login
from tasks.builds.reference import Repository, bases, is_loopback
from tasks.builds.registry import Registry
from tests.servers.fakeregistry import DIGEST, PASSWORD, TOKEN, USER, FakeRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Serve = Callable[..., FakeRegistry]

LOGIN = Login(USER, PASSWORD, "THE_USER and THE_PASSWORD")


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts fake registries."""
    servers: list[FakeRegistry] = []

    def start(**options: Any) -> FakeRegistry:
        servers.append(FakeRegistry(**options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Autouse: nobody waits for the pauses between tries; gives them."""
    waited: list[float] = []

    def wait(self: Stop, seconds: float) -> bool:
        waited.append(seconds)
        return self.requested

    monkeypatch.setattr(Stop, "wait", wait)
    return waited


def ask(server: FakeRegistry, tag: str = "here", login: Login | None = None, mask: Masker | None = None) -> str | None:
    repository = Repository.parse(f"{server.host}/team/app")
    return Registry(repository, login, insecure=False, stop=Stop(print), mask=mask or Masker()).digest(tag)


def test_a_tag_that_is_there_has_its_digest_and_one_that_is_not_has_none(serve: Serve) -> None:
    server = serve()
    assert ask(server) == DIGEST
    assert ask(server, "gone") is None
    assert [request[0] for request in server.requests] == ["HEAD", "HEAD"]


def test_a_registry_that_does_not_state_the_digest_is_asked_for_the_manifest(serve: Serve) -> None:
    assert ask(serve(states_digest=False)) == DIGEST


@pytest.mark.parametrize("kind", ["basic", "bearer"])
def test_a_login_is_made_as_the_challenge_says(serve: Serve, kind: str) -> None:
    mask = Masker()
    assert ask(serve(login=kind), login=LOGIN, mask=mask) == DIGEST
    assert mask.text(PASSWORD) == MASK
    assert (mask.text(TOKEN) == MASK) == (kind == "bearer")


def test_a_token_may_be_called_access_token(serve: Serve) -> None:
    assert ask(serve(login="bearer", token={"access_token": TOKEN}), login=LOGIN) == DIGEST


@pytest.mark.parametrize("kind", ["basic", "bearer"])
def test_a_wrong_or_missing_login_is_said_without_the_password(serve: Serve, kind: str) -> None:
    with pytest.raises(
        RegistryError, match="denies access to team/app for the login in THE_USER and THE_PASSWORD"
    ) as caught:
        ask(serve(login=kind), login=Login(USER, "wrong-password", LOGIN.source))
    assert "wrong-password" not in caught.value.problem.text()
    with pytest.raises(RegistryError, match="it requires a login for team/app") as caught:
        ask(serve(login=kind))
    assert "DEPLOY_REGISTRY_USER" in caught.value.problem.text()


def test_a_password_goes_nowhere_without_tls(serve: Serve) -> None:
    server = serve(login="bearer", realm="http://registry.example.invalid/token")
    with pytest.raises(RegistryError, match=r"login to be sent to registry\.example\.invalid without TLS"):
        ask(server, login=LOGIN)
    assert [request[2] for request in server.requests] == [None]


def test_a_redirect_to_another_host_does_not_carry_the_login(serve: Serve) -> None:
    other = serve()
    server = serve(login="basic", answer=(307, {"Location": f"http://{other.host}/v2/x/manifests/here"}, b""))
    assert ask(server, login=LOGIN) == DIGEST
    assert [request[2] for request in other.requests] == [None]


def test_a_redirect_that_leaves_tls_or_never_ends_is_refused(serve: Serve) -> None:
    with pytest.raises(RegistryError, match="without TLS"):
        ask(serve(answer=(302, {"Location": "http://elsewhere.example.invalid/"}, b"")))
    with pytest.raises(RegistryError, match="too many redirects"):
        ask(serve(answer=(302, {"Location": "/v2/again"}, b"")))


def test_a_busy_registry_is_asked_again_after_the_time_that_it_names(serve: Serve, pauses: list[float]) -> None:
    assert ask(serve(failures=[(429, {"Retry-After": "7"}), (503, {})])) == DIGEST
    assert pauses == [7.0, 2.0]


def test_a_registry_that_names_an_hour_is_not_waited_for_so_long(serve: Serve, pauses: list[float]) -> None:
    assert ask(serve(failures=[(429, {"Retry-After": "3600"})])) == DIGEST
    assert pauses == [30.0]


def test_a_stop_ends_the_waiting(serve: Serve) -> None:
    stop = Stop(print)
    stop.requested = True
    repository = Repository.parse(f"{serve(failures=[(503, {})]).host}/team/app")
    with pytest.raises(StoppedError):
        Registry(repository, None, insecure=False, stop=stop, mask=Masker()).digest("here")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((500, {}, b""), "status 500"),
        ((403, {}, b""), "it requires a login"),
        ((200, {"Content-Type": "text/html"}, b"<h1>Hello</h1>"), "this is not a registry's response"),
        (
            (200, {"Docker-Content-Digest": "sha256:short", "Content-Type": "text/html"}, b"x"),
            "this is not a registry's response",
        ),
        ((401, {"WWW-Authenticate": "Negotiate"}, b""), "an unknown kind of login"),
        ((401, {}, b""), "an unknown kind of login"),
        ((204, {}, b""), "status 204"),
    ],
)
def test_every_other_answer_is_an_error_that_says_what_it_was(serve: Serve, answer: Any, said: str) -> None:
    with pytest.raises(RegistryError, match=said):
        ask(serve(answer=answer))


@pytest.mark.parametrize("token", [["x"], "x", {"token": 5}, {"token": "a\nb"}, {"other": "x"}])
def test_a_token_that_is_none_is_an_error(serve: Serve, token: Any) -> None:
    with pytest.raises(RegistryError, match="did not issue a token"):
        ask(serve(login="bearer", token=token), login=LOGIN)


def test_a_registry_that_is_not_there_is_said_so(serve: Serve) -> None:
    server = serve()
    server.stop()
    with pytest.raises(RegistryError, match="connection refused"):
        ask(server)
    assert registry._TRIES == 3


@pytest.mark.parametrize(
    ("text", "host", "path"),
    [
        ("registry.example.com/team/app", "registry.example.com", "team/app"),
        ("localhost/app", "localhost", "app"),
        ("localhost:5000/app", "localhost:5000", "app"),
        ("[::1]:5000/app", "[::1]:5000", "app"),
        ("app", "docker.io", "library/app"),
        ("team/app", "docker.io", "team/app"),
        ("docker.io/app", "docker.io", "library/app"),
    ],
)
def test_a_repository_is_read_as_docker_reads_it(text: str, host: str, path: str) -> None:
    assert Repository.parse(text) == Repository(host, path)


@pytest.mark.parametrize("text", ["example.com/Team/app", "example.com/a//b", "example.com/a:tag", "a@b.c/x", "x.y/"])
def test_what_is_no_repository_is_said_so(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not valid in|is not a valid host"):
        Repository.parse(text)


def test_only_this_machine_is_loopback() -> None:
    assert all(map(is_loopback, ("localhost", "localhost:5000", "127.0.0.1", "127.9.9.9:1", "[::1]:5", "::1")))
    assert not any(map(is_loopback, ("localhost.example.com", "10.0.0.1:5000", "127.0.0.1.example.com", "example.com")))


def test_the_bases_of_a_containerfile_are_those_of_other_registries() -> None:
    text = "ARG X\nFROM --platform=$BUILDPLATFORM node:20 AS build\nfrom scratch\nFROM build\nFROM r.example.com/x@sha256:1 as last\n"
    assert bases(text) == ["node:20", "r.example.com/x@sha256:1"]
    text = "ARG BASE=node:20\nARG TAG\nFROM ${BASE}\nFROM $BASE-slim\nFROM x:${TAG}\n"
    assert bases(text) == ["node:20", "node:20-slim", "x:${TAG}"]
    assert bases(text, {"BASE": "r:1/n", "TAG": "2"}) == ["r:1/n", "r:1/n-slim", "x:2"]
