"""The pipelines that a project includes, run over the example stacks.

GitLab's by gitlab-ci-local (https://github.com/firecow/gitlab-ci-local), GitHub's checked by actionlint and run job by
job, each in a clone of its own, with what the actions of the marketplace do emulated here.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests import backends
from tests.e2e.conftest import TOOLS, unique
from tests.repository import ROOT, Repository

if TYPE_CHECKING:
    from tests.servers.stateserver import StateServer

WORKFLOWS = ROOT / ".github/workflows"
PATIENCE = 300
_OF_THE_LEDGER = ("LEDGER_TOKEN", "LEDGER_KEY", "OBSERVATIONS_TOKEN", "OBSERVATIONS_KEY")
ARTIFACT_KEY, REVIEW_KEY = (base64.b64encode(letter * 32).decode() for letter in (b"a", b"r"))


@pytest.fixture
def platform(
    example: Repository, state_server: StateServer, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Repository]:
    """The example stacks as a platform has them: states on a server, the service outside of any checkout."""
    backend = backends.http(state_server, unique(request))
    config = yaml.safe_load((example.path / "config/pipeline.yaml").read_text())
    config["backend"] = {"kind": "http", "settings": yaml.safe_load(backend.settings)}
    config["stacks"] = {"site": {"mocks": {"host": "127.0.0.1", "port": 1, "page": "a stand-in"}}}  # for reviews alone
    example.write(f"config/pipeline.yaml:{json.dumps(config)}")
    service = tmp_path / "service"
    for path in example.path.glob("stacks/*/main.tf"):
        text = path.read_text().replace('backend "local"', 'backend "http"')
        path.write_text(text.replace('"${path.module}/../../.state/site-${var.environment}"', f'"{service}"'))
    example.variables |= backend.variables
    shutil.copytree(ROOT / "pipelines", example.path / "pipelines")
    example.write(
        ".gitlab-ci.yml:include:\n"
        "  - {local: pipelines/gitlab/doit-tofu.yml, inputs: {environment: local, install: 'doit --version', ledger: none}}\n",
        ".gitignore:.deploy/\n.terraform/\n__pycache__/\n.gitlab-ci-local/\n.doit-tofu-cache/\n",
    )
    example.commit("a platform")
    example.git("remote", "add", "origin", "git@gitlab.example.test:acme/infra.git")
    yield example
    pid = service / "pid"
    if pid.exists():
        subprocess.run(["kill", pid.read_text()], check=False)


def sabotage(repository: Repository) -> None:
    """Somebody stops the service by hand."""
    [pid] = repository.path.parent.glob("service/pid")
    subprocess.run(["kill", pid.read_text()], check=True)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# GitLab

_VALID: set[bytes] = set()


@dataclass
class Pipeline:
    """A run of gitlab-ci-local: exit code, output, and each job's artifacts."""

    code: int
    out: str
    jobs: list[str]
    artifacts: Path

    def folder(self, job: str) -> Path:
        """`.deploy/local` as a job left it."""
        [folder] = self.artifacts.glob(f"{job.partition(':')[0]}*")  # the client writes `:` in its own way
        return folder / ".deploy/local"


def gitlab(program: Path, repository: Repository, source: str, *more: str, **variables: str) -> Pipeline:
    """Run the pipeline of an event, as its rules have it."""
    state = repository.path / ".gitlab-ci-local"
    shutil.rmtree(state, ignore_errors=True)
    values = {
        "CI_PIPELINE_SOURCE": source, "CI_DEFAULT_BRANCH": "main", "CI_REPOSITORY_URL": str(repository.path),
        "GITLAB_CI": "true",  # the client says `false`
        **variables,
    }  # fmt: skip
    given = [word for name, value in values.items() for word in ("--variable", f"{name}={value}")]
    if source == "merge_request_event":
        given += ["--unset-variable", "CI_COMMIT_BRANCH"]  # as in GitLab's pipelines of merge requests
    repository.fork_for_scripts()
    environment = repository.environment()
    environment["PATH"] += ":/usr/local/sbin:/usr/sbin:/sbin"
    done = subprocess.run(
        ["node", str(program), "--force-shell-executor", "--shell-isolation", "--no-artifacts-to-source", "--no-color", _validation(repository, *more), *more, *given],
        cwd=repository.path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=PATIENCE, check=False,
    )  # fmt: skip
    out = done.stdout + done.stderr
    jobs = sorted(set(re.findall(r"^(\S+:local)\s+starting", out, re.MULTILINE)))
    return Pipeline(done.returncode, out, jobs, state / "artifacts")


