"""Nothing leaks: secrets pushed through every stage are found in the engine's own plan and state, nowhere else."""

from __future__ import annotations

import base64
import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.repository import Repository, copy_tree, minimal_config, resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STACK = """
terraform {
  backend "local" {}
}

variable "from_config" {
  type      = string
  sensitive = true
}

variable "from_environment" {
  type      = string
  sensitive = true
}

variable "from_file" {
  type      = object({ user = string, keys = list(string) })
  sensitive = true
}

variable "from_default" {
  type      = string
  sensitive = true
  default   = "default-secret-8811"
}

resource "terraform_data" "it" {
  input = {
    config      = var.from_config
    environment = var.from_environment
    file        = var.from_file
    default     = var.from_default
    encoded     = base64encode(var.from_config)
  }
}

resource "terraform_data" "leaks" {
  input            = nonsensitive(var.from_config)
  triggers_replace = [nonsensitive(base64encode(var.from_environment))]

  provisioner "local-exec" {
    command = "echo says $SECRET; test ! -e ../../broken"
    environment = {
      SECRET = nonsensitive(var.from_default)
    }
  }
}

output "given" {
  value     = var.from_config
  sensitive = true
}

output "leaked" {
  value = nonsensitive(var.from_environment)
}
"""

READER = """
terraform {
  backend "local" {}
}

variable "x" {
  type      = string
  sensitive = true
}

resource "terraform_data" "it" {
  input = var.x
}

check "says" {
  assert {
    condition     = var.x == "never"
    error_message = "the value is ${nonsensitive(var.x)}"
  }
}
"""

SECRETS = {
    "config": 'config-secret-"quoted"-4711',
    "environment": "line one of it\nline two of it <&>",
    "file user": "file-user-secret",
    "file key": "file/key+secret=",
    "default": "default-secret-8811",
    "password": "http-password-0815",
}


def _forms(secret: str) -> list[bytes]:
    plain = [secret, *secret.splitlines(), json.dumps(secret)[1:-1], base64.b64encode(secret.encode()).decode()]
    return [form.encode() for form in plain]


def _found(folder: Path) -> list[str]:
    hits = []
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".tfplan":
            content = path.read_bytes()
            hits += [
                f"{path}: {name}" for name, secret in SECRETS.items() for form in _forms(secret) if form in content
            ]
    return hits


def _leaked(text: str) -> list[str]:
    return [name for name, secret in SECRETS.items() for form in _forms(secret) if form.decode() in text]


def _repository(build: Callable[..., Repository]) -> Repository:
    repository = build(
        minimal_config(
            'stacks:\n'
            '  a: {variables: {from_config: "${THE_SECRET}"}, var_files: [secrets.tfvars]}\n'
            '  b: {inputs: {x: a.given}}\n'
        ),
        f"stacks/a/main.tf:{STACK.lstrip()}",
        f"stacks/b/main.tf:{READER.lstrip()}",
    )  # fmt: skip
    values = {"user": SECRETS["file user"], "keys": [SECRETS["file key"]]}
    repository.write(f"stacks/a/secrets.tfvars:from_file = {json.dumps(values)}\n")
    repository.variables = {
        "THE_SECRET": SECRETS["config"],
        "TF_VAR_from_environment": SECRETS["environment"],
        "TF_HTTP_PASSWORD": SECRETS["password"],
    }
    subprocess.run([str(repository.tofu), "fmt", "stacks/a"], cwd=repository.path, check=True, capture_output=True)
    return repository


def test_secrets_are_found_in_plan_and_state_alone(build: Callable[..., Repository]) -> None:
    repository = _repository(build)
    out = repository.doit("plan").out
    assert "(sensitive value)" in repository.deploy_dir("plans/a/plan.json").read_text()
    for arguments in (
        ["plan"],
        ["deploy"],
        ["drift"],
        ["status"],
        ["-a", "deploy"],
        ["list", "--all"],
        ["info", "plan:a"],
    ):
        out += repository.doit(*arguments, code=None).out
    assert repository.state("b")["resources"], out
    assert SECRETS["config"] in json.dumps(repository.state("a")["resources"]).replace('\\\\\\"', '"').replace(
        '\\"', '"'
    )
    assert _leaked(out) == []
    assert _found(repository.path / ".deploy") == []


