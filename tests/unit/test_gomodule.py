"""What test processes have built or installed once: one of them does it, the others wait."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.gomodule import alone
from tests.repository import ROOT

_SECOND = """
import sys
from pathlib import Path
from tests.gomodule import alone
print("begun", flush=True)
with alone("engine"):
    print(Path(sys.argv[1]).exists(), flush=True)
"""


def test_a_test_process_waits_for_the_one_that_builds(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("DOIT_TOFU_CACHE", str(tmp_path / "cache"))
    with alone("engine"):
        second = subprocess.Popen(
            [sys.executable, "-c", _SECOND, str(tmp_path / "built")],
            cwd=ROOT, env=dict(os.environ), stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert second.stdout is not None
        assert second.stdout.readline() == "begun\n"
        with alone("another name"):  # which waits for nobody
            (tmp_path / "built").touch()
    assert second.communicate(timeout=60)[0] == "True\n"
    assert second.returncode == 0
