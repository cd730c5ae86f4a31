"""`doit deploy --repair`: the drift that was shown is undone, and nothing else; the deploy plans for itself."""

from __future__ import annotations

import base64
import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tasks.ledger import keys
from tests.e2e.test_drift_adopt import change, code
from tests.e2e.test_ledger import Remote
from tests.repository import minimal_config, resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.repository import Done, Repository

KEY = keys.generate()
PAIR = {"x": "input = 3", "y": 'input = "one"'}


@pytest.fixture
def drifted(build: Callable[..., Repository]) -> Repository:
    """A deployed stack whose resource was changed outside, and another one that was not."""
    repository = build(minimal_config(), f"stacks/a/main.tf:{code(PAIR)}", f"stacks/b/main.tf:{resource()}")
    repository.prepare("deploy")
    change(repository, {"x": 5})
    return repository


def value(repository: Repository, name: str = "x", stack: str = "a") -> object:
    """What a resource of the stack is now."""
    [found] = [item for item in repository.state(stack)["resources"] if item["name"] == name]
    return found["instances"][0]["attributes"]["input"]["value"]


def refused(done: Done, *said: str) -> None:
    """A repair was refused in these words, and no apply was started."""
    assert done.code == 1, done.out
    for words in (*said, "drift not repaired", "nothing was applied"):
        assert words in done.out, done.out


def test_what_was_shown_is_undone_and_only_that(drifted: Repository) -> None:
    refused(drifted.doit("deploy", "--repair", "a", code=1), "no drift was shown for it", "`doit drift:a`")
    _require_in_every_face(drifted)
    drifted.engine_calls()
    done = drifted.doit("deploy", "--repair", "a", code=0)
    assert "repaired: terraform_data.x" in done.task("deploy", "a")
    assert len(drifted.engine_calls("apply")) == 1
    assert value(drifted) == 3
    assert drifted.json("results/deploy/a.json")["details"]["repaired"] == ["terraform_data.x"]
    drifted.doit("drift", code=0)
    refused(drifted.doit("deploy", "--repair", "a", code=1), "no drift was shown for it")


def _require_in_every_face(repository: Repository) -> None:
    """The console, both pages, the run's record and the document for programs name the same three commands."""
    ways = ["doit deploy --repair a", "doit drift --adopt a", "doit drift:a"]
    said = repository.doit("drift", code=2).out
    pages = [repository.deploy_dir("reports", name).read_text() for name in ("drift.md", "drift.html")]
    record = max(repository.deploy_dir("runs").glob("*.json"))
    for face in (said, *pages, record.read_text()):
        for way in ways:
            assert way in face, f"{way} is missing in:\n{face}"
    done = repository.doit("drift", "--json", code=2).out
    document = json.loads(done[done.index("{") : done.rindex("}") + 1])
    [found] = [stack for stack in document["stacks"] if stack["name"] == "a"]
    assert [" ".join(way["command"]) for way in found["ways"]] == ways


def test_a_drift_that_changed_since_it_was_shown_is_refused_by_name(drifted: Repository) -> None:
    drifted.doit("drift", code=2)
    change(drifted, {"y": "two"})
    drifted.engine_calls()
    done = drifted.doit("deploy", "--repair", "a", code=1)
    refused(done, "no longer what was shown", "terraform_data.y: differs only since then")
    change(drifted, {"x": 7, "y": "one"})
    done = drifted.doit("deploy", "--repair", "a", code=1)
    refused(done, "terraform_data.x: now differs in another way")
    assert drifted.engine_calls("apply") == []
    change(drifted, {"x": 3})
    assert "back to what was deployed" in drifted.doit("deploy", "--repair", "a", code=0).out
    assert drifted.engine_calls("apply") == []


def test_undeployed_code_a_newer_deploy_and_a_plan_that_waits_are_not_mixed_in(drifted: Repository) -> None:
    drifted.doit("drift", code=2)
    drifted.write(f"stacks/b/main.tf:{resource('2')}")
    drifted.doit("plan")  # of another stack: it waits for a deploy, not for a repair
    drifted.write(f"stacks/a/main.tf:{code({**PAIR, 'z': 'input = 1'})}")
    refused(drifted.doit("deploy", "--repair", "a", code=1), "undeployed code", "`doit deploy` deploys both")
    drifted.write(f"stacks/a/main.tf:{code(PAIR)}")
    drifted.doit("deploy", "--repair", "a", code=0)
    assert drifted.json("receipts/b.json")["counts"]["add"] == 1
    assert drifted.deploy_dir("plans/b/plan.tfplan").exists()
    change(drifted, {"x": 5})
    drifted.doit("drift:a", code=2)
    kept = drifted.deploy_dir("drift/a.json").read_bytes()
    drifted.doit("-a", "deploy:a", code=0)
    change(drifted, {"x": 5})
    drifted.deploy_dir("drift/a.json").write_bytes(kept)
    refused(drifted.doit("deploy", "--repair", "a", code=1), "deployed since its drift was shown")
    for foreign, said in (
        ({"backend": "another"}, "made for another state"),
        ({"lineage": "another"}, "shown is of another state: its lineage is another, not "),
        ({"project": "gitlab.invalid/2"}, "made in project gitlab.invalid/2, but this is project gitlab.invalid/1"),
    ):
        drifted.deploy_dir("drift/a.json").write_bytes(_with(kept, made={"project": "gitlab.invalid/1", **foreign}))
        done = drifted.doit("deploy", "--repair", "a", code=1, **JOB)
        refused(done, said)
        assert "deployed since" not in done.out
    assert value(drifted) == 5


