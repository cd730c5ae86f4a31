"""The newest entry of a chain, as a version shows it without its history: every deploy compares it with the head."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import chain

if TYPE_CHECKING:
    from .chain import Broken
    from .home import Home, Version
    from .record import Head


def judge(head: Head, home: Home, version: Version) -> Broken | None:
    """What is wrong with the newest entry; None if it is the one that the head names, or if the version shows none.

    Args:
        head: The head.
        home: Where the ledger is; its copy here is read again before the remote is blamed.
        version: The head's version.

    Raises:
        HomeError: It cannot be read.
    """
    found = home.newest(version)
    if found is not None and chain.judge_newest(head, *found) is not None and home.refreshed(version):
        found = home.newest(version)
    return chain.judge_newest(head, *found) if found is not None else None
