"""Looks at a cluster that begin at about the same time: one connection, one login, and a failure is not kept."""

from __future__ import annotations

import json
import math
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import trustme
import yaml

from tasks.checks import waiting
from tasks.checks.kubernetes import api
from tasks.checks.kubernetes.answers import Answers
from tasks.checks.kubernetes.check import KubernetesPodsCheck
from tests.servers.web import Server, answer

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

    from tests.unit.site import Site

PATIENT = 60.0
PODS = "/api/v1/namespaces/default/pods"
_POD = {"metadata": {"name": "web-1"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
_PLUGIN = """\
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
with (folder / "logins").open("a") as logins:
    logins.write("login\\n")
token = (folder / "token").read_text()
print(json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": token}}))
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Server]:
    """An API with one pod that is ready; who issued its certificate is in `ca.pem`."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = Server(tls=context)
    server.answers[PODS] = answer(200, json.dumps({"items": [_POD]}).encode())
    yield server
    server.close()


@pytest.fixture
def kubeconfig(tmp_path: Path, cluster: Server) -> Path:
    """A kubeconfig whose login is a plugin that prints what is in `token`, and adds a line to `logins`."""
    (tmp_path / "plugin.py").write_text(_PLUGIN)
    (tmp_path / "token").write_text("first-token-77")
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable, "interactiveMode": "Never",
        "args": [str(tmp_path / "plugin.py"), str(tmp_path)],
    }  # fmt: skip
    found = {"server": cluster.url(""), "certificate-authority": str(tmp_path / "ca.pem")}
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": found}],
        "users": [{"name": "test", "user": {"exec": plugin}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }))  # fmt: skip
    return path


def pods(kubeconfig: Path, number: int, site: Site, selector: str = "app=web") -> list[waiting.Outcome]:
    """Look at so many pods at once."""
    asked = [
        KubernetesPodsCheck(
            kind="kubernetes_pods", selector=selector.format(number), kubeconfig=str(kubeconfig), timeout=0,
            look_timeout=PATIENT,
        )
        for number in range(number)
    ]  # fmt: skip
    return waiting.all_of(asked, site.look, [waiting.Progress("") for _ in asked])


def test_looks_at_once_log_in_once(
    kubeconfig: Path, cluster: Server, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "_LASTS", 600.0)  # however slow the machine is
    reads: list[str] = []
    load = ssl.SSLContext.load_verify_locations

    def counted(context: ssl.SSLContext, cafile: str, *others: str | None) -> None:
        reads.append(cafile)
        load(context, cafile, *others)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", counted)
    assert {outcome.text for outcome in pods(kubeconfig, 20, site)} == {"1 of 1 pod ready"}
    assert (kubeconfig.parent / "logins").read_text() == "login\n"
    assert reads == [str(kubeconfig.parent / "ca.pem")]
    assert len(cluster.asked) == 1  # what the looks ask for is the same, and they began together
    assert {headers["Authorization"] for headers in cluster.headers} == {"Bearer first-token-77"}
    assert "first-token-77" not in site.mask.text("it was first-token-77")


def test_looks_that_ask_for_something_else_or_begin_later_ask_themselves(
    kubeconfig: Path, cluster: Server, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "_LASTS", 600.0)
    assert all(outcome.passed for outcome in pods(kubeconfig, 20, site, "app=web-{}"))
    assert len(cluster.asked) == 20
    assert all(outcome.passed for outcome in pods(kubeconfig, 20, site))
    assert len(cluster.asked) == 21
    cluster.answers[PODS] = answer(200, b'{"items": []}')  # what was seen before must not be shown
    assert not any(outcome.passed for outcome in pods(kubeconfig, 20, site))
    assert len(cluster.asked) == 22


def test_a_refusal_of_one_look_is_not_the_refusal_of_all(
    kubeconfig: Path, cluster: Server, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "_LASTS", 600.0)
    refused, ready = answer(500, b"{}"), cluster.answers[PODS]

    def once(request: BaseHTTPRequestHandler) -> None:
        cluster.answers[PODS] = ready
        refused(request)

    cluster.answers[PODS] = once
    assert sum(not outcome.passed for outcome in pods(kubeconfig, 20, site)) == 1


def test_an_answer_is_waited_for_no_longer_than_the_look_has() -> None:
    answers, goes_on = Answers(), threading.Event()
    now = time.monotonic()
    asking = threading.Thread(target=answers.get, args=("pods", goes_on.wait), kwargs={"since": now, "ends": now + 60})
    asking.start()
    try:
        with pytest.raises(TimeoutError):
            answers.get("pods", pytest.fail, since=now, ends=now)
        assert answers.get("pods", lambda: "mine", since=now, ends=now + 90) == "mine"  # the other gives up earlier
        assert answers.get("pods", lambda: "new", since=math.inf, ends=now) == "new"
    finally:
        goes_on.set()
        asking.join()


def test_few_answers_are_kept() -> None:
    answers = Answers()
    for number in range(100):
        assert answers.get(number, lambda: bytearray(8), since=0, ends=0) is not None
    assert len(answers._latest) <= 16


def test_a_later_look_uses_the_renewed_credentials(
    kubeconfig: Path, cluster: Server, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "_LASTS", 0.0)
    assert pods(kubeconfig, 1, site)[0].passed
    (kubeconfig.parent / "token").write_text("second-token-78")
    assert pods(kubeconfig, 1, site)[0].passed
    assert [headers["Authorization"][-2:] for headers in cluster.headers] == ["77", "78"]


def test_a_cluster_that_another_authority_vouches_for_is_not_trusted(kubeconfig: Path, site: Site) -> None:
    trustme.CA().cert_pem.write_to_path(str(kubeconfig.parent / "ca.pem"))
    found = pods(kubeconfig, 1, site)[0]
    assert not found.passed
    assert "CERTIFICATE_VERIFY_FAILED" in found.text
    (kubeconfig.parent / "ca.pem").write_text("nothing")
    assert not pods(kubeconfig, 1, site)[0].passed


def test_a_login_that_failed_is_tried_again_by_the_next_look(kubeconfig: Path, site: Site) -> None:
    written = kubeconfig.read_text()
    kubeconfig.unlink()
    found = pods(kubeconfig, 20, site)
    assert {outcome.passed for outcome in found} == {False}
    assert "kubeconfig" in found[0].text
    kubeconfig.write_text(written)
    assert pods(kubeconfig, 1, site)[0].passed
