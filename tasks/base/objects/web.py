"""A server that takes PUT and answers GET as a place of files: WebDAV, a raw artifact repository, GitLab's packages."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from ..http import Answer, Client, NoAnswerError
from .place import ChangedError, ConditionError, RefusedError, UnreachableError, content_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Wait = Callable[[float], bool | None]

_TRIES = 5
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _PRECONDITION_REQUIRED, _NOT_IMPLEMENTED = 401, 403, 404, 428, 501
_CONFLICT = (409, 412)
_WRITTEN = (200, 201, 202, 204)
_SAYS_SO = (201, 204)  # RFC 9110, 9.3.4; any page is a 200, and a 202 is a promise
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Web:
    """An HTTP address; the tag of a file is its strong ETag.

    Requests are tried again while the server is busy or away.

    Args:
        url: What all names stand behind.
        header: The header that carries the token: `Authorization` as a bearer token, any other as it is.
        token: The token.
        timeout: Seconds that one try may take.
        wait: Waits so many seconds; true when the run was asked to stop.
        once: Whether a conditional write is tried once: after a lost answer a second try would find the file changed,
            by the first. Then a file is also read again where the answer to its write does not prove that it is there.

    Raises:
        RefusedError: The address holds credentials, or the token would be sent in plain text.
    """

    def __init__(self, url: str, header: str, token: str | None, timeout: float, wait: Wait, *, once: bool) -> None:
        parts = urlsplit(url)
        self.name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")
        if parts.username or parts.password:
            raise RefusedError("the address holds credentials: put the token into a variable of its own")
        if token and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise RefusedError("the token is not sent in plain text: use https")
        value = f"Bearer {token}" if token and header.lower() == "authorization" else token
        secret = {header: value} if value else {}

        def client(tries: int) -> Client:
            return Client(
                lambda seconds: wait(seconds * random.uniform(1, 1.5)),  # noqa: S311 - apart from other writers
                base=f"{self.name}/", secret=secret, seconds=_TRIES * timeout, only_lost=True, tries=tries,
                timeout=timeout, pause=0.25,
            )  # fmt: skip

        self._often, self._once, self._strict = client(_TRIES), client(1 if once else _TRIES), once

    def read(self, path: str) -> tuple[bytes | None, str | None]:
        """A file, and its ETag when the server has one that is strong."""
        answer = self._ask(self._often, "GET", path, headers={"Cache-Control": "no-cache"})
        if answer.status == _NOT_FOUND:
            return None, None
        if answer.status != 200:  # noqa: PLR2004 - OK
            raise _refusal("GET", path, answer)
        return answer.content, _strong(answer)

    def write(self, path: str, data: bytes, *, tag: str | None = None, new: bool = False) -> str | None:
        """PUT. The response does not show whether the server honours conditions: callers have to test that."""
        headers = {"Content-Type": content_type(path)}
        headers |= {"If-Match": tag} if tag else {"If-None-Match": "*"} if new else {}
        answer = self._ask(self._once if tag or new else self._often, "PUT", path, data, headers)
        if answer.status in _CONFLICT:
            raise ChangedError(path)
        if answer.status in (_NOT_IMPLEMENTED, _PRECONDITION_REQUIRED) and (tag or new):
            raise ConditionError(f"PUT {path}: HTTP {answer.status}")
        if answer.status not in _WRITTEN:
            raise _refusal("PUT", path, answer)
        if self._strict and not _is_proof(answer):
            found, there = self.read(path)
            if found != data:
                raise UnreachableError(f"PUT {path}: HTTP {answer.status}, but the server does not have the file")
            return there
        return _strong(answer)

    def remove(self, path: str) -> None:
        """DELETE."""
        answer = self._ask(self._often, "DELETE", path)
        if answer.status not in (*_WRITTEN, _NOT_FOUND):
            raise _refusal("DELETE", path, answer)

    def close(self) -> None:
        """Close the connections."""
        self._often.close()
        self._once.close()

    def _ask(
        self, client: Client, method: str, path: str, data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:  # fmt: skip
        try:
            return client.request(method, quote(path), data=data, headers=headers)
        except NoAnswerError as error:
            raise UnreachableError(f"{method} {path}: {error}") from None


def _is_proof(answer: Answer) -> bool:
    """Whether the answer to a PUT can only be that of a server which stored it: not the page of a proxy or a login."""
    return answer.status in _SAYS_SO or (answer.status == 200 and not answer.content and _strong(answer) is not None)  # noqa: PLR2004 - OK


def _strong(answer: Answer) -> str | None:
    etag = answer.headers.get("ETag", "")
    return etag if etag.startswith('"') else None


def _refusal(method: str, path: str, answer: Answer) -> RefusedError:
    said = " (these credentials do not allow it)" if answer.status in (_UNAUTHORIZED, _FORBIDDEN) else ""
    return RefusedError(f"{method} {path}: HTTP {answer.status}{said}")
