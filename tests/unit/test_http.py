"""The HTTP client: whom it tells a secret, how long it goes on trying, and what it says when there is no answer."""

from __future__ import annotations

import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import certifi
import pytest
import requests
import trustme

from tasks.base import http
from tasks.base.http import Client, NoAnswerError
from tasks.base.stop import Stop
from tests.servers.web import Server, answer

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = {"Authorization": "Bearer s3cret-token", "X-Key": "k3y-value"}


@pytest.fixture
def server() -> Iterator[Server]:
    """A server."""
    made = Server()
    yield made
    made.close()


@pytest.fixture
def other() -> Iterator[Server]:
    """A server of another origin."""
    made = Server()
    yield made
    made.close()


@pytest.fixture
def waits() -> list[float]:
    """The pauses of `client`, which are noted and not waited for."""
    return []


def client(server: Server, waits: list[float] | None = None, **options: Any) -> Client:
    """A client of a server that does not really wait."""

    def wait(seconds: float) -> bool:
        if waits is not None:
            waits.append(seconds)
        return False

    return Client(wait, base=server.url(""), **{"seconds": 60, "pause": 1.0, **options})


def sent(server: Server, name: str) -> list[str | None]:
    """What the requests to a server had in a header."""
    return [headers[name] for headers in server.headers]


def in_turn(*answers: Any) -> Any:
    """One answer after the other."""
    left = list(answers)

    def act(request: BaseHTTPRequestHandler) -> None:
        left.pop(0)(request)

    return act


# How long it goes on


def test_all_tries_of_all_requests_have_one_bound(server: Server, waits: list[float]) -> None:
    server.answers["/busy"] = answer(503)
    asked = client(server, waits, seconds=10)
    for _ in range(2):
        with pytest.raises(NoAnswerError, match="status 503; gave up"):
            asked.request("GET", "/busy")
    assert waits == [1, 2, 4, 1]
    assert len(server.asked) == len(waits) + 2


def test_requests_that_succeed_count_unless_only_lost_time_does(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(http, "time", SimpleNamespace(monotonic=lambda: clock[0], time=time.time))

    def late(request: BaseHTTPRequestHandler) -> None:
        clock[0] += 20
        answer(200)(request)

    server.answers["/x"] = late
    strict, patient = client(server, seconds=60), client(server, seconds=60, only_lost=True)
    assert [strict.request("GET", "/x").status for _ in range(3)] == [200] * 3
    with pytest.raises(NoAnswerError, match="no time left"):
        strict.request("GET", "/x")
    assert [patient.request("GET", "/x").status for _ in range(5)] == [200] * 5


def test_the_time_of_failed_tries_counts_too(
    server: Server, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(http, "time", SimpleNamespace(monotonic=lambda: clock[0], time=time.time))

    def late(request: BaseHTTPRequestHandler) -> None:
        clock[0] += 20
        answer(503)(request)

    server.answers["/x"] = late
    with pytest.raises(NoAnswerError, match="status 503"):
        client(server, waits, only_lost=True).request("GET", "/x")
    assert waits == [1, 2]
    assert len(server.asked) == 3


def test_the_tries_of_one_request_are_counted(server: Server, waits: list[float]) -> None:
    server.answers["/busy"] = answer(429)
    with pytest.raises(NoAnswerError) as caught:
        client(server, waits, tries=3).request("GET", "/busy")
    assert len(server.asked) == 3
    assert waits == [1, 2]
    assert caught.value.answer is not None
    assert caught.value.answer.status == 429


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 522])
def test_what_may_pass_is_tried_again(server: Server, status: int) -> None:
    server.answers["/x"] = in_turn(answer(status), answer(200, b"well"))
    assert client(server).request("GET", "/x").content == b"well"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412])
