"""Variables and rules: a variable tightens what the files say, and never loosens it."""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from tasks.base.errors import ConfigError, ConfigErrors
from tasks.project.config import loading, tightening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES = """version: 1
policy:
  fail_on: medium
  max_destroy: 2
  protect: [{type: "aws_db_*"}]
  checkers: [{name: opa, command: [opa, "{plan}"]}]
plan: {require_encryption: true, require_clean: true, on_unreviewed: fail, values: hidden}
inputs: {observe: true}
secrets: ["APP_*"]
ledger: {kind: git, public_key: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}
"""


def load(folder: Path) -> loading.Loaded:
    (folder / "config").mkdir()
    (folder / "config/pipeline.yaml").write_text(FILES)
    return loading.load(folder)


@pytest.mark.parametrize(
    ("variable", "value", "key"),
    [
        ("DEPLOY_POLICY__FAIL_ON", "critical", "policy.fail_on"),
        ("DEPLOY_POLICY__MAX_DESTROY", "3", "policy.max_destroy"),
        ("DEPLOY_POLICY__PROTECT", "[]", "policy.protect"),
        ("DEPLOY_POLICY__PROTECT", '[{"type": "aws_db_other"}]', "policy.protect"),
        ("DEPLOY_POLICY__CHECKERS", "[]", "policy.checkers"),
        ("DEPLOY_POLICY__ALLOW", '[{"rule": "protect", "reason": "x", "until": "2099-01-01"}]', "policy.allow"),
        ("DEPLOY_PLAN__REQUIRE_ENCRYPTION", "false", "plan.require_encryption"),
        ("DEPLOY_PLAN__REQUIRE_CLEAN", "no", "plan.require_clean"),
        ("DEPLOY_PLAN__ON_UNREVIEWED", "warn", "plan.on_unreviewed"),
        ("DEPLOY_PLAN__VALUES", "shown", "plan.values"),
        ("DEPLOY_INPUTS__OBSERVE", "false", "inputs.observe"),
        ("DEPLOY_INPUTS", '{"observe": false}', "inputs.observe"),
        ("DEPLOY_PLAN", '{"values": "shown"}', "plan.values"),
        ("DEPLOY_PLAN__MAX_AGE", "8000", "plan.max_age"),
        ("DEPLOY_ENCRYPTION__KEY", "MINE", "encryption.key"),
        ("DEPLOY_ENCRYPTION__ARTIFACT_KEY", "MINE", "encryption.artifact_key"),
        ("DEPLOY_ENCRYPTION__REVIEW_KEY", "MINE", "encryption.review_key"),
        ("DEPLOY_ENCRYPTION__PREVIOUS", '["MINE"]', "encryption.previous"),
        ("DEPLOY_ENCRYPTION__MIGRATE", "true", "encryption.migrate"),
        ("DEPLOY_ENCRYPTION__STATE", "false", "encryption.state"),
        ("DEPLOY_ENCRYPTION__REMOTE_STATE", "any", "encryption.remote_state"),
        ("DEPLOY_SECRETS", "[]", "secrets"),
        ("DEPLOY_SECRETS", '["OTHER_*"]', "secrets"),
        ("DEPLOY_LEDGER__PUBLIC_KEY", f'"{"B" * 43}="', "ledger.public_key"),
        ("DEPLOY_POLICY", '{"max_destroy": 100}', "policy.max_destroy"),
    ],
)
def test_a_variable_does_not_loosen_a_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, key: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigErrors) as caught:
        load(tmp_path)
    [problem] = caught.value.problems
    assert f"{key}: {tightening.rule_of(tuple(key.split('.'))).refusal}; the files say: " in problem.text()
    assert "environment variable DEPLOY_" in problem.text()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DEPLOY_POLICY__FAIL_ON", "low"),
        ("DEPLOY_POLICY__MAX_DESTROY", "0"),
        ("DEPLOY_POLICY__PROTECT", '[{"type": "aws_db_*"}, {"type": "gcp_*"}]'),
        ("DEPLOY_PLAN__ON_UNREVIEWED", "fail"),
        ("DEPLOY_PLAN__ON_STALE", "replan"),
    ],
)
def test_a_variable_tightens_a_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    assert load(tmp_path).config.policy.protect[0].type == "aws_db_*"


