"""The reader's values against the engine's: what the engine evaluates is always among what the reader says it may be."""

from __future__ import annotations

import json
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tasks.project.hcl import expressions, syntax, values
from tasks.project.hcl.evaluation import Evaluator
from tasks.project.hcl.fileindex import FileIndex
from tasks.project.hcl.paths import Paths
from tasks.project.hcl.scope import Scope
from tasks.project.hcl.values import ANY, Content, Fields, Items, Start, Values

_LINES = (Path(__file__).parent.parent / "data/expressions.txt").read_text().splitlines()
EXPRESSIONS = [line.replace("\\N", "\n") for line in _LINES if not line.startswith("# One")]


@pytest.fixture(scope="module")
def engine(tofu: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What the engine says that each expression is: one plan for all of them."""
    folder = tmp_path_factory.mktemp("expressions")
    (folder / "empty.tfrc").touch()
    blocks = [
        f'locals {{\n  e{at} = {text}\n}}\noutput "e{at}" {{\n  value = jsonencode(local.e{at})\n}}\n'
        for at, text in enumerate(EXPRESSIONS)
    ]
    (folder / "main.tf").write_text("".join(blocks))
    environment = {"TF_CLI_CONFIG_FILE": str(folder / "empty.tfrc"), "HOME": str(folder), "CHECKPOINT_DISABLE": "1"}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [tofu, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("plan", "-no-color", "-out=plan")
    outputs = json.loads(run("show", "-json", "plan"))["planned_values"]["outputs"]
    return [json.loads(outputs[f"e{at}"]["value"], parse_float=Decimal) for at in range(len(EXPRESSIONS))]


def _read(text: str, folder: Path) -> Values:
    """What the reader says that an expression may be."""
    evaluator = Evaluator(Paths(FileIndex(folder, folder / "cache.json"), ".", lambda *_: None))
    tree = syntax.parse(f"x = {text}\n".encode())
    if tree.has_error:
        return ANY  # as for a whole file: `broken` files may read any file
    expression = next(node for _, node in syntax.attributes(syntax.body(tree)))
    scope = Scope(".", {}, lambda _: None, {}, {}, {}, lambda *_: [])
    return evaluator.evaluate(expressions.convert(expression), scope, {})


def _among(value: Any, found: Values) -> bool:
    return any(_may_be(value, item) for item in found)


def _may_be(value: Any, item: Any) -> bool:
    """Whether an alternative stands for a value.

    The engine converts the elements of some collections to texts, where the reader keeps `1`: in a path, both are `1`.
    """
    if isinstance(item, Content) or item == Start():
        return True
    if isinstance(item, Start):
        return isinstance(value, str) and value.startswith(item.text)
    if isinstance(item, Items):
        if not isinstance(value, list) or (not item.other and len(value) != len(item.elements)):
            return False
        if not item.other:
            return all(map(_among, value, item.elements))
        return all(_among(each, values.all_of(item)) for each in value)
    if isinstance(item, Fields):
        return isinstance(value, dict) and all(_among(each, item.get(key)) for key, each in value.items())
    if isinstance(value, list | dict) or value is None or item is None:
        return value is item
    if isinstance(value, str):
        return values.text_of(item) in (value, None)
    if isinstance(value, bool) or isinstance(item, bool | str):
        return value is item
    return Decimal(str(item)) == Decimal(str(value))


def test_what_the_engine_evaluates_is_among_what_the_reader_says(engine: list[Any], tmp_path: Path) -> None:
    found = [_read(text, tmp_path) for text in EXPRESSIONS]
    wrong = [
        f"{text!r} is {value!r}, and {read}"
        for text, value, read in zip(EXPRESSIONS, engine, found, strict=True)
        if not _among(value, read)
    ]
    assert not wrong, "\n".join(wrong)
    unknown = sum(read == ANY for read in found)
    assert unknown < len(found) / 4, "a reader that knows nothing is not tested"
