"""What a disk knows of a ledger: it is what shows that the ledger was put back, so its damage is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.base.errors import RecordError
from tasks.base.files import read_json
from tasks.ledger import receipts
from tasks.ledger.machine import Mark
from tasks.ledger.record import Record
from tasks.run import workingcopy
from tasks.run.workingcopy import WorkingCopy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tasks.project.project import Project

DAMAGE = (
    b"",
    b"null",
    b"{}",
    b"[]",
    b"{",
    b'{"clone": "0a"}',
    b'{"clone": 7, "mark": null, "stacks": {}}',
    b"\xff\x00",
)


def test_nothing_is_known_at_first_and_then_what_was_saved(load: Callable[..., Project]) -> None:
    layout = load().layout
    copy = WorkingCopy(layout)
    assert copy.memory.mark is None
    copy.memory.mark = Mark("0a" * 16, 7, "0b" * 32)
    copy.save()
    assert WorkingCopy(layout).memory == copy.memory


@pytest.mark.parametrize("content", DAMAGE, ids=repr)
def test_a_damaged_memory_is_never_an_empty_one(load: Callable[..., Project], content: bytes) -> None:
    layout = load().layout
    layout.ledger_memory.parent.mkdir(parents=True)
    layout.ledger_memory.write_bytes(content)
    with pytest.raises(RecordError) as caught:
        WorkingCopy(layout)
    shown = caught.value.problem.text()
    assert "by it, this machine notices a ledger that was put back to an earlier version" in shown
    assert "`doit audit`" in shown
    assert "ledger.json" in str(caught.value.problem.where)


def test_a_folder_in_its_place_is_damage_too(load: Callable[..., Project]) -> None:
    layout = load().layout
    layout.ledger_memory.mkdir(parents=True)
    with pytest.raises(RecordError, match="put back"):
        WorkingCopy(layout)


def test_what_others_wrote_into_a_receipt_is_shown_on_one_line() -> None:
    evil = "2026\n::error::\x1b[31m\u202e"
    receipt = {
        "started_at": evil, "commit": evil, "deployed": {"at": evil, "commit": None}, "allowed": [evil], "serial": 3,
        "inputs": {"digests": [{"name": evil}]},
    }  # fmt: skip
    found = receipts.working_copy(receipts.Record(receipt, None), None).receipt
    safe = "2026 ::error::\\x1b[31m\\u202e"
    assert found == {
        **receipt, "started_at": safe, "commit": safe, "deployed": {"at": safe, "commit": None}, "allowed": [safe],
    }  # fmt: skip


def test_what_is_on_the_disk_is_read_once_at_the_beginning_of_a_run(
    load: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, copy = load().layout, WorkingCopy(load().layout)
    receipt = {"stack": "web", "outcome": "applied", "started_at": "2026"}
    held = {"web": Record(change="c1", entry=1, receipt=receipt, outputs={"url": {"sensitive": False}})}
    copy.memory.mark = Mark("0a" * 16, 7, "0b" * 32)
    copy.fill(["web"], held, {}, "local")
    opened: list[str] = []

    def read(path: Path) -> object:
        opened.append(layout.relative(path))
        return read_json(path)

    monkeypatch.setattr(workingcopy, "read_json", read)
    with copy.at_once():
        assert copy.unseen(["web"], held, {}, "us") == {}
        assert copy.fill(["web"], held, {}, "local") == set()
    assert opened == [layout.relative(layout.receipt("web")), layout.relative(layout.outputs("web"))]
    assert copy.found("web") == receipts.Record(receipt, {"outputs": {"url": {"sensitive": False}}})
