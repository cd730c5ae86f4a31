"""TLS contexts that connections share: to read the usual CAs takes 26 ms and a megabyte, each time."""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from urllib3.util.ssl_ import create_urllib3_context

if TYPE_CHECKING:
    from ssl import SSLContext

_reading = threading.Lock()  # thousands of looks that begin at once wait for one of them, rather than all read


def context(authorities: str) -> SSLContext:
    """The context that trusts the CAs in a PEM file, made once until the file changes; it must not be changed.

    Raises:
        OSError: The file cannot be read, or has no CAs.
    """
    found = Path(authorities).stat()
    with _reading:
        return _made(authorities, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@lru_cache(maxsize=8)
def _made(authorities: str, *_stamp: int) -> SSLContext:
    made = create_urllib3_context()
    made.load_verify_locations(authorities)
    return made
