"""The `http` check: a URL responds as expected, in time, over a trusted connection."""

from __future__ import annotations

import re
import shlex
import time
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from ..base import urls
from ..base.model import Seconds
from . import jsonpath
from .check import Check, Lack, Observation, SecretName, shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from requests import Response

    from ..base.session import Session
    from .check import Look

_LARGEST_BODY = 1 << 20
_PIECE = 1 << 16
_MOST_REDIRECTS = 10
_SECRET_HEADER = re.compile(r"auth|cookie|token|key|secret|password|signature", re.IGNORECASE)

Status = Annotated[int, Field(ge=100, le=599)]


class HttpCheck(Check):
    """True if a URL responds as expected."""

    kind: Literal["http"] = Field(description="`http`.")
    url: str = Field(description="The URL, `http` or `https`.")
    method: Literal["GET", "HEAD", "POST", "PUT", "OPTIONS"] = Field("GET", description="The request method.")
    status: Status | list[Status] = Field(200, description="The expected status, or a list of them.")
    contains: str | None = Field(None, description="Text that the body must contain.")
    regex: str | None = Field(None, description="A Python regular expression that must match somewhere in the body.")
    json_values: dict[str, Any] = Field(
        default_factory=dict,
        alias="json",
        description="Values that a JSON body must have, by path: `{status: ok, 'checks[0].name': db}`.",
    )
    headers: dict[str, str] = Field(
        default_factory=dict, description="Headers that the response must have, each with a regular expression."
    )
    request_headers: dict[str, str] = Field(
        default_factory=dict, description="Headers to send; write secrets as `${NAME}`, from the environment."
    )
    body: str | None = Field(None, description="The request body.")
    bearer: SecretName | None = Field(None, description="The environment variable that holds a bearer token to send.")
    basic: SecretName | None = Field(
        None, description="The environment variable that holds `user:password` for basic auth."
    )
    redirects: Annotated[int, Field(ge=0, le=30)] | None = Field(
        None, description="How many redirects to follow; by default 10, or none if `status` includes a 3xx code."
    )
    ca_file: str | None = Field(
        None,
        description="A PEM file of the CAs to trust instead of the default ones, relative to the repository's root.",
    )
    certificate_days: Annotated[float, Field(gt=0, le=3650)] | None = Field(
        None, description="The minimum number of days for which the server's certificate must still be valid."
    )
    max_latency: Annotated[Seconds, Field(gt=0)] | None = Field(
        None, description="Seconds within which the response must start."
    )

    @field_validator("regex")
    @classmethod
    def _is_a_regex(cls, value: str | None) -> str | None:
        if value is not None:
            _compiled(value)
        return value

    @field_validator("headers")
    @classmethod
    def _are_regexes(cls, value: dict[str, str]) -> dict[str, str]:
        for pattern in value.values():
            _compiled(pattern)
        return value

    @field_validator("json_values")
    @classmethod
    def _are_paths(cls, value: dict[str, Any]) -> dict[str, Any]:
        for path in value:
            jsonpath.parse(path)
        return value

    def lacks(self, root: Path) -> Iterator[Lack]:
        """The secrets, and the file of its CAs."""
        yield from super().lacks(root)
        if self.ca_file and "{" not in self.ca_file and not (root / self.ca_file).is_file():
            yield Lack(f"{self.ca_file} does not exist", key="ca_file", may_come=True)

    @classmethod
    def prepare(cls) -> None:
        """Import the client."""
        from ..base import http  # noqa: F401

    def title(self) -> str:
        """The URL without its secrets."""
        return urls.shown(self.url)

    def commands(self) -> tuple[str, ...]:
        """The same request as a curl command; secrets stay in their variables."""
        words = ["curl", "-sS", "-i", "--max-time", f"{self.look_timeout:g}"]
        words += ["-X", self.method] if self.method not in ("GET", "HEAD") else ["-I"] if self.method == "HEAD" else []
        words += ["--cacert", self.ca_file] if self.ca_file else []
        words += ["-L"] if self._redirects else []
        line = shlex.join(words)
        line += f' -H "Authorization: Bearer ${self.bearer}"' if self.bearer else ""
        line += f' -u "${self.basic}"' if self.basic else ""
        return (f"{line} {shlex.quote(urls.shown(self.url))}",)

    @property
    def statuses(self) -> list[int]:
        """The accepted statuses."""
        return self.status if isinstance(self.status, list) else [self.status]

    @property
    def _redirects(self) -> int:
        if self.redirects is not None:
            return self.redirects
        return 0 if any(300 <= status < 400 for status in self.statuses) else _MOST_REDIRECTS  # noqa: PLR2004 - 3xx

    def observe(self, look: Look) -> Observation:
        """Send the request once."""
        look.mask.add(urls.secrets(self.url))
        look.mask.add(value for name, value in self.request_headers.items() if _SECRET_HEADER.search(name))
        for name in (self.bearer, self.basic):
            if name and look.secret(name) is None:
                return Observation(False, f"the environment variable {name} is not set", final=True)
        problem = self._ask(look)
        return Observation(problem is None, problem or "responded as expected")

    def _ask(self, look: Look) -> str | None:
        """One request; None if the response is as expected, else what was observed."""
        import requests

        from ..base.http import explain

        look.note("no connection in time")
        try:
            if self.ca_file and not (look.root / self.ca_file).is_file():
                return f"the file {self.ca_file} (ca_file) does not exist"
            with _session(self, look) as session:
                session.max_redirects = max(self._redirects, 1)  # 0 would fail even if redirects are not followed
                with session.request(
                    self.method, self.url, timeout=look.seconds, stream=True, allow_redirects=self._redirects > 0,
                    headers=self.request_headers, data=self.body.encode() if self.body is not None else None,
                ) as response:  # fmt: skip
                    return next(self._problems(response, look), None)
        except requests.exceptions.TooManyRedirects as error:
            place = error.response.headers.get("Location", "") if error.response is not None else ""
            return f"redirected more than {self._redirects} times, last to {urls.shown(place)}"
        except (requests.RequestException, OSError, ValueError) as error:
            return explain(error, self.url)

    def _problems(self, response: Response, look: Look) -> Iterator[str]:
        """The first mismatch; the body is read only if a key needs it."""
        seen = f"status {response.status_code}"
        if response.status_code not in self.statuses:
            yield f"{seen}, expected {' or '.join(str(status) for status in self.statuses)}"
        took = response.elapsed.total_seconds() + sum(hop.elapsed.total_seconds() for hop in response.history)
        if self.max_latency is not None and took > self.max_latency:
            yield f"{seen}, but after {took:.3g} s, expected within {self.max_latency:g} s"
        for name, pattern in self.headers.items():
            value = response.headers.get(name)
            if value is None:
                yield f"{seen}, but the header {name} is missing"
            elif not re.search(pattern, value):
                yield f"{seen}, but the header {name} is {shown(value)!r}, expected {pattern!r:.80}"
        if self.contains is not None or self.regex is not None or self.json_values:
            look.note(f"{seen}, but its body did not finish in time")
            for problem in self._body_problems(response, look):
                yield f"{seen}, but {problem}"
        if self.certificate_days is not None and response.url.startswith("https:"):
            left = _certificate_days(response.url, self._trust(look), look.seconds)
            if left < self.certificate_days:
                yield f"its certificate is valid for only {left:.1f} more days, expected {self.certificate_days:g}"

    def _trust(self, look: Look) -> str | None:
        return str(look.root / self.ca_file) if self.ca_file else None

    def _body_problems(self, response: Response, look: Look) -> Iterator[str]:
        if self.contains is not None and self.regex is None and not self.json_values:
            if not _body_contains(response, self.contains, look.deadline):
                yield f"the body does not contain {self.contains!r:.80}"
            return
        text = "".join(_texts(response, look.deadline))
        if self.contains is not None and self.contains not in text:
            yield f"the body does not contain {self.contains!r:.80}"
        if self.regex is not None and not re.search(self.regex, text):
            yield f"the body does not match {self.regex!r:.80}"
        if self.json_values:
            yield from jsonpath.differences(text, self.json_values)


