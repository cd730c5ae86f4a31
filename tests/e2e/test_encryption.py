"""Plans and states that only who has the key can read, and artifacts that only who has the key can make."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from tasks.artifact.folder import verify
from tasks.artifact.index import Origin, Writer
from tasks.base.layout import Layout
from tasks.engine import encryption
from tasks.engine.encryption import Encryption
from tasks.project.config import keyring
from tasks.project.model import Encryption as Settings
from tests.repository import ROOT, Repository, copy_tree, minimal_config, reader, resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = "correct-horse-battery-staple"
OTHER = "another-passphrase-of-length"
VALUE = "a-value-that-the-plan-holds"


def _encrypted(path: Path) -> bool:
    """Whether a file is the engine's encrypted form."""
    data = path.read_bytes()
    return data[:2] != b"PK" and bool(json.loads(data).get("encrypted_data"))


def _state_path(repository: Repository, stack: str = "a", environment: str = "local") -> Path:
    return repository.path / f".state/{stack}-{environment}.tfstate"


def _key_of(path: Path) -> str:
    """The fingerprint of the key that a file was encrypted with."""
    (name,) = json.loads(path.read_bytes())["meta"]
    return str(name.rpartition("_")[2])


def _fingerprint(passphrase: str) -> str:
    return keyring.derive("X", passphrase).fingerprint


def _forms(passphrase: str) -> list[bytes]:
    """A passphrase and all that is derived of it, however it may be written."""
    key = keyring.derive("X", passphrase)
    secrets = [passphrase.encode(), key.encryption, key.signature]
    return [
        form for secret in secrets for form in (secret, secret.hex().encode(), base64.b64encode(secret).rstrip(b"="))
    ]


def _leaks(repository: Repository, out: str, *passphrases: str) -> list[str]:
    forms = [form for passphrase in passphrases for form in _forms(passphrase)]
    found = [f"output: {form!r}" for form in forms if form in out.encode()]
    for folder in (repository.path, repository.home):
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                content = path.read_bytes()
                found += [f"{path}: {form!r}" for form in forms if form in content]
    return found


@pytest.fixture
def keyed(one: Repository) -> Repository:
    """One stack `a`, and a passphrase in the environment; no line of configuration says so."""
    one.variables["DEPLOY_ENCRYPTION_KEY"] = KEY
    return one


# Encryption


def test_a_passphrase_in_the_environment_encrypts_plan_and_state(build: Callable[..., Repository]) -> None:
    repository = build(minimal_config(), f"stacks/a/main.tf:{resource(VALUE)}")
    repository.doit("plan", DEPLOY_ENCRYPTION_KEY=KEY)
    plan = repository.deploy_dir("plans/a/plan.tfplan")
    assert _encrypted(plan)
    assert VALUE.encode() not in plan.read_bytes()
    repository.doit("deploy", DEPLOY_ENCRYPTION_KEY=KEY)
    assert _encrypted(_state_path(repository))
    assert VALUE.encode() not in _state_path(repository).read_bytes()
    assert repository.json("outputs", "a.json")["outputs"]["value"]["value"] == VALUE
    assert _key_of(plan) == _key_of(_state_path(repository)) == _fingerprint(KEY)


def test_everything_goes_on_as_without_a_key(keyed: Repository) -> None:
    keyed.prepare("deploy")
    keyed.engine_calls()
    keyed.doit("deploy")
    keyed.doit("plan")
    assert keyed.engine_calls() == []
    assert "as deployed" in keyed.doit("drift").task("drift", "a")
    keyed.write(f"stacks/a/main.tf:{resource('2')}")
    keyed.doit("deploy")
    assert keyed.json("outputs", "a.json")["outputs"]["value"]["value"] == "2"
    assert not list(keyed.path.rglob("drift.tfplan"))


