"""The state is the one that was deployed: a lost, emptied, older or other one is refused before anything is created."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.repository import Repository, minimal_config, resource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.backends import Backend

MODULE = """
variable "x" {{
  type    = string
  default = "{value}"
}}

resource "terraform_data" "it" {{
  input = var.x

  provisioner "local-exec" {{
    command = "echo {value} >> $WORLD/made"
  }}
}}

resource "terraform_data" "also" {{
  input = "fixed"
}}

output "value" {{
  value = terraform_data.it.output
}}
"""
COMMANDS = ("plan", "deploy", "drift")


@pytest.fixture
def repository(build: Callable[..., Repository], backend: Backend, tmp_path: Path) -> Repository:
    """Stacks `a` and `b`, deployed twice; what is created is written down outside of every state."""
    built = build(
        backend.config(),
        f"stacks/a/main.tf:{backend.stack(MODULE.format(value='1'))}",
        f"stacks/b/main.tf:{backend.stack(MODULE.format(value='b'))}",
    )
    (tmp_path / "world").mkdir()
    built.variables.update(backend.variables, WORLD=str(tmp_path / "world"))
    (built.prepare if backend.kind == "local" else built.doit)("deploy")
    return built


def _raw(value: Any) -> bytes:
    return json.dumps(value).encode()


def _ways(old: dict[str, Any], now: dict[str, Any], other: dict[str, Any]) -> Iterator[tuple[str, bytes | None, str]]:
    """How a state is lost or replaced: its name, what stands there then, and what is said of it."""
    yield "removed", None, "its state is gone"
    yield "an older copy", _raw(old), "its state is older: found serial"
    yield "another stack's", _raw(other), "its state is a different one: found lineage"
    yield (
        "another lineage",
        _raw({**now, "lineage": "8c1c41d5-0000-4000-8000-000000000000"}),
        "its state is a different one",
    )
    yield "without resources", _raw({**now, "resources": []}), "its state is empty"
    yield "without one resource", _raw({**now, "resources": now["resources"][1:]}), "has lost resources"
    yield "no resources, but newer", _raw({**now, "serial": now["serial"] + 1, "resources": []}), "has lost resources"
    yield "emptied", b"", ""  # some backends have no state then, the others no state that can be read
    yield "truncated", _raw(now)[:-40], ""


def test_a_lost_or_replaced_state_is_refused_before_anything_is_created(
    repository: Repository, backend: Backend, tmp_path: Path
) -> None:
    old, other = backend.state("a", "local"), backend.state("b", "local")
    repository.write(f"stacks/a/main.tf:{backend.stack(MODULE.format(value='2'))}")
    repository.commit()
    repository.doit("deploy")
    now = backend.state("a", "local")
    assert old is not None
    assert other is not None
    assert now is not None
    receipt = repository.json("receipts", "a.json")
    made = (tmp_path / "world/made").read_text()
    repository.write(f"stacks/a/main.tf:{backend.stack(MODULE.format(value='3'))}")
    repository.commit()
    repository.engine_calls()
    for way, content, said in _ways(old, now, other):
        backend.put("a", "local", content)
        for command in COMMANDS:
            done = repository.doit(command, code=1)
            assert "FAILED" in done.task(command if command == "drift" else "plan", "a"), f"{way}:\n{done.out}"
            if said:
                assert said in done.out, f"{way}, {command}:\n{done.out}"
                assert (
                    "  untouched: nothing in this stack was planned or applied, and its state is unchanged" in done.out
                )
                looks = "drift" if command == "drift" else "plan"
                assert re.search(rf"`doit accept=a:\S+ reason=WHY {looks}:a`", done.out)
            assert not repository.deploy_dir("plans", "a", "plan.tfplan").exists()
        calls = [call.split()[1] for call in repository.engine_calls()]
        assert "apply" not in calls, way
        assert calls.count("plan") <= 2 * len(COMMANDS), way  # one for each stack and command
        if content:
            assert repository.json("receipts", "a.json") == receipt
    assert (tmp_path / "world/made").read_text() == made
    backend.put("a", "local", _raw(now))
    repository.doit("deploy")
    assert (tmp_path / "world/made").read_text() == f"{made}"  # `input` changes in place: nothing is created again
    assert backend.state("a", "local")["outputs"]["value"]["value"] == "3"  # type: ignore[index]


def test_a_workspace_that_somebody_selected_is_refused(repository: Repository, backend: Backend) -> None:
    place = repository.path / ".deploy/.cache/data/local/a"
    (place / "environment").write_text("blue")
    repository.write(f"stacks/a/main.tf:{backend.stack(MODULE.format(value='3'))}")
    before = backend.state("a", "local")
    for command in COMMANDS:
        done = repository.doit(command, code=1)
        assert "workspace 'blue' is selected in its data directory" in done.out
        assert "`rm .deploy/.cache/data/local/a/environment`" in done.out
    assert backend.state("a", "local") == before
    (place / "environment").unlink()
    repository.doit("deploy")


def test_exactly_what_is_accepted_goes_on_and_is_recorded(repository: Repository, backend: Backend) -> None:
    before = repository.json("receipts", "a.json")
    repository.write(f"stacks/a/main.tf:{backend.stack(MODULE.format(value='2'))}")
    repository.commit()
    state = backend.state("a", "local")
    assert state is not None
    lineage = "8c1c41d5-0000-4000-8000-000000000000"
    backend.put("a", "local", _raw({**state, "lineage": lineage, "serial": 7}))
    wrong = repository.doit("plan", f"accept=a:{lineage}:6", "reason=moved by hand", code=1)
    assert f"(accepted was lineage {lineage}, serial 6)" in wrong.out
    done = repository.doit("plan", f"accept=a:{lineage}:7", "reason=moved by hand")
    assert "; state accepted: its state is a different one" in done.task("plan", "a")
    assert "(moved by hand)" in done.task("plan", "a")
    repository.doit("deploy")  # the plan that was accepted for review is what is applied
    receipt = repository.json("receipts", "a.json")
    assert receipt["lineage"] == lineage
    assert receipt["accepted"]["reason"] == "moved by hand"
    assert receipt["accepted"]["instead_of"] == {"lineage": before["lineage"], "serial": before["serial"]}
    assert repository.json("results", "plan", "a.json")["details"]["accepted"]["serial"] == 7
    assert "as deployed" in repository.doit("drift").task("drift", "a")


def test_a_missing_state_is_accepted_by_name(repository: Repository, backend: Backend) -> None:
    backend.put("a", "local", None)
    repository.write(f"stacks/a/main.tf:{backend.stack(MODULE.format(value='2'))}")
    done = repository.doit("deploy", "accept=a:missing", "reason=the account was closed")
    assert "(the account was closed)" in done.task("plan", "a")
    assert repository.json("receipts", "a.json")["accepted"]["lineage"] is None
    assert backend.state("a", "local") is not None


def test_a_state_that_went_on_is_planned_and_said(repository: Repository, backend: Backend) -> None:
    state = backend.state("a", "local")
    assert state is not None
    serial = state["serial"]
    backend.put("a", "local", _raw({**state, "serial": serial + 2}))
    said = f"state serial {serial} -> {serial + 2} outside doit-tofu"
    assert said in repository.doit("drift").task("drift", "a")
    repository.write(f"stacks/a/main.tf:{backend.stack(MODULE.format(value='2'))}")
    assert said in repository.doit("plan").task("plan", "a")
    assert repository.json("results", "plan", "a.json")["details"]["state_moved"] == said
    assert said in repository.doit("deploy").task("plan", "a")
    assert "outside" not in repository.doit("drift").out


@pytest.fixture
def two(build: Callable[..., Repository]) -> Repository:
    """One stack with two resources, deployed."""
    built = build(minimal_config(), f"stacks/a/main.tf:{resource(extra=ALSO)}")
    built.prepare("deploy")
    return built


ALSO = '\nresource "terraform_data" "also" {\n  input = "fixed"\n}\n'


def _by_hand(repository: Repository, *arguments: str) -> None:
    """An engine command of a person on the stack's state."""
    subprocess.run(
        [repository.tofu, *arguments], cwd=repository.path / "stacks/a", check=True, capture_output=True,
        env=repository.environment(TF_DATA_DIR="../../.deploy/.cache/data/local/a"),
    )  # fmt: skip


