"""URLs as they may be shown, and the secrets in them."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit, urlunsplit

_USER_INFO = re.compile(r"(?<=://)[^/\s]*@")


def shown(url: str) -> str:
    """The URL without credentials, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the URL"
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", "")) if host else "the URL"


def credentials(url: str) -> tuple[str, str]:
    """User and password of a URL, decoded; empty if it has none."""
    try:
        parts = urlsplit(url)
        return unquote(parts.username or ""), unquote(parts.password or "")
    except ValueError:
        return "", ""


def secrets(url: str) -> list[str]:
    """The secret in a URL: its password."""
    return [text for text in credentials(url)[1:] if text]


def scrub(text: str) -> str:
    """A text without the user part of any URL in it."""
    return _USER_INFO.sub("***@", text)
