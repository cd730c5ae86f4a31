"""Drift that one machine has found is shown by `status` on every other one, from the observations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.base import clock
from tests.e2e.test_ledger import LEDGER, Remote, document
from tests.e2e.test_ledger_observations import REF, drift
from tests.repository import minimal_config, resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.repository import Repository


def begun(build: Callable[..., Repository], base: Path, ledger: str = LEDGER) -> Remote:
    config = minimal_config(ledger).replace("{root}/.state/", f"{base}/states/")
    found = Remote(base, build(config, f"stacks/a/main.tf:{resource()}", f"stacks/c/main.tf:{resource('c')}"))
    found.clone().doit("ledger", "init")
    found.clone().doit("deploy")
    return found


@pytest.fixture
def remote(build: Callable[..., Repository], tmp_path: Path) -> Remote:
    """Two deployed stacks."""
    return begun(build, tmp_path)


def row(clone: Repository, stack: str = "a") -> str:
    return next(line for line in clone.doit("status").out.splitlines() if line.startswith(f"{stack} "))


def total(clone: Repository) -> str:
    return next(line for line in clone.doit("status").out.splitlines() if line.startswith("local: "))


def test_a_fresh_clone_knows_the_drift_that_another_machine_found(remote: Remote) -> None:
    drift(remote, "by hand")
    finder = remote.clone()
    finder.doit("drift", code=2)
    found = document(finder, "status")["stacks"][0]["drift"]
    other = remote.clone()
    assert total(other) == total(finder)
    assert "1 drifted" in total(other)
    assert "drifted: 1 difference, by " in row(other)
    assert f"(found {clock.shown(found['found_at'])})" in row(other)
    assert "terraform_data" in row(finder), "the machine that found it has seen the resource"
    shown = document(other, "status")["stacks"][0]
    assert shown["affected"] is False
    assert (shown["drift"]["status"], shown["drift"]["found_at"]) == ("drifted", found["found_at"])
    assert shown["drift"]["differences"] == []
    assert row(other, "c").endswith("up to date")
    quiet = [document(clone, "status")["stacks"][1]["drift"] for clone in (finder, other)]
    assert quiet[0] == quiet[1], "without a difference there is nothing to keep apart"
    assert "terraform_data" not in remote.git("show", f"{REF}:head")


def test_the_later_check_counts_wherever_it_was(remote: Remote) -> None:
    state = remote.base / "states/a-local.tfstate"
    deployed = state.read_text()
    drift(remote, "by hand")
    finder = remote.clone()
    finder.doit("drift", code=2)
    state.write_text(deployed)
    remote.clone().doit("drift")
    for clone in (finder, remote.clone()):
        assert row(clone).endswith("up to date")


def test_what_was_deployed_since_has_not_drifted(remote: Remote) -> None:
    drift(remote, "by hand")
    finder = remote.clone()
    finder.doit("drift", code=2)
    change = remote.clone()
    change.write(f"stacks/a/main.tf:{resource('2')}")
    change.commit()
    remote.push(change)
    remote.clone().doit("deploy")
    finder.git("pull", "-q")
    for clone in (finder, remote.clone()):
        assert row(clone).endswith("up to date")


def test_a_check_that_failed_elsewhere_hides_no_drift_that_was_known(remote: Remote) -> None:
    drift(remote, "by hand")
    finder = remote.clone()
    finder.doit("drift", code=2)
    broken = remote.clone()
    broken.engine_script(
        f'#!/bin/sh\ncase "$*" in *plan*) echo "no such region" >&2; exit 1;; esac\nexec {broken.tofu} "$@"\n'
    )
    broken.doit("drift", code=1)
    for clone in (finder, broken, remote.clone()):
        assert "1 drifted" in total(clone)
        assert "2 with a failed drift check" in total(clone)
        assert "drifted: " in row(clone)
        assert "its last check for drift failed" in row(clone)
    shown = document(remote.clone(), "status")["stacks"][0]
    assert (shown["drift"]["status"], shown["earlier_drift"]["status"]) == ("failed", "drifted")


def test_a_public_ledger_says_what_has_drifted(build: Callable[..., Repository], tmp_path: Path) -> None:
    remote = begun(build, tmp_path, LEDGER.replace("}", ", public: true}"))
    drift(remote, "by hand")
    finder = remote.clone()
    finder.doit("drift", code=2)
    assert row(remote.clone()) == row(finder)


def test_observations_that_cannot_be_read_are_said_and_change_nothing_else(remote: Remote) -> None:
    drift(remote, "by hand")
    remote.clone().doit("drift", code=2)
    remote.git("update-ref", REF, "refs/heads/main")  # what is there is no ledger
    done = remote.clone().doit("status")
    assert "drift that other machines have found is not shown" in " ".join(done.out.split())
    assert "all up to date" in done.out