def test_a_resource_that_was_taken_out_of_the_state_is_not_created_again(two: Repository) -> None:
    _by_hand(two, "state", "rm", "terraform_data.also")
    two.write(f"stacks/a/main.tf:{resource('2', extra=ALSO)}")
    done = two.doit("deploy", code=1)
    assert "the plan would create 1 resource that the last apply left in place (terraform_data.also)" in done.out
    assert two.engine_calls("apply")[1:] == []
    two.write(f"stacks/a/main.tf:{resource('2')}")
    done = two.doit("deploy")
    assert "outside doit-tofu" in done.task("plan", "a")


def test_a_resource_that_was_renamed_in_the_state_is_planned(two: Repository) -> None:
    _by_hand(two, "state", "mv", "terraform_data.also", "terraform_data.renamed")
    two.write(f"stacks/a/main.tf:{resource(extra=ALSO.replace('also', 'renamed'))}")
    done = two.doit("deploy")
    assert "no changes; state serial" in done.task("plan", "a")


def test_what_a_deploy_forgot_itself_may_be_created_again(two: Repository) -> None:
    forgets = "\nremoved {\n  from = terraform_data.also\n\n  lifecycle {\n    destroy = false\n  }\n}\n"
    two.write(f"stacks/a/main.tf:{resource(extra=forgets)}")
    two.doit("deploy")
    two.write(f"stacks/a/main.tf:{resource(extra=ALSO)}")
    assert "+1 ~0 -0" in two.doit("deploy").task("deploy", "a")


