"""The shipped pipelines with a ledger: each job in a fresh clone, with nothing but what is handed to it.

The remote is a real `git http-backend` whose ledger's branches only the tokens of the deploy environment may push to.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tasks.ledger.keys import SigningKey
from tests.childpipeline import ChildPipeline
from tests.e2e.conftest import unique
from tests.e2e.test_ledger import Remote
from tests.e2e.test_ledger_homes import Forge
from tests.e2e.test_pipelines import ARTIFACT_KEY, GitHub, Pipeline, gitlab, with_jobs
from tests.repository import LOGGING_ENGINE, ROOT, Repository, copy_tree, minimal_config, reader, resource, wait_for
from tests.servers.fileserver import TOKEN as FILES_TOKEN
from tests.servers.fileserver import FileServer
from tests.servers.gitserver import OBSERVER, READER, WRITER, GitServer, git
from tests.servers.objectstore import ACCESS_KEY, SECRET_KEY, ObjectStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY, OBSERVATIONS_KEY = (SigningKey(letter * 32) for letter in (b"k", b"o"))
LEDGER, OBSERVATIONS = (f"refs/heads/doit-tofu/local/{name}" for name in ("ledger", "observations"))
READ_TOKEN = "reads-the-store-4471"
SECRETS = {
    "secrets.DEPLOY_LEDGER_TOKEN": WRITER, "secrets.DEPLOY_LEDGER_KEY": KEY.text,
    "secrets.DEPLOY_OBSERVATIONS_TOKEN": OBSERVER, "secrets.DEPLOY_OBSERVATIONS_KEY": OBSERVATIONS_KEY.text,
}  # fmt: skip


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    """A forge with the branch rules of docs/gitlab.md: a bot for each of the two branches."""
    server = GitServer(tmp_path / "forge")
    server.tokens |= {WRITER: LEDGER, OBSERVER: OBSERVATIONS}
    yield server
    server.stop()


@pytest.fixture
def forged(build: Callable[..., Repository], tmp_path: Path, server: GitServer) -> Callable[..., Forge]:
    """Three stacks, `a --> b` and `c`, on a forge that everyone may read, and only the writer's token may push to."""

    def forged(ledger: str = "kind: git", **variables: str) -> Forge:
        config = minimal_config(
            f"stacks:\n  b: {{inputs: {{x: a.value}}}}\nledger: {{{ledger}, public_key: {KEY.public.text},"
            f" observations: {{public_key: {OBSERVATIONS_KEY.public.text}}}}}\n"
            "drift: {repair: [{stacks: [c], type: terraform_data}]}\n"
        ).replace("{root}/.state/", f"{tmp_path / 'states'}/")
        stacks = (
            f"stacks/a/main.tf:{resource()}",
            f"stacks/b/main.tf:{reader('x')}",
            f"stacks/c/main.tf:{resource('c')}",
        )
        first = build(config, *stacks)
        shutil.copytree(ROOT / "pipelines", first.path / "pipelines")
        first.write(
            ".gitignore:.deploy/\n.terraform/\n__pycache__/\n.doit-tofu-cache/\n.gitlab-ci-local/\n.child-pipeline.yml\n"
        )
        first.commit("what jobs leave")
        first.variables |= variables
        return Forge(Remote(tmp_path, first), server)

    return forged


@pytest.fixture
def forge(forged: Callable[..., Forge]) -> Forge:
    """The same with its ledger on a branch."""
    return forged()


Home = tuple[Forge, dict[str, str]]


@pytest.fixture
def home(request: pytest.FixtureRequest, forged: Callable[..., Forge]) -> Iterator[Home]:
    """The same with its ledger in one of its homes; and what writes it, which deploy jobs alone have."""
    kind = getattr(request, "param", "git")
    if kind == "git":
        yield forged(), {"DEPLOY_LEDGER_TOKEN": WRITER}
    elif kind == "s3":
        store: ObjectStore = request.getfixturevalue("object_store")
        bucket = unique(request, "ledgers").replace("_", "-").lower()[-60:]
        store.create(bucket)
        login = {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_DEFAULT_REGION": "us-east-1",
        }  # fmt: skip
        yield forged(f'kind: store, url: "s3://{bucket}/of-us", endpoint: "{store.url}"', **login), {}
    else:
        files = FileServer(readers={READ_TOKEN})
        url = f'kind: store, url: "{files.url}"'
        yield forged(url, DEPLOY_LEDGER_READ_TOKEN=READ_TOKEN), {"DEPLOY_LEDGER_TOKEN": FILES_TOKEN}
        files.stop()


@dataclass
class Workflows(GitHub):
    """GitHub's workflows, whose checkouts come from the forge with the job's own login."""

    server: GitServer | None = None
    engines: list[str] = field(default_factory=list)

    def _action(self, action: str, given: dict[str, str], checkout: Path) -> None:
        if action != "actions/checkout":
            super()._action(action, given, checkout)
            return
        assert self.server
        address = self.server.with_login(READER)
        fetch = ["git", "clone", "--quiet", "--single-branch", "--branch", "main", address, str(checkout)]
        subprocess.run(fetch, check=True, env=self.repository.environment())

    def engine_calls(self, name: str) -> list[str]:
        """The engine's processes in a workflow that succeeds, by stack and command."""
        self.repository.log.unlink(missing_ok=True)
        self.outputs.clear()
        shutil.rmtree(self.base / "artifacts", ignore_errors=True)  # those of the run before
        done = self.call(name)
        assert {code for code, _ in done.values()} == {0}, "\n".join(self.outputs)
        return self.repository.engine_calls()


