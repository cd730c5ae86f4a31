"""A bucket of an object store as a place of files, by obstore: https://developmentseed.org/obstore/.

Credentials come from the environment, from the web identity of a pod or a job, or from the machine; those of a profile
(`AWS_PROFILE`, single sign-on) from boto3, where that is installed. Google's store is missing here: no emulator
heeds its conditions in a way that obstore can read (docs/ledger.md), so nothing would show that ours work there.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .place import ChangedError, ConditionError, RefusedError, UnreachableError, content_type

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from obstore import PutMode
    from obstore.auth.boto3 import Boto3CredentialProvider
    from obstore.store import AzureConfig, ClientConfig, ObjectStore, RetryConfig, S3Config

    from .place import PlaceError

    T = TypeVar("T")

_TRIES = 5
# The library has these as a text alone.
_STATUS = re.compile(r"status code: (\d{3})(?:.*?<Code>(\w+)</Code>)?", re.DOTALL)
_NO_BUCKET = re.compile("NoSuchBucket|ContainerNotFound")
_NOT_IMPLEMENTED = "501"


class Bucket:
    """A bucket and a prefix in it; the tag of a file is its ETag.

    Args:
        url: `s3://bucket/prefix`, or `az://container/prefix`.
        endpoint: The server, where it is not the usual one.
        timeout: Seconds that one try may take.
        once: Whether a conditional write is tried once: after a lost answer a second try would find the file changed,
            by the first.

    Raises:
        RefusedError: obstore is not installed, or the address or the credentials cannot be used.
    """

    def __init__(self, url: str, endpoint: str | None, timeout: float, *, once: bool) -> None:
        self.name = url.rstrip("/")
        self._often = _guarded("", lambda: _store(url, endpoint, timeout, _TRIES))
        self._once = _guarded("", lambda: _store(url, endpoint, timeout, 1)) if once else self._often

    def read(self, path: str) -> tuple[bytes | None, str | None]:
        """An object and its ETag."""
        import obstore

        def get() -> tuple[bytes | None, str | None]:
            found = obstore.get(self._often, path)
            return bytes(found.bytes()), found.meta["e_tag"]

        try:
            return _guarded(path, get)
        except FileNotFoundError as error:
            if _NO_BUCKET.search(str(error)):
                raise RefusedError(f"{path}: there is no such bucket") from None
            return None, None

    def write(self, path: str, data: bytes, *, tag: str | None = None, new: bool = False) -> str | None:
        """Put an object."""
        import obstore

        mode: PutMode = {"e_tag": tag} if tag else "create" if new else "overwrite"
        store = self._once if tag or new else self._often

        def put() -> str | None:
            return obstore.put(store, path, data, attributes={"Content-Type": content_type(path)}, mode=mode)["e_tag"]

        try:
            return _guarded(path, put)
        except FileNotFoundError as error:
            if _NO_BUCKET.search(str(error)):
                raise RefusedError(f"{path}: there is no such bucket") from None
            raise ChangedError(path) from None  # it was to be replaced, and is gone

    def remove(self, path: str) -> None:
        """Delete an object."""
        import obstore

        with suppress(FileNotFoundError):
            _guarded(path, lambda: obstore.delete(self._often, path))

    def close(self) -> None:
        """Nothing is left open."""


def _store(url: str, endpoint: str | None, timeout: float, tries: int) -> ObjectStore:
    try:
        from obstore.store import AzureStore, S3Store
    except ImportError:
        raise RefusedError("an object store needs obstore: `pip install 'doit-tofu[store]'`") from None

    parts = urlsplit(url)
    client: ClientConfig = {"timeout": timedelta(seconds=timeout), "allow_http": (endpoint or "").startswith("http://")}
    retry: RetryConfig = {"max_retries": tries - 1, "retry_timeout": timedelta(seconds=timeout * tries)}
    prefix = parts.path.strip("/") or None
    if parts.scheme == "az":
        azure: AzureConfig = {"endpoint": endpoint} if endpoint else {}
        return AzureStore(parts.netloc, prefix=prefix, config=azure, client_options=client, retry_config=retry)
    amazon: S3Config = {"endpoint": endpoint} if endpoint else {}
    return S3Store(
        parts.netloc, prefix=prefix, config=amazon, client_options=client, retry_config=retry,
        credential_provider=_of_a_profile(),
    )  # fmt: skip


def _of_a_profile() -> Boto3CredentialProvider | None:
    """The credentials of the profile that `AWS_PROFILE` names."""
    if not os.environ.get("AWS_PROFILE"):
        return None
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        raise RefusedError("AWS_PROFILE names a profile, which boto3 reads: `pip install boto3`") from None
    try:
        return Boto3CredentialProvider()
    except Exception as error:  # noqa: BLE001 - whatever botocore raises: no such profile, no credentials
        raise RefusedError(f"the profile that AWS_PROFILE names has no credentials: {type(error).__name__}") from None


def _guarded(path: str, call: Callable[[], T]) -> T:
    """The outcome of a call, or what went wrong in words of our own: the library's text holds its sources.

    Raises:
        FileNotFoundError: There is no such object, or no such bucket.
    """
    try:
        from obstore import exceptions
    except ImportError:
        return call()
    try:
        return call()
    except (exceptions.AlreadyExistsError, exceptions.PreconditionError):  # 409 when two conditional writes met, or 412
        raise ChangedError(path) from None
    except exceptions.NotSupportedError:
        raise ConditionError(f"{path}: the server does not support conditional requests") from None
    except exceptions.BaseError as error:
        raise _meaning(f"{path}: " if path else "", error) from None


def _meaning(where: str, error: Exception) -> PlaceError:
    status, code = found.groups() if (found := _STATUS.search(str(error))) else (None, None)
    said = f"{where}HTTP {status}{f' {code}' if code else ''}" if status else f"{where}{_first_line(error)}"
    if status == _NOT_IMPLEMENTED:
        return ConditionError(said)
    if status and status.startswith("4"):
        return RefusedError(said)
    return UnreachableError(said)


def _first_line(error: Exception) -> str:
    """What the library says, without where: addresses may hold what is signed."""
    return re.sub(r"Error performing \w+ \S+ in \S+ - ", "", str(error).split("\n", 1)[0])[:200]
