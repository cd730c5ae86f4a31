"""Which files the jobs of a pipeline hand on: each its own, so that unpacked over one another they never collide.

doit's records, the run's lock, reports and the like are made anew by every job, and handed on by the last one alone.
Paths are relative to the repository's root, folders end with `/`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..layout import DEPLOY_DIR

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ..run import Run


def of_builds(run: Run) -> list[str]:
    """What builds and images leave, and what was there before the pipeline: for all jobs."""
    layout, catalog = run.layout, run.project.catalog
    outputs = [path for name in catalog.builds for path in catalog.outputs(name)] if catalog else []
    return [_folder(run, layout.before), _folder(run, layout.base / "images"), f"{DEPLOY_DIR}/.builds/", *outputs]


def of_plans(run: Run, stacks: Iterable[str]) -> list[str]:
    """The artifacts, and what the last job reports."""
    layout = run.layout
    return [
        path
        for name in stacks
        for path in (
            _folder(run, layout.plan(name).parent),
            layout.relative(layout.result("plan", name)),
            layout.relative(layout.result("validate", name)),
        )
    ]


def of_deploys(run: Run, stacks: Iterable[str]) -> list[str]:
    """Receipts and outputs for the dependents, what the last job reports, and a state that could not be saved."""
    layout, project = run.layout, run.project
    return [
        path
        for name in stacks
        for path in (
            *memory(run, [name])[:2],
            layout.relative(layout.result("deploy", name)),
            f"{project.stacks[name].path}/errored.tfstate",
        )
    ]


def memory(run: Run, stacks: Iterable[str]) -> list[str]:
    """What a deploy that failed has done: a retry of its job, which gets no artifacts of its own, needs to know."""
    layout = run.layout
    return [
        layout.relative(path)
        for name in stacks
        for path in (layout.receipt(name), layout.outputs(name), layout.claim(name))
    ]


def of_drift(run: Run, stacks: Iterable[str]) -> list[str]:
    """What the last job reports."""
    return [run.layout.relative(run.layout.result("drift", name)) for name in stacks]


def of_relay(run: Run) -> list[str]:
    """What a job that only stands between others passes on."""
    return [_folder(run, run.layout.base / "receipts"), _folder(run, run.layout.base / "outputs")]


def of_report(run: Run) -> list[str]:
    """All that a run leaves, without plans, whose values nobody needs any more."""
    layout = run.layout
    files = [layout.review, layout.notified, layout.overview]
    folders = [layout.base / name for name in ("receipts", "outputs", "results", "reports", "runs")]
    return [*(layout.relative(path) for path in files), *(_folder(run, path) for path in folders)]


def _folder(run: Run, path: Path) -> str:
    return f"{run.layout.relative(path)}/"
