"""The HTTP client: a secret goes to one origin only, `.netrc` is ignored, all tries share one time limit.

It imports `requests`, which is slow, so import it where a request is made.
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

from . import urls
from .deadline import NoSocksError
from .session import Credentials, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from requests import Response

_AT_ONCE = 16  # requests of one client: their connections are kept
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
    ("NameResolution", "the host name cannot be resolved"),
    ("Name or service not known", "the host name cannot be resolved"),
    ("Connection refused", "connection refused"),
    ("RemoteDisconnected", "the connection was closed without a response"),
    ("Connection reset", "the connection was reset"),
    ("Read timed out", "the response started but did not finish in time"),
    ("IncompleteRead", "the connection was closed in the middle of the response"),
)


class NoAnswerError(Exception):
    """No usable response; the message says why, without secrets.

    Args:
        message: Why.
        answer: The last response, if the server only reported that it is unable to serve the request.
    """

    def __init__(self, message: str, answer: Answer | None = None) -> None:
        super().__init__(message)
        self.answer = answer


class UnsendableError(NoAnswerError):
    """The address or a header contains characters that cannot be sent."""


class TlsError(NoAnswerError):
    """No trusted TLS connection could be made."""


class RefusedError(NoAnswerError):
    """The server refused the request."""

    answer: Answer


class GarbageError(NoAnswerError):
    """The response is malformed."""


class _PassingError(NoAnswerError):
    """An error that is worth another try."""


@dataclass(frozen=True)
class Answer:
    """A response with its whole body; `redirect` is the target of a redirect that was not followed."""

    url: str
    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)
    redirect: str | None = None
    has_next: bool = False

    @property
    def asked_pause(self) -> float | None:
        """Seconds that the server asks us to wait before the next request; None if it does not.

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
        """The JSON value of the body; None if it is empty.

        Raises:
            RefusedError: The server refused the request.
            GarbageError: The body is not JSON.
        """
        if self.status // 100 != 2:  # noqa: PLR2004 - 2xx
            raise RefusedError(f"status {self.status}", self)
        try:
            return json.loads(self.content) if self.content.strip() else None
        except (ValueError, RecursionError):
            raise GarbageError("the response is not JSON", self) from None