def test_a_refusal_is_an_answer(server: Server, status: int) -> None:
    server.answers["/x"] = answer(status)
    assert client(server).request("PUT", "/x", data=b"x").status == status
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("status", "headers", "between"),
    [
        (429, {"Retry_After": "7"}, (7, 7)),
        (503, {"Retry_After": " 7 "}, (7, 7)),
        (403, {"Retry_After": "7"}, (7, 7)),
        (429, {"Retry_After": "in 25 s"}, (10, 26)),
        (429, {"Retry_After": "in -7 s"}, (0.05, 0.05)),
        (429, {"Retry_After": "soon"}, (1, 1)),
        (429, {"Retry_After": "9" * 5000}, (1, 1)),
        (429, {"Retry_After": "3600"}, (30, 30)),
        (429, {"RateLimit_Reset": "in 25 s"}, (10, 26)),
        (403, {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "in 25 s"}, (10, 26)),
        (500, {"X_RateLimit_Remaining": "12", "X_RateLimit_Reset": "in 25 s"}, (1, 1)),
    ],
)
def test_the_server_says_when_to_ask_again(
    server: Server, waits: list[float], status: int, headers: dict[str, str], between: tuple[float, float]
) -> None:
    for name, value in headers.items():
        if value.startswith("in "):
            moment = time.time() + float(value.split()[1])
            headers = {**headers, name: formatdate(moment, usegmt=True) if "Retry" in name else str(int(moment))}
    server.answers["/x"] = in_turn(answer(status, **headers), answer(200))
    assert client(server, waits).request("GET", "/x").status == 200
    assert len(waits) == 1
    assert between[0] <= waits[0] <= between[1]


def test_a_pause_that_is_longer_than_the_bound_is_not_begun(server: Server, waits: list[float]) -> None:
    server.answers["/x"] = answer(429, Retry_After="3600")
    with pytest.raises(NoAnswerError, match="status 429; the server asks to wait 3600 s; gave up"):
        client(server, waits, longest_asked=float("inf")).request("GET", "/x")
    assert waits == []


def test_a_stop_ends_a_pause_at_once(server: Server) -> None:
    stop = Stop(lambda _: None)
    server.answers["/x"] = answer(503, Retry_After="25")
    threading.Timer(0.2, stop._handle, (signal.SIGTERM, None)).start()
    began = time.monotonic()
    with pytest.raises(NoAnswerError, match="status 503; stopped"):
        Client(stop.wait, base=server.url(""), seconds=60).request("GET", "/x")
    assert time.monotonic() - began < 15
    assert len(server.asked) == 1


def test_a_body_that_drips_is_given_up(server: Server) -> None:
    def drip(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "6000")
        request.end_headers()
        while not server.closing.wait(0.05):
            request.wfile.write(b".")

    server.answers["/x"] = drip
    began = time.monotonic()
    with pytest.raises(NoAnswerError, match="in time; gave up"):
        client(server, timeout=0.3, tries=2).request("GET", "/x")
    assert time.monotonic() - began < 30
    assert len(server.asked) == 2


SOCKS = """
import socket

PROXY_TYPE_SOCKS4, PROXY_TYPE_SOCKS5 = 1, 2

class ProxyError(OSError):
    socket_err = None

class socksocket(socket.socket): ...

def create_connection(address, *, timeout, proxy_type, proxy_addr, proxy_port, socket_options=None, **login):
    assert (proxy_type, proxy_addr) == (PROXY_TYPE_SOCKS5, "127.0.0.1")
    return socket.create_connection((proxy_addr, proxy_port), timeout)
"""


def test_headers_that_drip_through_a_socks_proxy_are_given_up(server: Server, tmp_path: Path) -> None:
    def drip(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not server.closing.wait(0.05):
            request.wfile.write(b".")

    server.answers["/x"] = drip
    (tmp_path / "socks.py").write_text(SOCKS)  # stands for PySocks, and for the proxy
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[1])\n"
        "from tasks.base.http import Client, NoAnswerError\n"
        "try: Client(time.sleep, seconds=60, tries=1, timeout=2).request('GET', 'http://somewhere.test/x')\n"
        "except NoAnswerError as error: print(error)"
    )
    proxy = server.url("").replace("http:", "socks5h:")
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=Path(__file__).parents[2], check=True, timeout=40, text=True,
        capture_output=True, env={"ALL_PROXY": proxy},
    )  # fmt: skip
    assert done.stdout == "connected, but no response in time\n"
    assert len(server.asked) == 1


def test_a_socks_proxy_without_its_library_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> None:
        raise requests.exceptions.InvalidSchema("Missing dependencies for SOCKS support.")

    monkeypatch.setattr("requests.adapters.SOCKSProxyManager", missing)
    monkeypatch.setenv("ALL_PROXY", "socks5://user:s3cret@127.0.0.1:1")
    with pytest.raises(NoAnswerError, match=r"speaks SOCKS, .*`pip install pysocks`$") as caught:
        Client(time.sleep, seconds=60).request("GET", "http://somewhere.test/")
    assert not isinstance(caught.value, http.UnsendableError)


