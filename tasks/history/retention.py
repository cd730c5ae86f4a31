"""The ids of run records, and which of them to keep, by number and by age."""

from __future__ import annotations

import contextlib
import os
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..base.layout import Layout


def new_id(began: datetime) -> str:
    """An id for a run that began at a time; ids sort by it, also within a second."""
    return f"{began:%Y%m%dT%H%M%SZ}-{began.microsecond:05x}{secrets.token_hex(1)[0]}"


def prune(layout: Layout, keep: int, days: float | None) -> None:
    """Remove the records of runs that are beyond the newest `keep`, or older than so many days."""
    ids = run_ids(layout)
    surplus = set(ids[: max(len(ids) - keep, 0)])
    if days is not None:
        oldest = f"{datetime.now(UTC) - timedelta(days=days):%Y%m%dT%H%M%SZ}"
        surplus |= {run for run in ids if run < oldest}
    for run in surplus:
        for path in (layout.run_record(run), layout.run_tasks(run)):
            with contextlib.suppress(OSError):
                path.unlink()


def run_ids(layout: Layout) -> list[str]:
    """The ids of the recorded runs, the oldest first."""
    try:
        with os.scandir(layout.runs) as entries:
            names = [entry.name for entry in entries]
    except OSError:
        return []
    return sorted(name.removesuffix(".json") for name in names if name.endswith(".json") and not name.startswith("."))
