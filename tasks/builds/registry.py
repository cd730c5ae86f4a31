"""A client of registries for one question: which digest has this tag.

The protocol is the OCI distribution specification (https://github.com/opencontainers/distribution-spec/blob/main/spec.md),
its login that of https://distribution.github.io/distribution/spec/auth/token/.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from ..base.errors import RegistryError
from .reference import is_loopback

if TYPE_CHECKING:
    from requests import Response, Session

    from ..base.masking import Masker
    from ..base.stop import Stop
    from .credentials import Login
    from .reference import Repository

_ACCEPT = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.index.v1", "oci.image.manifest.v1",
        "docker.distribution.manifest.list.v2", "docker.distribution.manifest.v2",
    )
)  # fmt: skip
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PARAMETER = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s",]+))')
_TIMEOUT = (10, 30)
_TRIES = 3
_PAUSE = 1.0  # seconds before the second try; then twice as long each time
_LONGEST_PAUSE = 30.0
_LARGEST = 4 << 20  # the specification's limit for manifests
_MOST_REDIRECTS = 3
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _TOO_MANY, _SERVER_ERROR = 200, 401, 403, 404, 429, 500


class Registry:
    """One repository of a registry.

    Args:
        repository: Which one.
        login: Its login, if there is one.
        insecure: Whether a certificate that nobody vouches for, or plain HTTP, is fine.
        stop: Ends waits early.
        mask: Learns the tokens that the registry gives.
    """

    def __init__(
        self, repository: Repository, login: Login | None, *, insecure: bool, stop: Stop, mask: Masker
    ) -> None:
        self._repository, self._login, self._stop, self._mask = repository, login, stop, mask
        self._insecure = insecure
        plain = repository.is_local or insecure
        self._schemes = ("https", "http") if plain else ("https",)
        if login:
            mask.add([login.password, login.basic])

    def digest(self, tag: str) -> str | None:
        """The digest of the manifest that a tag names; None when there is no such tag, or no such repository.

        Raises:
            RegistryError: The registry did not say.
            StoppedError: The run was asked to stop.
        """
        import requests

        with requests.Session() as session:
            session.auth = _NoAuth()  # else a .netrc would speak for us
            if self._insecure:
                import urllib3

                urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
                session.verify = False
            problem, path = "", f"{self._repository.server}/v2/{self._repository.path}/manifests/{tag}"
            for scheme in self._schemes:
                try:
                    return self._ask(session, f"{scheme}://{path}")
                except requests.exceptions.SSLError as error:
                    problem = problem or f"TLS failed: {str(error)[:160]}"
                except (requests.RequestException, OSError, ValueError) as error:
                    problem = _cause(error)
                    break
            raise self._error(problem, "is it up, and reachable from here? then run the same command again")

    def _ask(self, session: Session, url: str) -> str | None:
        answer = self._patiently(session, "HEAD", url)
        if answer.status_code == _UNAUTHORIZED:
            self._authenticate(session, answer)
            answer = self._patiently(session, "HEAD", url)
        if answer.status_code == _NOT_FOUND:
            return None
        if answer.status_code in (_UNAUTHORIZED, _FORBIDDEN):
            raise self._denied()
        if answer.status_code != _OK:
            raise self._error(f"status {answer.status_code}", "look at the registry; then run the same command again")
        stated = answer.headers.get("Docker-Content-Digest", "")
        if _DIGEST.fullmatch(stated):
            return stated
        return self._digest_of_content(session, url)

    def _digest_of_content(self, session: Session, url: str) -> str:
        """Some registries do not state the digest: it is that of the manifest's bytes."""
        answer = self._patiently(session, "GET", url)
        content = answer.content[: _LARGEST + 1]
        is_manifest = answer.headers.get("Content-Type", "").partition(";")[0].strip() in _ACCEPT.split(", ")
        if answer.status_code != _OK or len(content) > _LARGEST or not is_manifest:
            raise self._error("it answers as no registry does", "is this a registry, and the repository's name right?")
        return f"sha256:{hashlib.sha256(content).hexdigest()}"

    def _patiently(self, session: Session, method: str, url: str, **options: Any) -> Response:
        """A request that is made again when the registry is busy; redirects lose the login when they leave the host."""
        import requests

        pause = _PAUSE
        for number in range(1, _TRIES + 1):
            try:
                answer = self._redirected(session, method, url, **options)
            except requests.exceptions.SSLError:
                raise
            except (requests.ConnectionError, requests.Timeout):
                if number == _TRIES:
                    raise
                answer = None
            if answer is not None and answer.status_code != _TOO_MANY and answer.status_code < _SERVER_ERROR:
                return answer
            if number == _TRIES and answer is not None:
                return answer
            stated = answer.headers.get("Retry-After", "") if answer is not None else ""
            wait = min(float(stated), _LONGEST_PAUSE) if stated.isdecimal() else pause
            if self._stop.wait(wait):
                self._stop.check(f"registry {self._repository.host}")
            pause *= 2
        raise AssertionError("unreachable")

    def _redirected(self, session: Session, method: str, url: str, **options: Any) -> Response:
        headers = {"Accept": _ACCEPT, **options.pop("headers", {})}
        for _ in range(_MOST_REDIRECTS):
            answer = session.request(method, url, headers=headers, timeout=_TIMEOUT, allow_redirects=False, **options)
            if not answer.is_redirect:
                return answer
            target = urljoin(url, answer.headers["Location"])
            if urlsplit(target).netloc != urlsplit(url).netloc:
                session.headers.pop("Authorization", None)
            if not self._may_ask(target):
                raise self._error(f"it leads to {urlsplit(target).netloc} without TLS", "look at the registry")
            url = target
        raise self._error("it leads nowhere, from one address to the next", "look at the registry")

    def _authenticate(self, session: Session, refused: Response) -> None:
        """Do as the challenge says: Basic, or a token from where it says, for our login or for nobody's."""
        scheme, _, rest = refused.headers.get("WWW-Authenticate", "").partition(" ")
        if scheme.lower() == "basic":
            if self._login is None:
                raise self._denied()
            session.headers["Authorization"] = f"Basic {self._login.basic}"
        elif scheme.lower() == "bearer":
            session.headers["Authorization"] = f"Bearer {self._token(session, rest)}"
        else:
            raise self._error("it wants a login of a kind that is not known", "is the repository's name right?")

    def _token(self, session: Session, challenge: str) -> str:
        parameters = {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(challenge)}
        realm = parameters.get("realm", "")
        if not self._may_ask(realm):
            raise self._error(
                f"it wants the login to be sent to {urlsplit(realm).netloc or 'nowhere'} without TLS", "look at it"
            )
        query = {"scope": parameters.get("scope") or f"repository:{self._repository.path}:pull"}
        if "service" in parameters:
            query["service"] = parameters["service"]
        headers = {"Accept": "application/json"}
        if self._login is not None:
            headers["Authorization"] = f"Basic {self._login.basic}"
        answer = self._patiently(session, "GET", realm, params=query, headers=headers)
        if answer.status_code in (_UNAUTHORIZED, _FORBIDDEN):
            raise self._denied()
        try:
            value = answer.json()
            token = value.get("token") or value.get("access_token")
        except (ValueError, AttributeError):
            token = None
        if answer.status_code != _OK or not isinstance(token, str) or not token.isprintable():
            raise self._error(
                f"{urlsplit(realm).netloc} gave no token (status {answer.status_code})", "look at the registry"
            )
        self._mask.add([token])
        return token

    def _may_ask(self, url: str) -> bool:
        """Whether a login may go there: over TLS, or on this machine, or where the configuration says so."""
        parts = urlsplit(url)
        if parts.scheme == "https":
            return True
        return parts.scheme == "http" and (is_loopback(parts.netloc) or self._insecure)

    def _denied(self) -> RegistryError:
        host, path = self._repository.host, self._repository.path
        if self._login is None:
            return self._error(
                f"it wants a login for {path}, and there is none for {host}",
                "set DEPLOY_REGISTRY_USER and DEPLOY_REGISTRY_PASSWORD, or name others under `login` of the image",
            )
        return self._error(
            f"it refuses {path} for the login in {self._login.source}",
            "is the password right, and may this user read and write that repository?",
        )

    def _error(self, message: str, next_step: str) -> RegistryError:
        return RegistryError(
            f"registry {self._repository.host}: {self._mask.text(message)}",
            untouched="nothing was planned or applied", next_step=next_step,
        )  # fmt: skip


class _NoAuth:
    """Sends exactly the headers that are set."""

    def __call__(self, request: Any) -> Any:
        return request


def _cause(error: BaseException) -> str:
    text = str(error)
    for sign, meaning in (
        ("NameResolution", "the host name is not known"),
        ("Name or service not known", "the host name is not known"),
        ("Connection refused", "connection refused"),
        ("timed out", "no answer in time"),
        ("RemoteDisconnected", "the connection was closed without an answer"),
    ):
        if sign in text:
            return meaning
    return text[:160]
