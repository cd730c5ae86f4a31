"""The http check against a real server on the loopback: what it waits for, and what it says of what it saw."""

from __future__ import annotations

import base64
import gzip
import signal
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import certifi
import pytest
import trustme
from pydantic import ValidationError

from tasks.base import jsontext
from tasks.checks import jsonpath, waiting
from tasks.checks.http import HttpCheck
from tests.servers.web import Server, answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

    from tests.unit.site import Site

PATIENT = 60.0  # long enough for any machine: a check that comes true does not wait it out
BRIEF = 0.3


@pytest.fixture
def server() -> Iterator[Server]:
    """A running server."""
    made = Server()
    yield made
    made.close()


@pytest.fixture
def unused_port() -> int:
    """A port that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def check(url: str, timeout: float = PATIENT, **more: Any) -> HttpCheck:
    """A check that asks often."""
    return HttpCheck(kind="http", url=url, timeout=timeout, **{"interval": 0.02, "backoff": 1, **more})


def wait(asked: HttpCheck, site: Site) -> tuple[bool, str]:
    """Run a check; gives whether it came true, and what is said."""
    outcome = site.wait(asked)
    return outcome.passed, outcome.text


def test_the_expected_status_is_enough(server: Server, site: Site) -> None:
    server.answers["/ok"] = answer(204)
    url = server.url("/ok")
    assert wait(check(url, status=[200, 204]), site) == (True, "responded as expected")
    assert server.asked == ["GET /ok"]


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_the_method_is_the_one_that_was_asked_for(server: Server, site: Site, method: str) -> None:
    server.answers["/ok"] = answer(200, b"body")
    assert wait(check(server.url("/ok"), method=method), site)[0]
    assert server.asked == [f"{method} /ok"]


def test_a_wrong_status_says_both(server: Server, site: Site) -> None:
    server.answers["/no"] = answer(503)
    url = server.url("/no")
    true, seen = wait(check(url, BRIEF, status=[200, 204]), site)
    assert not true
    assert seen.startswith("status 503, expected 200 or 204 (last of ")
    assert seen.endswith(" looks in 0 s)")
    assert len(server.asked) > 1


def test_a_check_without_time_asks_once(server: Server, site: Site) -> None:
    server.answers["/no"] = answer(503)
    url = server.url("/no")
    assert wait(check(url, 0), site) == (False, "status 503, expected 200 (looked once)")
    assert server.asked == ["GET /no"]


def test_a_refused_connection_is_said_in_words(unused_port: int, site: Site) -> None:
    url = f"http://127.0.0.1:{unused_port}/x"
    true, seen = wait(check(url, 0), site)
    assert (true, seen) == (False, "connection refused (looked once)")


def test_an_unknown_host_is_said_in_words(site: Site) -> None:
    true, seen = wait(check("http://no-such-host.invalid/x", 0), site)
    assert not true
    assert seen == "the host name cannot be resolved (looked once)"


def test_a_slow_answer_is_told_from_no_connection(server: Server, site: Site) -> None:
    server.answers["/slow"] = lambda _: server.closing.wait(PATIENT)
    true, seen = wait(check(server.url("/slow"), BRIEF), site)
    assert not true
    assert "connected, but no response in time (last of " in seen


def test_a_connection_closed_without_an_answer_is_said(server: Server, site: Site) -> None:
    server.answers["/close"] = lambda request: request.connection.shutdown(socket.SHUT_RDWR)
    true, seen = wait(check(server.url("/close"), 0), site)
    assert not true
    assert "the connection was closed without a response (" in seen


def test_the_body_must_contain_the_text(server: Server, site: Site) -> None:
    server.answers["/version"] = answer(200, b"version 1.2.3")
    url = server.url("/version")
    assert wait(check(url, contains="1.2.3"), site)[0]
    assert wait(check(url, 0, contains="1.2.4"), site) == (
        False, "status 200, but the body does not contain '1.2.4' (looked once)",
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
    server: Server, site: Site, body: bytes, headers: dict[str, str]
) -> None:
    server.answers["/x"] = answer(200, body, **headers)
    assert wait(check(server.url("/x"), contains="grün"), site)[0]


def test_a_body_that_breaks_off_is_no_answer(server: Server, site: Site) -> None:
    server.answers["/short"] = answer(200, b"half", length=1000)
    true, seen = wait(check(server.url("/short"), 0, contains="whole"), site)
    assert not true
    assert "no usable response: the connection was closed in the middle of the response (" in seen


def test_a_body_that_is_not_what_it_says_is_no_answer(server: Server, site: Site) -> None:
    server.answers["/x"] = answer(200, b"this is no gzip", Content_Encoding="gzip")
    true, seen = wait(check(server.url("/x"), 0, contains="text"), site)
    assert not true
    assert "no usable response: " in seen


def test_a_body_that_stops_coming_is_no_answer_in_time(server: Server, site: Site) -> None:
    def begin(request: BaseHTTPRequestHandler) -> None:
        answer(200, b"begins", length=1000)(request)
        server.closing.wait(PATIENT)

    server.answers["/stuck"] = begin
    true, seen = wait(check(server.url("/stuck"), 0, contains="ends", look_timeout=0.3), site)
    assert not true
    assert "the response started but did not finish in time (" in seen


def test_a_stream_without_end_is_read_until_the_text(server: Server, site: Site) -> None:
    def stream(request: BaseHTTPRequestHandler) -> None:
        request.protocol_version = "HTTP/1.1"
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.wfile.write(b"7\r\nevent 1\r\n7\r\nevent 2\r\n")
        server.closing.wait(PATIENT)

    server.answers["/events"] = stream
    assert wait(check(server.url("/events"), contains="event 2"), site)[0]


def test_a_redirect_is_followed_unless_it_is_what_is_expected(server: Server, site: Site) -> None:
    server.answers["/old"] = answer(302, Location="/new")
    server.answers["/new"] = answer(200)
    assert wait(check(server.url("/old")), site)[0]
    assert wait(check(server.url("/old"), status=302), site)[0]
    assert server.asked == ["GET /old", "GET /new", "GET /old"]


def test_a_service_that_comes_up_late_is_waited_for(unused_port: int, site: Site) -> None:
    asked = check(f"http://127.0.0.1:{unused_port}/ok")
    found: list[tuple[bool, str]] = []
    waiting = threading.Thread(target=lambda: found.append(wait(asked, site)))
    waiting.start()
    assert not found
    late = Server(unused_port)
    late.answers["/ok"] = answer(200)
    waiting.join(PATIENT)
    late.close()
    assert found == [(True, "responded as expected")]


def test_a_service_that_is_not_ready_yet_is_asked_again(server: Server, site: Site) -> None:
    def warming_up(request: BaseHTTPRequestHandler) -> None:
        answer(200 if len(server.asked) > 3 else 503)(request)

    server.answers["/ready"] = warming_up
    assert wait(check(server.url("/ready")), site)[0]
    assert len(server.asked) == 4


def test_a_stop_ends_the_wait_with_what_was_seen_last(server: Server, site: Site) -> None:
    server.answers["/no"] = answer(500)
    site.stop._handle(signal.SIGTERM, None)
    url = server.url("/no")
    assert wait(check(url, interval=3600, timeout=86_400), site) == (False, "status 500, expected 200 (stopped)")


@pytest.mark.parametrize("contains", [None, "text"])
def test_credentials_in_a_url_are_sent_and_never_shown(server: Server, site: Site, contains: str | None) -> None:
    server.answers["/x"] = answer(200, b"no")
    asked = check(server.url("/x?token=s3cret", "user:hunter2@"), 0, contains=contains)
    _, seen = wait(asked, site)
    seen = f"{asked.title()} {seen} {asked.commands()}"
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
def test_a_url_that_is_none_is_an_observation_without_its_credentials(site: Site, url: str) -> None:
    true, seen = wait(check(url, 0), site)
    assert not true
    assert "hunter2" not in seen
    assert "s3cret" not in seen


# TLS, redirects, bodies, headers, credentials


@pytest.fixture
def authority() -> trustme.CA:
    """A private certificate authority."""
    return trustme.CA()


@pytest.fixture
def secure(authority: trustme.CA, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts HTTPS servers whose certificates that authority has issued; its own is in `ca.pem`."""
    started: list[Server] = []
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    def start(**issued: Any) -> Server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", **issued).configure_cert(context)
        started.append(Server(tls=context))
        started[-1].answers["/ok"] = answer(200)
        return started[-1]

    yield start
    for each in started:
        each.close()


