"""Adds the lines of each change to a task's record, so that the dashboard shows the same diff as the reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..reports import diff

if TYPE_CHECKING:
    from ..run.details import Json

_MOST_CHANGES = 200  # of one task; the report has the rest
_MOST_LINES = 400  # of one change


def added(record: Json) -> Json:
    """The record with `lines` in each of its changes: pairs of a sign and a text, see `diff.Line`.

    A change that has more lines than a reader wants gets `more_lines`, the number of those that were left out.

    Args:
        record: A result as `Result.to_json` returns it.
    """
    details = dict(record.get("details") or {})
    if changes := details.get("changes"):
        lists = {kind: _listed(changes[kind]) for kind in ("resources", "drift", "outputs") if changes.get(kind)}
        details["changes"] = {**changes, **lists}
    return {**record, "details": details} if record.get("details") else record


def _listed(items: list[Json]) -> list[Json]:
    return [_with_lines(item) if number < _MOST_CHANGES else item for number, item in enumerate(items)]


def _with_lines(item: Json) -> Json:
    found = diff.of_change(item)
    more = {"more_lines": len(found) - _MOST_LINES} if len(found) > _MOST_LINES else {}
    return {**item, "lines": [[line.sign, line.text] for line in found[:_MOST_LINES]], **more}