def _validation(repository: Repository, option: str = "", name: str = "", *_: str) -> str:
    """Have the client compare a file with GitLab's schema when it is new: that takes longer than all else it does."""
    content = (repository.path / (name if option == "--file" else ".gitlab-ci.yml")).read_bytes()
    new = content not in _VALID
    _VALID.add(content)
    return f"--json-schema-validation={str(new).lower()}"


def test_the_pipelines_of_gitlab(platform: Repository, gitlab_ci_local: Path) -> None:
    platform.variables["DEPLOY_ARTIFACT_KEY"] = ARTIFACT_KEY
    base = platform.git("rev-parse", "HEAD")
    merge_request = gitlab(
        gitlab_ci_local, platform, "merge_request_event", CI_MERGE_REQUEST_IID="1", CI_MERGE_REQUEST_DIFF_BASE_SHA=base
    )
    assert (merge_request.code, merge_request.jobs) == (0, ["review:local"]), merge_request.out
    assert "plan      network" not in merge_request.out  # it does not differ from the base
    assert "cannot be compared with" in merge_request.out  # `content` names a folder outside of the repository

    platform.write('stacks/network/more.tf:resource "terraform_data" "more" {}\n')
    platform.commit("more")
    merge_request = gitlab(
        gitlab_ci_local, platform, "merge_request_event", CI_MERGE_REQUEST_IID="1", CI_MERGE_REQUEST_DIFF_BASE_SHA=base
    )
    assert (merge_request.code, merge_request.jobs) == (0, ["review:local"]), merge_request.out
    review = merge_request.folder("review:local")
    assert "terraform_data.more" in (review / "reports/plan.md").read_text()
    assert not (review / "receipts").exists()

    main = gitlab(gitlab_ci_local, platform, "push")
    assert (main.code, main.jobs) == (0, ["deploy:local", "plan:local", "verify:local"]), main.out
    planned = main.folder("plan:local") / "plans"
    names = sorted(path.parent.name for path in planned.glob("*/plan.tfplan"))
    assert names == ["content", "network"]  # `site` is deferred: it needs what they give
    for name in names:
        receipt = json.loads((main.folder("deploy:local") / f"receipts/{name}.json").read_text())
        assert receipt["outcome"] == "applied"
        assert receipt["plan_sha256"] == sha256(planned / name / "plan.tfplan")
    assert (main.folder("deploy:local") / "receipts/site.json").exists()

    quiet = gitlab(gitlab_ci_local, platform, "schedule")
    assert (quiet.code, quiet.jobs) == (0, ["drift:local"]), quiet.out
    sabotage(platform)
    drift = gitlab(gitlab_ci_local, platform, "schedule")
    assert drift.jobs == ["drift:local"]
    assert drift.code != 0
    assert re.search(r"drift:local.*\b2\b", drift.out), drift.out


REPLACED = """
"plan:local":
  script:
    - doit validate
    - doit mocks=no build plan
    - for file in dodo.py config/pipeline.yaml stacks/network/main.tf; do echo 'nonsense, and here' >> $file; done
    - printf 'open("%s", "w")\\n' "$MARK" | cat - dodo.py > dodo.new && mv dodo.new dodo.py
    - printf '#!/bin/sh\\ntouch "%s"\\n' "$MARK" > .git/hooks/post-checkout && chmod +x .git/hooks/post-checkout
    - git config core.fsmonitor .git/hooks/post-checkout
    - mkdir -p doit_tofu && echo 'raise SystemExit("mine")' > doit_tofu/__init__.py
  artifacts:
    paths: [.deploy/local/, .deploy/.builds/, dodo.py, config/, stacks/, doit_tofu/, .git/]
"""


