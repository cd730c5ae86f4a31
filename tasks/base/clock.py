"""The time, as records hold it and as people read it."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """The current time in UTC, as ISO 8601 to the second."""
    return datetime.now(UTC).replace(microsecond=0).isoformat()


def shown(moment: str) -> str:
    """A moment of a record for people: `2026-11-27 09:41 UTC`; a text that is none as it is."""
    try:
        found = datetime.fromisoformat(moment)
    except ValueError:
        return moment
    return f"{found.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if found.tzinfo is not None else moment
