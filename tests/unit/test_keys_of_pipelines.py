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


def _gitlab(kind: str = "") -> dict[str, Any]:
    """The jobs of a pipeline to include, by what their names begin with."""
    text = (ROOT / f"pipelines/gitlab/doit-tofu{kind}.yml").read_text()
    jobs: dict[str, Any] = list(yaml.safe_load_all(text))[1]
    return {name.partition(":")[0]: job for name, job in jobs.items() if not name.startswith(".")}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_of_github_gets_the_keys_of_its_page(path: Any) -> None:
    kind = path.stem.partition("-")[0]
    assert set(re.findall(r"secrets\.(DEPLOY_\w+_KEY)", path.read_text())) == KEYS[kind]
    declared = yaml.safe_load(path.read_text())[True]["workflow_call"]["secrets"]
    assert {name for name in declared if name.startswith("DEPLOY_") and name.endswith("_KEY")} == KEYS[kind]


_COLUMNS = {
    "state": {"DEPLOY_STATE_KEY", "DEPLOY_ENCRYPTION_KEY"},
    "artifact": {"DEPLOY_ARTIFACT_KEY"},
    "review": {"DEPLOY_REVIEW_KEY"},
    "ledger": {"DEPLOY_LEDGER_KEY", "DEPLOY_LEDGER_TOKEN"},
    "observations": {"DEPLOY_OBSERVATIONS_KEY", "DEPLOY_OBSERVATIONS_TOKEN"},
    "adoption": {"DEPLOY_ADOPTION_TOKEN"},
}


def _of_the_page() -> dict[str, set[str]]:
    """By what is behind `prod` in an environment's name: the keys that its jobs hold, as docs/security.md has it."""
    text = (ROOT / "docs/security.md").read_text()
    rows = [
        line.strip("| ").split(" | ") for line in text.splitlines() if re.search(r"`prod[a-z-]*`.*\| (yes|no) \|", line)
    ]
    found = {}
    for _, environment, *cells in rows:
        [suffix] = re.findall(r"`prod(|-[a-z]+)`", environment)
        assert len(cells) == len(_COLUMNS)
        held = [keys for keys, cell in zip(_COLUMNS.values(), cells, strict=True) if cell == "yes"]
        found[suffix] = set[str]().union(*held)
    return found


def test_the_jobs_of_github_hold_exactly_the_keys_of_the_page() -> None:
    held: dict[str, set[str]] = {}
    page = _of_the_page()
    for path in WORKFLOWS:
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            secrets = {secret for secret in re.findall(r"secrets\.(\w+)", str(job)) if secret != "variables"}
            if not secrets:
                continue
            suffix = job["environment"].removeprefix("${{ inputs.environment }}")
            held.setdefault(suffix, set()).update(secrets)
            assert secrets <= page[suffix], f"{path.stem}: {name}"
            if path.stem == "ledger":
                assert secrets == _COLUMNS["state"] | _COLUMNS["ledger"]
    assert held == {suffix: keys for suffix, keys in page.items() if suffix != "-verify"}


def test_the_pages_of_gitlab_and_of_security_give_the_same_keys() -> None:
    rows = re.findall(
        r"^\| `(\w+):<env>` \| (?:none|`<env>([a-z-]*)`) \| (.+) \|$",
        (ROOT / "docs/gitlab.md").read_text(),
        re.MULTILINE,
    )
    page = _of_the_page()
    assert {kind for kind, _, _ in rows} == {"review", "plan", "deploy", "ledger", "repair", "verify", "drift"}
    for kind, suffix, cell in rows:
        always = set(re.findall(r"DEPLOY_[A-Z]+_KEY", cell.partition(";")[0]))
        wanted = {key for key in page["-review" if kind == "review" else suffix] if key.endswith("_KEY")}
        assert always <= wanted - {"DEPLOY_ENCRYPTION_KEY"}, kind
        if kind not in ("ledger", "deploy", "repair"):
            assert always == wanted - {"DEPLOY_ENCRYPTION_KEY"}, kind


