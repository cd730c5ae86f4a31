"""What is known of a stack without a ledger: its receipts and its state together."""

from __future__ import annotations

import pytest

from tasks.ledger.receipts import Record
from tasks.ledger.remains import Remains
from tasks.run.rebuilding import Receipt, State, choose

STATE = State("lineage", 7)


X, Y, Z = ("1a" * 20, "2b" * 20, "3c" * 20)


def receipt(
    source: str, *, lineage: str | None = "lineage", serial: int = 7, plan: str = "p1", outcome: str = "applied",
    commit: str | None = None,
) -> Receipt:  # fmt: skip
    fields = {"outcome": outcome, "lineage": lineage, "serial": serial, "plan_sha256": plan, "commit": commit}
    fields["plan_id"] = f"id of {plan}"
    return Receipt(source, Record(dict(fields), None))


def test_the_receipt_of_the_state_is_taken_wherever_it_lies() -> None:
    found = choose("web", "prod", [receipt("here", serial=6, plan="p0"), receipt("artifact")], STATE)
    assert found is not None
    assert (found.source, found.certain) == ("artifact", True)
    assert found.record.receipt["outcome"] == "applied"


def test_the_same_receipt_twice_is_one() -> None:
    found = choose("web", "prod", [receipt("here"), receipt("artifact")], STATE)
    assert found is not None
    assert (found.source, found.certain) == ("here", True)


def test_without_the_receipt_of_the_state_the_stack_is_affected() -> None:
    uncertain = [
        [],
        [receipt("here", serial=6)],  # something was applied since
        [receipt("here", serial=8)],  # of a state that was taken back
        [receipt("here", lineage="another")],
        [receipt("here", plan="p1"), receipt("artifact", plan="p2")],  # no order
        [receipt("here"), receipt("artifact", outcome="started")],  # an apply that was cut off
        [receipt("an earlier rebuilding", plan="")],
    ]
    for receipts in uncertain:
        found = choose("web", "prod", receipts, STATE)
        assert found is not None
        assert not found.certain
        assert found.record.receipt["besides"], "it does not count as affected"
        assert found.record.receipt["outcome"] == "applied"  # none of these says that an apply failed
        assert (found.record.receipt["lineage"], found.record.receipt["serial"]) == ("lineage", 7)


def test_every_commit_that_may_be_deployed_is_in_the_record() -> None:
    """None of them may be deployed over by an older one, whichever was the last."""
    receipts = [receipt("here", commit="x"), receipt("artifact", plan="p2", commit="y", outcome="started")]
    found = choose("web", "prod", receipts, STATE)
    assert found is not None
    assert (found.record.receipt["commit"], found.record.receipt["besides"]) == ("x", ["y"])


def test_a_state_that_is_gone_is_still_expected() -> None:
    found = choose("web", "prod", [receipt("here", serial=6), receipt("artifact")], State(None, None))
    assert found is not None
    assert found.record.receipt["serial"] == 7
    assert found.record.receipt["outcome"] == "applied"


def test_a_stack_without_both_was_never_deployed() -> None:
    assert choose("web", "prod", [], State(None, None)) is None


@pytest.mark.parametrize(
    ("left", "known"),
    [
        (Remains([X], "id of p1", "lineage", 7), None),  # it is of that very apply
        (Remains([Y], "id of p0", "lineage", 6), None),  # something was applied since, as the serial says
        (Remains([X, Y], "id of p1", "lineage", 7), [X, Y]),  # two deploys without an order, and still none
        (Remains([Y], "id of p2", "lineage", 7), [X, Y]),  # plans that change nothing leave the serial as it is
        (Remains([Y], "id of p2", "lineage", 8), [X, Y]),  # the state was put back
        (Remains([Y], "id of p2", "another", 3), [X, Y]),
        (Remains([Y], "id of p2", "lineage", None), [X, Y]),
        (Remains([X, Y], "id of p1", "lineage", 7, begun=True), [X, Y]),
        (Remains([""], "id of p2", "lineage", 7), [X]),
        (Remains([X], None, "lineage", 7), None),  # of an earlier rebuilding, which did not find the receipt
        (Remains([X, Y], None, "lineage", 7), [X, Y]),
        (Remains(), None),
    ],
)
def test_what_the_ledger_that_is_replaced_names_is_not_forgotten(left: Remains, known: list[str] | None) -> None:
    found = choose("web", "prod", [receipt("here", commit=X)], STATE, left)
    assert found is not None
    assert found.certain is (known is None)
    assert found.commits == (known or [X])


def test_with_the_ledger_alone_its_commits_are_known_and_nothing_is_proven() -> None:
    found = choose("web", "prod", [], STATE, Remains([X, Y], "id of p1", "lineage", 7))
    assert found is not None
    assert (found.certain, found.commits, found.source) == (False, [X, Y], "its state")
    assert (found.record.receipt["lineage"], found.record.receipt["serial"]) == ("lineage", 7)


def test_a_receipt_of_an_earlier_apply_does_not_hide_what_the_ledger_names() -> None:
    found = choose("web", "prod", [receipt("here", serial=6, plan="p0", commit=Z)], STATE, Remains([X], "id of p1"))
    assert found is not None
    assert (found.certain, found.commits) == (False, [Z, X])


@pytest.mark.parametrize("receipts", [[], [receipt("here", serial=6, commit=Z)]])
def test_a_state_that_is_gone_is_expected_where_only_the_ledger_knew_it(receipts: list[Receipt]) -> None:
    found = choose("web", "prod", receipts, State(None, None), Remains([X], "id of p2", "lineage", 7))
    assert found is not None
    assert not found.certain
    assert X in found.commits
    assert found.record.receipt["lineage"] == "lineage"


def test_without_a_commit_the_record_says_that_it_is_unknown() -> None:
    found = choose("web", "prod", [], STATE)
    assert found is not None
    assert found.commits == []
    assert found.record.receipt["besides"] == [""]
