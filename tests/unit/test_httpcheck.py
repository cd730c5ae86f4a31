"""The http check against a real server on the loopback: what it waits for, and what it says of what it saw."""

from __future__ import annotations

import gzip
import signal
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from tasks import httpcheck
from tasks.model import HttpCheck
from tasks.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENT = 60.0  # long enough for any machine: a check that comes true does not wait it out
BRIEF = 0.3


class Server(ThreadingHTTPServer):
    """Answers as `/path` was told to; counts the requests."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        self.answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        self.asked: list[str] = []
        self.closing = threading.Event()
        super().__init__(("127.0.0.1", port), Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def url(self, path: str, credentials: str = "") -> str:
        """The URL of a path."""
        return f"http://{credentials}127.0.0.1:{self.server_port}{path}"

    def handle_error(self, *_: Any) -> None:
        """A client that goes away is part of these tests."""

    def close(self) -> None:
        """End, also the answers under way."""
        self.closing.set()
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    """Looks up the answer."""

    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        self.server.answers[self.path.partition("?")[0]](self)

    do_POST = do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Quiet."""


def answer(
    status: int = 200, body: bytes = b"", length: int | None = None, **headers: str
) -> Callable[[BaseHTTPRequestHandler], None]:
    """An answer; `length` is what it says of its length."""

    def write(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(body) if length is None else length))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)

    return write


@pytest.fixture
def server() -> Iterator[Server]:
    """A running server."""
    made = Server()
    yield made
    made.close()


@pytest.fixture
def stop() -> Stop:
    """Nobody asked to stop."""
    return Stop(lambda _: None)


