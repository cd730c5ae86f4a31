"""Which plan was applied is known by its id, and which came later by what it follows: never by a clock of seconds."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tasks.artifact import manifest as manifests
from tasks.artifact.inputs import Input, InputKind, Inputs
from tasks.artifact.manifest import Expected, Manifest
from tasks.artifact.receipt import Outcome, Receipt
from tasks.base.clock import now
from tasks.base.errors import ArtifactRefusedError

MOMENT = now()
INPUTS = Inputs({Input(InputKind.FILE, "a.tf"): "0"})
PLAN = Manifest(
    id="one", stack="a", environment="local", origin="plan", plan_sha256="0" * 64, inputs_digest=INPUTS.digest,
    inputs=INPUTS, commit=None, dirty=False, engine="tofu 1.12.6", lock_digest=None, lineage="l", serial=3,
    created_at=MOMENT,
)  # fmt: skip
RECEIPT = Receipt(
    "a", "local", Outcome.APPLIED, "0" * 64, INPUTS.digest, started_at=MOMENT, finished_at=MOMENT, serial=3, lineage="l",
    plan_id="zero",
)  # fmt: skip


def _verify(plan: Manifest, receipt: Receipt) -> None:
    expected: dict[str, Any] = {
        "environment": "local", "inputs": INPUTS, "commit": None, "dirty": False, "engine": "tofu 1.12.6",
        "lock_digest": None, "max_age": timedelta(hours=1), "require_clean": False, "receipt": receipt,
    }  # fmt: skip
    manifests.verify(plan, "a", Expected(**expected))


def test_a_plan_of_the_same_second_and_the_same_bytes_as_the_applied_one_is_another_plan() -> None:
    _verify(PLAN, RECEIPT)


@pytest.mark.parametrize("outcome", [Outcome.STARTED, Outcome.FAILED, Outcome.APPLIED])
def test_the_plan_that_was_applied_is_refused(outcome: Outcome) -> None:
    with pytest.raises(ArtifactRefusedError, match="was already applied") as refusal:
        _verify(PLAN, replace(RECEIPT, plan_id="one", outcome=outcome))
    assert refusal.value.reason == "applied"


def test_a_plan_that_was_applied_before_the_last_one_is_refused_also_where_the_state_is_the_same() -> None:
    with pytest.raises(ArtifactRefusedError, match="already applied, and another one after it") as refusal:
        _verify(PLAN, replace(RECEIPT, outcome=Outcome.FAILED, spent=["one"]))
    assert refusal.value.reason == "applied"


def test_a_receipt_remembers_the_plans_of_one_commit_and_not_without_end() -> None:
    last = replace(RECEIPT, commit="1", spent=["x"])
    assert last.spent_by("1") == ["x", "zero"]
    assert last.spent_by("2") == []
    for number in range(100):
        last = replace(last, plan_id=str(number), spent=last.spent_by("1"))
    assert last.spent[-1] == "98"
    assert len(last.spent) == 20


def test_a_plan_for_an_older_state_is_stale_but_for_one_that_follows_the_last_apply() -> None:
    behind = replace(PLAN, serial=2)
    for earlier in (behind, replace(behind, follows="another")):
        with pytest.raises(ArtifactRefusedError, match="the state has changed") as refusal:
            _verify(earlier, RECEIPT)
        assert refusal.value.reason == "stale"
    _verify(replace(behind, follows="zero"), RECEIPT)  # somebody put the state back, in this very second
