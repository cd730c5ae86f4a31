"""Parses an image repository's name into the registry's host and path."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# https://github.com/distribution/reference: a name's components
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*")
_HOST = re.compile(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:\d+)?")
# https://docs.docker.com/reference/dockerfile/#from
_FROM = re.compile(r"^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", re.MULTILINE | re.IGNORECASE)
_ARGUMENT = re.compile(r"^\s*ARG\s+(\w+)=(\S+)", re.MULTILINE | re.IGNORECASE)
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")
_FOLDER = re.compile(r"[^:@\s]+")  # how readers of `oci:FOLDER:TAG` find the folder
DOCKER_HUB = "docker.io"
LAYOUT = "oci:"
_DOCKER_HUB_SERVER = "registry-1.docker.io"


@dataclass(frozen=True)
class Repository:
    """A repository: the registry's host (with port) as users write it, and the path within."""

    host: str
    path: str

    @classmethod
    def parse(cls, text: str) -> Repository:
        """Parse a repository's name; without a host it is on Docker Hub.

        Raises:
            ValueError: It is not a repository's name.
        """
        first, _, rest = text.partition("/")
        named = bool(rest) and ("." in first or ":" in first or first == "localhost")
        host, path = (first, rest) if named else (DOCKER_HUB, text)
        if host == DOCKER_HUB and "/" not in path:
            path = f"library/{path}"
        if not _HOST.fullmatch(host):
            raise ValueError(f"'{host}' is not a valid host")
        wrong = [part for part in path.split("/") if not _COMPONENT.fullmatch(part)]
        if wrong:
            raise ValueError(
                f"'{wrong[0]}' is not valid in a repository's name (lowercase letters, digits, `.`, `_`, `-`)"
            )
        return cls(host, path)

    @property
    def server(self) -> str:
        """The host to send requests to."""
        return _DOCKER_HUB_SERVER if self.host == DOCKER_HUB else self.host

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine, where plain HTTP is fine."""
        return is_loopback(self.host)


def layout_folder(text: str) -> str | None:
    """The folder of an image layout, `oci:FOLDER`; None if the repository is a registry's.

    Raises:
        ValueError: It is not a valid folder.
    """
    if not text.startswith(LAYOUT):
        return None
    folder = text.removeprefix(LAYOUT)
    if not _FOLDER.fullmatch(folder):
        raise ValueError(f"'{folder}' is not valid as an image layout's folder: it must not contain `:`, `@` or spaces")
    return folder


def is_loopback(host: str) -> bool:
    """Whether a host (with or without port) is this machine."""
    match = _HOST.fullmatch(host)
    name = match[1].strip("[]") if match else host
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def bases(containerfile: str, args: Mapping[str, str] | None = None) -> list[str]:
    """The base images of a Containerfile, without its own stages and `scratch`.

    Args:
        containerfile: Its text.
        args: Build arguments; they override the defaults of `ARG` before the first `FROM`.
    """
    head = re.split(r"^\s*FROM\s", containerfile, maxsplit=1, flags=re.MULTILINE | re.IGNORECASE)[0]
    values = {**dict(_ARGUMENT.findall(head)), **(args or {})}
    stages: set[str] = {"scratch"}
    found: list[str] = []
    for match in _FROM.finditer(containerfile):
        name = _VARIABLE.sub(lambda variable: values.get(variable[1], variable[0]), match[1])
        if name.lower() not in stages:
            found.append(name)
        if match[2]:
            stages.add(match[2].lower())
    return found
