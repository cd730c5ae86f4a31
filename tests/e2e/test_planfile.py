"""A saved plan, read without the engine, says what the engine says of it."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tasks.artifact import changes, plansecrets
from tasks.artifact.statecheck import Seen
from tasks.base import jsontext, sealed
from tasks.base.masking import Masker
from tasks.engine.planfile import document, schema
from tasks.engine.planfile import plan as plans
from tasks.engine.planfile.wire import UnreadableError
from tests import heavy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Folder:
    """A root module and the engine, by hand.

    Args:
        tofu: The engine.
        base: A folder for it.
    """

    def __init__(self, tofu: Path, base: Path) -> None:
        self.path = base / "root"
        self.path.mkdir()
        self.tofu = tofu
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(base), "CHECKPOINT_DISABLE": "1"}

    def write(self, text: str, name: str = "main.tf") -> None:
        """Write one file."""
        path = self.path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)

    def run(self, *arguments: str) -> str:
        """Run the engine; returns its standard output."""
        done = subprocess.run(
            [self.tofu, *arguments], cwd=self.path, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode in (0, 2), done.stdout + done.stderr
        return done.stdout

    def plan(self, *arguments: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Plan; what the engine says of the plan, and what we read."""
        self.run("plan", "-out=plan", *arguments)
        schemas = schema.read(self.run("providers", "schema", "-json"))
        with sealed.of((self.path / "plan").read_bytes()) as plan:
            ours = document.of(plans.read(plan), lambda kind: schemas[kind])
        return jsontext.loads(self.run("show", "-json", "plan")), ours

    def compare(self, *arguments: str) -> changes.PlanChanges:
        """Plan, and compare everything that is made of a plan."""
        theirs, ours = self.plan(*arguments)
        secret = {jsontext.dumps(value, sort_keys=True) for value in plansecrets.values(theirs)}
        assert {jsontext.dumps(value, sort_keys=True) for value in plansecrets.values(ours)} >= secret
        found = changes.read(ours, Masker([]))
        assert found == changes.read(theirs, Masker([]))
        hidden = changes.read(ours, Masker([]), hidden=True)
        assert hidden == changes.read(theirs, Masker([]), hidden=True)
        assert Seen.read(ours, "l", 1) == Seen.read(theirs, "l", 1)
        assert _sensitive(ours) == _sensitive(theirs)
        assert _relevant(ours) == _relevant(theirs)
        assert [item["address"] for item in ours["resource_changes"]] == [
            item["address"] for item in theirs.get("resource_changes") or []
        ]
        return found


def _sensitive(plan: Mapping[str, Any]) -> dict[str, set[tuple[str | int, ...]]]:
    """Where each change is sensitive."""
    return {
        f"{kind} {item.get('address')} {item.get('deposed')} {side}": set(_marked(item["change"].get(side), ()))
        for kind in ("resource_changes", "resource_drift")
        for item in plan.get(kind) or []
        for side in ("before_sensitive", "after_sensitive")
    }


def _relevant(plan: Mapping[str, Any]) -> list[str]:
    """The attributes that changes may follow from."""
    return sorted(jsontext.dumps(item, sort_keys=True) for item in plan.get("relevant_attributes") or [])


def _marked(marks: Any, path: tuple[str | int, ...]) -> Any:
    if marks is True:
        yield path
    elif isinstance(marks, dict | list):
        for key, item in marks.items() if isinstance(marks, dict) else enumerate(marks):
            yield from _marked(item, (*path, key))


@pytest.fixture
def folder(tofu: Path, tmp_path: Path) -> Folder:
    """A root module."""
    return Folder(tofu, tmp_path)


@pytest.fixture
def heavily(folder: Folder, tmp_path: Path) -> Folder:
    """A root module with a provider that has every kind of schema."""
    folder.environment["TF_CLI_CONFIG_FILE"] = str(heavy.installed(tmp_path))
    folder.write(heavy.REQUIRED, "providers.tf")
    return folder


VALUES = """\
variable "given" {
  sensitive = true
  default   = "secret-by-default"
}
variable "list" {
  type    = list(number)
  default = [1, 2.5]
}
locals {
  values = {
    tenth = 0.1, big = 123456789012345678901234567890, huge = 1e100, minus = -3.5, float = 1.5, whole = 2.0
    tiny  = 1e-30, exact = 0.30000000000000004, text = "0.1", yes = true, none = null, empty = {}, nothing = []
    secret = var.given, deep = [1, "a", null, { k = var.given, n = [var.given, "x"] }], map = tomap({ a = "b" })
    set = toset(["b", "a"]), numbers = toset([3, 1, 2]), given = var.list, unicode = "ü \\u0000 \\U0001F600"
    long = join("", [for number in range(300) : "x"]), many = range(200), mark = "${"$"}{x} %%{y}"
  }
}
resource "terraform_data" "each" {
  for_each         = toset(["x", "y.z", "q\\"uote", "$${x}", "a[0]", "module.x"])
  input            = merge(local.values, { unknown = terraform_data.count[0].id })
  triggers_replace = [1.0, var.given]
}
resource "terraform_data" "count" {
  count = 12
  input = count.index
}
resource "terraform_data" "whole" {
  input = toset(["a", "b", var.given])
}
module "m" {
  source = "./m"
  count  = 2
}
output "unknown" {
  value = { a = terraform_data.count[0].id, b = nonsensitive(var.given), c = [terraform_data.count[0].id, 1] }
}
output "secret" {
  value     = var.given
  sensitive = true
}
output "none" {
  value = null
}
check "holds" {
  assert {
    condition     = terraform_data.count[1].input == 1
    error_message = "it does not"
  }
}
check "fails" {
  assert {
    condition     = terraform_data.count[1].input == 2
    error_message = "it is ${terraform_data.count[1].input}"
  }
}
"""
MODULE = """\
variable "d" {
  default   = "secret-of-a-module"
  sensitive = true
}
resource "terraform_data" "in" {
  for_each = toset(["k"])
  input    = { x = { y = [var.d] } }
  lifecycle {
    postcondition {
      condition     = self.input != null
      error_message = "it is null"
    }
  }
}
data "terraform_remote_state" "none" {
  backend  = "local"
  config   = { path = "none.tfstate" }
  defaults = { x = 1, y = ["a"] }
}
"""