@pytest.mark.parametrize("variable", [("DEPLOY_INPUTS__OBSERVE", "auto"), ("DEPLOY_INPUTS", '{"observe": "auto"}')])
def test_the_shipped_pipelines_auto_leaves_true_in_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: tuple[str, str]
) -> None:
    monkeypatch.setenv(*variable)
    loaded = load(tmp_path)
    assert loaded.config.inputs.observe is True
    assert str(loaded.where("inputs", "observe")) == "config/pipeline.yaml:8"


@pytest.mark.parametrize(("said", "refused"), [("auto", False), ("true", False), ("false", True)])
def test_a_variable_may_only_ask_for_more_than_auto_in_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, refused: bool
) -> None:
    monkeypatch.setattr("tests.unit.test_tightening.FILES", "version: 1\ninputs: {observe: auto}\n")
    monkeypatch.setenv("DEPLOY_INPUTS__OBSERVE", said)
    if refused:
        with pytest.raises(ConfigErrors):
            load(tmp_path)
    else:
        assert str(load(tmp_path).config.inputs.observe).lower() == said


# --- every key -------------------------------------------------------------------------------------------------------

_CHANNEL = {"url": "${CHAT_URL}"}
_HOOK = {"stage": "plan", "when": "before", "command": ["true"]}
_IGNORE = {"address": "a.*", "reason": "x", "until": "2099-01-01"}
_KEY, _OTHER_KEY = f"{'A' * 43}=", f"{'B' * 43}="
# A key that is not free -> what the files say, and a variable that would loosen it.
LOOSER: dict[str, tuple[Any, Any]] = {
    "engine.kind": ("tofu", "terraform"),
    "engine.version": ("1.12.6", "1.11.0"),
    "engine.path": ("/opt/tofu", "./mine"),
    "engine.releases": ("https://mirror.example.com", "https://other.example.com"),
    "engine.sha256": (["a" * 64], ["a" * 64, "b" * 64]),
    "discover": (["stacks/*"], ["other/*"]),
    "backend.kind": ("http", "local"),
    "backend.settings": ({"address": "https://a.example.com"}, {"address": "https://b.example.com"}),
    "stacks.<name>.path": ("stacks/web", "other/web"),
    "stacks.<name>.depends_on": (["network"], []),
    "stacks.<name>.independent_of": ([], ["network"]),
    "stacks.<name>.inputs": ({"id": "network.id"}, {"id": "network.other"}),
    "stacks.<name>.mocks": ({"id": "a"}, {"id": "b"}),
    "stacks.<name>.volatile_variables": ([], ["size"]),
    "stacks.<name>.var_files": (["a.tfvars"], []),
    "stacks.<name>.watch": (["*.json"], []),
    "stacks.<name>.builds": (["app"], []),
    "stacks.<name>.images": ({"image": "app"}, {"image": "other"}),
    "stacks.<name>.backend.kind": ("http", "local"),
    "stacks.<name>.backend.settings": ({"a": 1}, {"a": 2}),
    "stacks.<name>.verify": ([{"kind": "tcp", "host": "a", "port": 1}], []),
    "builds.<name>.kind": ("node", "command"),
    "builds.<name>.path": ("app", "other"),
    "builds.<name>.script": ("build", "other"),
    "builds.<name>.command": (["make"], ["other"]),
    "builds.<name>.outputs": (["build"], ["other"]),
    "builds.<name>.depends_on": (["a"], []),
    "builds.<name>.environment": (["A"], []),
    "builds.<name>.secrets": (["A"], ["A", "DEPLOY_LEDGER_KEY"]),
    "builds.<name>.toolchain": ([["go", "version"]], []),
    "images.<name>.repository": ("registry.example.com/a", "registry.example.com/b"),
    "images.<name>.context": ("app", "other"),
    "images.<name>.containerfile": ("A", "B"),
    "images.<name>.builds": (["a"], []),
    "images.<name>.target": ("a", "b"),
    "images.<name>.args": ({"A": "1"}, {"A": "2"}),
    "images.<name>.secrets": ({"a": "A"}, {"a": "B"}),
    "images.<name>.labels": ({"a": "1"}, {"a": "2"}),
    "images.<name>.platforms": (["linux/amd64"], ["linux/arm64"]),
    "images.<name>.attest": (["sbom"], []),
    "images.<name>.login.user": ("A", "B"),
    "images.<name>.login.password": ("A", "B"),
    "images.<name>.insecure": (False, True),
    "images.<name>.optional": (False, True),
    "encryption.key": ("A", "B"),
    "encryption.artifact_key": ("A", "B"),
    "encryption.review_key": ("A", "B"),
    "encryption.previous": (["A"], ["A", "B"]),
    "encryption.state": (True, False),
    "encryption.migrate": (False, True),
    "encryption.remote_state": ("encrypted", "any"),
    "inputs.observe": (True, False),
    "plan.max_age": (24, 25),
    "plan.require_encryption": (True, False),
    "plan.require_clean": (True, False),
    "plan.on_stale": ("refuse", "replan"),
    "plan.on_unreviewed": ("fail", "warn"),
    "plan.on_failed_check": ("fail", "warn"),
    "plan.values": ("hidden", "shown"),
    "volatile_variables": ([], ["size"]),
    "secrets": (["A_*"], []),
    "follows": ("dev", "local"),
    "forge.kind": ("gitlab", "none"),
    "forge.url": ("https://a.example.com", "https://b.example.com"),
    "forge.project": ("1", "2"),
    "forge.token": ("A", "B"),
    "forge.comment": (True, False),
    "forge.status": (True, False),
    "deploy.tag": ("a", "b"),
    "deploy.push": (True, False),
    "deploy.state_copies": (3, 0),
    "deploy.on_failed_check": ("fail", "warn"),
    "drift.undeployed": ("alert", "report"),
    "drift.on_failed_check": ("alert", "warn"),
    "drift.exit": ("any", "new"),
    "drift.remind": (24, 48),
    "drift.ignore": ([], [_IGNORE]),
    "drift.severity": ([], [{"severity": "info"}]),
    "drift.repair": ([], [{"stacks": ["*"], "address": "a.*"}]),
    "drift.changed_by": (["tags.By"], ["tags.Other"]),
    "drift.changed_at": (["tags.At"], ["tags.Other"]),
    "drift.lock": (True, False),
    "drift.budget": (600, 1),
    "drift.merge_requests": (True, False),
    "drift.issues": (True, False),
    "policy.fail_on": ("medium", "high"),
    "policy.protect": ([{"type": "a_*"}], []),
    "policy.max_destroy": (2, 3),
    "policy.required_tags": ([{"tags": {"a": ".*"}}], []),
    "policy.checkers": ([{"name": "a", "command": ["a", "{plan}"]}], []),
    "policy.allow": ([], [{"rule": "protect", "reason": "x", "until": "2099-01-01"}]),
    "reports.templates": ("config/templates", "other"),
    "reports.dashboard": ("https://a.example.com", "https://b.example.com"),
    "upstream.path": ("../a", "../b"),
    "upstream.git": ("https://a.example.com/a", "https://b.example.com/a"),
    "upstream.ref": ("v1", "a" * 40),
    "upstream.check": (True, False),
    "hooks": ([_HOOK], []),
    "ci.image": ("a", "b"),
    "ci.install": ("a", "b"),
    "ci.caches": ("engine", "receipts"),
    "ci.job": ({"tags": ["a"]}, {"tags": ["b"]}),
    "history.keep": (1000, 0),
    "history.days": (365, 1),
    "publish.to": ("https://a.example.com", "https://b.example.com"),
    "publish.token": ("A", "B"),
    "publish.header": ("A", "B"),
    "publish.endpoint": ("https://a.example.com", "https://b.example.com"),
    "publish.automatic": (True, False),
    "ledger.kind": ("git", "store"),
    "ledger.ref": ("refs/heads/a", "refs/heads/b"),
    "ledger.remote": ("origin", "other"),
    "ledger.url": ("s3://a", "s3://b"),
    "ledger.endpoint": ("https://a.example.com", "https://b.example.com"),
    "ledger.token": ("A", "B"),
    "ledger.read_token": ("A", "B"),
    "ledger.key": ("A", "B"),
    "ledger.public_key": (_KEY, _OTHER_KEY),
    "ledger.required": (True, False),
    "ledger.public": (False, True),
    "ledger.observations.token": ("A", "B"),
    "ledger.observations.key": ("A", "B"),
    "ledger.observations.public_key": (_KEY, _OTHER_KEY),
    "organization.file": ("a.yaml", "b.yaml"),
    "organization.schema": ("a.json", "b.json"),
    "notify": ([_CHANNEL], []),
}
# What else a part needs, so that it is valid.
NEEDED: dict[str, dict[str, Any]] = {
    "backend": {"kind": "http"},
    "stacks.<name>.backend": {"kind": "http"},
    "builds.<name>": {"kind": "node", "path": "app"},
    "builds.<name>.command": {"kind": "command"},
    "builds.<name>.toolchain": {"kind": "command", "command": ["make"]},
    "images.<name>": {"repository": "registry.example.com/a", "context": "app"},
    "images.<name>.login": {"user": "U", "password": "P"},
    "upstream.git": {"ref": "v1"},
    "upstream.ref": {"git": "https://a.example.com/a"},
    "upstream.check": {"path": "../a"},
    "ledger": {"kind": "git"},
    "ledger.url": {"kind": "store"},
    "ledger.endpoint": {"kind": "store", "url": "s3://a"},
    "ledger.read_token": {"kind": "store", "url": "s3://a"},
    "organization": {"file": "a.yaml"},
}
COMPLETED = {
    "ledger.kind": {"DEPLOY_LEDGER__URL": "s3://b"},
    "builds.<name>.kind": {"DEPLOY_BUILDS__WEB__COMMAND": '["x"]'},
}
DEFAULTS_COUNT = {  # keys whose default is the strictest: a variable loosens it where the files do not name it
    key
    for key, (said, _) in LOOSER.items()
    if said in (True, False) or key in ("encryption.remote_state", "drift.undeployed", "drift.exit", "drift.severity")
} - {"plan.require_encryption", "plan.require_clean", "inputs.observe", "publish.automatic", "deploy.push", "drift.lock",
     "drift.issues", "drift.merge_requests"}  # fmt: skip


