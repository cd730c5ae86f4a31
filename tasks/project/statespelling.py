"""One spelling for what names a state or its server, so that two spellings of one state are one state."""

from __future__ import annotations

import os
import posixpath
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from .statekinds import KNOWN, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_PORTS = {"http": 80, "https": 443}
_KEYWORD = re.compile(r"(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|\S*)")  # `host=h dbname='d'`
_ELSEWHERE = {"host": ("PGHOST", "localhost"), "port": ("PGPORT", "5432"), "dbname": ("PGDATABASE", "")}


def spelled(kind: str, setting: str, value: str, *, files: bool = False) -> str:
    """The value of a backend's setting, as every spelling of it is compared.

    Args:
        kind: The backend.
        setting: The setting.
        value: Its value.
        files: Whether the server may keep objects as files, for which `a//b` and `a/b` are one; Amazon's does not.
    """
    if files and setting == "key":
        return posixpath.normpath(value)
    spelling = _SPELLINGS.get((kind, setting))
    return value if spelling is None else spelling(value)


def joined(values: Sequence[str]) -> str:
    """The parts of an object's path, joined as the engine does; expressions stay as they are."""
    if any(value.startswith(UNKNOWN) for value in values):
        return UNKNOWN + "/".join(values)
    return KNOWN + posixpath.normpath("/".join(value.removeprefix(KNOWN) for value in values).lstrip("/"))


def _url(text: str) -> str:
    """A URL without user, fragment, default port, and what servers read alike in its path; other text as it is."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return text
    if not host:
        return text
    shown = f"[{host}]" if ":" in host else host
    server = shown if port in (None, _PORTS.get(parts.scheme)) else f"{shown}:{port}"
    path = posixpath.normpath("/" + unquote(parts.path).lstrip("/"))
    return urlunsplit((parts.scheme, server, path, parts.query, ""))


def _database(text: str) -> str:
    """The server and database of a PostgreSQL connection string, in either of its forms, without its user.

    What it does not say comes from the environment, as for the engine.
    """
    try:
        given = _of_url(text) if "://" in text else dict(_KEYWORD.findall(text))
    except ValueError:
        return text
    found = {name: given.get(name, "").strip("'") for name in _ELSEWHERE}
    for name, (variable, default) in _ELSEWHERE.items():
        found[name] = found[name] or os.environ.get(variable) or default
    user = given.get("user", "").strip("'") or os.environ.get("PGUSER", "")
    return f"{found['host'].lower()}:{found['port']}/{found['dbname'] or user}"


def _of_url(text: str) -> Mapping[str, str]:
    """The keywords that a URL of PostgreSQL stands for.

    Raises:
        ValueError: It is no URL with one host and port.
    """
    parts = urlsplit(text)
    found = {
        "host": parts.hostname or "", "port": str(parts.port or ""), "dbname": unquote(parts.path.lstrip("/")),
        "user": unquote(parts.username or ""),
    }  # fmt: skip
    return found | dict(parse_qsl(parts.query))


def _prefix(text: str) -> str:
    """A prefix of object names, as the engine joins it with the workspace's name."""
    return posixpath.normpath(text.lstrip("/")) if text.strip("/") else ""


def _locked(text: str) -> str:
    """A path in Consul; one lock serves it with and without a slash at its end."""
    return text.rstrip("/")


_SPELLINGS: Mapping[tuple[str, str], Callable[[str], str]] = {
    ("http", "address"): _url,
    ("pg", "conn_str"): _database,
    ("s3", "endpoints.s3"): _url,
    ("s3", "endpoint"): _url,
    ("oss", "endpoint"): _url,
    ("gcs", "prefix"): _prefix,
    ("azurerm", "storage_account_name"): str.lower,
    ("kubernetes", "config_path"): os.path.expanduser,
    ("consul", "path"): _locked,
}