def by_hand(tmp_path: Path, value: str, *, written: bool = True) -> None:
    """Change the state of `c`; unless it is `written`, as if its resource alone had changed."""
    state = tmp_path / "states/c-local.tfstate"
    content = json.loads(state.read_text())
    content["resources"][0]["instances"][0]["attributes"]["input"]["value"] = value
    content["serial"] += written
    state.write_text(json.dumps(content))


def _status(clone: Repository, commit: str) -> str:
    """What a clone that never deployed says of the stacks: `c` is of this commit, and has drifted. No engine starts."""
    shown = clone.doit("status").out
    assert re.search(rf"^c +{commit} .*drifted", shown, re.MULTILINE), shown
    assert "3 stacks, 1 drifted" in shown
    assert clone.engine_calls() == []
    return shown


@pytest.mark.parametrize(
    ("home", "kind"), [("git", ""), ("git", "-stacks"), ("s3", ""), ("http", "")], indirect=["home"]
)
def test_the_workflows_of_github_know_what_others_did(home: Home, server: GitServer, tmp_path: Path, kind: str) -> None:
    forge, writes = home
    main = forge.clone()
    secrets = {**SECRETS, "secrets.DEPLOY_LEDGER_TOKEN": writes.get("DEPLOY_LEDGER_TOKEN", "")}
    if writes != {"DEPLOY_LEDGER_TOKEN": WRITER}:  # a store has one login for both
        secrets["secrets.DEPLOY_OBSERVATIONS_TOKEN"] = secrets["secrets.DEPLOY_LEDGER_TOKEN"]
    jobs = Workflows(main, tmp_path / "github", ledger="git", more=secrets, server=server)
    assert jobs.call("deploy.yml")["plan"][0] == 1
    assert "there is no ledger at" in "".join(jobs.outputs)
    jobs.does = "init"
    assert jobs.call("ledger.yml")["ledger"][0] == 0, jobs.outputs
    applied = [call for call in jobs.engine_calls(f"deploy{kind}.yml") if " apply " in f" {call} "]
    assert sorted(call.split()[0] for call in applied) == ["a", "b", "c"]
    assert jobs.engine_calls(f"deploy{kind}.yml") == []  # a second run, on fresh clones

    main.write(f"stacks/c/main.tf:{resource('c2')}")
    main.commit("c is another")
    git(main.path, "push", "-q", str(server.repository), "HEAD:main")
    folders = {call.split()[0] for call in jobs.engine_calls(f"deploy{kind}.yml")}
    assert {name for name in folders if not name.startswith("job-")} == {"c"}  # the format of all files is one process
    assert jobs.engine_calls(f"drift{kind}.yml")

    by_hand(tmp_path, "by hand")
    last = "report" if kind else "drift"
    assert jobs.call(f"drift{kind}.yml")[last][0] == 2
    assert re.search(r"drift +c .*drifted", "".join(jobs.outputs))
    fourth = forge.clone()
    fourth.variables |= {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "acme/infra"}
    shown = _status(fourth, main.git("rev-parse", "HEAD")[:8])
    audit = fourth.doit("audit").out
    assert "intact: 5 events" in audit
    assert "signed" in audit

    if writes.get("DEPLOY_LEDGER_TOKEN") == WRITER:
        jobs.stacks = "c"
        assert jobs.call("repair.yml")["repair"][0] == 0, jobs.outputs[-1]
        assert "repaired: terraform_data.it" in jobs.outputs[-1]
        assert jobs.call(f"drift{kind}.yml")[last][0] == 0, jobs.outputs
    for output in (*jobs.outputs, shown, audit):
        text = re.sub(r"^::add-mask::.*$", "", output, flags=re.MULTILINE)  # this names it to GitHub alone
        for secret in (*writes.values(), OBSERVER, READ_TOKEN, READER, KEY.text, OBSERVATIONS_KEY.text):
            assert secret not in text


def test_the_job_by_hand_tests_the_ledger_and_releases_a_lease(forge: Forge, server: GitServer, tmp_path: Path) -> None:
    jobs = Workflows(forge.clone(), tmp_path / "github", ledger="git", more=SECRETS, server=server, does="init")
    assert jobs.call("ledger.yml")["ledger"][0] == 0, jobs.outputs
    jobs.does = "check"
    assert jobs.call("ledger.yml")["ledger"][0] == 0, jobs.outputs
    assert "this job can read and write the ledger" in jobs.outputs[-1]
    jobs.does = "release"
    assert jobs.call("ledger.yml")["ledger"][0] == 1
    assert "needs a reason" in jobs.outputs[-1]
    jobs.reason = "$(touch stolen) the runner died"
    assert jobs.call("ledger.yml")["ledger"][0] == 0, jobs.outputs
    jobs.does = "init; touch stolen"
    assert jobs.call("ledger.yml")["ledger"][0] == 1
    assert list(tmp_path.rglob("stolen")) == []


