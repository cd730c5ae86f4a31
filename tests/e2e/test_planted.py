"""Links, pipes and devices that somebody planted where a record belongs: nothing is sent, overwritten or waited for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.repository import Repository, minimal_config, resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECRET = "TOP-SECRET-OF-THE-MACHINE"
PLANTED = {"link": lambda at, to: at.symlink_to(to), "pipe": lambda at, _: os.mkfifo(at)}


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file of the machine that is nobody's business."""
    path = tmp_path / "victim"
    path.write_text(SECRET)
    return path


@pytest.fixture
def board(tmp_path: Path) -> Path:
    return tmp_path / "board"


@pytest.fixture
def deployed(build: Callable[..., Repository], board: Path) -> Repository:
    """One stack, deployed once, not published yet."""
    repository = build(minimal_config(f"publish: {{to: {board}}}\n"), f"stacks/a/main.tf:{resource()}")
    repository.prepare("deploy")
    return repository


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("place", ["reports/plan.md", "reports/more.md", "runs/*.jsonl"])
def test_publish_never_sends_what_a_link_leads_to(
    deployed: Repository, board: Path, victim: Path, place: str, kind: str
) -> None:
    [at] = deployed.deploy_dir().glob(place) if "*" in place else [deployed.deploy_dir(place)]
    at.unlink(missing_ok=True)
    PLANTED[kind](at, victim)
    done = deployed.doit("publish", code=1)
    assert f"not published: .deploy/local/{at.relative_to(deployed.deploy_dir())}: {at.name} is " in done.out
    assert SECRET not in done.out
    assert not any(SECRET in path.read_text() for path in board.rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("name", ["doit.db", "doit.db-journal", "doit.db-wal"])
def test_records_of_doit_are_opened_as_plain_files_alone(
    deployed: Repository, victim: Path, name: str, kind: str
) -> None:
    at = deployed.path / ".deploy/.cache/records/local" / name
    at.unlink(missing_ok=True)
    PLANTED[kind](at, victim)
    done = deployed.doit("status", code=1)
    assert f"{name} is " in done.out
    assert "remove it" in done.out
    assert victim.read_text() == SECRET


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize(
    "place", ["outputs/a.json", "results/plan/a.json", "overview.json", "crash.log", "reports/plan.md"]
)
def test_a_run_ends_whatever_lies_in_the_place_of_a_record(
    deployed: Repository, victim: Path, place: str, kind: str
) -> None:
    at = deployed.deploy_dir(place)
    at.unlink(missing_ok=True)
    PLANTED[kind](at, victim)
    done = deployed.doit("deploy", code=None)
    assert SECRET not in done.out
    assert victim.read_text() == SECRET


@pytest.mark.parametrize("place", ["config/environments/prod.yaml", "config/pipeline.yaml"])
def test_a_configuration_that_leads_out_of_the_repository_shows_nothing_of_the_machine(
    deployed: Repository, victim: Path, place: str
) -> None:
    at = deployed.path / place
    at.parent.mkdir(exist_ok=True)
    at.unlink(missing_ok=True)
    at.symlink_to(victim)
    done = deployed.doit("env=prod", "status", code=1)
    assert f"cannot read {place}: {at.name} is a link that leads out of the repository" in done.out
    assert SECRET not in done.out


def test_a_configuration_may_be_a_link_within_the_repository(deployed: Repository) -> None:
    deployed.write("config/environments/staging.yaml:{}\n")
    (deployed.path / "config/environments/prod.yaml").symlink_to("staging.yaml")
    deployed.doit("env=prod", "status")
