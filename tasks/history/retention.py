"""Decides which run records to keep, by number and by age."""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..base.layout import Layout
    from ..project import model


def prune(layout: Layout, settings: model.History) -> None:
    """Remove the records of runs beyond the limits; ids sort by time."""
    ids = run_ids(layout)
    surplus = set(ids[: max(len(ids) - settings.keep, 0)])
    if settings.days is not None:
        oldest = f"{datetime.now(UTC) - timedelta(days=settings.days):%Y%m%dT%H%M%SZ}"
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