def test_a_body_without_end_is_not_kept(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_LARGEST", 1000)
    server.answers["/x"] = answer(200, b"x" * 1001)
    with pytest.raises(NoAnswerError, match="too long"):
        client(server).request("GET", "/x")
    assert len(server.asked) == 1


# Whom it tells a secret


def test_a_secret_goes_into_headers_of_its_origin(server: Server, other: Server) -> None:
    server.answers["/x"] = answer(302, Location="/y")
    server.answers["/y"] = answer(302, Location=other.url("/x"))
    other.answers["/x"] = answer(302, Location=server.url("/z"))
    server.answers["/z"] = answer(200)
    assert client(server, secret=SECRET).request("GET", "/x").status == 200
    for name, value in SECRET.items():
        assert sent(server, name) == [value, value, None]  # one that was away does not get it back
        assert sent(other, name) == [None]


def test_a_write_is_not_sent_on(server: Server, other: Server) -> None:
    for status in (301, 302, 303, 307, 308):
        server.answers["/x"] = answer(status, Location=other.url("/x"))
        found = client(server, secret=SECRET).request("PUT", "/x", data=b"x")
        assert (found.status, found.redirect) == (status, other.url("/x"))
    assert other.asked == []


def test_redirects_are_announced_and_end(server: Server) -> None:
    server.answers["/x"] = answer(302, Location="/x")
    moves: list[tuple[str, ...]] = []
    with pytest.raises(NoAnswerError, match="too many redirects"):
        client(server, moved=lambda *move: moves.append(move)).request("GET", "/x")
    assert moves == [("GET", server.url("/x"), server.url("/x"))] * 4


def test_the_same_name_on_another_port_or_without_tls_is_another_origin() -> None:
    leaves = http.Session().leaves
    assert leaves("https://a.test/x", "http://a.test/x")
    assert leaves("https://a.test/x", "https://a.test:8443/x")
    assert leaves("https://a.test/x", "https://a.test.evil.test/x")
    assert leaves("https://a.test/x", "https://a.test:99999999/x")
    assert not leaves("https://a.test/x", "https://a.test:443/y")
    assert not leaves("http://a.test/x", "https://a.test/y")


def test_a_netrc_is_not_read(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server.answers["/x"] = answer(302, Location="/y")
    server.answers["/y"] = answer(200)
    client(server).request("GET", "/x")
    client(server, secret={"X-Key": "k3y-value"}).request("GET", "/x")
    with http.Session() as session:
        session.get(server.url("/x"), timeout=5)
    assert sent(server, "Authorization") == [None] * 6
    client(server, secret=SECRET).request("GET", "/x")
    assert sent(server, "Authorization")[6:] == [SECRET["Authorization"]] * 2


def test_a_session_that_follows_redirects_leaves_secrets_behind(server: Server, other: Server) -> None:
    server.answers["/x"] = answer(302, Location=other.url("/x"))
    other.answers["/x"] = answer(200)
    moves: list[str] = []
    with http.Session(http.Credentials(SECRET), own=["X-Key"], moved=moves.append) as session:
        assert session.get(server.url("/x"), timeout=5).status_code == 200
    for name, value in SECRET.items():
        assert (sent(server, name), sent(other, name)) == ([value], [None])
    assert moves == [other.url("/x")]


def test_the_login_in_a_url_is_sent_where_there_is_no_other(server: Server) -> None:
    server.answers["/x"] = answer(200)
    with http.Session() as session:
        session.get(server.url("/x", "user:p%40ss@"), timeout=5)
    with http.Session(http.Credentials({"Authorization": "Bearer t"})) as session:
        session.get(server.url("/x", "user:p%40ss@"), timeout=5)
    assert sent(server, "Authorization") == ["Basic dXNlcjpwQHNz", "Bearer t"]


# What it says


def test_why_there_is_no_answer_is_said_in_words(server: Server) -> None:
    def no_answer(request: BaseHTTPRequestHandler) -> None:
        request.connection.shutdown(socket.SHUT_RDWR)

    server.answers |= {
        "/closed": no_answer, "/short": answer(200, b"half", length=1000),
        "/slow": lambda _: server.closing.wait(60), "/zip": answer(200, b"no gzip", Content_Encoding="gzip"),
    }  # fmt: skip
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        unused = f"http://127.0.0.1:{probe.getsockname()[1]}/"
    for url, words in {
        unused: "^connection refused$",
        "http://no-such-host.invalid/": "^the host name cannot be resolved$",
        server.url("/closed"): "^the connection was closed without a response$",
        server.url("/short"): "^no usable response: the connection was closed in the middle of the response$",
        server.url("/slow"): "^connected, but no response in time$",
        server.url("/zip"): "^no usable response: .*decompress",
    }.items():
        with pytest.raises(NoAnswerError, match=words):
            Client(time.sleep, seconds=60, tries=1, timeout=1 if "slow" in url else 30).request("GET", url)


@pytest.mark.parametrize(
    ("url", "secret"),
    [("http://127.0.0.1:1/", {"X-Key": "s3cret\nX-Other: y"}), ("http://127.0.0.1:1/", {"X-Key": "s3cret€"}),
     ("ftp://user:s3cret@host/", {}), ("http://user:s3cret@[/", {}), ("", {})],
)  # fmt: skip
def test_what_cannot_be_sent_is_said_at_once_without_showing_it(url: str, secret: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        target = url.replace(":1/", f":{listening.getsockname()[1]}/")
        with pytest.raises(http.UnsendableError) as caught:
            Client(time.sleep, seconds=60).request("GET", target, secret=secret)
    assert "s3cret" not in str(caught.value)


def test_a_cause_without_words_shows_no_url() -> None:
    error = ValueError("cannot do http://user:s3cret@host/t0k3n")
    assert http.cause(error) == "ValueError"
    assert http.cause(error, "http://user:s3cret@host/t0k3n") == "cannot do http://host/t0k3n"


@pytest.mark.parametrize("named", [False, True])
def test_tls_is_checked_against_the_authorities_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    server, waits = Server(tls=context), []  # type: ignore[var-annotated]
    server.answers["/x"] = answer(200)
    if named:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
        assert client(server, secret=SECRET).request("GET", "/x").status == 200
    else:
        with pytest.raises(http.TlsError, match=r"TLS failed: .*unable to get local issuer certificate"):
            client(server, waits, secret=SECRET).request("GET", "/x")
        assert (waits, server.asked) == ([], [])
    # Also where the environment names authorities that have not issued it.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    assert client(server, verify=False).request("GET", "/x").status == 200
    server.close()


# Lists


def test_pages_are_asked_for_by_number_until_there_is_no_next_one(server: Server, other: Server) -> None:
    link = f'<{other.url("/steal")}>; rel="next"'
    server.answers["/list"] = in_turn(
        answer(200, b'{"of": [{"id": 1}, "no object"]}', Link=link), answer(200, b'{"of": []}', X_Next_Page="3"),
        answer(200, b'{"of": [{"id": 2}]}'),
    )  # fmt: skip
    asked = client(server, secret=SECRET)
    assert [item["id"] for item in asked.items("/list", {"q": "x"}, within="of")] == [1, 2]
    assert server.asked == [f"GET /list?q=x&per_page=100&page={number}" for number in (1, 2, 3)]
    assert other.asked == []


@pytest.mark.parametrize(
    ("found", "kind", "said"),
    [
        (answer(200, b"<html>"), http.GarbageError, "not JSON"),
        (answer(200, b"[" * 100_000), http.GarbageError, "not JSON"),
        (answer(200, b'{"of": 1}'), http.GarbageError, "not a list"),
        (answer(404), http.RefusedError, "status 404"),
        (answer(304), http.RefusedError, "status 304"),
    ],
)
def test_what_is_no_list_is_told_from_a_refusal(server: Server, found: Any, kind: type[Exception], said: str) -> None:
    server.answers["/list"] = found
    with pytest.raises(kind, match=said):
        list(client(server).items("/list", {}))


def test_what_makes_no_request_brings_no_http_library() -> None:
    """Every module is imported, apart from those that a request brings."""
    root = Path(http.__file__).parents[1]
    modules = [
        ".".join(path.relative_to(root.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted(root.rglob("*.py"))
        if path.relative_to(root).as_posix() not in ("base/http.py", *_WITH_REQUESTS)
    ]
    assert len(modules) > 100
    code = (
        f"import importlib, sys\nfor name in {modules}: importlib.import_module(name)\nprint('requests' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root.parent, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "False"


_WITH_REQUESTS = (
    "base/deadline.py", "base/session.py", "base/objects/web.py", "forges/drifted.py", "forges/http.py", "forges/github.py", "forges/gitlab.py",
    "forges/witness.py", "proposals.py",
)  # fmt: skip
