"""`doit ci`: generates a pipeline with one job per affected stack."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .artifact import receipt
from .base import git
from .base.errors import ConfigError, RecordError
from .base.files import write_atomic
from .base.layout import prepare
from .base.text import plural
from .run import deployed
from .run.action import printing
from .run.cilog import Dialect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .forges.pipelines.shares import Purpose, Shares
    from .run.commandline import OptionDict
    from .run.run import Run
    from .run.taskdict import TaskDict

STAGE = "ci"
_PURPOSES = ("plan", "deploy", "drift")
_FORGES = ("gitlab", "github")


def tasks(run: Run) -> Iterator[TaskDict]:
    """`ci`: writes a file and prints a summary; `-p` sets the purpose of the pipeline, `-f` the forge."""
    params: list[OptionDict] = [
        {"name": "purpose", "short": "p", "long": "for", "default": "deploy",
         "choices": [(name, "") for name in _PURPOSES], "help": "plan, deploy or drift"},
        {"name": "forge", "short": "f", "long": "forge", "default": "",
         "choices": [(name, "") for name in ("", *_FORGES)], "help": "gitlab or github; by default where it runs"},
    ]  # fmt: skip
    yield printing(run, STAGE, _text, params)


def _text(run: Run, purpose: str, forge: str) -> str:
    from .forges.pipelines.shares import Purpose

    chosen = forge or ("github" if run.output.dialect is Dialect.GITHUB else "gitlab")
    return write(run, Purpose(purpose), chosen)


def write(run: Run, purpose: Purpose, forge: str) -> str:
    """Write the pipeline; returns a summary.

    Raises:
        ConfigError: The forge would refuse it, or it contains a secret.
        RecordError: A file cannot be read or written.
    """
    from .forges.pipelines import github, gitlab
    from .forges.pipelines.shares import spread

    named = deployed.named_base(run)
    base = git.resolve(run.layout.root, named) if named else None
    words = [f"base={base}"] if base else []
    most = run.project.config.ci.jobs
    shares = spread(run, purpose, min(most, github.MOST_JOBS) if forge == "github" else most)
    if forge == "gitlab":
        content = gitlab.text(run, purpose, shares, words)
    else:
        content = github.matrix(purpose, shares.plans) + "\n"
    if run.mask.text(content) != content:
        raise ConfigError(
            "the pipeline would contain a secret in plain text",
            key="ci",
            untouched="no pipeline was written",
            next_step="write the variable's name into `ci.install`, `ci.image` and `ci.job`: `$NAME`",
        )
    path = run.layout.gitlab_jobs if forge == "gitlab" else run.layout.github_jobs
    prepare(run.layout, run.layout.base)
    write_atomic(path, content.encode(), durable=False)
    if forge == "github":
        _to_github(content.strip(), len(shares.plans))
    return "\n".join([_summary(purpose, forge, shares), *_notes(run, forge, content), run.layout.relative(path)])


def _summary(purpose: Purpose, forge: str, shares: Shares) -> str:
    """The number of jobs and stacks."""
    verb = "check for drift in" if purpose == "drift" else "plan"
    parts = [_counted(shares.plans, verb)] if shares.plans else []
    if shares.deploys and forge == "gitlab":
        parts.append(_counted(shares.deploys, "deploy"))
    return f"ci        {'; '.join(parts) or 'no stack is affected: one job reports that'}"


def _counted(shares: tuple[Any, ...], verb: str) -> str:
    stacks = sum(len(share.stacks) for share in shares)
    first, _, rest = verb.partition(" ")
    does = f"{first}s {rest}".rstrip() if len(shares) == 1 else verb
    return f"{plural(len(shares), 'job')} {does} {plural(stacks, 'stack')}"


def _notes(run: Run, forge: str, content: str) -> list[str]:
    """Warnings about it."""
    from .forges.pipelines import gitlab

    notes = []
    if forge == "gitlab" and len(content) > gitlab.DOUBTFUL:
        notes.append(
            f"the pipeline has {len(content) // 1000} kB: GitLab refuses pipelines above its `max_yaml_size_bytes`,"
            " by default 2 MB; a lower `ci.jobs` makes it smaller"
        )
    if (
        run.recording is None
        and run.project.config.ci.caches != "receipts"
        and any(receipt.read(run.layout, name) for name in run.project.stacks)
    ):
        notes.append(
            "jobs do not get the receipts that exist here, so stacks that they record as deployed are planned again"
        )
    return notes


def _to_github(matrix: str, jobs: int) -> None:
    """Set the outputs of the GitHub step, if this is one.

    Raises:
        RecordError: GitHub's file cannot be written.
    """
    if path := os.environ.get("GITHUB_OUTPUT"):
        try:
            with Path(path).open("a") as stream:
                stream.write(f"matrix={matrix}\njobs={jobs}\n")
        except OSError as error:
            raise RecordError(f"cannot write GITHUB_OUTPUT: {error.strerror}") from error
