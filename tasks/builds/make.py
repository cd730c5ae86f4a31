"""Runs a build: installs its packages, runs its script, checks its outputs, and writes its receipt."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING

from ..base import process
from ..base.clock import now
from ..base.errors import BuildError, DeployError, RecordError, StoppedError
from ..base.files import locked
from ..base.layout import prepare
from ..base.masking import SECRET_NAME
from ..base.process import kept_environment
from ..base.text import few, plural
from . import made, node, toolchain
from .made import BuildReceipt

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from ..project.catalog import Catalog
    from ..run.run import Run

VERSION_VARIABLE = "DOIT_TOFU_BUILD"  # the first digits of its sources' digest, shown as a version
_VERSION_DIGITS = 12
_SHOWN = 3
_PAUSE = 0.2


def environment(run: Run, name: str) -> dict[str, str]:
    """The environment of a build: only the secrets that it asks for, and a fixed time for its timestamps."""
    catalog = _catalog(run)
    build = catalog.builds[name]
    asked = {*build.environment, *build.secrets}
    kept = kept_environment(run.project.keyring.variables)
    given = {key: value for key, value in kept.items() if key in asked or not SECRET_NAME.search(key.upper())}
    run.mask.add(kept[key] for key in build.secrets if key in kept)
    version = catalog.sources(name).digest[:_VERSION_DIGITS]
    return {"SOURCE_DATE_EPOCH": "0", **given, VERSION_VARIABLE: version}


def is_current(run: Run, name: str) -> bool:
    """Whether the outputs exist unchanged, made from the current sources by the current toolchain."""
    catalog = _catalog(run)
    receipt = made.read_build(run.layout, name)
    if receipt is None or receipt.sources != catalog.sources(name).digest:
        return False
    if made.outputs_digest(run.project.root, run.project.index, catalog.outputs(name)) != receipt.outputs:
        return False
    known = toolchain.versions(run.project.root, catalog.builds[name], environment(run, name))
    return known is None or known == receipt.toolchain  # without a toolchain nothing can be rebuilt anyway


def make(run: Run, name: str, *, forced: bool = False) -> str:
    """Run a build, unless another run has just done so; returns a summary.

    Args:
        run: The run.
        name: The build.
        forced: Whether to run it even if its outputs are current.

    Raises:
        BuildError: It failed, or did not create its outputs; it does not count as made.
        StoppedError: The run was asked to stop.
        RecordError: The receipt cannot be written.
    """
    catalog, project = _catalog(run), run.project
    build, env = catalog.builds[name], environment(run, name)
    with _held(run, name) as descriptor:
        if not forced and is_current(run, name):
            return "already built by another run"
        toolchain.require(name, project.root, build, env)
        versions = toolchain.versions(project.root, build, env) or {}
        _remove_outputs(run, name)
        if build.kind == "node":
            used = node.manager(project.root / build.path)
            if not node.is_installed(project.root / build.path, versions):
                _step(run, name, used.install, env, descriptor)
                node.note_installed(project.root / build.path, versions)
            _step(run, name, (used.program, "run", build.script), env, descriptor)
        else:
            _step(run, name, build.command, env, descriptor)
        outputs = catalog.outputs(name)
        missing = [path for path in outputs if not os.path.lexists(project.root / path)]
        digest = made.outputs_digest(project.root, project.index, outputs)
        if missing or digest is None:
            raise _error(
                run, name, f"it succeeded, but did not create {', '.join(missing)}", "fix its `outputs` or its script"
            )
        _refuse_changed_sources(run, name)
        made.write_build(run.layout, BuildReceipt(name, catalog.sources(name).digest, digest, versions, now()))
    count = sum(1 for path in outputs for _ in made.files_of(project.root, path))
    by = ", ".join(
        f"{command.split()[0]} {version.splitlines()[0] if version else '?'}" for command, version in versions.items()
    )
    return f"built {', '.join(outputs)}: {plural(count, 'file')}" + (f" with {by}" if by else "")


def _step(run: Run, name: str, command: tuple[str, ...] | list[str], env: Mapping[str, str], descriptor: int) -> None:
    build = _catalog(run).builds[name]
    shown = " ".join(command)
    folder = run.project.root / build.path
    try:
        # The build's processes inherit the lock, so the next run waits for any that outlive this one.
        ended = process.run(
            run.stop,
            f"build {name}",
            command,
            mask=run.mask,
            cwd=folder,
            env=env,
            timeout=build.timeout,
            descriptors=[descriptor],
        )
    except OSError as error:
        raise _error(run, name, f"`{shown}` cannot be started: {error.strerror}", "fix the command") from error
    if ended.ok:
        return
    if run.stop.requested:
        raise StoppedError(
            f"build {name} was stopped",
            untouched="it does not count as built; nothing was applied",
            next_step="run the same command again; it builds from scratch",
        )
    how = process.how(ended.code, build.timeout)
    raise _error(
        run, name, f"`{shown}` in {build.path} {how}", "fix the cause, then run the same command again",
        log=ended.output,
    )  # fmt: skip


def _remove_outputs(run: Run, name: str) -> None:
    """Start empty: leftovers of an earlier build would pass for this one's outputs."""
    project, catalog = run.project, _catalog(run)
    outputs = catalog.outputs(name)
    sources = project.tree.files if project.tree else project.tracked(outputs) or ()
    if own := sorted(path for path in sources if catalog.makes(path)):
        message = f"{own[0]} is a source inside its outputs, which are removed before each build"
        raise _error(run, name, message, "move it, or fix `outputs`")
    made.forget_build(run.layout, name)
    for path in outputs:
        target = project.root / path
        try:
            if target.is_symlink() or target.is_file():
                target.unlink()
            elif target.exists():
                shutil.rmtree(target)
        except OSError as error:
            raise _error(run, name, f"cannot remove {path}: {error.strerror}", "make it writable") from error