def test_lineage_and_serial_of_an_encrypted_plan_are_those_of_its_state(keyed: Repository) -> None:
    keyed.prepare("deploy")
    keyed.write(f"stacks/a/main.tf:{resource('2')}")
    keyed.doit("plan")
    manifest, state = keyed.json("plans", "a", "manifest.json"), keyed.state("a")
    assert (manifest["lineage"], manifest["serial"]) == (state["lineage"], state["serial"])
    assert keyed.engine_calls("state") == []  # an encrypted local state says them in clear


def test_without_a_key_nothing_changes(one: Repository) -> None:
    one.prepare("plan")
    manifest = one.json("plans", "a", "manifest.json")
    assert manifest["key"] is None
    assert "signature" not in manifest
    one.doit("deploy")
    assert one.state("a")["version"] == 4
    assert one.json("receipts", "a.json")["state_key"] is None


def test_states_can_be_left_in_clear(keyed: Repository) -> None:
    keyed.write(minimal_config("encryption: {state: false}\n"))
    keyed.doit("plan")
    assert _encrypted(keyed.deploy_dir("plans/a/plan.tfplan"))
    keyed.doit("deploy")
    assert keyed.state("a")["version"] == 4
    keyed.engine_calls()
    keyed.doit("deploy")
    assert keyed.engine_calls() == []


def test_two_environments_have_two_keys(build: Callable[..., Repository]) -> None:
    repository = build(
        minimal_config(),
        "config/environments/dev.yaml:encryption: {key: DEV_KEY}\n",
        "config/environments/prod.yaml:encryption: {key: '${PROD_KEY}'}\n",
        f"stacks/a/main.tf:{resource()}",
    )
    out = repository.doit("env=dev", "deploy", DEV_KEY=KEY).out
    out += repository.doit("env=prod", "deploy", PROD_KEY=OTHER).out
    assert _key_of(_state_path(repository, environment="dev")) == _fingerprint(KEY)
    assert _key_of(_state_path(repository, environment="prod")) == _fingerprint(OTHER)
    done = repository.doit("env=prod", "deploy", code=1, DEV_KEY=KEY)
    assert "the environment variable PROD_KEY is not set" in done.out
    assert _leaks(repository, out + done.out, KEY, OTHER) == []


SIBLING = """\
terraform {
  backend "local" {}
}

data "terraform_remote_state" "a" {
  backend = "local"
  config  = { path = "../../.state/a-local.tfstate" }
}

resource "terraform_data" "it" {
  input = data.terraform_remote_state.a.outputs.value
}

output "value" {
  value = terraform_data.it.output
}
"""


def _siblings(build: Callable[..., Repository], more: str = "") -> Repository:
    return build(
        minimal_config("stacks:\n  b: {depends_on: [a]}\n" + more),
        f"stacks/a/main.tf:{resource(VALUE)}",
        f"stacks/b/main.tf:{SIBLING}",
    )


def test_terraform_remote_state_reads_encrypted_siblings(build: Callable[..., Repository]) -> None:
    repository = _siblings(build)
    repository.doit("deploy:a", DEPLOY_ENCRYPTION_KEY=KEY)
    assert _encrypted(_state_path(repository))
    repository.doit("deploy", DEPLOY_ENCRYPTION_KEY=KEY)
    assert repository.json("outputs", "b.json")["outputs"]["value"]["value"] == VALUE


def test_terraform_remote_state_reads_states_in_clear_only_where_that_is_allowed(
    build: Callable[..., Repository],
) -> None:
    repository = _siblings(build)
    repository.doit("deploy:a")
    repository.write(
        "config/environments/strict.yaml:", "config/environments/loose.yaml:encryption: {remote_state: any}\n"
    )
    done = repository.doit("env=strict", "plan:b", code=1, DEPLOY_ENCRYPTION_KEY=KEY)
    assert "a state that it reads by terraform_remote_state is not encrypted, but a key is set" in done.out
    assert "data.terraform_remote_state.a: Unable to read remote state" in done.out
    assert "encryption.remote_state: any" in done.out
    repository.doit("env=loose", "plan:b", DEPLOY_ENCRYPTION_KEY=KEY)


