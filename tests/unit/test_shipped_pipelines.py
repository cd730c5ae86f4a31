"""What the shipped pipelines promise of secrets, artifacts, caches and installs, read from the files themselves."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.forges.pipelines import handover

ROOT = Path(__file__).parent.parent.parent
WORKFLOWS = [path for path in sorted((ROOT / ".github/workflows").glob("*.yml")) if "workflow_call" in path.read_text()]
GITLAB = sorted((ROOT / "pipelines/gitlab").glob("*.yml"))
CALLED = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
SECRET = re.compile(r"\$\{\{ *secrets\.")


def workflow(path: Path) -> dict[str, Any]:
    """A workflow; YAML 1.1 takes its key `on` for true."""
    found = yaml.safe_load(path.read_text())
    return {"on" if key is True else key: value for key, value in found.items()}


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    return workflow(path)["jobs"]


@CALLED
def test_who_calls_says_what_is_installed(path: Path) -> None:
    [called] = workflow(path)["on"].values()
    assert called["inputs"]["install"]["required"] is True
    assert "default" not in called["inputs"]["install"]


@pytest.mark.parametrize("path", GITLAB, ids=lambda path: path.name)
def test_who_includes_says_what_is_installed(path: Path) -> None:
    head = next(yaml.safe_load_all(path.read_text()))
    assert "default" not in head["spec"]["inputs"]["install"]


@CALLED
def test_every_job_that_gets_a_secret_has_an_environment(path: Path) -> None:
    for name, job in jobs(path).items():
        assert ("environment" in job) == bool(SECRET.search(yaml.dump(job))), name


@CALLED
def test_no_step_but_one_that_runs_doit_gets_a_secret(path: Path) -> None:
    for job in jobs(path).values():
        assert not SECRET.search(yaml.dump(job.get("env", {})))
        for step in job["steps"]:
            if SECRET.search(yaml.dump(step)):
                assert re.search(r"^doit ", step["run"], re.MULTILINE)
                assert not SECRET.search(step["run"])


@pytest.mark.parametrize("name", ["deploy.yml", "deploy-stacks.yml"])
def test_plans_that_are_deployed_are_watched_where_that_works(name: str) -> None:
    steps = jobs(ROOT / ".github/workflows" / name)["plan"]["steps"]
    [planning] = [step for step in steps if re.search(r"^(.* )?doit .*mocks=no", step.get("run", ""), re.MULTILINE)]
    assert re.search(r"DEPLOY_INPUTS__OBSERVE(=|': '?)auto", f"{planning['run']}\n{planning['env']}")


@CALLED
def test_what_was_handed_over_is_unpacked_apart_and_taken_by_doit(path: Path) -> None:
    for job in jobs(path).values():
        downloads = [step for step in job["steps"] if "download-artifact" in step.get("uses", "")]
        assert {step["with"]["path"] for step in downloads} <= {"${{ runner.temp }}/handed-over"}
        runs = "\n".join(step.get("run", "") for step in job["steps"])
        assert ('doit from="$RUNNER_TEMP/handed-over"' in runs) == bool(downloads)


def test_jobs_of_gitlab_that_get_files_of_others_start_apart() -> None:
    """The included pipeline says the same as the generated one, and every job that has `needs` begins with it."""
    text = (ROOT / "pipelines/gitlab/doit-tofu.yml").read_text().partition("\n---\n")[2]
    source = yaml.safe_load(text.replace("$[[ inputs.environment ]]", "prod"))
    assert source[".doit-tofu:apart:prod"]["before_script"][0] == handover.APART
    jobs = {name: job for name, job in source.items() if not name.startswith(".")}
    for job in jobs.values():
        apart = job["extends"] == ".doit-tofu:apart:prod"
        assert apart == bool(job.get("needs")) == (handover.FROM in "\n".join(job["script"]))
        assert (
            apart
            or [] in (job.get("dependencies"), job.get("needs"))
            or job["variables"]["DOIT_TOFU_TRUST"] == "review"
        )


@CALLED
def test_the_caches_of_reviews_and_of_deploys_are_apart(path: Path) -> None:
    trust = "review" if path.name.startswith("review") else "deploy"
    caches = [step for job in jobs(path).values() for step in job["steps"] if "actions/cache" in step.get("uses", "")]
    assert caches or path.name == "ledger.yml"  # which starts no engine
    for step in caches:
        assert step["with"]["key"].startswith(f"doit-tofu-{trust}-")
        assert step["with"]["restore-keys"] == f"doit-tofu-{trust}-"


def prelude() -> str:
    """How steps read the secret `variables`: the same in all of them."""
    found = set()
    for path in WORKFLOWS:
        for job in jobs(path).values():
            for step in job["steps"]:
                if "secrets.variables" in yaml.dump(step):
                    found.add(step["run"][: step["run"].index("unset VARIABLES")])
    [text] = found
    return text


def read(variables: str, *names: str) -> tuple[int, str, list[str]]:
    """Exit code, log and the values of some variables, once a step has read the secret."""
    script = prelude() + "printf '%s\\0' " + " ".join(f'"${{{name}-unset}}"' for name in names) + " >&3"
    reader, writer = os.pipe()
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", f"exec 3>/dev/fd/{writer}\n{script}"],
        env={"PATH": os.environ["PATH"], "VARIABLES": variables}, capture_output=True, text=True, check=False,
        pass_fds=[writer],
    )  # fmt: skip
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        values = stream.read().decode().split("\0")[:-1]
    return done.returncode, done.stdout + done.stderr, values


@pytest.mark.parametrize(
    "value",
    [
        "c2VjcmV0LXBhc3NwaHJhc2U=",
        "YWI==",
        "a=b=c",
        " spaced ",
        "back\\slash\\n",
        "$HOME `id` $(id)",
        "quo'te\"",
        "100%25",
        "#x",
        "*",
    ],
)
def test_a_value_is_kept_to_its_last_character_and_masked(value: str) -> None:
    code, log, values = read(f"FIRST=first\nKEY={value}\nLAST=last", "FIRST", "KEY", "LAST")
    assert (code, values) == (0, ["first", value, "last"])
    assert [line.removeprefix("::add-mask::").replace("%25", "%") for line in log.splitlines()] == [
        text for text in ("first", value, "last") if len(text) > 3
    ]


def test_lines_of_windows_empty_lines_and_empty_values_are_read() -> None:
    code, log, values = read("A=secret\r\n\r\n\nB=\nC=3\n", "A", "B", "C")
    assert (code, values) == (0, ["secret", "", "3"])
    assert log.splitlines() == ["::add-mask::secret"]


@pytest.mark.parametrize(
    "line", ["no assignment", "-----BEGIN KEY-----", "1A=x", "A B=x", "A[0]=x", "=x", "export A=x"]
)
def test_a_line_that_is_no_assignment_ends_the_step_and_shows_nothing_but_in_masks(line: str) -> None:
    code, log, _ = read(f"A=1\n{line}", "A")
    assert code == 1
    shown = [text for text in log.splitlines() if not text.startswith("::add-mask::")]
    assert shown == ["::error::a line of the secret 'variables' is not NAME=value"]


def test_a_secret_that_is_not_set_is_no_variable() -> None:
    assert read("", "A")[:2] == (0, "")


def test_a_wheel_is_built_from_tools_by_hash_and_signed_with_what_it_is_made_of() -> None:
    [job] = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())["jobs"].values()
    assert job["permissions"] == {"contents": "read", "id-token": "write", "attestations": "write"}
    runs = "\n".join(step.get("run", "") for step in job["steps"])
    assert "pip install --quiet --require-hashes -r tools/requirements-release.txt" in runs
    signed = [step["with"] for step in job["steps"] if step.get("uses", "").startswith("actions/attest@")]
    assert [given["subject-path"] for given in signed] == ["dist/*.whl"] * 2
    assert signed[1]["sbom-path"] in runs
    pinned = (ROOT / "tools/requirements-release.txt").read_text()
    assert (
        len(re.findall(r"^\S+==.* \\$", pinned, re.MULTILINE)) == len(re.findall(r"^\S+==", pinned, re.MULTILINE)) > 3
    )


@pytest.mark.parametrize(("name", "least"), [("jinja2", "3.1.6"), ("requests", "2.32.4")])
def test_no_version_with_a_known_hole_can_be_installed(name: str, least: str) -> None:
    """Versions before these let a template out of its sandbox (CVE-2025-27516), or sent a `.netrc` away (CVE-2024-47081)."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    [found] = [text for text in wanted if re.match(rf"{name}\b", text, re.IGNORECASE)]
    assert f">={least}" in found.replace(" ", "")
    for path in ("tools/requirements.txt", "tools/requirements-dev.txt"):
        pinned = re.findall(rf"^{name}==([\d.]+)", (ROOT / path).read_text(), re.MULTILINE | re.IGNORECASE)
        assert all(tuple(map(int, each.split("."))) >= tuple(map(int, least.split("."))) for each in pinned)
