"""What is printed to be typed works in the shell that started us."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

from tasks.base import ci, whence
from tasks.base.errors import ConfigError
from tasks.base.problem import Problem, doit
from tests.repository import ROOT

_KEPT = {  # files that are written, documents and descriptions, which are read elsewhere; and what is said of doit's own
    "forges/pipelines/gitlab.py", "helptext.py", "project/model/drift.py", "project/model/root.py",
    "project/overlay/pin.py", "run/documents.py",
}  # fmt: skip


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment of Python with both scripts, whose interpreter runs; PATH has nothing of it."""
    folder = tmp_path / "env/bin"
    folder.mkdir(parents=True)
    for name in ("doit", "doit-tofu", "python"):
        (folder / name).touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setattr(ci, "kind", lambda: "none")
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    monkeypatch.delenv(whence.PROGRAM_VARIABLE, raising=False)
    return folder


def started(monkeypatch: pytest.MonkeyPatch, program: str | Path) -> str:
    monkeypatch.setattr(sys, "argv", [str(program), "plan"])
    return whence.program()


@pytest.mark.parametrize("name", ["doit", "doit-tofu"])
def test_a_script_is_named_as_it_was_typed(environment: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert started(monkeypatch, environment / name) == str(environment / name)
    monkeypatch.setenv("PATH", str(environment))
    assert started(monkeypatch, environment / name) == name


def test_another_script_of_that_name_on_the_path_is_not_meant(
    environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "doit").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(other))
    assert started(monkeypatch, environment / "doit") == str(environment / "doit")
    assert started(monkeypatch, "site/doit/__main__.py") == f"{environment}/python -m doit"


def test_a_module_is_its_script_where_path_has_that(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert started(monkeypatch, "/site/doit_tofu/__main__.py") == f"{environment}/python -m doit_tofu"
    (environment / "doit-tofu").unlink()
    monkeypatch.setenv("PATH", str(environment))
    assert started(monkeypatch, "/site/doit/__main__.py") == "doit"
    assert started(monkeypatch, "/site/doit_tofu/__main__.py") == "python -m doit_tofu"


def test_a_wrapper_names_itself_and_a_pipeline_has_one_name(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(whence.PROGRAM_VARIABLE, " uv  run doit ")
    assert started(monkeypatch, environment / "doit") == "uv run doit"
    monkeypatch.setattr(ci, "kind", lambda: "gitlab")
    assert started(monkeypatch, environment / "doit") == "doit"
    monkeypatch.setattr(ci, "kind", lambda: "none")
    monkeypatch.setenv(whence.PROGRAM_VARIABLE, "a\x1b[31m")
    assert started(monkeypatch, environment / "doit") == "doit"


def test_a_problem_is_read_with_that_name_and_kept_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whence, "program", lambda: ".venv/bin/doit-tofu")
    problem = ConfigError("broken", next_step=("run ", doit("plan", environment="prod", A="x y"))).problem
    assert "next: run `A='x y' .venv/bin/doit-tofu env=prod plan`" in whence.text(problem)
    seen = problem.seen_from("", whence.program())
    assert seen.to_json() == {**problem.to_json(), "next": {**problem.to_json()["next"], "text": seen.next_text}}
    assert Problem.from_json(problem.to_json()) == problem
    assert "`A='x y' doit env=prod plan`" in problem.text()


def test_no_sentence_names_the_program_otherwise_than_it_was_started() -> None:
    """Commands to be typed are values; a sentence that speaks of one names it alone: "`ledger prune` needs a number"."""
    found = set()
    for path in (ROOT / "tasks").rglob("*.py"):
        if "`doit" not in path.read_text():
            continue
        tree = ast.parse(path.read_text())
        docstrings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node not in docstrings]
        if any(isinstance(node.value, str) and re.search(r"`doit(-tofu)? ", node.value) for node in texts):
            found.add(path.relative_to(ROOT / "tasks").as_posix())
    assert found == _KEPT