# GitLab's templates


@dataclass
class Templates:
    """GitLab's pipelines of one environment, run from a clone of the forge by `gitlab-ci-local`.

    The tokens stand for protected variables of the deploy's environment; the templates withhold them from other jobs.
    """

    program: Path
    main: Repository
    server: GitServer
    kind: str = ""
    inputs: str = ""
    given: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.given = {"CI_REPOSITORY_URL": self.server.with_login(READER), "CI_PROJECT_PATH": "acme/infra"}
        self.main.variables |= {
            "DEPLOY_LEDGER_KEY": KEY.text, "DEPLOY_ARTIFACT_KEY": ARTIFACT_KEY,
            "DEPLOY_OBSERVATIONS_TOKEN": OBSERVER, "DEPLOY_OBSERVATIONS_KEY": OBSERVATIONS_KEY.text,
        }  # fmt: skip
        inputs = f"{{environment: local, install: 'doit --version'{self.inputs}}}"
        self.change(
            f".gitlab-ci.yml:include:\n  - {{local: pipelines/gitlab/doit-tofu{self.kind}.yml, inputs: {inputs}}}\n"
        )

    def change(self, *files: str) -> None:
        """A commit of files becomes the main branch."""
        self.main.write(*files)
        self.main.commit()
        git(self.main.path, "push", "-q", str(self.server.repository), "HEAD:main")

    def run(self, source: str) -> Pipeline:
        """The pipeline of an event, with the child pipeline that it starts."""
        self.main.log.unlink(missing_ok=True)
        play = with_jobs if self.kind else gitlab
        return play(self.program, self.main, source, **self.given)

    def by_hand(self, does: str, **variables: str) -> Pipeline:
        """The job that is started by hand."""
        return gitlab(self.program, self.main, "push", "ledger:local", LEDGER_DOES=does, **self.given, **variables)

    def succeeds(self, source: str) -> set[str]:
        """The folders that an engine ran in, of stacks, in a pipeline that succeeds."""
        done = self.run(source)
        assert done.code == 0, done.out
        folders = {call.split()[0] for call in self.main.engine_calls()}
        return folders & {"a", "b", "c"}


def know_what_others_did(jobs: Templates, forge: Forge, tmp_path: Path) -> None:
    """What no runner keeps is known: to a second pipeline, to a check for drift, and to a fourth clone."""
    main = jobs.main
    first = jobs.by_hand("init")
    assert first.code == 0, first.out
    assert jobs.succeeds("push") == {"a", "b", "c"}
    assert jobs.succeeds("push") == set()  # a second run, on fresh clones
    jobs.change(f"stacks/c/main.tf:{resource('c2')}")
    assert jobs.succeeds("push") == {"c"}
    assert jobs.succeeds("schedule") == {"a", "b", "c"}

    by_hand(tmp_path, "by hand")
    drifted = jobs.run("schedule")
    assert re.search(r"(report|drift)\S*.*\b2\b", drifted.out), drifted.out
    assert re.search(r"drift +(\d/\d )?c .*drifted", drifted.out), drifted.out
    fourth = forge.clone()
    fourth.variables |= {"GITLAB_CI": "true", "CI_PROJECT_PATH": "acme/infra"}
    shown = _status(fourth, main.git("rev-parse", "HEAD")[:8])
    for text in (first.out, drifted.out, shown):
        for secret in (WRITER, OBSERVER, READER, KEY.text, OBSERVATIONS_KEY.text):
            assert secret not in text


def test_the_templates_of_gitlab_with_a_job_for_each_stack_know_what_others_did(
    forge: Forge, server: GitServer, gitlab_ci_local: Path, tmp_path: Path
) -> None:
    main = forge.clone()
    main.variables["DEPLOY_LEDGER_TOKEN"] = WRITER
    know_what_others_did(Templates(gitlab_ci_local, main, server, "-stacks"), forge, tmp_path)


