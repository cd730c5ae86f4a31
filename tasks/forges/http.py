"""Requests to a forge's API: sends the token to that host only, and explains refusals."""

from __future__ import annotations

import json
from contextlib import contextmanager
from math import inf
from typing import TYPE_CHECKING, Any, Unpack
from urllib.parse import urlsplit

from ..base.errors import DeployError
from ..base.http import Client, GarbageError, NoAnswerError, RefusedError, UnsendableError
from ..base.problem import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..base.errors import Places
    from ..base.http import Answer

_LATER = "run the job again later; plans and deploys are not affected"


class ForgeError(DeployError):
    """A request to a forge failed; it never fails a plan or a deploy.

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
        headers: Sent to this host and to no other, including the token.
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
        self._base, self._explain = base, explain
        self._client = Client(
            wait, base=f"{base}/", secret={"Accept": "application/json", **headers}, seconds=seconds,
            longest_asked=inf, moved=self._check_redirect,
        )  # fmt: skip

    def pages(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """The elements of a list, page by page, up to the last one that the forge names.

        Raises:
            ForgeError: A page could not be had.
        """
        with self._asking("GET", path):
            yield from self._client.items(path, query)

    def get(self, path: str) -> Any:
        """What is at a path.

        Raises:
            ForgeError: It could not be had.
        """
        return self.send("GET", path)

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Create, change or delete; it is retried, so something may be created twice.

        Raises:
            ForgeError: The forge did not do it, or that is not known.
        """
        with self._asking(method, path):
            return self._client.request(method, path, json=body).json()

    @contextmanager
    def _asking(self, method: str, path: str) -> Iterator[None]:
        try:
            yield
        except UnsendableError:
            raise ForgeError(
                f"{self._shown(path)}: the token or the address contains characters that cannot be sent",
                next_step="set the token again, without line breaks or spaces",
            ) from None
        except GarbageError as error:
            raise ForgeError(
                f"{self._shown(path)}: {error}",
                next_step="check that `forge.url` is the address of the API, not of a sign-in page or a proxy",
            ) from None
        except RefusedError as error:
            status = error.answer.status
            raise ForgeError(
                f"{method} {self._shown(path)}: {error}{_said(error.answer)}",
                status=status, next_step=self._explain(status),
            ) from None  # fmt: skip
        except NoAnswerError as error:
            raise ForgeError(f"{method} {self._shown(path)}: {error}", next_step=_LATER) from None

    def _check_redirect(self, method: str, url: str, target: str) -> None:
        """Refuse a redirect to another host, and any of a request that changes something."""
        shown = url.partition("://")[2].partition("?")[0]
        if _origin(target) != _origin(self._base):
            raise ForgeError(
                f"{shown} redirects to another host ({urlsplit(target).hostname}), which does not get the token",
                next_step="set `forge.url` to the API's real address",
            )
        if method != "GET":
            raise ForgeError(
                f"{method} {shown} is redirected to {urlsplit(target).path}: the project was moved",
                next_step="set `forge.project` to its new name",
            )

    def _shown(self, path: str) -> str:
        return f"{urlsplit(self._base).hostname}/{path}"


def field_of(answer: Any, *path: str) -> str:
    """A text in an answer.

    Args:
        answer: The answer's JSON.
        path: The names of the fields on the way to it.

    Raises:
        ForgeError: The answer does not have it.
    """
    found = answer
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, str) or not found:
        raise ForgeError(f"the forge's answer has no `{'.'.join(path)}`", next_step=_LATER)
    return found


def _said(answer: Answer) -> str:
    """The forge's own message of a refusal, on one short line."""
    try:
        record = json.loads(answer.content)
    except (ValueError, RecursionError):
        return ""
    text = (record.get("message") or record.get("error")) if isinstance(record, dict) else None
    plain = " ".join(str(text).split()) if text else ""
    return f" ({plain[:150]})" if plain else ""


def _origin(url: str) -> tuple[str, str | None, int | None] | None:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        return None
    return parts.scheme, parts.hostname, port
