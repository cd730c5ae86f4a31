"""The shipped pipelines give no job more than docs/security.md says; only a deploy has the environment's own name."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.repository import ROOT

if TYPE_CHECKING:
    from pathlib import Path

WORKFLOWS = sorted(
    path
    for path in (ROOT / ".github/workflows").glob("*.yml")
    if path.stem.startswith(("review", "deploy", "drift", "ledger", "repair"))
)
KEYS = {
    "review": {"DEPLOY_ENCRYPTION_KEY", "DEPLOY_STATE_KEY", "DEPLOY_REVIEW_KEY"},
    "deploy": {
        "DEPLOY_ENCRYPTION_KEY",
        "DEPLOY_STATE_KEY",
        "DEPLOY_ARTIFACT_KEY",
        "DEPLOY_REVIEW_KEY",
        "DEPLOY_LEDGER_KEY",
        "DEPLOY_OBSERVATIONS_KEY",
    },
    "drift": {"DEPLOY_ENCRYPTION_KEY", "DEPLOY_STATE_KEY", "DEPLOY_OBSERVATIONS_KEY"},
    "repair": {
        "DEPLOY_ENCRYPTION_KEY",
        "DEPLOY_STATE_KEY",
        "DEPLOY_ARTIFACT_KEY",
        "DEPLOY_LEDGER_KEY",
        "DEPLOY_OBSERVATIONS_KEY",
    },
    "ledger": {"DEPLOY_ENCRYPTION_KEY", "DEPLOY_STATE_KEY", "DEPLOY_LEDGER_KEY"},
}


def _gitlab() -> dict[str, Any]:
    """The jobs of the pipeline to include, by what their names begin with."""
    text = (ROOT / "pipelines/gitlab/doit-tofu.yml").read_text()
    jobs: dict[str, Any] = list(yaml.safe_load_all(text))[1]
    return {name.partition(":")[0]: job for name, job in jobs.items() if not name.startswith(".")}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_of_github_gets_the_keys_of_its_page(path: Any) -> None:
    kind = path.stem.partition("-")[0]
    assert set(re.findall(r"secrets\.(DEPLOY_\w+_KEY)", path.read_text())) == KEYS[kind]
    declared = yaml.safe_load(path.read_text())[True]["workflow_call"]["secrets"]
    assert {name for name in declared if name.startswith("DEPLOY_") and name.endswith("_KEY")} == KEYS[kind]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_each_job_of_github_that_gets_a_secret_has_an_environment(path: Any) -> None:
    for name, job in yaml.safe_load(path.read_text())["jobs"].items():
        if "secrets." not in str(job):
            continue
        environment = job["environment"]
        assert environment.startswith("${{ inputs.environment }}"), name
        is_own = environment == "${{ inputs.environment }}"
        assert is_own == (name in ("deploy", "ledger", "repair")), f"{path.stem}: {name} runs in {environment}"


def test_only_the_deploy_of_gitlab_runs_in_the_environments_own_name() -> None:
    own = "$[[ inputs.environment ]]"
    names = {kind: (job.get("environment") or {}).get("name") for kind, job in _gitlab().items()}
    assert names == {
        "review": None, "plan": f"{own}-plan", "deploy": own, "ledger": own, "verify": f"{own}-verify",
        "drift": f"{own}-drift", "repair": own,
    }  # fmt: skip


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_each_step_of_github_that_reads_the_ledger_has_a_login_for_it(path: Any) -> None:
    for job in yaml.safe_load(path.read_text())["jobs"].values():
        for step in job["steps"]:
            if re.search(r"\bdoit (from|mocks|ci|build|plan|drift|deploy|\$)", step.get("run", "")):
                assert step["env"]["GITHUB_TOKEN"] == "${{ github.token }}", step["name"]


def test_no_job_of_gitlab_but_those_of_the_environment_keeps_the_ledgers_secrets() -> None:
    text = (ROOT / "pipelines/gitlab/doit-tofu.yml").read_text()
    [hidden] = [
        job for name, job in list(yaml.safe_load_all(text))[1].items() if name == ".doit-tofu:$[[ inputs.environment ]]"
    ]
    first, second = hidden["before_script"][:2]
    for stage, trust, kept in (
        ("deploy", "deploy", "LT LK OT OK"), (".post", "deploy", "  OT OK"), ("test", "review", "   "),
    ):  # fmt: skip
        script = f'{first}\n{second}\necho "$DEPLOY_LEDGER_TOKEN $DEPLOY_LEDGER_KEY $DEPLOY_OBSERVATIONS_TOKEN $DEPLOY_OBSERVATIONS_KEY"'
        given = {"DEPLOY_LEDGER_TOKEN": "LT", "DEPLOY_LEDGER_KEY": "LK", "DEPLOY_OBSERVATIONS_TOKEN": "OT"}
        ran = subprocess.run(
            ["sh", "-ec", script], capture_output=True, text=True, check=True,
            env={**given, "DEPLOY_OBSERVATIONS_KEY": "OK", "CI_JOB_STAGE": stage, "DOIT_TOFU_TRUST": trust},
        )  # fmt: skip
        assert ran.stdout == f"{kept}\n"
    assert {name for name, job in _gitlab().items() if job["stage"] == "deploy"} == {"deploy", "ledger", "repair"}


def test_no_job_of_gitlab_fetches_the_history_of_the_ledger(tmp_path: Path) -> None:
    for name in ("doit-tofu.yml", "doit-tofu-stacks.yml"):
        jobs = list(yaml.safe_load_all((ROOT / "pipelines/gitlab" / name).read_text()))[1]
        for job in jobs.values():
            if "GIT_DEPTH" in job.get("variables", {}):
                flags = job["variables"]["GIT_FETCH_EXTRA_FLAGS"].split()
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "--quiet", "--initial-branch=main", str(tmp_path / "one")], check=True)
    for command in (["commit", "--quiet", "--allow-empty", "-m", "x"], ["branch", "doit-tofu/prod/ledger"]):
        subprocess.run([*git, *command], cwd=tmp_path / "one", check=True)
    subprocess.run([*git, "init", "--quiet", str(tmp_path / "two")], check=True)
    fetch = ["fetch", str(tmp_path / "one"), "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"]
    subprocess.run([*git, *fetch, *flags], cwd=tmp_path / "two", check=True)  # as the runner does with GIT_DEPTH 0
    listed = subprocess.run([*git, "branch", "-r"], cwd=tmp_path / "two", check=True, capture_output=True, text=True)
    assert listed.stdout.split() == ["origin/main"]


def test_the_page_names_these_environments() -> None:
    text = (ROOT / "docs/security.md").read_text()
    for name in ("`prod`", "`prod-plan`", "`prod-verify`", "`prod-drift`"):
        assert name in text
    gitlab = (ROOT / "docs/gitlab.md").read_text()
    for kind, name in (
        ("plan", "<env>-plan"),
        ("verify", "<env>-verify"),
        ("drift", "<env>-drift"),
        ("deploy", "<env>"),
        ("ledger", "<env>"),
        ("repair", "<env>"),
    ):
        assert f"| `{kind}:<env>` | `{name}` |" in gitlab


def test_what_jobs_hand_over_has_its_index_with_it() -> None:
    for path in WORKFLOWS:
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            for step in job["steps"]:
                paths = str((step.get("with") or {}).get("path", ""))
                if "/plans/" in paths or "/images/" in paths:
                    assert ".deploy/${{ inputs.environment }}/index/" in paths, f"{path.stem}: {name}"


def test_the_job_that_checks_for_drift_may_write_what_the_page_says_and_nothing_of_the_deploys() -> None:
    for name, job in (("drift.yml", "drift"), ("drift-stacks.yml", "report")):
        found = yaml.safe_load((ROOT / ".github/workflows" / name).read_text())["jobs"][job]
        assert found["permissions"] == {"contents": "read", "statuses": "write", "issues": "write"}
        [step] = [step for step in found["steps"] if "DEPLOY_OBSERVATIONS_KEY" in step.get("env", {})]
        assert not {"DEPLOY_ARTIFACT_KEY", "DEPLOY_LEDGER_KEY", "DEPLOY_LEDGER_TOKEN"} & step["env"].keys()
    text = (ROOT / "docs/github.md").read_text()
    assert text.count("permissions: {contents: read, statuses: write, issues: write}") == 2


@pytest.mark.parametrize("input_", ["off", "manual", "auto"])
def test_gitlab_repairs_drift_only_where_that_is_asked_for(input_: str) -> None:
    text = (ROOT / "pipelines/gitlab/doit-tofu.yml").read_text()
    head, jobs = yaml.safe_load_all(text)
    assert head["spec"]["inputs"]["repair"]["default"] == "off"
    jobs = {name.replace("$[[ inputs.repair ]]", input_): job for name, job in jobs.items()}
    parent = jobs["drift:$[[ inputs.environment ]]"]["extends"].replace("$[[ inputs.repair ]]", input_)
    assert ("allow_failure" in jobs[parent]) == (input_ != "off")
    never, manual, auto = jobs["repair:$[[ inputs.environment ]]"]["rules"]
    assert never["when"] == "never"
    assert '"$[[ inputs.repair ]]" == "off"' in never["if"]
    assert (manual["when"], "when" in auto) == ("manual", False)
