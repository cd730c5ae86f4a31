"""The shipped pipelines give no job more than docs/security.md says; only a deploy has the environment's own name."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.repository import ROOT

WORKFLOWS = sorted(
    path for path in (ROOT / ".github/workflows").glob("*.yml") if path.stem.startswith(("review", "deploy", "drift"))
)
KEYS = {
    "review": {"DEPLOY_ENCRYPTION_KEY", "DEPLOY_STATE_KEY", "DEPLOY_REVIEW_KEY"},
    "deploy": {
        "DEPLOY_ENCRYPTION_KEY",
        "DEPLOY_STATE_KEY",
        "DEPLOY_ARTIFACT_KEY",
        "DEPLOY_REVIEW_KEY",
        "DEPLOY_LEDGER_KEY",
    },
    "drift": {"DEPLOY_ENCRYPTION_KEY", "DEPLOY_STATE_KEY"},
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
        assert is_own == (name == "deploy"), f"{path.stem}: {name} runs in {environment}"


def test_only_the_deploy_of_gitlab_runs_in_the_environments_own_name() -> None:
    own = "$[[ inputs.environment ]]"
    names = {kind: (job.get("environment") or {}).get("name") for kind, job in _gitlab().items()}
    assert names == {
        "review": None, "plan": f"{own}-plan", "deploy": own, "verify": f"{own}-verify", "drift": f"{own}-drift",
    }  # fmt: skip


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
    ):
        assert f"| `{kind}:<env>` | `{name}` |" in gitlab


def test_what_jobs_hand_over_has_its_index_with_it() -> None:
    for path in WORKFLOWS:
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            for step in job["steps"]:
                paths = str((step.get("with") or {}).get("path", ""))
                if "/plans/" in paths or "/images/" in paths:
                    assert ".deploy/${{ inputs.environment }}/index/" in paths, f"{path.stem}: {name}"
