"""Whether a process is still there, by its name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.base import alive

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system has no /proc")


def test_this_process_is_there() -> None:
    assert alive.pid(alive.this()) == os.getpid()


def test_one_that_has_ended_is_not_there_even_before_its_parent_knows() -> None:
    code = "import sys; from tasks.base import alive; print(alive.this(), flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stdin
        name = child.stdout.readline().decode().strip()
        assert alive.pid(name) == child.pid
        child.stdin.close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and its number is still taken
        assert alive.pid(name) is None
    assert alive.pid(name) is None


@pytest.mark.parametrize("name", ["", "0a" * 8, "../../etc", "\n"])
def test_what_names_no_process(name: str) -> None:
    assert alive.pid(name) is None
