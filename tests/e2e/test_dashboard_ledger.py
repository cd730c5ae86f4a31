"""The dashboard shows a ledger that the product made, with nothing published, and names one that was forged."""

from __future__ import annotations

import html
import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tasks.ledger import record, statement
from tasks.ledger.keys import SigningKey
from tests.e2e.test_dashboard import serve, words
from tests.e2e.test_ledger import REF, Remote, remote
from tests.e2e.test_ledger_homes import files, project
from tests.e2e.test_ledger_trust import (
    KEY,
    STRANGER,
    Content,
    Signed,
    _by_another_key,
    _dropped,
    _edited,
    _inserted,
    _reordered,
    signed,
)
from tests.repository import resource, wait_for
from tests.servers.fileserver import TOKEN, FileServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.repository import Repository
    from tests.servers.dashboard import Dashboard

OBSERVATIONS = "refs/heads/doit-tofu/local/observations"
__all__ = ["files", "project", "remote", "serve", "signed"]
PIPELINE = {"GITLAB_CI": "true", "CI_PIPELINE_ID": "4711", "CI_PROJECT_ID": "1", "CI_COMMIT_BRANCH": "main"}
KEYS = {"DASHBOARD_LEDGER_KEYS": KEY.public.text}


def _shows(dashboard: Dashboard, commit: str) -> None:
    home, stack = dashboard.get("/").text, dashboard.get("/env/local/stacks/a").text
    assert "local" in home
    assert "cannot be trusted" not in home
    assert commit[:8] in stack
    runs = dashboard.get("/env/local/runs").text
    assert "4711" in runs


def test_a_ledger_in_a_clone_is_shown(signed: Remote, serve: Callable[..., Dashboard]) -> None:
    job = signed.clone()
    job.write(f"stacks/a/main.tf:{resource('a2')}")
    commit = job.commit("a")
    signed.push(job)
    job.doit("deploy", **Signed, **PIPELINE)
    clone = signed.clone()  # what a dashboard's clone has after a fetch
    for place in (clone.path, signed.path):
        dashboard = serve(f"ledger:{place}", **KEYS)
        _shows(dashboard, commit)
        assert dashboard.get("/readyz").status == 200
        runs = dashboard.get("/env/local/runs").text
        run = next(word.split('"')[0] for word in runs.split("/env/local/runs/")[1:])
        page = dashboard.get(f"/env/local/runs/{run}")
        assert page.status == 200
        assert "entry" in page.text
    visits = dashboard.visit("/", "/env/local", "/env/local/runs", "/env/local/stacks/a")
    assert [visit for visit in visits if visit["status"] != 200 or visit["said"] or visit["violations"]] == []


def test_what_is_deployed_later_appears(signed: Remote, serve: Callable[..., Dashboard]) -> None:
    dashboard = serve(f"ledger:{signed.path}", **KEYS)
    job = signed.clone()
    job.write(f"stacks/a/main.tf:{resource('a2')}")
    commit = job.commit("a")
    signed.push(job)
    job.doit("deploy", **Signed)
    wait_for(lambda: commit[:8] in dashboard.get("/env/local/stacks/a").text, "the new deployment")


@pytest.mark.parametrize(
    ("is_clone", "said"),
    [(True, "it has no branch doit-tofu/<environment>/ledger; git fetch"), (False, "it holds no ledger")],
)
def test_a_place_without_a_ledger_says_so(
    serve: Callable[..., Dashboard], tmp_path: Path, is_clone: bool, said: str
) -> None:
    if is_clone:
        subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    dashboard = serve(f"ledger:{tmp_path}")
    assert dashboard.get("/readyz").status == 503
    page = html.unescape(words(dashboard.get("/").text))
    assert f"The ledger cannot be read: {tmp_path}: {said}" in page
    assert "to which every doit deploy writes" in page
    assert "doit publish" not in page


def test_a_ledger_on_a_server_or_in_a_folder_is_shown(
    project: Callable[[str], Remote], files: FileServer, serve: Callable[..., Dashboard], tmp_path: Path
) -> None:
    remote = project(f'{{kind: store, url: "{files.url}"}}')
    token = {"DEPLOY_LEDGER_TOKEN": TOKEN}
    remote.clone().doit("ledger", "init", **token)
    job = remote.clone()
    job.doit("deploy", **token, **PIPELINE)
    commit = job.git("rev-parse", "HEAD")
    _shows(serve(f"ledger:{files.url}", DASHBOARD_TOKEN=TOKEN, DASHBOARD_ENVIRONMENTS="local"), commit)
    for name, content in files.files.items():
        path = tmp_path / "store" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    _shows(serve(f"ledger:{tmp_path / 'store'}"), commit)


