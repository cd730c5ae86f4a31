"""The parts of GitLab's and GitHub's APIs that list runners, in memory, with pages, refusals and limits.

As published: https://docs.gitlab.com/api/runners/ and https://docs.github.com/en/rest/actions/self-hosted-runners.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.servers.web import Server

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler

TOKEN = "glpat-0a1b2c3d4e5f"
PAGE = 2  # far fewer than are asked for: servers have limits of their own


def ago(seconds: float) -> str:
    """A moment as the APIs write it."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Runners(Server):
    """A forge with runners; `refuse` is a list of answers given first: status and headers."""

    def __init__(self) -> None:
        super().__init__()
        self.runners: list[dict[str, Any]] = []
        self.managers: dict[int, list[dict[str, Any]]] = {}
        self.refuse: list[tuple[int, dict[str, str]]] = []
        self.answers = _Everything(self)  # type: ignore[assignment]

    def add(
        self, number: int, contacted: float = 0, status: str = "online", version: str = "18.2.0", **more: Any
    ) -> None:
        """Register one, which last asked for jobs some seconds ago."""
        base = {"id": number, "description": f"runner-{number}", "paused": False, "status": status, "tag_list": ["k8s"]}
        self.runners.append({**base, "contacted_at": ago(contacted), **more})
        self.managers[number] = [{"id": 1, "version": version, "status": status, "contacted_at": ago(contacted)}]

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer as the forge whose header carries the token."""
        if self.refuse:
            self._send(request, *self.refuse.pop(0), {"message": "refused"})
            return
        given = request.headers.get("PRIVATE-TOKEN") or request.headers.get("Authorization", "").removeprefix("Bearer ")
        if given != TOKEN:
            self._send(request, 401, {}, {"message": "401 Unauthorized"})
            return
        url = urlsplit(request.path)
        parts, query = url.path.strip("/").split("/"), parse_qs(url.query)
        if parts[-1] == "managers":
            self._page(request, query, self.managers[int(parts[-2])])
        elif parts[-1].isdigit() and parts[-2] == "runners":
            self._send(request, 200, {}, next(item for item in self.runners if item["id"] == int(parts[-1])))
        elif parts[-2:] == ["actions", "runners"]:
            self._page(request, query, self.runners, "runners")
        else:  # GitLab's lists say neither tags nor when a runner asked for jobs
            wanted = set(",".join(query.get("tag_list", [])).split(",")) - {""}
            found = [item for item in self.runners if wanted <= set(item["tag_list"])]
            hidden = ("tag_list", "contacted_at")
            self._page(request, query, [{k: v for k, v in item.items() if k not in hidden} for item in found])

    def _page(
        self, request: BaseHTTPRequestHandler, query: dict[str, list[str]], items: list[dict[str, Any]], key: str = ""
    ) -> None:
        number = int(query["page"][0])
        part = items[(number - 1) * PAGE : number * PAGE]
        headers = {}
        if number * PAGE < len(items):
            headers["Link"] = f'<{self.url(request.path.partition("?")[0])}?page={number + 1}>; rel="next"'
        self._send(request, 200, headers, {"total_count": len(items), key: part} if key else part)

    def _send(self, request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: Any) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(data)


class _Everything(dict[str, Any]):
    def __init__(self, server: Runners) -> None:
        self._server = server

    def __missing__(self, path: str) -> Any:
        return self._server.answer
