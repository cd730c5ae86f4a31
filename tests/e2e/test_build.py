"""Builds: made when what they are made of changed, by npm, pnpm or a command; and what they mean for stacks."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.packages import lock, package, started, watch
from tests.repository import Repository, copy_tree, minimal_config, resource, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

NODE = "builds: {app: {kind: node, path: app}}\n"
READS = 'output "page" {\n  value = filesha256("${path.module}/../../app/build/index.js")\n}\n'


@pytest.fixture
def app(build: Callable[..., Repository]) -> Repository:
    """A package without dependencies, built by npm; the stack `web` reads what it makes, `other` does not."""
    repository = build(
        minimal_config(NODE),
        *package(),
        f"stacks/web/main.tf:{resource(extra=READS)}",
        f"stacks/other/main.tf:{resource()}",
    )

    def ready() -> None:
        watch(repository, "node", "npm")
        lock(repository)
        repository.commit()
        started(repository)

    repository.once(ready, "ready")
    return repository


def _built(repository: Repository) -> str:
    return (repository.path / "app/build/index.js").read_text()


def test_a_build_is_made_once_and_again_when_its_sources_change(app: Repository) -> None:
    done = app.doit("build")
    assert "built app/build: 3 files with node v" in done.task("build", "app")
    assert "first" in _built(app)
    assert [line.split()[1] for line in started(app) if line.startswith("npm")] == ["ci", "run"]
    assert "build     1 up to date" in app.doit("build").out
    assert started(app) == []
    app.write("app/src/text.txt:second")
    app.doit("build")
    assert "second" in _built(app)
    assert [line for line in started(app) if line.startswith("npm")] == ["npm ci --no-audit --no-fund", "npm run build"]


def test_what_git_ignores_is_no_source_and_what_it_does_not_know_yet_is(app: Repository) -> None:
    app.prepare("build")
    started(app)
    app.write(
        "app/node_modules/x/index.js:1", ".gitignore:.deploy/\n*.tfstate*\n.terraform/\n*.log\n", "app/debug.log:x"
    )
    app.doit("build")
    assert started(app) == []
    app.write("app/src/new.txt:x")
    app.doit("build")
    assert started(app) != []


def test_a_changed_mode_is_a_changed_source_but_mtime_and_umask_are_not(app: Repository) -> None:
    app.prepare("build")
    started(app)
    text = app.path / "app/src/text.txt"
    text.chmod(0o600)
    os.utime(text, (1, 1))
    app.doit("build")
    assert started(app) == []
    text.chmod(0o755)
    app.doit("build")
    assert started(app) != []


def test_a_build_whose_outputs_were_touched_or_removed_is_made_again(app: Repository) -> None:
    app.prepare("build")
    started(app)
    app.write("app/build/index.js:tampered")
    app.doit("build")
    assert "first" in _built(app)
    shutil.rmtree(app.path / "app/build/static")
    app.doit("build")
    assert (app.path / "app/build/static/mode.txt").exists()
    assert [line for line in started(app) if line == "npm run build"] == ["npm run build"] * 2


def test_a_named_variable_counts_and_an_unnamed_one_does_not(app: Repository) -> None:
    app.write(minimal_config("builds: {app: {kind: node, path: app, environment: [MODE]}}\n"))
    app.doit("build", MODE="one")
    started(app)
    app.doit("build", MODE="one", ANOTHER="x")
    assert started(app) == []
    app.doit("build", MODE="two")
    assert (app.path / "app/build/static/mode.txt").read_text() == "two"


def test_a_build_gets_no_secret_that_it_does_not_name_and_its_log_shows_none(app: Repository) -> None:
    app.write(minimal_config("builds: {app: {kind: node, path: app, secrets: [NPM_TOKEN]}}\n"))
    secrets = {"NPM_TOKEN": "npm-s3cret-value", "OTHER_TOKEN": "other-s3cret"}
    app.doit("build", **secrets)
    assert (app.path / "app/build/static/secrets.txt").read_text() == "given withheld"
    done = app.doit("-a", "build", code=1, FAIL="1", **secrets)
    assert "it broke with (sensitive value)" in done.out
    assert "npm-s3cret-value" not in done.out
    written = [path.read_text(errors="replace") for path in app.deploy_dir("results").rglob("*") if path.is_file()]
    assert "npm-s3cret-value" not in "".join(written)


def test_another_version_of_the_toolchain_makes_it_again(app: Repository) -> None:
    app.prepare("build")
    started(app)
    real = shutil.which("node", path="/usr/local/bin:/usr/bin:/bin")
    script = app.bin / "node"
    script.write_text(f'#!/bin/sh\nif [ "$*" = --version ]; then echo v99.0.0; exit; fi\nexec {real} "$@"\n')
    assert "node v99.0.0" in app.doit("build").task("build", "app")
    assert "npm run build" in started(app)


def test_a_clone_with_the_cache_restored_installs_and_builds_nothing(app: Repository, tmp_path: Path) -> None:
    app.prepare("build")
    clone = app.clone(tmp_path / "other")
    watch(clone, "node", "npm")
    copy_tree(app.path / ".deploy/.builds", clone.path / ".deploy/.builds")
    copy_tree(app.path / "app/build", clone.path / "app/build")
    clone.doit("build")
    assert started(clone) == []
    assert not (clone.path / "app/node_modules").exists()


def test_a_cache_that_does_not_hold_what_was_built_is_built_anew(app: Repository, tmp_path: Path) -> None:
    app.prepare("build")
    clone = app.clone(tmp_path / "other")
    watch(clone, "node", "npm")
    copy_tree(app.path / ".deploy/.builds", clone.path / ".deploy/.builds")
    copy_tree(app.path / "app/build", clone.path / "app/build")
    clone.write("app/build/extra.js:who put this here")
    clone.doit("build")
    assert "npm run build" in started(clone)
    assert not (clone.path / "app/build/extra.js").exists()


def test_a_failed_build_leaves_nothing_that_counts(app: Repository) -> None:
    app.prepare("build")
    app.write("app/src/text.txt:second")
    done = app.doit("deploy", code=1, FAIL="1")
    assert "`npm run build` in app exited with 3" in done.out
    assert app.engine_calls("apply") == []
    assert not (app.path / ".deploy/.builds/app.json").exists()
    app.doit("build")
    assert "second" in _built(app)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_build_ends_with_all_it_started_and_counts_as_not_made(
    app: Repository, number: signal.Signals
) -> None:
    process = app.start("build", SLOW="1")
    wait_for((app.path / "app/build/half").exists, "the build to begin")
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1, out
    assert _processes_in(app) == []
    about = [line for line in out.splitlines() if "app" in line]
    assert [" ".join(line.split()) for line in about] == [
        f"{number.name}: stopping; waiting for build app to finish",
        "build app stopped: it does not count as built; nothing was applied",
    ]
    assert "Traceback" not in out
    started(app)
    app.prepare("build")
    assert not (app.path / "app/build/half").exists()
    assert "first" in _built(app)


def test_a_killed_build_counts_as_not_made_and_the_next_run_waits_for_what_it_left(app: Repository) -> None:
    process = app.start("build", SLOW="1")
    wait_for((app.path / "app/build/half").exists, "the build to begin")
    process.kill()
    process.communicate()
    left = _processes_in(app)
    assert left, "the build continues on its own"
    again = app.start("build")
    assert again.stdout is not None
    assert "waiting for another build of it to finish" in again.stdout.readline()
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    again.communicate(timeout=60)
    assert again.returncode == 0
    assert not (app.path / "app/build/half").exists()
    assert "first" in _built(app)


def _processes_in(repository: Repository) -> list[int]:
    """The processes whose folder is the package's."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == repository.path / "app":
                found.append(int(process.name))
        except OSError:
            continue
    return found


