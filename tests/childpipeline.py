"""Runs a child pipeline as GitLab does, job by job, each in a clone of its own with nothing but what is handed to it.

Stages, `needs`, `when`, `allow_failure`, artifacts and caches as https://docs.gitlab.com/ci/yaml/ has them. Artifacts are
unpacked in the order that is worst, the earliest last: GitLab promises none.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tasks.forges.pipelines import handover

if TYPE_CHECKING:
    from tests.repository import Repository

PATIENCE = 120


@dataclass
class Ended:
    """A job that ended: `success`, `failed` (its code may be allowed), or `skipped`."""

    status: str
    code: int | None = None
    out: str = ""


@dataclass
class ChildPipeline:
    """One pipeline, which may be retried; `number` is its id."""

    repository: Repository
    base: Path
    number: int = 1
    jobs: dict[str, Ended] = field(default_factory=dict)
    runs: int = 0

    def __post_init__(self) -> None:
        """Read what `doit ci` wrote."""
        self.base.mkdir(parents=True, exist_ok=True)
        self.source: dict[str, Any] = yaml.safe_load(self.repository.deploy_dir("ci/gitlab.yml").read_text())
        words = {"workflow", "stages", "variables"}
        self.definitions = {
            name: self._extended(job) for name, job in self.source.items() if name not in words and name[0] != "."
        }

    def run(self, **variables: str) -> ChildPipeline:
        """Run the jobs that have not ended, in their order, and count how many ran."""
        self.runs = 0
        for stage in self.source["stages"]:
            waiting = [
                name for name, job in self.definitions.items() if job["stage"] == stage and name not in self.jobs
            ]
            while waiting:
                name = next(name for name in waiting if all(need in self.jobs for need in self._needs(name) or ()))
                waiting.remove(name)
                self.jobs[name] = self._run(name, variables) if self._may_run(name) else Ended("skipped")
        return self

    def retry(self, **variables: str) -> ChildPipeline:
        """The button: what failed or was skipped runs again, and the report with it."""
        for name in [name for name, job in self.jobs.items() if job.status != "success" or name == "report"]:
            del self.jobs[name]
        return self.run(**variables)

    def again(self, name: str) -> Ended:
        """The button of one job, which runs again alone; two may at once."""
        self.jobs[name] = ended = self._run(name, {})
        return ended

    def status(self, name: str) -> str:
        """How a job ended."""
        return self.jobs[name].status

    def out(self, name: str) -> str:
        """What a job printed."""
        return self.jobs[name].out

    def folder(self, name: str) -> Path:
        """The artifacts of a job."""
        return self.base / "artifacts" / name.replace("/", "_")

    def _extended(self, job: dict[str, Any]) -> dict[str, Any]:
        if "extends" not in job:
            return job
        below = self._extended(self.source[job["extends"]])
        merged = {**below, **job}
        for key in ("artifacts", "variables"):
            if key in below and key in job:
                merged[key] = {**below[key], **job[key]}
        return merged

    def _needs(self, name: str) -> list[str] | None:
        job = self.definitions[name]
        return [need if isinstance(need, str) else need["job"] for need in job["needs"]] if "needs" in job else None

    def _earlier(self, name: str) -> list[str]:
        stages = self.source["stages"]
        at = stages.index(self.definitions[name]["stage"])
        return [other for other, job in self.definitions.items() if stages.index(job["stage"]) < at]

    def _may_run(self, name: str) -> bool:
        if self.definitions[name].get("when") == "always":
            return True
        needs = self._needs(name)
        return all(self._passed(other) for other in (self._earlier(name) if needs is None else needs))

    def _passed(self, name: str) -> bool:
        allowed = self.definitions[name].get("allow_failure", {}).get("exit_codes", [])
        return self.jobs[name].status == "success" or self.jobs[name].code in allowed

    def _run(self, name: str, variables: dict[str, str]) -> Ended:
        self.runs += 1
        job, checkout = self.definitions[name], self.base / "work" / name.replace("/", "_")
        shutil.rmtree(checkout, ignore_errors=True)
        clone = ["git", "clone", "--quiet", str(self.repository.path), str(checkout)]
        subprocess.run(clone, env=self.repository.environment(), check=True)
        own = {"CI_PIPELINE_ID": str(self.number), "CI_PROJECT_ID": "7", "CI_PIPELINE_SOURCE": "parent_pipeline"}
        variables = {**own, **self.source["variables"], **job.get("variables", {}), **variables}
        caches = [
            (self._key(cache["key"], variables), cache)
            for cache in job.get("cache", [])
            if "engine" not in cache["key"]
        ]
        for key, cache in caches:
            if cache.get("policy") != "push":
                self._copy(self.base / "cache" / key, checkout)
        for other in reversed(self._handing(name)):
            self._copy(self.folder(other), checkout)
        variables["DOIT_TOFU_CACHE"] = str(self.repository.home / "cache")
        handed_over = f"{checkout}.handed-over"
        variables |= {
            "CI_PROJECT_DIR": str(checkout), "CI_REPOSITORY_URL": str(self.repository.path), "CI_DEFAULT_BRANCH": "main",
            "CI_COMMIT_SHA": self.repository.git("rev-parse", "HEAD", folder=checkout), "HANDED_OVER": handed_over,
        }  # fmt: skip
        own = [line for line in job.get("before_script", []) if line == handover.APART]
        lines = [line.replace(handover.FROM, f"from={handed_over}") for line in job["script"]]
        code, out = self._script([*own, *lines], checkout, variables)
        assert "Traceback" not in out, out
        shutil.rmtree(self.folder(name), ignore_errors=True)
        self._keep(checkout, self.folder(name), job["artifacts"].get("paths", []))
        for key, cache in caches:
            if cache.get("policy") != "pull":
                self._keep(checkout, self.base / "cache" / key, cache["paths"])
        return Ended("failed" if code else "success", code, out)

    def _script(self, lines: list[str], checkout: Path, variables: dict[str, str]) -> tuple[int, str]:
        """Run a job's lines until one fails; a line that is a doit command and nothing else needs no shell."""
        out = ""
        for line in lines:
            if re.fullmatch(r"doit( [\w=:/.,%+-]+)*", line):
                process = self.repository.start(*line.split()[1:], folder=checkout, **variables)
                said, _ = process.communicate(timeout=PATIENCE)
                code = process.returncode
            else:
                done = subprocess.run(
                    ["bash", "-eo", "pipefail", "-c", line], cwd=checkout, stdin=subprocess.DEVNULL,
                    env=self.repository.environment(**variables), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                    text=True, timeout=PATIENCE, check=False,
                )  # fmt: skip
                said, code = done.stdout, done.returncode
            out += said
            if code:
                return code, out
        return 0, out

    def _handing(self, name: str) -> list[str]:
        """The jobs whose artifacts a job gets."""
        job = self.definitions[name]
        if "needs" not in job:
            return self._earlier(name)
        return [need if isinstance(need, str) else need["job"] for need in job["needs"] if _hands(need)]

    def _key(self, key: str, variables: dict[str, str]) -> str:
        for name, value in {**variables, "CI_PIPELINE_ID": str(self.number)}.items():
            key = key.replace(f"${name}", value)
        return key

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        if source.exists():
            shutil.copytree(source, target, dirs_exist_ok=True)

    @staticmethod
    def _keep(checkout: Path, target: Path, paths: list[str]) -> None:
        for found in [found for path in paths for found in checkout.glob(path.rstrip("/"))]:
            place = target / found.relative_to(checkout)
            if found.is_dir():
                shutil.copytree(found, place, dirs_exist_ok=True)
            elif found.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(found, place)


def _hands(need: Any) -> bool:
    return isinstance(need, str) or need.get("artifacts", True)
