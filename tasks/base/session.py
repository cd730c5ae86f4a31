"""Sessions of `requests`: a secret goes to one origin only, `.netrc` is ignored, and thousands at once cost little.

A look of a check has a session of its own, as it has to connect anew.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

import requests
from requests import PreparedRequest
from requests.adapters import DEFAULT_POOLSIZE
from requests.auth import AuthBase, HTTPBasicAuth
from requests.cookies import RequestsCookieJar
from requests.hooks import default_hooks
from requests.structures import CaseInsensitiveDict

from . import proxy, urls
from .deadline import Adapter

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from requests import Request, Response


class Credentials(AuthBase):
    """Adds secret headers and a login to a request: the given one, else that of the URL, never one from a `.netrc`."""

    def __init__(self, headers: Mapping[str, str] | None = None, login: tuple[str, str] = ("", "")) -> None:
        self._headers, self._login = headers or {}, login

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """The same request, changed."""
        request.headers.update(self._headers)
        user, password = self._login if any(self._login) else urls.credentials(str(request.url))
        if (user or password) and "Authorization" not in request.headers:
            HTTPBasicAuth(user.encode(), password.encode())(request)
        return request


def _copied(headers: Any) -> CaseInsensitiveDict[Any]:
    return CaseInsensitiveDict(headers.items())


@cache
def _usual_session() -> requests.Session:
    return requests.Session()


class Session(requests.Session):
    """A session that ignores `.netrc` and takes no secret to another origin when it follows a redirect.

    Args:
        credentials: The secrets of its requests.
        own: The headers that, like `Authorization`, are dropped on a redirect to another origin.
        moved: Called with the target of a redirect before it is followed.
        kept: The most connections to one host that are kept for the next request.
    """

    def __init__(
        self, credentials: Credentials | None = None, *, own: Collection[str] = (),
        moved: Callable[[str], None] = lambda _: None, kept: int = DEFAULT_POOLSIZE,
    ) -> None:  # fmt: skip
        # As `requests.Session()` makes it, but its two adapters, which take longer than all else, are ours: one.
        usual = _usual_session()
        vars(self).update(
            vars(usual), headers=_copied(usual.headers), cookies=RequestsCookieJar(), hooks=default_hooks()
        )
        vars(self).update(proxies={}, params={}, adapters=dict.fromkeys(("https://", "http://"), Adapter(kept)))
        self.headers["User-Agent"] = "doit-tofu"
        self.auth = credentials or Credentials()  # always set, or requests would read ~/.netrc
        self._own, self._moved = ("Authorization", *own), moved

    def leaves(self, old: str, new: str) -> bool:
        """Whether a redirect leaves the origin; an upgrade to TLS on the same host's default ports does not."""
        strips: Any = self.should_strip_auth
        try:
            return bool(strips(old, new))
        except ValueError:  # no valid port
            return True

    def prepare_request(self, request: Request) -> PreparedRequest:
        """Called by requests for each request: as it does it, without what is the same for all of ours."""
        if request.cookies or request.hooks.get("response") or self.params or len(self.cookies):
            return super().prepare_request(request)
        made = PreparedRequest()
        headers = _copied(self.headers)
        headers.update(request.headers)
        made.prepare(
            request.method, request.url, {key: value for key, value in headers.items() if value is not None},
            request.files, request.data, request.params, request.auth or self.auth, RequestsCookieJar(),
            request.hooks, request.json,
        )  # fmt: skip
        return made

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:  # fmt: skip
        """Called by requests for each request; without a proxy, the variables need not be read again."""
        if not self.trust_env or self.proxies or proxy.usual():
            return super().merge_environment_settings(url, proxies, stream, verify, cert)
        if verify is None or verify is True:
            verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or verify
        given = {"proxies": proxies, "stream": stream, "verify": verify, "cert": cert}
        return {name: getattr(self, name) if value is None else value for name, value in given.items()}

    def rebuild_auth(self, prepared_request: PreparedRequest, response: Response) -> None:
        """Called by requests for each redirect that it follows."""
        target = str(prepared_request.url)
        self._moved(target)
        if self.leaves(str(response.request.url), target):
            for name in self._own:
                prepared_request.headers.pop(name, None)
