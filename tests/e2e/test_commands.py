"""Commands that any face shows name the environment: what is copied from it acts on that one, never on the default."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.repository import Repository, minimal_config, resource
from tests.servers.forge import TOKEN, Forge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers.receivers import WebReceiver

NOTIFY = """notify:
  - name: hook
    url: "${HOOK_URL}"
    kind: webhook
    secret: "${HOOK_SECRET}"
    on: [failure, drift, deploy]
    commands: [plan, deploy, drift]
"""
# A command, or what doit-tofu's own name is followed by; in JSON a command is a list of its words.
COMMAND = re.compile(r"(?<![\w/`-])doit (?!-tofu)[^`\n\"<]*|`doit [^`]*`?")
WORDS = re.compile(r'"doit",\s*"([^"]*)"')


class Faces:
    """All that a run in the environment prod tells people, by the face it tells it on."""

    def __init__(self, repository: Repository, web: WebReceiver, forge: Forge) -> None:
        self.repository, self._web, self._forge = repository, web, forge
        self._pipeline = 100

    def run(self, *arguments: str, code: int | None, request: str = "") -> dict[str, str]:
        """Run doit in prod, in a pipeline of the merge request where one is given; gives the text of each face."""
        self._pipeline += 1
        variables = {"HOOK_URL": f"http://{self._web.address}/", "HOOK_SECRET": "a secret that signs"}
        if request:
            variables |= {
                "GITLAB_CI": "true", "CI_API_V4_URL": self._forge.url, "CI_PROJECT_ID": "42", "GITLAB_TOKEN": TOKEN,
                "CI_COMMIT_SHA": self.repository.git("rev-parse", "HEAD"), "CI_PIPELINE_ID": str(self._pipeline),
                "CI_JOB_ID": str(self._pipeline), "CI_MERGE_REQUEST_IID": request,
            }  # fmt: skip
        self._web.take()
        found = {"console": self.repository.doit("env=prod", *arguments, code=code, **variables).out}
        folder = self.repository.deploy_dir(environment="prod")
        for pattern in ("reports/*", "results/*/*.json", "runs/*", "overview.json"):
            for path in folder.glob(pattern):
                found[path.relative_to(folder).as_posix()] = path.read_text()
        for number, call in enumerate(self._web.take()):
            found[f"notification {number}"] = json.dumps(call.json, ensure_ascii=False)
        if request:
            [comment] = self._forge.ours()
            found["comment"] = str(comment["body"])
        return found


@pytest.fixture
def faces(build: Callable[..., Repository], web: WebReceiver) -> Iterator[Faces]:
    forge = Forge("gitlab")
    repository = build(
        minimal_config(NOTIFY), f"stacks/a/main.tf:{resource()}", "config/environments/prod.yaml:",
    )  # fmt: skip
    yield Faces(repository, web, forge)
    forge.stop()


def without_environment(found: dict[str, str]) -> list[str]:
    """The commands that would act on another environment, each with its face."""
    wrong = []
    for face, text in found.items():
        for command in COMMAND.findall(text):
            words = command.strip("`").split()
            if "env=prod" not in words and "env=NAME" not in words:
                wrong.append(f"{face}: {command}")
        wrong += [f"{face}: {word}" for word in WORDS.findall(text) if word != "env=prod"]
    return wrong


def show(found: dict[str, str], command: str) -> set[str]:
    """The faces that show a command."""
    return {face for face, text in found.items() if command in text or command in text.replace('", "', " ")}


FAILURE = {"console", "reports/junit.xml", "notification 0"}


def test_a_failed_plan(faces: Faces) -> None:
    hook = "hooks: [{when: after, stage: plan, stacks: [a], command: [test, -e, there]}]\n"
    faces.repository.write(f"{minimal_config(NOTIFY)}{hook}")
    faces.repository.commit()
    found = faces.run("plan", code=1, request="1")
    assert without_environment(found) == []
    shown = show(found, "`doit env=prod plan:a`")
    assert shown > {*FAILURE, "reports/plan.md", "reports/plan.html", "results/plan/a.json", "comment"}
    assert any(face.endswith(".jsonl") for face in shown)


def test_a_plan(faces: Faces) -> None:
    found = faces.run("plan", code=0, request="1")
    assert without_environment(found) == []
    assert "console" in show(found, "`doit env=prod deploy` applies exactly this")


def test_a_configuration_that_does_not_load(faces: Faces) -> None:
    faces.repository.write(f"{minimal_config()}stacks: 7\n")
    faces.repository.commit()
    found = faces.run("plan", "upstream=sometimes", code=1, request="1")
    assert without_environment(found) == []
    assert show(found, "`doit env=prod upstream=update plan`") == {"console", "comment"}


def test_a_refused_artifact(faces: Faces) -> None:
    faces.run("plan", code=0)
    faces.repository.write(f"stacks/a/main.tf:{resource('2')}")
    found = faces.run("deploy", code=1)
    assert without_environment(found) == []
    assert show(found, "`doit env=prod plan:a` makes a new plan to review; then `doit env=prod deploy`") > FAILURE


def test_what_was_not_reviewed(faces: Faces) -> None:
    faces.repository.write(f"{minimal_config(NOTIFY)}plan: {{on_unreviewed: fail}}\n")
    found = faces.run("deploy", code=1)
    assert without_environment(found) == []
    assert show(found, "or commit `plan: {on_unreviewed: warn}`; then `doit env=prod deploy`") > FAILURE


def test_a_drift(faces: Faces) -> None:
    faces.run("deploy", code=0)
    state = faces.repository.path / ".state/a-prod.tfstate"
    state.write_text(state.read_text().replace('"1"', '"by hand"'))
    found = faces.run("drift", code=2)
    assert without_environment(found) == []
    for way in ("deploy --repair a", "drift --adopt a", "drift:a"):
        shown = show(found, f"doit env=prod {way}")
        assert shown >= {"console", "reports/drift.md", "reports/drift.html", "notification 0"}, way
        assert any(face.startswith("runs/") for face in shown), "what the dashboard reads"
    faces.repository.write(f"stacks/a/main.tf:{resource('2')}")
    assert without_environment(faces.run("drift", code=None)) == []
    assert without_environment(faces.run("status", code=0)) == []


def test_a_failed_check(faces: Faces) -> None:
    never = 'resource "terraform_data" "never" {\n  input = timestamp()\n}\n'
    checked = "stacks: {a: {verify: [{kind: plan_empty}]}}\n"
    faces.repository.write(f"{minimal_config(NOTIFY)}{checked}")
    faces.repository.write(f"stacks/a/main.tf:{resource(extra=never)}")
    found = faces.run("deploy", code=1)
    assert without_environment(found) == []
    assert show(found, "to look closer: `doit env=prod plan:a`") > FAILURE - {"notification 0"}
    assert show(found, "`doit env=prod verify:a`") > FAILURE


def test_the_list_of_commands_and_a_task_that_is_ignored(faces: Faces) -> None:
    found = faces.run(code=0)
    assert without_environment(found) == []
    assert "console" in show(found, "doit env=prod list --all")
    faces.run("ignore", "plan:a", code=0)
    assert "console" in show(faces.run("plan", code=0), "`doit env=prod forget plan:a`")


def test_a_problem_is_a_value_in_what_is_kept(faces: Faces) -> None:
    faces.run("plan", code=0)
    faces.repository.write(f"stacks/a/main.tf:{resource('2')}")
    faces.run("deploy", code=1)
    path = max(faces.repository.deploy_dir("runs", environment="prod").glob("*.jsonl"))
    kept = next(line for line in map(json.loads, path.read_text().splitlines()) if line["task"] == "plan:a")
    assert kept["problem"] == faces.repository.json("results/plan/a.json", environment="prod")["problem"]
    assert {name: kept["problem"][name] for name in ("kind", "stack", "untouched")} == {
        "kind": "refused", "stack": "a", "untouched": "nothing in this stack was changed",
    }  # fmt: skip
    assert kept["problem"]["next"]["command"] == ["doit", "env=prod", "plan:a"]
