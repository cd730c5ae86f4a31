"""`doit log`: each entry has a line of its own, whatever was given as a reason."""

from __future__ import annotations

import pytest

from tasks import log
from tasks.ledger.record import Entry, Kind


@pytest.mark.parametrize(
    "reason",
    [
        "why\n   13  2026-11-26T10:00:00+00:00  deploy     web  applied", "a\r\nb", "a\u2028b", "a\x85b", "a\tb", "a\x0bb",
        "\x1b[2Aup", "a\u202eb", "a\x00b",
    ],
)  # fmt: skip
@pytest.mark.parametrize("key", ["reason", "outcome"])
def test_a_reason_makes_no_line_of_its_own(reason: str, key: str) -> None:
    entry = Entry(
        kind=Kind.DEPLOY, id="0a" * 16, ledger="0a" * 16, project="p", environment="prod", sequence=12, previous="0a" * 32,
        at="2026-11-26T09:00:00+00:00", stack="db", facts={key: reason, "by": {"pipeline": reason}},
    )  # fmt: skip
    line = log._line(entry)
    assert line.startswith("   12  2026-11-26T09:00:00+00:00  ")
    assert line.splitlines() == [line]
    assert line.isprintable()
