"""Where published files go: a folder, an HTTP address that takes PUT, or an S3 bucket; all three look the same here."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlsplit

from ..base import plain
from ..base.errors import DeployError, PublishError
from ..base.files import LARGEST_RECORD, locked, sha256_bytes, write_atomic
from ..base.problem import doit

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..base.http import Answer
    from ..project import model

    Wait = Callable[[float], bool | None]

_TRIES = 5
_TYPES = {".json": "application/json", ".jsonl": "application/x-ndjson", ".html": "text/html", ".xml": "text/xml"}
_NOT_FOUND = 404
_CONFLICT = (409, 412)  # S3 answers 409 when two conditional writes meet
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class ConflictError(Exception):
    """Somebody else wrote the file in between."""


class Destination(Protocol):
    """A place that keeps files by their name."""

    name: str

    def read(self, path: str) -> tuple[bytes | None, str | None]:
        """A file's content and its tag for `write`; None when there is none.

        Raises:
            PublishError: It cannot be read.
        """

    def write(self, path: str, data: bytes, *, tag: str | None = None, new: bool = False) -> None:
        """Write a file; with a tag only over that very content, with `new` only where there is none.

        Raises:
            ConflictError: There is another content.
            PublishError: It cannot be written.
        """


def open_destination(settings: model.Publish, to: str, endpoint: str | None, wait: Wait) -> Destination:
    """The destination that an address names.

    Args:
        settings: How it is published.
        to: The address, filled in.
        endpoint: The S3 endpoint, filled in.
        wait: Waits so many seconds; true when the run was asked to stop.

    Raises:
        PublishError: It is none that can be published to.
    """
    scheme = to.partition("://")[0].lower() if "://" in to else ""
    if scheme in ("http", "https"):
        token = os.environ.get(settings.token or "") or None
        return HttpDestination(to, settings.header, token, settings.timeout, wait)
    if scheme == "s3":
        return S3Destination(to, endpoint, settings.timeout)
    if scheme:
        raise PublishError(f"cannot publish to `{scheme}://`", next_step="a folder, http(s):// or s3:// is possible")
    return FolderDestination(Path(to))


class FolderDestination:
    """A folder, which may lie on a share."""

    def __init__(self, folder: Path) -> None:
        self.name, self._folder = str(folder), folder

    def read(self, path: str) -> tuple[bytes | None, str | None]:
        """A file of the folder; its tag is its digest."""
        try:
            data = plain.read(self._folder / path, LARGEST_RECORD)
        except FileNotFoundError:
            return None, None
        except OSError as error:
            raise _failed(self.name, f"cannot read {path}: {error.strerror}") from error
        return data, sha256_bytes(data)

    def write(self, path: str, data: bytes, *, tag: str | None = None, new: bool = False) -> None:
        """Write under a lock of the folder, so that two publishers on one machine do not lose each other's entries."""
        target = self._folder / path
        try:
            with locked(self._folder / ".lock"):
                if tag is not None or new:
                    found = self.read(path)[0]
                    if (found is None) is not new or (found is not None and sha256_bytes(found) != tag):
                        raise ConflictError(path)
                write_atomic(target, data, durable=False)
        except (OSError, DeployError) as error:
            raise _failed(self.name, f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from error


class HttpDestination:
    """A server that takes PUT and gives GET: WebDAV, a raw artifact repository, GitLab's generic packages."""

    def __init__(self, url: str, header: str, token: str | None, timeout: float, wait: Wait = time.sleep) -> None:
        from ..base.http import Client

        parts = urlsplit(url)
        self.name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")
        if parts.username or parts.password:
            raise PublishError(
                "the address holds credentials", next_step="put the token into the variable that `publish.token` names"
            )
        if token and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise PublishError(f"a token is not sent in clear to {self.name}", next_step="use https")
        value = f"Bearer {token}" if token and header.lower() == "authorization" else token
        self._client = Client(
            lambda seconds: wait(seconds * random.uniform(1, 1.5)),  # noqa: S311 - apart from other publishers
            base=f"{self.name}/", secret={header: value} if value else {},
            seconds=_TRIES * timeout, only_lost=True, tries=_TRIES, timeout=timeout, pause=0.25,
        )  # fmt: skip

    def read(self, path: str) -> tuple[bytes | None, str | None]:
        """A file, and its ETag when the server has one that is strong."""
        answer = self._request("GET", path, accepted=(200, _NOT_FOUND))
        etag = answer.headers.get("ETag", "")
        return (answer.content, etag if etag.startswith('"') else None) if answer.status != _NOT_FOUND else (None, None)

    def write(self, path: str, data: bytes, *, tag: str | None = None, new: bool = False) -> None:
        """PUT; a server that heeds no conditions is found out by reading again, see `index`."""
        headers = {"Content-Type": _type(path)}
        headers |= {"If-Match": tag} if tag else {"If-None-Match": "*"} if new else {}
        answer = self._request("PUT", path, accepted=(200, 201, 202, 204, *_CONFLICT), data=data, headers=headers)
        if answer.status in _CONFLICT:
            raise ConflictError(path)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _request(self, method: str, path: str, *, accepted: tuple[int, ...], **options: Any) -> Answer:
        from ..base.http import NoAnswerError

        try:
            answer = self._client.request(method, quote(path), **options)
        except NoAnswerError as error:
            raise _failed(self.name, f"{method} {path}: {error}") from None
        if answer.status not in accepted:
            raise _failed(self.name, f"{method} {path}: HTTP {answer.status}")
        return answer


class S3Destination:
    """A bucket; credentials are found as boto3 finds them."""

    def __init__(self, url: str, endpoint: str | None, timeout: float) -> None:
        try:
            import boto3
            from botocore.config import Config
        except ImportError:
            raise PublishError(
                "publishing to S3 needs boto3",
                next_step="`pip install 'doit-tofu[s3]'`, then run the same command again",
            ) from None
        parts = urlsplit(url)
        self.name, self._bucket, self._prefix = url.rstrip("/"), parts.netloc, parts.path.strip("/")
        config = Config(
            connect_timeout=timeout, read_timeout=timeout, retries={"mode": "standard", "total_max_attempts": _TRIES}
        )
        self._client = self._guarded(lambda: boto3.client("s3", endpoint_url=endpoint, config=config))
        self._conditions = True

    def read(self, path: str) -> tuple[bytes | None, str | None]:
        """An object and its ETag."""

        def get() -> tuple[bytes | None, str | None]:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._key(path))
            return answer["Body"].read(), answer["ETag"]

        found: tuple[bytes | None, str | None] = self._guarded(get, path, absent=(None, None))
        return found

    def write(self, path: str, data: bytes, *, tag: str | None = None, new: bool = False) -> None:
        """Put an object, conditionally where the server knows how."""
        condition = {"IfMatch": tag} if tag else {"IfNoneMatch": "*"} if new else {}
        if not self._conditions:
            condition = {}
        self._guarded(
            lambda: self._client.put_object(
                Bucket=self._bucket, Key=self._key(path), Body=data, ContentType=_type(path), **condition
            ),
            path,
        )

    def _key(self, path: str) -> str:
        return f"{self._prefix}/{path}" if self._prefix else path

    def _guarded(self, call: Callable[[], Any], path: str = "", absent: Any = None) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return call()
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            code = error.response.get("Error", {}).get("Code", "")
            if absent is not None and code in ("NoSuchKey", "404"):
                return absent
            if status in _CONFLICT:
                raise ConflictError(path) from None
            if code == "NotImplemented" and self._conditions:
                self._conditions = False
                raise ConflictError(path) from None
            raise _failed(self.name, f"{path}: {code or status}".strip(": ")) from None
        except (BotoCoreError, ValueError) as error:
            raise _failed(self.name, f"{type(error).__name__}: {error}") from None


def _type(path: str) -> str:
    return _TYPES.get(Path(path).suffix, "text/plain; charset=utf-8")


def _failed(name: str, what: str) -> PublishError:
    return PublishError(
        f"cannot publish to {name}: {what}",
        untouched="what was deployed and the records in .deploy are as they were",
        next_step=(doit("publish"), " tries again, and sends only what is missing"),
    )
