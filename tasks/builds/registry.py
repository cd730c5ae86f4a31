"""Asks a registry for the digest of a tag, and keeps proofs of images there.

The protocol is the OCI distribution specification (https://github.com/opencontainers/distribution-spec/blob/main/spec.md),
its login that of https://distribution.github.io/distribution/spec/auth/token/.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, urljoin, urlsplit

from ..base.errors import DeployError, RegistryError
from ..base.files import json_bytes, parse_json, sha256_bytes
from ..base.jsonvalue import fields
from .proofs import ANNOTATION
from .reference import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable

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
_OK, _CREATED, _ACCEPTED, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 200, 201, 202, 401, 403, 404
# A proof is an image without a file, since registries refuse kinds that they do not know.
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_PROOF_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json"  # GitLab and others know it
_CONFIG = json_bytes({"architecture": "unknown", "os": "unknown", "rootfs": {"type": "layers", "diff_ids": []}})
_T = TypeVar("_T")


@dataclass
class _Talk:
    """Requests to one repository: the client, the prefix of their addresses, and the login once it was asked for."""

    client: Client
    base: str
    secret: dict[str, str] = field(default_factory=dict, repr=False)


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

    def digest(self, reference: str) -> str | None:
        """The digest of the manifest that a tag, or a digest, refers to; None if it or the repository does not exist.

        Raises:
            RegistryError: The registry did not answer the question.
            StoppedError: The run was asked to stop.
        """
        return self._converse(lambda talk: self._digest(talk, reference))

    def proof(self, tag: str, holder: str) -> str | None:
        """The proof of a tag that a key's holder has left; None if there is none that can be read.

        Raises:
            RegistryError: The registry did not answer the question.
            StoppedError: The run was asked to stop.
        """
        return self._converse(lambda talk: self._proof(talk, f"manifests/{tag}.{holder}"))

    def prove(self, tag: str, holder: str, proof: str) -> None:
        """Push a proof of a tag: a manifest of its own, tagged `TAG.HOLDER`, as older registries keep nothing else.

        Raises:
            RegistryError: The registry refuses it.
            StoppedError: The run was asked to stop.
        """
        self._converse(lambda talk: self._prove(talk, f"manifests/{tag}.{holder}", proof))

    def _converse(self, ask: Callable[[_Talk], _T]) -> _T:
        """What some requests return, over the first scheme that the registry speaks."""
        from ..base import http

        problem = ""
        client = http.Client(
            self._stop.wait, seconds=_SECONDS, tries=_TRIES, pause=_PAUSE, verify=not self._insecure, moved=self._moved
        )
        with closing(client):
            for scheme in self._schemes:
                try:
                    return ask(_Talk(client, f"{scheme}://{self._repository.server}/v2/{self._repository.path}/"))
                except http.TlsError as error:
                    problem = problem or str(error)
                except http.NoAnswerError as error:
                    self._stop.check(f"registry {self._repository.host}")
                    problem = str(error)
                    break
            raise self._error(problem, "check that it is up and reachable from here, then run the same command again")

    def _send(self, talk: _Talk, method: str, path: str, kind: str | None = None, data: bytes | None = None) -> Answer:
        """The answer to a request, with a login if the registry asks for one; `kind` is the type of the data."""
        url = urljoin(talk.base, path)
        headers = {"Content-Type": kind} if kind else _HEADERS
        secret = talk.secret if urlsplit(url)[:2] == urlsplit(talk.base)[:2] else {}
        answer = talk.client.request(method, url, secret=secret, headers=headers, data=data)
        if answer.status == _UNAUTHORIZED and secret is talk.secret:
            talk.secret = {"Authorization": self._authorization(talk.client, answer)}
            answer = talk.client.request(method, url, secret=talk.secret, headers=headers, data=data)
        if answer.status in (_UNAUTHORIZED, _FORBIDDEN):
            raise self._denied()
        return answer

    def _digest(self, talk: _Talk, reference: str) -> str | None:
        path = f"manifests/{reference}"
        answer = self._send(talk, "HEAD", path)
        if answer.status == _NOT_FOUND:
            return None
        self._require(answer, _OK)
        stated = answer.headers.get("Docker-Content-Digest", "")
        if _DIGEST.fullmatch(stated):
            return stated
        return self._digest_of_content(self._send(talk, "GET", path))

    def _proof(self, talk: _Talk, path: str) -> str | None:
        answer = self._send(talk, "GET", path)
        if answer.status == _NOT_FOUND:
            return None
        self._require(answer, _OK)
        try:
            found = fields(fields(parse_json(answer.content)).get("annotations")).get(ANNOTATION)
        except (ValueError, RecursionError, DeployError):  # others may have pushed it
            return None
        return found if isinstance(found, str) else None

    def _prove(self, talk: _Talk, path: str, proof: str) -> None:
        manifest = {
            "schemaVersion": 2, "mediaType": _MANIFEST, "config": self._blob(talk, _CONFIG, _CONFIG_TYPE),
            "layers": [self._blob(talk, proof.encode(), _PROOF_TYPE)], "annotations": {ANNOTATION: proof},
        }  # fmt: skip
        self._require(self._send(talk, "PUT", path, _MANIFEST, json_bytes(manifest)), _CREATED)

    def _blob(self, talk: _Talk, content: bytes, kind: str) -> dict[str, str | int]:
        """Upload a blob, unless it is there; returns its descriptor."""
        digest = f"sha256:{sha256_bytes(content)}"
        if self._send(talk, "HEAD", f"blobs/{digest}").status != _OK:
            begun = self._send(talk, "POST", "blobs/uploads/")
            self._require(begun, _ACCEPTED)
            place = urljoin(begun.url, begun.headers.get("Location", ""))
            self._moved("POST", begun.url, place)
            place += f"{'&' if urlsplit(place).query else '?'}digest={quote(digest)}"
            self._require(self._send(talk, "PUT", place, "application/octet-stream", content), _CREATED)
        return {"mediaType": kind, "digest": digest, "size": len(content)}

    def _require(self, answer: Answer, status: int) -> None:
        if answer.status != status:
            raise self._error(f"status {answer.status}", "check the registry, then run the same command again")

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
            untouched="nothing was applied", next_step=next_step,
        )  # fmt: skip