def _keys() -> Iterator[str]:
    """Every key of the configuration; a list, and a mapping of values, is one key."""
    schema = loading.json_schema()

    def below(node: dict[str, Any], path: str) -> Iterator[str]:
        for name, inner in node["properties"].items():
            key = f"{path}{name}"
            parts = [inner, *inner.get("anyOf", []), *inner.get("patternProperties", {}).values()]
            named = "patternProperties" in inner
            models = [schema["$defs"][part["$ref"].rpartition("/")[2]] for part in parts if "$ref" in part]
            for found in models:
                yield from below(found, f"{key}.<name>." if named else f"{key}.")
            if not models:
                yield key

    yield from below(schema, "")


def _nested(key: str, value: object) -> dict[str, Any]:
    """A configuration of one key, with what its parts need."""
    parts = key.replace("<name>", "web").split(".")
    made: Any = value
    for place in range(len(parts) - 1, -1, -1):
        made = {parts[place]: made}
        pattern = ".".join(key.split(".")[:place])
        made = {**NEEDED.get(pattern, {}), **(NEEDED.get(key, {}) if place == len(parts) - 1 else {}), **made}
    return made if isinstance(made, dict) else {}


def test_each_key_has_a_rule_and_each_rule_a_key() -> None:
    keys = set(_keys())
    rules = tightening.RULES
    assert {key for key in keys if not any(key == rule or key.startswith(f"{rule}.") for rule in rules)} == set()
    assert {rule for rule in rules if not any(key == rule or key.startswith(f"{rule}.") for key in keys)} == set()
    free = {key for key in keys if tightening.rule_of(tuple(key.split("."))) is tightening.ANYTHING}
    assert keys - free == set(LOOSER), "a new key needs a rule, and a value here that would loosen it"


