"""Whether a state is the one that was deployed: by lineage, serial, and what the plan would create."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.artifact import statecheck
from tasks.artifact.receipt import Outcome, Receipt
from tasks.artifact.statecheck import Seen, digest
from tasks.base.errors import ConfigError
from tasks.run import stateguard

A, B = digest("x.a"), digest("x.b")


def left(serial: int | None = 5, outcome: Outcome = Outcome.APPLIED, **more: Any) -> Receipt:
    """The receipt of an apply."""
    values = {"lineage": "L", "exists": [A, B], **more}
    return Receipt("s", "local", outcome, "p", "i", serial=serial, **values)


def resource(address: str, action: str, *, mode: str = "managed") -> dict[str, Any]:
    return {"address": address, "mode": mode, "change": {"actions": [action]}}


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (Seen(None, 0, empty=True), "its state is gone: the last apply left serial 5 of lineage L, but no state was found"),
        (Seen(None, None, empty=True), "its state is gone"),
        (Seen("M", 9, empty=False), "its state is a different one: found lineage M, serial 9"),
        (Seen("L", 4, empty=False), "its state is older: found serial 4, but the last apply left serial 5"),
        (Seen("L", 5, empty=True), "its state is empty: the last apply left 2 resources in it at the same serial 5"),
        (Seen("L", 9, True, (A,), (A, B), ("x.a",)), "would create 1 resource that the last apply left in place (x.a)"),
        (Seen("L", 5, False, (A, B), (A, B)), "would create 2 resources that the last apply left in place"),
    ],
)  # fmt: skip
def test_a_state_that_is_not_the_deployed_one_is_a_problem(seen: Seen, said: str) -> None:
    assert said in str(statecheck.problem(left(), seen))


@pytest.mark.parametrize(
    ("last", "seen"),
    [
        (None, Seen(None, 0, empty=True)),
        (left(), Seen("L", 5, empty=False)),
        (left(), Seen("L", 9, empty=False)),
        (left(), Seen("L", 9, empty=True)),
        (left(), Seen("L", 5, False, (digest("x.new"),), (A, B))),
        (left(exists=[]), Seen("L", 5, empty=True)),  # a stack that has only outputs
        (left(None, lineage=None, exists=[]), Seen(None, 0, empty=True)),  # a first apply that wrote no state
        (left(0, Outcome.FAILED, lineage=None, exists=[]), Seen("L", 1, empty=False)),
        (left(5, Outcome.FAILED, exists=[]), Seen("L", 6, False, (A,), (A,))),
    ],
)
def test_the_deployed_state_and_one_that_went_on_are_none(last: Receipt | None, seen: Seen) -> None:
    assert statecheck.problem(last, seen) is None


def test_a_state_that_went_on_is_said_where_the_last_apply_succeeded() -> None:
    assert statecheck.moved(left(7), Seen("L", 9, empty=False)) == "state serial 7 -> 9 outside doit-tofu"
    assert statecheck.moved(left(7), Seen("L", 7, empty=False)) is None
    assert statecheck.moved(left(7, Outcome.FAILED), Seen("L", 9, empty=False)) is None
    assert statecheck.moved(None, Seen("L", 9, empty=False)) is None


def test_a_plan_is_read_for_what_it_creates_and_leaves() -> None:
    plan = {
        "prior_state": {"values": {"root_module": {"resources": [resource("data.d", "read", mode="data")]}}},
        "resource_drift": [resource("x.gone", "delete")],
        "resource_changes": [resource("x.gone", "create"), resource("x.new", "create"), resource("x.old", "update")],
        "planned_values": {
            "root_module": {
                "resources": [resource("x.gone", ""), resource("data.d", "", mode="data")],
                "child_modules": [{"resources": [resource("module.m.x.a", "")], "child_modules": []}],
            }
        },
    }
    seen = Seen.read(plan, "", 0)
    assert seen.lineage is None
    assert not seen.empty  # what a refresh found to be gone was in it
    assert seen.addresses == ("x.new",)
    assert seen.creates == (digest("x.new"),)
    assert set(seen.exists) == {digest("x.gone"), digest("module.m.x.a")}
    assert Seen.read({}, "L", 3) == Seen("L", 3, empty=True)


def test_what_is_accepted_is_read_and_covers_one_state_alone() -> None:
    one, other = stateguard.parse("net/a:L-1:7,b:missing", "moved by hand")
    assert (one.stack, one.lineage, one.serial, one.reason) == ("net/a", "L-1", 7, "moved by hand")
    assert one.covers("net/a", Seen("L-1", 7, empty=False))
    assert not one.covers("net/a", Seen("L-1", 8, empty=False))
    assert not one.covers("b", Seen("L-1", 7, empty=False))
    assert not one.covers("net/a", Seen(None, 0, empty=True))
    assert other.covers("b", Seen(None, 0, empty=True))
    assert not other.covers("b", Seen("L-1", 7, empty=False))


@pytest.mark.parametrize(
    ("text", "reason", "said"),
    [
        ("a", "r", "`accept=a` is malformed"),
        ("a:L", "r", "`accept=a:L` is malformed"),
        ("a:L:x", "r", "`accept=a:L:x` is malformed"),
        ("a:missing,", "r", "`accept=` is malformed"),
        ("a:missing", None, "`accept=` has no reason"),
        ("a:L:3", "", "`accept=` has no reason"),
        ("b:missing", None, "unknown stack 'b' (known: a)"),
    ],
)
def test_what_cannot_be_accepted_is_refused(text: str, reason: str | None, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        stateguard.check_names(stateguard.parse(text, reason), ["a"])
    assert said in caught.value.message
    assert caught.value.problem.untouched == "nothing was planned or applied"


def test_a_stack_that_does_not_exist_is_named() -> None:
    with pytest.raises(ConfigError, match="unknown stack 'netwrk' \\(did you mean 'network'\\?\\)"):
        stateguard.check_names(stateguard.parse("netwrk:missing", "r"), ["network"])
