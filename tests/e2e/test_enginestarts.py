"""How many engine processes a command starts: only those that find out something new."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..repository import Repository


WRONG = 'output "wrong" {\n  value = local.missing\n}\n'


def commands(repository: Repository) -> Counter[str]:
    """The engine's commands since the last look, counted."""
    return Counter(call.split()[1] for call in repository.engine_calls())


def test_a_plan_validates_so_nothing_else_does(pair: Repository) -> None:
    pair.doit("plan:a")
    assert commands(pair) == Counter(fmt=1, init=1, plan=1, show=1)
    pair.doit("validate:a")
    assert commands(pair) == Counter()


def test_a_stack_that_cannot_be_planned_yet_is_validated(chain: Repository) -> None:
    done = chain.doit("plan")
    assert commands(chain)["validate"] == 2  # of b and c, which wait for a
    assert "applies exactly this, and plans and applies 2 deferred" in done.out


def test_what_a_deferred_stack_gets_wrong_is_reported(chain: Repository) -> None:
    chain.write(f"stacks/b/wrong.tf:{WRONG}")
    done = chain.doit("plan", code=1)
    assert "local.missing" in done.out
    assert "FAILED" in done.task("plan", "b")


def test_a_configuration_whose_plan_failed_is_not_taken_for_valid(pair: Repository) -> None:
    pair.write(f"stacks/a/wrong.tf:{WRONG}")
    assert "FAILED" in pair.doit("plan:a", code=1).task("plan", "a")
    commands(pair)
    assert "FAILED" in pair.doit("validate:a", code=1).task("validate", "a")
    assert commands(pair)["validate"] == 1


def test_what_only_a_validation_is_asked_for_is_validated_once(pair: Repository) -> None:
    pair.doit("validate")
    assert commands(pair)["validate"] == 2
    pair.doit("validate")
    pair.doit("plan:a")
    assert commands(pair) == Counter(init=1, plan=1, show=1)
