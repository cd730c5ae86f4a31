"""What the engine says of a lock, in words for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tasks.base import problem
from tasks.base.problem import sentence
from tasks.engine import statelock
from tasks.engine.engine import Completed, Context
from tasks.engine.statelock import Lock

if TYPE_CHECKING:
    from tasks.base.problem import Steps

CREATED = datetime(2026, 11, 24, 12, 8, 18, tzinfo=UTC)
HELD = """
│ Error: Error acquiring the state lock
│
│ Error message: HTTP remote state already locked: ID=9d473780-9259-8918-0d9d-f99a4e05301c
│ Lock Info:
│   ID:        9d473780-9259-8918-0d9d-f99a4e05301c
│   Path:      
│   Operation: OperationTypeApply
│   Who:       ci@runner-7
│   Version:   1.12.6
│   Created:   2026-11-24 12:08:18.172231735 +0000 UTC
│   Info:      
"""  # noqa: W291 - as the engine prints it


def said(steps: Steps) -> str:
    return sentence(problem.steps(steps))


def _done(text: str) -> Completed:
    return Completed(1, text)


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (timedelta(seconds=3), "for 3 seconds now"),
        (timedelta(seconds=-20), "for 0 seconds now"),
        (timedelta(seconds=90), "for 1 minute now"),
        (timedelta(hours=5, minutes=59), "for 5 hours now"),
        (timedelta(days=2, hours=3), "for 2 days now"),
    ],
)
def test_a_lock_is_described_with_holder_operation_and_age(age: timedelta, words: str) -> None:
    lock = statelock.held(_done(HELD), "http")
    assert lock is not None
    assert statelock.describe(lock, CREATED + age) == (
        f"its state is locked by ci@runner-7, for apply, {words} (since 2026-11-24 12:08:18 UTC);"
        " lock 9d473780-9259-8918-0d9d-f99a4e05301c"
    )


@pytest.mark.parametrize(
    "created",
    ["0001-01-01 00:00:00 +0000 UTC", "2026-13-41 25:61:61 +0000 UTC", "2026-11-24 12:08:18 +9999 X", "yesterday", ""],
    ids=["Go's time that is not set", "no date", "no offset", "a word", "nothing"],
)
def test_a_time_that_is_not_known_is_not_told(created: str) -> None:
    assert statelock.describe(Lock("x", who="ci", created=created), CREATED) == "its state is locked by ci; lock x"


@pytest.mark.parametrize(
    "created",
    ["2026-11-24 14:08:18.17 +0200 CEST", "2026-11-24T06:38:18-05:30", "2026-11-24T12:08:18Z", "2026-11-24 12:08:18"],
)
def test_a_time_of_another_zone_is_told_in_utc(created: str) -> None:
    text = statelock.describe(Lock("x", who="ci", created=created), CREATED + timedelta(minutes=5))
    assert text == "its state is locked by ci, for 5 minutes now (since 2026-11-24 12:08:18 UTC); lock x"


def test_the_parts_that_a_server_leaves_out_are_left_out() -> None:
    assert statelock.describe(Lock("x")) == "its state is locked by an unknown holder; lock x"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Error: Invalid function argument\n", "http"),
        ("Error: Error acquiring the state lock\n\nError message: HTTP remote state endpoint requires auth\n", "http"),
        # PostgreSQL's message has the asking engine's own info, whatever went wrong.
        (HELD.replace("HTTP remote state already locked", "dial tcp 127.0.0.1:5432: connection refused"), "pg"),
    ],
)
def test_another_failure_is_not_taken_for_a_held_lock(text: str, kind: str) -> None:
    assert statelock.held(_done(text), kind) is None


@pytest.mark.parametrize(
    "said", ["Workspace is already locked: default", "Already locked for workspace creation: default"]
)
def test_a_lock_of_the_database_names_nobody(said: str) -> None:
    lock = statelock.held(_done(HELD.replace("HTTP remote state already locked", said)), "pg")
    assert lock == Lock("")


def test_the_way_out_of_a_database_lock_has_the_keys_that_the_engine_takes() -> None:
    """The key of a state that is not there yet was seen in the engine's own messages: -1175561694 for this schema."""
    context = Context("plan a", Path(), Path(), backend="pg", schema="a-local")
    text = said(statelock.way_out(Lock(""), context))
    assert 'select id from "a-local".states union select -1175561694' in text
    quoted = said(statelock.way_out(Lock(""), Context("plan a", Path(), Path(), backend="pg", schema='a"b')))
    assert '"a""b".states' in quoted


def test_a_lock_that_outlives_its_holder_is_released_by_one_command() -> None:
    context = Context("plan a", Path(), Path(), backend="s3", by_hand="TF_DATA_DIR=../x tofu -chdir=stacks/a")
    text = said(statelock.way_out(Lock("id-1"), context))
    assert text.splitlines()[-1] == "    TF_DATA_DIR=../x tofu -chdir=stacks/a force-unlock -force id-1"


def test_the_holder_of_a_local_lock_is_found(tmp_path: Path) -> None:
    import subprocess
    import sys

    path = tmp_path / "terraform.tfstate"
    path.write_text("{}")
    hold = "import fcntl, sys; f = open(sys.argv[1], 'r+'); fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        context = Context("plan a", tmp_path, tmp_path)
        text = said(statelock.way_out(Lock("x", "terraform.tfstate"), context))
        holder.communicate()
    assert text.splitlines()[-1] == f"    kill -INT {holder.pid}"
    assert "kill" not in said(statelock.way_out(Lock("x", "terraform.tfstate"), context))


REFUSED = """
│ Error: Error acquiring the state lock
│
│ Error message: {said}
│
│ OpenTofu acquires a state lock to protect the state from being written
"""
TRUNCATED = """failed to write backup file: 2 problems:
│
│ - Unsupported state file format: The state file could not be parsed as JSON:
│ syntax error at byte offset 300.
│ - Unsupported state file format: The state file can not be checked for
│ presence of encryption: unexpected end of JSON input"""
UNREADABLE = """2 errors occurred:
│ 	* resource temporarily unavailable
│ 	* state file "states/of/all/a-local.tfstate" locked, but could not unmarshal
│ lock info: unexpected end of JSON input"""
ENDED = """2 errors occurred:
│ 	* resource temporarily unavailable
│ 	* open ../../.state/of/all/.a-local.tfstate.lock.info:
│ no such file or directory"""


@pytest.mark.parametrize("words", [UNREADABLE, ENDED], ids=["not written yet", "removed"])
def test_a_local_lock_that_ends_between_two_looks_is_tried_again(words: str) -> None:
    assert statelock.vanished(_done(REFUSED.format(said=words)))


def test_a_truncated_state_is_no_lock_that_has_ended() -> None:
    """It took `engine.lock_timeout` until that was said, and an engine started three times a second meanwhile."""
    assert not statelock.vanished(_done(REFUSED.format(said=TRUNCATED)))
