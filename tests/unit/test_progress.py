"""What a long apply is at work on, from the stream that the engine writes."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING

from tasks.engine import progress
from tasks.engine.progress import Progress

if TYPE_CHECKING:
    from pathlib import Path


def _event(kind: str, name: str, **hook: object) -> str:
    return json.dumps({"type": kind, "hook": {"resource": {"addr": name}, **hook}}) + "\n"


def test_what_has_begun_and_not_ended_is_under_way(tmp_path: Path) -> None:
    path = tmp_path / "stream"
    with path.open("w+b", buffering=0) as stream:
        seen = Progress(stream.fileno())
        assert seen.look() == ""
        stream.write(_event("apply_start", "a.x", action="create").encode())
        stream.write(_event("apply_start", "a.y", action="delete").encode())
        stream.write(b'{"type": "version"}\nno json\n[1]\n')
        assert seen.look() == "a.x (create, 0 s), a.y (delete, 0 s)"
        stream.write(_event("apply_progress", "a.x", action="create", elapsed_seconds=61).encode())
        stream.write(_event("apply_complete", "a.y", action="delete").encode()[:-5])
        assert seen.look() == "a.x (create, 61 s), a.y (delete, 0 s)"
        stream.write(_event("apply_complete", "a.y", action="delete").encode()[-5:])
        assert seen.look() == "a.x (create, 61 s)"
        stream.write(_event("apply_errored", "a.x", action="create").encode())
        assert seen.look() == ""
        assert os.lseek(stream.fileno(), 0, os.SEEK_CUR) == path.stat().st_size


def test_it_is_told_again_and_again_until_it_ends(tmp_path: Path) -> None:
    told: list[str] = []
    twice = threading.Event()

    def tell(seconds: float, what: str) -> None:
        assert seconds > 0
        told.append(what)
        if len(told) > 1:
            twice.set()

    with (tmp_path / "stream").open("w+b", buffering=0) as stream:
        stream.write(_event("apply_start", "a.x", action="create").encode())
        with progress.told(Progress(stream.fileno()), 0.001, tell):
            assert twice.wait(60)
        count = len(told)
        with progress.told(Progress(stream.fileno()), 0, tell):
            pass
    assert set(told) == {"a.x (create, 0 s)"}
    assert len(told) == count