def _load(
    folder: Path, said: dict[str, Any], monkeypatch: pytest.MonkeyPatch, variable: str, value: object
) -> loading.Loaded:
    (folder / "config").mkdir()
    (folder / "config/pipeline.yaml").write_text(json.dumps({"version": 1, **said}))
    monkeypatch.setenv(variable, value if isinstance(value, str) else json.dumps(value))
    return loading.load(folder)


def texts(caught: pytest.ExceptionInfo[ConfigErrors]) -> str:
    return "\n".join(problem.text() for problem in caught.value.problems)


def _variable(key: str) -> str:
    return "DEPLOY_" + key.replace("<name>", "web").replace(".", "__").upper()


@pytest.mark.parametrize("key", LOOSER)
def test_no_variable_loosens_what_the_files_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    said, looser = LOOSER[key]
    for name, value in COMPLETED.get(key, {}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigErrors) as caught:
        _load(tmp_path, _nested(key, said), monkeypatch, _variable(key), looser)
    text = texts(caught)
    parts = key.replace("<name>", "web").split(".")
    refused = {".".join(parts[:length]) for length in range(1, len(parts) + 1)}
    assert refused & set(re.findall(r"([\w.]+): a variable may ", text)), text
    assert "environment variable DEPLOY_" in text


@pytest.mark.parametrize("key", LOOSER)
def test_a_variable_may_repeat_what_the_files_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    said, _ = LOOSER[key]
    _load(tmp_path, _nested(key, said), monkeypatch, _variable(key), said)


