"""Variables and rules: a variable tightens what the files say, and never loosens it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.base.errors import ConfigErrors
from tasks.project.config import loading

if TYPE_CHECKING:
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
    assert f"{key}: a variable may tighten this rule, not loosen it; the files say" in problem.text()
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