def test_the_templates_of_gitlab_know_what_others_did_also_on_a_forge_that_misbehaves(
    forge: Forge, server: GitServer, gitlab_ci_local: Path, tmp_path: Path
) -> None:
    """Without push options, far away, with a refused token, one that dies in mid-run, and a stale replica."""
    git(server.repository, "config", "receive.advertisePushOptions", "false")
    main = forge.clone()
    main.variables["DEPLOY_LEDGER_TOKEN"] = WRITER
    jobs = Templates(gitlab_ci_local, main, server)
    know_what_others_did(jobs, forge, tmp_path)
    git(tmp_path, "clone", "-q", "--mirror", str(server.repository), str(server.folder / "replica.git"))
    server.delay = 0.2
    jobs.change(f"stacks/c/main.tf:{resource('c3')}")
    assert jobs.succeeds("push") == {"c"}
    server.delay = 0.0

    jobs.change(f"stacks/c/main.tf:{resource('c4')}")
    for said, token in (("returned error: 403", READER), ("does not accept this token", "expired-token-1177")):
        main.variables["DEPLOY_LEDGER_TOKEN"] = token
        refused = jobs.run("push")
        assert refused.code, refused.out
        assert said in refused.out
        assert "access to the ledger at refs/heads/doit-tofu/local/ledger of origin is denied" in refused.out
        assert [call for call in main.engine_calls("apply") if call.startswith("c ")] == []
        assert token not in refused.out
    main.variables["DEPLOY_LEDGER_TOKEN"] = WRITER

    pushed: list[str] = []

    def dies_after_the_first_push(method: str, service: str) -> int | None:
        if service == "upload-pack" or not pushed:
            pushed.extend([service] if (method, service) == ("POST", "receive-pack") else [])
            return None
        return 401

    server.fault = dies_after_the_first_push
    died = jobs.run("push")
    assert "not recorded" in died.out
    assert "the same credentials were accepted before" in died.out
    assert WRITER not in died.out
    assert len(main.engine_calls("apply")) == 1
    server.fault = lambda _method, _service: None
    released = jobs.by_hand("release", LEDGER_REASON="its token died")
    assert released.code == 0, released.out
    assert jobs.succeeds("push") == {"c"}  # planned again, and found as it is to be
    assert main.engine_calls("apply") == []
    assert jobs.succeeds("push") == set()

    jobs.change(f"stacks/c/main.tf:{resource('c5')}")
    server.replica = server.folder / "replica.git"  # answers with the ledger before `c3`, and with all of main
    git(server.repository, "push", "-q", str(server.replica), "main:main")
    stale = jobs.run("push")
    assert stale.code, stale.out
    assert main.engine_calls("apply") == []
    server.replica = None
    assert jobs.succeeds("push") == {"c"}
    assert "intact" in forge.clone().doit("audit", GITLAB_CI="true", CI_PROJECT_PATH="acme/infra").out


def test_the_templates_of_gitlab_repair_what_a_schedule_has_shown(
    forge: Forge, server: GitServer, gitlab_ci_local: Path, tmp_path: Path
) -> None:
    """Its rules, and then a person, have undone what the job before them has found."""
    main = forge.clone()
    main.variables["DEPLOY_LEDGER_TOKEN"] = WRITER
    jobs = Templates(gitlab_ci_local, main, server, inputs=", repair: auto")
    assert jobs.by_hand("init").code == 0
    jobs.succeeds("push")
    by_hand(tmp_path, "by hand", written=False)
    repaired = jobs.run("schedule")
    assert (repaired.code, repaired.jobs) == (0, ["drift:local", "repair:local"]), repaired.out
    assert "repaired: terraform_data.it" in repaired.out, repaired.out
    assert [call for call in main.engine_calls("apply") if not call.startswith("c ")] == []
    jobs.inputs = ", repair: manual"
    jobs.__post_init__()
    by_hand(tmp_path, "once more")
    again = gitlab(gitlab_ci_local, main, "schedule", "--needs", "repair:local", REPAIR="c", **jobs.given)
    assert again.code == 0, again.out
    assert "repaired: terraform_data.it" in again.out
    quiet = jobs.run("schedule")
    assert (quiet.code, quiet.jobs) == (0, ["drift:local"]), quiet.out
    assert re.search(r"drift +c +as deployed", quiet.out)


# GitLab's generated pipelines


@pytest.fixture
def stacks(build: Callable[..., Repository], tmp_path: Path) -> Repository:
    """The same stacks; the repository that jobs clone is the remote of the ledger."""
    config = minimal_config("stacks:\n  b: {inputs: {x: a.value}}\nledger: {kind: git}\n")
    config = config.replace("{root}/.state/", f"{tmp_path / 'states'}/")
    repository = build(
        config, f"stacks/a/main.tf:{resource()}", f"stacks/b/main.tf:{reader('x')}", f"stacks/c/main.tf:{resource('c')}"
    )
    repository.git("remote", "add", "origin", str(repository.path))
    repository.variables |= {"GITLAB_CI": "true", "CI_PROJECT_ID": "7", "CI_COMMIT_BRANCH": "main"}
    repository.doit("ledger", "init")
    return repository


def generated(repository: Repository, tmp_path: Path, parent: int, child: int) -> ChildPipeline:
    """What pipeline `parent` generates, as the child pipeline that it starts."""
    shutil.rmtree(repository.path / ".deploy", ignore_errors=True)
    repository.doit("ci", "-p", "deploy", "-f", "gitlab", CI_PIPELINE_ID=str(parent))
    return ChildPipeline(repository, tmp_path / f"pipeline-{child}", child)


def lease(repository: Repository) -> str | None:
    """The label of who holds the lease."""
    said = repository.doit("ledger", "check").out
    found = re.search(r"(pipeline \d+) of main has held its lease", said)
    return found[1] if found else None