def test_a_job_of_gitlab_cannot_replace_files_of_the_jobs_that_get_its_artifact(
    platform: Repository, gitlab_ci_local: Path
) -> None:
    """GitLab unpacks an artifact over the checkout: `dodo.py`, hooks and configuration would be the plan job's."""
    platform.variables["DEPLOY_ARTIFACT_KEY"] = ARTIFACT_KEY
    platform.fresh = True  # what was forked has imported the package already, and would not import this one
    mark = platform.home / "it-ran"
    (platform.path / ".gitlab-ci.yml").write_text((platform.path / ".gitlab-ci.yml").read_text() + REPLACED)
    platform.commit("a plan job that does more")
    main = gitlab(gitlab_ci_local, platform, "push", MARK=str(mark))
    assert (main.code, main.jobs) == (0, ["deploy:local", "plan:local", "verify:local"]), main.out
    [handed_over] = main.artifacts.glob("plan*/dodo.py")
    assert "nonsense" in handed_over.read_text()
    assert not mark.exists()
    assert (main.folder("deploy:local") / "receipts/site.json").exists()


def with_jobs(program: Path, repository: Repository, source: str, **variables: str) -> Pipeline:
    """The pipeline of an event, then the one that its job wrote: the client does not run child pipelines of jobs."""
    parent = gitlab(program, repository, source, **variables)
    assert (parent.code, parent.jobs) == (0, ["jobs:local"]), parent.out
    [written] = parent.artifacts.glob("jobs*/.deploy/local/ci/gitlab.yml")
    child = repository.path / ".child-pipeline.yml"
    shutil.copy(written, child)
    return gitlab(program, repository, "parent_pipeline", "--file", child.name, **variables)


def test_the_pipelines_of_gitlab_with_a_job_for_each_stack(platform: Repository, gitlab_ci_local: Path) -> None:
    platform.variables["DEPLOY_ARTIFACT_KEY"] = ARTIFACT_KEY
    platform.write(
        ".gitlab-ci.yml:include:\n"
        "  - {local: pipelines/gitlab/doit-tofu-stacks.yml, inputs: {environment: local, install: 'doit --version', ledger: none}}\n"
    )
    ignored = (platform.path / ".gitignore").read_text()
    platform.write(f".gitignore:{ignored}.child-pipeline.yml\n")
    platform.commit("many runners")
    base = platform.git("rev-parse", "HEAD")
    platform.write('stacks/network/more.tf:resource "terraform_data" "more" {}\n')
    platform.commit("more")
    variables = {"CI_MERGE_REQUEST_IID": "1", "CI_MERGE_REQUEST_DIFF_BASE_SHA": base}
    merge_request = with_jobs(gitlab_ci_local, platform, "merge_request_event", **variables)
    assert merge_request.code == 0, merge_request.out
    assert "terraform_data.more" in (merge_request.folder("report") / "reports/plan.md").read_text()

    main = with_jobs(gitlab_ci_local, platform, "push")
    assert main.code == 0, main.out
    assert "3 deployed" in main.out
    receipts = main.folder("report") / "receipts"
    assert sorted(path.stem for path in receipts.iterdir()) == ["content", "network", "site"]

    quiet = with_jobs(gitlab_ci_local, platform, "schedule")
    assert quiet.code == 0, quiet.out
    sabotage(platform)
    drift = with_jobs(gitlab_ci_local, platform, "schedule")
    assert drift.code != 0
    assert re.search(r"report.*\b2\b", drift.out), drift.out


# GitHub


