"""Memory: what is left of it, and how many engine processes it is enough for."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tasks.base import memory
from tasks.base.errors import StoppedError
from tasks.base.limit import Limit
from tasks.base.stop import Stop
from tasks.engine.admission import Admission

if TYPE_CHECKING:
    from pathlib import Path

MB = 1 << 20
GB = 1 << 30


def machine(base: Path, cgroup: str, **files: str) -> tuple[Path, Path]:
    """The kernel's two folders of a machine with 8 GB available."""
    proc, groups = base / "proc", base / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text(f"MemTotal: 16777216 kB\nMemAvailable: {8 * GB // 1024} kB\n")
    (proc / "self/cgroup").write_text(cgroup)
    for name, text in files.items():
        path = groups / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return proc, groups


def test_without_a_limit_it_is_what_the_machine_has(tmp_path: Path) -> None:
    assert memory.available(*machine(tmp_path, "0::/\n", memory_DOT_max="max\n", memory_DOT_current="5")) == 8 * GB


def test_a_container_has_what_its_limit_leaves_without_cached_files(tmp_path: Path) -> None:
    files = {
        "a__memory_DOT_max": str(2 * GB), "a__memory_DOT_current": str(GB + 100 * MB),
        "a__memory_DOT_stat": f"anon 5\ninactive_file {100 * MB}\n", "a__b__memory_DOT_max": "max",
        "a__b__memory_DOT_current": "1",
    }  # fmt: skip
    assert memory.available(*machine(tmp_path, "0::/a/b\n", **files)) == GB


def test_the_limit_stands_at_the_root_where_the_path_is_the_hosts(tmp_path: Path) -> None:
    files = {"memory_DOT_max": str(GB), "memory_DOT_current": str(GB // 2)}
    assert memory.available(*machine(tmp_path, "0::/docker/0123\n", **files)) == GB // 2


@pytest.mark.parametrize(("limit", "left"), [(str(3 * GB), 2 * GB), ("9223372036854771712", 8 * GB)])
def test_the_first_version_of_control_groups_counts_too(tmp_path: Path, limit: str, left: int) -> None:
    files = {"memory__x__memory_DOT_limit_in_bytes": limit, "memory__x__memory_DOT_usage_in_bytes": str(GB)}
    assert memory.available(*machine(tmp_path, "4:cpu,memory:/x\n0::/\n", **files)) == left


def test_what_cannot_be_read_is_not_known(tmp_path: Path) -> None:
    assert memory.available(tmp_path / "none", tmp_path) is None


def most_at_once(free: int | None, providers: int, parallel: int = 8) -> tuple[int, list[str]]:
    """How many of eight processes ran at once, and what was said."""
    said: list[str] = []
    admission = Admission(500, parallel, Stop(said.append), said.append, available=lambda: free)
    running, most, lock = [0], [0], threading.Lock()

    def one() -> None:
        with admission.admitted("plan x", "plan", providers):
            with lock:
                running[0] += 1
                most[0] = max(most[0], running[0])
            time.sleep(0.05)
            with lock:
                running[0] -= 1

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return most[0], said


def test_no_more_processes_run_than_there_is_memory_for() -> None:
    most, said = most_at_once(2 * GB, providers=1)
    assert most == 2
    assert len(said) == 1
    assert "500 MB" in said[0]
    assert "engine.provider_memory" in said[0]


@pytest.mark.parametrize("parallel", [1, 3])
def test_no_more_processes_run_than_were_asked_for(parallel: int) -> None:
    assert most_at_once(None, providers=1, parallel=parallel) == (parallel, [])


def test_one_process_runs_however_little_there_is() -> None:
    assert most_at_once(MB, providers=3)[0] == 1


@pytest.mark.parametrize(
    ("free", "providers", "command"), [(None, 9, "plan"), (4 * GB, 0, "plan"), (4 * GB, 5, "init")]
)
def test_what_fits_runs_at_once(free: int | None, providers: int, command: str) -> None:
    said: list[str] = []
    admission = Admission(500, 8, Stop(said.append), said.append, available=lambda: free)
    all_run = threading.Barrier(8, timeout=60)

    def one() -> None:
        with admission.admitted("plan x", command, providers):
            all_run.wait()

    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(one) for _ in range(8)]:
            done.result()
    assert said == []


def test_a_stop_ends_the_waiting() -> None:
    stop = Stop(lambda _: None)
    admission = Admission(500, 2, stop, lambda _: None, available=lambda: MB)
    with admission.admitted("plan a", "plan", 1):
        stop.requested = True
        with pytest.raises(StoppedError), admission.admitted("plan b", "plan", 1):
            pass


def test_the_time_that_a_process_waited_for_its_turn_does_not_count_as_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    admission = Admission(500, 1, Stop(print), print, available=lambda: None)
    monkeypatch.setattr(time, "monotonic", iter([100.0, 1000.0, 1060.0, 1159.0, 1161.0]).__next__)
    limit = Limit(100)
    with admission.admitted("plan b", "plan", 0) as waited:
        limit.extend(waited)
    assert (waited, limit.end) == (60.0, 260.0)
    assert limit.is_over
    limit.extend(1000)
    assert not limit.is_over


def test_garbage_is_collected_less_often_only_where_there_is_memory_for_it() -> None:
    def collector(free: int | None, **given: str) -> dict[str, str]:
        return Admission(500, 2, Stop(print), print, available=lambda: free).collector(given)

    assert collector(16 * GB) == {"GOGC": "400", "GOMEMLIMIT": str(2 * GB)}
    assert collector(4 * GB) == collector(None) == {}
    assert collector(16 * GB, GOGC="50") == collector(16 * GB, GOMEMLIMIT="1GiB") == {}
