"""Remembers which configurations are valid: by `tofu validate`, or by a plan, which validates first."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ..base.errors import DeployError, EngineError, RecordError
from ..base.files import read_json, write_json
from ..engine.engine import failure
from ..project import variables
from . import awaited, workdir

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..engine.command import Completed, Context
    from ..project.stack import Stack
    from .run import Run


def check(run: Run, stack: Stack) -> Completed:
    """Run `tofu validate` on a stack whose files are formatted, and remember that it passed.

    Raises:
        EngineError: The configuration is not valid, or the stack could not be initialized.
        StoppedError: The run was asked to stop.
    """
    engine, digest = run.engine(), configuration(run, stack)
    with workdir.context(run, stack, "validate") as (where, _):
        _initialize(run, stack, where)
        completed = engine.run(where, "validate", "-no-color", events=True)
    if not completed.ok:
        raise failure(f"{engine.kind} validate failed", completed, where)
    remember(run, stack, digest)
    return completed


def is_known(run: Run, stack: Stack) -> bool:
    """Whether exactly this configuration was found to be formatted and valid before."""
    try:
        found = read_json(_marker(run, stack))
    except RecordError:
        return False
    return bool(found == {"configuration": configuration(run, stack)})


def remember(run: Run, stack: Stack, digest: str) -> None:
    """Note that a configuration, as it was before the engine read it, is formatted and valid."""
    write_json(_marker(run, stack), {"configuration": digest}, durable=False)


def configuration(run: Run, stack: Stack) -> str:
    """The digest of all files that formatting and validation look at, and of the engine's version."""
    engine, index = run.project.config.engine, run.project.index
    digest = hashlib.sha256(f"{engine.kind} {engine.version}\0".encode())
    for path in readable_files(run, stack):
        digest.update(f"{path}\0{index.digest(path)}\0".encode())
    return digest.hexdigest()


def files(run: Run, stack: Stack) -> Iterator[str]:
    """The files that have to be formatted: configuration, modules, and var files in native syntax.

    Raises:
        DeployError: A var file is missing.
    """
    yield from run.project.module(stack.name).configuration()
    for path in [*variables.automatic_var_files(run.project, stack), *variables.var_files(run.project, stack)]:
        if not path.endswith(".json"):
            yield path


def readable_files(run: Run, stack: Stack) -> list[str]:
    """`files`, but without var files if one is missing: the stage that needs it reports that."""
    try:
        return list(files(run, stack))
    except DeployError:
        return list(run.project.module(stack.name).configuration())


def _initialize(run: Run, stack: Stack, where: Context) -> None:
    """Initialize a stack, with its backend if it will be planned, unless an upstream has yet to create the backend."""
    try:
        workdir.initialize(run, stack, where, backend=run.asked.planning)
    except EngineError as error:
        if not awaited.upstreams(run, stack, error):
            raise
        workdir.initialize(run, stack, where, backend=False)


def _marker(run: Run, stack: Stack) -> Path:
    return run.layout.data_dir(stack.name) / "valid.json"
