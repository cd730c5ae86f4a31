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
    assert line.startswith("   12  2026-11-26 09:00 UTC  ")
    assert line.splitlines() == [line]
    assert line.isprintable()


@pytest.mark.parametrize(
    ("besides", "said"),
    [
        ([], ""),
        (["1a2b3c4d5e"], "1a2b3c4d may be deployed, too"),
        (["", "1a2b3c4d5e"], "an unknown commit, 1a2b3c4d may"),
    ],
)
def test_commits_without_an_order_are_in_the_line(besides: list[str], said: str) -> None:
    entry = Entry(
        kind=Kind.DEPLOY, id="0a" * 16, ledger="0a" * 16, project="p", environment="prod", sequence=12, previous="0a" * 32,
        at="2026-11-26T09:00:00+00:00", stack="db", facts={"commit": "9f8e7d6c5b", "besides": [*besides]},
    )  # fmt: skip
    line = log._line(entry)
    assert said in line
    assert ("too" in line) is bool(besides)