@pytest.fixture(scope="session")
def actionlint() -> Path:
    """actionlint, built once from its pinned module."""
    source = ROOT / "tools/actionlint"
    folder = TOOLS / f"actionlint-{sha256(source / 'go.sum')[:12]}"
    program = folder / "actionlint"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["go", "build", "-mod=readonly", "-o", str(program), "github.com/rhysd/actionlint/cmd/actionlint"],
            cwd=source, check=True,
        )  # fmt: skip
    return program


def test_actionlint_finds_nothing_in_the_workflows(actionlint: Path) -> None:
    found = subprocess.run(
        [str(actionlint), "-no-color", *sorted(str(path) for path in WORKFLOWS.glob("*.yml"))],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.parametrize("path", sorted(WORKFLOWS.glob("*.yml")), ids=lambda path: path.name)
def test_every_workflow_is_pinned_has_no_default_permissions_and_never_cancels_a_deploy(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        assert job["permissions"]["contents"] == "read"
        assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step["uses"]) for step in job["steps"] if "uses" in step)
        if name == "deploy":
            assert job["concurrency"]["cancel-in-progress"] is False
    assert re.findall(r"uses: \S+@[0-9a-f]{40}(?! # v\d+\.\d+\.\d+$)$", path.read_text(), re.MULTILINE) == []


