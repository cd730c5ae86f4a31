"""What is shown while checks wait, and what a check needs that is not installed."""

from __future__ import annotations

import re
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tasks import verify
from tasks.checks.kubernetes.check import KubernetesPodsCheck
from tasks.reports.console import Console
from tasks.run.details import CheckFailedError, DeployDetails
from tasks.run.run import Run
from tests.servers.web import Server

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.project.project import Project
    from tests.unit.site import Site


def waiting_run(load: Callable[..., Project]) -> Run:
    """A run whose stack has a check that never comes true."""
    server = Server()
    port = server.server_port
    server.close()
    check = f"{{kind: tcp, name: the port, host: 127.0.0.1, port: {port}, timeout: 1.5, interval: 0.2, backoff: 1}}"
    return Run(load(f"stacks:\n  a:\n    verify: [{check}]\n", "stacks/a/main.tf:\n"))


def test_without_a_terminal_a_line_now_and_then_says_what_is_waited_for(
    load: Callable[..., Project], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verify, "_TELL_EVERY", 0.3)
    run = waiting_run(load)
    with pytest.raises(CheckFailedError):
        verify.run_checks(run, run.project.stacks["a"], "deploy", DeployDetails())
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 1
    assert re.fullmatch(r"deploy a: after \d s 1 of 1 checks pending: the port: connection refused", lines[-1])


def test_the_live_line_says_what_is_waited_for(load: Callable[..., Project]) -> None:
    run = waiting_run(load)
    console = Console(run)
    console.begins("deploy:a")
    seen: list[str] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            seen.append("\n".join(console._running()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    with pytest.raises(CheckFailedError):
        verify.run_checks(run, run.project.stacks["a"], "deploy", DeployDetails())
    done.set()
    watcher.join()
    assert any("deploy:a 0 s (1 of 1 checks pending: the port: connection refused)" in line for line in seen)
    assert "wait" not in "\n".join(console._running())


def test_a_client_that_is_not_installed_is_named_with_its_extra(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    found = site.wait(KubernetesPodsCheck(kind="kubernetes_pods", selector="a=b", timeout=3600))
    assert (found.passed, found.looks) == (False, 1)
    assert "pip install 'doit-tofu[kubernetes]'" in found.text


def test_a_client_that_is_not_installed_is_missed_before_anything_is_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    monkeypatch.setenv("KUBECONFIG", __file__)
    [lack] = KubernetesPodsCheck(kind="kubernetes_pods", selector="a=b").lacks(Path.cwd())
    assert not lack.may_come
    assert lack.step == "run `pip install 'doit-tofu[kubernetes]'`"