@pytest.mark.parametrize("key", sorted(DEFAULTS_COUNT))
def test_no_variable_loosens_a_strict_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    files = _nested(key, LOOSER[key][0])
    del _parent(files, key)[key.rpartition(".")[2]]
    with pytest.raises(ConfigErrors) as caught:
        _load(tmp_path, files, monkeypatch, _variable(key), LOOSER[key][1])
    assert "a variable may" in texts(caught)


def _parent(files: dict[str, Any], key: str) -> dict[str, Any]:
    for part in key.replace("<name>", "web").split(".")[:-1]:
        files = files[part]
    return files


@pytest.mark.parametrize("part", ["ledger", "backend", "organization", "upstream"])
@pytest.mark.parametrize("value", ["null", "none"])
def test_a_variable_takes_away_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, value: str) -> None:
    files = {"ledger": {"kind": "git"}, "backend": {"kind": "local"}, "organization": {"file": "a.yaml"},
             "upstream": {"path": "../x"}}  # fmt: skip
    with contextlib.suppress(ConfigError, ConfigErrors):
        loaded = _load(tmp_path, files, monkeypatch, f"DEPLOY_{part.upper()}", value)
        assert isinstance(getattr(loaded.config, part), BaseModel)


def test_a_part_that_a_variable_completes_is_judged_by_its_other_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files alone are not valid, so there is nothing to compare with as a whole."""
    monkeypatch.setenv("DEPLOY_LEDGER__URL", "s3://a")
    files = {"ledger": {"kind": "store", "public_key": _KEY}, "policy": {"max_destroy": 1}}
    with pytest.raises(ConfigErrors) as caught:
        _load(tmp_path, files, monkeypatch, "DEPLOY_LEDGER__REQUIRED", "false")
    assert "ledger.required: a variable may tighten" in texts(caught)
    monkeypatch.delenv("DEPLOY_LEDGER__REQUIRED")
    monkeypatch.setenv("DEPLOY_POLICY__MAX_DESTROY", "5")
    with pytest.raises(ConfigErrors) as caught:
        loading.load(tmp_path)
    assert "policy.max_destroy: a variable may tighten" in texts(caught)
    monkeypatch.delenv("DEPLOY_POLICY__MAX_DESTROY")
    loading.load(tmp_path)


def test_an_upstream_of_a_variable_is_refused_before_it_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/pipeline.yaml").write_text("version: 1\nupstream: {git: https://a.example.com/x, ref: v1}\n")
    monkeypatch.setenv("DEPLOY_UPSTREAM__GIT", "https://b.example.com/x")
    fetched: list[object] = []
    with pytest.raises(ConfigErrors) as caught:
        loading.load(tmp_path, resolve=lambda *given: fetched.append(given))
    assert "upstream.git: a variable may not change what the files say" in texts(caught)
    assert fetched == []
