"""Requests to a forge's API: the token in a header and to that host alone, retries within a bounded time."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Unpack
from urllib.parse import urljoin, urlsplit

from ..base.errors import DeployError
from ..base.problem import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from requests import PreparedRequest, Response

    from ..base.errors import Places

PAGE = 100
_MOST_PAGES = 200
_MOST_REDIRECTS = 3
_LARGEST = 1 << 25
_PIECE = 1 << 16
_ONE_TRY = 20.0
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 8.0
_AGAIN = frozenset({429, 500, 502, 503, 504})


class ForgeError(DeployError):
    """A forge did not do what it was asked; never the failure of a plan or a deploy.

    `status` is the HTTP status of its answer; None when there was none that could be used.
    """

    kind = Kind.FORGE

    def __init__(self, message: str, *, status: int | None = None, **places: Unpack[Places]) -> None:
        super().__init__(message, **places)
        self.status = status


class Api:
    """One forge's API.

    Args:
        base: Its URL, without a slash at the end.
        headers: Sent to this host and to no other, the token among them.
        seconds: How long all requests together may take.
        wait: Waits so many seconds; true when it was told to stop.
        explain: What to do about a status of 401, 403 or 404, for people.
    """

    def __init__(
        self,
        base: str,
        headers: Mapping[str, str],
        *,
        seconds: float,
        wait: Callable[[float], bool],
        explain: Callable[[int], str | None],
    ) -> None:
        import requests

        self._base, self._wait, self._explain = base, wait, explain
        self._deadline = time.monotonic() + seconds
        self._session = requests.Session()
        self._session.headers.update({"Accept": "application/json", "User-Agent": "doit-tofu"})
        self._session.auth = _Headers(headers)  # as `auth`, or a .netrc would put its own in their place

    def pages(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """The elements of a list, page by page, until the forge says that there is no further one.

        Pages are asked for by number: the URL in a `Link` header may lead anywhere.

        Raises:
            ForgeError: A page could not be had.
        """
        for number in range(1, _MOST_PAGES + 1):
            response, found = self._send("GET", path, query={**query, "per_page": PAGE, "page": number})
            if not isinstance(found, list):
                raise ForgeError(f"{self._shown(path)} is no list")
            yield from (item for item in found if isinstance(item, dict))
            if not found or not (response.headers.get("X-Next-Page") or "next" in response.links):
                return

    def get(self, path: str, **query: Any) -> Any:
        """What is at a path.

        Raises:
            ForgeError: It could not be had.
        """
        return self._send("GET", path, query=query)[1]

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Create, change or delete; may be tried again, so what it creates may be there twice.

        Raises:
            ForgeError: The forge did not do it, or that is not known.
        """
        return self._send(method, path, body=body)[1]

    def _send(
        self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Mapping[str, Any] | None = None
    ) -> tuple[Response, Any]:
        pause, last = _FIRST_WAIT, "no answer in time"
        while (left := self._deadline - time.monotonic()) > 0:
            asked: float | None = None
            try:
                response, content = self._once(method, path, query, body, min(left, _ONE_TRY))
            except _NoAnswerError as error:
                last = str(error)
            else:
                if response.ok:
                    return response, self._parsed(path, content)
                last = f"status {response.status_code}"
                asked = _asked_to_wait(response)
                if response.status_code not in _AGAIN and asked is None:
                    raise self._refusal(method, path, response, content)
            seconds = max(asked if asked is not None else pause, 0.05)
            pause = min(pause * 2, _LONGEST_WAIT)
            if time.monotonic() + seconds >= self._deadline:
                told = f"; it asks to wait {seconds:.0f} s" if asked is not None else ""
                raise ForgeError(f"{method} {self._shown(path)}: {last}{told}; not tried further", next_step=_LATER)
            if self._wait(seconds):
                raise ForgeError(f"{method} {self._shown(path)}: {last}; stopped")
        raise ForgeError(f"{method} {self._shown(path)}: {last}; no time is left", next_step=_LATER)

    def _once(
        self, method: str, path: str, query: Mapping[str, Any] | None, body: Mapping[str, Any] | None, seconds: float
    ) -> tuple[Response, bytes]:
        """One try, redirects within the host followed; the body whole."""
        import requests

        url, deadline = f"{self._base}/{path}", time.monotonic() + seconds
        for _ in range(_MOST_REDIRECTS + 1):
            try:
                response = self._session.request(
                    method, url, params=query, json=body, timeout=seconds, stream=True, allow_redirects=False
                )
                with response:
                    content = _body(response, deadline)
            except ValueError:  # as requests and http.client have it for headers and URLs
                raise ForgeError(
                    f"{self._shown(path)}: the token or the address has characters that cannot be sent",
                    next_step="set the token anew, without line breaks or spaces",
                ) from None
            except requests.Timeout:
                raise _NoAnswerError("no answer in time") from None
            except (requests.RequestException, OSError) as error:
                raise _NoAnswerError(f"no usable answer ({type(error).__name__})") from None
            if not response.is_redirect:
                return response, content
            target = urljoin(url, response.headers.get("Location", ""))
            if _origin(target) != _origin(self._base):
                raise ForgeError(
                    f"{self._shown(path)} redirects to another host ({urlsplit(target).hostname}), which is not given"
                    " the token",
                    next_step="set `forge.url` to the API's real address",
                )
            if method != "GET":
                raise ForgeError(
                    f"{method} {self._shown(path)} is redirected to {urlsplit(target).path}: the project was moved",
                    next_step="set `forge.project` to its new name",
                )
            url, query = target, None
        raise ForgeError(f"{self._shown(path)}: too many redirects")

    def _parsed(self, path: str, content: bytes) -> Any:
        try:
            return json.loads(content) if content.strip() else None
        except (ValueError, RecursionError):
            raise ForgeError(
                f"{self._shown(path)}: the answer is no JSON",
                next_step="see whether `forge.url` is the address of the API, not of a sign-in page or a proxy",
            ) from None

    def _refusal(self, method: str, path: str, response: Response, content: bytes) -> ForgeError:
        return ForgeError(
            f"{method} {self._shown(path)}: status {response.status_code}{_said(content)}",
            status=response.status_code,
            next_step=self._explain(response.status_code),
        )

    def _shown(self, path: str) -> str:
        return f"{urlsplit(self._base).hostname}/{path}"