def test_jobs_share_the_lease_of_the_pipeline_that_generated_them(stacks: Repository, tmp_path: Path) -> None:
    first = generated(stacks, tmp_path, 100, 101)
    assert not any(
        "receipts" in str(job.get("cache")) or "claim" in str(job.get("cache"))
        for job in first.source.values()
        if isinstance(job, dict)
    )
    first.run()
    assert {job.status for job in first.jobs.values()} == {"success"}, {
        name: job.out for name, job in first.jobs.items()
    }
    assert "3 deployed" in first.out("report")
    assert lease(stacks) is None
    entries = json.loads(stacks.doit("log", "--json").out)["entries"]
    assert [entry["stack"] for entry in entries if entry["stack"]] == ["a", "b", "c"] or len(entries) == 4

    stacks.log.unlink(missing_ok=True)
    again = generated(stacks, tmp_path, 102, 103)
    assert {name for name in again.definitions if ":" in name} == set()
    again.run()
    assert stacks.engine_calls() == []


def test_a_retry_works_without_a_cache_on_another_runner(stacks: Repository, tmp_path: Path) -> None:
    marker = tmp_path / "broken"
    marker.touch()
    fragile = f"""
resource "terraform_data" "fragile" {{
  provisioner "local-exec" {{
    command = "test ! -e {marker}"
  }}
}}
"""
    stacks.write(f"stacks/b/main.tf:{reader('x')}{fragile}")
    stacks.commit("fragile")
    pipeline = generated(stacks, tmp_path, 100, 101).run()
    assert pipeline.status("deploy:a") == pipeline.status("deploy:c") == "success"
    assert pipeline.status("deploy:b") == "failed"
    marker.unlink()
    shutil.rmtree(pipeline.base / "cache", ignore_errors=True)
    stacks.log.unlink(missing_ok=True)
    pipeline.retry()
    assert {job.status for job in pipeline.jobs.values()} == {"success"}, pipeline.out("deploy:b")
    assert [call.split()[0] for call in stacks.engine_calls("apply")] == ["b"]
    assert lease(stacks) is None


def test_a_retry_plans_a_failed_deploy_again_however_often_it_failed(stacks: Repository, tmp_path: Path) -> None:
    """Each job gets the plan of the plan job once more, which was applied: only the ledger says so."""
    marker = tmp_path / "broken"
    marker.touch()
    stacks.doit("deploy")
    failing = f'provisioner "local-exec" {{\n    command = "test ! -e {marker}"\n  }}'
    stacks.write(f'stacks/c/more.tf:resource "terraform_data" "more" {{\n  {failing}\n}}\n')
    stacks.commit("c has more")
    pipeline = generated(stacks, tmp_path, 100, 101).run()
    for _ in range(2):
        assert pipeline.status("deploy:c") == "failed"
        assert "local-exec" in pipeline.out("deploy:c"), pipeline.out("deploy:c")
        pipeline.retry()
    marker.unlink()
    pipeline.retry()
    assert {job.status for job in pipeline.jobs.values()} == {"success"}, pipeline.out("deploy:c")
    assert "planned again after its failed apply" in pipeline.out("deploy:c")
    assert lease(stacks) is None


def test_an_older_pipeline_is_refused_once_a_newer_one_has_failed_to_plan_another_stack(
    stacks: Repository, tmp_path: Path
) -> None:
    """The newer one reverts `a` before the older one has deployed it, so it has no job for it."""
    generated(stacks, tmp_path, 90, 91).run()
    stacks.write(f"stacks/a/main.tf:{resource('2')}")
    stacks.commit("older")
    older = generated(stacks, tmp_path, 100, 101)
    waiting = {name: older.definitions.pop(name) for name in ("deploy:a", "deploy:b", "report")}
    assert older.run().status("planned") == "success"
    stacks.write(f"stacks/a/main.tf:{resource()}", f'stacks/c/main.tf:{resource("c")}\nlocals {{ x = file("gone") }}\n')
    stacks.commit("newer")
    newer = generated(stacks, tmp_path, 200, 201).run()
    assert (newer.status("plan:c"), newer.status("report")) == ("failed", "failed")
    assert "deploy:a" not in newer.definitions
    commit = stacks.git("rev-parse", "HEAD")[:8]
    stacks.git("branch", "newer")
    stacks.git("reset", "-q", "--hard", "HEAD~1")
    older.definitions |= waiting
    older.run()
    assert older.status("deploy:a") == "failed", older.out("deploy:a")
    assert f"{commit} is deployed, and " in older.out("deploy:a")


def test_a_hook_that_failed_runs_again_in_a_retry_and_in_the_next_pipeline(stacks: Repository, tmp_path: Path) -> None:
    script = f"echo ran >> {tmp_path}/runs; test -e {tmp_path}/fixed"
    config = (stacks.path / "config/pipeline.yaml").read_text()
    hook = f'hooks: [{{stage: deploy, when: after, stacks: [c], command: [sh, -c, "{script}"]}}]'
    stacks.write(f"config/pipeline.yaml:{config}{hook}\n")
    stacks.commit("a hook")
    first = generated(stacks, tmp_path, 100, 101).run()
    first.retry()
    assert first.status("deploy:c") == first.status("report") == "failed"
    again = generated(stacks, tmp_path, 102, 103)
    assert {name for name in again.definitions if ":" in name} == {"deploy:c"}
    (tmp_path / "fixed").touch()
    stacks.log.unlink(missing_ok=True)
    again.run()
    assert {job.status for job in again.jobs.values()} == {"success"}, again.out("deploy:c")
    assert stacks.engine_calls() == []
    assert (tmp_path / "runs").read_text().count("ran") == 3
    last = generated(stacks, tmp_path, 104, 105)
    assert {name for name in last.definitions if ":" in name} == set()


