"""What alarms other tools for nothing: after a deploy none of these shapes is an alert, alone or with all others.

Each shape is code, and what then happens to it outside, to its state or to its code, that a deploy need not answer.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.repository import Repository, minimal_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RULES = """
drift:
  ignore:
    - {address: terraform_data.scaled, attribute: input.replicas, reason: autoscaled, until: 2099-01-01}
    - {address: "terraform_data.order*", looks: [order], reason: sets, until: 2099-01-01}
    - {address: "terraform_data.case*", looks: [case], reason: case, until: 2099-01-01}
    - {address: "output now", classes: [outputs], reason: the time, until: 2099-01-01}
    - {address: "terraform_data.gone_by_rule", classes: [deleted, changed], reason: rebuilt at night, until: 2099-01-01}
volatile_variables: [token]
"""


@dataclass(frozen=True)
class Shape:
    """Code, what it becomes afterwards, and how the resource of the same name is changed in the state."""

    code: str
    later: str | None = None
    state: Any = None
    attributes: dict[str, Any] | None = None


def data(name: str, body: str) -> str:
    """A resource of this name."""
    return f'resource "terraform_data" "{name}" {{\n  {body}\n}}\n'


def _of(body: str, **more: Any) -> tuple[str, dict[str, Any]]:
    return body, more


IGNORED = "lifecycle {\n    ignore_changes = [%s]\n  }"
SHAPES: dict[str, Shape] = {
    # what the code tells the engine to ignore
    "ignored": Shape(data("ignored", f'input = "a"\n  {IGNORED % "input"}'), state="b"),
    "ignored_map": Shape(data("ignored_map", 'input = { a = "1", b = "2" }\n  ' + IGNORED % 'input["a"]'), state={"a": "x", "b": "2"}),
    "ignored_all": Shape(data("ignored_all", "input = 1\n  lifecycle {\n    ignore_changes = all\n  }"), state=5),
    "ignored_time": Shape(data("ignored_time", f'input = timestamp()\n  {IGNORED % "input"}')),
    "ignored_type": Shape(data("ignored_type", f'input = 1\n  {IGNORED % "input"}'), state="one"),
    # what a rule covers
    "scaled": Shape(data("scaled", "input = { replicas = 1, image = \"a\" }"), state={"replicas": 9, "image": "a"}),
    "order": Shape(data("order", 'input = ["a", "b", "c"]'), state=["c", "a", "b"]),
    "case": Shape(data("case", 'input = "Standard"'), state="STANDARD"),
    "now": Shape('output "now" {\n  value = plantimestamp()\n}\n'),
    # what only looks different
    "json": Shape(data("json", "input = jsonencode({ a = 1, b = [1, 2] })"), state='{"b": [1,  2], "a": 1}'),
    "json_nested": Shape(data("json_nested", "input = { p = jsonencode([{ S = \"x\" }]) }"), state={"p": '[ {"S":"x"} ]'}),
    # what the provider computes, and what nothing reads
    "computed": Shape(data("computed", "input = 1"), attributes={"output": {"value": 7, "type": "number"}}),
    "unset": Shape(data("unset", "triggers_replace = null")),
    "absent": Shape('resource "terraform_data" "absent" {\n}\n'),
    "zero": Shape(data("zero", "count = 0\n  input = 1")),
    "empty_for_each": Shape(data("empty_for_each", "for_each = {}\n  input = each.value")),
    "unused_data": Shape('data "terraform_remote_state" "none" {\n  count   = 0\n  backend = "local"\n}\n'),
    # values that are new in every run
    "token": Shape('variable "token" {\n  default = "x"\n}\n' + data("token", f'input = var.token\n  {IGNORED % "input"}')),
    "short_lived": Shape('variable "short_lived" {\n  default   = "x"\n  ephemeral = true\n}\n'),
    "sensitive": Shape('variable "secret" {\n  default   = "a-long-secret"\n  sensitive = true\n}\n' + data("sensitive", "input = var.secret")),
    # what the code still says after it was deployed
    "moved": Shape("moved {\n  from = terraform_data.was\n  to   = terraform_data.moved\n}\n" + data("moved", "input = 1")),
    "removed": Shape("removed {\n  from = terraform_data.never\n}\n"),
    "checked": Shape('check "holds" {\n  assert {\n    condition     = terraform_data.unset.id != null\n    error_message = "no"\n  }\n}\n'),
    "condition": Shape(data("condition", "input = 1\n  lifecycle {\n    precondition {\n      condition     = terraform_data.unset.id != null\n      error_message = \"no\"\n    }\n  }")),
    # code that is written in another way and means the same
    "comment": Shape(data("comment", "input = 1"), data("comment", "input = 1 # of late")),
    "spaces": Shape(data("spaces", "input = 1"), data("spaces", "\n  input = 1\n")),
    "folded": Shape(data("folded", 'input = "a-b"'), data("folded", 'input = join("-", ["a", "b"])')),
    "to_local": Shape(data("to_local", 'input = "v"'), 'locals {\n  v = "v"\n}\n' + data("to_local", "input = local.v")),
    "to_variable": Shape(data("to_variable", "input = 4"), 'variable "four" {\n  default = 4\n}\n' + data("to_variable", "input = var.four")),
    "described": Shape('variable "d" {\n  default = 1\n}\n', 'variable "d" {\n  default     = 1\n  description = "one"\n  nullable    = false\n}\n'),
    "sorted": Shape(data("sorted", "input = { b = 1, a = 2 }"), data("sorted", "input = { a = 2, b = 1 }")),
    "as_number": Shape(data("as_number", "input = { n = 1.0 }"), data("as_number", "input = { n = 1 }")),
    "set": Shape(data("set", 'input = toset(["a", "b"])'), data("set", 'input = toset(["b", "a", "a"])')),
    "null_key": Shape(data("null_key", "input = 1"), data("null_key", "input = 1\n  triggers_replace = null")),
    "depends": Shape(data("depends", "input = 1"), data("depends", "input = 1\n  depends_on = [terraform_data.comment]")),
    "lifecycle": Shape(data("lifecycle", "input = 1"), data("lifecycle", "input = 1\n  lifecycle {\n    create_before_destroy = true\n  }")),
    "keyed": Shape(data("keyed", 'for_each = toset(["b", "a"])\n  input    = each.key'), data("keyed", 'for_each = toset(["a", "b"])\n  input    = each.value')),
    "output_described": Shape('output "o" {\n  value = 1\n}\n', 'output "o" {\n  value       = 1\n  description = "one"\n}\n'),
    "unused_local": Shape("", "locals {\n  unused = uuid()\n}\n"),
    "file_read": Shape(data("file_read", 'input = fileexists("${path.module}/none")')),
    "heredoc": Shape(data("heredoc", 'input = "a\\nb\\n"'), data("heredoc", "input = <<-EOT\n    a\n    b\n  EOT")),
}  # fmt: skip


def write(repository: Repository, tofu: Path, stack: str, codes: dict[str, str]) -> None:
    """Code, each in a file of its own, formatted."""
    for name, code in codes.items():
        (repository.path / f"stacks/{stack}/{name}.tf").write_text(code)
    subprocess.run([tofu, "fmt", str(repository.path / "stacks" / stack)], check=True, stdout=subprocess.DEVNULL)


def change_outside(repository: Repository) -> None:
    """Change what shapes change in the state, written in another order and by something else."""
    path = repository.path / ".state/a-local.tfstate"
    state = json.loads(path.read_text())
    state["serial"] += 1
    for item in state["resources"]:
        shape = SHAPES.get(item["name"])
        for instance in item["instances"]:
            if shape is not None and shape.state is not None:
                instance["attributes"]["input"] = {"value": shape.state, "type": kind(shape.state)}
                instance["attributes"]["output"] = {"value": shape.state, "type": kind(shape.state)}
            if shape is not None and shape.attributes:
                instance["attributes"] |= shape.attributes
            instance["dependencies"] = list(reversed(instance.get("dependencies", [])))
    state["resources"].reverse()
    path.write_text(json.dumps(state, indent=7, sort_keys=True))


def change_really(repository: Repository) -> set[str]:
    """Change an attribute of each resource, and each output, that no shape covers; returns what has to be reported."""
    changed = set[str]()
    for stack in ("a", "b"):
        path = repository.path / f".state/{stack}-local.tfstate"
        state = json.loads(path.read_text())
        for item in state["resources"]:
            for instance in item["instances"]:
                instance["attributes"]["triggers_replace"] = {"value": "by hand", "type": "string"}
            changed.add(f"{item['type']}.{item['name']}")
        for name, output in state["outputs"].items():
            output |= {"value": "by hand", "type": "string"}
            changed.add(f"output {name}")
        path.write_text(json.dumps(state))
    return changed - {"terraform_data.ignored_all", "output now"}  # all of these is ignored


def kind(value: Any) -> Any:
    """The engine's type of a value."""
    if isinstance(value, dict):
        return ["object", {key: kind(item) for key, item in value.items()}]
    if isinstance(value, list):
        return ["tuple", [kind(item) for item in value]]
    return "number" if isinstance(value, int) else "string"


