"""Open pages follow a run in a real browser: without a reload, and after the server was down."""

from __future__ import annotations

import http.server
import json
import shutil
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.repository import ROOT, Repository, minimal_config, reader, resource, wait_for
from tests.servers.browser import Browser
from tests.servers.dashboard import Dashboard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A browser, ended after the test."""
    browser = Browser()
    yield browser
    browser.stop()


@pytest.fixture
def row(build: Callable[..., Repository]) -> Repository:
    """`a --> b`, and two more; all of them deployed."""
    repository = build(
        minimal_config("stacks:\n  b: {inputs: {x: a.value}}\n"),
        f"stacks/a/main.tf:{resource('one')}",
        f"stacks/b/main.tf:{reader('x')}",
        f"stacks/c/main.tf:{resource()}",
        f"stacks/d/main.tf:{resource()}",
    )
    repository.prepare("deploy")
    return repository


@pytest.fixture
def dashboard(row: Repository) -> Iterator[Dashboard]:
    """A dashboard of the repository's records."""
    dashboard = Dashboard(row.path / ".deploy")
    yield dashboard
    dashboard.stop()


def gated(gate: Path) -> str:
    """A resource whose apply lasts until a file is there."""
    return (
        '\nresource "terraform_data" "slow" {\n  provisioner "local-exec" {\n'
        f'    command = "until test -e {gate}; do sleep 0.1; done"\n  }}\n}}\n'
    )


def latest_run(repository: Repository) -> str:
    """The id of the run that began last."""
    return max(path.stem for path in repository.deploy_dir("runs").glob("*.json"))


def test_open_pages_follow_a_deploy_in_place_with_focus_typing_and_scroll_kept(
    row: Repository, dashboard: Dashboard, browser: Browser, tmp_path: Path
) -> None:
    gates = {name: tmp_path / f"{name} may end".replace(" ", "-") for name in ("a", "b")}
    row.write(f"stacks/a/main.tf:{resource('two', extra=gated(gates['a']))}")
    row.write(f"stacks/b/main.tf:{reader('x')}{gated(gates['b'])}")
    commit = row.commit("slow ones")[:8]
    before = latest_run(row)
    home = browser.tab("home", f"{dashboard.url}/")
    environment = browser.tab("environment", f"{dashboard.url}/env/local")
    stack = browser.tab("stack", f"{dashboard.url}/env/local/stacks/a")

    home.run("document.querySelector('tbody a[href$=\"/stacks/b\"]').focus()")
    environment.do("click", "#filter")
    environment.do("type", "half a wor")
    stack.run("document.querySelector('dd a[href$=\"/stacks/b\"]').focus({preventScroll: true})")
    for tab in (home, environment, stack):
        tab.run("scrollTo(0, 40)")
        tab.mark()

    process = row.start("deploy")
    wait_for(lambda: latest_run(row) != before, "the new run's record")
    address = f"/env/local/runs/{latest_run(row)}"
    home.wait(f"document.querySelector('a[href=\"{address}\"]')")
    environment.wait(f"document.querySelector('h1 ~ p a[href=\"{address}\"]')")

    run = browser.tab("run", dashboard.url + address)
    run.wait_for_text("[id='deploy:a'] .state", "running")
    run.run("document.querySelector('[id=\"plan:a\"] summary').focus()")
    run.do("press", "Enter")
    run.run("scrollTo(0, 40)")
    run.mark()

    gates["a"].touch()
    run.wait_for_text("[id='deploy:a'] .state", "ok")
    run.wait_for_text("[id='deploy:b'] .state", "running")
    stack.wait_for_text("tbody", "doit deploy")

    gates["b"].touch()
    process.communicate(timeout=60)
    assert process.returncode == 0
    run.wait_for_text("[id='deploy:b'] .state", "ok")
    run.wait_for_text(".verdict", "2 deployed")
    for tab in (home, environment):
        tab.wait(f"document.querySelector('.pulse') === null && document.body.textContent.includes('{commit}')")
    stack.wait_for_text("dd", commit)

    for tab in (home, environment, stack, run):
        kept = tab.kept()
        assert (tab.name, kept["page"], kept["focus"]) == (tab.name, True, True)
    assert environment.run("document.querySelector('#filter').value") == "half a wor"
    assert run.run("document.querySelector('[id=\"plan:a\"] details').open") is True
    assert [tab.kept()["scroll"] for tab in (home, environment, stack, run)] == [0, 0, 0, 0]


def test_a_page_survives_a_restart_of_its_server_and_then_shows_what_happened_meanwhile(
    row: Repository, dashboard: Dashboard, browser: Browser
) -> None:
    home = browser.tab("home", f"{dashboard.url}/env/local/runs", clock=True)
    home.mark()
    dashboard.stop()
    home.wait_for_text(".live", "disconnected")
    home.do("pass", 300_000)
    row.doit("verify")
    dashboard.start()
    home.do("pass", 5_000)
    home.wait_for_text(".live", "\u25cf live")
    home.do("pass", 5_000)
    home.wait_for_text("tbody", "doit verify")
    assert home.kept()["page"] is True


def test_a_page_reconnects_after_a_proxy_had_no_server_to_reach(
    row: Repository, dashboard: Dashboard, browser: Browser
) -> None:
    home = browser.tab("home", f"{dashboard.url}/env/local/runs")
    home.mark()
    dashboard.stop()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.set()
            self.send_error(502)

        def log_message(self, *_: object) -> None:
            pass

    asked = threading.Event()
    http.server.ThreadingHTTPServer.allow_reuse_address = True
    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", dashboard.port), Handler)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    assert asked.wait(60)
    home.wait_for_text(".live", "disconnected")
    proxy.shutdown()
    proxy.server_close()
    dashboard.start()
    home.wait_for_text(".live", "\u25cf live")
    row.doit("verify")
    home.wait_for_text("tbody", "doit verify")
    assert home.kept()["page"] is True


