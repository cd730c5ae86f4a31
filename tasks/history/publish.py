"""`doit publish`: sends run records, the overview and reports of an environment to the dashboard's source.

The destination contains

    index.json                    the environments, and the months in which each has runs
    <env>/overview.json           the facts about every stack
    <env>/index/<month>.json      a line about each run of the month, so that no reader has to list files
    <env>/runs/<id>.json, .jsonl  the records, as in `.deploy`
    <env>/reports/...             the latest reports

Several pipelines may publish at once: the files that they share are written only by `amend`.
"""

from __future__ import annotations

import os
import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..base import interpolate, jsontext, plain, whence
from ..base.errors import ConfigError, DeployError, PublishError
from ..base.files import LARGEST_RECORD, parse_json, read_json, sha256_bytes, write_json
from ..base.problem import doit
from ..base.text import plural
from ..run.action import printing
from . import overview
from .destination import ConflictError, open_destination
from .retention import run_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ..run.run import Run
    from ..run.taskdict import TaskDict
    from .destination import Destination, Wait

STAGE = "publish"
FORMAT = 1
_TRIES = 12
_SHOWN = (
    "id", "environment", "command", "stages", "started_at", "ended_at", "seconds", "exit_code", "stopped", "verdict",
    "commit", "branch", "dirty", "pipeline", "stacks", "unaffected", "process", "written_at", "counts",
    "committed_at",
)  # fmt: skip


def tasks(run: Run) -> Iterator[TaskDict]:
    """`publish`: sends what is new."""
    yield printing(run, STAGE, publish)


def attempt(run: Run) -> str:
    """`publish` at the end of a run: returns a note for the user, and never changes the outcome."""
    try:
        return publish(run)
    except DeployError as error:
        return f"not published; nothing else is affected\n{whence.text(run.problem(error))}"


def publish(run: Run) -> str:
    """Send what is new or has changed since the last time; returns a summary.

    Raises:
        ConfigError: No destination is configured, or a variable in it is not set.
        PublishError: The destination cannot be reached, or refuses.
    """
    settings, loaded = run.project.config.publish, run.project.loaded
    if not settings.to:
        raise loaded.error(
            "no destination to publish to is configured",
            "publish",
            "to",
            next_step="set `publish.to` to a folder, https:// or s3://",
        )
    run.mask.add([os.environ.get(settings.token or "", "")])
    place = _Place(run)
    wait = run.stop.wait
    to = open_destination(settings, place.filled("to") or "", place.filled("endpoint"), wait)
    sent = _Sent(run, to)
    runs, reports = _runs(run, sent), _reports(run)
    base = run.project.environment
    known = [(run_id, record) for run_id in runs if (record := _record(run, run_id))]
    for run_id, _ in known:
        for path in (run.layout.run_tasks(run_id), run.layout.run_record(run_id)):
            with suppress(FileNotFoundError):
                sent.file(f"{base}/runs/{path.name}", _content(run, path))
    for name, data in reports:
        sent.file(f"{base}/reports/{name}", data)
    months = sorted({_month(run_id) for run_id, _ in known})
    for month in months:
        lines = {run_id: _line(record) for run_id, record in known if _month(run_id) == month}
        amend(to, f"{base}/index/{month}.json", lambda old, new=lines: _with_runs(old, new), wait)  # type: ignore[misc]
    mine = read_json(run.layout.overview)
    if mine:
        amend(to, f"{base}/overview.json", lambda old: overview.merge(mine, old) if old else mine, wait)
    amend(to, "index.json", lambda old: _with_months(old, base, months), wait)
    sent.remember([run_id for run_id, record in known if record["ended_at"]])
    return f"published {plural(len(known), 'run')} to {to.name}"


def amend(to: Destination, path: str, change: Callable[[Any], Any], wait: Wait = time.sleep) -> None:
    """Change a shared JSON file: read it, write only over what was read, otherwise try again.

    A server that ignores conditions may let one writer overwrite another: the file is read again after the write, and
    written again if the change is missing.

    Args:
        to: The destination.
        path: The file.
        change: Returns the new value for the old one, or for None; applying it twice changes nothing more.
        wait: Waits for some seconds; true if the run was asked to stop.

    Raises:
        PublishError: It cannot be read or written, other writers are always faster, or the run was asked to stop.
    """
    for attempt_number in range(_TRIES):
        data, tag = to.read(path)
        old = _parsed(data)
        new = change(old)
        if new == old:
            return
        with suppress(ConflictError):
            to.write(path, _text(new), tag=tag, new=data is None)
            if attempt_number == 0:
                continue
        if wait(random.uniform(0, 0.05 * 2 ** min(attempt_number, 5))):  # noqa: S311 - apart from the others
            raise PublishError(
                f"cannot publish to {to.name}: stopped while other runs were changing {path}", next_step=doit("publish")
            )
    raise PublishError(
        f"cannot publish to {to.name}: {path} keeps being changed by other runs", next_step=doit("publish")
    )