class Client:
    """A client for one service; all tries and pauses together share one time limit.

    Args:
        wait: Waits for the given seconds; returns true if the run was asked to stop, which ends all tries.
        base: The prefix of all addresses.
        secret: Headers for its origin only.
        seconds: The time limit.
        only_lost: Whether only failed tries and pauses count towards the limit.
        tries: The maximum number of tries for one request.
        timeout: The time limit of one try, in seconds.
        pause: Seconds before the second try; later pauses are longer.
        longest_asked: The longest wait, in seconds, that a server may ask for.
        verify: Whether certificates are checked.
        moved: Called with the method, the URL and the target of a redirect; may raise.
        seen: Called with the number of bytes of an answer that are there, and of how many, 0 if not known; may raise.
        largest: The largest number of bytes of an answer; by default 64 MiB.

    Attributes:
        last: The last response.
    """

    def __init__(
        self, wait: Callable[[float], bool | None], *, base: str = "", secret: Mapping[str, str] | None = None,
        seconds: float, only_lost: bool = False, tries: int = 1_000, timeout: float = 30.0, pause: float = 0.5,
        longest_asked: float = 30.0, verify: bool = True, moved: Callable[[str, str, str], None] = lambda *_: None,
        seen: Callable[[int, int], None] = lambda *_: None, largest: int | None = None,
    ) -> None:  # fmt: skip
        self._wait, self._base, self._secret, self._left, self._only_lost = wait, base, secret or {}, seconds, only_lost
        self._tries, self._timeout, self._pause, self._longest_asked = tries, timeout, pause, longest_asked
        self._verify, self._moved, self._session = verify, moved, Session(kept=_AT_ONCE)
        self._seen, self._largest = seen, largest
        self.last: Answer | None = None
        if not verify:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def close(self) -> None:
        """Close its connections."""
        self._session.close()

    def request(self, method: str, path: str, *, secret: Mapping[str, str] | None = None, **options: Any) -> Answer:
        """A response, which may be a refusal; tries again while the server is busy, failing or unreachable.

        Args:
            method: GET and HEAD follow redirects.
            path: The address after the base.
            secret: Headers for the origin of this address only, in place of the client's.
            options: As `requests` takes them.

        Raises:
            NoAnswerError: None came in time, or the run was asked to stop.
            UnsendableError: The request contains characters that cannot be sent.
            TlsError: The connection is not trusted.
        """
        number = 0
        while True:
            number, began = number + 1, time.monotonic()
            try:
                if self._left <= 0:
                    raise NoAnswerError("no time left")
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

        Pages are requested by number, because the URL in a `Link` header could lead anywhere.

        Args:
            path: The address after the base.
            query: The query parameters.
            within: The key of the list if the response is an object.

        Raises:
            NoAnswerError: As `request` and `Answer.json`.
        """
        for number in range(1, _MOST_PAGES + 1):
            answer = self.request("GET", path, params={**query, "per_page": _PAGE, "page": number})
            found = answer.json()
            found = found.get(within) if within and isinstance(found, dict) else found
            if not isinstance(found, list):
                raise GarbageError("the response is not a list", answer)
            yield from (item for item in found if isinstance(item, dict))
            if not answer.has_next:  # by the link, not by the length: servers may return fewer than requested
                return

    def _rest(self, number: int, error: _PassingError) -> None:
        """Pause before the next try; raises if no try is left."""
        asked = error.answer.asked_pause if error.answer else None
        pause = min(self._pause * 2 ** (number - 1), _LONGEST_PAUSE)
        if asked is not None:
            pause = min(asked, self._longest_asked)
        pause = max(pause, _SHORTEST_PAUSE)
        if number == self._tries or pause >= self._left:
            wish = f"; the server asks to wait {asked:.0f} s" if asked is not None else ""
            raise NoAnswerError(f"{error}{wish}" + ("; gave up" if self._tries > 1 else ""), error.answer)
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
        raise NoAnswerError("too many redirects")

    def _ask(self, method: str, url: str, end: float, **options: Any) -> Answer:
        """One request with its whole response; redirects are not followed."""
        left = max(end - time.monotonic(), _SHORTEST_PAUSE)
        if not self._verify:
            options["verify"] = False  # passed per request, because REQUESTS_CA_BUNDLE overrides the session's setting
        try:
            with self._session.request(
                method, url, timeout=(min(left, _CONNECT), left), stream=True, allow_redirects=False, **options
            ) as response:
                return self._read(response, end)
        except NoSocksError as error:
            raise NoAnswerError(str(error)) from None
        except ValueError:  # what requests and http.client raise for URLs and headers
            raise UnsendableError("the address or a header has characters that cannot be sent") from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            # A TLS connection that broke off is worth another try; one that is not trusted is not.
            final = isinstance(error, requests.exceptions.SSLError) and "EOF" not in str(error)
            raise (TlsError if final else _PassingError)(explain(error, url)) from None

    def _read(self, response: Response, end: float) -> Answer:
        content, announced = bytearray(), response.headers.get("Content-Length", "")
        total = int(announced) if announced.isascii() and announced.isdigit() else 0
        while piece := response.raw.read1(_PIECE, decode_content=True):  # whatever has arrived so far
            content += piece
            self._seen(len(content), total)
            if len(content) > (self._largest or _LARGEST):
                raise NoAnswerError("the response is too long")
            if time.monotonic() > end:
                raise _PassingError("the response started but did not finish in time")
        headers, url = response.headers, str(response.url)
        has_next = "next" in response.links or bool(headers.get("X-Next-Page"))
        redirect = self._session.get_redirect_target(response)
        target = urljoin(url, redirect) if redirect else None
        return Answer(url, response.status_code, headers, bytes(content), target, has_next)


def explain(error: Exception, url: str) -> str:
    """What went wrong with a request, in words, without the secrets in its URL."""
    if isinstance(error, requests.exceptions.SSLError):
        return f"TLS failed: {cause(error, url)}"
    if isinstance(error, requests.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, requests.Timeout):
        return "connected, but no response in time"
    said = cause(error, url)
    known = isinstance(error, requests.ConnectionError | urllib3.exceptions.ReadTimeoutError)
    return said if known else f"no usable response: {said}"


def cause(error: BaseException, url: str | None = None) -> str:
    """The innermost cause, which is the one that people can act on.

    Args:
        error: What a library raised.
        url: The URL, shown without its credentials; if omitted, text that may contain a URL is not shown.
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
