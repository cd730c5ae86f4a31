"""A stack made ready for the engine: its context, and `tofu init` where something that matters to it has changed."""

from __future__ import annotations

import posixpath
import re
import shlex
import shutil
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..base import plain
from ..base.errors import RecordError, StateRefusedError
from ..base.files import canonical_json, read_json, sha256_bytes, write_json
from ..base.layout import ENGINE_LOCK_FILE
from ..base.problem import NOTHING_PLANNED, Shell
from ..engine import encryption, statelock, unreachable
from ..engine.command import Context
from ..engine.engine import failure
from ..project import backend as backends
from ..project import variables, volatile
from . import lockfile, providers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from ..engine.command import Completed
    from ..project.project import Project
    from ..project.stack import Stack
    from .run import Run

# Several first inits at once: PostgreSQL's `create ... if not exists` is not safe against itself, and fails in all but
# one of them with one of these. Nothing is lost by trying again.
_CREATED_AT_ONCE = re.compile(
    r"pq: (duplicate key value violates unique constraint|tuple concurrently|deadlock detected"
    r"|(relation|schema|type) \"[^\"]*\" already exists)"
)
_CREATIONS = 10
_LONGEST_NAME = 4096
_WORKSPACE = "default"
_KEEPS_WORKSPACE = ("cloud", "remote")  # `init` writes the configured one into the data directory
_BACKEND_IN_USE = "terraform.tfstate"  # in the data directory, and no state: the settings of the last init
_PAUSE = 0.2
_RACE_PAUSE = 0.3


@contextmanager
def context(
    run: Run, stack: Stack, stage: str, given: Mapping[str, Any] | None = None, *,
    optional: Collection[str] | None = None,
) -> Iterator[tuple[Context, list[str]]]:  # fmt: skip
    """Where a stack's commands run, and the arguments that carry its variables; for one thread at a time.

    A dependent reads a stack's outputs while that one is planned, and two engines in one data directory lock each other
    out. A holder of a stack waits only for its upstreams, so there is no deadlock.

    Args:
        run: The run.
        stack: The stack.
        stage: What is being done, for messages.
        given: Values from upstream outputs.
        optional: The variables whose configured values may be missing here. By default those whose values do not count,
            which suits what neither plans nor applies.

    Raises:
        ConfigError: An environment variable that another value needs is not set.
    """
    project = run.project
    if optional is None:
        optional = volatile.uncounted(project, stack)
    run.mask.add(variables.sensitive_values(project, stack, given or {}, optional))
    values = {**variables.configured(project, stack, optional=optional), **(given or {})}
    files = [f"-var-file={_from(stack, path)}" for path in variables.var_files(project, stack)]
    with run.alone_with(stack.name), variables.handed_over(values) as (arguments, descriptors):
        yield (
            Context(
                f"{stage} {stack.name}",
                project.root / stack.path,
                run.layout.data_dir(stack.name),
                stack.name,
                variables.from_environment(project, stack),
                descriptors,
                limit=run.limit,
                early=(*files, *arguments) if project.module(stack.name).early else (),
                path=stack.path,
                **_place(run, stack),
            ),
            [*files, *arguments],
        )


def typed(run: Run) -> str:
    """How a person calls this run's engine: by its name only where a shell finds that one."""
    engine = run.engine()
    return engine.kind if shutil.which(engine.kind) == str(engine.binary) else shlex.quote(str(engine.binary))


def by_hand(run: Run, stack: Stack) -> str:
    """How a person begins an engine command on a stack's very state: a shell text, from the repository's root."""
    data_dir = posixpath.relpath(run.layout.data_dir(stack.name), run.project.root / stack.path)
    folder = run.layout.relative(run.project.root / stack.path)
    keys = f"{encryption.by_hand(run.project.environment)} " if run.project.keyring.is_set else ""
    return f"{keys}TF_DATA_DIR={shlex.quote(data_dir)} {typed(run)} -chdir={shlex.quote(folder)}"


def _place(run: Run, stack: Stack) -> dict[str, Any]:
    """What a message about a lock needs to know of where the state is."""
    settings = backends.settings(run.project, stack)
    kind = settings["kind"] if settings else run.project.module(stack.name).backend
    return {
        "backend": kind or "local",
        "schema": settings["settings"].get("schema_name") if settings else None,
        "by_hand": by_hand(run, stack),
    }


def state_arguments(project: Project, stack: Stack) -> list[str]:
    """`-state` for a stack that says nothing of where its state is, in another environment than the default one.

    The engine keeps such a state in the stack's folder. The default environment leaves it there, as by hand; every
    other one has its own, where the engine's workspaces would have it.
    """
    path = backends.implied_state(project, stack)
    return [f"-state={path}"] if path and project.environment != project.config.default_environment else []


def lock_digest(project: Project, stack: Stack) -> str | None:
    """Hex SHA-256 of the stack's dependency lock file; None if it has none."""
    return project.index.digest(f"{stack.path}/{ENGINE_LOCK_FILE}")


def _initialized(_: Run) -> dict[str, bool]:
    """The stacks that are initialized, with their backend or without."""
    return {}


