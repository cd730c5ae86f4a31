"""A real `git http-backend` behind HTTP, with a login; and it can be made to misbehave.

https://git-scm.com/docs/git-http-backend, https://git-scm.com/docs/http-protocol
"""

from __future__ import annotations

import base64
import os
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG = str(Path(__file__).parents[1] / "git.config")
READER, WRITER, OBSERVER = "reader-token-5512", "writer-token-9943", "observer-token-3378"
_BRANCH_RULE = """\
while read -r _ _ ref; do
  case "$ref" in
    ${PUSHES_TO:-*}) ;;
    *) echo "You are not allowed to push code to protected branches on this project." >&2; exit 1 ;;
  esac
done"""


def git(folder: Path, *arguments: str, given: str | None = None, **variables: str) -> str:
    """What git prints in a folder; of the machine's configuration nothing counts."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_CONFIG_GLOBAL": CONFIG, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
    for role in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{role}_NAME": "someone", f"GIT_{role}_EMAIL": "someone@example.com"}
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=environment | variables, input=given, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"git {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


@dataclass
class GitServer:
    """A bare repository with one commit on `main`, served at `url`.

    Args:
        folder: Where the repository is made.
        private: Whether reading takes a login.

    Attributes:
        log: Each request: method, service and status.
        tokens: The passwords that are known, and whether they may push; a pattern of branches, if to these alone.
        fault: Asked before a request is served, with its method and path: the status to answer with in its place.
        cut: Asked after a request was served: whether the answer is thrown away.
        delay: Seconds before each answer.
        replica: Another repository that answers fetches, as a stale replica does.
    """

    folder: Path
    private: bool = True
    log: list[str] = field(default_factory=list)
    tokens: dict[str, bool | str] = field(default_factory=lambda: {READER: False, WRITER: True})
    fault: Callable[[str, str], int | None] = lambda _method, _path: None
    cut: Callable[[str, str], bool] = lambda _method, _path: False
    delay: float = 0.0
    replica: Path | None = None

    def __post_init__(self) -> None:
        self.repository = self.folder / "remote.git"
        self.folder.mkdir(parents=True, exist_ok=True)
        git(self.folder, "init", "-q", "--bare", "-b", "main", str(self.repository))
        git(self.repository, "config", "http.receivepack", "true")
        git(self.repository, "config", "receive.advertisePushOptions", "true")
        tree = git(self.repository, "mktree", given="")
        git(self.repository, "update-ref", "refs/heads/main", git(self.repository, "commit-tree", tree, "-m", "first"))
        self.hook("pre-receive", _BRANCH_RULE)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.serve(self)

            def do_POST(self) -> None:
                outer.serve(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.host}/remote.git"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def with_login(self, token: str) -> str:
        """The URL with a token, as CI runners have it in a clone."""
        return f"http://ci:{token}@{self.host}/remote.git"

    def clone(self, name: str, *options: str, url: str = "") -> Path:
        """A clone of it beside the repository, by the writer's token unless a URL says otherwise."""
        git(self.folder, "clone", "-q", *options, url or self.with_login(WRITER), name)
        return self.folder / name

    def hook(self, name: str, script: str) -> None:
        """A hook of the server."""
        path = self.repository / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def stop(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        body = _body(request)
        time.sleep(self.delay)
        request.path = request.path.removeprefix(f"http://{request.headers.get('Host')}")  # as a proxy is asked
        path, _, query = request.path.partition("?")
        service = "receive-pack" if "receive-pack" in request.path else "upload-pack"
        status = self.fault(request.command, service) or self._refusal(request, service)
        if status:
            headers, content = {"WWW-Authenticate": 'Basic realm="git"'} if status == 401 else {}, b""
        else:
            status, headers, content = self._backend(request, path, query, body)
        self.log.append(f"{request.command} {service} {status}")
        if self.cut(request.command, service):
            request.close_connection = True
            request.connection.close()
            return
        with suppress(BrokenPipeError, ConnectionResetError):  # the client did not wait
            request.send_response(status)
            for name, value in headers.items():
                request.send_header(name, value)
            request.send_header("Content-Length", str(len(content)))
            request.end_headers()
            request.wfile.write(content)

    def _refusal(self, request: BaseHTTPRequestHandler, service: str) -> int | None:
        password = _password(request)
        if not password:
            return 401 if self.private or service == "receive-pack" else None
        if password not in self.tokens:
            return 401
        return 403 if service == "receive-pack" and not self.tokens[password] else None

    def _backend(
        self, request: BaseHTTPRequestHandler, path: str, query: str, body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        stale = self.replica is not None and "receive-pack" not in request.path
        repository = self.replica if stale and self.replica else self.repository
        environment = {
            "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(repository.parent), "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path.replace("/remote.git", f"/{repository.name}"), "QUERY_STRING": query,
            "REQUEST_METHOD": request.command, "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)), "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""), "REMOTE_USER": "ci", "REMOTE_ADDR": "127.0.0.1",
            "GIT_CONFIG_GLOBAL": CONFIG, "GIT_CONFIG_NOSYSTEM": "1",
        }  # fmt: skip
        if isinstance(branches := self.tokens.get(_password(request)), str):
            environment["PUSHES_TO"] = branches
        done = subprocess.run(
            ["git", "http-backend"], env=environment, input=body, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            check=False,
        )  # fmt: skip
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
        return int(headers.pop("Status", "200").split()[0]), headers, content


def _password(request: BaseHTTPRequestHandler) -> str:
    kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
    return base64.b64decode(encoded).decode().partition(":")[2] if kind == "Basic" else ""


def _body(request: BaseHTTPRequestHandler) -> bytes:
    if request.headers.get("Transfer-Encoding", "") != "chunked":
        return request.rfile.read(int(request.headers.get("Content-Length") or 0))
    pieces = []
    while size := int(request.rfile.readline(), 16):
        pieces.append(request.rfile.read(size))
        request.rfile.readline()
    request.rfile.readline()
    return b"".join(pieces)
