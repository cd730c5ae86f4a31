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
        ("DEPLOY_PLAN", '{"values": "shown"}', "plan.values"),
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
