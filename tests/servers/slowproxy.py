"""A proxy in front of a server that is far away: every answer takes a while, and all that passes is counted."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field


@dataclass
class Traffic:
    """What passed: connections, turns (a request and its answer), bytes to the server and back, seconds of waiting."""

    connections: int = 0
    turns: int = 0
    sent: int = 0
    received: int = 0

    def less(self, other: Traffic) -> Traffic:
        """What passed since."""
        return Traffic(
            self.connections - other.connections, self.turns - other.turns, self.sent - other.sent,
            self.received - other.received,
        )  # fmt: skip

    def copy(self) -> Traffic:
        """What passed until now."""
        return self.less(Traffic())


@dataclass
class SlowProxy:
    """A TCP proxy at `host`.

    Args:
        target: The server's `host:port`.
        latency: Seconds of a round trip: before a connection is made, and before each answer.
    """

    target: str
    latency: float = 0.0
    traffic: Traffic = field(default_factory=Traffic)

    def __post_init__(self) -> None:
        self._guard = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """End it."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # ends the wait for the next connection
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        time.sleep(self.latency)
        name, _, port = self.target.rpartition(":")
        with self._guard:
            self.traffic.connections += 1
        with suppress(ConnectionRefusedError), client, socket.create_connection((name, int(port))) as server:
            asked = threading.Event()
            back = threading.Thread(target=self._answers, args=(server, client, asked), daemon=True)
            back.start()
            with suppress(OSError):
                while data := client.recv(1 << 16):
                    with self._guard:
                        self.traffic.sent += len(data)
                    asked.set()
                    server.sendall(data)
                server.shutdown(socket.SHUT_WR)
            back.join()

    def _answers(self, server: socket.socket, client: socket.socket, asked: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 16):
                if asked.is_set():  # the first part of an answer
                    asked.clear()
                    time.sleep(self.latency)
                    with self._guard:
                        self.traffic.turns += 1
                with self._guard:
                    self.traffic.received += len(data)
                client.sendall(data)
            client.shutdown(socket.SHUT_WR)
