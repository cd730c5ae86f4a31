"""A stack whose plan has everything that a report can stumble over; made by the real engine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.repository import minimal_config

if TYPE_CHECKING:
    from pathlib import Path

    from tests.repository import Repository

SECRET = "hunter2-never-shown"
KEY = 'k"]`|<img src=x onerror=alert(1)>'  # of a resource: it stands in addresses
HOSTILE = (
    "```\n````\n~~~\n</details></pre></code><script>alert(1)</script>\n![i](http://evil.test/i.png) [l](javascript:alert(1))\n"
    "<img src=x onerror=alert(1)> @everyone #1 | a | b |\n<!-- -->\n::error::no\n##[error]no\n\x1b[31m\u202ereversed\u2066 日本語 🌈 \u0000"
)

MAIN = """\
terraform {
  backend "local" {}
}

locals {
  data = jsondecode(file("${path.module}/data.json"))
}

variable "password" {
  type      = string
  sensitive = true
}

resource "terraform_data" "many" {
  for_each = local.data.many
  input    = each.value
}

resource "terraform_data" "user_data" {
  input = file("${path.module}/user_data.txt")
}

resource "terraform_data" "hostile" {
  input = local.data.hostile
}

resource "terraform_data" "policy" {
  input = jsonencode(local.data.policy)
}

resource "terraform_data" "yaml" {
  input = yamlencode(local.data.policy)
}

resource "terraform_data" "secret" {
  input = var.password
}

resource "terraform_data" "replaced" {
  triggers_replace = [local.data.trigger]
}

resource "terraform_data" "unknown" {
  input = { id = terraform_data.replaced.id, hidden = var.password, known = 1 }
}

resource "terraform_data" "list" {
  input = local.data.list
}

output "policy" {
  value = local.data.policy
}

output "password" {
  value     = var.password
  sensitive = true
}

"""
FIRST = """\
resource "terraform_data" "old_name" {
  input = "moves"
}

resource "terraform_data" "forgotten" {
  input = "stays, unknown to the state"
}

resource "terraform_data" "gone" {
  input = "is destroyed"
}
"""
SECOND = """\
resource "terraform_data" "hostile_new" {
  input = local.data.hostile
}

resource "terraform_data" "new_name" {
  input = "moves"
}

moved {
  from = terraform_data.old_name
  to   = terraform_data.new_name
}

removed {
  from = terraform_data.forgotten
  lifecycle {
    destroy = false
  }
}

resource "terraform_data" "imported" {}

import {
  to = terraform_data.imported
  id = "id-of-before"
}
"""


def write(repository: Repository, second: bool) -> None:
    """The stack `nasty` as it is first, or as it is then."""
    many = {f"n{number:03}": f"value {number} {'new' if second else 'old'}" for number in range(200)}
    many[KEY] = "second" if second else "first"
    data = {
        "many": many,
        "hostile": HOSTILE + ("changed" if second else ""),
        "trigger": "2" if second else "1",
        "policy": {
            "Version": "2012", "Statement": [{"Effect": "Deny" if second else "Allow", "Action": ["a:*", "b:*"]}],
        },
        "list": [{"port": port, "cidr": "10.0.0.0/8"} for port in range(100) if port != (7 if second else 8)],
    }  # fmt: skip
    lines = [f"line {number} {'after' if second and number % 2 else 'before'}" for number in range(3000)]
    folder = repository.path / "stacks/nasty"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data.json").write_text(json.dumps(data))
    (folder / "user_data.txt").write_text("\n".join(lines) + ("" if second else "\n"))
    (folder / "main.tf").write_text(MAIN + (SECOND if second else FIRST))
    repository.commit()


def planned(repository: Repository) -> Path:
    """Deploy what is first, plan what is then; gives the folder of the reports."""
    repository.variables["TF_VAR_password"] = SECRET
    repository.write(minimal_config())
    write(repository, second=False)
    repository.doit("deploy")
    write(repository, second=True)
    repository.variables["TF_VAR_password"] = f"{SECRET}-2"
    repository.doit("plan")
    return repository.deploy_dir("reports")