def test_secrets_are_masked_in_what_a_failing_engine_says(build: Callable[..., Repository]) -> None:
    repository = _repository(build)

    repository.write("broken")
    done = repository.doit("deploy", code=1)
    assert "local-exec" in done.out
    assert _leaked(done.out) == []
    assert _found(repository.path / ".deploy") == []


def test_sensitive_outputs_reach_dependents_without_a_trace(build: Callable[..., Repository]) -> None:
    repository = _repository(build)

    repository.prepare("deploy")
    stored = repository.json("outputs", "a.json")["outputs"]["given"]
    assert stored["sensitive"] is True
    assert "value" not in stored
    values = [
        item["attributes"]["input"]["value"]
        for entry in repository.state("b")["resources"]
        for item in entry["instances"]
    ]
    assert values == [SECRETS["config"]]
    log = "\n".join(repository.engine_calls())
    assert _leaked(log) == []


def test_a_changed_sensitive_output_makes_its_dependents_affected(build: Callable[..., Repository]) -> None:
    repository = _repository(build)

    repository.prepare("deploy")
    repository.engine_calls()
    repository.doit("deploy")
    assert repository.engine_calls() == []
    repository.variables["THE_SECRET"] = "another-secret-99"
    done = repository.doit("deploy")
    assert "an upstream's output changed" in done.task("deploy", "b")
    values = [
        item["attributes"]["input"]["value"]
        for entry in repository.state("b")["resources"]
        for item in entry["instances"]
    ]
    assert values == ["another-secret-99"]
    assert "another-secret-99" not in done.out


def test_no_child_gets_the_token_that_records_are_published_or_read_with(
    build: Callable[..., Repository], tmp_path: Path
) -> None:
    def keep(name: str) -> str:
        return f"env > {tmp_path}/{name}.env"

    engine = f'\nresource "terraform_data" "env" {{\n  provisioner "local-exec" {{\n    command = "{keep("engine")}"\n  }}\n}}\n'
    repository = build(
        minimal_config(
            f'hooks: [{{stage: plan, when: before, command: ["sh", "-c", "{keep("hook")}"]}}]\n'
            "builds:\n"
            f'  made: {{kind: command, path: made, command: ["sh", "-c", "{keep("build")}; mkdir -p out"], outputs: [out]}}\n'
            "stacks:\n"
            "  a:\n"
            "    builds: [made]\n"
            f'    verify: [{{kind: command, command: ["sh", "-c", "{keep("check")}"], timeout: 5}}]\n'
        ),
        "made/source:",
        f"stacks/a/main.tf:{resource(extra=engine)}",
    )
    tokens = {"DEPLOY_PUBLISH_TOKEN": "publish-token-77-xyz", "DASHBOARD_TOKEN": "dashboard-token-88-xyz"}
    repository.doit("deploy", **tokens)
    found = {path.stem: path.read_text() for path in tmp_path.glob("*.env")}
    assert sorted(found) == ["build", "check", "engine", "hook"]
    assert [name for name, text in found.items() for token in tokens.values() if token in text] == []


VAULT = "vault-9f8e7d-password"
PASSPHRASE = "a passphrase of 32 characters ..."


def _known_from_the_plan_alone(build: Callable[..., Repository], vault: Path, **variables: str) -> Repository:
    """A stack with a secret that only its plan tells: read from a file by the plan, printed by a failing apply."""
    vault.write_text(VAULT)
    body = f"""\
terraform {{
  backend "local" {{}}
}}

resource "terraform_data" "db" {{
  input = sensitive(file("{vault}"))

  provisioner "local-exec" {{
    command = "echo login failed: password=$(cat {vault}) >&2; exit 1"
  }}
}}
"""
    repository = build(minimal_config(), f"stacks/a/main.tf:{body}", f"stacks/b/main.tf:{resource()}")
    repository.variables = variables
    return repository


