"""A child pipeline of GitLab: jobs by name, written as YAML (https://docs.gitlab.com/ci/yaml/).

    begin ─► plan:a, plan:b … ─► planned ─► deploy:a ─► deploy:b … ─► report

A job of a later stage without `needs` waits for all of the stages before, and gets the artifacts of all: so `planned`,
the barrier, has no limit. Deploys have `needs`, of which GitLab allows 50: what waits for more does it step by step.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ...base import ci
from ...base.errors import ConfigError
from ...project.config.loading import LEDGER_VARIABLE
from . import handover
from .shares import Purpose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...run.run import Run
    from .shares import Share, Shares

MOST_NEEDS = 50  # https://docs.gitlab.com/ci/yaml/#needs, unless an administrator has set another limit
LARGEST = 5_000_000  # bytes of the archive that the file is in: `Gitlab::Ci::ArtifactFileReader::MAX_ARCHIVE_SIZE`
DOUBTFUL = 400_000  # https://docs.gitlab.com/administration/instance_limits/: 2 MB as parsed, often a fifth in the file
_LONGEST_NAME = 255
_ENVIRONMENTS = {"prepare": "plan", "verify": "verify", "access": "drift"}  # by what GitLab calls the job's action
_FAILED_RUNNERS = ["runner_system_failure", "stuck_or_timeout_failure", "api_failure", "scheduler_failure"]


class Writer:
    """Writes one pipeline.

    Args:
        run: The run.
        purpose: What the pipeline is for.
        shares: Which job does which stacks.
        words: What every command of doit gets: `base=…`, so that all jobs compare with the same.
    """

    def __init__(self, run: Run, purpose: Purpose, shares: Shares, words: Sequence[str]) -> None:
        self._run, self._purpose, self._shares = run, purpose, shares
        self._words = [*words]
        self._settings = run.project.config.ci
        self._has_ledger = run.project.config.ledger != "none"
        self._relays: dict[tuple[str, ...], str] = {}
        self._jobs: dict[str, Any] = {}

    def pipeline(self) -> dict[str, Any]:
        """The whole pipeline.

        Raises:
            ConfigError: GitLab cannot have a job of that name.
        """
        self._begin()
        stage = "drift" if self._purpose is Purpose.DRIFT else "plan"
        for share in self._shares.plans:
            script = [self._command("ci=job", share.tasks(stage))]
            self._add(f"{stage}:{share.label}", {"extends": f".{stage}", "script": script})
        if self._shares.deploys:
            self._add("planned", {
                "extends": ".job", "stage": "planned", **self._environment("prepare"),
                "script": [self._command("ci=report", "plan")],
                "artifacts": self._artifacts(handover.of_barrier(self._run)),
            })  # fmt: skip
            for number, share in enumerate(self._shares.deploys, 1):
                self._deploy(share, number)
        self._report()
        return {**self._head(), **self._jobs}

    def _head(self) -> dict[str, Any]:
        """What all jobs share, and the hidden jobs that they extend."""
        changes = self._purpose is Purpose.DEPLOY
        job: dict[str, Any] = {**self._settings.job, "interruptible": not changes, "cache": [self._engine_cache()]}
        if self._settings.image:
            job["image"] = self._settings.image
        if self._settings.install:
            job["before_script"] = [self._settings.install]
        first = {
            "extends": ".job", "needs": ["begin"] if "begin" in self._jobs else [],
            "retry": {"max": 2, "when": _FAILED_RUNNERS},
        }  # fmt: skip
        plan = {**first, "stage": "plan", **self._environment("prepare")}
        if changes:  # where strace is installed and allowed, the files that a plan reads are inputs
            plan["variables"] = {"DEPLOY_INPUTS__OBSERVE": "auto"}
        plan["artifacts"] = self._artifacts(handover.of_plans(self._run))
        drift = {**first, "stage": "plan", **self._environment("access"), "allow_failure": {"exit_codes": [2]}}
        drift["artifacts"] = self._artifacts(handover.of_drift(self._run))
        memory = {
            "key": "doit-tofu-deploy-$CI_PIPELINE_ID-$DOIT_TOFU_JOB", "when": "always",
            "paths": handover.of_memory(self._run),
        }  # fmt: skip
        deploy = {
            "extends": ".job", "stage": "deploy", "artifacts": self._artifacts([]), **self._environment("start"),
            # A retry learns from the ledger what the job before it has done.
            **({} if self._has_ledger else {"cache": [self._engine_cache(), memory]}), **self._apart(),
        }  # fmt: skip
        used = {".plan": plan} if self._purpose is not Purpose.DRIFT else {".drift": drift}
        if changes:
            used[".deploy"] = deploy
        return {
            "workflow": {"rules": [{"when": "always"}]},  # else jobs without rules are left out for a merge request
            "stages": ["begin", "plan", "planned", "deploy", "report"],
            "variables": {
                "DEPLOY_ENV": self._run.project.environment,
                "DOIT_TOFU_CACHE": "$CI_PROJECT_DIR/.doit-tofu-cache",
                "GIT_DEPTH": "0",  # merge bases and the tag of `deploy.tag` need the history
                "GIT_FETCH_EXTRA_FLAGS": "--prune --quiet ^refs/heads/doit-tofu/*",  # not that of the ledger
                "GIT_CLEAN_FLAGS": "-ffdx",  # what another job left here is not what was handed over
                **self._of_the_ledger(),
            },
            ".job": job,
            **used,
        }

    def _of_the_ledger(self) -> dict[str, str]:
        """What all jobs need to know of the ledger: that there is one, and for which pipeline they hold its lease.

        A retried job, and those of a child pipeline that was started again, deploy for the same one.
        """
        given = {LEDGER_VARIABLE: "git"} if os.environ.get(LEDGER_VARIABLE) == "git" else {}
        parent = ci.outermost(ci.read()) if self._has_ledger and self._purpose is Purpose.DEPLOY else ""
        return {**given, **({ci.PARENT_VARIABLE: parent} if parent else {})}

    def _begin(self) -> None:
        """The job that makes builds and images, and hands on receipts that the cache has; often not needed."""
        layout, catalog = self._run.layout, self._run.project.catalog
        cached = self._caches_receipts
        script, named = [], []
        if catalog is not None:
            stacks = [self._run.project.stacks[name] for share in self._shares.plans for name in share.stacks]
            read = sorted({f"build:{name}" for stack in stacks for name in catalog.read_by(stack)})
            named = ["build"] if self._purpose is Purpose.DEPLOY else read
        if cached:
            before = layout.relative(layout.before)
            script.append(f"mkdir -p {before}")
            cached_paths = handover.of_cache(self._run)
            script += [f"if [ -e {path} ]; then cp -R {path.rstrip('/')} {before}/; fi" for path in cached_paths]
            named = named or ["build"]  # it signs what was copied
        if named:
            script.append(self._command("ci=job", *named))
        if script:
            self._add("begin", {
                "extends": ".job", "stage": "begin", "script": script,
                "artifacts": self._artifacts(handover.of_builds(self._run)), **self._environment("prepare"),
                **({"cache": [self._engine_cache(), {**self._receipts(), "policy": "pull"}]} if cached else {}),
            })  # fmt: skip

    def _deploy(self, share: Share, number: int) -> None:
        """The deploys of some stacks: after the barrier, after their own plans, after their upstreams' deploys."""
        first: list[Any] = [{"job": "planned", "artifacts": False}]
        first += ["begin"] if "begin" in self._jobs else []
        first += [f"plan:{share.label}"] if f"plan:{share.label}" in self._jobs else []
        upstreams = self._few([f"deploy:{label}" for label in share.needs], MOST_NEEDS - len(first))
        job = {
            "extends": ".deploy",
            "needs": [*first, *upstreams],
            "script": [self._command(handover.FROM, "ci=job", share.tasks("deploy"))],
            "artifacts": {"paths": handover.of_deploys(self._run, share.stacks)},
            "variables": {"DOIT_TOFU_JOB": str(number)},
        }
        if len(share.stacks) == 1:
            job["resource_group"] = f"{self._run.project.environment}/{share.stacks[0]}"
        self._add(f"deploy:{share.label}", job)

    def _few(self, names: Sequence[str], most: int) -> list[str]:
        """At most so many names that represent all of these: jobs that only wait, and pass on what they got."""
        few = list(names)
        while len(few) > most:
            groups = [tuple(few[at : at + MOST_NEEDS]) for at in range(0, len(few), MOST_NEEDS)]
            few = [self._relay(group) for group in groups]
        return few

    def _relay(self, needs: tuple[str, ...]) -> str:
        if needs not in self._relays:
            name = self._relays[needs] = f"wait {len(self._relays) + 1}"
            self._add(name, {
                "stage": "deploy", "needs": list(needs), "variables": {"GIT_DEPTH": "1"}, "script": ["true"],
                **{key: value for key, value in self._settings.job.items() if key != "variables"},
                **({"image": self._settings.image} if self._settings.image else {}),
                "artifacts": self._artifacts(handover.of_relay(self._run)),
            })  # fmt: skip
        return self._relays[needs]

    def _report(self) -> None:
        """The last job: one report, one comment and one exit code for all jobs."""
        layout, whole = self._run.layout, str(self._purpose)
        apart = self._apart() if self._purpose is Purpose.DEPLOY else {}
        script = [self._command(*([handover.FROM] if apart else []), "ci=report", whole)]
        artifacts = self._artifacts(handover.of_report(self._run))
        job: dict[str, Any] = {"extends": ".job", "stage": "report", "when": "always", **apart}
        if self._purpose is Purpose.DEPLOY:
            if any(stack.settings.verify for stack in self._run.project.stacks.values()):
                script.append("doit verify")
            if self._caches_receipts:
                job["cache"] = [self._engine_cache(), {**self._receipts(), "policy": "push", "when": "always"}]
        if self._purpose is Purpose.PLAN:
            artifacts["reports"] = {"terraform": f"{layout.relative(layout.reports)}/gitlab-terraform.json"}
        action = {Purpose.DEPLOY: "end" if self._has_ledger else "verify", Purpose.DRIFT: "access"}
        environment = self._environment(action.get(self._purpose, ""))
        self._add("report", {**job, "script": script, "artifacts": artifacts, **environment})

    def _apart(self) -> dict[str, Any]:
        """The start of a job that holds more than those whose files it gets: these must not replace its own."""
        return {"before_script": [handover.APART, *([self._settings.install] if self._settings.install else [])]}

    def _add(self, name: str, job: dict[str, Any]) -> None:
        if len(name) > _LONGEST_NAME:
            raise ConfigError(
                f"GitLab's job names have at most {_LONGEST_NAME} characters, which is too short for '{name}'",
                untouched="no pipeline was written",
                next_step="give the stack a shorter name; or set `ci.jobs` lower than the number of stacks",
            )
        self._jobs[name] = job

    def _command(self, *words: str) -> str:
        # What was planned with mocks is not applied.
        mocks = ["mocks=no"] if self._purpose is Purpose.DEPLOY else []
        return " ".join(["doit", *self._words, *mocks, *words])

    def _artifacts(self, paths: list[str]) -> dict[str, Any]:
        """A plan holds values: guests of a public project could read artifacts."""
        return {"access": "developer", "when": "always", "expire_in": "1 week", **({"paths": paths} if paths else {})}

    def _environment(self, action: str) -> dict[str, Any]:
        """GitLab's environment, whose variables the job gets; a merge request's pipeline has none.

        Only a deploy has the environment's own name: what is set for that, no other job gets. With a ledger its last
        job has it too, which writes the ledger, but is no deployment of GitLab's.
        """
        if self._purpose is Purpose.PLAN:
            return {}
        name = self._run.project.environment
        if action == "start":
            return {"environment": {"name": name}}
        if action == "end":
            return {"environment": {"name": name, "action": "verify"}}
        return {"environment": {"name": f"{name}-{_ENVIRONMENTS[action]}", "action": action}}

    def _engine_cache(self) -> dict[str, Any]:
        return {"key": f"doit-tofu-engine-{self._trust}", "paths": [".doit-tofu-cache/"]}

    @property
    def _trust(self) -> str:
        """Caches of merge requests and of deploys are apart, as `DOIT_TOFU_TRUST` in the included pipelines has it."""
        return "review" if self._purpose is Purpose.PLAN else "deploy"

    @property
    def _caches_receipts(self) -> bool:
        """Whether a cache carries receipts from one pipeline to the next; a ledger does it better."""
        return self._settings.caches == "receipts" and not self._has_ledger

    def _receipts(self) -> dict[str, Any]:
        return {
            "key": f"doit-tofu-receipts-{self._run.project.environment}-{self._trust}",
            "paths": handover.of_cache(self._run),
        }


def text(run: Run, purpose: Purpose, shares: Shares, words: Sequence[str]) -> str:
    """The child pipeline's file.

    Raises:
        ConfigError: GitLab would refuse it.
    """
    import yaml

    dumper: Any = type("Dumper", (getattr(yaml, "CSafeDumper", yaml.SafeDumper),), {"ignore_aliases": lambda *_: True})
    pipeline = Writer(run, purpose, shares, words).pipeline()
    head = f"# Written by `doit ci` for {run.project.environment}: {purpose}.\n"
    written = head + yaml.dump(pipeline, Dumper=dumper, sort_keys=False, allow_unicode=True, width=1 << 20)
    if len(written.encode()) > LARGEST:
        raise ConfigError(
            f"the pipeline has {len(written.encode()) // 1000} kB, but GitLab accepts at most {LARGEST // 1000} kB",
            key="ci.jobs",
            untouched="no pipeline was written",
            next_step="lower `ci.jobs`, so that each job handles several stacks",
        )
    return written