@pytest.fixture
def unused_port() -> int:
    """A port that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def check(url: str, timeout: float = PATIENT, **more: Any) -> HttpCheck:
    """A check that asks often."""
    return HttpCheck(kind="http", url=url, timeout=timeout, **{"interval": 0.02, **more})


def wait(asked: HttpCheck, stop: Stop, contains: str | None = None) -> tuple[bool, str]:
    """Run a check on its own URL."""
    return httpcheck.wait(asked, asked.url, contains, stop)


def test_the_expected_status_is_enough(server: Server, stop: Stop) -> None:
    server.answers["/ok"] = answer(204)
    url = server.url("/ok")
    assert wait(check(url, status=[200, 204]), stop) == (True, f"{url} answered as expected")
    assert server.asked == ["GET /ok"]


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_the_method_is_the_one_that_was_asked_for(server: Server, stop: Stop, method: str) -> None:
    server.answers["/ok"] = answer(200, b"body")
    assert wait(check(server.url("/ok"), method=method), stop)[0]
    assert server.asked == [f"{method} /ok"]


def test_a_wrong_status_says_both(server: Server, stop: Stop) -> None:
    server.answers["/no"] = answer(503)
    url = server.url("/no")
    true, seen = wait(check(url, BRIEF, status=[200, 204]), stop)
    assert not true
    assert seen.startswith(f"{url}: status 503, expected 200 or 204 (last of ")
    assert seen.endswith(" tries in 0.3 s)")
    assert len(server.asked) > 1


def test_a_check_without_time_asks_once(server: Server, stop: Stop) -> None:
    server.answers["/no"] = answer(503)
    url = server.url("/no")
    assert wait(check(url, 0), stop) == (False, f"{url}: status 503, expected 200 (last of 1 tries in 0 s)")
    assert server.asked == ["GET /no"]


def test_a_refused_connection_is_said_in_words(unused_port: int, stop: Stop) -> None:
    url = f"http://127.0.0.1:{unused_port}/x"
    true, seen = wait(check(url, 0), stop)
    assert (true, seen) == (False, f"{url}: connection refused (last of 1 tries in 0 s)")


def test_an_unknown_host_is_said_in_words(stop: Stop) -> None:
    true, seen = wait(check("http://no-such-host.invalid/x", 0), stop)
    assert not true
    assert seen == "http://no-such-host.invalid/x: the host name is not known (last of 1 tries in 0 s)"


def test_a_slow_answer_is_told_from_no_connection(server: Server, stop: Stop) -> None:
    server.answers["/slow"] = lambda _: server.closing.wait(PATIENT)
    true, seen = wait(check(server.url("/slow"), BRIEF), stop)
    assert not true
    assert "/slow: connected, but no answer in time (last of " in seen


def test_a_connection_closed_without_an_answer_is_said(server: Server, stop: Stop) -> None:
    server.answers["/close"] = lambda request: request.connection.shutdown(socket.SHUT_RDWR)
    true, seen = wait(check(server.url("/close"), 0), stop)
    assert not true
    assert "/close: the connection was closed without an answer (" in seen


def test_the_body_must_contain_the_text(server: Server, stop: Stop) -> None:
    server.answers["/version"] = answer(200, b"version 1.2.3")
    url = server.url("/version")
    assert wait(check(url), stop, "1.2.3")[0]
    assert wait(check(url, 0), stop, "1.2.4") == (
        False, f"{url}: status 200, but the body does not contain '1.2.4' (last of 1 tries in 0 s)",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ("grün".encode(), {}),
        ("grün".encode(), {"Content_Type": "text/html"}),
        ("grün".encode("latin-1"), {"Content_Type": "text/html; charset=ISO-8859-1"}),
        ("grün".encode(), {"Content_Type": "text/html; charset=no-such-charset"}),
        (gzip.compress("grün".encode()), {"Content_Encoding": "gzip"}),
        (b"\xff\xfe broken " + "grün".encode(), {}),
        (b"x" * 200_000 + "grün".encode(), {}),
    ],
    ids=["plain", "no charset", "latin-1", "unknown charset", "gzip", "not all text", "long"],
)
def test_the_text_is_found_however_the_body_is_encoded(
    server: Server, stop: Stop, body: bytes, headers: dict[str, str]
) -> None:
    server.answers["/x"] = answer(200, body, **headers)
    assert wait(check(server.url("/x")), stop, "grün")[0]


def test_a_body_that_breaks_off_is_no_answer(server: Server, stop: Stop) -> None:
    server.answers["/short"] = answer(200, b"half", length=1000)
    true, seen = wait(check(server.url("/short"), 0), stop, "whole")
    assert not true
    assert "/short: no usable answer: the connection was closed within the answer (" in seen


def test_a_body_that_is_not_what_it_says_is_no_answer(server: Server, stop: Stop) -> None:
    server.answers["/x"] = answer(200, b"this is no gzip", Content_Encoding="gzip")
    true, seen = wait(check(server.url("/x"), 0), stop, "text")
    assert not true
    assert "/x: no usable answer: " in seen


def test_a_body_that_stops_coming_is_no_answer_in_time(server: Server, stop: Stop) -> None:
    def begin(request: BaseHTTPRequestHandler) -> None:
        answer(200, b"begins", length=1000)(request)
        server.closing.wait(PATIENT)

    server.answers["/stuck"] = begin
    true, seen = wait(check(server.url("/stuck"), 0), stop, "ends")
    assert not true
    assert "/stuck: the answer began, but did not end in time (" in seen


def test_a_stream_without_end_is_read_until_the_text(server: Server, stop: Stop) -> None:
    def stream(request: BaseHTTPRequestHandler) -> None:
        request.protocol_version = "HTTP/1.1"
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.wfile.write(b"7\r\nevent 1\r\n7\r\nevent 2\r\n")
        server.closing.wait(PATIENT)

    server.answers["/events"] = stream
    assert wait(check(server.url("/events")), stop, "event 2")[0]


def test_a_redirect_is_followed_unless_it_is_what_is_expected(server: Server, stop: Stop) -> None:
    server.answers["/old"] = answer(302, Location="/new")
    server.answers["/new"] = answer(200)
    assert wait(check(server.url("/old")), stop)[0]
    assert wait(check(server.url("/old"), status=302), stop)[0]
    assert server.asked == ["GET /old", "GET /new", "GET /old"]


def test_a_service_that_comes_up_late_is_waited_for(unused_port: int, stop: Stop) -> None:
    asked = check(f"http://127.0.0.1:{unused_port}/ok")
    found: list[tuple[bool, str]] = []
    waiting = threading.Thread(target=lambda: found.append(wait(asked, stop)))
    waiting.start()
    assert not found
    late = Server(unused_port)
    late.answers["/ok"] = answer(200)
    waiting.join(PATIENT)
    late.close()
    assert found == [(True, f"{asked.url} answered as expected")]


def test_a_service_that_is_not_ready_yet_is_asked_again(server: Server, stop: Stop) -> None:
    def warming_up(request: BaseHTTPRequestHandler) -> None:
        answer(200 if len(server.asked) > 3 else 503)(request)

    server.answers["/ready"] = warming_up
    assert wait(check(server.url("/ready")), stop)[0]
    assert len(server.asked) == 4


def test_a_stop_ends_the_wait_with_what_was_seen_last(server: Server, stop: Stop) -> None:
    server.answers["/no"] = answer(500)
    stop._handle(signal.SIGTERM, None)
    url = server.url("/no")
    assert wait(check(url, interval=3600, timeout=86_400), stop) == (False, f"{url}: status 500, expected 200; stopped")


@pytest.mark.parametrize("contains", [None, "text"])
def test_credentials_in_a_url_are_sent_and_never_shown(server: Server, stop: Stop, contains: str | None) -> None:
    server.answers["/x"] = answer(200, b"no")
    asked = check(server.url("/x?token=s3cret", "user:hunter2@"), 0)
    _, seen = wait(asked, stop, contains)
    assert server.asked == ["GET /x?token=s3cret"]
    assert seen.startswith(server.url("/x"))
    assert "hunter2" not in seen
    assert "s3cret" not in seen


@pytest.mark.parametrize(
    "url",
    ["user:hunter2@host/x?s3cret", "ftp://user:hunter2@host/x?t=s3cret", "http://user:hunter2@[/x?t=s3cret", "http://",
     "http://user:hunter2@127.0.0.1:99999999/?t=s3cret", "http://user:hunter2@%41/%zz?t=s3cret", "", "http://a b/",
     "http://" + "a" * 300 + "/?t=s3cret"],
)  # fmt: skip
def test_a_url_that_is_none_is_an_observation_without_its_credentials(stop: Stop, url: str) -> None:
    true, seen = wait(check(url, 0), stop)
    assert not true
    assert "hunter2" not in seen
    assert "s3cret" not in seen
