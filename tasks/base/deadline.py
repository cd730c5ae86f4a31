"""Connections on which a whole answer, its headers included, has the time that was set for reading it.

A socket's own timeout is one for each piece: a server that sends a byte now and then is never late.
"""

from __future__ import annotations

import http.client
import io
import math
import time
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from requests.adapters import DEFAULT_POOLSIZE, HTTPAdapter
from requests.exceptions import InvalidSchema, RequestException

from . import trust

if TYPE_CHECKING:
    import socket

    from _typeshed import WriteableBuffer
    from urllib3 import PoolManager, ProxyManager
    from urllib3.connectionpool import HTTPConnectionPool

_SHORTEST = 0.001  # seconds; 0 would mean not to wait for a socket at all


class _Timed(io.RawIOBase):
    """What a socket receives, until a moment."""

    def __init__(self, sock: socket.socket, end: float) -> None:
        super().__init__()
        self._sock, self._end = sock, end
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        """Receive what is there; waits no longer than until the end."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(max(left, _SHORTEST) if left < math.inf else None)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        """Let go of the socket."""
        self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """An answer that has to be there in the time that the socket has for a piece of it."""

    def __init__(
        self, sock: socket.socket, debuglevel: int = 0, method: str | None = None, url: str | None = None
    ) -> None:
        super().__init__(sock, debuglevel, method, url)
        seconds = sock.gettimeout()
        if self.fp is not None:
            self.fp.close()
        self.fp = io.BufferedReader(_Timed(sock, time.monotonic() + (math.inf if seconds is None else seconds)))


class NoSocksError(RequestException):
    """A proxy speaks SOCKS, and what speaks it is not installed."""


@cache
def _timed(pool: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
    """A kind of connections, with the time for a whole answer."""
    connection = type(f"Timed{pool.ConnectionCls.__name__}", (pool.ConnectionCls,), {"response_class": _Answer})
    return type(f"Timed{pool.__name__}", (pool,), {"ConnectionCls": connection})


def _all_timed(manager: PoolManager) -> None:
    kinds = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {scheme: _timed(pool) for scheme, pool in kinds.items()}


class Adapter(HTTPAdapter):
    """Makes the connections of a session, to a proxy, too; those that trust the same CAs share a TLS context.

    Args:
        kept: The most connections to one host that are kept for the next request.
    """

    def __init__(self, kept: int = DEFAULT_POOLSIZE) -> None:
        super().__init__(pool_maxsize=kept)
        _all_timed(self.poolmanager)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Called by requests for the connections of one host."""
        prepare: Any = super().cert_verify  # untyped
        prepare(conn, url, verify, cert)
        own = conn.ca_certs and not conn.cert_file
        if own and (conn.proxy is None or conn.proxy.scheme == "http"):  # a proxy with TLS has to be trusted, too
            with suppress(OSError):  # the connection says what is wrong with the file
                conn.conn_kw["ssl_context"] = trust.context(conn.ca_certs)
                conn.ca_certs = None

    def proxy_manager_for(self, proxy: str, **options: Any) -> ProxyManager:
        """Called by requests; connections through SOCKS are of a kind of their own.

        Raises:
            NoSocksError: The proxy speaks SOCKS, and PySocks is not installed.
        """
        is_new = proxy not in self.proxy_manager
        try:
            manager: ProxyManager = super().proxy_manager_for(proxy, **options)
        except InvalidSchema:
            raise NoSocksError(
                "the proxy that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names speaks SOCKS, which needs PySocks:"
                " run `pip install pysocks`"
            ) from None
        if is_new:
            _all_timed(manager)
        return manager
