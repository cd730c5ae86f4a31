"""How the tests are given to workers: what shares fixtures goes to one of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import KUBERNETES, group
from tests.repository import ROOT


@pytest.mark.parametrize(
    ("nodeid", "name"),
    [
        ("tests/unit/test_ci.py::test_a[x/y::z.py]", "tests/unit/test_ci.py"),
        ("tests/e2e/test_ci.py::test_a", "tests/e2e/test_ci.py"),
        ("tests/e2e/test_check_kubernetes.py::test_a", KUBERNETES),
        ("tests/e2e/test_drift_real.py::test_a", KUBERNETES),
        ("tests/unit/test_check_kubernetes.py::test_a", "tests/unit/test_check_kubernetes.py"),
        ("tests/e2e/test_pipelines_ledger.py::test_a[b]", "tests/e2e/test_pipelines_ledger.py::test_a[b]"),
    ],
)
def test_a_module_is_a_group(nodeid: str, name: str) -> None:
    assert group(nodeid) == name


def test_one_worker_runs_all_tests_of_a_module(tmp_path: Path) -> None:
    """Each of them writes down which worker it ran in."""
    module = "import os, pathlib, pytest\n\n@pytest.mark.parametrize('number', range(20))\ndef test_it(number):\n"
    module += "    with pathlib.Path(os.environ['SEEN'], os.environ['PYTEST_XDIST_WORKER'] + '.' + __name__).open('a') as out:\n"
    module += "        out.write('ran\\n')\n"
    folder, seen = tmp_path / "some", tmp_path / "seen"
    for path in (folder, seen):
        path.mkdir()
    for name in ("test_one", "test_two"):
        (folder / f"{name}.py").write_text(module)
    (folder / "conftest.py").write_text((ROOT / "tests/conftest.py").read_text())
    used = re.search(r"--dist \S+ --no-loadscope-reorder", (ROOT / "tools/test").read_text())
    assert used
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", *used[0].split(), str(folder)]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "SEEN": str(seen), "PYTHONPATH": str(ROOT)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = {path.name.partition(".")[2]: path.read_text().count("ran") for path in seen.iterdir()}
    assert lines == {"test_one": 20, "test_two": 20}
    assert len(list(seen.iterdir())) == 2