def test_sensitive_outputs_of_an_encrypted_upstream_reach_its_dependents(build: Callable[..., Repository]) -> None:
    secret = '\noutput "secret" {\n  value     = "upstream-secret-77"\n  sensitive = true\n}\n'
    repository = build(
        minimal_config("stacks:\n  b: {inputs: {x: a.secret}}\n"),
        f"stacks/a/main.tf:{resource(extra=secret)}",
        f"stacks/b/main.tf:{reader('x')}",
    )
    done = repository.doit("deploy", DEPLOY_ENCRYPTION_KEY=KEY)
    assert _encrypted(_state_path(repository, "b"))
    assert repository.json("receipts", "b.json")["outcome"] == "applied"
    assert "upstream-secret-77" not in done.out


# The key itself

SPY = """\
#!/bin/sh
{ echo "argv $*"; tr '\\0' '\\n' < /proc/self/environ; } >> '{log}'
exec '{tofu}' "$@"
"""


def test_the_key_is_nowhere_but_in_memory(keyed: Repository) -> None:
    log = keyed.home / "spy.log"
    keyed.engine_script(SPY.replace("{log}", str(log)).replace("{tofu}", str(keyed.tofu)))
    failing = resource(
        extra='\nresource "terraform_data" "bad" {\n  provisioner "local-exec" {\n    command = "env; exit 1"\n  }\n}\n'
    )
    out = ""
    for arguments in (["plan"], ["deploy"], ["drift"], ["status"], ["list", "--all"]):
        out += keyed.doit(*arguments).out
    out += keyed.doit("info", "plan:a", code=3).out  # doit's own command, which would show a task's Python objects
    keyed.write(f"stacks/a/main.tf:{failing}")
    out += keyed.doit("deploy", code=1).out
    assert "TF_ENCRYPTION=" in out  # what a provisioner sees, and may print
    assert "TF_ENCRYPTION=" in log.read_text()
    assert _leaks(keyed, out, KEY) == []


@pytest.mark.parametrize(
    "value", ["hunter2-hunter2-hunter2", "${hunter2-hunter2-hunter2}", "HUNTER2HUNTER2HUNTER2" * 4, "[x]"]
)
def test_a_passphrase_in_the_configuration_is_an_error_that_does_not_repeat_it(one: Repository, value: str) -> None:
    for key in (f'key: "{value}"', f'previous: ["{value}"]'):
        one.write(minimal_config(f"encryption: {{{key}}}\n"))
        done = one.doit("plan", code=1)
        assert "the environment variable that holds the passphrase" in done.out
        assert "config/pipeline.yaml:3" in done.out
        assert "unter2" not in done.out.lower().replace("hunter2", "") or value not in done.out
        assert value not in done.out
    done = one.doit("plan", code=1, DEPLOY_ENCRYPTION__KEY=value)
    assert value not in done.out


def test_a_short_passphrase_is_an_error_before_anything_starts(one: Repository) -> None:
    done = one.doit("plan", code=1, DEPLOY_ENCRYPTION_KEY="short-one")
    assert "the passphrase in DEPLOY_ENCRYPTION_KEY has 9 characters" in done.out
    assert "short-one" not in done.out
    assert one.engine_calls() == []


def test_a_named_variable_must_be_set_and_all_that_are_not_are_named(one: Repository) -> None:
    one.write(minimal_config("encryption: {key: MY_KEY, previous: [OLD_KEY]}\n"))
    done = one.doit("plan", code=1)
    assert "encryption.key: the environment variable MY_KEY is not set" in done.out
    assert "encryption.previous[0]: the environment variable OLD_KEY is not set" in done.out
    assert one.engine_calls() == []
    one.doit("status")
    one.doit("validate")


def test_null_turns_encryption_off(keyed: Repository) -> None:
    keyed.write(minimal_config("encryption: {key: null}\n"))
    keyed.doit("deploy")
    assert keyed.state("a")["version"] == 4