def test_another_pipeline_waits_until_the_report_ended_the_lease(stacks: Repository, tmp_path: Path) -> None:
    first = generated(stacks, tmp_path, 100, 101)
    del first.definitions["report"]
    first.run()
    assert lease(stacks) == "pipeline 100"
    stacks.write(f"stacks/c/main.tf:{resource('c2')}")
    stacks.commit("c is another")
    second = generated(stacks, tmp_path, 200, 201).run()
    assert second.status("deploy:c") == "failed"
    assert "pipeline 100 of main has been deploying 'local'" in second.out("deploy:c")
    again = ChildPipeline(stacks, tmp_path / "pipeline-101-again", 102)  # the parent's trigger was retried
    again.source["variables"]["DOIT_TOFU_PIPELINE"] = "100"
    assert again.run().status("deploy:c") == "success", again.out("deploy:c")
    assert lease(stacks) is None


def test_jobs_at_once_do_not_take_each_other_for_another_pipeline(forge: Forge, tmp_path: Path) -> None:
    """What a job of the same pipeline records between another one's read and its announcement stops nobody."""
    secrets = {"DEPLOY_LEDGER_TOKEN": WRITER, "DEPLOY_LEDGER_KEY": KEY.text}
    forge.clone().doit("ledger", "init", **secrets)
    pipeline = {
        **secrets,
        "GITLAB_CI": "true",
        "CI_PROJECT_ID": "7",
        "CI_PIPELINE_ID": "101",
        "CI_PIPELINE_SOURCE": "parent_pipeline",
        "CI_COMMIT_BRANCH": "main",
    }
    slow, fast, go = forge.clone(), forge.clone(), tmp_path / "go"
    wait = f'case " $* " in *" plan "*) while [ ! -e {go} ]; do sleep 0.1; done ;; esac\nGOGC=off'
    slow.engine_script(LOGGING_ENGINE.format(log=slow.log, tofu=slow.tofu).replace("GOGC=off", wait))
    running = slow.start("ci=job", "deploy:c", **pipeline, DOIT_TOFU_PIPELINE="100")
    wait_for(lambda: slow.log.exists() and " plan " in slow.log.read_text(), "its plan")
    fast.doit("ci=job", "deploy:a", **pipeline, DOIT_TOFU_PIPELINE="100")
    go.touch()
    said = running.communicate()[0]
    assert running.returncode == 0, said
    assert len(slow.engine_calls("apply")) == 1
    assert "pipeline 100 of main has held its lease" in forge.clone().doit("ledger", "check", **secrets).out
    other = forge.clone().doit("deploy", code=1, **{**pipeline, "CI_PIPELINE_ID": "200"})
    assert "pipeline 100 of main has been deploying" in other.out


def _unrecorded(stacks: Repository, tmp_path: Path) -> tuple[ChildPipeline, str]:
    """A pipeline of a commit that changes `c`, whose deploy could not record it at its end; and the commit."""
    generated(stacks, tmp_path, 90, 91).run()
    stacks.write(f"stacks/c/main.tf:{resource('c2')}")
    stacks.commit("c is another")
    pipeline = generated(stacks, tmp_path, 100, 101)
    report = pipeline.definitions.pop("report")
    hook = stacks.path / ".git/hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\n[ ! -e {tmp_path}/once ] && touch {tmp_path}/once\n")
    hook.chmod(0o755)
    pipeline.run()
    hook.unlink()
    assert pipeline.status("deploy:c") == "failed"
    assert "not recorded: c" in pipeline.out("deploy:c")
    pipeline.definitions["report"] = report
    return pipeline, stacks.git("rev-parse", "HEAD")[:8]


@pytest.mark.parametrize("key", [{}, {"DEPLOY_ARTIFACT_KEY": ARTIFACT_KEY}], ids=["plain", "signed"])
def test_the_report_records_what_a_job_could_not(stacks: Repository, tmp_path: Path, key: dict[str, str]) -> None:
    stacks.variables |= key
    pipeline, commit = _unrecorded(stacks, tmp_path)
    pipeline.run()
    assert pipeline.status("report") == "success", pipeline.out("report")
    shown = stacks.doit("status").out
    assert f"last complete deploy: {commit}" in shown
    assert "3 stacks, all up to date" in shown, shown
    assert lease(stacks) is None
    entries = len(stacks.doit("log").out.splitlines())
    del pipeline.jobs["report"]  # once more: it is recorded
    assert pipeline.run().status("report") == "success", pipeline.out("report")
    assert len(stacks.doit("log").out.splitlines()) == entries
    assert "intact" in stacks.doit("audit").out


