"""HTTP: secrets go to one origin and never come from a `.netrc`, all tries end within one bound, errors are in words.

It brings `requests`, so import it where a request is made.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import requests
import urllib3
from requests.auth import AuthBase, HTTPBasicAuth

from . import urls

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from requests import PreparedRequest, Response

_FORBIDDEN, _TOO_MANY, _SERVER_ERROR = 403, 429, 500
_BUSY = (408, 425, _TOO_MANY)
_FOLLOWED = ("GET", "HEAD")
_MOST_REDIRECTS = 3
_PAGE, _MOST_PAGES = 100, 200
_LARGEST = 1 << 26
_PIECE = 1 << 16
_CONNECT = 10.0
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.05, 8.0
_WORDS = (
    ("NameResolution", "the host name is not known"),
    ("Name or service not known", "the host name is not known"),
    ("Connection refused", "connection refused"),
    ("RemoteDisconnected", "the connection was closed without an answer"),
    ("Connection reset", "the connection was reset"),
    ("Read timed out", "the answer began, but did not end in time"),
    ("IncompleteRead", "the connection was closed within the answer"),
)


class NoAnswerError(Exception):
    """No answer that can be used; the text says why, without secrets.

    Args:
        message: Why.
        answer: The last answer, where the server only answered that it cannot.
    """

    def __init__(self, message: str, answer: Answer | None = None) -> None:
        super().__init__(message)
        self.answer = answer


class UnsendableError(NoAnswerError):
    """The address or a header cannot be sent as it is."""


class TlsError(NoAnswerError):
    """There is no TLS connection that is trusted."""


class RefusedError(NoAnswerError):
    """The server answered, and did not do it."""

    answer: Answer


class GarbageError(NoAnswerError):
    """The answer is not what was asked for."""


class _PassingError(NoAnswerError):
    """Worth another try."""


@dataclass(frozen=True)
class Answer:
    """An answer, its body read whole; `redirect` is where it leads when it was not followed."""

    url: str
    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)
    redirect: str | None = None
    has_next: bool = False

    @property
    def asked_pause(self) -> float | None:
        """Seconds that the server asks to wait before the next request; None when it does not.

        GitLab: https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/. GitHub answers 403 or 429:
        https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api.
        """
        if self.status not in (*_BUSY, _FORBIDDEN) and self.status < _SERVER_ERROR:
            return None
        with suppress(KeyError, ValueError, OverflowError, urllib3.exceptions.InvalidHeader):
            return urllib3.Retry().parse_retry_after(self.headers["Retry-After"])  # seconds or a date (RFC 9110)
        spent = "0" in (self.headers.get("X-RateLimit-Remaining"), self.headers.get("RateLimit-Remaining"))
        reset = self.headers.get("X-RateLimit-Reset") or self.headers.get("RateLimit-Reset") or ""
        if (spent or self.status == _TOO_MANY) and reset.isdecimal():
            return max(float(reset) - time.time(), 1.0)
        return None

    def json(self) -> Any:
        """The value in the body; None where it is empty.

        Raises:
            RefusedError: The server did not do as it was asked.
            GarbageError: It is not JSON.
        """
        if self.status // 100 != 2:  # noqa: PLR2004 - 2xx
            raise RefusedError(f"status {self.status}", self)
        try:
            return json.loads(self.content) if self.content.strip() else None
        except (ValueError, RecursionError):
            raise GarbageError("the answer is no JSON", self) from None


class Credentials(AuthBase):
    """Puts secret headers and a login on a request; without a login that of its URL, and never one of a `.netrc`."""

    def __init__(self, headers: Mapping[str, str] | None = None, login: tuple[str, str] = ("", "")) -> None:
        self._headers, self._login = headers or {}, login

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """The same request, changed."""
        request.headers.update(self._headers)
        user, password = self._login if any(self._login) else urls.credentials(str(request.url))
        if (user or password) and "Authorization" not in request.headers:
            HTTPBasicAuth(user.encode(), password.encode())(request)
        return request


class Session(requests.Session):
    """A session that reads no `.netrc`, and where it follows redirects takes no secret to another origin.

    Args:
        credentials: What its requests carry.
        own: The names of headers that stay behind at a redirect to another origin, with `Authorization`.
        moved: Learns where a redirect leads before that is asked.
    """

    def __init__(
        self, credentials: Credentials | None = None, *, own: Collection[str] = (),
        moved: Callable[[str], None] = lambda _: None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.headers["User-Agent"] = "doit-tofu"
        self.auth = credentials or Credentials()  # also without any, or requests would look into ~/.netrc
        self._own, self._moved = ("Authorization", *own), moved

    def leaves(self, old: str, new: str) -> bool:
        """Whether a URL has another origin than the one before; TLS on the same host's usual port is none."""
        strips: Any = self.should_strip_auth
        try:
            return bool(strips(old, new))
        except ValueError:  # no port
            return True

    def rebuild_auth(self, prepared_request: PreparedRequest, response: Response) -> None:
        """Called for each redirect that requests follows."""
        target = str(prepared_request.url)
        self._moved(target)
        if self.leaves(str(response.request.url), target):
            for name in self._own:
                prepared_request.headers.pop(name, None)


