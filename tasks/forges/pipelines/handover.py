"""The files that pipeline jobs hand on: only their own, so that they never collide when unpacked together.

doit's records, the run's lock, reports and the like are made by every job itself, and only the last hands them on.
Paths are relative to the repository's root, folders end with `/`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ...base.layout import DEPLOY_DIR
from ...run.custody import index_name
from ...run.selection import Part

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ...run.run import Run


APART = """\
# What other jobs handed over was unpacked into this checkout. It is moved out, and the checkout is made again: so no
# job can replace the configuration of another one, and `from=` takes only the expected files.
export HANDED_OVER="$PWD.handed-over"
rm -rf "$HANDED_OVER"
mkdir "$HANDED_OVER"
find . -mindepth 1 -maxdepth 1 -exec mv {} "$HANDED_OVER/" ';'
if [ -n "$(ls -A)" ]; then
  echo "cannot move the files of other jobs out of $PWD" >&2
  exit 1
fi
git init --quiet --template=
git remote add origin "$CI_REPOSITORY_URL"
if [ -n "${CI_SERVER_TLS_CA_FILE:-}" ]; then
  git config "http.$CI_SERVER_URL.sslCAInfo" "$CI_SERVER_TLS_CA_FILE"
fi
branch=${CI_COMMIT_BRANCH:-$CI_DEFAULT_BRANCH}
git fetch --quiet --tags origin "+refs/heads/$branch:refs/remotes/origin/$branch" "$CI_COMMIT_SHA"
git checkout --quiet --force --detach "$CI_COMMIT_SHA"
case ${GIT_SUBMODULE_STRATEGY:-none} in
  normal) git submodule --quiet update --init ;;
  recursive) git submodule --quiet update --init --recursive ;;
esac
if [ -d "$HANDED_OVER/.doit-tofu-cache" ] && [ ! -e .doit-tofu-cache ]; then
  mv "$HANDED_OVER/.doit-tofu-cache" . # a cache: nothing in it is trusted
fi
"""
"""The start of a GitLab job that gets files of jobs that hold less than it."""
FROM = 'from="$HANDED_OVER"'


def of_builds(run: Run) -> list[str]:
    """The results of builds and images, and what existed before the pipeline: for all jobs."""
    layout, catalog = run.layout, run.project.catalog
    outputs = [path for name in catalog.builds for path in catalog.outputs(name)] if catalog else []
    return [
        *(_folder(run, path) for path in (layout.before, layout.base / "images", layout.indexes)),
        f"{DEPLOY_DIR}/.builds/",
        *outputs,
    ]


def of_plans(run: Run) -> list[str]:
    """The artifacts, and what the last job reports; a job that plans has only those of its own stacks."""
    layout = run.layout
    return [_folder(run, layout.base / name) for name in ("plans", "results/plan", "results/validate", "index")]


def of_drift(run: Run) -> list[str]:
    """What the last job reports, and what a repair compares with; a job that checks has only that of its own stacks."""
    return [_folder(run, run.layout.base / name) for name in ("results/drift", "drift", "index")]


def of_deploys(run: Run, stacks: Iterable[str]) -> list[str]:
    """Receipts and outputs for the dependents, what the last job reports, copies of states, and one that is unsaved."""
    layout, names = run.layout, list(stacks)
    kinds = (layout.receipt, layout.outputs, layout.unrecorded, partial(layout.result, "deploy"))
    return [
        *(layout.relative(path(name)) for name in names for path in kinds),
        *(_folder(run, layout.states(name)) for name in names),
        _index(run, Part.JOB, [f"deploy:{name}" for name in names]),
        "**/errored.tfstate",
    ]


def of_memory(run: Run) -> list[str]:
    """What a deploy that failed has done: a retry of its job, which gets no artifacts of its own, needs to know."""
    return [*of_cache(run), f"{run.layout.relative(run.layout.base)}/plans/**/claim.json"]


def of_cache(run: Run) -> list[str]:
    """The files in a cache, and the index of exactly these."""
    layout = run.layout
    return [*(_folder(run, layout.base / name) for name in ("receipts", "outputs")), layout.relative(layout.memory)]


def of_barrier(run: Run) -> list[str]:
    """What the barrier between plans and deploys hands on: what was notified."""
    return [run.layout.relative(run.layout.notified), _index(run, Part.REPORT, ["plan"])]


def of_relay(run: Run) -> list[str]:
    """What a job that only connects others passes on."""
    return [_folder(run, run.layout.base / name) for name in ("receipts", "outputs", "index")]


def of_report(run: Run) -> list[str]:
    """All that a run leaves except plans, whose values are not needed any more."""
    layout = run.layout
    files = [layout.review, layout.notified, layout.overview]
    names = ("receipts", "outputs", "unrecorded", "results", "reports", "runs", "drift", "index")
    folders = [layout.base / name for name in names]
    return [*(layout.relative(path) for path in files), *(_folder(run, path) for path in folders)]


def _index(run: Run, part: Part, tasks: list[str]) -> str:
    """A job's own index: those of the jobs before it list files that it does not hand on."""
    return run.layout.relative(run.layout.indexes / index_name(part, tasks))


def _folder(run: Run, path: Path) -> str:
    return f"{run.layout.relative(path)}/"