def test_a_build_that_takes_too_long_is_ended(app: Repository) -> None:
    app.write(minimal_config("builds: {app: {kind: node, path: app, timeout: 2}}\n"))
    assert "took longer than 2 s" in app.doit("build", code=1, SLOW="1").out
    assert _processes_in(app) == []


def test_without_the_toolchain_one_error_says_what_to_install(app: Repository) -> None:
    nothing = app.home / "nothing"
    nothing.mkdir()
    for program in ("git", "sh", "python3"):
        (nothing / program).symlink_to(shutil.which(program))
    (nothing / "tofu").symlink_to(app.bin / "tofu")
    done = app.doit("build", code=1, PATH=f"{nothing}:{app.python.parent}")
    assert "build 'app' needs `n" in done.out
    assert "install N" in done.out or "install npm" in done.out
    assert done.out.count("apt-get install") == 2, "where it failed, and at the end"


def test_a_build_that_writes_among_its_sources_is_told_so(app: Repository) -> None:
    app.write("app/package.json:" + '{"scripts": {"build": "node build.js && echo 1 > generated.txt"}}')
    lock(app)
    done = app.doit("build", code=1)
    assert "its sources changed during the build: generated.txt" in done.out
    app.write("app/.gitignore:node_modules\nbuild\ngenerated.txt\n")
    app.doit("build")


