"""A plan that is killed between two of its files: the next run ends the work or begins anew, and refuses nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.repository import Repository


def _plans(repository: Repository) -> Path:
    return repository.deploy_dir("plans", "a")


def test_killed_before_the_manifest_the_next_deploy_plans_again(one: Repository) -> None:
    one.prepare("plan")
    (_plans(one) / "plan.tfplan").rename(_plans(one) / "draft.tfplan")
    (_plans(one) / "manifest.json").unlink()
    assert "1 deployed" in one.doit("deploy").out
    assert sorted(path.name for path in _plans(one).iterdir()) == [
        "claim.json", "manifest.json", "plan.json", "plan.tfplan",
    ]  # fmt: skip


def test_killed_after_the_manifest_that_very_plan_is_deployed(one: Repository) -> None:
    one.prepare("plan")
    planned = one.json("plans", "a", "manifest.json")["plan_sha256"]
    (_plans(one) / "plan.tfplan").rename(_plans(one) / "draft.tfplan")
    one.engine_calls()
    one.doit("deploy")
    assert one.engine_calls("plan") == []
    assert one.json("receipts", "a.json")["plan_sha256"] == planned


def test_another_draft_than_the_manifest_says_is_not_taken_for_the_plan(one: Repository) -> None:
    one.prepare("plan")
    (_plans(one) / "plan.tfplan").unlink()
    (_plans(one) / "draft.tfplan").write_bytes(b"something else")
    done = one.doit("deploy", code=1)
    assert "plan.tfplan is missing" in done.out
    assert one.engine_calls("apply") == []


def test_killed_while_an_old_plan_is_discarded_it_is_not_taken_for_a_broken_one(one: Repository) -> None:
    one.prepare("plan")
    planned = one.json("plans", "a", "manifest.json")["id"]
    (_plans(one) / "claim.json").write_text(json.dumps({"id": planned}))
    (_plans(one) / "plan.tfplan").unlink()
    assert "1 deployed" in one.doit("deploy").out