def test_a_private_authority_is_trusted_when_its_file_is_named(secure: Callable[..., Server], site: Site) -> None:
    url = secure().url("/ok")
    true, seen = wait(check(url, 0), site)
    assert not true
    assert "TLS failed: " in seen
    assert "unable to get local issuer certificate" in seen
    assert wait(check(url, 0, ca_file="ca.pem"), site)[0]
    assert "the file no.pem (ca_file) does not exist" in wait(check(url, 0, ca_file="no.pem"), site)[1]


def test_the_named_authority_counts_even_when_the_environment_names_others(
    secure: Callable[..., Server], site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    assert wait(check(secure().url("/ok"), 0, ca_file="ca.pem", certificate_days=1), site)[0]


def test_looks_that_trust_the_same_authorities_read_them_once(
    secure: Callable[..., Server], site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    load = ssl.SSLContext.load_verify_locations

    def counted(context: ssl.SSLContext, cafile: str, *others: Any) -> None:
        reads.append(cafile)
        load(context, cafile, *others)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", counted)
    asked = check(secure().url("/ok"), 0, ca_file="ca.pem", certificate_days=1, look_timeout=PATIENT)
    found = waiting.all_of([asked] * 20, site.look, [waiting.Progress("") for _ in range(20)])
    assert [outcome.text for outcome in found] == ["responded as expected"] * 20
    assert reads == [str(tmp_path / "ca.pem")]


def test_an_authority_that_was_replaced_is_trusted_no_longer(
    secure: Callable[..., Server], site: Site, tmp_path: Path
) -> None:
    asked = check(secure().url("/ok"), 0, ca_file="ca.pem")
    assert wait(asked, site)[0]
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    (tmp_path / "other.pem").replace(tmp_path / "ca.pem")
    true, seen = wait(asked, site)
    assert not true
    assert "TLS failed: " in seen
    (tmp_path / "ca.pem").write_text("none")
    assert "TLS failed: " in wait(asked, site)[1]


def test_an_expired_certificate_is_said(secure: Callable[..., Server], site: Site) -> None:
    server = secure(not_after=datetime.now(UTC) - timedelta(days=1))
    true, seen = wait(check(server.url("/ok"), 0, ca_file="ca.pem"), site)
    assert not true
    assert "TLS failed: " in seen
    assert "certificate has expired" in seen


def test_a_certificate_that_soon_expires_fails_the_margin(secure: Callable[..., Server], site: Site) -> None:
    url = secure(not_after=datetime.now(UTC) + timedelta(days=10)).url("/ok")
    assert wait(check(url, 0, ca_file="ca.pem", certificate_days=5), site)[0]
    true, seen = wait(check(url, 0, ca_file="ca.pem", certificate_days=20), site)
    assert not true
    assert "its certificate is valid for only 10.0 more days, expected 20" in seen


def test_a_redirect_loop_is_said_and_none_is_followed_when_none_may_be(server: Server, site: Site) -> None:
    server.answers["/loop"] = answer(302, Location="/loop?token=s3cret")
    true, seen = wait(check(server.url("/loop"), 0, redirects=3), site)
    assert not true
    assert seen.startswith("redirected more than 3 times, last to ")
    assert "s3cret" not in seen
    assert "status 302, expected 200" in wait(check(server.url("/loop"), 0, redirects=0), site)[1]


def test_credentials_do_not_follow_a_redirect_to_another_host(
    server: Server, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEALTH_TOKEN", "s3cret-token")
    other = Server()
    other.answers["/x"] = answer(200)
    server.answers["/x"] = answer(302, Location=other.url("/x").replace("127.0.0.1", "localhost"))
    asked = check(server.url("/x"), 0, bearer="HEALTH_TOKEN", request_headers={"X-Key": "k3y-value"})
    assert wait(asked, site)[0]
    other.close()
    assert server.headers[0]["Authorization"] == "Bearer s3cret-token"
    assert server.headers[0]["X-Key"] == "k3y-value"
    assert other.headers[0]["Authorization"] is None
    assert other.headers[0]["X-Key"] is None
    assert site.mask.text("s3cret-token k3y-value") == "(sensitive value) (sensitive value)"
    assert "s3cret" not in str(asked.commands())


def test_basic_credentials_come_from_one_variable(server: Server, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answers["/x"] = answer(200)
    asked = check(server.url("/x"), 0, basic="HEALTH_LOGIN")
    assert "the environment variable HEALTH_LOGIN is not set" in wait(asked, site)[1]
    monkeypatch.setenv("HEALTH_LOGIN", "me:hunter2:x")
    assert wait(asked, site)[0]
    assert base64.b64decode(server.headers[-1]["Authorization"].split()[1]) == b"me:hunter2:x"


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"regex": r"^v\d+"}, None),
        ({"regex": r"^x"}, "the body does not match '^x'"),
        ({"json": {"status": "ok", "parts[1].up": True, "parts[-1].n": 2}}, "the body is not JSON"),
        ({"headers": {"X-Version": r"^1\."}}, None),
        ({"headers": {"X-Version": "^2"}}, "the header X-Version is '1.2', expected '^2'"),
        ({"headers": {"X-None": ""}}, "the header X-None is missing"),
    ],
)
def test_what_an_answer_must_have(server: Server, site: Site, keys: dict[str, Any], problem: str | None) -> None:
    server.answers["/x"] = answer(200, b"v12", X_Version="1.2")
    true, seen = wait(check(server.url("/x"), 0, **keys), site)
    assert true is (problem is None)
    assert problem is None or f"status 200, but {problem}" in seen


