"""The `http` check: a URL is asked until it answers as expected, or the time is up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from requests import Response

    from . import model
    from .stop import Stop

_LONGEST_TRY = 10.0
_LARGEST_BODY = 1 << 20
_PIECE = 1 << 16


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

    deadline = time.monotonic() + seconds
    follow = not any(300 <= status < 400 for status in check.statuses)  # noqa: PLR2004 - who expects 302 wants to see it
    try:
        with requests.request(check.method, url, timeout=seconds, stream=True, allow_redirects=follow) as response:
            if response.status_code not in check.statuses:
                expected = " or ".join(str(status) for status in check.statuses)
                return f"status {response.status_code}, expected {expected}"
            if contains is None or _body_contains(response, contains, deadline):
                return None
    except requests.exceptions.SSLError as error:
        return f"TLS failed: {_cause(error, url)}"
    except requests.exceptions.ConnectTimeout:
        return "no connection in time"
    except requests.exceptions.Timeout:
        return "connected, but no answer in time"
    except requests.exceptions.ConnectionError as error:
        return _cause(error, url)
    except (requests.RequestException, OSError, ValueError) as error:
        return f"no usable answer: {_cause(error, url)}"
    return f"status {response.status_code}, but the body does not contain {contains!r:.80}"


def _body_contains(response: Response, text: str, deadline: float) -> bool:
    """Whether a text is in the body; a body that never ends (an event stream) is read until the text, or in vain."""
    # requests takes ISO-8859-1 for text that names no charset, as HTTP once said; UTF-8 is what is sent.
    named = "charset" in response.headers.get("Content-Type", "").lower()
    charset, body = (named and response.encoding) or "utf-8", b""
    for piece in response.iter_content(_PIECE):
        body += piece
        try:
            found = text in body.decode(charset, "replace")
        except LookupError:
            charset = "utf-8"
            found = text in body.decode(charset, "replace")
        if found or len(body) >= _LARGEST_BODY or time.monotonic() >= deadline:
            return found
    return False


def _cause(error: BaseException, url: str) -> str:
    """The innermost cause, which is what a person can act on; without the URL, which may have credentials in it."""
    text = str(error)
    for sign, meaning in (
        ("NameResolution", "the host name is not known"),
        ("Name or service not known", "the host name is not known"),
        ("Connection refused", "connection refused"),
        ("RemoteDisconnected", "the connection was closed without an answer"),
        ("Connection reset", "the connection was reset"),
        ("Read timed out", "the answer began, but did not end in time"),
        ("IncompleteRead", "the connection was closed within the answer"),
    ):
        if sign in text:
            return meaning
    while inner := [cause for cause in (getattr(error, "reason", None), *error.args) if isinstance(cause, Exception)]:
        error = inner[0]
    return str(error).replace(url, _without_credentials(url))[:200]


def _without_credentials(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the URL"
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", "")) if host else "the URL"