class Client:
    """Requests to one service; all their tries and pauses together end within one bound.

    Args:
        wait: Waits so many seconds; true when the run was asked to stop, which ends the trying.
        base: What all addresses begin with.
        secret: Headers for its origin alone.
        seconds: The bound.
        only_lost: Whether only time without success counts: failed tries, and pauses.
        tries: How often one request is tried at most.
        timeout: Seconds that one try may take at most.
        pause: Seconds before the second try; later ones wait longer.
        longest_asked: Seconds that are waited at most when a server asks for more.
        verify: Whether certificates are checked.
        moved: Learns the method, the URL and where it redirects to; may raise.

    Attributes:
        last: The last answer.
    """

    def __init__(
        self, wait: Callable[[float], bool | None], *, base: str = "", secret: Mapping[str, str] | None = None,
        seconds: float, only_lost: bool = False, tries: int = 1_000, timeout: float = 30.0, pause: float = 0.5,
        longest_asked: float = 30.0, verify: bool = True, moved: Callable[[str, str, str], None] = lambda *_: None,
    ) -> None:  # fmt: skip
        self._wait, self._base, self._secret, self._left, self._only_lost = wait, base, secret or {}, seconds, only_lost
        self._tries, self._timeout, self._pause, self._longest_asked = tries, timeout, pause, longest_asked
        self._verify, self._moved, self._session = verify, moved, Session()
        self.last: Answer | None = None
        if not verify:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def close(self) -> None:
        """Close its connections."""
        self._session.close()

    def request(self, method: str, path: str, *, secret: Mapping[str, str] | None = None, **options: Any) -> Answer:
        """An answer, which may be a refusal; tried again while the server is busy, failing or away.

        Args:
            method: GET and HEAD follow redirects.
            path: What comes behind the base.
            secret: Headers for the origin of the address alone, in place of the client's.
            options: As `requests` takes them.

        Raises:
            NoAnswerError: There was none in time, or the run was asked to stop.
            UnsendableError: The request cannot be made.
            TlsError: The connection is not trusted.
        """
        number = 0
        while True:
            number, began = number + 1, time.monotonic()
            try:
                if self._left <= 0:
                    raise NoAnswerError("no time is left")
                answer = self._once(method, self._base + path, self._secret if secret is None else secret, **options)
            except _PassingError as error:
                self._left -= time.monotonic() - began
                self._rest(number, error)
            else:
                self._left -= 0 if self._only_lost else time.monotonic() - began
                self.last = answer
                return answer

    def items(self, path: str, query: Mapping[str, Any], *, within: str | None = None) -> Iterator[dict[str, Any]]:
        """The objects of a list, page by page to the last.

        Pages are asked for by number: the URL in a `Link` header may lead anywhere.

        Args:
            path: What comes behind the base.
            query: What is asked for.
            within: The key of the list, where an answer is an object.

        Raises:
            NoAnswerError: As `request` and `Answer.json`.
        """
        for number in range(1, _MOST_PAGES + 1):
            answer = self.request("GET", path, params={**query, "per_page": _PAGE, "page": number})
            found = answer.json()
            found = found.get(within) if within and isinstance(found, dict) else found
            if not isinstance(found, list):
                raise GarbageError("the answer is no list", answer)
            yield from (item for item in found if isinstance(item, dict))
            if not answer.has_next:  # by the link, not by the length: servers may give fewer than they were asked for
                return

    def _rest(self, number: int, error: _PassingError) -> None:
        """Pause before the next try; raises when there is none."""
        asked = error.answer.asked_pause if error.answer else None
        pause = min(self._pause * 2 ** (number - 1), _LONGEST_PAUSE)
        if asked is not None:
            pause = min(asked, self._longest_asked)
        pause = max(pause, _SHORTEST_PAUSE)
        if number == self._tries or pause >= self._left:
            wish = f"; it asks to wait {asked:.0f} s" if asked is not None else ""
            raise NoAnswerError(f"{error}{wish}" + ("; not tried further" if self._tries > 1 else ""), error.answer)
        self._left -= pause
        if self._wait(pause):
            raise NoAnswerError(f"{error}; stopped", error.answer)

    def _once(self, method: str, url: str, secret: Mapping[str, str], **options: Any) -> Answer:
        """One try, redirects included."""
        end = time.monotonic() + min(self._left, self._timeout)
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._ask(method, url, end, auth=Credentials(secret), **options)
            if answer.status in _BUSY or answer.status >= _SERVER_ERROR or answer.asked_pause is not None:
                raise _PassingError(f"status {answer.status}", answer)
            if answer.redirect is None:
                return answer
            self._moved(method, url, answer.redirect)
            if method not in _FOLLOWED:
                return answer
            if self._session.leaves(url, answer.redirect):
                secret = {}
            url = answer.redirect
            options.pop("params", None)
        raise NoAnswerError("it leads from one address to the next, without end")

    def _ask(self, method: str, url: str, end: float, **options: Any) -> Answer:
        """One request, no redirect followed; the body whole."""
        left = max(end - time.monotonic(), _SHORTEST_PAUSE)
        if not self._verify:
            options["verify"] = False  # here, as a session's own would give way to REQUESTS_CA_BUNDLE
        try:
            with self._session.request(
                method, url, timeout=(min(left, _CONNECT), left), stream=True, allow_redirects=False, **options
            ) as response:
                return self._read(response, end)
        except ValueError:  # as requests and http.client have it for URLs and headers, with their text
            raise UnsendableError("the address or a header has characters that cannot be sent") from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            # A TLS connection that breaks off may do better the next time; one that is not trusted will not.
            final = isinstance(error, requests.exceptions.SSLError) and "EOF" not in str(error)
            raise (TlsError if final else _PassingError)(explain(error, url)) from None

    def _read(self, response: Response, end: float) -> Answer:
        content = bytearray()
        while piece := response.raw.read1(_PIECE, decode_content=True):  # what is there, however little
            content += piece
            if len(content) > _LARGEST:
                raise NoAnswerError("the answer is too long")
            if time.monotonic() > end:
                raise _PassingError("the answer began, but did not end in time")
        headers, url = response.headers, str(response.url)
        has_next = "next" in response.links or bool(headers.get("X-Next-Page"))
        redirect = self._session.get_redirect_target(response)
        target = urljoin(url, redirect) if redirect else None
        return Answer(url, response.status_code, headers, bytes(content), target, has_next)


def explain(error: Exception, url: str) -> str:
    """What went wrong with a request, in words; without what is secret in its URL."""
    if isinstance(error, requests.exceptions.SSLError):
        return f"TLS failed: {cause(error, url)}"
    if isinstance(error, requests.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, requests.Timeout):
        return "connected, but no answer in time"
    said = cause(error, url)
    return said if isinstance(error, requests.ConnectionError) else f"no usable answer: {said}"


def cause(error: BaseException, url: str | None = None) -> str:
    """The innermost cause, which is what a person can act on.

    Args:
        error: What a library raised.
        url: The URL, shown without its credentials; without it, text that may hold one is not shown at all.
    """
    text = str(error)
    for sign, meaning in _WORDS:
        if sign in text:
            return meaning
    if url is None:
        return type(error).__name__
    while inner := [item for item in (getattr(error, "reason", None), *error.args) if isinstance(item, Exception)]:
        error = inner[0]
    return str(error).replace(url, urls.shown(url))[:200]
