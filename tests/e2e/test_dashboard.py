"""The dashboard shows the records of real runs, from every kind of source, to those with access, in a real browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.repository import ROOT, Repository, minimal_config, reader, resource, wait_for
from tests.servers.dashboard import Dashboard
from tests.servers.fileserver import TOKEN, FileServer
from tests.servers.objectstore import ACCESS_KEY, SECRET_KEY, ObjectStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NASTY = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
BROKEN = '\nresource "terraform_data" "bad" {\n  provisioner "local-exec" {\n    command = "exit 3"\n  }\n}\n'
CONFIG = """
stacks:
  web: {inputs: {x: network.value}}
  edge/cdn: {inputs: {x: web.value}}
"""


@pytest.fixture
def serve() -> Iterator[Callable[..., Dashboard]]:
    """Starts dashboards and stops them after the test."""
    started: list[Dashboard] = []

    def start(source: Path | str, **variables: str) -> Dashboard:
        started.append(Dashboard(source, **variables))
        return started[-1]

    yield start
    for dashboard in started:
        dashboard.stop()


@pytest.fixture
def deployed(build: Callable[..., Repository]) -> Repository:
    """Three stacks in a row, deployed by a pipeline; then one that drifted, one that failed, and a plan for another."""
    text = "".join(f"line {number}\n" for number in range(30))
    repository = build(
        minimal_config(CONFIG),
        f"stacks/network/main.tf:{resource('10.0.0.0/16')}",
        f"stacks/web/main.tf:{reader('x')}",
        f"stacks/edge/cdn/main.tf:{reader('x')}",
        "config/environments/prod.yaml:{}\n",
    )
    repository.variables |= {
        "GITLAB_CI": "true", "CI_PIPELINE_ID": "4711", "CI_PIPELINE_URL": "https://gitlab.example.test/p/4711",
        "GITLAB_USER_LOGIN": "ada", "CI_COMMIT_BRANCH": "main",
    }  # fmt: skip
    repository.prepare("-n", "1", "deploy")
    value = json.dumps(f"{NASTY}\n{text}").replace("${", "$${")
    notes = f'\nresource "terraform_data" "notes" {{\n  input = {value}\n}}\n'
    repository.write(f"stacks/web/main.tf:{reader('x')}{notes}")
    repository.commit("notes")
    repository.prepare("-n", "1", "deploy")
    state = repository.state("network")
    state |= {"resources": [], "serial": state["serial"] + 1}
    (repository.path / ".state/network-local.tfstate").write_text(json.dumps(state))
    repository.forget_addresses("network")
    repository.prepare("drift", code=2)
    repository.write(f"stacks/edge/cdn/main.tf:{reader('x')}{BROKEN}")
    repository.commit("broken")
    repository.prepare("deploy:edge/cdn", code=1)
    repository.prepare("env=prod", "plan")
    return repository


def run_ids(repository: Repository) -> list[str]:
    return sorted(path.stem for path in repository.deploy_dir("runs").glob("*.json"))


def words(page: str) -> str:
    """The text of a page on one line, without marks and comments."""
    return " ".join(re.sub(r"<[^>]*>", "", re.sub(r"<!--.*?-->", "", page)).split())


# Pages


def test_every_page_is_clean_in_a_real_browser_on_phone_and_desktop_in_light_and_dark(
    deployed: Repository, serve: Callable[..., Dashboard]
) -> None:
    dashboard = serve(deployed.path / ".deploy")
    first, *_, last = [f"/env/local/runs/{run}" for run in run_ids(deployed)]
    pages = [
        "/", "/?show=attention", "/env/local", "/env/prod", "/env/local/runs", first, last, "/env/local/stacks/web",
        "/env/local/stacks/edge/cdn", "/env/local/stacks/network", "/env/local/drift", "/env/prod/drift",
        "/env/local/trends", "/search?q=net", "/compare?one=local&other=prod",
        f"/compare?one=local/{run_ids(deployed)[0]}&other=local/{run_ids(deployed)[-1]}",
    ]  # fmt: skip
    visits = dashboard.visit(*pages)
    assert len(visits) == 4 * len(pages)
    assert [visit for visit in visits if visit["status"] != 200] == []
    assert [visit for visit in visits if visit["violations"]] == [], "axe-core has no serious findings"
    assert [visit for visit in visits if visit["said"]] == [], (
        "no error, no blocked style or script, no external request"
    )
    assert [visit for visit in visits if visit["wide"] > 0] == [], "no page is wider than the window"


def test_the_first_page_and_the_stack_show_what_was_deployed_when_and_by_which_pipeline(
    deployed: Repository, serve: Callable[..., Dashboard]
) -> None:
    dashboard = serve(deployed.path / ".deploy")
    commit = deployed.git("rev-parse", "--short=8", "HEAD~1")
    home, stack = dashboard.get("/").text, dashboard.get("/env/local/stacks/web").text
    for words in ("drifted", "apply failed", "edge/cdn", "prod"):
        assert words in home
    assert "the last apply failed" in dashboard.get("/env/local").text
    for words in (commit, "https://gitlab.example.test/p/4711", "ada", "terraform_data.notes"):
        assert words in stack
    assert NASTY not in home + stack
    assert "&lt;script>alert(1)&lt;/script>" in stack
    unknown = dashboard.get("/env/local/stacks/web?run=not-a-run").text
    assert "Latest plan" in unknown
    assert "Plan in this run" not in unknown


def test_a_run_shows_what_failed_and_what_each_task_waited_for(
    deployed: Repository, serve: Callable[..., Dashboard]
) -> None:
    dashboard = serve(deployed.path / ".deploy")
    first, *_, last = run_ids(deployed)
    assert 'href="#deploy:network"' in dashboard.get(f"/env/local/runs/{first}").text
    page = dashboard.get(f"/env/local/runs/{last}").text
    assert "local-exec provisioner error" in page
    assert "all plans" in page
    assert page.index("Failure of deploy:edge/cdn") < page.index("<dt>Started</dt>"), "the failure comes first"
    assert f"/env/local/stacks/edge/cdn?run={last}" in page


def test_drift_is_new_then_known_then_resolved(deployed: Repository, serve: Callable[..., Dashboard]) -> None:
    dashboard = serve(deployed.path / ".deploy")

    def group(title: str) -> str:
        """The text of one of the three groups."""
        return dashboard.get("/env/local/drift").text.partition(f'id="group-{title}"')[2].partition("</section>")[0]

    assert "terraform_data.it" in group("New")
    deployed.doit("drift:network", code=2)
    wait_for(lambda: "terraform_data.it" in group("Known"), "the drift to be known")
    for command in ("doit deploy --repair network", "doit drift --adopt network", "doit drift:network"):
        assert command in dashboard.get("/env/local/drift").text
    assert "terraform_data.it" not in group("New")
    deployed.doit("-a", "deploy:network")
    wait_for(lambda: "terraform_data.it" in group("Resolved"), "the drift to be resolved")


def test_a_run_is_shown_as_running_and_as_killed_once_it_was_killed(
    build: Callable[..., Repository], serve: Callable[..., Dashboard]
) -> None:
    slow = '\nresource "terraform_data" "slow" {\n  provisioner "local-exec" {\n    command = "sleep 600"\n  }\n}\n'
    repository = build(minimal_config(), f"stacks/a/main.tf:{resource(extra=slow)}")
    repository.doit("plan")
    dashboard = serve(repository.path / ".deploy")
    with urllib.request.urlopen(f"{dashboard.url}/events", timeout=60) as events:
        first = next(line for line in events if line.startswith(b"data:"))
        process = repository.start("deploy")
        assert next(line for line in events if line.startswith(b"data:")) != first, "the browser hears of the new run"
    wait_for(lambda: len(run_ids(repository)) == 2, "the run's record")
    path = f"/env/local/runs/{run_ids(repository)[-1]}"
    wait_for(lambda: 'id="deploy:a"' in dashboard.get(path).text, "the running deploy")
    assert "running" in dashboard.get(path).text
    process.send_signal(signal.SIGKILL)
    process.communicate()
    record = repository.deploy_dir("runs", f"{run_ids(repository)[-1]}.json")
    stale = json.loads(record.read_text()) | {"written_at": "2026-01-01T00:00:00+00:00"}
    record.write_text(json.dumps(stale))
    wait_for(lambda: "This run never finished" in dashboard.get(path).text, "the run to be shown as killed")


# Sources


def test_it_shows_what_was_published_to_an_http_server(deployed: Repository, serve: Callable[..., Dashboard]) -> None:
    server = FileServer()
    deployed.doit("publish", DEPLOY_PUBLISH__TO=server.url, DEPLOY_PUBLISH_TOKEN=TOKEN)
    dashboard = serve(server.url, DASHBOARD_TOKEN=TOKEN)
    assert "terraform_data.notes" in dashboard.get("/env/local/stacks/web").text
    assert "all plans" in dashboard.get(f"/env/local/runs/{run_ids(deployed)[0]}").text
    deployed.doit("verify", "drift", code=2)
    deployed.doit("publish", DEPLOY_PUBLISH__TO=server.url, DEPLOY_PUBLISH_TOKEN=TOKEN)
    wait_for(lambda: run_ids(deployed)[-1] in dashboard.get("/env/local/runs").text, "the new run")
    server.faults += [(500, {})] * 10_000
    wait_for(lambda: dashboard.get("/readyz").status == 503, "it to report that it cannot read")
    assert "cannot be read" in dashboard.get("/").text
    assert "edge/cdn" in dashboard.get("/").text, "the last data read is still shown"
    server.stop()


def test_it_shows_what_was_published_to_s3(
    deployed: Repository, serve: Callable[..., Dashboard], object_store: ObjectStore
) -> None:
    object_store.create("shown")
    keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_DEFAULT_REGION": "us-east-1"}
    to = {"DEPLOY_PUBLISH__TO": "s3://shown/some/where", "DEPLOY_PUBLISH__ENDPOINT": object_store.url}
    deployed.doit("publish", **to, **keys)
    dashboard = serve("s3://shown/some/where", DASHBOARD_S3_ENDPOINT=object_store.url, **keys)
    assert "terraform_data.notes" in dashboard.get("/env/local/stacks/web").text


def test_a_folder_without_records_says_what_to_do(serve: Callable[..., Dashboard], tmp_path: Path) -> None:
    dashboard = serve(tmp_path)
    assert "No runs yet" in dashboard.get("/").text
    assert dashboard.get("/readyz").status == 200


def test_a_missing_source_is_not_ready_and_says_so(serve: Callable[..., Dashboard], tmp_path: Path) -> None:
    dashboard = serve(tmp_path / "none")
    assert (dashboard.get("/healthz").status, dashboard.get("/readyz").status) == (200, 503)
    page = dashboard.get("/").text
    assert "the folder does not exist" in page
    assert "not up to date" in page
    assert "live</span" not in page
    assert "No runs were read yet" in page
    assert "the last data that was read" not in page, "there is none"


@pytest.mark.parametrize(
    "source", ["ftp://records.example.test/x", "https://ada:secret@records.example.test", "ledger:"]
)
def test_a_source_that_cannot_be_one_is_refused_at_the_start(source: str) -> None:
    done = subprocess.run(
        ["node", str(ROOT / "app/build/index.js")], capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "DASHBOARD_SOURCE": source, "HOST": "127.0.0.1", "PORT": "0"},
    )  # fmt: skip
    assert done.returncode == 1
    assert "the dashboard cannot start: DASHBOARD_SOURCE must" in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"DASHBOARD_USERS": "ada"}, "DASHBOARD_USERS is set, but not DASHBOARD_USER_HEADER"),
        (
            {"DASHBOARD_USER_HEADER": "X-User"},
            "DASHBOARD_USER_HEADER is set, but not DASHBOARD_USERS: list who has access",
        ),
        (
            {"DASHBOARD_USER_HEADER": "X-User", "DASHBOARD_USERS": "ada", "DASHBOARD_PROXIES": "10.0.0.0/99"},
            "DASHBOARD_PROXIES: 10.0.0.0/99 is not an IP address or network",
        ),
    ],
)
def test_access_control_that_cannot_be_meant_is_refused_at_the_start_in_a_sentence(
    tmp_path: Path, variables: dict[str, str], said: str
) -> None:
    done = subprocess.run(
        ["node", str(ROOT / "app/build/index.js")], capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "DASHBOARD_SOURCE": str(tmp_path), "HOST": "127.0.0.1", "PORT": "0", **variables},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(f"the dashboard cannot start: {said}")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("path", ["/", "/env/local", "/healthz", "/_app/version.json"])
@pytest.mark.parametrize("by", ["another", "none"])
def test_a_build_that_is_replaced_while_it_runs_says_so_and_ends(
    serve: Callable[..., Dashboard], tmp_path: Path, path: str, by: str
) -> None:
    """Its code is loaded as pages are visited and its files are read as they are asked for: it cannot go on."""
    app, log = tmp_path / "app", tmp_path / "log"
    dashboard = serve(tmp_path)
    dashboard.stop()
    shutil.copytree(ROOT / "app/build", app / "build")
    shutil.copy(ROOT / "app/package.json", app)
    dashboard.start(app / "build", log)
    (app / "build").rename(app / "earlier")
    if by == "another":
        shutil.copytree(ROOT / "app/build/server", app / "build/server")
        (app / "build/index.js").write_text("another build")
    with suppress(OSError):  # of a file that is missing there is no answer
        answer = dashboard.get(path)
        assert answer.status in (500, 503)
        assert "another build has taken the place of this one" in answer.text
    assert dashboard.ended() == 1
    said = log.read_text()
    assert f"{app / 'build/index.js'}: another build has taken the place of this one while it ran, so it ends" in said
    assert " at " not in said.replace("Listening on", ""), "no stack trace"


def test_a_plan_that_destroys_is_marked_so_in_every_list(
    build: Callable[..., Repository], serve: Callable[..., Dashboard]
) -> None:
    repository = build(minimal_config(), f"stacks/a/main.tf:{resource('1')}")
    repository.prepare("deploy")
    repository.write('stacks/a/main.tf:terraform {\n  backend "local" {}\n}\n')
    repository.commit("away")
    repository.prepare("plan")
    dashboard = serve(repository.path / ".deploy")
    last = run_ids(repository)[-1]
    compared = f"/compare?one=local/{last}&other=local/{last}"
    for page in ("/env/local", "/env/local/runs", f"/env/local/runs/{last}", compared):
        assert (
            "1 to destroy" in dashboard.get(page).text.partition("<h2>Tasks</h2>" if page == compared else "<main")[2]
        )


def test_a_search_finds_stacks_runs_and_resources(deployed: Repository, serve: Callable[..., Dashboard]) -> None:
    dashboard = serve(deployed.path / ".deploy")
    commit = deployed.git("rev-parse", "HEAD~1")
    for query, found in {
        "edge": "/env/local/stacks/edge/cdn", "4711": "doit drift", "ada": "doit drift", commit[:10]: "doit drift",
        "data.notes": "terraform_data.notes", "zzz": "Nothing found",
    }.items():  # fmt: skip
        assert found in dashboard.get(f"/search?q={query}").text, query


def test_environments_are_compared_and_the_one_that_follows_is_behind(
    build: Callable[..., Repository], serve: Callable[..., Dashboard]
) -> None:
    repository = build(
        minimal_config(), f"stacks/a/main.tf:{resource('1')}", "config/environments/prod.yaml:{follows: local}\n"
    )
    repository.prepare("deploy")
    repository.prepare("env=prod", "deploy")
    dashboard = serve(repository.path / ".deploy")
    assert "No stack of prod is behind local" in words(dashboard.get("/compare?one=local&other=prod").text)
    time.sleep(1.1)  # receipts have whole seconds
    repository.write(f"stacks/a/main.tf:{resource('2')}")
    repository.commit("two")
    repository.prepare("deploy")
    wait_for(
        lambda: "1 stack of prod is behind local" in words(dashboard.get("/compare?one=local&other=prod").text),
        "prod to be behind",
    )
    assert "1 stack behind local" in words(dashboard.get("/").text)


def test_incomplete_and_invalid_records_are_left_out(deployed: Repository, serve: Callable[..., Dashboard]) -> None:
    runs = deployed.deploy_dir("runs")
    (runs / "20260101T000000Z-aaaaaa.json").write_text('{"id": "20260101T0000')
    (runs / "20260101T000001Z-aaaaaa.json").write_text("[]")
    (runs / "20260101T000002Z-aaaaaa.json").write_bytes(b"\xff\xfe\x00")
    with (runs / f"{run_ids(deployed)[-1]}.jsonl").open("a") as stream:
        stream.write('{"task":"deploy:edge/cdn","sta')
    dashboard = serve(deployed.path / ".deploy")
    assert dashboard.get("/env/local").status == 200
    assert dashboard.get(f"/env/local/runs/{run_ids(deployed)[-1]}").status == 200
    assert dashboard.get("/env/local/runs/20260101T000001Z-aaaaaa").status == 404
    unknown = dashboard.get("/env/nosuch")
    assert unknown.status == 404
    assert "/env/nosuch/runs" not in unknown.text  # no tabs of an environment that is not there


def test_records_with_duplicate_names_markup_and_javascript_names_are_shown_and_pages_keep_working(
    deployed: Repository, serve: Callable[..., Dashboard]
) -> None:
    runs = deployed.deploy_dir("runs")
    last = run_ids(deployed)[-1]
    record = json.loads((runs / f"{last}.json").read_text())
    [task] = [task for task in record["tasks"] if task["stage"] == "deploy"]
    twice = {"reasons": [NASTY, NASTY], "needs": ["plan:x", "plan:x"], "checks": [NASTY, NASTY], "summary": NASTY}
    record |= {
        "tasks": [{**item, **twice, "status": "failed"} for item in [*record["tasks"], task]], "verdict": NASTY, "branch": NASTY, "command": NASTY,
        "pipeline": {"forge": "gitlab", "id": NASTY, "actor": NASTY, "url": "javascript:alert(3)", "review": NASTY},
        "graph": {**record["graph"], "__proto__": [NASTY], "constructor": ["__proto__"], NASTY: [NASTY]},
        "host": NASTY,
    }  # fmt: skip
    (runs / f"{last}.json").write_text(json.dumps(record))
    change = {
        "address": NASTY, "action": "constructor", "before": {"__proto__": NASTY, "a.b": 1, "a": {"b": 2}},
        "after": {"__proto__": {"x": NASTY}, "a.b": 2, "a": {"b": 3}},
    }  # fmt: skip
    line = {
        "task": "deploy:edge/cdn", "stage": "deploy", "stack": "edge/cdn", "status": "failed", "summary": NASTY, **twice,
        "log": NASTY, "error": NASTY, "details": {"changes": {"resources": [change, change], "outputs": [change]}},
    }  # fmt: skip
    problem = {
        "kind": "engine error", "summary": NASTY, "where": {"file": NASTY, "line": 3, "key": NASTY}, "stack": NASTY,
        "untouched": NASTY, "next": {"command": ["doit", NASTY], "text": NASTY}, "details": NASTY, "log": NASTY,
    }  # fmt: skip
    planned = line | {"task": "plan:edge/cdn", "stage": "plan", "problem": problem}
    (runs / f"{last}.jsonl").write_text(json.dumps(line) + "\n" + json.dumps(planned) + "\n")
    overview = deployed.json("overview.json")
    known = overview["stacks"]["edge/cdn"]
    facts = {key: {**fact, "text": NASTY} if isinstance(fact, dict) else fact for key, fact in known.items()}
    overview["stacks"] |= {NASTY: {**facts, "needs": [NASTY, NASTY]}, "__proto__": facts, "constructor": facts}
    deployed.deploy_dir("overview.json").write_text(json.dumps(overview))
    shutil.copytree(deployed.deploy_dir(), deployed.path / ".deploy/__proto__")
    dashboard = serve(deployed.path / ".deploy")
    visits = dashboard.visit(
        "/", "/env/local", "/env/local/runs", f"/env/local/runs/{last}", "/env/local/stacks/edge/cdn",
        f"/env/local/stacks/{quote(NASTY, safe='')}", "/env/local/stacks/constructor", "/env/local/drift",
    )  # fmt: skip
    assert [(visit["path"], visit["said"]) for visit in visits if visit["status"] != 200 or visit["said"]] == []
    assert [visit["path"] for visit in visits if visit["wide"] > 0] == []
    run = dashboard.get(f"/env/local/runs/{last}").text
    assert "javascript:alert" not in run
    assert "engine error" in run
    assert "&lt;script>alert(1)&lt;/script>" in run
    assert NASTY not in run


def test_the_link_to_a_failed_stack_is_marked_by_more_than_its_colour(
    deployed: Repository, serve: Callable[..., Dashboard]
) -> None:
    """Readers of a page count a heading as text if the stage's name is longer than the stack's."""
    last = deployed.deploy_dir("runs") / f"{run_ids(deployed)[-1]}.json"
    last.write_text(last.read_text().replace("edge/cdn", "web"))
    dashboard = serve(deployed.path / ".deploy")
    page = f"/env/local/runs/{last.stem}"
    assert "Failure of deploy:web" in dashboard.get(page).text
    assert [visit["violations"] for visit in dashboard.visit(page)] == [[], [], [], []]


def test_a_failure_is_shown_with_what_is_untouched_and_the_command_to_run_next(
    deployed: Repository, serve: Callable[..., Dashboard]
) -> None:
    dashboard = serve(deployed.path / ".deploy")
    for page in (f"/env/local/runs/{run_ids(deployed)[-1]}", "/env/local/stacks/edge/cdn"):
        text = dashboard.get(page).text
        for shown in ("engine error", "apply failed", "the rest is unchanged", "fix the cause", "doit deploy"):
            assert shown in text, page


def test_records_of_a_newer_format_are_shown_as_far_as_known_with_a_note(
    deployed: Repository, serve: Callable[..., Dashboard]
) -> None:
    path = deployed.deploy_dir("runs", f"{run_ids(deployed)[-1]}.json")
    record = json.loads(path.read_text())
    dashboard = serve(deployed.path / ".deploy")
    assert "A newer doit-tofu" not in dashboard.get("/").text
    path.write_text(json.dumps(record | {"format": 3, "tasks": {"by": "name"}, "ended_at": 17}))
    newer = serve(deployed.path / ".deploy")
    for page in ("/", "/env/local", "/env/local/runs", f"/env/local/runs/{record['id']}", "/env/local/stacks/edge/cdn"):
        answer = newer.get(page)
        assert answer.status == 200
        assert "A newer doit-tofu" in answer.text


# Access


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory, tofu: Path) -> Iterator[Dashboard]:
    """A dashboard of one stack's plan, for tests that only ask it."""
    repository = Repository.create(
        tmp_path_factory.mktemp("planned"), tofu, minimal_config(), f"stacks/a/main.tf:{resource()}"
    )
    repository.doit("plan")
    dashboard = Dashboard(repository.path / ".deploy")
    yield dashboard
    dashboard.stop()


