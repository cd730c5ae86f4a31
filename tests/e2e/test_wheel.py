"""The wheel as users install it: an empty repository, one line of dodo.py, an overlay over this repository."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.request
import venv
from typing import TYPE_CHECKING

import pytest

from tests.repository import ROOT, Repository, resource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def _run(*command: object, cwd: Path | None = None) -> str:
    return subprocess.run([str(part) for part in command], cwd=cwd, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment with the wheel of this tree and its dependencies, and nothing else."""
    base = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", base / "dist", ROOT)
    [wheel] = (base / "dist").glob("*.whl")
    venv.create(base / "venv", with_pip=True)
    python: Path = base / "venv/bin/python"
    _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    return python


def test_the_reports_templates_are_in_the_wheel_compiled(installed: Path) -> None:
    compiled = """
from pathlib import Path
import jinja2
from doit_tofu.reports import environment
for path in sorted(Path(environment.__file__).parent.glob("templates/*.j2")):
    template = environment.own().get_template(path.name)
    print(path.name, isinstance(environment.own().loader, jinja2.ModuleLoader), callable(template.root_render_func))
"""
    sources = sorted(path.name for path in (ROOT / "tasks/reports/templates").glob("*.j2"))
    assert _run(installed, "-c", compiled).splitlines() == [f"{name} True True" for name in sources]


@pytest.fixture
def mine(tmp_path: Path, tofu: Path, installed: Path) -> Iterator[Repository]:
    """A repository with a configuration of its own over a bare clone of this one, its service on a port of its own."""
    bare = tmp_path / "platform.git"
    _run("git", "clone", "--quiet", "--bare", ROOT, bare)
    _run("git", "tag", "--force", "v1.2.0", "HEAD", cwd=bare)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    repository = Repository.create(
        tmp_path / "mine",
        tofu,
        "dodo.py:from doit_tofu import *\n",
        f"config/pipeline.yaml:upstream: {{git: 'file://{bare}', ref: v1.2.0}}\n",
        # The dashboard takes an npm: tests/e2e/test_example_dashboard.py has it.
        "config/environments/local.yaml:stacks:\n  dashboard: {enabled: false}\n"
        f"  network: {{variables: {{port: {port}}}}}\n",
    )
    repository.python = installed
    yield repository
    pid = repository.path / ".deploy/.cache/tree/.state/site-local/pid"
    if pid.exists():
        subprocess.run(["kill", pid.read_text()], check=False)


def test_an_overlay_over_this_repository_plans_deploys_and_does_not_drift(mine: Repository) -> None:
    where = _run(mine.python, "-c", "import doit_tofu; print(doit_tofu.__file__)", cwd=mine.path)
    assert str(mine.python.parent.parent) in where
    mine.doit("status")
    mine.commit("pin the upstream")
    mine.doit("plan")
    mine.planned()
    done = mine.doit("deploy")
    assert mine.planned() == ["site"]  # it waited for its upstreams; the others are applied as they were planned
    address = done.line("site.url").split()[-1]
    with urllib.request.urlopen(address) as answer:
        assert b"Deployed by doit-tofu" in answer.read()
    assert mine.json("receipts", "site.json")["upstream"] == _run("git", "rev-parse", "HEAD", cwd=ROOT).strip()
    assert mine.git("status", "--porcelain", "--", ":(exclude).state") == ""
    assert sorted(path.name for path in (mine.path / ".state").glob("*.tfstate")) == [
        "content-local.tfstate", "network-local.tfstate", "site-local.tfstate",
    ]  # fmt: skip
    assert "all passed" in mine.doit("drift", code=0).out
    mine.planned()

    mine.doit("deploy")
    assert mine.planned() == []

    mine.write("config/environments/dev.yaml:", f"stacks/extra/main.tf:{resource()}")
    mine.doit("deploy")
    assert mine.planned() == ["extra"]

    server = (ROOT / "stacks/site/server.py").read_text()
    mine.write(f"stacks/site/server.py:{server}# of the overlay\n")
    mine.doit("deploy")
    assert mine.planned() == ["site"]

    template = (ROOT / "stacks/content/page.html.tftpl").read_text()
    mine.write("stacks/content/page.html.tftpl:" + template.replace("<h1>", "<h1>Overlay: "))
    mine.doit("deploy")
    assert mine.planned() == ["content", "site"]  # the site shows the page
    with urllib.request.urlopen(address) as answer:
        assert b"Overlay: Deployed by doit-tofu" in answer.read()

    mine.write('stacks/content/title.auto.tfvars:title = "Mine"\n')
    mine.doit("deploy")
    assert mine.planned() == ["content", "site"]

    environment = (mine.path / "config/environments/local.yaml").read_text()
    mine.write(
        f"config/environments/local.yaml:{environment}  content: {{variables: {{editor_token: another-token}}}}\n"
    )
    mine.doit("deploy")
    assert mine.planned() == ["content"]  # the page is as it was

    assert "all passed" in mine.doit("drift", code=0).out
    done = mine.doit("status")
    done.line("replaces", "stacks/site/server.py")
    done.line("adds", "stack stacks/extra")
    done.line("key", "stacks.network.variables.port")
