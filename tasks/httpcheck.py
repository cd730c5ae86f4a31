"""The `http` check: a URL is asked until it answers as expected, or the time is up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from . import model
    from .stop import Stop

_LONGEST_TRY = 10.0
_LARGEST_BODY = 1 << 20


def wait(check: model.HttpCheck, url: str, contains: str | None, stop: Stop) -> tuple[bool, str]:
    """Ask until the answer is the expected one.

    Args:
        check: What is expected.
        url: The URL, filled in.
        contains: Text that the body must contain, filled in.
        stop: Ends the wait early.

    Returns:
        Whether it came true, and the last observation in words, the URL without its credentials.
    """
    shown, deadline, tries = _without_credentials(url), time.monotonic() + check.timeout, 0
    while True:
        tries += 1
        left = max(deadline - time.monotonic(), 0.1)
        problem = _ask(check, url, contains, min(left, _LONGEST_TRY))
        if problem is None:
            return True, f"{shown} answered as expected"
        if time.monotonic() + check.interval >= deadline:
            return False, f"{shown}: {problem} (last of {tries} tries in {check.timeout:g} s)"
        if stop.wait(check.interval):
            return False, f"{shown}: {problem}; stopped"


def _ask(check: model.HttpCheck, url: str, contains: str | None, seconds: float) -> str | None:
    """One request; None when the answer is the expected one, else what was observed."""
    import requests

    try:
        with requests.request(check.method, url, timeout=seconds, stream=True) as response:
            if response.status_code not in check.statuses:
                expected = " or ".join(str(status) for status in check.statuses)
                return f"status {response.status_code}, expected {expected}"
            if contains is None:
                return None
            body = response.raw.read(_LARGEST_BODY, decode_content=True)
    except requests.exceptions.SSLError as error:
        return f"TLS failed: {_cause(error)}"
    except requests.exceptions.ConnectTimeout:
        return "no connection in time"
    except requests.exceptions.Timeout:
        return "connected, but no answer in time"
    except requests.exceptions.ConnectionError as error:
        return _cause(error)
    except (requests.RequestException, OSError, ValueError) as error:
        return f"no usable answer: {_cause(error)}"
    text = body.decode(response.encoding or "utf-8", "replace")
    return (
        None if contains in text else f"status {response.status_code}, but the body does not contain {contains!r:.80}"
    )


def _cause(error: BaseException) -> str:
    """The innermost cause, which is what a person can act on."""
    text = str(error)
    for sign, meaning in (
        ("NameResolution", "the host name is not known"),
        ("Name or service not known", "the host name is not known"),
        ("Connection refused", "connection refused"),
        ("RemoteDisconnected", "the connection was closed without an answer"),
        ("Connection reset", "the connection was reset"),
    ):
        if sign in text:
            return meaning
    return text[:200]


def _without_credentials(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path, "", ""))
    except ValueError:
        return "the URL"