def test_terraform_cannot_have_a_key(one: Repository) -> None:
    one.write(minimal_config("engine: {kind: terraform, version: 1.9.8}\n"))
    done = one.doit("validate", code=1, DEPLOY_ENCRYPTION_KEY=KEY)
    assert "engine.kind: terraform cannot encrypt, but a key is set in DEPLOY_ENCRYPTION_KEY" in done.out
    assert "config/pipeline.yaml:3" in done.out
    one.write(minimal_config("engine: {kind: terraform, version: 1.9.8}\nencryption: {key: MY_KEY}\n"))
    assert "engine.kind: terraform cannot encrypt" in one.doit("status", code=1).out


def test_our_key_and_somebodys_own_encryption_cannot_be_together(keyed: Repository) -> None:
    done = keyed.doit("plan", code=1, TF_ENCRYPTION='{"state": {}}')
    assert "TF_ENCRYPTION and DEPLOY_ENCRYPTION_KEY are both set" in done.out


def test_an_engine_that_cannot_be_given_keys_is_refused(keyed: Repository) -> None:
    keyed.engine_script('#!/bin/sh\necho "OpenTofu v1.9.1"\n')
    keyed.write(minimal_config('engine: {version: ">=1.8"}\n'))
    done = keyed.doit("plan", code=1)
    assert "tofu 1.9.1 cannot encrypt; OpenTofu 1.10.0" in done.out


def test_where_there_is_no_file_in_memory_the_key_is_in_the_engines_environment(
    monkeypatch: pytest.MonkeyPatch, one: Repository
) -> None:
    monkeypatch.setenv("DEPLOY_ENCRYPTION_KEY", KEY)
    monkeypatch.delattr(os, "memfd_create")
    given = Encryption(keyring.Keyring(Settings())).handover("show")
    assert given.descriptors == ()
    assert not any(form.decode() in given.environment["TF_ENCRYPTION"] for form in _forms(KEY) if form.isascii())
    one.doit("plan", DEPLOY_ENCRYPTION_KEY=KEY)
    shown = subprocess.run(
        [one.tofu, "show", "-json", "../../.deploy/local/plans/a/plan.tfplan"],
        cwd=one.path / "stacks/a",
        env={**one.environment(), **given.environment, "TF_DATA_DIR": str(one.path / ".deploy/.cache/data/local/a")},
        capture_output=True, check=True,
    )  # fmt: skip
    assert json.loads(shown.stdout)["resource_changes"]


def test_the_engine_can_be_run_by_hand(keyed: Repository) -> None:
    keyed.prepare("deploy")
    keys = encryption.by_hand("local")
    assert not any(form in keys.encode() for form in _forms(KEY))
    data_dir = keyed.path / ".deploy/.cache/data/local/a"
    pulled = subprocess.run(
        f"{keys} TF_DATA_DIR={data_dir} {keyed.tofu} -chdir=stacks/a state pull", shell=True,
        cwd=keyed.path, env={**keyed.environment(), "PYTHONPATH": str(ROOT)}, capture_output=True, check=True,
    )  # fmt: skip
    assert json.loads(pulled.stdout)["outputs"]["value"]["value"] == "1"
    settings = subprocess.run(
        f"{keys}; printf %s \"$TF_ENCRYPTION\"", shell=True, cwd=keyed.path,
        env={**keyed.environment(), "PYTHONPATH": str(ROOT)}, capture_output=True, check=True,
    )  # fmt: skip
    assert json.loads(settings.stdout)["plan"]["enforced"] is True
    assert not any(form in settings.stdout for form in _forms(KEY))


# A key that is missing, wrong, or new


def _state(repository: Repository) -> bytes:
    return _state_path(repository).read_bytes()