def _with(record: bytes, **changes: dict[str, str]) -> bytes:
    """The record of a shown drift with some of its parts changed, and its signature left as it was."""
    envelope = json.loads(record)
    body = json.loads(base64.b64decode(envelope["payload"]))
    for part, values in changes.items():
        body[part] |= values
    payload = base64.b64encode(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).decode()
    return json.dumps({**envelope, "payload": payload}, sort_keys=True, separators=(",", ":")).encode()


def test_of_several_stacks_all_are_repaired_or_none_and_no_plan_is_left(build: Callable[..., Repository]) -> None:
    rules = "drift: {repair: [{stacks: [a, b], address: terraform_data.x}, {stacks: ['web-*']}]}\n"
    names = ("a", "b", "c")
    repository = build(minimal_config(rules), *(f"stacks/{name}/main.tf:{code(PAIR)}" for name in names))
    repository.prepare("deploy")
    outside(repository.path / ".state", "a", {"x": 5})
    outside(repository.path / ".state", "b", {"x": 5})
    outside(repository.path / ".state", "c", {"x": 5})
    assert "names no stack: correct or remove it" in repository.doit("drift", code=2).out
    outside(repository.path / ".state", "b", {"x": 6})
    done = repository.doit("deploy", "--auto-repair", code=1)
    refused(done, "terraform_data.x: now differs in another way")
    assert "c: not repaired, as no rule of drift.repair names it" in done.out
    assert "names no stack" in done.out
    refused(repository.doit("deploy", "--repair", "a,b", code=1), "terraform_data.x: now differs in another way")
    assert "a plan is ready" not in repository.doit("status").out
    repository.doit("deploy")
    assert [value(repository, stack=name) for name in names] == [5, 6, 5]
    shutil.copy(repository.deploy_dir("drift/c.json"), repository.deploy_dir("drift/a.json"))
    refused(repository.doit("deploy", "--repair", "a", code=1), "what was shown is of 'c' in 'local'")
    repository.deploy_dir("receipts/a.json").unlink()
    refused(repository.doit("deploy", "--repair", "a", code=1), "no receipt here says what was deployed")


def test_what_is_wrong_on_the_command_line_is_said(drifted: Repository) -> None:
    drifted.write(minimal_config("drift: {repair: [{stacks: [a]}]}\n"))
    for words, said in (
        (["deploy", "--repair", "aa"], "unknown stack 'aa' (did you mean 'a'?)"),
        (["deploy", "--repair="], "names no stack"),
        (["plan", "deploy", "--repair=a"], "needs a run of its own"),
        (["deploy", "--repair=a", "--auto-repair"], "exclude each other"),
        (
            ["ci=job", "deploy:a", "--repair=a"],
            "repairs all of its stacks or none, which one job per stack cannot do",
        ),
        (["ci=job", "deploy:a", "--repair=a"], "write `doit deploy --repair a`"),
        (["ci=report", "deploy", "--auto-repair"], "write `doit deploy --auto-repair`"),
    ):
        done = drifted.doit(*words, code=None)
        assert (done.code, said in done.out) == (1, True), done.out


@pytest.fixture
def apart(build: Callable[..., Repository], tmp_path: Path) -> Remote:
    """A deployed stack with a ledger, states that outlive the clones, and a key for each purpose."""
    kept = f"ledger: {{kind: git, observations: {{public_key: {KEY.public.text}}}}}\nencryption: {{state: false}}\n"
    kept += "drift: {repair: [{stacks: [a], address: terraform_data.x}]}\n"
    config = minimal_config(kept).replace("{root}/.state/", f"{tmp_path / 'states'}/")
    first = build(config, f"stacks/a/main.tf:{code(PAIR)}")
    first.variables |= {"DEPLOY_STATE_KEY": base64.b64encode(b"s" * 32).decode()}
    return Remote(tmp_path, first)


DEPLOY = {
    "DEPLOY_ARTIFACT_KEY": base64.b64encode(b"a" * 32).decode(), "DEPLOY_LEDGER_KEY": keys.generate().text,
}  # fmt: skip
OBSERVES = {"DEPLOY_OBSERVATIONS_KEY": KEY.text}
JOB = {
    "GITLAB_CI": "true", "CI": "true", "CI_PROJECT_ID": "1", "CI_PIPELINE_ID": "42",
    "CI_API_V4_URL": "https://gitlab.invalid/api/v4",
}  # fmt: skip