def _drift(remote: Remote, job: Repository, code: int, **variables: str) -> None:
    """Somebody changes `c` by hand, and a pipeline finds it."""
    state = remote.base / "states/c-local.tfstate"
    content = json.loads(state.read_text())
    content["resources"][0]["instances"][0]["attributes"]["input"]["value"] = "by hand"
    state.write_text(json.dumps(content))
    job.doit("drift", code=code, **variables, **PIPELINE)


def _shows_drift(remote: Remote, dashboard: Dashboard, **variables: str) -> None:
    """By counts, since when and by which run, until the stack is deployed again; without a run of its own."""

    def page(path: str) -> str:
        return words(dashboard.get(path).text)

    assert "not checked yet" in page("/env/local/stacks/c")
    assert "Not checked yet" in page("/env/local/drift")
    job, what = remote.clone(), "drifted: 1 difference, by pipeline 4711"
    _drift(remote, job, 2, **variables)
    wait_for(lambda: f"{what} of main, since" in page("/env/local/stacks/c"), "the drift")
    assert f"{what} of main · first found" in page("/env/local/drift")
    assert "1 drifted" in page("/")
    visits = dashboard.visit("/", "/env/local", "/env/local/drift", "/env/local/stacks/c")
    assert [visit for visit in visits if visit["status"] != 200 or visit["said"] or visit["violations"]] == []
    job.write(f"stacks/c/main.tf:{resource('c3')}")
    job.commit("c is another")
    remote.push(job)
    job.doit("deploy", **variables)
    wait_for(lambda: what not in page("/env/local/stacks/c"), "its end")


def test_drift_is_shown_from_the_observations_in_a_clone(signed: Remote, serve: Callable[..., Dashboard]) -> None:
    _shows_drift(signed, serve(f"ledger:{signed.path}", **KEYS), **Signed)


def test_drift_is_shown_from_the_observations_on_a_server(
    project: Callable[[str], Remote], files: FileServer, serve: Callable[..., Dashboard]
) -> None:
    remote, token = project(f'{{kind: store, url: "{files.url}"}}'), {"DEPLOY_LEDGER_TOKEN": TOKEN}
    remote.clone().doit("ledger", "init", **token)
    remote.clone().doit("deploy", **token)
    dashboard = serve(f"ledger:{files.url}", DASHBOARD_TOKEN=TOKEN, DASHBOARD_ENVIRONMENTS="local")
    _shows_drift(remote, dashboard, **token)


def test_observations_that_a_stranger_wrote_or_put_back_are_named(
    signed: Remote, serve: Callable[..., Dashboard]
) -> None:
    job = signed.clone()
    config = job.path / "config/pipeline.yaml"
    own = f"public_key: {KEY.public.text}, observations: {{public_key: {STRANGER.public.text}}}"
    config.write_text(config.read_text().replace(f"public_key: {KEY.public.text}", own))
    key = {"DEPLOY_OBSERVATIONS_KEY": STRANGER.text}
    _drift(signed, job, 2, **key, **Signed)
    yesterday = signed.git("rev-parse", OBSERVATIONS)
    job.doit("drift", code=2, **key, **Signed)
    today = signed.git("rev-parse", OBSERVATIONS)
    dashboard = serve(f"ledger:{signed.path}", DASHBOARD_OBSERVATIONS_KEYS=STRANGER.public.text, **KEYS)
    assert dashboard.get("/readyz").status == 200
    signed.git("update-ref", OBSERVATIONS, yesterday)
    wait_for(lambda: "they were rolled back to an earlier version" in dashboard.get("/").text, "its name")
    assert dashboard.get("/readyz").status == 503
    assert "drifted: 1 difference" in words(dashboard.get("/env/local/stacks/c").text)
    signed.git("update-ref", OBSERVATIONS, today)
    wait_for(lambda: dashboard.get("/readyz").status == 200, "them again")
    other = serve(f"ledger:{signed.path}", DASHBOARD_OBSERVATIONS_KEYS=KEY.public.text, **KEYS)
    assert "the observations of local cannot be trusted: they are not signed by the key" in words(other.get("/").text)
    assert "drifted: 1 difference" not in words(other.get("/env/local/stacks/c").text)


