"""`docs/architecture.md` is true of the tree: its picture has every room, and what it names exists."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from tasks.project.model import Config

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
