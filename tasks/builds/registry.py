"""Asks a registry for the digest of a tag.

The protocol is the OCI distribution specification (https://github.com/opencontainers/distribution-spec/blob/main/spec.md),
its login that of https://distribution.github.io/distribution/spec/auth/token/.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..base.errors import RegistryError
from .reference import is_loopback

if TYPE_CHECKING:
    from ..base.http import Answer, Client
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
_HEADERS = {"Accept": _ACCEPT}
_SECONDS = 120.0  # for all requests of one question
_TRIES = 3
_PAUSE = 1.0
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 200, 401, 403, 404


class Registry:
    """One repository of a registry.

    Args:
        repository: Which one.
        login: Its login, if there is one.
        insecure: Whether an untrusted certificate or plain HTTP is accepted.
        stop: Ends waits early.
        mask: Gets the tokens that the registry issues.
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
        """The digest of the manifest that a tag points to; None if there is no such tag or repository.

        Raises:
            RegistryError: The registry did not answer the question.
            StoppedError: The run was asked to stop.
        """
        from ..base import http

        problem, path = "", f"{self._repository.server}/v2/{self._repository.path}/manifests/{tag}"
        client = http.Client(
            self._stop.wait, seconds=_SECONDS, tries=_TRIES, pause=_PAUSE, verify=not self._insecure, moved=self._moved
        )
        with closing(client):
            for scheme in self._schemes:
                try:
                    return self._ask(client, f"{scheme}://{path}")
                except http.TlsError as error:
                    problem = problem or str(error)
                except http.NoAnswerError as error:
                    self._stop.check(f"registry {self._repository.host}")
                    problem = str(error)
                    break
            raise self._error(problem, "check that it is up and reachable from here, then run the same command again")

    def _ask(self, client: Client, url: str) -> str | None:
        secret: dict[str, str] = {}
        answer = client.request("HEAD", url, headers=_HEADERS)
        if answer.status == _UNAUTHORIZED:
            secret = {"Authorization": self._authorization(client, answer)}
            answer = client.request("HEAD", url, headers=_HEADERS, secret=secret)
        if answer.status == _NOT_FOUND:
            return None
        if answer.status in (_UNAUTHORIZED, _FORBIDDEN):
            raise self._denied()
        if answer.status != _OK:
            raise self._error(f"status {answer.status}", "check the registry, then run the same command again")
        stated = answer.headers.get("Docker-Content-Digest", "")
        if _DIGEST.fullmatch(stated):
            return stated
        return self._digest_of_content(client.request("GET", url, headers=_HEADERS, secret=secret))

    def _digest_of_content(self, answer: Answer) -> str:
        """Hash the manifest's bytes, as some registries do not state the digest."""
        is_manifest = answer.headers.get("Content-Type", "").partition(";")[0].strip() in _ACCEPT.split(", ")
        if answer.status != _OK or not is_manifest:
            raise self._error(
                "this is not a registry's response", "check that this is a registry, and the repository's name"
            )
        return f"sha256:{hashlib.sha256(answer.content).hexdigest()}"

    def _moved(self, _method: str, _url: str, target: str) -> None:
        if not self._may_ask(target):
            raise self._error(f"it redirects to {urlsplit(target).netloc} without TLS", "check the registry")

    def _authorization(self, client: Client, refused: Answer) -> str:
        """The header that the challenge asks for: Basic, or a token from its realm, with our login or anonymous."""
        scheme, _, rest = refused.headers.get("WWW-Authenticate", "").partition(" ")
        if scheme.lower() == "basic":
            if self._login is None:
                raise self._denied()
            return f"Basic {self._login.basic}"
        if scheme.lower() == "bearer":
            return f"Bearer {self._token(client, rest)}"
        raise self._error("it requires an unknown kind of login", "check the repository's name")

    def _token(self, client: Client, challenge: str) -> str:
        from ..base.http import NoAnswerError

        parameters = {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(challenge)}
        realm = parameters.get("realm", "")
        if not self._may_ask(realm):
            raise self._error(
                f"it asks for the login to be sent to {urlsplit(realm).netloc or 'nowhere'} without TLS",
                "check the registry",
            )
        query = {"scope": parameters.get("scope") or f"repository:{self._repository.path}:pull"}
        if "service" in parameters:
            query["service"] = parameters["service"]
        secret = {"Authorization": f"Basic {self._login.basic}"} if self._login else {}
        answer = client.request("GET", realm, params=query, headers={"Accept": "application/json"}, secret=secret)
        if answer.status in (_UNAUTHORIZED, _FORBIDDEN):
            raise self._denied()
        try:
            value = answer.json()
            token = value.get("token") or value.get("access_token")
        except (NoAnswerError, AttributeError):
            token = None
        if answer.status != _OK or not isinstance(token, str) or not token.isprintable():
            raise self._error(
                f"{urlsplit(realm).netloc} did not issue a token (status {answer.status})", "check the registry"
            )
        self._mask.add([token])
        return token

    def _may_ask(self, url: str) -> bool:
        """Whether a login may be sent there: over TLS, to this machine, or if the configuration says so."""
        parts = urlsplit(url)
        if parts.scheme == "https":
            return True
        return parts.scheme == "http" and (is_loopback(parts.netloc) or self._insecure)

    def _denied(self) -> RegistryError:
        host, path = self._repository.host, self._repository.path
        if self._login is None:
            return self._error(
                f"it requires a login for {path}, but none is set for {host}",
                "set DEPLOY_REGISTRY_USER and DEPLOY_REGISTRY_PASSWORD, or other variables under the image's `login`",
            )
        return self._error(
            f"it denies access to {path} for the login in {self._login.source}",
            "check the password, and that this user may read and write that repository",
        )

    def _error(self, message: str, next_step: str) -> RegistryError:
        return RegistryError(
            f"registry {self._repository.host}: {message}",
            untouched="nothing was planned or applied", next_step=next_step,
        )  # fmt: skip
