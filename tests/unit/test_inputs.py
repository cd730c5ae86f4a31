"""Inputs are values: equal where what they say is equal, read back as they were written, worded in one place."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.artifact import affected, outputs, reasons, receipt
from tasks.artifact.inputs import Input, InputKind, Inputs
from tasks.artifact.reasons import Reason, Why
from tasks.base.errors import RecordError
from tasks.base.files import canonical_json, read_json, sha256_bytes, write_json
from tasks.base.layout import Layout
from tasks.base.masking import Masker
from tasks.project.config import keyring

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tasks.project.project import Project

_names = st.text(max_size=8)
_items = st.builds(Input, st.sampled_from(InputKind), _names, _names, _names)
_inputs = st.builds(Inputs, st.dictionaries(_items, _names, max_size=6), st.none() | _names)
PASSPHRASE, NEXT = "a-passphrase-that-is-long", "the-passphrase-after-that-one"
STACK = 'stacks/a/main.tf:variable "pin" {\n  sensitive = true\n}\n'


@given(_inputs)
def test_what_is_written_is_read_back(found: Inputs) -> None:
    read = Inputs.from_json(json.loads(json.dumps(found.to_json())))
    assert read == found
    assert read.digest == found.digest


@given(_inputs, _inputs)
def test_digests_are_equal_exactly_where_the_inputs_are(one: Inputs, other: Inputs) -> None:
    assert (one.digest == other.digest) == (one == other)
    assert bool(one.differing(other)) == (one.digests != other.digests)


def test_the_order_in_which_inputs_were_found_does_not_count() -> None:
    items = {Input(InputKind.FILE, "b"): "1", Input(InputKind.ENGINE): "2", Input(InputKind.FILE, "a"): "3"}
    assert Inputs(items).digest == Inputs(dict(reversed(items.items()))).digest


@pytest.mark.parametrize(
    "value",
    [None, [], {}, {"digests": {}}, {"key": None, "digests": [{"kind": "file"}]},
     {"key": None, "digests": [{"kind": "nothing", "digest": "1"}]},
     {"key": None, "digests": [{"kind": "file", "name": 3, "digest": "1"}]},
     {"key": None, "digests": [{"kind": "file", "more": "x", "digest": "1"}]}],
)  # fmt: skip
def test_what_is_no_list_of_inputs_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="inputs: "):
        Inputs.from_json(value)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (Input(InputKind.FILE, "stacks/a/main.tf"), "file stacks/a/main.tf"),
        (Input(InputKind.MODULE, "modules/m/main.tf"), "module modules/m/main.tf"),
        (Input(InputKind.LOCK_FILE, "stacks/a/.terraform.lock.hcl"), "lock file stacks/a/.terraform.lock.hcl"),
        (Input(InputKind.WATCHED, "a.json"), "watched file a.json"),
        (Input(InputKind.VAR_FILE, "a.tfvars"), "var file a.tfvars"),
        (Input(InputKind.VARIABLE, "size"), "variable size"),
        (Input(InputKind.ENVIRONMENT_VARIABLE, "TF_VAR_size"), "environment variable TF_VAR_size"),
        (Input(InputKind.OUTPUT, "id", "network", "subnet"), "output network.id (variable subnet)"),
        (Input(InputKind.REMOTE_OUTPUT, "id", "net", "up"), "output id of net (terraform_remote_state.up)"),
        (Input(InputKind.REMOTE_OUTPUTS, "", "net", "up"), "any output of net (terraform_remote_state.up)"),
        (Input(InputKind.ANY_FILE, "a.tf, b.tf"), "any file (one whose name is not known is read in a.tf, b.tf)"),
        (Input(InputKind.BUILD, "app"), "build app"),
        (Input(InputKind.IMAGE, "server", target="image"), "image server (variable image)"),
        (Input(InputKind.BACKEND), "backend settings"),
        (Input(InputKind.ENGINE), "engine version"),
    ],
)
def test_each_kind_has_its_words(item: Input, words: str) -> None:
    assert reasons.named(item) == words
    assert reasons.text(Reason(Why.CHANGED, item)) == f"{words} changed"


def test_no_kind_is_without_words_and_no_reason_either() -> None:
    assert all(reasons.named(Input(kind, "x", "y", "z")) for kind in InputKind)
    assert all(reasons.text(Reason(why, note="x")) for why in Why)


def _deployed(project: Project) -> receipt.Receipt:
    """The receipt of a deploy of stack `a` just now."""
    found = affected.assess(project, project.stacks["a"], None).inputs
    done = receipt.Receipt("a", "local", receipt.Outcome.STARTED, "0" * 64, found.digest, found)
    done = done.ended(receipt.Outcome.APPLIED, state_key=project.keyring.state_key)
    receipt.write(project.layout, done)
    return done


@pytest.mark.parametrize(
    "more",
    [{"finished_at": 3}, {"started_at": None}, {"serial": "3"}, {"counts": [1]}, {"counts": {"add": "1"}},
     {"images": {"x": 3}}, {"deployed": "x"}, {"deployed": {"commit": 3}}, {"produced": "a"}, {"exists": [3]},
     {"commit": {}}, {"accepted": 1}, {"verified": "yes"}, {"unneeded": None}, {"format": "2"}, {"format": None},
     {"stack": []}, {"outcome": 3}, {"inputs": 3}, {"more": 1}],
)  # fmt: skip
def test_a_receipt_with_a_value_of_another_type_is_an_error_that_names_the_file(
    tmp_path: Path, more: dict[str, object]
) -> None:
    layout = Layout(tmp_path, "prod")
    done = receipt.Receipt(
        "a", "prod", receipt.Outcome.APPLIED, "0" * 64, "1" * 64, commit="c", serial=3, counts={"add": 1},
        images={"x": "y"}, deployed={"commit": None, "at": "now", "plan_sha256": ""}, produced=["\udcff"], accepted={"why": 1},
    )  # fmt: skip
    receipt.write(layout, done)
    assert receipt.read(layout, "a") == done
    assert not receipt.is_outdated(layout, "a")
    path = layout.receipt("a")
    write_json(path, {**read_json(path), **more})
    with pytest.raises(RecordError, match=r"receipts/a\.json is not a receipt: "):
        receipt.read(layout, "a")
    assert not receipt.is_outdated(layout, "a")


def test_a_short_secret_is_not_found_by_trying_where_there_is_a_key(
    load: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_VAR_pin", "7391")
    project = load("stacks: {a: {variables: {other: 1234}}}\n", STACK + 'variable "other" {}\n')
    plain = {sha256_bytes(canonical_json(value)) for value in ("7391", 1234)}
    assert plain <= {*_deployed(project).inputs.digests.values()}
    monkeypatch.setenv("DEPLOY_ENCRYPTION_KEY", PASSPHRASE)
    project = load("stacks: {a: {variables: {other: 1234}}}\n")
    _deployed(project)
    assert not any(digest in project.layout.receipt("a").read_text() for digest in plain)
    assert affected.assess(project, project.stacks["a"], None).reasons == []
    monkeypatch.setenv("TF_VAR_pin", "7392")
    assert affected.assess(project, project.stacks["a"], None).why == "environment variable TF_VAR_pin changed"


def test_another_key_changes_no_input_and_a_key_that_is_gone_compares_nothing(
    load: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_VAR_pin", "7391")
    monkeypatch.setenv("DEPLOY_ENCRYPTION_KEY", PASSPHRASE)
    _deployed(load("", STACK))
    monkeypatch.setenv("OLD_KEY", PASSPHRASE)
    monkeypatch.setenv("DEPLOY_ENCRYPTION_KEY", NEXT)
    project = load("encryption: {previous: [OLD_KEY]}\n")
    found = affected.assess(project, project.stacks["a"], None)
    assert found.rekeyed
    assert found.inputs.key == keyring.derive("", NEXT).fingerprint
    project = load("")
    found = affected.assess(project, project.stacks["a"], None)
    assert not found.rekeyed
    assert "environment variable TF_VAR_pin cannot be compared" in found.why


def test_a_receipt_of_an_older_version_is_not_read_and_says_what_to_run(load: Callable[..., Project]) -> None:
    project = load("", STACK)
    _deployed(project)
    path = project.layout.receipt("a")
    record = json.loads(path.read_text())
    del record["format"]
    path.write_text(json.dumps({**record, "inputs": {"file stacks/a/main.tf": "0" * 64}}))
    found = affected.assess(project, project.stacks["a"], None)
    assert found.receipt is None
    assert found.why.count("\n") == 0
    assert "its receipt was written by an incompatible version" in found.why
    assert "`deploy` writes a new receipt" in found.why


def test_the_digest_of_a_sensitive_output_needs_the_key(load: Callable[..., Project]) -> None:
    project, key = load("", STACK), keyring.derive("", PASSPHRASE)
    found = outputs.parse({"pin": {"value": "7391", "sensitive": True}})
    plain = sha256_bytes(canonical_json("7391"))
    outputs.store(project.layout, "a", found, Masker())
    assert plain in project.layout.outputs("a").read_text()
    outputs.store(project.layout, "a", found, Masker(), key)
    assert plain not in project.layout.outputs("a").read_text()
    known = outputs.stored(project.layout, "a")
    assert known is not None
    assert known["pin"].digest != plain
