"""What a long apply is at work on, from the stream that the engine writes."""

from __future__ import annotations

import json
import os
import threading
import time
from typing import TYPE_CHECKING

from tasks.engine.progress import Progress, Teller

if TYPE_CHECKING:
    from collections.abc import Callable
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
    told: list[tuple[str, str]] = []
    each_twice = threading.Event()

    def tell(label: str, seconds: float, what: str) -> None:
        assert seconds > 0
        told.append((label, what))
        if all(told.count((name, "a.x (create, 0 s)")) > 1 for name in ("apply a", "apply b")):
            each_twice.set()

    with (tmp_path / "stream").open("w+b", buffering=0) as stream:
        stream.write(_event("apply_start", "a.x", action="create").encode())
        teller, threads = Teller(0.001, tell), len(threading.enumerate())
        for _ in range(2):  # again, once nothing is under way
            each_twice.clear()
            told.clear()
            with teller.telling("apply a", Progress(stream.fileno())):
                with teller.telling("apply b", Progress(stream.fileno())):
                    assert each_twice.wait(60)
                count = told.count(("apply b", "a.x (create, 0 s)"))
                length = len(told)
                assert _until(lambda: len(told) > length + 2)  # noqa: B023 - called at once
            ended = len(told)
            assert told.count(("apply b", "a.x (create, 0 s)")) == count
            with Teller(0, tell).telling("apply c", Progress(stream.fileno())):
                pass
        assert len(threading.enumerate()) == threads + 1
    assert {what for _, what in told} == {"a.x (create, 0 s)"}
    assert len(told) == ended


def test_nothing_is_told_of_an_apply_that_ends_in_time(tmp_path: Path) -> None:
    told: list[str] = []
    teller = Teller(3600, lambda label, *_: told.append(label))
    with (tmp_path / "stream").open("w+b", buffering=0) as stream:
        for _ in range(3):
            with teller.telling("apply a", Progress(stream.fileno())):
                pass
    assert told == []


def _until(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + 60
    while not holds() and time.monotonic() < end:
        time.sleep(0.001)
    return holds()