@pytest.mark.parametrize(
    ("expected", "problem"),
    [
        ({"status": "ok", "parts[1].up": True, "parts[-1].n": 2}, None),
        ({"parts[1].up": 1}, "parts[1].up in the JSON body is true, expected 1"),
        ({"parts[2].up": True}, "the JSON body has no parts[2].up"),
        ({"status[0]": "o"}, "the JSON body has no status[0]"),
        ({"status.x": "o"}, "the JSON body has no status.x"),
    ],
)
def test_values_in_a_json_body(server: Server, site: Site, expected: dict[str, Any], problem: str | None) -> None:
    server.answers["/x"] = answer(200, b'{"status": "ok", "parts": [{}, {"up": true, "n": 2}]}')
    true, seen = wait(check(server.url("/x"), 0, json=expected), site)
    assert true is (problem is None)
    assert problem is None or problem in seen


def test_an_answer_that_begins_too_late_is_too_late(server: Server, site: Site) -> None:
    def late(request: BaseHTTPRequestHandler) -> None:
        server.closing.wait(0.2)
        answer(200)(request)

    server.answers["/x"] = late
    assert ", expected within 0.1 s" in wait(check(server.url("/x"), 0, max_latency=0.1), site)[1]
    assert wait(check(server.url("/x"), 0, max_latency=30), site)[0]


