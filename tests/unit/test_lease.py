"""What a run is stopped by, of what was announced and recorded since it read the ledger."""

from __future__ import annotations

import pytest

from tasks.ledger import receipts
from tasks.ledger.record import Begun, Record
from tasks.run import lease

OWN, OLDER, NEWER = "own", "older", "newer"


def record(commit: str, *besides: str) -> Record:
    return Record(change=f"change of {commit}", entry=1, receipt={"commit": commit, "besides": list(besides)})


@pytest.mark.parametrize(
    ("read", "before", "here", "now", "crossed"),
    [
        ((), None, None, record(OWN), True),  # nobody told this run of it
        ((OWN,), None, None, record(OWN), False),  # a sibling job's, of the same commit
        ((OWN,), None, None, record(NEWER), True),  # a sibling job recorded what another pipeline deployed
        ((OWN,), OLDER, None, record(OWN, OLDER), False),
        ((OWN,), OLDER, None, record(OWN, NEWER), True),
        ((), OLDER, OLDER, record(OLDER), False),  # a check that this disk had
        ((), None, OLDER, record(OLDER, NEWER), True),  # it met a deploy that was recorded in between
        ((NEWER,), None, OLDER, record(OLDER, NEWER), False),
    ],
)
def test_a_record_is_crossed_if_it_names_a_commit_that_this_run_has_not_read_of(
    read: tuple[str, ...], before: str | None, here: str | None, now: Record, *, crossed: bool
) -> None:
    disk = receipts.Record({"commit": here, "outcome": "applied"}, None) if here else None
    assert lease.is_crossed(read, record(before) if before else None, disk, now) is crossed


@pytest.mark.parametrize(
    ("known", "commits", "own", "begun"),
    [
        ((), (OWN,), [OWN], False),  # its own announcement
        ((), (OWN, NEWER), [OWN], True),
        ((NEWER,), (OWN, NEWER), [OWN], False),  # it took over what another run had left
        (None, (NEWER,), None, True),
        ((NEWER,), (NEWER,), None, False),
    ],
)
def test_an_announcement_that_another_run_has_made_since_is_noticed(
    known: tuple[str, ...] | None, commits: tuple[str, ...], own: list[str | None] | None, *, begun: bool
) -> None:
    before = Begun(holder="pipeline 1", run="r", since="1", commits=known) if known is not None else None
    item = Begun(holder="pipeline 2", run="s", since="2", commits=commits)
    assert lease.is_begun_since(before, item, "pipeline 3", own) is begun