@pytest.fixture
def nightly(apart: Remote) -> Repository:
    """The job of a schedule that found drift, with its own keys alone."""
    apart.clone().prepare("ledger", "init", **DEPLOY, **JOB)
    apart.clone().prepare("deploy", **DEPLOY, **OBSERVES, **JOB)
    outside(apart.base / "states", "a", {"x": 5})
    job = apart.clone()
    job.prepare("drift", code=2, **OBSERVES, **JOB)
    return job


def outside(states: Path, stack: str, values: dict[str, object]) -> None:
    """Change resources as if outside of the engine."""
    path = states / f"{stack}-local.tfstate"
    state = json.loads(path.read_text())
    for item in state["resources"]:
        if item["name"] in values:
            item["instances"][0]["attributes"]["input"]["value"] = values[item["name"]]
    path.write_text(json.dumps(state))


def handed(job: Repository, base: Path) -> Path:
    """The job's artifact, unpacked, with what a job without the deploy's keys could put in."""
    folder = base / "handed-over"
    shutil.copytree(job.path / ".deploy", folder / ".deploy", dirs_exist_ok=True)
    (folder / "config").mkdir(exist_ok=True)
    (folder / "config/pipeline.yaml").write_text("not: even\n")
    return folder


def test_a_job_with_the_deploys_keys_undoes_what_a_job_without_them_has_shown(
    apart: Remote, nightly: Repository, tmp_path: Path
) -> None:
    folder = handed(nightly, tmp_path)
    job = apart.clone()
    done = job.doit(f"from={folder}", "deploy", "--repair", "a", code=0, **DEPLOY, **OBSERVES, **JOB)
    assert "repaired: terraform_data.x" in done.task("deploy", "a"), done.out
    log = apart.clone().doit("log", "a").out
    assert "repaired drift" in log
    assert "resolved" not in apart.clone().doit("drift", code=0, **OBSERVES, **JOB).out  # the repair has said so
    outside(apart.base / "states", "a", {"x": 5})
    done = apart.clone().doit(f"from={folder}", "deploy", "--repair", "a", code=1, **DEPLOY, **OBSERVES, **JOB)
    refused(done, "deployed since its drift was shown")


def test_a_record_that_was_changed_or_made_by_a_merge_request_is_refused(
    apart: Remote, nightly: Repository, tmp_path: Path
) -> None:
    folder = handed(nightly, tmp_path)
    path = folder / ".deploy/local/drift/a.json"
    genuine = path.read_bytes()
    outside(apart.base / "states", "a", {"y": "two"})

    def attempt(*said: str) -> None:
        job = apart.clone()
        done = job.doit(f"from={folder}", "deploy", "--repair", "a", code=1, **DEPLOY, **OBSERVES, **JOB)
        refused(done, *said)
        assert job.engine_calls("apply") == []

    attempt("terraform_data.y: differs only since then")
    path.write_bytes(_with(genuine, changes={"terraform_data.y": "0" * 32}))
    attempt("not signed with the observations key")
    other = apart.clone()
    other.doit("drift", code=2, **JOB)  # with what a merge request's job has: the key of states
    path.write_bytes(other.deploy_dir("drift/a.json").read_bytes())
    attempt("not signed with the observations key")
    path.unlink()
    path.symlink_to(folder / "config/pipeline.yaml")
    done = apart.clone().doit(f"from={folder}", "deploy", "--repair", "a", code=1, **DEPLOY, **OBSERVES, **JOB)
    assert "only plain files are accepted" in done.out


def test_a_rule_repairs_what_it_covers_and_leaves_the_rest_alone(
    apart: Remote, nightly: Repository, tmp_path: Path
) -> None:
    folder = handed(nightly, tmp_path)
    everything = {**DEPLOY, **OBSERVES, **JOB}
    done = apart.clone().doit(f"from={folder}", "deploy", "--auto-repair", code=0, **everything)
    assert "repaired: terraform_data.x" in done.out
    assert "repaired drift by a rule" in apart.clone().doit("log", "a").out
    outside(apart.base / "states", "a", {"x": 5, "y": "two"})
    job = apart.clone()
    job.doit("drift", code=2, **OBSERVES, **JOB)
    shutil.rmtree(folder)
    deploying = apart.clone()
    done = deploying.doit(f"from={handed(job, tmp_path)}", "deploy", "--auto-repair", code=0, **everything)
    assert "a: not repaired, as no rule asks for it" in done.out
    assert "terraform_data.y: no rule of drift.repair asks for it now (class changed)" in done.out
    assert deploying.engine_calls("apply") == []
    (folder / ".deploy/local/drift/a.json").unlink()
    apart.clone().doit(f"from={folder}", "deploy", "--auto-repair", code=0, **everything)


def test_rules_are_needed_to_repair_by_a_rule(drifted: Repository) -> None:
    assert "`--auto-repair` has no rule to go by" in drifted.doit("deploy", "--auto-repair", code=1).out
