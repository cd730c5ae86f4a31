"""Which of git's protocols asks a remote for a ref with fewer requests; that depends on how many refs it has.

Over HTTP, protocol 2 asks what the server can do, then for the ref: two requests if the ref has not moved. In protocol
0, the first answer lists every ref: one request, but 650 kB where there are 10,000. So it is used while that list fits
into what a server sends before it waits for an acknowledgement. A first, shallow fetch takes three requests in both.
https://git-scm.com/docs/gitprotocol-v2
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from ..base.errors import RecordError
from ..base.files import read_json, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from ..base.process import Ended
    from .gitclone import Clone, Settings

MOST = 200  # lines of some 65 bytes: ten segments of TCP
_AGE = 7 * 24 * 3600.0  # seconds after which they are counted again
_COUNT = ".refs.json"  # beside the repository: how many there are, and when they were counted
_PROTOCOL = "protocol.version"
LISTS_ALL = [(_PROTOCOL, "0")]


def to_be_counted(clone: Clone, settings: Settings) -> bool:
    """Whether it matters how many refs the remote has, and that is not known."""
    return _matters(clone, settings) and _known(clone.folder) is None


def fewest_requests(clone: Clone, settings: Settings) -> Settings:
    """What to add to the settings of a fetch of a ref that was fetched before."""
    known = _known(clone.folder) if _matters(clone, settings) else None
    return LISTS_ALL if known is not None and known <= MOST else []


def count(folder: Path, ended: Ended) -> dict[str, str]:
    """The commits of the refs that a listing shows; how many there are is kept beside the separate repository."""
    found = {name: commit for commit, _, name in (line.partition("\t") for line in ended.output.splitlines())}
    with suppress(RecordError):  # then they are counted again next time
        write_json(folder.with_suffix(_COUNT), [len(found), time.time()], durable=False)
    return found


def _matters(clone: Clone, settings: Settings) -> bool:
    """Whether the remote is reached over HTTP, and the user has not chosen a protocol."""
    return clone.is_http(settings) and not any(key.lower() == _PROTOCOL for key, _ in settings)


def _known(folder: Path) -> int | None:
    with suppress(RecordError, TypeError, ValueError):
        number, at = read_json(folder.with_suffix(_COUNT))
        if 0 <= time.time() - at < _AGE:
            return int(number)
    return None