def test_outputs_that_git_tracks_are_not_removed(app: Repository) -> None:
    app.write(minimal_config("builds: {app: {kind: node, path: app, outputs: [src]}}\n"))
    done = app.doit("build", code=1)
    assert "app/src/text.txt is a source" in done.out
    assert (app.path / "app/src/text.txt").exists()


def test_dependencies_of_a_registry_are_installed_as_the_lock_file_says_and_only_when_it_changed(
    build: Callable[..., Repository],
) -> None:
    files = package(
        dependencies={"is-number": "7.0.0"}, scripts={"build": "node -e \"require('is-number')\" && node build.js"}
    )
    repository = build(minimal_config(NODE), *files)
    watch(repository, "npm")
    lock(repository)
    repository.commit()
    started(repository)
    repository.doit("build")
    assert (repository.path / "app/node_modules/is-number/package.json").exists()
    assert started(repository) == ["npm ci --no-audit --no-fund", "npm run build"]
    repository.write("app/src/text.txt:second")
    repository.doit("build")
    assert started(repository) == ["npm run build"]
    (repository.path / "app/node_modules/.package-lock.json").unlink()
    repository.write("app/src/text.txt:third")
    repository.doit("build")
    assert started(repository) == ["npm ci --no-audit --no-fund", "npm run build"]
    repository.write(*[text.replace("7.0.0", "6.0.0") for text in files[:1]])
    done = repository.doit("build", code=1)
    assert "`npm ci --no-audit --no-fund` in app exited with 1" in done.out


def test_pnpm_is_used_where_its_lock_file_is(build: Callable[..., Repository], pnpm: Path) -> None:
    repository = build(minimal_config(NODE), *package(dependencies={"is-number": "7.0.0"}))
    repository.variables["PATH"] = f"{pnpm}:{repository.environment()['PATH']}"
    lock(repository, program="pnpm")
    repository.commit()
    assert "pnpm 9." in repository.doit("build").task("build", "app")
    assert (repository.path / "app/node_modules/.modules.yaml").exists()
    assert "first" in _built(repository)


@pytest.fixture(scope="session")
def pnpm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a pnpm from the registry."""
    folder = tmp_path_factory.mktemp("pnpm")
    subprocess.run(["npm", "install", "--prefix", folder, "--no-audit", "--no-fund", "pnpm@9.15.9"], check=True)
    return folder / "node_modules/.bin"


COMMANDS = """\
builds:
  first: {kind: command, path: one, command: [sh, -c, "mkdir out; cat in > out/a"], outputs: [out], toolchain: [[sed, --version]]}
  second: {kind: command, path: two, command: [sh, -c, "cat ../one/out/a in > b"], outputs: [b], depends_on: [first]}
