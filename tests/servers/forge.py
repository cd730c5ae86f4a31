"""A forge on loopback: GitLab's and GitHub's comments, statuses and merged requests, and ways to misbehave.

As published: https://docs.gitlab.com/api/notes/, https://docs.gitlab.com/api/rest/ (offset pagination: `page`,
`per_page`, `X-Next-Page`, `Link`), https://docs.gitlab.com/api/commits/,
https://docs.github.com/en/rest/issues/comments, https://docs.github.com/en/rest/commits/statuses,
https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

BOT = {"id": 7, "login": "github-actions[bot]", "username": "project_42_bot"}
SOMEBODY = {"id": 8, "login": "somebody", "username": "somebody"}
TOKEN = "glpat-a-token-of-tests"
MOST_PER_PAGE = 100


@dataclass
class Answer:
    """What is answered in place of the real thing."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"message": "as the test wants it"}'
    seconds: float = 0.0
    dripping: bool = False


@dataclass
class Request:
    """A request that came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


class Forge:
    """The forge; `comments` are those of merge request 1, by id."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.per_page = MOST_PER_PAGE
        self.comments: dict[int, dict[str, Any]] = {}
        self.issues: dict[int, dict[str, Any]] = {}
        self.lost_answers = 0
        self.statuses: list[dict[str, Any]] = []
        self.deployments: dict[str, list[str]] = {}  # their commits, the newest first, by environment
        self.commits: list[str] = []  # of the default branch, the newest first
        self.approvals: dict[int, list[dict[str, Any]]] = {}  # by merge request: GitLab's approved_by, GitHub's reviews
        self.merged: dict[str, list[dict[str, Any]]] = {}
        self.pipelines: dict[int, str] = {}  # their status, by id
        self.branches: dict[str, str] = {"main": "a" * 40}
        self.protected: set[str] = set()
        self.proposals: dict[int, dict[str, Any]] = {}  # merge requests from branches
        self.pushed: dict[str, dict[str, Any]] = {}  # what was committed, by commit
        self.requests: list[Request] = []
        self.answers: list[tuple[re.Pattern[str], Answer]] = []
        self.before_write: Callable[[str], None] | None = None
        self.may_ask_who = True
        self._id = 100
        self._lock = threading.RLock()
        forge = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def __getattr__(self, name: str) -> Any:
                if name.startswith("do_"):
                    return lambda: forge._serve(self)
                raise AttributeError(name)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}" + ("/api/v4" if self.kind == "gitlab" else "")

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, pattern: str, *answers: Answer) -> None:
        """Answer the next requests whose `METHOD path` matches in this way, one after the other."""
        self.answers += [(re.compile(pattern), item) for item in answers]

    def comment(self, body: str, user: dict[str, Any] = BOT, **more: Any) -> int:
        """Somebody writes a comment."""
        with self._lock:
            self._id += 1
            self.comments[self._id] = {
                "id": self._id,
                "body": body,
                "author": user,
                "user": user,
                "system": False,
                **more,
            }
            return self._id

    def issue(self, body: str, user: dict[str, Any] = BOT, **more: Any) -> int:
        """Somebody opens an issue."""
        with self._lock:
            number = len(self.issues) + 1
            text = "description" if self.kind == "gitlab" else "body"
            state = "opened" if self.kind == "gitlab" else "open"
            self.issues[number] = {
                "iid": number, "number": number, "id": 1000 + number, "title": "", text: body, "state": state,
                "author": user, "user": user, **more,
            }  # fmt: skip
            return number

    def open_issues(self) -> list[str]:
        """The titles of the open issues."""
        return [item["title"] for item in self.issues.values() if item["state"] in ("opened", "open")]

    def open_proposals(self) -> list[str]:
        """The branches of the open merge requests."""
        return [item["source"] for item in self.proposals.values() if item["state"] in ("opened", "open")]

    def push(self, branch: str, sha: str) -> None:
        """Somebody pushes to a branch."""
        self.branches[branch] = sha

    def ours(self) -> list[dict[str, Any]]:
        """The comments that the product wrote."""
        return [item for item in self.comments.values() if item["author"] is BOT and "<!-- doit-tofu" in item["body"]]

    def sent(self, method: str) -> list[Request]:
        return [item for item in self.requests if item.method == method]

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        content = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        body = json.loads(content) if content else None
        path = parts.path.removeprefix("/api/v4")
        request = Request(handler.command, path, query, dict(handler.headers), body)
        with self._lock:
            self.requests.append(request)
            found = next((pair for pair in self.answers if pair[0].search(f"{request.method} {path}")), None)
            if found:
                self.answers.remove(found)
        if found:
            _send(handler, found[1])
            return
        if request.method != "GET" and self.before_write:
            hook, self.before_write = self.before_write, None
            hook(request.path)
        with self._lock:
            _send(handler, self._answer(request))

    def _answer(self, request: Request) -> Answer:
        given = request.headers.get("PRIVATE-TOKEN") or request.headers.get("Authorization", "").removeprefix("Bearer ")
        if given != TOKEN:
            return _json(401, {"message": "401 Unauthorized" if self.kind == "gitlab" else "Bad credentials"})
        if request.path == "/user":
            return (
                _json(200, BOT)
                if self.may_ask_who
                else _json(403, {"message": "Resource not accessible by integration"})
            )
        base = r"/projects/42" if self.kind == "gitlab" else r"/repos/acme/infra"
        rest = re.sub(f"^{base}", "", unquote(request.path))
        if rest == unquote(request.path):
            return _json(404, {"message": "404 Project Not Found"})
        return self._gitlab(request, rest) if self.kind == "gitlab" else self._github(request, rest)

    def _gitlab(self, request: Request, rest: str) -> Answer:
        if match := re.fullmatch(r"/merge_requests/1/notes(?:/(\d+))?", rest):
            return self._comment(request, match[1], "PUT")
        if match := re.fullmatch(r"/issues(?:/(\d+))?", rest):
            return self._issue(request, match[1])
        if rest == "/repository/commits" and request.method == "POST":
            return self._commit(request.body["branch"], request.body)
        if match := re.fullmatch(r"/repository/branches/(.+)", rest):
            return self._branch(request, match[1], lambda sha: {"commit": {"id": sha}})
        if match := re.fullmatch(r"/merge_requests(?:/(\d+))?", rest):
            return self._proposal(request, match[1])
        if re.fullmatch(r"/statuses/[0-9a-f]{40}", rest) and request.method == "POST":
            self.statuses.append({"sha": rest.rpartition("/")[2], "id": len(self.statuses) + 1, **request.body})
            return _json(201, {"id": len(self.statuses)})
        if match := re.fullmatch(r"/repository/commits/([0-9a-f]{40})/statuses", rest):
            return self._page(request, self._statuses(match[1], request.query.get("name")))
        if rest == "/deployments":
            return self._page(request, [{"sha": sha} for sha in self._deployed(request)])
        if match := re.fullmatch(r"/merge_requests/(\d+)/approvals", rest):
            return _json(200, {"approved_by": self.approvals.get(int(match[1]), [])})
        if rest == "/repository/commits":
            return self._page(request, [{"id": sha} for sha in self.commits])
        if match := re.fullmatch(r"/pipelines/(\d+)", rest):
            return self._pipeline(int(match[1]))
        if match := re.fullmatch(r"/repository/commits/([0-9a-f]{40})/merge_requests", rest):
            return self._page(request, self.merged.get(match[1], []))
        return _json(404, {"message": "404 Not Found"})

    def _github(self, request: Request, rest: str) -> Answer:
        if rest == "/issues/1/comments":
            return self._comment(request, None, "PATCH")
        if match := re.fullmatch(r"/issues/comments/(\d+)", rest):
            return self._comment(request, match[1], "PATCH")
        if match := re.fullmatch(r"/issues(?:/(\d+))?", rest):
            return self._issue(request, match[1])
        if re.fullmatch(r"/statuses/[0-9a-f]{40}", rest) and request.method == "POST":
            self.statuses.append({"sha": rest.rpartition("/")[2], "id": len(self.statuses) + 1, **request.body})
            return _json(201, {"id": len(self.statuses)})
        if match := re.fullmatch(r"/commits/([0-9a-f]{40})/statuses", rest):
            return self._page(request, self._statuses(match[1], None))
        if rest == "/deployments":
            return self._page(request, [{"sha": sha} for sha in self._deployed(request)])
        if match := re.fullmatch(r"/pulls/(\d+)/reviews", rest):
            return self._page(request, self.approvals.get(int(match[1]), []))
        if rest == "/commits":
            return self._page(request, [{"sha": sha} for sha in self.commits])
        if match := re.fullmatch(r"/pulls(?:/(\d+))?", rest):
            return self._proposal(request, match[1])
        if rest.startswith("/git/"):
            return self._git(request, rest)
        if match := re.fullmatch(r"/actions/runs/(\d+)", rest):
            return self._pipeline(int(match[1]))
        if match := re.fullmatch(r"/commits/([0-9a-f]{40})/pulls", rest):
            return self._page(request, self.merged.get(match[1], []))
        return _json(404, {"message": "Not Found"})

    def _git(self, request: Request, rest: str) -> Answer:
        """GitHub's git database."""
        if match := re.fullmatch(r"/git/commits/([0-9a-f]{40})", rest):
            return _json(200, {"sha": match[1], "tree": {"sha": "e" * 40}})
        if rest in ("/git/trees", "/git/commits") and request.method == "POST":
            sha = f"{len(self.pushed) + 1:040x}"
            self.pushed[sha] = request.body
            return _json(201, {"sha": sha})
        if rest == "/git/refs" and request.method == "POST":
            return self._commit(request.body["ref"].removeprefix("refs/heads/"), request.body, request.body["sha"])
        if match := re.fullmatch(r"/git/refs?/heads/(.+)", rest):
            if request.method == "PATCH":
                return self._commit(match[1], request.body, request.body["sha"])
            return self._branch(request, match[1], lambda sha: {"object": {"sha": sha}})
        return _json(404, {"message": "Not Found"})

    def _statuses(self, sha: str, name: str | None) -> list[dict[str, Any]]:
        """The statuses of a commit, the newest first."""
        return [item for item in reversed(self.statuses) if item["sha"] == sha and name in (None, item.get("name"))]

    def _deployed(self, request: Request) -> list[str]:
        """The commits of an environment's deployments, the newest first."""
        return self.deployments.get(request.query["environment"], [])

    def _commit(self, branch: str, body: dict[str, Any], sha: str | None = None) -> Answer:
        """A branch becomes another commit, unless it is protected."""
        if branch in self.protected:
            return _json(400 if self.kind == "gitlab" else 422, {"message": "You are not allowed to push"})
        if sha is None:
            sha = f"{len(self.pushed) + 1:040x}"
            self.pushed[sha] = body
        self.branches[branch] = sha
        return _json(201, {"id": sha, "sha": sha})

    def _branch(self, request: Request, branch: str, shown: Callable[[str], Any]) -> Answer:
        if branch not in self.branches:
            return _json(404, {"message": "404 Branch Not Found"})
        if request.method == "DELETE":
            if branch in self.protected:
                return _json(403, {"message": "403 Forbidden"})
            del self.branches[branch]
            return Answer(204, body=b"")
        return _json(200, shown(self.branches[branch]))

    def _proposal(self, request: Request, number: str | None) -> Answer:
        """Lists, opens and changes merge requests as both forges do, whose words differ."""
        gitlab, given = self.kind == "gitlab", dict(request.body or {})
        if number is None and request.method == "GET":
            found = [self._shown(item) for item in reversed(self.proposals.values())]
            wanted = request.query.get("source_branch") or request.query.get("head", "").removeprefix("acme:")
            found = [item for item in found if wanted in ("", item.get("source_branch") or item["head"]["ref"])]
            state = request.query["state"]
            return self._page(request, [item for item in found if state in ("all", item["state"])])
        if number is None:
            source = given["source_branch" if gitlab else "head"]
            if source in self.open_proposals():
                return _json(409 if gitlab else 422, {"message": "there is one already"})
            made = len(self.proposals) + 1
            text = given.get("description" if gitlab else "body")
            self.proposals[made] = {
                "number": made, "source": source, "title": given["title"], "text": text, "user": BOT,
                "state": "opened" if gitlab else "open", "target": given["target_branch" if gitlab else "base"],
                "merged_at": None, "head": None,
            }  # fmt: skip
            if self.lost_answers:
                self.lost_answers -= 1
                return _json(502, {"message": "Bad Gateway"})
            return _json(201, self._shown(self.proposals[made]))
        item = self.proposals[int(number)]
        if given.get("state_event") == "close" or given.get("state") == "closed":
            item["state"], item["head"] = "closed", self.branches.get(item["source"])
        item["title"] = given.get("title", item["title"])
        item["text"] = given.get("description", given.get("body", item["text"]))
        return _json(200, self._shown(item))

    def _shown(self, item: dict[str, Any]) -> dict[str, Any]:
        sha = item["head"] or self.branches.get(item["source"], "")
        if self.kind == "gitlab":
            return {
                "iid": item["number"], "source_branch": item["source"], "sha": sha, "description": item["text"],
                "state": item["state"], "author": item["user"], "source_project_id": 42, "target_project_id": 42,
            }  # fmt: skip
        state = "open" if item["state"] == "open" else "closed"
        return {
            "number": item["number"], "head": {"ref": item["source"], "sha": sha, "repo": {"fork": False}},
            "body": item["text"], "state": state, "merged_at": item["merged_at"], "user": item["user"],
        }  # fmt: skip

    def _pipeline(self, number: int) -> Answer:
        if number not in self.pipelines:
            return _json(404, {"message": "404 Not Found"})
        return _json(200, {"id": number, "status": self.pipelines[number]})

    def _issue(self, request: Request, number: str | None) -> Answer:
        """Lists, opens and changes issues as both forges do, whose words differ."""
        if number is None and request.method == "GET":
            return self._page(request, self._issues(request.query))
        most = 1_000_000 if self.kind == "gitlab" else 65_536
        given = dict(request.body)
        if len(given.get("description") or given.get("body") or "") > most:
            return _json(400 if self.kind == "gitlab" else 422, {"message": "body is too long"})
        if number is None and request.method == "POST":
            made = self.issue(given.pop("description", None) or given.pop("body", ""), **given)
            if self.lost_answers:  # it was created, and who asked does not learn of it
                self.lost_answers -= 1
                return _json(502, {"message": "Bad Gateway"})
            return _json(201, self.issues[made])
        item = self.issues.get(int(number or 0))
        if item is None:
            return _json(404, {"message": "404 Not Found"})
        if request.method != ("PUT" if self.kind == "gitlab" else "PATCH"):
            return _json(405, {"message": "405 Method Not Allowed"})
        if given.pop("state_event", None) == "close":
            given["state"] = "closed"
        item.update(given)
        return _json(200, item)

    def _issues(self, query: dict[str, str]) -> list[dict[str, Any]]:
        """The issues that a query asks for, the newest first; GitHub's list has pull requests in it."""
        if self.kind == "gitlab":
            author = query.get("author_id")
            found = [item for item in self.issues.values() if author in (None, str(item["author"]["id"]))]
        else:
            creator = query.get("creator")
            found = [item for item in self.issues.values() if creator in (None, item["user"]["login"])]
        return [item for item in reversed(found) if item["state"] == query["state"]]

    def _comment(self, request: Request, number: str | None, update: str) -> Answer:
        if number is None and request.method == "GET":
            return self._page(request, list(self.comments.values()))
        most = 1_000_000 if self.kind == "gitlab" else 65_536
        if request.body and len(request.body["body"]) > most:
            return _json(400 if self.kind == "gitlab" else 422, {"message": "body is too long"})
        if number is None and request.method == "POST":
            return _json(201, self.comments[self.comment(request.body["body"])])
        item = self.comments.get(int(number or 0))
        if item is None:
            return _json(404, {"message": "404 Not Found"})
        if item["author"] is not BOT:
            return _json(403, {"message": "403 Forbidden"})
        if request.method == update:
            item["body"] = request.body["body"]
            return _json(200, item)
        if request.method == "DELETE":
            del self.comments[item["id"]]
            return Answer(204, body=b"")
        return _json(405, {"message": "405 Method Not Allowed"})

    def _page(self, request: Request, items: list[dict[str, Any]]) -> Answer:
        size = min(int(request.query.get("per_page", 20)), self.per_page)
        number = int(request.query.get("page", 1))
        last = len(items) <= number * size
        answer = _json(200, items[(number - 1) * size : number * size])
        if self.kind == "gitlab":
            answer.headers["X-Next-Page"] = "" if last else str(number + 1)
        if not last:  # a proxy in front of it knows the forge by another name
            answer.headers["Link"] = f'<https://elsewhere.example/x?page={number + 1}>; rel="next"'
        return answer


def _json(status: int, value: Any) -> Answer:
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(value).encode())


def _send(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    try:
        time.sleep(answer.seconds)
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        if answer.status != 204:
            handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        if answer.dripping:
            for byte in answer.body:
                handler.wfile.write(bytes([byte]))
                handler.wfile.flush()
                time.sleep(0.5)
        else:
            handler.wfile.write(answer.body)
    except OSError:  # who asked has gone
        handler.close_connection = True