@pytest.mark.parametrize("path", sorted(WORKFLOWS.glob("*.yml")), ids=lambda path: path.name)
def test_the_deploy_alone_gets_the_ledgers_secrets_and_no_job_its_history(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            held = {key for key in step.get("env", {}) if key.startswith("DEPLOY_LEDGER_")}
            writes = step.get("name") in ("Deploy and verify", "Repair", "Maintain the ledger")
            assert held == ({"DEPLOY_LEDGER_TOKEN", "DEPLOY_LEDGER_KEY"} if writes else set())
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"].get("fetch-depth", 1) > 0  # 0 fetches all branches
                assert step["with"]["persist-credentials"] is False


@dataclass
class GitHub:
    """Runs workflows job by job: a clone for each job, artifacts and caches in folders."""

    repository: Repository
    base: Path
    pull_request: dict[str, Any] | None = None
    outputs: list[str] = field(default_factory=list)
    number: int = 0
    job_outputs: dict[str, str] = field(default_factory=dict)
    matrix: dict[str, Any] = field(default_factory=dict)
    key: str = ""
    ledger: str = "none"
    does: str = "check"
    reason: str = ""
    stacks: str = ""
    more: dict[str, str] = field(default_factory=dict)
    tamper: Callable[[Path], None] = lambda _: None

    def call(self, name: str) -> dict[str, tuple[int, Path]]:
        """Call a reusable workflow; gives each job's exit code and checkout."""
        workflow = yaml.safe_load((WORKFLOWS / name).read_text())
        self.repository.fork_for_scripts()
        self.base.mkdir(exist_ok=True)
        event = {"pull_request": self.pull_request} if self.pull_request else {"ref": "refs/heads/main"}
        (self.base / "event.json").write_text(json.dumps(event))
        done: dict[str, tuple[int, Path]] = {}
        self.job_outputs, self.matrix = {}, {}
        for job_name, job in workflow["jobs"].items():
            needs = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
            condition = job.get("if", "")
            if condition == "needs.jobs.outputs.jobs != '0'" and self.job_outputs["jobs"] == "0":
                continue  # skipped, which fails nobody
            if "always()" in condition or all(done[need][0] == 0 for need in needs if need in done):
                entries = json.loads(self.job_outputs["matrix"])["include"] if "strategy" in job else [{}]
                done[job_name] = max((self._job(job, entry) for entry in entries), key=lambda ended: ended[0])
        return done

    def _job(self, job: dict[str, Any], matrix: dict[str, Any]) -> tuple[int, Path]:
        self.number += 1
        self.matrix = matrix
        checkout = self.base / f"job-{self.number}"
        checkout.with_name(f"{checkout.name}-temp").mkdir()
        github_output = self.base / "output"
        github_output.write_text("")
        code = 0
        for step in job["steps"]:
            if code and step.get("if") != "always()":
                continue
            if "uses" in step:
                self._action(step["uses"].partition("@")[0], self._filled(step.get("with", {}), checkout), checkout)
                continue
            variables = self._filled({**job.get("env", {}), **step.get("env", {})}, checkout)
            runner = {
                "GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(checkout), "GITHUB_REPOSITORY": "acme/infra",
                "GITHUB_EVENT_PATH": str(self.base / "event.json"), "GITHUB_OUTPUT": str(github_output),
                "RUNNER_TEMP": str(checkout.with_name(f"{checkout.name}-temp")),
            }  # fmt: skip
            environment = self.repository.environment(**variables, **runner)
            ran = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]], cwd=checkout, env=environment,
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False,
            )  # fmt: skip
            self.outputs.append(ran.stdout + ran.stderr)
            code = code or ran.returncode
        if "outputs" in job:
            self.job_outputs = dict(line.split("=", 1) for line in github_output.read_text().splitlines())
        return code, checkout

    def _filled(self, values: dict[str, Any], checkout: Path) -> dict[str, str]:
        known = {
            "inputs.environment": "local",
            "inputs.install": "doit --version",
            "inputs.outputs": "",
            "inputs.ledger": self.ledger,
            "inputs.does": self.does,
            "inputs.reason": self.reason,
            "inputs.stacks": self.stacks,
            "inputs.run || github.run_id": "1",
            "github.workspace": str(checkout),
            "runner.temp": str(checkout.with_name(f"{checkout.name}-temp")),
            "github.token": "",
            "github.event.pull_request.base.sha": self.pull_request["base"]["sha"] if self.pull_request else "",
            **{f"matrix.{name}": str(value) for name, value in self.matrix.items()},
            "secrets.DEPLOY_ENCRYPTION_KEY": self.key,
            "secrets.DEPLOY_STATE_KEY": "",
            "secrets.DEPLOY_ADOPTION_TOKEN": "",
            "secrets.DEPLOY_ARTIFACT_KEY": ARTIFACT_KEY,
            "secrets.DEPLOY_REVIEW_KEY": REVIEW_KEY,
            **dict.fromkeys((f"secrets.DEPLOY_{name}" for name in _OF_THE_LEDGER), ""),
            **self.more,
            "secrets.variables": "\n".join(f"{name}={value}" for name, value in self.repository.variables.items()),
        }

        def fill(match: re.Match[str]) -> str:
            return "key" if match[1].startswith("hashFiles(") else known[match[1]]

        return {name: re.sub(r"\$\{\{ (.*?) \}\}", fill, str(value)) for name, value in values.items()}

    def _action(self, action: str, given: dict[str, str], checkout: Path) -> None:
        if action == "actions/checkout":
            subprocess.run(["git", "clone", "--quiet", str(self.repository.path), str(checkout)], check=True)
        elif action == "actions/upload-artifact":
            self._upload(given, checkout)
        elif action == "actions/download-artifact":
            for found in sorted((self.base / "artifacts").glob(given.get("pattern") or given["name"]), reverse=True):
                shutil.copytree(found, checkout / given["path"], dirs_exist_ok=True)
        else:
            assert action in ("actions/setup-python", "actions/cache")

    def _upload(self, given: dict[str, str], checkout: Path) -> None:
        """Files below the least common folder of the paths; no hidden ones unless they are asked for."""
        target = self.base / "artifacts" / given["name"]
        shutil.rmtree(target, ignore_errors=True)
        found = [path for pattern in given["path"].split() for path in checkout.glob(pattern.rstrip("/"))]
        files = [file for path in found for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()]
        assert given["include-hidden-files"] == "True"
        root = Path(os.path.commonpath(found)) if found else checkout
        for file in files:
            place = target / file.relative_to(root if root.is_dir() else root.parent)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)  # without its mode, as the action has it
        self.tamper(target)


