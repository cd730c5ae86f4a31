"""Reports: one model made from results, and its faces. A report runs nothing and asks nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import RecordError
from ..files import write_atomic
from . import note
from .model import Report

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..layout import Layout
    from ..result import Result

__all__ = ["Report", "write"]


def write(layout: Layout, stage: str, results: Iterable[Result], *, commit: str) -> str | None:
    """Write the report of a stage; gives its path for people, or None when it could not be written.

    Args:
        layout: Where it goes: `reports/<stage>.md`.
        stage: `plan` or `drift`.
        results: The results to show, in the order to show them.
        commit: The revision that the run was at.
    """
    path = layout.reports / f"{stage}.md"
    report = Report.collect(stage, results, environment=layout.environment, commit=commit)
    try:
        write_atomic(path, note.render(report).encode(), durable=False)
    except RecordError:
        return None
    return layout.relative(path)
