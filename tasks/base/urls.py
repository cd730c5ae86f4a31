"""URLs as they may be shown, and the secrets in them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Collection
    from urllib.parse import SplitResult

_USER_INFO = re.compile(r"(?<=://)[^/\s]*@")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(//)?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BUCKET = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._-]*", re.ASCII)
_BUCKETS = {"s3": "bucket", "gs": "bucket", "az": "container"}  # what the first part of such a URL names


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


def place_problem(address: str, schemes: Collection[str], *, folder: bool = True) -> str | None:
    """Why an address names no place for files; None if it names one. It is not in the text, as it may hold a secret.

    Args:
        address: A URL, or a folder; what it takes from variables is filled in.
        schemes: The schemes that are known, in lower case.
        folder: Whether it may be a folder.
    """
    if not address.strip():
        return "it is empty"
    if _CONTROL.search(address):
        return "it contains a control character"
    found = _SCHEME.match(address)
    if found is None:
        return None if folder else f"it must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}"
    scheme = found[1].lower()
    if scheme not in schemes:
        known = ", ".join(schemes) + (" or a folder" if folder else "")
        path = "; a folder is written without it" if folder and scheme == "file" else ""
        return f"nothing can be kept at `{scheme}:{found[2] or ''}`; use {known}{path}"
    if not found[2]:
        return f"after `{scheme}:` there must be `//`"
    try:
        return _url_problem(scheme, urlsplit(address), address)
    except ValueError:
        return "it is not a URL"


def _url_problem(scheme: str, parts: SplitResult, address: str) -> str | None:
    if "@" in parts.netloc:
        return "it must not contain credentials, as everyone could read them"
    if "?" in address or "#" in address:
        return "it must not contain a query or a fragment: what is after `?` or `#` would not be sent, or be a secret"
    if re.search(r"\s", address):
        return "it contains a space"
    bucket, path = _BUCKETS.get(scheme), parts.path.strip("/")
    if bucket and not _BUCKET.fullmatch(parts.netloc):
        return f"it names no {bucket}: `{scheme}://{bucket}/prefix`" if not parts.netloc else f"this is no {bucket}'s name"
    if not bucket and not parts.hostname:
        return f"it names no host: `{scheme}://host/path`"
    if not bucket and parts.port == 0:
        return "it is not a URL"
    if any(unquote(part) in (".", "..") for part in path.split("/")):
        return "its path must not contain `.` or `..`"
    if path and bucket and "" in path.split("/"):
        return "its path must not contain `//`"
    return None
