"""A real PostgreSQL server in a temporary folder, reached over loopback with a password."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

USER, PASSWORD = "keeper", "pg-password-7741-scram"
_PATIENCE = 60.0


class Postgres:
    """A server that is running; `stop` and `start` may follow each other, its data stays until `remove`.

    Raises:
        FileNotFoundError: There is no PostgreSQL on this machine.
    """

    def __init__(self) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
        on_path = shutil.which("postgres")
        if not found and not on_path:
            raise FileNotFoundError("there is no PostgreSQL server here; Debian: apt-get install postgresql")
        self._bin = (found[-1] if found else Path(str(on_path))).parent
        self._base = Path(tempfile.mkdtemp(prefix="pg-"))
        # The server refuses to run as root: then it runs as the user that the package has made.
        self._as: dict[str, Any] = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        if self._as:
            shutil.chown(self._base, "postgres", "postgres")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        secret = self._base / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run(
            "initdb", "--pgdata", str(self._data), "--username", USER, "--pwfile", str(secret),
            "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-sync",
        )  # fmt: skip
        self.start()

    @property
    def _data(self) -> Path:
        return self._base / "data"

    def connection(self, database: str = "postgres") -> str:
        """A connection string, with the password in it."""
        return f"postgres://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}?sslmode=disable"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off -c shared_buffers=16MB"
        self._run(
            "pg_ctl", "start", "--pgdata", str(self._data), "--wait", "--silent", "--log", str(self._base / "log"),
            "--options", options,
        )  # fmt: skip

    def stop(self) -> None:
        """Stop the server at once, as when its machine is lost."""
        self._run("pg_ctl", "stop", "--pgdata", str(self._data), "--mode", "immediate", "--silent")

    def remove(self) -> None:
        """Stop the server and remove all that it kept."""
        self.stop()
        shutil.rmtree(self._base, ignore_errors=True)

    def sql(self, statement: str, database: str = "postgres") -> str:
        """The result of a statement, unaligned."""
        return subprocess.run(
            [self._bin / "psql", "--no-psqlrc", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1",
             "--command", statement, self.connection(database)],
            check=True, capture_output=True, text=True,
        ).stdout.strip()  # fmt: skip

    def create(self, database: str) -> str:
        """A new database; gives its connection string."""
        self.sql(f'create database "{database}"')
        return self.connection(database)

    def wait_for(self, statement: str, expected: str, database: str = "postgres") -> None:
        """Wait until a statement has a result."""
        end = time.monotonic() + _PATIENCE
        while self.sql(statement, database) != expected:
            assert time.monotonic() < end, f"waited in vain for {expected} from {statement}"
            time.sleep(0.05)

    def _run(self, program: str, *arguments: str) -> None:
        # Output goes to a file: a server that is left running would keep a pipe open for ever.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                [self._bin / program, *arguments], cwd="/", stdout=output, stderr=subprocess.STDOUT, check=False,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}, **self._as,
            )  # fmt: skip
            output.seek(0)
            assert done.returncode == 0, f"{program}: {output.read().decode()}"
