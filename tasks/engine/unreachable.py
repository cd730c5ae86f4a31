"""A registry or repository that `init` could not reach, read from what the engine printed."""

from __future__ import annotations

import re
from dataclasses import dataclass

_CAUSES = re.compile(
    r"no such host|could not resolve host|connection refused|connection reset by peer|network is unreachable"
    r"|no route to host|i/o timeout|TLS handshake timeout|connection timed out|Client\.Timeout exceeded"
    r"|certificate signed by unknown authority|server misbehaving",
    re.IGNORECASE,
)
_HOST = re.compile(
    r"""could not connect to ([\w.-]+)|resolve host:? '?([\w.-]+)|(?:Get|Head) "?https?://(?:[^/@\s"]*@)?([\w.-]+)"""
    r"|unable to access '?https?://(?:[^/@\s']*@)?([\w.-]+)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Unreachable:
    """A host, and why it could not be reached."""

    host: str
    cause: str

    @property
    def next_step(self) -> str:
        """What to check."""
        return f"check the name {self.host}, the network and HTTPS_PROXY, then run the same command again"


def read(output: str) -> Unreachable | None:
    """The first host that a command could not reach; None if it failed for another reason."""
    text = " ".join(output.split())  # the engine wraps its lines
    cause, host = _CAUSES.search(text), _HOST.search(text)
    if cause is None or host is None:
        return None
    return Unreachable(next(name for name in host.groups() if name), cause[0])
