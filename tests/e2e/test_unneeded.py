"""An empty plan is not applied by a process of its own, unless its apply would save anything at all."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests import backends
from tests.repository import minimal_config, reader, resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.repository import Repository
    from tests.servers.stateserver import StateServer

COMMENT = "# changed\n"
BODY = resource().partition("\n\n")[2]
KEY = base64.b64encode(b"k" * 32).decode()
SECRET = "a-secret-value-of-an-output"
SENSITIVE = f'output "secret" {{\n  value     = "{SECRET}"\n  sensitive = true\n}}\n'
SAID = "the state is as planned, so the engine was not started"


def planned_again(repository: Repository, text: str, stack: str = "a") -> None:
    """Plan a stack that has been deployed with another text."""
    repository.write(f"stacks/{stack}/main.tf:{text}")
    repository.commit()
    repository.doit("plan")
    repository.engine_calls()


def applied(repository: Repository, code: int = 0, **variables: str) -> bool:
    """Whether a deploy starts the engine's apply."""
    repository.doit("deploy", code=code, **variables)
    return any(call.split()[1] == "apply" for call in repository.engine_calls())


def deployed(repository: Repository) -> Repository:
    """The same, after its first deploy."""
    repository.commit()
    repository.prepare("deploy")
    repository.engine_calls()
    return repository


def test_an_empty_plan_starts_no_engine(one: Repository) -> None:
    planned_again(deployed(one), resource(extra=COMMENT))
    before = one.json("receipts", "a.json")
    done = one.doit("deploy")
    assert one.engine_calls() == []
    assert SAID in done.task("deploy", "a")
    receipt = one.json("receipts", "a.json")
    assert (receipt["unneeded"], receipt["outcome"], receipt["serial"]) == (True, "applied", 1)
    assert before["unneeded"] is False
    assert receipt["exists"] == before["exists"]
    assert receipt["lineage"] == one.state("a")["lineage"]
    assert "no stack is affected" in one.doit("plan").out
    assert one.engine_calls() == []


def test_a_plan_that_changes_something_is_applied(one: Repository) -> None:
    planned_again(deployed(one), resource("2"))
    assert applied(one)
    assert one.json("receipts", "a.json")["unneeded"] is False
    assert one.state("a")["outputs"]["value"]["value"] == "2"


BEFORE = resource(extra='resource "terraform_data" "other" {\n  input = "x"\n}\n')
SAVES = {
    "which resources depend on which": BEFORE.replace(
        'input = "x"', 'input      = "x"\n  depends_on = [terraform_data.it]'
    ),
    "a new output": BEFORE + 'output "more" {\n  value = 1\n}\n',
    "an output that is gone": BEFORE.partition("output")[0] + 'resource "terraform_data" "other" {\n  input = "x"\n}\n',
    "an output that is sensitive now": BEFORE.replace(
        "value = terraform_data.it.output", "value     = terraform_data.it.output\n  sensitive = true"
    ),
    "another address": BEFORE.replace('"other"', '"another"')
    + "moved {\n  from = terraform_data.other\n  to   = terraform_data.another\n}\n",
    "a resource that is forgotten": resource()
    + "removed {\n  from = terraform_data.other\n  lifecycle {\n    destroy = false\n  }\n}\n",
    "a check": BEFORE
    + 'check "c" {\n  assert {\n    condition     = terraform_data.it.input == "1"\n    error_message = "no"\n  }\n}\n',
    "a postcondition": BEFORE.replace(
        'input = "x"',
        'input = "x"\n  lifecycle {\n    postcondition {\n      condition     = self.input == "x"\n'
        '      error_message = "no"\n    }\n  }',
    ),
}


@pytest.mark.parametrize("text", SAVES.values(), ids=SAVES)
def test_what_only_the_state_gains_or_loses_is_applied(one: Repository, text: str) -> None:
    one.write(f"stacks/a/main.tf:{BEFORE}")
    planned_again(deployed(one), text)
    assert applied(one)
    assert one.state("a")["serial"] == 2
    planned_again(one, text + COMMENT)
    before = one.state("a")
    assert not applied(one)
    assert one.state("a") == before


def test_a_check_that_fails_is_applied_and_reported(one: Repository) -> None:
    check = 'check "c" {\n  assert {\n    condition     = terraform_data.it.input == "2"\n    error_message = "no"\n  }\n}\n'
    one.write("stacks/a/main.tf:" + resource(extra=check))
    planned_again(deployed(one), resource(extra=check + COMMENT))
    assert applied(one)
    assert one.json("receipts", "a.json")["failed_checks"]