def initialize(run: Run, stack: Stack, where: Context, *, backend: bool) -> None:
    """`tofu init`, unless nothing that it depends on has changed since it last succeeded.

    Args:
        run: The run.
        stack: The stack.
        where: Its context.
        backend: Whether the backend is needed; `validate` alone needs none, nor its credentials.

    Raises:
        EngineError: It failed.
        StateRefusedError: Another workspace is selected.
    """
    if backend:
        _refuse_workspace(run, stack, where)
    done = run.once(_initialized).get(stack.name)
    if done is not None and (done or not backend):
        return
    engine = run.engine()
    marker = where.data_dir / "initialized.json"
    try:
        before = read_json(marker)
    except RecordError:
        before = None
    marks = [_mark(run, stack, backend=True), *([] if backend else [_mark(run, stack, backend=False)])]
    if before in marks and providers.are_there(where):
        run.once(_initialized)[stack.name] = before.get("backend", False)
        return
    marker.unlink(missing_ok=True)
    arguments = ["-no-color", "-input=false"]
    if backend:
        arguments.append("-reconfigure")
        settings = backends.settings(run.project, stack)
        if settings is not None:
            arguments += [f"-backend-config={key}={_setting(value)}" for key, value in settings["settings"].items()]
    else:
        arguments.append("-backend=false")
        (where.data_dir / _BACKEND_IN_USE).unlink(missing_ok=True)  # the engine asks the backend that it names, too
    lockfile.note_missing(run, stack)
    with providers.at_hand(run, stack, where) as alone:
        completed = engine.run(alone, "init", *arguments, events=True)
        for _ in range(_CREATIONS):
            if completed.ok or not _CREATED_AT_ONCE.search(completed.output) or run.stop.wait(_PAUSE):
                break
            completed = engine.run(alone, "init", *arguments, events=True)
    if not completed.ok:
        away = unreachable.read(completed.output)
        said = f"init could not reach {away.host} ({away.cause})" if away else "init failed"
        raise failure(f"{engine.kind} {said}", completed, where, next_step=away.next_step if away else None)
    if run.project.tree is not None and (path := run.project.tree.take_lock_file(stack.path)):
        run.say(f"{path}: written by {engine.kind} init, now in this repository; commit it, it pins the providers")
    if providers.are_there(where):
        write_json(marker, _mark(run, stack, backend=backend), durable=False)
    run.once(_initialized)[stack.name] = backend


def keeps_workspace(run: Run, stack: Stack) -> bool:
    """Whether the settings of a stack's backend choose its workspace; else that is always the default one."""
    kind = stack.backend.kind if stack.backend is not None else run.project.module(stack.name).backend
    return kind in _KEEPS_WORKSPACE


def _refuse_workspace(run: Run, stack: Stack, where: Context) -> None:
    """Refuse a data directory in which somebody has selected a workspace: it has another state than the configured one.

    Raises:
        StateRefusedError: It is such.
    """
    if keeps_workspace(run, stack):
        return
    path = where.data_dir / "environment"
    try:
        selected = plain.read(path, _LONGEST_NAME).decode().strip()
    except (OSError, ValueError):
        return
    if selected in ("", _WORKSPACE):
        return
    shown = run.layout.relative(path)
    raise StateRefusedError(
        f"workspace '{selected}' is selected in its data directory: its state is not the one of this environment",
        where=shown,
        stack=stack.name,
        untouched=NOTHING_PLANNED,
        next_step=(
            Shell(f"rm {shlex.quote(shown)}"),
            ", then run the same command again; environments have states of their own here, in the workspace 'default'",
        ),
    )


def run_locked(run: Run, where: Context, command: str, *arguments: str) -> Completed:
    """An engine command that takes the state's lock: it waits for it as long as `engine.lock_timeout` says.

    The engine waits by itself, but gives up at once where a local lock ends between its two looks at it; no lock was
    taken then and nothing was begun, so the command is started again within the same time.

    Raises:
        StoppedError: The run was asked to stop.
        EngineError: The engine cannot be run.
    """
    left = run.project.config.engine.lock_timeout
    end = time.monotonic() + left
    while True:
        done = run.engine().run(where, command, f"-lock-timeout={left:g}s", *arguments, events=True)
        left = round(end - time.monotonic(), 1)
        if left <= 0 or not statelock.vanished(done) or run.stop.wait(_RACE_PAUSE):
            return done


def run_unlocked(run: Run, where: Context, command: str, *arguments: str) -> Completed:
    """An engine command that leaves the state's lock alone.

    Raises:
        StoppedError: The run was asked to stop.
        EngineError: The engine cannot be run, or its time is over.
    """
    return run.engine().run(where, command, "-lock=false", *arguments, events=True)


def _setting(value: Any) -> str:
    """A backend setting on the engine's command line: plain text, or an expression where it has parts."""
    return value if isinstance(value, str) else variables.expression(value)


def _mark(run: Run, stack: Stack, *, backend: bool) -> dict[str, Any]:
    """What an init depends on; the lock file counts as it is afterwards, as init itself may write it.

    Of the configuration that is what it asks to be installed, and its backend: the engine itself refuses to plan where
    an init was needed after all.
    """
    project = run.project
    settings = sha256_bytes(canonical_json(backends.settings(project, stack))) if backend else None
    return {
        "backend": backend,
        "configuration": providers.wanted(run, stack),
        "lock": lock_digest(project, stack),
        "settings": settings,
        "engine": f"{run.engine().kind} {run.engine().version}",
        "root": str(project.root),
    }


def _from(stack: Stack, path: str) -> str:
    """A path as seen from the stack's folder, where the engine runs."""
    return posixpath.relpath(path, stack.path)
