"""Moments as people read them: one form everywhere."""

from __future__ import annotations

import re

import pytest

from tasks.base import clock
from tests.repository import ROOT

RAW = re.compile(r"\{[^{}]*\.(?:since|(?:[a-z]+_)?at)\}")  # a moment of a record in a text, as the record has it
OTHERS = {
    "tasks/artifact/reasons.py": 5,  # `since` is the name of a commit
    "tasks/drifts/words.py": 1,  # what a provider says of a change is quoted
}


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        ("2026-11-24T13:13:20+00:00", "2026-11-24 13:13 UTC"),
        ("2026-11-24T13:13:20Z", "2026-11-24 13:13 UTC"),
        ("2026-11-24T15:13:20.123+02:00", "2026-11-24 13:13 UTC"),
        ("2026-11-24T15:13:20", "2026-11-24T15:13:20"),
        ("?", "?"),
        ("", ""),
    ],
)
def test_a_moment_is_shown_to_the_minute_in_utc(moment: str, shown: str) -> None:
    assert clock.shown(moment) == shown


def test_no_message_shows_a_moment_as_a_record_holds_it() -> None:
    found = {}
    for path in sorted((ROOT / "tasks").rglob("*.py")):
        lines = [line for line in path.read_text().splitlines() if re.search(r"\bf[\"']", line) and RAW.search(line)]
        if lines:
            found[path.relative_to(ROOT).as_posix()] = len(lines)
    assert found == OTHERS