def tampered(repository: Repository, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the state of the stack by hand."""
    path = repository.path / ".state/a-local.tfstate"
    state = json.loads(path.read_text())
    change(state)
    path.write_text(json.dumps(state))


def test_a_state_that_has_moved_on_since_the_plan_is_refused_as_before(one: Repository) -> None:
    planned_again(deployed(one), resource(extra=COMMENT))
    tampered(one, lambda state: state.update(serial=7))
    done = one.doit("deploy", code=1)
    assert "state has changed" in done.out
    assert one.json("receipts", "a.json")["serial"] == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state["outputs"].update(value={"value": "other", "type": "string"}),
        lambda state: state["resources"].clear(),
        lambda state: state.pop("outputs"),
        lambda state: state.update(
            check_results=[{"object_kind": "check", "config_addr": "check.c", "status": "fail"}]
        ),
        lambda state: state["resources"][0]["instances"][0].update(status="tainted"),
    ],
    ids=["outputs", "resources", "no outputs", "checks", "tainted"],
)
def test_a_state_of_other_content_at_the_same_serial_is_left_to_the_engine(
    one: Repository, change: Callable[[dict[str, Any]], object]
) -> None:
    planned_again(deployed(one), resource(extra=COMMENT))
    tampered(one, change)
    one.doit("deploy", code=None)
    assert any(call.split()[1] == "apply" for call in one.engine_calls())


def test_a_state_that_is_lost_is_left_to_the_engine(one: Repository) -> None:
    planned_again(deployed(one), resource(extra=COMMENT))
    (one.path / ".state/a-local.tfstate").unlink()
    done = one.doit("deploy", code=1)
    assert SAID not in done.out
    assert one.json("receipts", "a.json")["unneeded"] is False


def test_a_key_is_applied_although_nothing_else_changes(one: Repository) -> None:
    deployed(one)
    one.write("config/environments/local.yaml:encryption: {migrate: true}\n")
    one.variables["DEPLOY_STATE_KEY"] = KEY
    planned_again(one, resource(extra=COMMENT))
    assert applied(one)
    assert "encrypted_data" in one.state("a")


def test_encryption_of_the_stacks_own_is_left_to_the_engine(one: Repository) -> None:
    text = resource().replace(
        'backend "local" {}',
        'backend "local" {}\n  encryption {\n    method "unencrypted" "clear" {}\n'
        "    state {\n      method = method.unencrypted.clear\n    }\n  }",
    )
    one.write(f"stacks/a/main.tf:{text}")
    planned_again(deployed(one), text + COMMENT)
    assert applied(one)


def test_an_apply_that_failed_is_made_good_by_the_engine(one: Repository) -> None:
    planned_again(deployed(one), resource(extra=COMMENT))
    path = one.deploy_dir("receipts", "a.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "outcome": "failed"}))
    assert applied(one)


def test_sensitive_and_null_outputs_are_known_without_an_engine(build: Callable[..., Repository]) -> None:
    null = 'output "none" {\n  value = null\n}\n'
    text = resource(extra=SENSITIVE + null)
    repository = build(
        minimal_config("stacks:\n  b: {inputs: {x: a.secret, y: a.none}}\n"),
        f"stacks/a/main.tf:{text}",
        f"stacks/b/main.tf:{reader('x', 'y')}",
    )
    deployed(repository)
    before = repository.json("outputs", "a.json")
    planned_again(repository, text + COMMENT)
    assert not applied(repository)
    assert repository.json("outputs", "a.json") == before
    assert SECRET not in "".join(
        path.read_text(errors="replace") for path in repository.deploy_dir("results").rglob("*.json")
    )
    planned_again(repository, reader("x", "y").replace("input = [", "input = [1, "), "b")
    assert applied(repository)
    assert repository.state("b")["resources"][0]["instances"][0]["attributes"]["input"]["value"][1] == SECRET


def test_a_sensitive_output_needs_no_process_of_its_own(one: Repository) -> None:
    planned_again(deployed(one), resource("2", extra=SENSITIVE))
    one.doit("deploy")
    assert one.engine_calls("output") == []
    assert one.json("outputs", "a.json")["outputs"]["secret"]["sensitive"] is True


def test_of_a_state_elsewhere_only_the_state_is_read_and_by_one_request(
    build: Callable[..., Repository], state_server: StateServer, tmp_path: Path
) -> None:
    del tmp_path
    backend = backends.http(state_server, "unneeded")
    repository = build(backend.config(), f"stacks/a/main.tf:{backend.stack(BODY)}")
    repository.variables.update(backend.variables)
    repository.commit()
    repository.doit("deploy")
    planned_again(repository, backend.stack(BODY + COMMENT))
    state_server.log.clear()
    repository.doit("deploy")
    assert repository.engine_calls() == []
    assert state_server.log == ["GET /api/v4/projects/unneeded/terraform/state/a-local"]
    assert repository.json("receipts", "a.json")["unneeded"] is True