def test_a_wrong_key_is_one_clear_error_and_nothing_is_changed(keyed: Repository) -> None:
    keyed.prepare("deploy")
    keyed.write(f"stacks/a/main.tf:{resource('2')}")
    before = _state(keyed)
    assert "is signed with another key" in keyed.doit("plan", code=1, DEPLOY_ENCRYPTION_KEY=OTHER).out
    for command in ("plan", "deploy", "drift"):
        shutil.rmtree(keyed.deploy_dir())
        done = keyed.doit(command, code=1, DEPLOY_ENCRYPTION_KEY=OTHER)
        line = done.line("FAILED", "its state is encrypted with another key than DEPLOY_ENCRYPTION_KEY")
        assert _fingerprint(OTHER) in line
        assert "`encryption.previous`" in done.out
        assert "force-unlock" not in done.out
    assert _state(keyed) == before


def test_an_encrypted_state_without_a_key_is_one_clear_error(keyed: Repository) -> None:
    keyed.prepare("deploy")
    keyed.write(f"stacks/a/main.tf:{resource('2')}")
    before = _state(keyed)
    assert "written with a key, but no key is set here" in keyed.doit("plan", code=1, DEPLOY_ENCRYPTION_KEY="").out
    for command in ("plan", "deploy", "drift"):
        shutil.rmtree(keyed.deploy_dir())
        done = keyed.doit(command, code=1, DEPLOY_ENCRYPTION_KEY="")
        done.line("FAILED", "its state is encrypted, but no key is set here")
        assert "set DEPLOY_ENCRYPTION_KEY" in done.out
    assert _state(keyed) == before


def test_a_state_in_clear_is_refused_when_there_is_a_key(one: Repository) -> None:
    one.prepare("deploy")
    before = _state(one)
    assert "`encryption.migrate: true`" in one.doit("plan", code=1, DEPLOY_ENCRYPTION_KEY=KEY).out
    for command in ("plan", "deploy", "drift"):
        shutil.rmtree(one.deploy_dir())
        done = one.doit(command, code=1, DEPLOY_ENCRYPTION_KEY=KEY)
        done.line("FAILED", "its state is not encrypted, but a key is set (DEPLOY_ENCRYPTION_KEY)")
        assert "Error message" not in done.out
        assert "`encryption.migrate: true`" in done.out
    assert _state(one) == before


def test_migration_encrypts_every_state_by_the_next_deploy_and_then_ends(pair: Repository) -> None:
    pair.prepare("deploy")
    pair.variables["DEPLOY_ENCRYPTION_KEY"] = KEY
    pair.write(minimal_config("encryption: {migrate: true}\n"))
    assert "its state must be encrypted" in pair.doit("status").out
    assert "as deployed" in pair.doit("drift").task("drift", "a")  # no drift, and no code that waits
    done = pair.doit("deploy")
    assert "FAILED" not in done.out
    assert [_encrypted(_state_path(pair, stack)) for stack in "ab"] == [True, True]
    pair.engine_calls()
    pair.doit("deploy")
    assert pair.engine_calls() == []
    pair.write(minimal_config())
    pair.doit("deploy")
    assert "as deployed" in pair.doit("drift").task("drift", "b")


def test_migration_goes_back_to_clear(keyed: Repository) -> None:
    keyed.prepare("deploy")
    keyed.write(minimal_config("encryption: {state: false}\n"), f"stacks/a/main.tf:{resource('2')}")
    done = keyed.doit("deploy", code=1)
    assert "is encrypted, but `encryption.state` is false" in done.out
    keyed.write(minimal_config("encryption: {state: false, migrate: true}\n"), f"stacks/a/main.tf:{resource('1')}")
    done = keyed.doit("deploy")
    assert keyed.state("a")["version"] == 4
    keyed.write(minimal_config("encryption: {key: null}\n"))
    assert "as deployed" in keyed.doit("drift").task("drift", "a")