def _refuse_changed_sources(run: Run, name: str) -> None:
    """Refuse a build whose sources changed while it ran: it is unclear what it was made from."""
    catalog = _catalog(run)
    before, after = catalog.sources(name), catalog.read_sources(name, run.project.list_source_files())
    if before.digest == after.digest:
        return
    paths = {*before.files, *after.files}
    changed = sorted(path for path in paths if before.files.get(path) != after.files.get(path))
    raise _error(
        run, name, f"its sources changed during the build: {few(changed, _SHOWN)}",
        "run it again; if the build itself writes them, add them to .gitignore or to `outputs`",
    )  # fmt: skip


def _held(run: Run, name: str) -> AbstractContextManager[int]:
    """Take a build's lock, waiting for its holder: a run of another environment, or processes of a killed run."""
    path = run.layout.build_lock(name)
    deadline = time.monotonic() + _catalog(run).builds[name].timeout

    def explain(error: OSError) -> RecordError:
        return RecordError(f"cannot write {run.layout.relative(path)}: {error.strerror}")

    def pause() -> None:
        run.say_once(f"build {name}: waiting for another build of it to finish")
        if run.stop.wait(_PAUSE):
            run.stop.check(f"build {name}")
        if time.monotonic() > deadline:
            step = f"end the process that holds {run.layout.relative(path)} (`fuser` shows it)"
            raise _error(run, name, "another build of it does not finish", step)

    try:
        prepare(run.layout, path.parent)
    except OSError as error:
        raise explain(error) from error
    return locked(path, explain=explain, pause=pause)


def _error(run: Run, name: str, message: str, next_step: str, *, log: str = "") -> BuildError:
    return BuildError(
        message, where=run.project.loaded.where("builds", name), key=f"builds.{name}",
        untouched="it does not count as built; nothing was applied", next_step=next_step, log=log,
    )  # fmt: skip


def _catalog(run: Run) -> Catalog:
    catalog = run.project.catalog
    if catalog is None:
        raise DeployError("no builds are configured")
    return catalog