def test_a_push_records_what_a_job_has_handed_on(stacks: Repository, tmp_path: Path) -> None:
    pipeline, _ = _unrecorded(stacks, tmp_path)
    clone = tmp_path / "elsewhere"
    git(tmp_path, "clone", "-q", str(stacks.path), str(clone))
    shutil.copytree(pipeline.folder("deploy:c"), clone, dirs_exist_ok=True)
    for said in ("recorded: c", "everything on this machine is already recorded"):
        process = stacks.start("ledger", "push", folder=clone)
        out, _ = process.communicate()
        assert process.returncode == 0, out
        assert said in out
    assert " c  applied" in stacks.doit("log").out.splitlines()[0]
    pipeline.run()
    assert pipeline.status("report") == "success", pipeline.out("report")
    assert "3 stacks, all up to date" in stacks.doit("status").out


def test_a_push_says_what_it_does_not_record_as_another_pipeline_has_deployed_it(
    stacks: Repository, tmp_path: Path
) -> None:
    pipeline, _ = _unrecorded(stacks, tmp_path)
    stacks.doit("reason=its runner is gone", "ledger", "release")
    stacks.write(f"stacks/c/main.tf:{resource('c3')}")
    stacks.commit("c3")
    assert generated(stacks, tmp_path, 200, 201).run().status("report") == "success"
    clone = tmp_path / "elsewhere"
    git(tmp_path, "clone", "-q", str(stacks.path), str(clone))
    shutil.copytree(pipeline.folder("deploy:c"), clone, dirs_exist_ok=True)
    before = _head(stacks)["chain"]
    out, _ = stacks.start("ledger", "push", folder=clone).communicate()
    assert "not recorded: c: another run has deployed it since" in out
    assert "already recorded" not in out
    assert _head(stacks)["chain"] == before


def test_a_report_without_what_a_job_could_not_record_is_not_complete(stacks: Repository, tmp_path: Path) -> None:
    pipeline, commit = _unrecorded(stacks, tmp_path)
    shutil.rmtree(pipeline.folder("deploy:c") / ".deploy/local/unrecorded")
    pipeline.run()
    assert pipeline.status("report") == "failed"
    assert "not recorded: c" in pipeline.out("report")
    shown = stacks.doit("status").out
    assert f"last complete deploy: {commit}" not in shown
    assert re.search(r"^c .*affected", shown, re.MULTILINE), shown
    pipeline.retry()
    assert (pipeline.status("deploy:c"), pipeline.status("report")) == ("success", "success")
    assert f"last complete deploy: {commit}" in stacks.doit("status").out


def test_a_job_that_is_retried_alone_after_the_report_ends_the_lease(stacks: Repository, tmp_path: Path) -> None:
    generated(stacks, tmp_path, 90, 91).run()
    fails = (
        f'resource "terraform_data" "no" {{\n  provisioner "local-exec" {{ command = "test -e {tmp_path}/ok" }}\n}}\n'
    )
    stacks.write(f"stacks/c/main.tf:{resource('c2')}{fails}")
    stacks.commit("c fails")
    first = generated(stacks, tmp_path, 100, 101).run()
    assert (first.status("deploy:c"), first.status("report"), lease(stacks)) == ("failed", "failed", None)
    (tmp_path / "ok").touch()
    del first.jobs["deploy:c"]
    assert first.run().status("deploy:c") == "success", first.out("deploy:c")
    assert lease(stacks) is None


def _head(repository: Repository) -> dict[str, Any]:
    envelope = json.loads(repository.git("show", f"{LEDGER}:head"))
    found: dict[str, Any] = json.loads(base64.b64decode(envelope["payload"]))
    return found


def test_jobs_that_are_retried_at_once_after_the_report_end_the_lease_with_the_last_of_them(
    stacks: Repository, tmp_path: Path
) -> None:
    """No stack was left as the commit wants it, so that the report did not name the commit."""

    def slow(name: str) -> str:
        waits = f"until [ -e {tmp_path}/go-{name} ]; do sleep 0.1; done; test -e {tmp_path}/ok"
        return f'resource "terraform_data" "no" {{\n  provisioner "local-exec" {{ command = "{waits}" }}\n}}\n'

    go = [tmp_path / "go-a", tmp_path / "go-c"]
    stacks.write(
        f"stacks/a/main.tf:{resource('2')}{slow('a')}", f"stacks/b/main.tf:{reader('x')}# changed\n",
        f"stacks/c/main.tf:{resource('c2')}{slow('c')}",
    )  # fmt: skip
    stacks.commit("a and c fail")
    for path in go:
        path.touch()
    pipeline = generated(stacks, tmp_path, 100, 101).run()
    assert (pipeline.status("deploy:a"), pipeline.status("report"), lease(stacks)) == ("failed", "failed", None)
    assert _head(stacks)["partly"] == []
    for path in go:
        path.unlink()
    (tmp_path / "ok").touch()
    with ThreadPoolExecutor() as pool:
        jobs = []
        for name in ("a", "c"):
            jobs.append(pool.submit(pipeline.again, f"deploy:{name}"))
            wait_for(lambda name=name: name in _head(stacks)["begun"], "the announcement")
        go[0].touch()
        assert jobs[0].result().status == "success", jobs[0].result().out
        assert lease(stacks) == "pipeline 100"
        go[1].touch()
        assert jobs[1].result().status == "success", jobs[1].result().out
    assert lease(stacks) is None