def test_the_workflows_of_github(platform: Repository, tmp_path: Path) -> None:
    github = GitHub(platform, tmp_path / "github")
    base = platform.git("rev-parse", "HEAD")
    github.key = "correct-horse-battery-staple="
    platform.write('stacks/network/more.tf:resource "terraform_data" "more" {}\n')
    platform.commit("more")

    head = platform.git("rev-parse", "HEAD")
    github.pull_request = {"number": 1, "base": {"sha": base}, "head": {"sha": head}}
    code, checkout = github.call("review.yml")["review"]
    assert code == 0, github.outputs
    assert not (checkout / ".deploy/local/receipts").exists()
    assert "terraform_data.more" in (github.base / "artifacts/review-local/reports/plan.md").read_text()

    github.pull_request = None
    done = github.call("deploy.yml")
    assert {name: code for name, (code, _) in done.items()} == {"plan": 0, "deploy": 0}, github.outputs
    for name in ("content", "network"):
        receipt = json.loads((done["deploy"][1] / f".deploy/local/receipts/{name}.json").read_text())
        assert json.loads((done["plan"][1] / f".deploy/local/plans/{name}/manifest.json").read_text())["key"]
        assert receipt["plan_sha256"] == sha256(done["plan"][1] / f".deploy/local/plans/{name}/plan.tfplan")

    assert github.call("drift.yml")["drift"][0] == 0, github.outputs
    sabotage(platform)
    assert github.call("drift.yml")["drift"][0] == 2


def test_the_workflows_of_github_with_a_job_for_each_stack(platform: Repository, tmp_path: Path) -> None:
    github = GitHub(platform, tmp_path / "github")
    base = platform.git("rev-parse", "HEAD")
    platform.write('stacks/network/more.tf:resource "terraform_data" "more" {}\n')
    platform.commit("more")
    github.pull_request = {"number": 1, "base": {"sha": base}, "head": {"sha": platform.git("rev-parse", "HEAD")}}
    done = github.call("review-stacks.yml")
    assert {name: code for name, (code, _) in done.items()} == {"jobs": 0, "plan": 0, "report": 0}, github.outputs
    assert "terraform_data.more" in (github.base / "artifacts/review-local/reports/plan.md").read_text()

    github.pull_request = None
    done = github.call("deploy-stacks.yml")
    assert {name: code for name, (code, _) in done.items()} == {"jobs": 0, "plan": 0, "deploy": 0}, github.outputs
    for name in ("content", "network"):
        receipt = json.loads((done["deploy"][1] / f".deploy/local/receipts/{name}.json").read_text())
        [plan] = (github.base / "artifacts").glob(f"deploy-local-job-*/.deploy/local/plans/{name}/plan.tfplan")
        assert receipt["plan_sha256"] == sha256(plan)

    assert github.call("drift-stacks.yml")["report"][0] == 0, github.outputs
    sabotage(platform)
    done = github.call("drift-stacks.yml")
    assert (done["drift"][0], done["report"][0]) == (0, 2), github.outputs


def test_a_plan_job_that_writes_more_than_its_plans_changes_nothing_of_the_deploy(
    platform: Repository, tmp_path: Path
) -> None:
    """The artifact of a job holds whatever that job put there: a configuration with a hook, to begin with."""
    github = GitHub(platform, tmp_path / "github")
    mark = tmp_path / "pwned"
    config = json.loads((platform.path / "config/pipeline.yaml").read_text())
    hooked = json.dumps({**config, "hooks": [{"before": "deploy", "run": ["touch", str(mark)]}]})

    def tampered(artifact: Path) -> None:
        (artifact / "config").mkdir(exist_ok=True)
        (artifact / "config/pipeline.yaml").write_text(hooked)
        (artifact / "dodo.py").write_text(f"open({str(mark)!r}, 'w').close()\n")

    github.tamper = tampered
    done = github.call("deploy.yml")
    assert {name: code for name, (code, _) in done.items()} == {"plan": 0, "deploy": 0}, github.outputs
    assert not mark.exists()
    assert sorted(path.stem for path in (done["deploy"][1] / ".deploy/local/receipts").iterdir()) == [
        "content", "network", "site",
    ]  # fmt: skip