def test_only_users_named_by_the_proxy_have_access_where_that_is_configured(
    deployed: Repository, serve: Callable[..., Dashboard]
) -> None:
    dashboard = serve(deployed.path / ".deploy", DASHBOARD_USER_HEADER="X-Forwarded-User", DASHBOARD_USERS="ada,bob")
    for path in ("/", "/env/local", "/events", "/env/local/__data.json"):
        assert dashboard.get(path).status == 403
    assert dashboard.get("/", X_Forwarded_User="eve").status == 403
    assert "ada" in dashboard.get("/", X_Forwarded_User="ada").text
    assert dashboard.get("/healthz").status == 200
    far = serve(
        deployed.path / ".deploy",
        DASHBOARD_USER_HEADER="X-Forwarded-User",
        DASHBOARD_USERS="*",
        DASHBOARD_PROXIES="10.0.0.1",
    )
    assert far.get("/", X_Forwarded_User="ada").status == 403, "a header from an untrusted address is ignored"


@pytest.mark.parametrize(
    "path",
    [
        "/env/..%2f..%2f..%2fetc", "/env/local/runs/..%2f..%2freceipts%2fweb", "/env/local/runs/..%2foverview",
        "/env/.cache", "/env/local/stacks/..%2f..%2f..%2fetc%2fpasswd", "/env/local%00",
        "/env/__proto__", "/_app/..%2f..%2f..%2fpackage.json", "/env/local/stacks/constructor",
    ],
)  # fmt: skip
def test_no_path_leads_out_of_the_records(planned: Dashboard, path: str) -> None:
    answer = planned.get(path)
    assert answer.status in (400, 404)
    assert "root:" not in answer.text


def test_every_answer_has_security_headers(planned: Dashboard) -> None:
    for path in ("/", "/env/local", "/env/none"):
        headers = planned.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "'unsafe-inline'" not in policy
        assert "frame-ancestors 'none'" in policy
        assert (headers["X-Content-Type-Options"], headers["X-Frame-Options"], headers["Referrer-Policy"]) == (
            "nosniff", "DENY", "no-referrer",
        )  # fmt: skip


def test_health_names_the_version_that_was_deployed_and_the_build(
    serve: Callable[..., Dashboard], tmp_path: Path
) -> None:
    found = json.loads(serve(tmp_path, DASHBOARD_VERSION="abc").get("/healthz").text)
    assert found == {"status": "ok", "version": "abc", "build": (ROOT / "app/build/version").read_text().strip()}
