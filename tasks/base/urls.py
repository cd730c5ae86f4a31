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
_SCP = re.compile(r"((?:[^/:@[]*@)?(?:\[[^]/]*\]|[^/:]+)):(.*)")
_AZURE_FOLDER, _AZURE_VERSION = "_git", "v3"  # https://dev.azure.com/o/p/_git/r is git@ssh.dev.azure.com:v3/o/p/r
_AZURE_HOST = re.compile(r"(dev\.azure|visualstudio)\.com(:\d+)?$", re.IGNORECASE)
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


def repository(address: str) -> str:
    """The path of a repository, `group/project`, as its forge names it: the same for all forms of its address.

    Args:
        address: `https://user@host:8443/group/project.git/`, `ssh://git@host:22/group/project`,
            `git@host:group/project.git`, or the path of a folder.
    """
    host, path = "", address
    if "://" in address:
        host, _, path = address.partition("://")[2].partition("/")
        path = unquote(path)
    elif found := _SCP.fullmatch(address):
        host, path = found[1], found[2]
    parts = [part for part in path.split("/") if part not in ("", ".", _AZURE_FOLDER)]
    if _AZURE_HOST.search(host) and parts[:1] == [_AZURE_VERSION]:
        parts = parts[1:]
    return "/".join(parts).removesuffix(".git")


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
        wrong = f"this is not the name of a {bucket}" if parts.netloc else f"it names no {bucket}"
        return f"{wrong}: `{scheme}://{bucket}/prefix`"
    if not bucket and not parts.hostname:
        return f"it names no host: `{scheme}://host/path`"
    if not bucket and parts.port == 0:
        return "it is not a URL"
    if any(unquote(part) in (".", "..") for part in path.split("/")):
        return "its path must not contain `.` or `..`"
    if path and bucket and "" in path.split("/"):
        return "its path must not contain `//`"
    return None