def test_a_key_is_rotated_by_one_deploy(keyed: Repository) -> None:
    keyed.prepare("deploy")
    keyed.variables |= {"DEPLOY_ENCRYPTION_KEY": OTHER, "OLD_KEY": KEY}
    keyed.write(minimal_config("encryption: {previous: [OLD_KEY]}\n"))
    keyed.commit()
    keyed.doit("plan")
    assert _key_of(keyed.deploy_dir("plans/a/plan.tfplan")) == _fingerprint(OTHER)
    assert _key_of(_state_path(keyed)) == _fingerprint(KEY)
    done = keyed.doit("deploy")
    assert _key_of(_state_path(keyed)) == _fingerprint(OTHER)
    assert _leaks(keyed, done.out, KEY, OTHER) == []
    del keyed.variables["OLD_KEY"]
    keyed.write(minimal_config())
    keyed.write(f"stacks/a/main.tf:{resource('2')}")
    keyed.doit("deploy")
    assert keyed.json("outputs", "a.json")["outputs"]["value"]["value"] == "2"


# Signatures


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _forge(repository: Repository, **fields: Any) -> None:
    """Change a manifest and make its digest fit again; a signature is kept, replaced or removed (None)."""
    path = repository.deploy_dir("plans/a/manifest.json")
    record = json.loads(path.read_text())
    record.pop("digest")
    signed = fields.pop("signature", record.pop("signature", None))
    record.update(fields)
    record["digest"] = hashlib.sha256(_canonical(record)).hexdigest()
    path.write_text(json.dumps(record | ({"signature": signed} if signed else {})))


def _list(repository: Repository, key: str = KEY) -> None:
    """List the folder's files as they are now in an index, as who has the key can: a manifest proves itself, too."""
    layout = Layout(repository.path, "local")
    shutil.rmtree(layout.indexes, ignore_errors=True)
    origin = Origin("", "local", None, "")
    files = verify(layout, (), origin, unsigned=True).files
    Writer(layout.indexes / "run.jsonl", keyring.derive("DEPLOY_ENCRYPTION_KEY", key), origin, files).end()


def _inject(repository: Repository, marker: Path) -> str:
    """Put a local-exec into a plan in clear; gives the new hash."""
    path = repository.deploy_dir("plans/a/plan.tfplan")
    source, target = zipfile.ZipFile(path), io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("main.tf"):
                code = f'provisioner "local-exec" {{ command = "touch {marker}" }}\n  input = '.encode()
                assert b"input = " in content
                content = content.replace(b"input = ", code)
            archive.writestr(name, content)
    path.write_bytes(target.getvalue())
    return hashlib.sha256(target.getvalue()).hexdigest()


def test_a_forged_plan_that_a_bare_engine_would_run_is_refused(one: Repository, tmp_path: Path) -> None:
    marker = tmp_path / "owned"
    one.doit("plan")
    _forge(one, plan_sha256=_inject(one, marker))
    # Without a key, digests find an accident, not an attack: this is what the key is for.
    copy_tree(one.path, tmp_path / "victim")
    bare = {**one.environment(), "TF_DATA_DIR": str(tmp_path / "victim/.deploy/.cache/data/local/a")}
    subprocess.run(
        [one.tofu, "-chdir=stacks/a", "apply", "../../.deploy/local/plans/a/plan.tfplan"],
        cwd=tmp_path / "victim", env=bare, check=True, capture_output=True,
    )  # fmt: skip
    assert marker.exists()
    marker.unlink()
    for path in (one.path / ".state").glob("*"):
        path.unlink()

    for fields, message in (
        ({}, "manifest.json is not signed, but a key is set (DEPLOY_ENCRYPTION_KEY)"),
        ({"signature": "0" * 64}, "is signed with another key"),
        ({"signature": "0" * 64, "key": _fingerprint(KEY)}, "is not what was signed with DEPLOY_ENCRYPTION_KEY"),
        ({"signature": {}, "key": []}, "cannot be read as a manifest"),
        ({"signature": None, "origin": "deploy", "key": _fingerprint(KEY)}, "is not signed"),
    ):
        _forge(one, **fields)
        _list(one)
        if fields.get("origin") == "deploy":
            break  # see below: deploy plans anew what claims to be its own
        done = one.doit("deploy", code=1, DEPLOY_ENCRYPTION_KEY=KEY)
        assert message in done.task("plan", "a")
        assert not marker.exists()
        assert not _state_path(one).exists()
        assert one.engine_calls("apply") == []
    one.doit("deploy", DEPLOY_ENCRYPTION_KEY=KEY)
    assert not marker.exists()
    assert one.json("receipts", "a.json")["outcome"] == "applied"