def test_a_ledger_that_was_pruned_and_whose_key_was_replaced_is_shown(
    signed: Remote, serve: Callable[..., Dashboard]
) -> None:
    new = SigningKey(b"n" * 32)
    job = signed.clone()
    config = job.path / "config/pipeline.yaml"
    config.write_text(config.read_text().replace(KEY.public.text, f"[{KEY.public.text}, {new.public.text}]"))
    job.doit("ledger", "rotate", DEPLOY_LEDGER_NEXT_KEY=new.text, **Signed)
    dashboard = serve(f"ledger:{signed.path}", DASHBOARD_LEDGER_KEYS=f"{KEY.public.text},{new.public.text}")
    assert "cannot be trusted" not in dashboard.get("/").text
    job.doit("ledger", "prune", "2", DEPLOY_LEDGER_KEY=new.text)
    wait_for(lambda: dashboard.get("/readyz").status == 200, "the shorter chain")
    fresh = serve(f"ledger:{signed.path}", DASHBOARD_LEDGER_KEYS=new.public.text)
    assert fresh.get("/readyz").status == 200
    assert job.git("rev-parse", "--short=8", "HEAD") in fresh.get("/env/local/stacks/c").text


@pytest.mark.parametrize(
    ("forge", "what"),
    [
        (_edited, "entry 3 was changed, or is not signed by the key"),
        (_dropped, "entry 3 is missing"),
        (_reordered, "entry 2 is numbered 3"),
        (_inserted, "entry 3 is numbered 2"),
        (_by_another_key, "entry 3 was changed, or is not signed by the key"),
    ],
)
def test_a_forged_entry_is_named(
    signed: Remote, serve: Callable[..., Dashboard], forge: Callable[[Content], None], what: str
) -> None:
    content = Content.of(signed)
    forge(content)
    content.put()
    dashboard = serve(f"ledger:{signed.path}", **KEYS)
    wait_for(lambda: what in dashboard.get("/").text, "the name of what is wrong")
    assert "the ledger of local cannot be trusted" in dashboard.get("/").text
    assert dashboard.get("/readyz").status == 503


def test_a_forged_head_shard_or_chain_is_named_and_what_was_known_stays(
    signed: Remote, serve: Callable[..., Dashboard]
) -> None:
    dashboard = serve(f"ledger:{signed.path}", **KEYS)
    known = dashboard.get("/env/local/stacks/c").text
    commit = signed.git("rev-parse", "--short=8", "main")
    assert commit in known
    whole, good = Content.of(signed), signed.git("rev-parse", REF)
    name = record.blob_name(record.shard_of("c"))
    head, _ = record.read_head(whole.head)
    forged = whole.shards[name].replace(b'"outcome":"applied"', b'"outcome":"failed"')

    def shows(what: str) -> None:
        wait_for(lambda: what in dashboard.get("/").text, what)
        assert commit in dashboard.get("/env/local/stacks/c").text
        signed.git("update-ref", REF, good)
        wait_for(lambda: dashboard.get("/readyz").status == 200, "the ledger again")

    shard = Content.of(signed)
    shard.shards[name] = forged
    shard.put()
    shows("does not match the digest in its head")
    stranger = Content.of(signed)
    stranger.shards[name] = forged
    stranger.sign_head(STRANGER)
    stranger.put()
    shows("the head is not signed by its key")
    foreign = Content.of(signed)
    other = head.model_copy(update={"environment": "prod"})
    foreign.head = statement.seal(other.content(), statement.HEAD, [KEY]).to_bytes()
    foreign.put()
    shows("it belongs to the environment prod")
    old = Content.of(signed)
    shorter = head.model_copy(update={"sequence": 4, "chain": json.loads(statement.read(whole.entries[5], statement.STATEMENT).content)["predicate"]["previous"]})  # fmt: skip
    del old.entries[5]
    old.head = statement.seal(shorter.content(), statement.HEAD, [KEY]).to_bytes()
    old.put()
    shows("it lacks entries that were seen here")
    unsigned = Content.of(signed)
    unsigned.head = statement.seal(head.model_copy(update={"key": None}).content(), statement.HEAD, []).to_bytes()
    unsigned.put()
    shows("it is not signed")
