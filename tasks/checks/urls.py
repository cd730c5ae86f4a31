"""URLs of checks: shown without what may be secret in them, and why one could not be had, in words."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

_SIGNS = (
    ("NameResolution", "the host name is not known"),
    ("Name or service not known", "the host name is not known"),
    ("Connection refused", "connection refused"),
    ("RemoteDisconnected", "the connection was closed without an answer"),
    ("Connection reset", "the connection was reset"),
    ("Read timed out", "the answer began, but did not end in time"),
    ("IncompleteRead", "the connection was closed within the answer"),
)


def shown(url: str) -> str:
    """The URL without credentials, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the URL"
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", "")) if host else "the URL"


def credentials(url: str) -> tuple[str, str]:
    """User and password of a URL, decoded; empty when there are none."""
    try:
        parts = urlsplit(url)
        return unquote(parts.username or ""), unquote(parts.password or "")
    except ValueError:
        return "", ""


def secrets(url: str) -> list[str]:
    """What is secret in a URL: its password."""
    return [text for text in credentials(url)[1:] if text]


def cause(error: BaseException, url: str) -> str:
    """The innermost cause, which is what a person can act on; without the URL, which may have credentials in it."""
    text = str(error)
    for sign, meaning in _SIGNS:
        if sign in text:
            return meaning
    while inner := [item for item in (getattr(error, "reason", None), *error.args) if isinstance(item, Exception)]:
        error = inner[0]
    return str(error).replace(url, shown(url))[:200]


def certificate_days(url: str, trust: str | None, seconds: float) -> float:
    """The days that the certificate of a URL's host is valid for yet, over a connection of its own.

    Raises:
        OSError: There is no connection, or it is not trusted.
    """
    import os
    import socket
    import ssl
    import time

    from certifi import where

    parts = urlsplit(url)
    context = ssl.create_default_context(cafile=trust or os.environ.get("REQUESTS_CA_BUNDLE") or where())
    with (
        socket.create_connection((str(parts.hostname), parts.port or 443), timeout=seconds) as plain,
        context.wrap_socket(plain, server_hostname=parts.hostname) as connection,
    ):
        certificate: dict[str, Any] = connection.getpeercert() or {}
    return (ssl.cert_time_to_seconds(str(certificate["notAfter"])) - time.time()) / 86_400
