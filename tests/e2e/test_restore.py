"""A state that is lost is put back by the command that the refusal prints, from a copy that the deploy has kept."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import make_backend
from tests.e2e.test_ledger import LEDGER, Remote, _is_announced, _slow
from tests.repository import minimal_config, resource, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.backends import Backend
    from tests.repository import Repository

KEY = "a passphrase that is long enough"
COPIES = ".deploy/local/states/a"


@pytest.fixture(params=["local", "http"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    return make_backend(request, request.param, tmp_path)


@pytest.fixture
def repository(build: Callable[..., Repository], backend: Backend) -> Repository:
    """Stack `a`, whose state is encrypted."""
    built = build(backend.config(), f"stacks/a/main.tf:{backend.stack(_resource('hunter2'))}")
    built.variables.update(backend.variables, DEPLOY_ENCRYPTION_KEY=KEY)
    return built


def _resource(value: str) -> str:
    return f'resource "terraform_data" "it" {{\n  input = "{value}"\n}}\n'


def _offered(text: str) -> list[str]:
    """The command that a refusal says puts the state back."""
    found = re.search(r"put its copy of serial \d+ back: `doit ([^`]*)`", text)
    assert found, text
    return found[1].split()


def _serials(repository: Repository) -> list[int]:
    return sorted(int(path.name.partition("-")[0]) for path in (repository.path / COPIES).iterdir())


def test_a_lost_or_older_state_is_put_back(repository: Repository, backend: Backend, tmp_path: Path) -> None:
    repository.doit("deploy")
    assert _serials(repository) == [1]
    old = _content(backend)
    repository.write(f"stacks/a/main.tf:{backend.stack(_resource('swordfish'))}")
    repository.commit()
    repository.engine_calls()
    repository.doit("deploy")
    assert not [call for call in repository.engine_calls() if "state pull" in call]
    assert _serials(repository)[-1] > 1
    for path in (repository.path / COPIES).iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        assert b"swordfish" not in path.read_bytes()
    artifact = tmp_path / "artifact"
    shutil.copytree(repository.path / ".deploy", artifact, ignore=shutil.ignore_patterns(".cache"))
    for left in (None, old):
        backend.put("a", "local", left)
        refused = repository.doit("drift", code=1).out
        assert ("its state is gone" if left is None else "its state is older") in refused
        repository.doit(*_offered(refused))
        assert "as deployed" in repository.doit("drift").task("drift", "a")
    assert "no stack is affected" in repository.doit("plan").out
    backend.put("a", "local", None)
    shutil.rmtree(repository.path / COPIES)  # another runner: the copies are in an artifact
    lost = repository.doit("drift", code=1).out
    assert "doit restore a artifact/.deploy" in lost
    refused = repository.doit("restore", "a", code=1).out
    assert "there is no copy of its state here" in refused
    assert "restored" not in refused
    wrong = repository.doit("restore", "a", str(artifact), code=1, DEPLOY_ENCRYPTION_KEY="another one, long enough").out
    assert "the copy cannot be read: it is encrypted with another key" in wrong
    assert "is back" in repository.doit("restore", "a", str(artifact)).out
    assert "as deployed" in repository.doit("drift").task("drift", "a")


def _content(backend: Backend) -> bytes:
    """The state as the backend has it."""
    if backend.server is not None:
        return backend.server.states[f"{backend.place}/a-local"][-1]
    return (Path(backend.place) / "a-local.tfstate").read_bytes()


def test_another_or_a_newer_state_is_not_overwritten(repository: Repository, backend: Backend) -> None:
    config = repository.path / "config/pipeline.yaml"
    config.write_text(config.read_text() + "encryption: {state: false}\n")
    repository.commit()
    repository.doit("deploy")
    plain = {"version": 4, "terraform_version": "1.12.6", "outputs": {}, "resources": [], "check_results": None}
    for found, what in (
        (
            {**plain, "lineage": "8c1c41d5-0000-4000-8000-000000000000", "serial": 1},
            "a different one: lineage 8c1c41d5",
        ),
        ({**plain, "lineage": repository.json("receipts", "a.json")["lineage"], "serial": 9}, "newer: serial 9"),
    ):
        content = json.dumps(found).encode()
        backend.put("a", "local", content)
        refused = repository.doit("restore", "a", code=1).out
        assert f"the state that is there is {what}" in refused
        assert _content(backend) == content


def test_no_copy_is_made_without_a_key_or_where_none_is_wanted(repository: Repository, backend: Backend) -> None:
    config = repository.path / "config/pipeline.yaml"
    without = "without an encryption key, deploys keep no copies"
    repository.doit("deploy", DEPLOY_ENCRYPTION_KEY="")
    assert not (repository.path / COPIES).exists()
    backend.put("a", "local", None)
    assert without in repository.doit("drift", code=1, DEPLOY_ENCRYPTION_KEY="").out
    assert without in repository.doit("restore", "a", code=1, DEPLOY_ENCRYPTION_KEY="").out
    config.write_text(config.read_text() + "deploy: {state_copies: 0}\n")
    said = repository.doit("restore", "a", code=1).out
    assert "`deploy.state_copies` is 0, so deploys keep no copies" in said


def test_nothing_is_restored_while_another_run_deploys(build: Callable[..., Repository], tmp_path: Path) -> None:
    """Also on a machine that never deployed, where only the ledger knows which state the last apply left."""
    config = minimal_config(LEDGER).replace("{root}/.state/", f"{tmp_path / 'states'}/")
    first = build(config, f"stacks/a/main.tf:{resource()}", f"stacks/b/main.tf:{resource(extra=_slow())}")
    first.variables["DEPLOY_ENCRYPTION_KEY"] = KEY
    remote = Remote(tmp_path, first)
    job = remote.clone()
    job.doit("ledger", "init")
    job.doit("deploy:a")
    artifact = tmp_path / "artifact"
    shutil.copytree(job.path / COPIES, artifact / "local/states/a")
    (tmp_path / "states/a-local.tfstate").unlink()
    deploying = remote.clone().start("deploy:b")
    wait_for(lambda: _is_announced(remote), "the announcement")
    refused = remote.clone().doit("restore", "a", str(artifact), code=1).out
    assert "has been deploying 'local' since" in refused
    assert not (tmp_path / "states/a-local.tfstate").exists()
    deploying.communicate()
    [copy] = (artifact / "local/states/a").iterdir()
    line, _, sealed = copy.read_bytes().partition(b"\n")
    for forged in ({"serial": 9}, {"environment": "prod"}, {"stack": "b"}, {"lineage": "8c1c41d5"}, {"key": ""}):
        copy.write_bytes(json.dumps({**json.loads(line), **forged}).encode() + b"\n" + sealed)
        said = remote.clone().doit("restore", "a", str(artifact), code=1).out
        assert "there is no copy of its state here" in said or "the copy cannot be read" in said
        assert ("the copy cannot be read: it was changed" in said) == ("move this file away" in said)
    copy.write_bytes(line + b"\n" + sealed)
    restoring, go = _waiting(remote)
    process = restoring.start("restore", "a", str(artifact))
    wait_for(lambda: _is_announced(remote), "the lease")
    change = remote.clone()
    change.write(f"stacks/b/main.tf:{resource('b2', extra=_slow())}")
    change.commit()
    assert "has been deploying 'local' since" in change.doit("deploy:b", code=1).out
    assert change.engine_calls("apply") == []
    go.touch()
    assert "is back" in process.communicate()[0]
    assert not _is_announced(remote)
    assert "as deployed" in remote.clone().doit("drift:a").task("drift", "a")
    (tmp_path / "states/a-local.tfstate").unlink()
    hook = remote.path / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    reading = remote.clone().doit("restore", "a", str(artifact)).out
    assert "only the backend's lock protects against other deploys" in reading
    assert "is back" in reading


def _waiting(remote: Remote) -> tuple[Repository, Path]:
    """A clone whose engine starts an `init` when the file exists that is returned."""
    job = remote.clone()
    go = job.home / "go"
    job.engine_script(
        f"#!/bin/sh\nwhile [ \"$1\" = init ] && [ ! -e '{go}' ]; do sleep 0.05; done\nexec '{job.tofu}' \"$@\"\n"
    )
    return job, go
