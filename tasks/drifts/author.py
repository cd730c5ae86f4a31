"""Who changed a resource last and when, where the provider has attributes that say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..artifact.changes import HIDDEN, UNKNOWN
from ..base.jsontext import same
from ..base.masking import MASK
from ..base.text import shorten
from ..base.valuepath import at, fits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..base.jsonvalue import Json, JsonObject
    from ..base.valuepath import Path

BY = frozenset({
    "changed_by", "last_changed_by", "last_modified_by", "last_modifier", "last_updated_by", "modified_by",
    "modifier", "updated_by",
})  # fmt: skip
AT = frozenset({
    "changed_at", "date_modified", "date_updated", "last_changed", "last_changed_at", "last_modified",
    "last_modified_at", "last_modified_date", "last_modified_on", "last_modified_time", "last_update_time",
    "last_updated", "last_updated_at", "last_updated_date", "last_updated_time", "modified_at", "modified_date",
    "modified_on", "modified_time", "time_modified", "time_updated", "update_time", "updated_at", "updated_date",
    "updated_on", "updated_time",
})  # fmt: skip
_DEEPEST = 3  # `system_data[0].last_modified_by`
_LONGEST = 80


@dataclass(frozen=True)
class Names:
    """Patterns of further attributes that say who changed a resource, and when."""

    by: Sequence[str] = ()
    at: Sequence[str] = ()


USUAL = Names()


@dataclass(frozen=True)
class Author:
    """Who changed a resource last, and when, in the provider's words; each empty if it does not say."""

    by: str = ""
    at: str = ""


def read(drift: JsonObject, names: Names) -> Author | None:
    """What a provider says of the last change of a resource.

    None if it says nothing, or the same as it said before: then it does not speak of the change that was found. A time
    that is still that of the last deploy is left out; an author may have been the same.

    Args:
        drift: What the refresh found, as `PlanChanges.drift` has it: `before` in the state, `after` by the provider.
        names: Further attributes that say so.
    """
    before, after = drift.get("before"), drift.get("after")
    by, when = _first(after, BY, names.by), _first(after, AT, names.at)
    noted = {path for path in (by, when) if path is not None and not same(at(before, path), at(after, path))}
    if not noted:
        return None
    return Author(_text(after, by), _text(after, when if when in noted else None))


def _first(value: Json, known: frozenset[str], patterns: Sequence[str]) -> Path | None:
    """The first attribute that has one of the names; those of patterns come first."""
    found = [path for path in _texts(value, ()) if _is_said(str(at(value, path)))]
    wanted = (path for path in found if any(fits(pattern, path) for pattern in patterns))
    usual = (path for path in found if path[-1] in known and len(path) <= _DEEPEST)
    return next(wanted, next(usual, None))


def _texts(value: Json, path: Path) -> Iterator[Path]:
    """The paths of all texts, those of the resource itself first."""
    items: list[tuple[str | int, Json]] = []
    if isinstance(value, dict):
        items = sorted(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    yield from ((*path, key) for key, item in items if isinstance(item, str))
    for key, item in items:
        yield from _texts(item, (*path, key))


def _is_said(text: str) -> bool:
    return bool(text.strip()) and text not in (MASK, HIDDEN, UNKNOWN)


def _text(value: Json, path: Path | None) -> str:
    return "" if path is None else shorten(" ".join(str(at(value, path)).split()), _LONGEST)
