"""How much a command without work does, in modules, files and processes: counted, as seconds differ by machine."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.repository import Repository, minimal_config, resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FEW, MANY = 3, 9
COARSE = 2.2  # see test_snapshot
COUNTING = """
import atexit, importlib.metadata, json, os, runpy, sys

opened, started, sought = [], [], []
entry_points = importlib.metadata.entry_points

def seek(**given):
    sought.append(given.get("group"))
    return entry_points(**given)

importlib.metadata.entry_points = seek

def hook(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and not arguments[0].endswith((".pyc", ".py")):
        opened.append(arguments[0])
    elif event in ("subprocess.Popen", "os.posix_spawn", "os.fork"):
        started.append(str(arguments[0]))

def tell():
    root = os.getcwd() + os.sep
    inside = sorted(os.path.abspath(path).removeprefix(root) for path in opened if os.path.abspath(path).startswith(root))
    with open(os.environ["COUNTED"], "w") as stream:
        json.dump({"modules": sorted(sys.modules), "opened": inside, "started": started, "sought": sought}, stream)

atexit.register(tell)
sys.addaudithook(hook)
runpy.run_module("doit", run_name="__main__")
"""
HEAVY = {
    "pydantic",
    "pydantic_core",
    "pydantic_settings",
    "jinja2",
    "requests",
    "yaml",
    "tree_sitter",
    "rich",
    "sqlite3",
}


def counted(repository: Repository, *command: str, **variables: str) -> dict[str, Any]:
    """What a doit process imported, opened below the repository, and started."""
    script, told = repository.home / "counting.py", repository.home / "counted.json"
    script.write_text(COUNTING)
    subprocess.run(
        [sys.executable, str(script), *command], cwd=repository.path, check=True, capture_output=True,
        env=repository.environment(COUNTED=str(told), **variables),
    )  # fmt: skip
    found: dict[str, Any] = json.loads(told.read_text())
    found["modules"] = [
        re.sub(r"^doit_tofu\b", "tasks", name) for name in found["modules"]
    ]  # where the wheel is tested
    return found


def ours(found: dict[str, Any]) -> list[str]:
    """The modules of this package."""
    return [name for name in found["modules"] if name.partition(".")[0] == "tasks"]


@pytest.fixture
def many(build: Callable[..., Repository]) -> Callable[[int], Repository]:
    """Repositories of so many deployed stacks, whose files have become old enough for a snapshot."""

    def made(number: int) -> Repository:
        repository = build(minimal_config(), *(f"stacks/s{at}/main.tf:{resource(str(at))}" for at in range(number)))
        repository.doit("deploy")
        time.sleep(COARSE)
        return repository

    return made


@pytest.mark.parametrize("command", ["plan", "deploy", "status"])
def test_without_changes_nothing_is_loaded_and_no_file_of_a_stack_is_opened(
    many: Callable[[int], Repository], command: str
) -> None:
    repository = many(FEW)
    first = counted(repository, command)
    assert "pydantic" in first["modules"]  # the run that found the answer
    again = counted(repository, command)
    assert not HEAVY & set(again["modules"])
    assert len(ours(again)) <= 25, ours(again)
    assert again["started"] == []
    assert [path for path in again["opened"] if not path.startswith(".deploy/")] == [
        path for path in again["opened"] if path in ("dodo.py", "doit.cfg", "pyproject.toml")
    ]
    assert len(again["opened"]) <= 12, again["opened"]


def test_a_run_that_has_to_look_imports_only_what_its_command_uses(many: Callable[[int], Repository]) -> None:
    repository = many(FEW)
    shown = counted(repository, "graph", DEPLOY_LEDGER_TOKEN="no key of the configuration")
    unused = {
        "pydantic_settings", "requests", "jinja2", "rich", "tasks.log", "tasks.upkeep", "tasks.run.recording",
        "tasks.reports.page", "tasks.reports.write", "tasks.policy.semantic", "tasks.run.documents", "tasks.drift", "tasks.deploy",
        "tasks.engine.engine", "tasks.engine.planfile.document", "tasks.ledger.machine", "tasks.run.baseline",
    }  # fmt: skip
    assert not unused & set(shown["modules"])
    assert "pydantic" not in shown["sought"]  # for which the metadata of every installed package is read
    assert len(shown["modules"]) <= 500, len(shown["modules"])


def test_a_plan_that_finds_nothing_to_do_imports_nothing_that_acts(many: Callable[[int], Repository]) -> None:
    found = counted(many(FEW), "plan")
    assert "pydantic" in found["modules"]  # no snapshot answered it
    acting = {
        "tasks.applying", "tasks.repair", "tasks.drift", "tasks.verify", "tasks.plans.making", "tasks.plans.acceptance",
        "tasks.engine.engine", "tasks.engine.planfile.document", "tasks.ledger.machine", "tasks.run.statecopies",
    }  # fmt: skip
    assert not acting & set(found["modules"])
    assert len(found["modules"]) <= 580, len(found["modules"])


def test_a_deploy_imports_neither_the_ledger_nor_what_undoes_drift(many: Callable[[int], Repository]) -> None:
    repository = many(FEW)
    repository.write(f"stacks/s0/main.tf:{resource('changed')}")
    found = counted(repository, "deploy")
    assert "tasks.applying" in found["modules"]
    unused = {"tasks.repair", "tasks.drift", "tasks.plans.shown", "tasks.run.ledgers", "tasks.ledger.session"}
    assert unused & set(found["modules"]) == set()
    assert not [name for name in found["modules"] if name.startswith("tasks.ledger")]


def test_a_changed_module_is_found_without_a_process_or_file_more_for_stacks_that_do_not_use_it(
    many: Callable[[int], Repository], tmp_path: Path
) -> None:
    del tmp_path
    repository = many(MANY)
    counted(repository, "status")
    repository.write(f"stacks/s0/main.tf:{resource('changed')}")
    found = counted(repository, "status")
    assert set(found["started"]) <= {"git"}  # for the next snapshot
    assert {path for path in found["opened"] if path.startswith("stacks/")} == {"stacks/s0/main.tf"}
    kinds = ("receipts/", "plans/", "outputs/", "results/drift/")
    records = [path.removeprefix(".deploy/local/") for path in found["opened"]]
    assert {path.split("/")[0] for kind in kinds for path in _below(kind, records)} == {"s0"}


def _below(kind: str, records: list[str]) -> list[str]:
    """The names of the stacks whose records of a kind were opened."""
    return [path.removeprefix(kind).removesuffix(".json") for path in records if path.startswith(kind)]
