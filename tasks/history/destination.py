"""The destinations of published files behind one interface: a folder, an HTTP URL that accepts PUT, or an S3 bucket."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..base import urls
from ..base.errors import PublishError
from ..base.model import PLACES, SERVERS
from ..base.objects.bucket import Bucket
from ..base.objects.folder import Folder
from ..base.objects.place import ChangedError, ConditionError, PlaceError
from ..base.problem import doit

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..base.objects.place import Place
    from ..project import model

    Wait = Callable[[float], bool | None]

_UNTOUCHED = "deployments and the records in .deploy are unchanged"


class ConflictError(Exception):
    """Another writer changed the file in between."""


class Destination:
    """A place to publish to; if it does not support conditional writes, writes are unconditional.

    Args:
        place: The place.
    """

    def __init__(self, place: Place) -> None:
        self.name, self._place, self._conditions = place.name, place, True

    def read(self, path: str) -> tuple[bytes | None, str | None]:
        """A file's content and its tag for `write`; None if there is no such file.

        Raises:
            PublishError: It cannot be read.
        """
        try:
            return self._place.read(path)
        except PlaceError as error:
            raise _failed(self.name, str(error)) from None

    def write(self, path: str, data: bytes, *, tag: str | None = None, new: bool = False) -> None:
        """Write a file; with a tag only over exactly that content, with `new` only if it does not exist yet.

        Raises:
            ConflictError: The file has other content.
            PublishError: It cannot be written.
        """
        conditions = self._conditions
        try:
            self._place.write(path, data, tag=tag if conditions else None, new=new and conditions)
        except ConditionError:
            self._conditions = False
            raise ConflictError(path) from None
        except ChangedError:
            raise ConflictError(path) from None
        except PlaceError as error:
            raise _failed(self.name, str(error)) from None

    def close(self) -> None:
        """Close the connections."""
        self._place.close()


def open_destination(settings: model.Publish, to: str, endpoint: str | None, wait: Wait) -> Destination:
    """The destination that an address names.

    Args:
        settings: The configuration of `publish`.
        to: The address, filled in.
        endpoint: The S3 endpoint, filled in.
        wait: Waits for some seconds; true if the run was asked to stop.

    Raises:
        PublishError: Publishing to such an address is not supported.
    """
    for address, schemes, folder in ((to, PLACES, True), (endpoint, SERVERS, False)):
        if address is not None and (wrong := urls.place_problem(address, schemes, folder=folder)):
            raise PublishError(
                f"cannot publish: {wrong}", key="publish.to" if folder else "publish.endpoint", untouched=_UNTOUCHED,
                next_step="set it to a folder, https:// or s3://" if folder else "set it to the address of a server",
            )  # fmt: skip
    scheme = to.partition("://")[0].lower() if "://" in to else ""
    try:
        if scheme in ("http", "https"):
            from ..base.objects.web import Web

            token = os.environ.get(settings.token or "") or None
            return Destination(Web(to, settings.header, token, settings.timeout, wait, once=False))
        if scheme == "s3":
            return Destination(Bucket(to, endpoint, settings.timeout, once=False))
    except PlaceError as error:
        raise _failed(urls.scrub(to), str(error)) from None
    return Destination(Folder(Path(to)))


def _failed(name: str, what: str) -> PublishError:
    return PublishError(
        f"cannot publish to {name}: {what}",
        untouched=_UNTOUCHED,
        next_step=(doit("publish"), " tries again and only sends what is missing"),
    )
