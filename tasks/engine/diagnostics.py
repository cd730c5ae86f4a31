"""The engine's diagnostics from the JSON stream of a command."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..base.jsonvalue import fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ..base.jsonvalue import Json, JsonObject

_FAILED_CHECK = "Check block assertion failed"
_NO_VALUE = "No value for required variable"
_VARIABLE = re.compile(r'variable "([^"]+)"')


@dataclass(frozen=True)
class Diagnostic:
    """A warning, or an error.

    Args:
        summary: What it is about, in the engine's words.
        detail: More of it; for a failed `check` block its `error_message`.
        context: The block that it is about: `check "expiry"`; of a declaration its first line.
        file: The file, relative to the engine's working folder; empty if not known.
        line: The line in it.
    """

    summary: str
    detail: str = ""
    context: str = ""
    file: str = ""
    line: int | None = None

    @property
    def is_failed_check(self) -> bool:
        """Whether it is a failed `check` block."""
        return self.summary == _FAILED_CHECK

    @property
    def unset_variable(self) -> str | None:
        """The variable of the root module that has no value, if that is what it is about."""
        found = _VARIABLE.search(self.context) if self.summary == _NO_VALUE else None
        return found[1] if found else None

    @property
    def text(self) -> str:
        """The whole warning on one line."""
        place = f"{self.file}:{self.line}" if self.file and self.line else self.file
        about = ", ".join(part for part in (place, f"in {self.context}" if self.context else "") if part)
        said = ": ".join(part for part in (self.summary, " ".join(self.detail.split())) if part)
        return f"{said} ({about})" if about else said

    def mapped(self, change: Callable[[str], str]) -> Diagnostic:
        """The warning with its texts masked."""
        return replace(self, summary=change(self.summary), detail=change(self.detail), context=change(self.context))


def warnings(events: Iterable[Mapping[str, Json]], *, terse: bool = False) -> list[Diagnostic]:
    """The warnings in a command's events, without duplicates.

    Args:
        events: The events (https://opentofu.org/docs/internals/machine-readable-ui/).
        terse: Whether to omit the details, which may contain values.
    """
    return _of(events, "warning", terse=terse)


def errors(events: Iterable[Mapping[str, Json]]) -> list[Diagnostic]:
    """The errors in a command's events, without duplicates and without their details, which may contain values."""
    return _of(events, "error", terse=True)


def _of(events: Iterable[Mapping[str, Json]], severity: str, *, terse: bool) -> list[Diagnostic]:
    found = [item for event in events if isinstance(item := event.get("diagnostic"), dict)]
    return list(dict.fromkeys(_read(item, terse=terse) for item in found if item.get("severity") == severity))


def _read(item: JsonObject, *, terse: bool) -> Diagnostic:
    place, snippet = fields(item.get("range")), fields(item.get("snippet"))
    line = fields(place.get("start")).get("line")
    declares = snippet.get("code") if item.get("summary") == _NO_VALUE else ""
    return Diagnostic(
        str(item.get("summary") or "a warning"),
        "" if terse else str(item.get("detail") or ""),
        str(snippet.get("context") or declares or ""),
        str(place.get("filename") or ""),
        line if isinstance(line, int) else None,
    )