@pytest.mark.parametrize("path", sorted((ROOT / ".github/workflows").glob("*.yml")), ids=lambda path: path.stem)
def test_each_action_is_pinned_to_a_commit(path: Path) -> None:
    used = re.findall(r"^\s*(?:- )?uses: (.*)$", path.read_text(), re.MULTILINE)
    assert [line for line in used if not re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d\S*", line)] == []


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


def test_either_template_of_gitlab_has_the_job_that_maintains_the_ledger() -> None:
    one, stacks = _gitlab()["ledger"], _gitlab("-stacks")["ledger"]
    for key in ("stage", "interruptible", "environment", "needs", "rules", "script"):
        assert stacks[key] == one[key]
    assert stacks["variables"].items() >= one["variables"].items()
    assert "unset" not in str(stacks["before_script"])


@pytest.mark.parametrize("name", ["doit-tofu.yml", "doit-tofu-stacks.yml"])
def test_a_pipelines_own_variables_choose_neither_environment_nor_ledger_nor_image(tmp_path: Path, name: str) -> None:
    """GitLab lets them override those of a job: a deploy of `dev` would use its keys for `prod`, or not be recorded."""
    text = (ROOT / "pipelines/gitlab" / name).read_text()
    for given, value in (("environment", "dev"), ("ledger", "git"), ("image", "python@sha256:1"), ("caches", "engine"),
                         ("install", "echo -n"), ("outputs", "x")):  # fmt: skip
        text = text.replace(f"$[[ inputs.{given} ]]", value)
    names = (
        "DEPLOY_ENV",
        "DOIT_TOFU_LEDGER",
        "DOIT_TOFU_CACHE",
        "DOIT_TOFU_CI",
        "WHICH",
        "DEPLOY_CI__IMAGE",
        "DEPLOY_CI__INSTALL",
        "DEPLOY_CI__CACHES",
    )
    evil = dict.fromkeys(names, "evil")
    doit = tmp_path / "doit"
    doit.write_text(
        '#!/bin/sh\necho "$DEPLOY_ENV $DOIT_TOFU_LEDGER $DOIT_TOFU_CACHE $DEPLOY_CI__IMAGE $DEPLOY_CI__CACHES"\n'
    )
    doit.chmod(0o755)
    seen = 0
    for job_name, job in list(yaml.safe_load_all(text))[1].items():
        before = [line for line in job.get("before_script", ()) if not line.startswith("#")]
        if not before or ("HANDED_OVER" in before[0] and not (before := before[1:])):
            continue
        ran = subprocess.run(
            ["sh", "-ec", "\n".join([*before, *job.get("script", ["doit"])])], capture_output=True, text=True, check=True,
            env={
                **evil, "PATH": f"{tmp_path}:/usr/bin:/bin", "CI_JOB_STAGE": "deploy", "DOIT_TOFU_TRUST": "deploy",
                "LEDGER_DOES": "check", "CI_PROJECT_DIR": "/builds/it",
            },
        )  # fmt: skip
        seen += 1
        assert ran.stdout.startswith("dev git /builds/it/.doit-tofu-cache "), job_name
        generates = job_name.startswith("jobs:")
        assert ran.stdout.strip().endswith("python@sha256:1 engine" if generates else "evil evil")
    assert seen == 2


@pytest.mark.parametrize("name", ["doit-tofu.yml", "doit-tofu-stacks.yml"])
@pytest.mark.parametrize(
    ("source", "trust", "fine"),
    [
        ("push", "deploy", True), ("schedule", "deploy", True), ("merge_request_event", "review", True),
        ("push", "review", False), ("web", "x", False), ("web", "", False), ("merge_request_event", "deploy", False),
    ],
)  # fmt: skip
def test_a_pipelines_own_variables_give_no_deploy_a_cache_of_reviews(
    name: str, source: str, trust: str, fine: bool
) -> None:
    jobs = list(yaml.safe_load_all((ROOT / "pipelines/gitlab" / name).read_text()))[1]
    steps = [step for job in jobs.values() for step in job.get("before_script", ()) if "DOIT_TOFU_TRUST must" in step]
    uses = [job for job in jobs.values() if "before_script" in job]
    assert len(steps) == len(uses)
    for step in steps:
        ran = subprocess.run(
            ["sh", "-ec", step],
            check=False,
            capture_output=True,
            env={"CI_PIPELINE_SOURCE": source, "DOIT_TOFU_TRUST": trust},
        )
        assert (ran.returncode == 0) == fine


@pytest.mark.parametrize("repair", ["manual", "auto"])
def test_a_pipelines_own_variables_do_not_choose_how_drift_is_repaired(tmp_path: Path, repair: str) -> None:
    text = (ROOT / "pipelines/gitlab/doit-tofu.yml").read_text().replace("$[[ inputs.repair ]]", repair)
    jobs = list(yaml.safe_load_all(text))[1]
    [job] = [job for name, job in jobs.items() if name.startswith("repair:")]
    assert job["variables"] == {"REPAIR": ""}
    doit = tmp_path / "doit"
    doit.write_text('#!/bin/sh\nprintf "[%s]" "$@"\n')
    doit.chmod(0o755)
    given = {"WHICH": "manual" if repair == "auto" else "auto", "REPAIR": "site --auto-repair", "HANDED_OVER": "x"}
    ran = subprocess.run(
        ["sh", "-ec", "\n".join(job["script"])], capture_output=True, text=True, check=True,
        env={**given, "PATH": f"{tmp_path}:/usr/bin:/bin"},
    )  # fmt: skip
    assert ran.stdout == {
        "manual": "[from=x][deploy][--repair][site --auto-repair]", "auto": "[from=x][deploy][--auto-repair]",
    }[repair]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "stage"), [("merge_request_event", "plan"), ("schedule", "drift"), ("push", "deploy"), ("", "deploy")]
)
def test_a_pipelines_own_variables_do_not_choose_what_is_generated(tmp_path: Path, source: str, stage: str) -> None:
    jobs = list(yaml.safe_load_all((ROOT / "pipelines/gitlab/doit-tofu-stacks.yml").read_text()))[1]
    [job] = [job for name, job in jobs.items() if name.startswith("jobs:")]
    assert not re.search(r"doit +\$", "\n".join(job["script"]))
    doit = tmp_path / "doit"
    doit.write_text('#!/bin/sh\nprintf "[%s]" "$@"\n')
    doit.chmod(0o755)
    ran = subprocess.run(
        ["sh", "-ec", job["script"][-1]], capture_output=True, text=True, check=True,
        env={"DOIT_TOFU_CI": "deploy", "CI_PIPELINE_SOURCE": source, "PATH": f"{tmp_path}:/usr/bin:/bin"},
    )  # fmt: skip
    assert ran.stdout == f"[ci][-p][{stage}][-f][gitlab]"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_script_of_github_has_an_expression_in_it(path: Any) -> None:
    """What a person writes into an input, or a branch is called, would be a part of the command."""
    for job in yaml.safe_load(path.read_text())["jobs"].values():
        for step in job["steps"]:
            assert "${{" not in step.get("run", ""), step


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
