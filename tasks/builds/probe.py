"""Finds out whether a builder works here, and if not, why."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from ..base import process
from ..base.process import kept_environment

if TYPE_CHECKING:
    from ..base.process import Ended
    from ..run.run import Run

_TIMEOUT = 60.0
_LONGEST = 160  # characters of a program's output
# What `docker buildx inspect` prints about a builder and its nodes:
# https://docs.docker.com/reference/cli/docker/buildx/inspect/
_FIELD = r"^{}:[ \t]+(\S.*)$"


def problem(run: Run, name: str) -> str | None:
    """Why a builder cannot be used; None if it can.

    Raises:
        StoppedError: The run was asked to stop.
    """
    if shutil.which(name) is None:
        return f"no {name} on PATH"
    try:
        if name == "docker":
            return _problem_of_docker(run)
        done = _ask(run, name, "--version")
    except OSError as error:
        return f"{name} cannot be started: {error.strerror}"
    return None if done.ok else f"{name} does not work ({_said(done)})"


def _problem_of_docker(run: Run) -> str | None:
    """Ask buildx itself: its builder may be docker's daemon, a container, a pod, or a buildkitd anywhere.

    It exits with 0 whether or not its builder answers, and prints the status of each node.
    """
    version = _ask(run, "docker", "buildx", "version")
    if not version.ok:
        return f"docker does not work, or lacks the buildx plugin ({_said(version)})"
    # This starts a builder that is not running yet, such as a container; the build would do so too.
    done = _ask(run, "docker", "buildx", "inspect", "--bootstrap")
    if done.ok and "running" in _fields(done, "Status"):
        return None
    known = _ask(run, "docker", "buildx", "inspect") if not done.ok else done
    builder, endpoints = _fields(known, "Name")[:1], _fields(known, "Endpoint")
    which = f" {builder[0]}" if builder else ""
    where = f" at {', '.join(endpoints)}" if endpoints else ""
    causes = _fields(done, "Error") or ([] if done.ok else [_said(done)])
    why = f" ({causes[0][:_LONGEST]})" if causes else ""
    return f"docker buildx is installed, but its builder{which}{where} does not respond{why}"


def _ask(run: Run, *command: str) -> Ended:
    return process.run(
        run.stop, command[0], command, mask=run.mask, cwd=run.layout.root, env=kept_environment(), timeout=_TIMEOUT
    )


def _fields(done: Ended, name: str) -> list[str]:
    return re.findall(_FIELD.format(name), done.output if name == "Error" else done.raw, re.MULTILINE)


def _said(done: Ended) -> str:
    """The most telling line: the one that calls itself an error, otherwise the first."""
    lines = [line.strip() for line in done.output.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines or ["no output"])[0][:_LONGEST]