"""


def test_a_command_builds_after_what_it_depends_on_and_follows_its_changes(build: Callable[..., Repository]) -> None:
    ignored = ".gitignore:.deploy/\nout/\nb\n*.tfstate*\n.terraform/\n"
    repository = build(minimal_config(COMMANDS), ignored, "one/in:1", "two/in:2")
    repository.doit("build:second")
    assert (repository.path / "two/b").read_text() == "12"
    repository.write("one/in:3")
    done = repository.doit("build")
    assert (repository.path / "two/b").read_text() == "32"
    assert "sed" in done.task("build", "first")
    assert repository.doit("build").out.count("built") == 0


# Stacks


def test_a_stack_that_reads_a_build_is_planned_after_it_and_affected_by_its_sources_alone(app: Repository) -> None:
    done = app.doit("deploy")
    assert "2 deployed" in done.out
    assert "npm run build" in started(app)
    app.engine_calls()
    app.doit("deploy")
    assert started(app) == []
    assert app.engine_calls() == []
    app.write("app/src/text.txt:second")
    app.commit()
    done = app.doit("plan")
    assert app.planned() == ["web"]
    assert "[build app changed]" in done.task("plan", "web")
    app.doit("deploy")
    assert app.inputs("receipts", "web.json")["build", "app"]
    assert not [name for _, name in app.inputs("receipts", "web.json") if "app/build" in name]


def test_a_clone_with_receipts_needs_no_build_when_nothing_is_affected(app: Repository, tmp_path: Path) -> None:
    app.prepare("deploy")
    clone = app.clone(tmp_path / "other")
    watch(clone, "node", "npm")
    copy_tree(app.deploy_dir(), clone.deploy_dir())
    assert "no stack is affected" in clone.doit("plan").out
    assert "nothing to deploy" in clone.doit("deploy").out
    assert started(clone) == []
    clone.doit("drift", code=None)  # plans every stack, and so reads what is built
    assert "npm run build" in started(clone)


def test_a_plan_made_of_other_outputs_is_refused(app: Repository) -> None:
    app.doit("plan")
    app.write(
        "app/build.js:require('fs').mkdirSync('build'); require('fs').writeFileSync('build/index.js', String(Math.random()))"
    )
    app.commit()
    app.doit("plan")
    shutil.rmtree(app.path / "app/build")
    done = app.doit("deploy", code=1)
    assert "planned with different outputs of app than those here" in done.task("plan", "web")
    assert app.engine_calls("apply") == []


def test_a_stack_reads_a_build_that_it_names(app: Repository) -> None:
    app.write(
        minimal_config(NODE + "stacks: {other: {builds: [app]}}\n"),
    )
    app.doit("deploy")
    app.engine_calls()
    app.write("app/src/text.txt:second")
    app.doit("plan")
    assert app.planned() == ["other", "web"]


def test_a_build_that_only_another_environments_stack_names_is_made_there(app: Repository) -> None:
    app.write(minimal_config(NODE + "stacks:\n  other: {builds: [app]}\n  web: {path: stacks/other, enabled: false}\n"))
    without = {"DEPLOY_STACKS__OTHER__ENABLED": "false"}
    app.doit("build", **without)
    assert started(app) == []
    app.doit("build:app", **without)
    assert [line.split()[1] for line in started(app) if line.startswith("npm")] == ["ci", "run"]
    app.write("app/src/text.txt:second")
    app.doit("build")
    assert [line.split()[1] for line in started(app) if line.startswith("npm")][-1:] == ["run"]


def test_status_says_that_a_build_changed_without_building(app: Repository) -> None:
    app.prepare("deploy")
    started(app)
    app.write("app/src/text.txt:second")
    assert "affected: build app changed" in app.doit("status").line("web")
    assert started(app) == []


def test_against_a_base_a_changed_source_affects_the_stack_that_reads_the_build(app: Repository) -> None:
    app.git("tag", "base")
    app.write("app/src/text.txt:second")
    app.commit()
    done = app.doit("plan", "base=base")
    assert "build app changed since base" in done.task("plan", "web")
    assert app.planned() == ["web"]


def test_an_overlay_builds_what_its_upstream_has_and_overlays(app: Repository, tmp_path: Path, tofu: Path) -> None:
    app.write(".gitignore:.deploy/\n.state/\n")
    app.commit()
    mine = Repository.create(
        tmp_path / "mine", tofu, f"config/pipeline.yaml:upstream: {{path: {json.dumps(str(app.path))}}}\n"
    )
    watch(mine, "npm")
    made = mine.path / ".deploy/.cache/tree/app/build/index.js"
    mine.doit("deploy")
    assert "first" in made.read_text()
    assert started(mine) == ["npm ci --no-audit --no-fund", "npm run build"]
    mine.engine_calls()
    mine.doit("deploy")
    assert started(mine) == []
    mine.write("app/src/text.txt:mine")
    mine.doit("deploy")
    assert "mine" in made.read_text()
    assert mine.planned() == ["web"]
    assert not (app.path / "app/build").exists()


def test_builds_that_need_each_other_are_found_before_anything_starts(app: Repository) -> None:
    app.write(minimal_config("builds: {app: {kind: node, path: app, depends_on: [app]}}\n"))
    done = app.doit("plan", code=1)
    assert "these builds depend on each other: app -> app" in done.out
    assert "config/pipeline.yaml:3" in done.out
    assert app.engine_calls() == []
    assert started(app) == []
