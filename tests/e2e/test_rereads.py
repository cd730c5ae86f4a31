"""Files that an apply reads again: changed after the verification, they stop it before it begins."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.repository import DODO, Repository, minimal_config, resource

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG = minimal_config("""
    stacks:
      vars: {var_files: [more.tfvars], variables: {}}
      watch: {watch: [watched.txt]}
    """)
READS = 'output "read" {\n  value = file("../../shared/read.txt")\n}\n'
CALLS = 'module "m" {\n  source = "../../modules/m"\n}\n'
TAKES = 'variable "x" {\n  type = string\n}\n'
MODULE = 'resource "terraform_data" "of_module" {\n  input = "good"\n}\n'
SCRIPT = """
resource "terraform_data" "made" {
  provisioner "local-exec" {
    command = "sh ${path.module}/make.sh"
  }
}
"""
STACKS = {  # the file, what it is called, and its kind
    "reads": ("shared/read.txt", "file shared/read.txt", "file"),
    "script": ("stacks/script/make.sh", "file stacks/script/make.sh", "file"),
    "called": ("modules/m/main.tf", "module modules/m/main.tf", "module"),
    "vars": ("stacks/vars/more.tfvars", "var file stacks/vars/more.tfvars", "var_file"),
    "watch": ("stacks/watch/watched.txt", "watched file stacks/watch/watched.txt", "watched"),
    "own": ("stacks/own/main.tf", "file stacks/own/main.tf", "file"),
}


@pytest.fixture
def repository(build: Callable[..., Repository]) -> Repository:
    """A stack for each kind of file."""
    repository = build(
        CONFIG,
        "dodo.py:" + DODO + "import swapper\n",
        "shared/read.txt:good",
        f"stacks/reads/main.tf:{resource(extra=READS)}",
        'stacks/script/make.sh:echo good > "$WORLD/made"',
        f"stacks/script/main.tf:{resource(extra=SCRIPT)}",
        f"modules/m/main.tf:{MODULE}",
        f"stacks/called/main.tf:{resource(extra=CALLS)}",
        'stacks/vars/more.tfvars:x = "good"',
        f"stacks/vars/main.tf:{resource(extra=TAKES)}",
        "stacks/watch/watched.txt:good",
        f"stacks/watch/main.tf:{resource()}",
        f"stacks/own/main.tf:{resource('good')}",
    )
    shutil.copy(Path(__file__).parent.parent / "swapper.py", repository.path)
    repository.variables["WORLD"] = str(repository.home)
    repository.commit()
    return repository


def test_files_changed_after_the_verification_stop_the_apply_by_name(repository: Repository) -> None:
    repository.doit("plan")
    orders, before = {}, {}
    for name, (path, _, kind) in STACKS.items():
        before[path] = (repository.path / path).read_bytes()
        foreign = repository.home / name
        foreign.write_bytes(before[path].replace(b"good", b"evil").replace(b'"1"', b'"2"'))
        assert foreign.read_bytes() != before[path]
        assert (kind, path) in repository.inputs("plans", name, "manifest.json")
        orders[f"deploy:{name}"] = ["return receipt.write", "rewrite", str(repository.path / path), str(foreign)]
    swaps = repository.home / "orders.json"
    swaps.write_text(json.dumps(orders))
    repository.engine_calls()
    done = repository.doit("deploy", code=1, SWAPS=str(swaps))
    for name, (_, label, _) in STACKS.items():
        assert f"changed since this was verified: {label}" in done.task("deploy", name)
        assert not repository.deploy_dir("receipts", f"{name}.json").exists()
    assert repository.engine_calls("apply") == []
    assert list((repository.path / ".state").glob("*")) == []
    assert not (repository.home / "made").exists()
    assert "untouched: nothing in this stack was changed" in done.out

    repository.git("checkout", "--", ".")
    repository.doit("deploy")  # the files are as they were: so is what may be applied
    assert repository.engine_calls("plan") == []
    assert (repository.home / "made").read_text() == "good\n"


def test_a_file_whose_name_is_not_known_stops_the_apply_too(build: Callable[..., Repository]) -> None:
    unknown = 'locals {\n  name = one(terraform_data.it[*].input)\n}\n\noutput "x" {\n  value = file(local.name)\n}\n'
    repository = build(
        minimal_config(), "dodo.py:" + DODO + "import swapper\n", "any.txt:good",
        f"stacks/a/main.tf:{resource('../../any.txt', extra=unknown)}",
    )  # fmt: skip
    shutil.copy(Path(__file__).parent.parent / "swapper.py", repository.path)
    repository.commit()
    repository.doit("plan")
    assert ("any_file", "stacks/a/main.tf") in repository.inputs("plans", "a", "manifest.json")
    foreign, swaps = repository.home / "foreign", repository.home / "orders.json"
    foreign.write_text("evil content")
    order = ["return receipt.write", "rewrite", str(repository.path / "any.txt"), str(foreign)]
    swaps.write_text(json.dumps({"deploy:a": order}))
    repository.engine_calls()
    done = repository.doit("deploy", code=1, SWAPS=str(swaps))
    refused = done.task("deploy", "a")
    assert "changed since this was verified: file any.txt; any file" in refused
    assert repository.engine_calls("apply") == []
