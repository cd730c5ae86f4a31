"""Drift: exit codes 0, 2 and 1, and words that tell drift from code that was never deployed."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from tests.repository import Repository, resource, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable


def _stop_service(example: Repository) -> None:
    pid = example.path / ".state/site-local/pid"
    number = int(pid.read_text())
    os.kill(number, signal.SIGKILL)
    status = Path(f"/proc/{number}/status")
    wait_for(lambda: not status.exists() or "State:\tZ" in status.read_text(), "the end of the service")


def test_what_was_just_deployed_has_not_drifted(example: Repository) -> None:
    example.doit("deploy")
    done = example.doit("drift", code=0)
    assert "as deployed" in done.task("drift", "site")
    assert "all passed" in done.out


def test_a_page_changed_by_hand_is_drift_and_the_resource_is_named(example: Repository) -> None:
    example.doit("deploy")
    (example.path / ".state/site-local/page.html").write_text("by hand")
    done = example.doit("drift", code=2)
    assert "drifted: terraform_data.service" in done.task("drift", "site")
    for way in ("deploy the code again", "keep what is there", "look into it"):
        assert way in done.out
    assert "terraform_data.service" in example.deploy_dir("reports", "drift.md").read_text()


def test_a_service_ended_by_hand_is_drift_and_deploying_again_repairs_it(example: Repository) -> None:
    example.doit("deploy")
    _stop_service(example)
    done = example.doit("drift", code=2)
    assert "terraform_data.service" in done.task("drift", "site")
    example.doit("-a", "deploy:site")
    example.doit("drift", code=0)


def test_a_failure_outranks_drift(example: Repository) -> None:
    example.doit("deploy")
    (example.path / ".state/site-local/page.html").write_text("by hand")
    example.write('stacks/content/bad.tf:resource "terraform_data" "bad" {\n  input = file("nowhere")\n}\n')
    done = example.doit("drift", code=1)
    assert "drifted" in done.task("drift", "site")
    assert "FAILED" in done.task("drift", "content")


def test_code_that_was_never_deployed_is_2_in_other_words_than_drift(pair: Repository) -> None:
    done = pair.doit("drift", code=2)
    assert "never deployed" in done.task("drift", "a")
    pair.doit("deploy")
    pair.doit("drift", code=0)
    pair.write(f"stacks/a/main.tf:{resource('2')}")
    done = pair.doit("drift", code=2)
    assert "undeployed code" in done.task("drift", "a")
    assert "drifted" not in done.out


def test_without_receipts_a_deployed_stack_is_not_called_never_deployed(pair: Repository, tmp_path: Path) -> None:
    pair.prepare("deploy")
    other = pair.clone(tmp_path / "other")
    shutil.copytree(pair.path / ".state", other.path / ".state")  # as a remote backend would have it
    other.write(f"stacks/a/main.tf:{resource('changed')}")
    done = other.doit("drift:a", code=2)
    assert "differs from the code (without a receipt here, drift cannot be told from undeployed code)" in done.task(
        "drift", "a"
    )
    assert "never deployed" not in done.out


def test_undeployed_code_can_be_told_without_an_alert(build: Callable[..., Repository]) -> None:
    from tests.repository import minimal_config

    repository = build(minimal_config("drift: {undeployed: report}\n"), f"stacks/a/main.tf:{resource()}")
    done = repository.doit("drift", code=0)
    assert "never deployed" in done.task("drift", "a")


def test_drift_changes_nothing(example: Repository) -> None:
    example.doit("deploy")
    (example.path / ".state/site-local/page.html").write_text("by hand")
    before = {path: path.read_bytes() for path in (example.path / ".state").rglob("*") if path.is_file()}
    example.doit("drift", code=2)
    assert before == {path: path.read_bytes() for path in (example.path / ".state").rglob("*") if path.is_file()}