def test_a_body_that_trickles_does_not_hold_the_check_past_its_time(server: Server, site: Site) -> None:
    """Each byte comes well within the time that a read may take; the body would take ten minutes."""

    def trickle(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "6000")
        request.end_headers()
        while not server.closing.wait(0.1):
            request.wfile.write(b".")

    server.answers["/x"] = trickle
    outcome = site.wait(check(server.url("/x"), 0.4, contains="end"))
    assert not outcome.passed
    assert outcome.seconds < 30
    assert "did not finish in time" in outcome.text


@pytest.mark.parametrize(
    "keys", [{"regex": "("}, {"json": {"a..b": 1}}, {"headers": {"X": "["}}, {"bearer": "s3 cret"}]
)
def test_a_check_that_cannot_be_is_refused_without_showing_secrets(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        check("http://x", **keys)
    assert all("s3 cret" not in detail["msg"] for detail in caught.value.errors())


def test_a_service_that_flaps_passes_once_but_never_three_times_in_a_row(server: Server, site: Site) -> None:
    def flapping(request: BaseHTTPRequestHandler) -> None:
        answer(200 if len(server.asked) % 3 else 503)(request)

    server.answers["/x"] = flapping
    assert wait(check(server.url("/x")), site)[0]
    true, seen = wait(check(server.url("/x"), 1, consecutive=3), site)
    assert not true
    assert len(server.asked) > 6
    assert "in 1 s)" in seen


@pytest.mark.parametrize(
    ("body", "expected", "differs"),
    [
        ('{"n": 9007199254740993.5}', "9007199254740993.5", False),
        ('{"n": 9007199254740993.25}', "9007199254740993.5", True),
        ('{"n": 9007199254740993.50}', "9007199254740993.5", False),
        ('{"n": null}', "null", False),
        ('{"n": 0}', "null", True),
        ('{"m": null}', "null", True),
    ],
)
def test_numbers_are_compared_with_every_digit_and_null_is_a_value(body: str, expected: str, differs: bool) -> None:
    assert bool(list(jsonpath.differences(body, {"n": jsontext.loads(expected)}))) is differs