def test_another_pipeline_of_a_commit_that_was_deployed_in_part_keeps_the_lease_until_its_report(
    stacks: Repository, tmp_path: Path
) -> None:
    failing = (
        f'resource "terraform_data" "no" {{\n  provisioner "local-exec" {{ command = "test -e {tmp_path}/ok" }}\n}}\n'
    )
    stacks.write(f"stacks/c/main.tf:{resource('c2')}{failing}")
    stacks.commit("c fails")
    first = generated(stacks, tmp_path, 100, 101).run()
    assert (first.status("deploy:c"), len(_head(stacks)["partly"])) == ("failed", 1)
    (tmp_path / "ok").touch()
    second = generated(stacks, tmp_path, 200, 201)
    report = second.definitions.pop("report")
    assert second.run().status("deploy:c") == "success", second.out("deploy:c")
    assert lease(stacks) == "pipeline 200"
    second.definitions["report"] = report
    assert second.run().status("report") == "success", second.out("report")
    assert lease(stacks) is None


def test_a_job_that_had_announced_nothing_ends_the_lease_when_it_is_retried_alone(
    stacks: Repository, tmp_path: Path
) -> None:
    """All plans are refused before anything is announced, so that the pipeline leaves nothing else in the ledger."""
    pipeline = generated(stacks, tmp_path, 100, 101)
    plans = {name: pipeline.folder(name) for name in pipeline.definitions if name.startswith("plan:")}
    waiting = {name: pipeline.definitions.pop(name) for name in list(pipeline.definitions) if name not in plans}
    pipeline.run()
    kept = {name: folder.rename(f"{folder}-kept") for name, folder in plans.items()}
    for folder in plans.values():
        copy_tree(Path(f"{folder}-kept"), folder)
        for plan in folder.rglob("plan.tfplan"):
            plan.write_bytes(b"damaged")
    pipeline.definitions |= waiting
    pipeline.run()
    assert {pipeline.status(f"deploy:{name}") for name in "ac"} == {"failed"}, pipeline.out("deploy:a")
    assert (pipeline.status("report"), _head(stacks)["complete"], _head(stacks)["partly"]) == ("failed", [], [])
    for name, folder in kept.items():
        copy_tree(folder, plans[name])
    assert pipeline.again("deploy:c").status == "success"
    assert lease(stacks) is None


def test_a_pipeline_that_was_planned_before_another_one_deployed_the_same_has_nothing_to_do(
    stacks: Repository, tmp_path: Path
) -> None:
    """A merge right after another one: its plans are of `a` and `b`, too, as the first was not deployed yet."""
    generated(stacks, tmp_path, 90, 91).run()
    stacks.write(f"stacks/a/main.tf:{resource('2')}", f"stacks/b/main.tf:{reader('x')}# changed\n")
    stacks.commit("a and b")
    first = generated(stacks, tmp_path, 100, 101)
    stacks.write(f"stacks/c/main.tf:{resource('c2')}")
    second = stacks.commit("c, too")
    later = generated(stacks, tmp_path, 200, 201)
    deploys = {name: later.definitions.pop(name) for name in [*later.definitions] if not name.startswith("plan:")}
    assert set(later.run().jobs) == {"plan:a", "plan:b", "plan:c"}
    stacks.git("branch", "later")
    stacks.git("reset", "-q", "--hard", "HEAD~1")
    first.run()
    assert {job.status for job in first.jobs.values()} == {"success"}, first.out("report")
    stacks.git("reset", "-q", "--hard", "later")
    later.definitions |= deploys
    stacks.log.unlink(missing_ok=True)
    later.run()
    assert {job.status for job in later.jobs.values()} == {"success"}, later.out("deploy:a") + later.out("deploy:b")
    assert "another run has deployed it as this commit wants it" in later.out("deploy:a")
    assert [call.split()[0] for call in stacks.engine_calls("apply")] == ["c"]
    found = _head(stacks)
    assert (found["complete"][0], found["lease"], found["begun"]) == (second, None, {})


def test_a_plan_is_refused_where_another_pipeline_has_deployed_something_else(
    stacks: Repository, tmp_path: Path
) -> None:
    generated(stacks, tmp_path, 90, 91).run()
    stacks.write(f"stacks/c/main.tf:{resource('c2')}")
    stacks.commit("c2")
    first = generated(stacks, tmp_path, 100, 101)
    stacks.write(f"stacks/c/main.tf:{resource('c3')}")
    stacks.commit("c3")
    later = generated(stacks, tmp_path, 200, 201)
    deploys = {name: later.definitions.pop(name) for name in [*later.definitions] if not name.startswith("plan:")}
    later.run()
    stacks.git("branch", "later")
    stacks.git("reset", "-q", "--hard", "HEAD~1")
    first.run()
    stacks.git("reset", "-q", "--hard", "later")
    later.definitions |= deploys
    later.run()
    assert (later.status("deploy:c"), later.status("report")) == ("failed", "failed")
    assert "another plan was applied since this one was made" in later.out("deploy:c")