def _compiled(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"invalid regular expression: {error}") from None


def _session(check: HttpCheck, look: Look) -> Session:
    """A session that sends the check's credentials to the host of its URL only, not to hosts it is redirected to."""
    from ..base import proxy
    from ..base.session import Credentials, Session

    headers = {"Authorization": f"Bearer {look.secret(check.bearer)}"} if check.bearer else {}
    user, _, password = (look.secret(check.basic) or "").partition(":") if check.basic else ("", "", "")

    def moved(target: str) -> None:
        look.note(f"redirected to {urls.shown(target)}, but no response from there in time")

    session = Session(Credentials(headers, (user, password)), own=check.request_headers, moved=moved, kept=1)
    if trust := check._trust(look):  # noqa: SLF001 - the other half of the check
        session.trust_env = False  # REQUESTS_CA_BUNDLE would override the check's own file
        session.verify = trust
        session.proxies = proxy.usual()
    return session


def _certificate_days(url: str, trust: str | None, seconds: float) -> float:
    """The days for which a host's certificate is still valid, found over a separate connection.

    Raises:
        OSError: The connection failed or is not trusted.
    """
    import os
    import socket
    import ssl

    from certifi import where

    from ..base.trust import context as trusting

    parts = urlsplit(url)
    named = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")  # as for the request
    context = trusting(trust or named or where())
    with (
        socket.create_connection((str(parts.hostname), parts.port or 443), timeout=seconds) as plain,
        context.wrap_socket(plain, server_hostname=parts.hostname) as connection,
    ):
        certificate: dict[str, Any] = connection.getpeercert() or {}
    return (ssl.cert_time_to_seconds(str(certificate["notAfter"])) - time.time()) / 86_400


def _body_contains(response: Response, text: str, deadline: float) -> bool:
    """Whether the body contains a text; an endless body (event stream) is read until it does or time is up."""
    kept = ""
    for piece in _texts(response, deadline):
        kept = kept[-len(text) :] + piece
        if text in kept:
            return True
    return False


def _texts(response: Response, deadline: float) -> Iterator[str]:
    """The body as text, in chunks, up to a limit."""
    import codecs

    # Without a charset, requests assumes ISO-8859-1 for text, as HTTP once said; in practice it is UTF-8.
    named = "charset" in response.headers.get("Content-Type", "").lower()
    try:
        decoder = codecs.getincrementaldecoder((named and response.encoding) or "utf-8")("replace")
    except LookupError:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
    size = 0
    for piece in response.iter_content(_PIECE):
        yield decoder.decode(piece)
        size += len(piece)
        if size >= _LARGEST_BODY or time.monotonic() >= deadline:
            return