_LATER = "run the job again later; plans and deploys are not concerned"


class _NoAnswerError(Exception):
    """The connection failed, or did so in the middle of an answer; worth another try."""


class _Headers:
    """Puts headers on requests that the session makes for us; it never makes one for another host."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = dict(headers)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers.update(self._headers)
        return request


def _body(response: Response, deadline: float) -> bytes:
    content = b""
    while piece := response.raw.read1(_PIECE, decode_content=True):  # what is there, however little
        content += piece
        if len(content) > _LARGEST:
            raise _NoAnswerError("the answer is too long")
        if time.monotonic() > deadline:
            raise _NoAnswerError("the answer began, but did not end in time")
    return content


def _asked_to_wait(response: Response) -> float | None:
    """The seconds that a forge asks to wait for when it limits rates; None when it does not.

    GitLab: https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/. GitHub answers 403 or 429:
    https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api.
    """
    headers, code = response.headers, response.status_code
    spent = headers.get("X-RateLimit-Remaining") == "0" or headers.get("RateLimit-Remaining") == "0"
    if code not in (403, 429, 503) or (code == 403 and not spent and "Retry-After" not in headers):  # noqa: PLR2004
        return None
    if (after := headers.get("Retry-After")) is not None:
        return _seconds(after)
    reset = headers.get("X-RateLimit-Reset") or headers.get("RateLimit-Reset")
    if reset is not None and reset.isdigit():
        return max(float(reset) - time.time(), 1.0)
    return None


def _seconds(text: str) -> float | None:
    """A `Retry-After`: seconds, or a date (RFC 9110)."""
    if text.strip().isdigit():
        return float(text)
    try:
        return max((parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None


def _said(content: bytes) -> str:
    """What the forge itself says of a refusal, on one short line."""
    try:
        record = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    text = (record.get("message") or record.get("error")) if isinstance(record, dict) else None
    plain = " ".join(str(text).split()) if text else ""
    return f" ({plain[:150]})" if plain else ""


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
