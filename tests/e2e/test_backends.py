"""The same promises on every backend: files, GitLab's HTTP protocol, PostgreSQL, S3 with its native lock."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from tests.repository import Repository, contents, copy_tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from tests.backends import Backend
    from tests.servers.stateserver import StateServer

PLAIN = """
variable "x" {{
  type    = any
  default = null
}}

resource "terraform_data" "it" {{
  input = [var.x, "{value}"]
}}

output "value" {{
  value = terraform_data.it.output
}}
"""


def _repository(build: Callable[..., Repository], backend: Backend) -> Repository:
    """`a --> b`, and a second environment."""
    repository = build(
        backend.config("stacks:\n  b: {inputs: {x: a.value}}\n"),
        "config/environments/dev.yaml:",
        f"stacks/a/main.tf:{backend.stack(PLAIN.format(value='1'))}",
        f"stacks/b/main.tf:{backend.stack(PLAIN.format(value='b'))}",
    )
    repository.variables.update(backend.variables)
    return repository


def test_plan_deploy_and_nothing_to_do(build: Callable[..., Repository], backend: Backend) -> None:
    repository = _repository(build, backend)
    repository.doit("plan")
    assert backend.state("a", "local") is None
    repository.doit("deploy")
    for name in "ab":
        state, manifest = backend.state(name, "local"), repository.json("plans", name, "manifest.json")
        receipt = repository.json("receipts", f"{name}.json")
        assert state is not None
        assert (receipt["lineage"], receipt["serial"]) == (state["lineage"], state["serial"])
        assert manifest["serial"] == 0
    repository.engine_calls()
    assert "nothing to deploy" in repository.doit("deploy").out
    assert repository.engine_calls() == []

    repository.write(f"stacks/a/main.tf:{backend.stack(PLAIN.format(value='2'))}")
    repository.commit()
    repository.doit("plan")
    before = backend.state("a", "local")
    assert before is not None
    manifest = repository.json("plans", "a", "manifest.json")
    assert (manifest["lineage"], manifest["serial"]) == (before["lineage"], before["serial"])
    repository.doit("deploy")
    after = backend.state("a", "local")
    assert after is not None
    assert (after["lineage"], after["serial"]) == (before["lineage"], before["serial"] + 1)


def test_states_are_encrypted_and_migrated_on_every_backend(build: Callable[..., Repository], backend: Backend) -> None:
    """The serial of an encrypted plan is asked of the backend, as the plan itself cannot be read."""
    repository = _repository(build, backend)
    repository.doit("deploy:a")
    repository.variables["DEPLOY_ENCRYPTION_KEY"] = "correct-horse-battery-staple"
    before = backend.state("a", "local")
    done = repository.doit("deploy", code=1)
    assert "a key is set, but there is no index" in done.out
    shutil.rmtree(repository.deploy_dir())  # what this machine wrote without a key counts for nothing
    done = repository.doit("deploy", code=1)
    assert "its state is not encrypted, but a key is set" in done.task("plan", "a")
    assert backend.state("a", "local") == before
    assert "encryption.migrate: a variable" in repository.doit("deploy", DEPLOY_ENCRYPTION__MIGRATE="true", code=1).out
    settings = repository.path / "config/pipeline.yaml"
    kept = settings.read_text()
    settings.write_text(f"{kept}encryption: {{migrate: true}}\n")
    repository.doit("deploy")
    settings.write_text(kept)
    for name in "ab":
        state = backend.state(name, "local")
        assert state is not None
        assert state["encrypted_data"]
    repository.write(f"stacks/a/main.tf:{backend.stack(PLAIN.format(value='2'))}")
    repository.doit("plan:a")
    state, manifest = backend.state("a", "local"), repository.json("plans", "a", "manifest.json")
    assert state is not None
    assert (manifest["lineage"], manifest["serial"]) == (state["lineage"], state["serial"])
    repository.doit("deploy")
    assert repository.json("outputs", "b.json")["outputs"]["value"]["value"][0][1] == "2"


def test_drift_is_found(build: Callable[..., Repository], backend: Backend) -> None:
    """The world changes behind the state's back: the engine's own command plays the person who did it."""
    repository = _repository(build, backend)
    repository.doit("deploy")
    repository.doit("drift")
    import subprocess

    subprocess.run(
        [repository.tofu, "state", "rm", "terraform_data.it"], cwd=repository.path / "stacks/a", check=True,
        env=repository.environment(TF_DATA_DIR=str(repository.path / ".deploy/.cache/data/local/a")),
        capture_output=True,
    )  # fmt: skip
    repository.forget_addresses("a")
    done = repository.doit("drift", code=2)
    assert "drifted: terraform_data.it" in done.task("drift", "a")
    assert "as deployed" in done.task("drift", "b")
    repository.doit("-a", "deploy:a")
    repository.doit("drift")


def test_a_second_environment_has_a_state_of_its_own(build: Callable[..., Repository], backend: Backend) -> None:
    repository = _repository(build, backend)
    repository.doit("deploy")
    repository.doit("env=dev", "deploy")
    one, two = backend.state("a", "local"), backend.state("a", "dev")
    assert one is not None
    assert two is not None
    assert one["lineage"] != two["lineage"]
    repository.engine_calls()
    repository.doit("deploy")
    repository.doit("env=dev", "deploy")
    assert repository.engine_calls() == []


def test_credentials_are_found_nowhere(build: Callable[..., Repository], backend: Backend, tmp_path: Path) -> None:
    repository = _repository(build, backend)
    said = repository.doit("plan").out
    found = contents(repository.path)
    assert any(name.endswith("plan.tfplan!tfplan") for name in found)
    said += repository.doit("deploy").out + repository.doit("drift").out + repository.log.read_text()
    found.update(contents(tmp_path))
    for secret in backend.secrets:
        assert secret not in said
        assert [name for name, content in found.items() if secret.encode() in content] == []


def test_the_folder_is_all_that_a_clone_elsewhere_needs(
    build: Callable[..., Repository], backend: Backend, tmp_path: Path
) -> None:
    repository = _repository(build, backend)
    repository.doit("plan")
    other = repository.clone(tmp_path / "elsewhere" / "deeper")
    copy_tree(repository.deploy_dir(), other.deploy_dir())
    done = other.doit("deploy")
    assert [line.split()[0] for line in other.engine_calls("plan")] == ["b"]  # it was deferred: its upstream is new
    assert "2 deployed" in done.out
    state = backend.state("a", "local")
    assert state is not None
    assert other.json("receipts", "a.json")["lineage"] == state["lineage"]
    # And back again: what the deploy job leaves says that nothing is to be done.
    copy_tree(other.deploy_dir(), repository.deploy_dir())
    repository.engine_calls()
    repository.doit("deploy")
    assert repository.engine_calls() == []


def test_an_error_of_the_server_now_and_then_is_waited_out(
    build: Callable[..., Repository], state_server: StateServer, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    from tests.e2e.conftest import make_backend

    backend = make_backend(request, "http", tmp_path)
    repository = _repository(build, backend)
    with state_server.misbehaving(flaky=0.15, delay=0.02):
        repository.doit("deploy")
        repository.doit("drift")
    assert state_server.locks == {}
    assert backend.state("b", "local") is not None


def test_nested_settings_reach_the_backend_as_they_are(
    build: Callable[..., Repository], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    from tests.e2e.conftest import make_backend

    backend = make_backend(request, "s3", tmp_path)
    repository = _repository(build, backend)
    repository.doit("plan:a")
    stored = json.loads((repository.path / ".deploy/.cache/data/local/a/terraform.tfstate").read_text())
    config = stored["backend"]["config"]
    assert config["endpoints"]["s3"] == backend.server.url
    assert config["use_lockfile"] is True
    assert backend.server.keys(backend.place) == []