def test_every_kind_of_value_and_change(folder: Folder) -> None:
    folder.write(VALUES)
    folder.write(MODULE, "m/main.tf")
    folder.write('{"version": 4, "serial": 1, "lineage": "l", "outputs": {}, "resources": []}', "none.tfstate")
    folder.run("init")
    assert folder.compare().counts.add > 20
    folder.run("apply", "plan")
    assert folder.compare().counts.empty
    folder.run("taint", "terraform_data.count[2]")
    changed = VALUES.replace("count = 12", "count = 3").replace("-3.5", "7").replace('toset(["x"', 'toset(["w"')
    changed = (
        changed.replace("[1.0, var", "[2.0, var")
        .replace('"none" {', '"another" {')
        .replace("0.30000000000000004", "0.3")
    )
    folder.write(
        changed + 'resource "terraform_data" "moved" {\n  input = 9\n}\n'
        "moved {\n  from = terraform_data.count[11]\n  to   = terraform_data.moved\n}\n"
        "removed {\n  from = terraform_data.gone\n  lifecycle {\n    destroy = false\n  }\n}\n"
    )
    found = folder.compare("-var=given=other")
    assert found.counts.replace
    assert found.counts.move
    assert found.counts.destroy
    folder.run("apply", "-var=given=other", "plan")
    folder.write("")
    assert folder.compare().counts.destroy > 10


def test_a_resource_that_is_imported(folder: Folder) -> None:
    folder.write(
        'import {\n  to = terraform_data.it\n  id = "an-id"\n}\nresource "terraform_data" "it" {\n  input = 1\n}\n'
    )
    folder.run("init")
    assert folder.compare().counts.imports


THING = """\
resource "heavy_thing" "it" {
  name      = "n"
  password  = "secret-password"
  number    = 0.1
  tags      = { a = "b" }
  names     = ["x", "y"]
  anything  = { n = 0.1, s = sensitive("secret-part"), l = [1, "a"] }
  passwords = ["secret-one", "secret-two"]
  one       = { key = "k", value = "secret-one-value", number = 0.1 }
  several   = [{ key = "a", value = "secret-a" }, { key = "b", value = "secret-b", number = 2 }]
  some      = [{ key = "a", value = "secret-set-a", number = 0.7 }, { key = "b", value = "secret-set-b" }]
  named     = { x = { key = "k", value = "secret-named" } }
  rule {
    port     = 80
    password = "secret-rule"
  }
  rule {
    port = 81.5
  }
  step {
    port     = 1
    password = sensitive("secret-step")
  }
  only {
    any      = "x"
    password = "secret-only"
  }
}
data "heavy_found" "it" {
  name = "x"
}
data "heavy_found" "later" {
  name = heavy_thing.it.id
}
resource "terraform_data" "it" {
  input = [heavy_thing.it.one, data.heavy_found.it.token]
}
"""


def test_sensitive_values_in_every_place_that_a_schema_has(heavily: Folder) -> None:
    heavily.write(THING)
    heavily.run("init")
    heavily.compare()
    heavily.run("apply", "plan")
    assert heavily.compare().counts.empty
    heavily.write(THING.replace('"secret-', '"other-secret-').replace("81.5", "0.2"))
    heavily.compare()
    drift = heavily.path.parent / "drift"
    drift.write_text("renamed")
    heavily.environment["HEAVY_DRIFT"] = str(drift)
    assert heavily.compare().drift
    heavily.write("")
    heavily.compare()


@pytest.mark.parametrize("arguments", [["-destroy"], ["-refresh-only"], ["-target=terraform_data.it"]])
def test_a_plan_of_another_kind_is_left_to_the_engine(folder: Folder, arguments: list[str]) -> None:
    folder.write('resource "terraform_data" "it" {\n}\n')
    folder.run("init")
    folder.run("apply", "-auto-approve")
    with pytest.raises(UnreadableError):
        folder.plan(*arguments)


def test_bytes_that_are_no_plan_are_refused(folder: Folder) -> None:
    folder.write('resource "terraform_data" "it" {\n  input = { a = [1, "b"] }\n}\n')
    folder.run("init")
    folder.run("plan", "-out=plan")
    content = (folder.path / "plan").read_bytes()
    for cut in range(0, len(content), 97):
        with sealed.of(content[:cut]) as plan, pytest.raises(UnreadableError):
            plans.read(plan)