@pytest.mark.parametrize("passphrase", ["", PASSPHRASE])
def test_a_deploy_of_another_machine_masks_what_its_plan_alone_tells(
    build: Callable[..., Repository], tmp_path: Path, passphrase: str
) -> None:
    given = {"DEPLOY_ENCRYPTION_KEY": passphrase} if passphrase else {}
    repository = _known_from_the_plan_alone(build, tmp_path / "pw", **given)
    repository.prepare("plan")
    secrets = repository.deploy_dir("plans/a/secrets.enc")
    assert secrets.exists() == bool(passphrase)
    assert not passphrase or VAULT.encode() not in secrets.read_bytes()
    other = repository.clone(tmp_path / "elsewhere")
    copy_tree(repository.deploy_dir(), other.deploy_dir())
    done = other.doit("deploy", code=1)
    assert "login failed: password=(sensitive value)" in done.out
    assert VAULT not in done.out
    kept = [path for path in other.path.joinpath(".deploy").rglob("*") if path.is_file() and path.suffix != ".tfplan"]
    assert [str(path) for path in kept if VAULT.encode() in path.read_bytes()] == []
    # The engine reads a plan of which nothing else tells what is secret, once; one without secrets is not read.
    assert len(other.engine_calls("show")) == (0 if passphrase else 1)


@pytest.mark.parametrize("damage", ["torn", "of another plan", "gone", "a link"])
def test_a_file_of_secrets_that_was_changed_is_refused_and_nothing_is_shown(
    build: Callable[..., Repository], tmp_path: Path, damage: str
) -> None:
    repository = _known_from_the_plan_alone(build, tmp_path / "pw", DEPLOY_ENCRYPTION_KEY=PASSPHRASE)
    repository.prepare("plan")
    path = repository.deploy_dir("plans/a/secrets.enc")
    earlier = path.read_bytes()
    if damage == "of another plan":
        repository.doit("-a", "plan:a")
        assert path.read_bytes() != earlier
        path.write_bytes(earlier)
    elif damage == "torn":
        path.write_bytes(earlier[:-3])
    else:
        path.unlink()
        if damage == "a link":
            (tmp_path / "target").write_bytes(earlier)
            path.symlink_to(tmp_path / "target")
    repository.engine_calls()
    done = repository.doit("deploy", code=1)
    assert "plans/a/secrets.enc" in done.out
    assert VAULT not in done.out
    assert repository.engine_calls("apply") == []


def test_a_secret_in_a_key_ends_the_report_of_its_stack_by_name_and_of_no_other(
    build: Callable[..., Repository],
) -> None:
    body = """\
terraform {
  backend "local" {}
}

variable "token" {
  type      = string
  sensitive = true
  default   = "hunter2-in-a-key"
}

resource "terraform_data" "each" {
  for_each = toset([nonsensitive(var.token)])
  input    = each.key
}
"""
    repository = build(minimal_config(), f"stacks/a/main.tf:{body}", f"stacks/b/main.tf:{resource()}")
    done = repository.doit("plan", code=1)
    assert 'a secret is in an instance key of terraform_data.each["(sensitive value)"]' in done.out
    assert "names are never masked" in done.out
    assert repository.json("results/plan/a.json")["problem"]["kind"] == "secret exposed"
    assert repository.json("results/plan/b.json")["status"] == "ok"
    assert not repository.deploy_dir("plans/a/plan.tfplan").exists()
    kept = [path for path in repository.path.joinpath(".deploy").rglob("*") if path.is_file()]
    assert [str(path) for path in kept if b"hunter2-in-a-key" in path.read_bytes()] == []
    assert "hunter2-in-a-key" not in done.out
