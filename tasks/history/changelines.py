"""Adds the lines of each change to a task's record, so that the dashboard shows the same diff as the reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.jsonvalue import fields, records
from ..reports import diff

if TYPE_CHECKING:
    from ..base.jsonvalue import Json, JsonObject

_MOST_CHANGES = 200  # of one task; the report has the rest
_MOST_LINES = 400  # of one change


def added(record: JsonObject) -> JsonObject:
    """The record with `lines` in each of its changes: pairs of a sign and a text, see `diff.Line`.

    A change that has more lines than a reader wants gets `more_lines`, the number of those that were left out.

    Args:
        record: A result as `Result.to_json` returns it.
    """
    details = dict(fields(record.get("details")))
    if changes := fields(details.get("changes")):
        kinds = ("resources", "drift", "outputs")
        lists = {kind: _listed(records(changes[kind])) for kind in kinds if changes.get(kind)}
        details["changes"] = {**changes, **lists}
    return {**record, "details": details} if record.get("details") else record


def _listed(items: list[JsonObject]) -> Json:
    return [_with_lines(item) if number < _MOST_CHANGES else item for number, item in enumerate(items)]


def _with_lines(item: JsonObject) -> JsonObject:
    found = diff.of_change(item)
    more = {"more_lines": len(found) - _MOST_LINES} if len(found) > _MOST_LINES else {}
    return {**item, "lines": [[line.sign, line.text] for line in found[:_MOST_LINES]], **more}