class _Place:
    """The destination's settings, filled in."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def filled(self, key: str) -> str | None:
        value = getattr(self._run.project.config.publish, key)
        if value is None:
            return None
        loaded = self._run.project.loaded
        where = loaded.where("publish", key)
        expanded = interpolate.expand_environment(value, key=f"publish.{key}", where=where)
        if not expanded:
            raise ConfigError("this is empty", where=where, key=f"publish.{key}")
        return str(expanded)


class _Sent:
    """What this clone has already published, by destination: digests of files, ids of runs that have ended."""

    def __init__(self, run: Run, to: Destination) -> None:
        self._run, self._to = run, to
        try:
            known = read_json(run.layout.published)
            mine = known.get(to.name) if known else None
            self._files = dict(mine["files"]) if mine else {}
            self.runs = set(mine["runs"]) if mine else set()
        except (DeployError, AttributeError, KeyError, TypeError):
            self._files, self.runs = {}, set()

    def file(self, path: str, data: bytes) -> None:
        """Send a file, unless the same content was sent before."""
        digest = sha256_bytes(data)
        if self._files.get(path) != digest:
            self._to.write(path, data)
            self._files[path] = digest

    def remember(self, ended: list[str]) -> None:
        """Record what was sent; for runs that have ended, the id is enough."""
        kept = set(run_ids(self._run.layout))
        runs = sorted((self.runs | set(ended)) & kept)
        files = {path: digest for path, digest in self._files.items() if "/runs/" not in path}
        write_json(self._run.layout.published, {self._to.name: {"files": files, "runs": runs}}, durable=False)


def _runs(run: Run, sent: _Sent) -> list[str]:
    return [run_id for run_id in run_ids(run.layout) if run_id not in sent.runs]


def _record(run: Run, run_id: str) -> dict[str, Any] | None:
    """A run's record; None if it cannot be read or was removed in the meantime."""
    try:
        record = read_json(run.layout.run_record(run_id))
        return record if isinstance(record, dict) and record.get("id") == run_id else None
    except DeployError:
        return None


def _reports(run: Run) -> list[tuple[str, bytes]]:
    folder = run.layout.reports
    paths = sorted(path for path in folder.glob("*") if not path.is_dir() and not path.name.startswith("."))
    return [(path.name, _content(run, path)) for path in paths]


def _content(run: Run, path: Path) -> bytes:
    """A file's content; links are never followed.

    Raises:
        FileNotFoundError: It does not exist.
        PublishError: It is not a regular file.
    """
    try:
        return plain.read(path, LARGEST_RECORD)
    except plain.NotPlainError as error:
        raise PublishError(
            f"not published: {run.layout.relative(path)}: {error.strerror}",
            where=run.layout.relative(path),
            untouched="neither this file nor its target was sent",
            next_step=("find out which job wrote it, remove it, then ", doit("publish")),
        ) from error


def _month(run_id: str) -> str:
    return f"{run_id[:4]}-{run_id[4:6]}"


def _line(record: dict[str, Any]) -> dict[str, Any]:
    """A run's line in the index."""
    statuses: dict[str, int] = {}
    for task in record.get("tasks", []):
        statuses[task["status"]] = statuses.get(task["status"], 0) + 1
    shown = {key: record[key] for key in _SHOWN if key in record}
    return {**shown, "statuses": statuses, "touched": sorted(record.get("graph", {}))}


def _with_runs(old: Any, lines: dict[str, Any]) -> dict[str, Any]:
    known = old.get("runs", {}) if isinstance(old, dict) else {}
    return {"format": FORMAT, "runs": dict(sorted({**known, **lines}.items()))}


def _with_months(old: Any, environment: str, months: list[str]) -> dict[str, Any]:
    known = dict(old.get("environments", {})) if isinstance(old, dict) else {}
    known[environment] = sorted({*known.get(environment, []), *months})
    return {"format": FORMAT, "environments": dict(sorted(known.items()))}


def _parsed(data: bytes | None) -> Any:
    try:
        return None if data is None else parse_json(data)
    except ValueError:
        return None  # garbage is replaced; every publisher restores its own part


def _text(value: Any) -> bytes:
    return jsontext.dumps(value, ensure_ascii=False, compact=True).encode(errors="surrogatepass")