@pytest.mark.parametrize(
    "fields",
    [
        {"commit": "0" * 40}, {"created_at": "2026-01-01T00:00:00+00:00"}, {"mocked": ["x"]}, {"serial": 7},
        {"plan_sha256": "0" * 64}, {"inputs": {"key": None, "digests": []}}, {"counts": {"add": 0}}, {"dirty": True}, {"environment": "prod"},
    ],
    ids=lambda fields: next(iter(fields)),
)  # fmt: skip
def test_every_field_of_a_manifest_is_signed(keyed: Repository, fields: dict[str, Any]) -> None:
    keyed.prepare("plan")
    _forge(keyed, **fields)
    assert "plans/a/manifest.json was changed" in keyed.doit("deploy", code=1).out
    _list(keyed)
    done = keyed.doit("deploy", code=1)
    assert "is not what was signed with DEPLOY_ENCRYPTION_KEY" in done.task("plan", "a")
    assert "`doit plan:a`" in done.out
    assert keyed.engine_calls("apply") == []


def test_a_plan_goes_to_a_clone_that_has_the_key_and_to_no_other(keyed: Repository, tmp_path: Path) -> None:
    keyed.prepare("plan")
    planned = keyed.json("plans", "a", "manifest.json")["plan_sha256"]
    for name, variables, message in (
        ("without", {"DEPLOY_ENCRYPTION_KEY": ""}, "was written with a key, but no key is set here"),
        ("another", {"DEPLOY_ENCRYPTION_KEY": OTHER}, f"is signed with another key ({_fingerprint(KEY)})"),
        ("with", {}, None),
    ):
        other = keyed.clone(tmp_path / name)
        copy_tree(keyed.deploy_dir(), other.deploy_dir())
        done = other.doit("deploy", code=1 if message else 0, **variables)
        if message:
            assert message in done.out
            assert not (other.path / ".state").exists()
            assert other.engine_calls("apply") == []
        else:
            assert other.json("receipts", "a.json")["plan_sha256"] == planned
            assert other.engine_calls("plan") == []
            assert _encrypted(_state_path(other))


def test_an_artifact_signed_with_a_previous_key_is_planned_again(keyed: Repository) -> None:
    keyed.prepare("plan")
    keyed.write(minimal_config("encryption: {previous: [OLD_KEY]}\n"))
    done = keyed.doit("deploy", code=1, DEPLOY_ENCRYPTION_KEY=OTHER, OLD_KEY=KEY)
    assert "is signed with another key" in done.task("plan", "a")
    keyed.doit("plan", DEPLOY_ENCRYPTION_KEY=OTHER, OLD_KEY=KEY)
    keyed.doit("deploy", DEPLOY_ENCRYPTION_KEY=OTHER, OLD_KEY=KEY)


def test_planning_with_a_new_key_replaces_an_unsigned_artifact(one: Repository) -> None:
    one.prepare("plan")
    assert "a key is set, but there is no index" in one.doit("plan", code=1, DEPLOY_ENCRYPTION_KEY=KEY).out
    shutil.rmtree(one.deploy_dir())
    one.doit("plan", DEPLOY_ENCRYPTION_KEY=KEY)
    assert one.json("plans", "a", "manifest.json")["key"] == _fingerprint(KEY)
    one.doit("deploy", DEPLOY_ENCRYPTION_KEY=KEY)


# What has to be encrypted


