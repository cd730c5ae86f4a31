"""`docs/architecture.md` is true of the tree: its picture has every room, and what it names exists."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel

from tasks.project.model import Config
from tasks.run.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tasks.project.project import Project

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/architecture.md").read_text()
PICTURE = TEXT.split("```")[1]
TASKS = ROOT / "tasks"
WITHIN = TASKS / "project"  # the room that has rooms
_NAME = re.compile(r"`([a-z][a-z_]*(?:[./][a-z_]+)*(?:\.[A-Za-z_]+)?)(?:\(\))?`")


def rooms(folder: Path) -> set[str]:
    """The rooms in a folder."""
    return {path.parent.name for path in folder.glob("*/__init__.py") if path.parent.name != "templates"}


def drawn(indent: int) -> list[str]:
    """The rooms in the picture, from top to bottom."""
    return re.findall(rf"^ {{{indent}}}([a-z]+) ", PICTURE, re.MULTILINE)


def is_key(name: str) -> bool:
    """Whether a name is one of the configuration's, not a module's."""
    head, _, key = name.partition(".")
    if head not in Config.model_fields:
        return False
    kinds = re.findall(r"model\.[a-z]+\.(\w+)", str(Config.model_fields[head].annotation))
    models = [kind for kind in BaseModel.__subclasses__() for kind in [kind, *kind.__subclasses__()]]
    return any(key in kind.model_fields for kind in models if kind.__name__ in kinds)


def named() -> list[str]:
    """The modules, and what is in them, that the page names."""
    found = {name for name in _NAME.findall(TEXT) if re.search("[./]", name)}
    inside = rooms(TASKS) | rooms(WITHIN)
    halls = {path.stem for path in TASKS.glob("*.py")}
    ours = {name for name in found if re.split("[./]", name)[0] in inside or name.partition(".")[0] in halls}
    return sorted(name for name in ours if not is_key(name) and not name.endswith((".py", ".md", ".yaml")))


def exists(name: str) -> bool:
    """Whether there is a module, a room, or something that a module defines."""
    path = name.replace(".", "/")
    for base in (TASKS, WITHIN):
        if (base / f"{path}.py").exists() or (base / path).is_dir():
            return True
        module, _, inner = path.rpartition("/")
        file = base / f"{module}.py"
        if module and file.exists():
            return re.search(rf"^\s*(?:def |class )?{inner}\b", file.read_text(), re.MULTILINE) is not None
    return False


def test_the_picture_has_the_rooms_in_the_order_of_the_import_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers, within = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    assert drawn(3) == layers
    assert set(layers) == rooms(TASKS)
    assert drawn(5) == within
    assert set(within) == rooms(WITHIN)


def test_the_number_of_rooms_is_right() -> None:
    assert f"a hall and {len(rooms(TASKS))} rooms" in TEXT


@pytest.mark.parametrize("name", named())
def test_what_the_page_names_is_there(name: str) -> None:
    assert exists(name), f"{name} is in docs/architecture.md and not in tasks/"


def test_a_name_that_is_not_there_is_found() -> None:
    assert exists("artifact.receipt")
    assert exists("base/errors.ExitCode")
    assert not exists("artifact.nothing")
    assert not exists("base/errors.Nothing")


CHANGING = frozenset({"add", "append", "clear", "discard", "extend", "pop", "remove", "setdefault", "update"})


def written(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """What is assigned to or changed in a module, as `owner.attribute`, in two parts."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.Delete):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign | ast.AugAssign):
            targets = [node.target]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGING:
            targets = [node.func.value]
        else:
            continue
        for target in (part for each in targets for part in (each.elts if isinstance(each, ast.Tuple) else [each])):
            place = target
            while isinstance(place, ast.Subscript):
                place = place.value
            if isinstance(place, ast.Attribute):
                yield ast.unparse(place.value).rpartition(".")[2], place.attr


def test_each_attribute_of_a_run_is_written_in_one_module(load: Callable[..., Project]) -> None:
    run = Run(load("", "stacks/a/main.tf:"))
    attributes = {name for name in vars(run) if not name.startswith("_")} - {"mask"}  # which has methods to fill it
    writers: dict[str, set[str]] = {name: set() for name in attributes}
    for path in TASKS.rglob("*.py"):
        tree = ast.parse(path.read_text())
        if path == TASKS / "run/run.py":
            owners, [kind] = {"self"}, [node for node in tree.body if isinstance(node, ast.ClassDef)]
            kind.body = [node for node in kind.body if getattr(node, "name", "") != "__init__"]
        else:
            owners = {"run", "_run"}
        for owner, attribute in written(tree):
            if attribute in attributes and owner in owners:
                writers[attribute].add(path.relative_to(TASKS).as_posix())
    assert writers["reused"] == {"plan.py"}
    assert writers["results"] == {"run/run.py"}
    assert {name: found for name, found in writers.items() if len(found) > 1} == {}


def test_no_module_has_400_lines() -> None:
    long = {str(path): lines for path in TASKS.rglob("*.py") if (lines := path.read_text().count("\n")) >= 400}
    assert long == {}
