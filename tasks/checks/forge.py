"""Reading from a forge's API: pages, refusals and limits told apart; the token goes into a header, and nowhere else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

from . import urls
from .check import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from requests import Response

    from .check import Look

_PER_PAGE = 100
_MOST_PAGES = 100
_LONGEST_PAUSE = 60.0


class ForgeError(Exception):
    """The API could not be asked; `final` when asking again is in vain, `pause` how long it wants not to be asked."""

    def __init__(self, message: str, *, final: bool = False, pause: float = 0.0) -> None:
        super().__init__(message)
        self.final = final
        self.pause = pause


class Forge:
    """A session with an API for one look.

    Args:
        api: Its base URL.
        look: Gives the time that is left, and the token.
        header: The header that the token goes into.
        token: The variable that holds it.
        scheme: What stands before it.

    Attributes:
        skew: How much the forge's clock is ahead of ours, as of its last answer.

    Raises:
        ForgeError: There is no token.
    """

    def __init__(self, api: str, look: Look, header: str, token: str, scheme: str = "") -> None:
        import requests

        secret = look.secret(token)
        if secret is None:
            raise ForgeError(f"the environment variable {token} is not set", final=True)
        look.mask.add(urls.secrets(api))
        look.note("the API did not answer in time")
        self._api, self._look, self._token = api.rstrip("/"), look, token
        self._session = requests.Session()
        self._session.auth = _nothing  # else what ~/.netrc has for the host would replace the token
        self._session.headers.update({header: scheme + secret, "Accept": "application/json"})
        self.skew = timedelta()

    def __enter__(self) -> Self:
        """The session."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closed."""
        self._session.close()

    def get(self, path: str) -> dict[str, Any]:
        """An object.

        Raises:
            ForgeError: It cannot be had.
        """
        found = _json(self._answer(path, {}))
        if not isinstance(found, dict):
            raise ForgeError(f"{urls.shown(self._api)}: an answer that is no object")
        return found

    def pages(
        self, path: str, query: Mapping[str, str], *, within: str | None = None, optional: bool = False
    ) -> Iterator[dict[str, Any]]:
        """All objects of a list, page by page.

        Args:
            path: Below the base URL.
            query: What is asked for.
            within: The key of the list, where the answer is an object.
            optional: Whether a list that is not there is an empty one.

        Raises:
            ForgeError: A page cannot be had.
        """
        for page in range(1, _MOST_PAGES + 1):
            response = self._answer(path, {**query, "per_page": str(_PER_PAGE), "page": str(page)}, optional=optional)
            if response is None:
                return
            found = _json(response)
            found = found.get(within) if within and isinstance(found, dict) else found
            if not isinstance(found, list):
                raise ForgeError(f"{urls.shown(self._api)}: an answer that is no list")
            yield from found
            # By the link, not by the length: servers may give fewer than they were asked for.
            if "next" not in response.links and not response.headers.get("X-Next-Page"):
                return

    def _answer(self, path: str, query: Mapping[str, str], *, optional: bool = False) -> Any:
        import requests

        try:
            response = self._session.get(
                self._api + path, params=query, timeout=self._look.seconds, allow_redirects=False
            )
        except requests.exceptions.Timeout:
            raise ForgeError(f"{urls.shown(self._api)}: no answer in time") from None
        except (requests.RequestException, OSError, ValueError) as error:
            raise ForgeError(f"{urls.shown(self._api)}: {urls.cause(error, self._api + path)}") from None
        self._note_clock(response)
        if response.ok and not response.is_redirect:
            return response
        if optional and response.status_code in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
            return None
        raise self._refused(response, path)

    def _refused(self, response: Response, path: str) -> ForgeError:
        status, place = response.status_code, urls.shown(self._api + path)
        spent = response.headers.get("X-RateLimit-Remaining") == "0" or "Retry-After" in response.headers
        if status == HTTPStatus.TOO_MANY_REQUESTS or (status == HTTPStatus.FORBIDDEN and spent):
            pause = _pause(response)
            return ForgeError(f"{place}: too many requests ({status}), asks again after {pause:g} s", pause=pause)
        token = f"the token in {self._token}"
        if status == HTTPStatus.UNAUTHORIZED:
            return ForgeError(f"{place}: {token} is not accepted (401): expired or invalid", final=True)
        if status == HTTPStatus.FORBIDDEN:
            return ForgeError(f"{place}: {token} may not read this (403)", final=True)
        if status == HTTPStatus.NOT_FOUND:
            return ForgeError(f"{place}: there is no such thing, or {token} may not see it (404)")
        if response.is_redirect:
            where = urls.shown(response.headers["Location"])
            return ForgeError(f"{place}: redirected to {where}; `api` must name that")
        return ForgeError(f"{place}: status {status}: {shown(response.text)}")

    def _note_clock(self, response: Response) -> None:
        try:
            self.skew = parsedate_to_datetime(response.headers["Date"]) - datetime.now(UTC)
        except (KeyError, ValueError, TypeError):
            return
        if abs(self.skew) < timedelta(seconds=2):  # the header knows no fractions
            self.skew = timedelta()


def _nothing(request: Any) -> Any:
    return request


def _json(response: Any) -> Any:
    try:
        return response.json()
    except ValueError:
        raise ForgeError(f"{urls.shown(response.url)}: an answer that is not JSON") from None


def _pause(response: Response) -> float:
    """What the answer says of when to ask again, in seconds, within reason."""
    try:
        return min(max(float(response.headers["Retry-After"]), 0.0), _LONGEST_PAUSE)
    except (KeyError, ValueError):
        return 5.0