def test_plans_without_a_key_are_refused_where_encryption_is_required(one: Repository) -> None:
    one.write(minimal_config("plan: {require_encryption: true}\n"))
    for command in ("plan", "deploy"):
        done = one.doit(command, code=1)
        assert "plan.require_encryption: plans must be encrypted here, but no key is set" in done.out
        assert "config/pipeline.yaml:3" in done.out
        assert "set DEPLOY_ENCRYPTION_KEY" in done.out
        assert one.engine_calls() == []
    one.doit("plan", DEPLOY_ENCRYPTION_KEY=KEY)
    one.doit("deploy", DEPLOY_ENCRYPTION_KEY=KEY)


@pytest.mark.parametrize("name", ["CI", "GITLAB_CI", "GITHUB_ACTIONS"])
def test_in_ci_a_plan_in_clear_warns_once_and_says_why(pair: Repository, name: str) -> None:
    done = pair.doit("plan", **{name: "true"})
    line = done.line("warning: the saved plans are not encrypted")
    assert "contains every value in plain text" in line
    assert "this job's artifacts" in line
    assert "DEPLOY_ENCRYPTION_KEY" in done.out


def test_no_warning_where_plans_are_encrypted_or_outside_of_ci(pair: Repository) -> None:
    assert "not encrypted" not in pair.doit("plan").out
    shutil.rmtree(pair.deploy_dir())
    assert "not encrypted" not in pair.doit("-a", "plan", CI="true", DEPLOY_ENCRYPTION_KEY=KEY).out


# What is shown


def test_hidden_values_are_in_no_record_and_no_report(build: Callable[..., Repository]) -> None:
    repository = build(
        minimal_config("plan: {values: hidden}\n"),
        f"stacks/a/main.tf:{resource(VALUE)}",
    )

    def shown(out: str) -> list[str]:
        files = [path for path in repository.deploy_dir().rglob("*") if path.is_file()]
        kept = [path for path in files if path.suffix != ".tfplan" and path.parent.name != "outputs"]
        return [str(path) for path in kept if VALUE.encode() in path.read_bytes()] + ["output"] * (VALUE in out)

    assert shown(repository.doit("plan").out) == []
    (change,) = repository.json("plans", "a", "plan.json")["resources"]
    assert change["address"] == "terraform_data.it"
    assert change["action"] == "add"
    assert change["after"]["input"] == "(hidden)"
    assert change["after"]["id"] == "(known after apply)"
    assert "terraform_data.it" in repository.deploy_dir("reports/plan.md").read_text()
    assert shown(repository.doit("deploy").out) == []
    assert repository.json("results", "deploy", "a.json")["details"]["outputs"] == {"value": "(hidden)"}
    repository.write(f"stacks/a/main.tf:{resource(VALUE + '-2')}")
    assert shown(repository.doit("plan").out) == []
    (change,) = repository.json("plans", "a", "plan.json")["resources"]
    assert "input" in change["changed"]
    assert change["before"]["input"] == change["after"]["input"] == "(hidden)"
    assert shown(repository.doit("drift", code=2).out) == []
    broken = f'resource "terraform_data" "bad" {{\n  input = "{VALUE}"\n  lifecycle {{\n    postcondition {{\n      condition     = self.id == ""\n      error_message = "no"\n    }}\n  }}\n}}\n'
    repository.write(f"stacks/a/bad.tf:{broken}")
    assert shown(repository.doit("deploy", code=1).out) == []
    broken = broken.replace('condition     = self.id == ""', 'condition     = terraform_data.it.id == ""').replace(
        "postcondition", "precondition"
    )
    repository.write(f"stacks/a/bad.tf:{broken}")
    done = repository.doit("plan", code=1)
    assert shown(done.out) == []
    assert "Resource precondition failed" in done.out


def test_values_are_shown_by_default(build: Callable[..., Repository]) -> None:
    repository = build(minimal_config(), f"stacks/a/main.tf:{resource(VALUE)}")
    repository.doit("plan")
    (change,) = repository.json("plans", "a", "plan.json")["resources"]
    assert change["after"]["input"] == VALUE
