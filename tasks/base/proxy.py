"""The proxies that the environment or the system names, looked up once for requests that begin together."""

from __future__ import annotations

import os
import time
from functools import lru_cache
from urllib.request import getproxies

_NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_SPELLED = (*_NAMES, *(name.upper() for name in _NAMES))


def usual() -> dict[str, str]:
    """Proxies by scheme, as `urllib.request.getproxies`, which reads every variable of the environment each time."""
    return dict(_found(int(time.monotonic()), len(os.environ), *map(os.environ.get, _SPELLED)))


@lru_cache(maxsize=1)
def _found(*_second_and_values: int | str | None) -> dict[str, str]:
    return getproxies()
