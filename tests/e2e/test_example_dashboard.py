"""The example's dashboard: built by the pipeline, deployed, checked, and showing the very deploy that brought it."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from typing import TYPE_CHECKING

import pytest

from tests.repository import ROOT, Repository

if TYPE_CHECKING:
    from pathlib import Path

LOGGING = "#!/bin/sh\nprintf '%s\\n' \"{name} $*\" >> '{log}'\nexec '{real}' \"$@\"\n"


@pytest.fixture
def with_dashboard(example: Repository) -> Repository:
    """The example with its dashboard, and npm logged."""
    for name in ("node", "npm"):
        real = shutil.which(name)
        assert real, f"{name} is needed for the dashboard"
        script = example.bin / name
        script.write_text(LOGGING.format(name=name, log=example.home / "node.log", real=real))
        script.chmod(0o755)
    del example.variables["DEPLOY_STACKS__DASHBOARD__ENABLED"]
    return example


def node_calls(repository: Repository) -> list[str]:
    """What was started of node and npm since the last look, without questions for versions."""
    log = repository.home / "node.log"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return [line for line in lines if not line.endswith("--version")]


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        text: str = answer.read().decode()
        return text


def test_a_deploy_builds_starts_and_checks_the_dashboard_which_shows_that_deploy(with_dashboard: Repository) -> None:
    done = with_dashboard.doit("deploy")
    address = done.line("dashboard.url").split()[-1]
    [run] = [path.stem for path in with_dashboard.deploy_dir("runs").glob("*.json")]
    page = get(f"{address}/env/local/runs/{run}")
    assert "doit deploy" in page
    assert "4 deployed" in page
    before = json.loads(get(f"{address}/healthz"))
    assert any("ci" in line.split() for line in node_calls(with_dashboard))

    with_dashboard.engine_calls()
    done = with_dashboard.doit("deploy")
    assert "nothing to deploy, all up to date" in done.out
    assert (with_dashboard.engine_calls(), node_calls(with_dashboard)) == ([], [])

    page_source = with_dashboard.path / "app/src/routes/+page.svelte"
    page_source.write_text(page_source.read_text().replace("<h1>Environments</h1>", "<h1>Every environment</h1>"))
    with_dashboard.commit("one line of the app")
    done = with_dashboard.doit("deploy")
    assert with_dashboard.planned() == ["dashboard"]
    assert "1 deployed" in done.out
    after = json.loads(get(f"{address}/healthz"))
    assert after["version"] != before["version"]
    assert after["build"] != before["build"]
    assert "Every environment" in get(f"{address}/")
    assert with_dashboard.doit("drift").code == 0


def test_without_node_the_wrapper_says_so_once_and_leaves_the_dashboard_out(tmp_path: Path) -> None:
    for name in ("doit", "environment.sh", "requirements.txt"):
        (tmp_path / "tools").mkdir(exist_ok=True)
        shutil.copy(ROOT / "tools" / name, tmp_path / "tools" / name)
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "enabled: $DEPLOY_STACKS__DASHBOARD__ENABLED"\n')
    python.chmod(0o755)
    shutil.copy(tmp_path / "tools/requirements.txt", tmp_path / ".venv/locked")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "cmp", "dirname"):
        (programs / name).symlink_to(str(shutil.which(name)))
    command = [str(programs / "sh"), str(tmp_path / "tools/doit"), "deploy"]
    done = subprocess.run(command, env={"PATH": str(programs)}, check=True, capture_output=True, text=True)
    assert done.stdout == "enabled: false\n"
    assert done.stderr.count("the dashboard is left out") == 1
    for name in ("node", "npm"):
        (programs / name).symlink_to("/bin/true")
    done = subprocess.run(command, env={"PATH": str(programs)}, check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("enabled: \n", "")
