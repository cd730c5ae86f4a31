"""Makes the client for the forge of this run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .client import Client
    from .place import Place


def connect(place: Place, *, seconds: float, wait: Callable[[float], bool]) -> Client:
    """The client of a place."""
    if place.kind == "gitlab":
        from .gitlab import GitLab

        return GitLab(place, seconds=seconds, wait=wait)
    from .github import GitHub

    return GitHub(place, seconds=seconds, wait=wait)