def test_a_plan_that_was_made_where_no_receipt_is_does_not_slip_through(two: Repository, tmp_path: Path) -> None:
    two.write(f"stacks/a/main.tf:{resource('2', extra=ALSO)}")
    two.commit()
    (two.path / ".state/a-local.tfstate").unlink()
    time.sleep(1.1)  # the records' clock counts whole seconds
    clone = two.clone(tmp_path / "far")
    clone.doit("plan")
    shutil.rmtree(two.deploy_dir("plans"), ignore_errors=True)
    shutil.copytree(clone.deploy_dir("plans"), two.deploy_dir("plans"))
    done = two.doit("deploy", code=1)
    assert "its state is gone" in done.out
    assert not (two.path / ".state/a-local.tfstate").exists()
    two.doit("deploy", "accept=a:missing", "reason=known")
    assert two.json("receipts", "a.json")["accepted"]["reason"] == "known"


def test_an_encrypted_state_is_compared_too(build: Callable[..., Repository]) -> None:
    repository = build(minimal_config(), f"stacks/a/main.tf:{resource()}")
    repository.variables["DEPLOY_ENCRYPTION_KEY"] = "a passphrase that is long enough"
    repository.doit("deploy")
    path = repository.path / ".state/a-local.tfstate"
    old = path.read_bytes()
    repository.write(f"stacks/a/main.tf:{resource('2')}")
    repository.doit("deploy")
    repository.write(f"stacks/a/main.tf:{resource('3')}")
    repository.engine_calls()
    path.write_bytes(old)
    for command in COMMANDS:
        assert "its state is older" in repository.doit(command, code=1).out
    path.unlink()
    for command in COMMANDS:
        assert "its state is gone" in repository.doit(command, code=1).out
    assert repository.engine_calls("apply") == []


def test_the_check_starts_no_engine_of_its_own(two: Repository) -> None:
    two.engine_calls()
    two.write(f"stacks/a/main.tf:{resource('2', extra=ALSO)}")
    two.doit("deploy")
    two.doit("drift")
    assert two.engine_calls("state") == []


def test_a_stack_that_has_only_outputs_is_deployed_again(build: Callable[..., Repository]) -> None:
    repository = build(
        minimal_config(), 'stacks/a/main.tf:terraform {\n  backend "local" {}\n}\n\noutput "o" {\n  value = 1\n}\n'
    )
    repository.doit("deploy")
    repository.doit("drift")
    repository.doit("-a", "deploy")


def test_a_place_that_was_changed_in_the_configuration_is_named_before_a_loss(one: Repository) -> None:
    one.prepare("deploy")
    config = (one.path / "config/pipeline.yaml").read_text()
    one.write("config/pipeline.yaml:" + config.replace(".state/", ".state/moved/"))
    done = one.doit("plan", code=1)
    assert "its backend settings have changed, but its state was not moved there" in done.out
    assert "put the backend settings back, or copy the state to its new place" in done.out


@pytest.mark.parametrize("command", COMMANDS)
def test_an_acceptance_that_was_not_needed_is_said(two: Repository, command: str) -> None:
    """The state is fine, has never been deployed from here, or was not looked at: it is a line, and no error."""
    two.write(f"stacks/a/main.tf:{resource('2', extra=ALSO)}", f"stacks/new/main.tf:{resource()}")
    two.write(f"stacks/calm/main.tf:{resource()}")
    two.prepare("deploy:calm")
    lineage = "8c1c41d5-0000-4000-8000-000000000000"
    done = two.doit(command, f"accept=a:missing,new:{lineage}:7,calm:missing", "reason=to be sure", code=None)
    assert done.code == (2 if command == "drift" else 0), done.out
    assert "`accept=a:missing` was not used: the state is the one that was deployed" in done.out
    if command != "drift":
        assert f"`accept=new:{lineage}:7` was not used: the stack has no receipt to compare its state with" in done.out
        assert "`accept=calm:missing` was not used: this run did not look at the stack's state" in done.out
    assert "state accepted" not in done.out


def test_an_acceptance_that_was_used_or_refused_is_not_said_to_be_unused(two: Repository) -> None:
    (two.path / ".state/a-local.tfstate").unlink()
    two.write(f"stacks/a/main.tf:{resource('2', extra=ALSO)}")
    assert "was not used" not in two.doit("plan", "accept=a:other:1", "reason=moved", code=1).out
    assert "was not used" not in two.doit("plan", "accept=a:missing", "reason=closed").out
    assert "was not used" not in two.doit("deploy", "accept=a:missing", "reason=closed").out


@pytest.mark.parametrize("form", ["a", "a:", "a:mising", "a:Missing:3", "a:missing:3", "a:lineage:x", "a:lineage:-1"])
def test_a_misspelt_acceptance_is_refused(two: Repository, form: str) -> None:
    done = two.doit("plan", f"accept={form}", "reason=closed", code=1)
    assert f"`accept={form}` is malformed" in done.out
    assert "`accept=STACK:LINEAGE:SERIAL` or `accept=STACK:missing`" in done.out
