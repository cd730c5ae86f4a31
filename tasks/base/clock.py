"""The time, as records hold it."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """The current time in UTC, as ISO 8601 to the second."""
    return datetime.now(UTC).replace(microsecond=0).isoformat()