def test_more_than_forty_shapes_alarm_nobody(build: Callable[..., Repository], tofu: Path) -> None:
    """Those of stack `a` are changed outside, those of stack `b` are written in another way.

    None of them hides a change of the same resource that has to be an alert.
    """
    assert len(SHAPES) >= 40
    empty = 'terraform {\n  backend "local" {}\n}\n'
    repository = build(minimal_config(RULES), f"stacks/a/main.tf:{empty}", f"stacks/b/main.tf:{empty}")
    write(repository, tofu, "a", {name: shape.code for name, shape in SHAPES.items() if shape.later is None})
    write(repository, tofu, "b", {name: shape.code for name, shape in SHAPES.items() if shape.later is not None})
    repository.commit("shapes")
    repository.doit("deploy", TF_VAR_token="one")
    repository.doit("drift", TF_VAR_token="two", code=0)
    change_outside(repository)
    write(repository, tofu, "b", {name: shape.later for name, shape in SHAPES.items() if shape.later is not None})
    done = repository.doit("drift", TF_VAR_token="three", code=0)
    assert "drifted" not in done.task("drift", "a"), done.out
    real = change_really(repository)
    assert len(real) >= 30
    done = repository.doit("drift", TF_VAR_token="four", code=2)
    report = repository.deploy_dir("reports", "drift.md").read_text()
    assert [name for name in sorted(real) if not re.search(rf"{re.escape(name)}(?!\w)", report)] == [], done.out


def test_the_same_changes_are_found_where_neither_code_nor_rule_covers_them(
    build: Callable[..., Repository], tofu: Path
) -> None:
    covered = [name for name, shape in SHAPES.items() if shape.state is not None and not name.startswith("json")]
    repository = build(minimal_config(), 'stacks/a/main.tf:terraform {\n  backend "local" {}\n}\n')
    bare = re.compile(r"\n  lifecycle \{.*?\n  \}", re.DOTALL)
    write(repository, tofu, "a", {name: bare.sub("", SHAPES[name].code) for name in covered})
    repository.commit("without")
    repository.doit("deploy")
    change_outside(repository)
    done = repository.doit("drift", code=2)
    report = repository.deploy_dir("reports", "drift.md").read_text()
    assert [name for name in covered if f"terraform_data.{name}" not in report] == [], done.out
