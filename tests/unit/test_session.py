"""Sessions take over what `requests` does for each request, faster: what they send stays the same."""

from __future__ import annotations

import urllib.request
from typing import Any

import pytest
import requests
from requests.cookies import cookiejar_from_dict

from tasks.base import proxy
from tasks.base.session import Credentials, Session

VARIABLES = {
    "HTTP_PROXY": "http://proxy.test:3128", "https_proxy": "http://other.test:3128", "NO_PROXY": "near.test",
    "REQUESTS_CA_BUNDLE": "/ca.pem", "CURL_CA_BUNDLE": "/curl.pem",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, "http_proxy", "HTTPS_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def both(**options: Any) -> tuple[requests.PreparedRequest, requests.PreparedRequest]:
    """A request as a session of ours prepares it, and as one of `requests` does."""
    ours, theirs = Session(Credentials({"X-Key": "k3y"}, ("user", "word"))), requests.Session()
    theirs.auth, theirs.headers = ours.auth, ours.headers.copy()
    cookies = options.pop("session_cookies", {})
    for session in (ours, theirs):
        session.cookies = cookiejar_from_dict(cookies)
    request = requests.Request(**options)
    return ours.prepare_request(request), theirs.prepare_request(request)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"headers": {"user-agent": "mine", "Accept": None, "X-One": "1"}},
        {"method": "post", "data": b"body"},
        {"method": "POST", "data": {"a": "b c"}},
        {"method": "put", "json": {"a": [1, None]}},
        {"params": {"q": ["a", "b"], "none": None}},
        {"url": "HTTP://münchen.test:80/a b?c=d#e"},
        {"url": "https://u:p@x.test/"},
        {"auth": ("other", "word")},
        {"cookies": {"a": "1"}},
        {"session_cookies": {"b": "2"}},
        {"session_cookies": {"b": "2"}, "cookies": {"a": "1"}},
        {"hooks": {"response": [print]}},
    ],
)
def test_a_request_is_the_one_that_requests_prepares(options: dict[str, Any]) -> None:
    ours, theirs = both(**{"method": "GET", "url": "http://x.test/path", **options})
    assert (ours.method, ours.url, ours.body, ours.hooks) == (theirs.method, theirs.url, theirs.body, theirs.hooks)
    assert list(ours.headers.items()) == list(theirs.headers.items())
    assert ours._cookies.get_dict() == theirs._cookies.get_dict()  # type: ignore[attr-defined]


@pytest.mark.parametrize("names", [[], ["HTTP_PROXY", "NO_PROXY"], ["https_proxy"], [*VARIABLES]])
@pytest.mark.parametrize("url", ["http://x.test/", "https://x.test/", "http://near.test/"])
@pytest.mark.parametrize("verify", [None, True, False, "/own.pem"])
@pytest.mark.parametrize("own", [{}, {"trust_env": False}, {"proxies": {"http": "http://own.test"}}, {"verify": "/s"}])
def test_settings_are_the_ones_that_requests_finds(
    names: list[str], url: str, verify: Any, own: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in names:
        monkeypatch.setenv(name, VARIABLES[name])
    found = []
    for session in (Session(), requests.Session()):
        vars(session).update(own)
        found.append(session.merge_environment_settings(url, {}, True, verify, None))
    assert found[0] == found[1]


def test_sessions_share_nothing() -> None:
    one, other = Session(), Session()
    one.headers["X-One"], one.proxies["http"], one.params["q"] = "1", "http://x", "1"  # type: ignore[index]
    one.cookies["a"] = "1"
    one.hooks["response"].append(print)
    assert "X-One" not in other.headers
    assert [*other.proxies, *other.params, *other.cookies, *other.hooks["response"]] == []
    assert one.get_adapter("http://x") is not other.get_adapter("http://x")


def test_sessions_that_begin_together_read_the_environment_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []
    real = urllib.request.getproxies

    def counted() -> dict[str, str]:
        reads.append(1)
        return real()

    monkeypatch.setattr(proxy, "getproxies", counted)
    monkeypatch.setattr(proxy.time, "monotonic", lambda: 7e9)
    for _ in range(100):
        Session().merge_environment_settings("http://x.test/", {}, True, None, None)
    assert len(reads) == 1
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.test:3128")
    assert Session().merge_environment_settings("http://x.test/", {}, True, None, None)["proxies"]
