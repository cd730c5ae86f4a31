"""The example's dashboard: built by the pipeline, as files and as an image, deployed, checked, and showing that deploy."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.packages import started, watch, with_built_dashboard
from tests.repository import ROOT, Done, Repository, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
    watch(example, "buildah")
    return example


def node_calls(repository: Repository) -> list[str]:
    """What was started of node and npm since the last look, without questions for versions."""
    log = repository.home / "node.log"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return [line for line in lines if not line.endswith("--version")]


@contextmanager
def running(image: str, repository: Repository, tmp_path: Path) -> Iterator[str]:
    """The address of an image's own command in the image's own files, as a container runs it."""
    folder, _, digest = image.removeprefix("oci:").partition("@")
    (tmp_path / "layout").symlink_to(repository.path / folder)  # buildah makes a name of the path: none with a dot
    index = json.loads((tmp_path / "layout/index.json").read_text())
    [tag] = [
        entry["annotations"]["org.opencontainers.image.ref.name"]
        for entry in index["manifests"]
        if entry["digest"] == digest
    ]
    buildah = ["buildah", "--root", tmp_path / "s", "--runroot", tmp_path / "r", "--storage-driver", "vfs"]
    container = subprocess.check_output([*buildah, "from", f"oci:{tmp_path}/layout:{tag}"], text=True).strip()
    inspected = json.loads(subprocess.check_output([*buildah, "inspect", container]))
    command = inspected["OCIv1"]["config"]["Cmd"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [*buildah, "run", "--isolation", "chroot", "--env", f"PORT={port}", container, "--", *command],
        start_new_session=True,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        subprocess.run([*buildah, "rm", container], check=True, capture_output=True)


def image_of(done: Done) -> str:
    """The image that a plan's line names."""
    return done.task("plan", "dashboard").partition("image = ")[2].split()[0]


def deployed_image(repository: Repository) -> str:
    """The image that the stack was given."""
    return str(repository.json("outputs", "dashboard.json")["outputs"]["image"]["value"])


def answers(url: str) -> bool:
    try:
        get(url)
    except OSError:
        return False
    return True


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        text: str = answer.read().decode()
        return text


def test_a_deploy_builds_starts_and_checks_the_dashboard_which_shows_that_deploy(
    with_dashboard: Repository, tmp_path: Path
) -> None:
    planned = image_of(with_dashboard.doit("plan"))
    assert planned.startswith("oci:.images/dashboard:")
    assert any("ci" in line.split() for line in node_calls(with_dashboard))  # the plan reads what the build makes
    assert started(with_dashboard) == []

    done = with_dashboard.doit("deploy")
    address = done.line("dashboard.url").split()[-1]
    _, run = sorted(path.stem for path in with_dashboard.deploy_dir("runs").glob("*.json"))
    page = get(f"{address}/env/local/runs/{run}")
    assert "doit deploy" in page
    assert "4 deployed" in page
    before = json.loads(get(f"{address}/healthz"))
    assert not any("ci" in line.split() for line in node_calls(with_dashboard))
    assert started(with_dashboard)
    assert f"{planned} built by buildah" in done.task("build", "image/dashboard")
    image = image_of(done)
    assert deployed_image(with_dashboard) == image
    with running(image, with_dashboard, tmp_path) as container:
        wait_for(lambda: answers(f"{container}/healthz"), "the image's server")
        assert json.loads(get(f"{container}/healthz"))["build"] == before["build"]

    with_dashboard.engine_calls()
    done = with_dashboard.doit("deploy")
    assert "nothing to deploy, all up to date" in done.out
    assert (with_dashboard.engine_calls(), node_calls(with_dashboard), started(with_dashboard)) == ([], [], [])

    page_source = with_dashboard.path / "app/src/routes/+page.svelte"
    page_source.write_text(page_source.read_text().replace("<h1>Environments</h1>", "<h1>Every environment</h1>"))
    with_dashboard.commit("one line of the app")
    assert image_of(with_dashboard.doit("plan")) not in (planned, image)
    assert with_dashboard.planned() == ["dashboard"]
    done = with_dashboard.doit("deploy")
    assert deployed_image(with_dashboard) not in (planned, image)
    assert with_dashboard.planned() == ["dashboard"]
    assert "1 deployed" in done.out
    after = json.loads(get(f"{address}/healthz"))
    assert after["version"] != before["version"]
    assert after["build"] != before["build"]
    assert "Every environment" in get(f"{address}/")
    assert with_dashboard.doit("drift").code == 0


def test_without_a_builder_that_is_said_once_and_the_dashboard_runs_all_the_same(with_dashboard: Repository) -> None:
    (with_dashboard.bin / "npm").unlink()
    with_built_dashboard(with_dashboard)  # the test before has npm itself build it
    for name in ("buildah", "podman", "docker"):
        (with_dashboard.bin / name).unlink(missing_ok=True)
    folder = with_dashboard.home / "path"
    folder.mkdir()
    for path in os.environ["PATH"].split(":"):
        for program in Path(path).glob("*"):
            if program.name not in ("buildah", "podman", "docker") and not os.path.lexists(folder / program.name):
                (folder / program.name).symlink_to(program)
    few = f"{with_dashboard.bin}:{with_dashboard.python.parent}:{folder}"
    done = with_dashboard.doit("deploy", PATH=few)
    assert done.out.count("no working image builder was found") == 1
    assert "4 deployed" in done.out
    image = deployed_image(with_dashboard)
    assert image.startswith("oci:.images/dashboard:")
    assert json.loads(get(f"{done.line('dashboard.url').split()[-1]}/healthz"))["status"] == "ok"
    done = with_dashboard.doit("deploy", PATH=few)
    assert "nothing to deploy" in done.out
    assert "no working image builder" not in done.out