def test_records_that_change_during_navigation_do_not_cancel_it(
    row: Repository, dashboard: Dashboard, browser: Browser
) -> None:
    tab = browser.tab("reader", f"{dashboard.url}/env/local")
    tab.do("slow", 3_000)
    tab.run("document.querySelector('.tabs a[href$=\"/drift\"]').click()")
    row.doit("verify")
    tab.wait_for_text("h1", "Drift in local")


def test_a_run_that_ended_between_the_page_and_its_connection_is_not_missed(
    row: Repository, dashboard: Dashboard, browser: Browser
) -> None:
    tab = browser.tab("late", f"{dashboard.url}/env/local/runs")
    tab.run("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    tab.run("document.dispatchEvent(new Event('visibilitychange'))")
    row.doit("verify")
    wait_for(lambda: "doit verify" in dashboard.get("/env/local/runs").text, "the run")
    assert "doit verify" not in tab.run("document.body.textContent"), "a hidden tab fetches nothing"
    tab.run("delete document.hidden")
    tab.run("document.dispatchEvent(new Event('visibilitychange'))")
    tab.wait_for_text("tbody", "doit verify")


def test_a_page_of_another_build_reloads_once(
    row: Repository, dashboard: Dashboard, browser: Browser, tmp_path: Path
) -> None:
    tab = browser.tab("old", f"{dashboard.url}/env/local/runs")
    tab.mark()
    shutil.copytree(ROOT / "app/build", tmp_path / "build", ignore=shutil.ignore_patterns("*.br", "*.gz"))
    (tmp_path / "package.json").write_text('{"type": "module"}')
    built = (ROOT / "app/build/version").read_text().strip()
    for path in tmp_path.rglob("*.js"):
        path.write_text(path.read_text().replace(built, built[::-1]))
    dashboard.stop()
    dashboard.start(tmp_path / "build")
    tab.wait("!('mark' in window)")
    tab.wait_for_text(".live", "\u25cf live")
    tab.mark()
    row.doit("verify")
    tab.wait_for_text("tbody", "doit verify")
    assert tab.kept()["page"] is True


def test_a_killed_run_is_shown_as_killed_although_no_file_changes(
    row: Repository, browser: Browser, tmp_path: Path
) -> None:
    ahead, clock = tmp_path / "ahead", tmp_path / "clock.cjs"
    ahead.write_text("0")
    clock.write_text(
        "const { readFileSync } = require('node:fs');\nconst now = Date.now;\n"
        f"Date.now = () => now() + Number(readFileSync({json.dumps(str(ahead))}, 'utf8')) * 1000;\n"
    )
    latest = row.deploy_dir("runs", f"{latest_run(row)}.json")
    written = datetime.now(UTC) + timedelta(hours=1)  # running for as long as the test needs
    record = json.loads(latest.read_text()) | {"ended_at": None, "written_at": written.isoformat()}
    latest.with_name("20990101T000000Z-aaaaaa.json").write_text(json.dumps(record | {"id": "20990101T000000Z-aaaaaa"}))
    dashboard = Dashboard(row.path / ".deploy", NODE_OPTIONS=f"--require={clock}")
    try:
        tab = browser.tab("killed", f"{dashboard.url}/env/local/runs/20990101T000000Z-aaaaaa")
        tab.wait_for_text("h1 ~ .mark", "running")
        tab.wait_for_text(".live", "\u25cf live")
        tab.mark()
        ahead.write_text("7200")
        tab.wait_for_text("h1 ~ .mark", "killed")
        assert tab.kept()["page"] is True
    finally:
        dashboard.stop()


def test_the_next_command_of_a_failure_is_on_the_run_and_the_stack_and_can_be_copied(
    row: Repository, dashboard: Dashboard, browser: Browser
) -> None:
    latest = row.deploy_dir("runs", f"{latest_run(row)}.json")
    run = "20990101T000000Z-aaaaaa"
    record = json.loads(latest.read_text()) | {"id": run, "exit_code": 1}
    task = {"stage": "deploy", "stack": "a", "status": "failed", "summary": "old text", "offset": 1, "seconds": 2}
    latest.with_name(f"{run}.json").write_text(json.dumps(record | {"tasks": [task]}))
    problem = {
        "kind": "engine error", "summary": "it broke", "where": {"file": "stacks/a/main.tf", "line": 2, "key": "x"},
        "untouched": "b was not started", "next": {"command": ["doit", "deploy:a"], "text": "deploy again"}, "log": "1\n2",
    }  # fmt: skip
    line = json.dumps({"task": "deploy:a", **task, "error": "old text", "problem": problem}, separators=(",", ":"))
    latest.with_name(f"{run}.jsonl").write_text(f"{line}\n")
    for name, page in (("run", f"runs/{run}"), ("stack", "stacks/a")):
        tab = browser.tab(name, f"{dashboard.url}/env/local/{page}")
        tab.wait_for_text(".problem", "engine error: it broke")
        shown = tab.run("document.querySelector('.problem').innerText")
        for words in ("stacks/a/main.tf:2 x", "b was not started", "deploy again", "doit deploy:a"):
            assert words in shown
        assert tab.run("document.querySelector('.problem details').open") is False
        tab.do("click", ".problem button")
        tab.wait_for_text(".problem button", "Copied")