@pytest.fixture
def wrapped(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a script of `tools/` in a folder of its own; the programs beside it are scripts, given by name."""
    shutil.copytree(ROOT / "tools", tmp_path / "tools", ignore=shutil.ignore_patterns("tofu", "actionlint"))
    (tmp_path / "app").mkdir()
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "enabled: $DEPLOY_STACKS__DASHBOARD__ENABLED"\n')
    python.chmod(0o755)
    shutil.copy(tmp_path / "tools/requirements.txt", tmp_path / ".venv/locked")
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "cmp", "dirname"):
        (folder / name).symlink_to(str(shutil.which(name)))

    def run(script: str, argument: str, **programs: str) -> subprocess.CompletedProcess[str]:
        for name, text in programs.items():
            (folder / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / name).chmod(0o755)
        return subprocess.run(
            [str(folder / "sh"), str(tmp_path / "tools" / script), argument], env={"PATH": str(folder)}, check=False,
            capture_output=True, text=True,
        )  # fmt: skip

    return run


def test_the_first_run_says_that_it_makes_an_environment_and_of_how_many_packages(
    wrapped: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / ".venv/locked").unlink()
    found = {name: f'exec {shutil.which(name)} "$@"' for name in ("grep", "rm", "cp", "mkdir")}
    python = (
        '[ "$1" = -V ] && echo Python 3.12.1; [ "$2" = venv ] && mkdir -p "$3/bin" && cp "$0" "$3/bin/python"; exit 0'
    )
    done = wrapped("doit", "deploy", node=node("v24.1.0"), npm="exit 1", python3=python, **found)
    lines = (tmp_path / "tools/requirements.txt").read_text().splitlines()
    number = sum("==" in line and not line.startswith((" ", "#")) for line in lines)
    assert number > 20
    assert done.stderr == (
        f"setup: making a Python environment in .venv with {number} packages, once; python3 is Python 3.12.1\n"
    )
    assert wrapped("doit", "deploy").stderr == ""


def node(version: str) -> str:
    """A node that knows its version, and fails at all else, as an old one does at a new program."""
    return f'[ "$1" = --version ] && echo {version} && exit 0; echo "SyntaxError: Unexpected token" >&2; exit 1'


def test_without_node_the_wrapper_says_so_once_and_leaves_the_dashboard_out(
    wrapped: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = wrapped("doit", "deploy")
    assert done.stdout == "enabled: false\n"
    assert done.stderr.count("\n") == done.stderr.count("the dashboard is left out") == 1


@pytest.mark.parametrize("version", ["v18.20.4", "v20.18.1", "v21.7.3", "v22.11.0", "nonsense"])
def test_with_an_old_node_one_line_says_so_and_the_dashboard_is_left_out_or_not_built(
    wrapped: Callable[..., subprocess.CompletedProcess[str]], version: str
) -> None:
    done = wrapped("doit", "deploy", node=node(version), npm="exit 1")
    assert done.stdout == "enabled: false\n"
    assert done.stderr.count("\n") == done.stderr.count(f"and here is {version} (") == 1
    done = wrapped("app", "build")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == done.stderr.count(f"and here is {version} (") == 1


@pytest.mark.parametrize("version", ["v20.19.0", "v22.12.0", "v24.1.0"])
def test_with_a_node_that_is_new_enough_the_wrapper_says_nothing(
    wrapped: Callable[..., subprocess.CompletedProcess[str]], version: str
) -> None:
    done = wrapped("doit", "deploy", node=node(version), npm="exit 1")
    assert (done.stdout, done.stderr) == ("enabled: \n", "")


def test_the_wrapper_wants_the_node_that_the_package_wants() -> None:
    assert json.loads((ROOT / "app/package.json").read_text())["engines"] == {"node": "^20.19 || ^22.12 || >=24"}


def test_a_dashboard_that_is_asked_for_under_an_old_node_fails_its_build_with_what_it_needs(
    with_dashboard: Repository,
) -> None:
    old = with_dashboard.home / "old.cjs"
    old.write_text('Object.defineProperty(process, "version", { value: "v18.20.4" });\n')
    program = with_dashboard.bin / "node"  # npm is a script for node, so it finds itself under this one
    program.write_text(program.read_text().replace("exec ", f"exec env NODE_OPTIONS='--require={old}' "))
    done = with_dashboard.doit("build:dashboard", code=1)
    assert "EBADENGINE" in done.out
    assert '"node":"^20.19 || ^22.12 || >=24"' in done.out
    assert "nothing was applied" in done.out
