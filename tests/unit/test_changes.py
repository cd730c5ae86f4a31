"""Plan JSON reduced to changes: nothing sensitive is left, and the counts are right."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.artifact.changes import UNKNOWN, Counts, PlanChanges, read
from tasks.base.errors import ExposedError
from tasks.base.masking import MASK, Masker


def change(*actions: str, **more: Any) -> dict[str, Any]:
    """A resource change as the engine writes it."""
    outer = {key: more.pop(key) for key in ("previous_address", "action_reason", "address") if key in more}
    return {
        "address": "terraform_data.x", "type": "terraform_data", **outer,
        "change": {"actions": list(actions), "before": None, "after": None, "after_unknown": {}, **more},
    }  # fmt: skip


def reduced(*changes: dict[str, Any], **plan: Any) -> PlanChanges:
    """The changes of a plan with some resource changes."""
    return read({"resource_changes": list(changes), **plan}, Masker())


# --- counts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "counts", "text"),
    [
        (change("create"), Counts(add=1), "+1 ~0 -0"),
        (change("update"), Counts(change=1), "+0 ~1 -0"),
        (change("delete"), Counts(destroy=1), "+0 ~0 -1"),
        (change("delete", "create"), Counts(replace=1), "+0 ~0 ±1 -0"),
        (change("create", "delete"), Counts(replace=1), "+0 ~0 ±1 -0"),
        (change("create", "forget"), Counts(replace=1), "+0 ~0 ±1 -0"),
        (change("forget"), Counts(forget=1), "+0 ~0 -0 1 forget"),
        (change("no-op"), Counts(), "no changes"),
        (change("read"), Counts(), "no changes"),
        (change(), Counts(), "no changes"),
        (change("no-op", previous_address="a.b"), Counts(move=1), "+0 ~0 -0 1 move"),
        (change("update", previous_address="a.b"), Counts(change=1, move=1), "+0 ~1 -0 1 move"),
        (change("no-op", importing={"id": "x"}), Counts(imports=1), "+0 ~0 -0 1 import"),
        (change("create", importing={"id": "x"}), Counts(add=1, imports=1), "+1 ~0 -0 1 import"),
        (change("something", "new"), Counts(change=1), "+0 ~1 -0"),
    ],
)  # fmt: skip
def test_each_kind_of_change_is_counted_as_what_it_is(item: dict[str, Any], counts: Counts, text: str) -> None:
    found = reduced(item)
    assert found.counts == counts
    assert found.counts.text() == text
    assert found.counts.empty is (len(found.resources) == 0)


def test_changed_outputs_are_counted_and_sorted() -> None:
    found = reduced(
        output_changes={
            "z": {"actions": ["create"], "before": None, "after": 1},
            "a": {"actions": ["update"], "before": 1, "after": 2},
            "same": {"actions": ["no-op"], "before": 1, "after": 1},
        }
    )
    assert found.counts == Counts(outputs=2)
    assert found.counts.text() == "+0 ~0 -0 2 outputs"
    assert found.outputs == [
        {"name": "a", "action": "update", "before": 1, "after": 2},
        {"name": "z", "action": "create", "before": None, "after": 1},
    ]


@pytest.mark.parametrize("plan", [{}, {"resource_changes": None, "output_changes": None, "checks": None}])
def test_a_plan_of_nothing_is_empty(plan: dict[str, Any]) -> None:
    assert read(plan, Masker()) == PlanChanges(Counts())


def test_drift_failed_checks_and_errors_are_told() -> None:
    found = reduced(
        resource_drift=[change("delete", address="a.gone"), change("no-op"), change("update", address="a.other")],
        checks=[
            {"address": {"to_display": "check.ok"}, "status": "pass"},
            {"address": {"to_display": "check.bad"}, "status": "fail"},
            {"status": "error"},
        ],
        errored=True,
    )
    assert [(item["address"], item["action"]) for item in found.drift] == [("a.gone", "destroy"), ("a.other", "change")]
    assert found.failed_checks == ["check.bad", "?"]
    assert found.errored


def test_a_resource_is_shown_with_all_that_a_reviewer_needs() -> None:
    found = reduced(
        change(
            "delete", "create", before={"a": 1}, after={"a": 2}, after_unknown={"id": True}, replace_paths=[["a"]],
            action_reason="replace_because_cannot_update", previous_address="terraform_data.y", importing={"id": "i"},
        )
    )  # fmt: skip
    assert found.resources == [
        {
            "address": "terraform_data.x", "type": "terraform_data", "action": "replace",
            "reason": "replace_because_cannot_update", "replace_paths": [["a"]],
            "before": {"a": 1}, "after": {"a": 2, "id": UNKNOWN}, "moved_from": "terraform_data.y", "imported": True, "import_id": "i",
            "changed": ["a", "id"],
        }
    ]  # fmt: skip
    assert json.loads(json.dumps(found.to_json()))["format"] == 1


# --- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "unknown", "shown"),
    [
        ({"a": 1}, {"b": True}, {"a": 1, "b": UNKNOWN}),
        ({"a": {"x": 1}}, {"a": {"y": True}}, {"a": {"x": 1, "y": UNKNOWN}}),
        ({"a": [1, None]}, {"a": [False, True]}, {"a": [1, UNKNOWN]}),
        ({"a": [1, 2]}, {"a": [True]}, {"a": [1, 2]}),
        ({}, {"a": {"b": True}}, {"a": {"b": UNKNOWN}}),
        (None, True, UNKNOWN),
        (None, {}, None),
        (None, False, None),
        ({"a": None}, {"a": {}}, {"a": None}),
    ],
)
def test_what_is_known_only_after_the_apply_says_so(after: Any, unknown: Any, shown: Any) -> None:
    assert reduced(change("create", after=after, after_unknown=unknown)).resources[0]["after"] == shown


@pytest.mark.parametrize(
    ("value", "sensitive", "shown"),
    [
        ({"p": "hunter2", "n": "x"}, {"p": True}, {"p": MASK, "n": "x"}),
        ({"p": "hunter2"}, True, MASK),
        ({"l": ["a", "hunter2"]}, {"l": [False, True]}, {"l": ["a", MASK]}),
        ({"l": [{"p": "hunter2", "q": 1}]}, {"l": [{"p": True}]}, {"l": [{"p": MASK, "q": 1}]}),
        ({"m": {"a": "hunter2"}}, {"m": True}, {"m": MASK}),
        ({"p": None}, {"p": True}, {"p": None}),
        ({"p": "hunter2", "n": "says hunter2"}, {"p": True}, {"p": MASK, "n": f"says {MASK}"}),
        ({"s": ["hunter2"]}, {"s": {"0": True}}, {"s": MASK}),
        ({"s": "hunter2"}, {"s": [True]}, {"s": MASK}),
        ({"s": ["open"]}, {"s": {}}, {"s": ["open"]}),
    ],
)
def test_what_is_marked_sensitive_is_replaced_and_what_repeats_it_too(value: Any, sensitive: Any, shown: Any) -> None:
    found = reduced(change("update", before=value, before_sensitive=sensitive, after=value, after_sensitive=sensitive))
    assert (found.resources[0]["before"], found.resources[0]["after"]) == (shown, shown)
    assert "hunter2" not in json.dumps(found.to_json())


def test_a_sensitive_object_stays_masked_where_the_engine_says_that_nothing_in_it_is_unknown() -> None:
    found = reduced(
        change("create", after={"t": {"p": "hunter2"}}, after_sensitive={"t": True}, after_unknown={"t": {}})
    )
    assert found.resources[0]["after"] == {"t": MASK}


def test_a_secret_that_is_marked_later_is_masked_in_what_came_before() -> None:
    found = reduced(
        change("create", after={"url": "https://u:hunter2@x"}),
        change("create", after={"p": "hunter2"}, after_sensitive={"p": True}),
        resource_drift=[change("update", after={"x": "hunter2"})],
        output_changes={"o": {"actions": ["create"], "after": "hunter2", "after_sensitive": False}},
    )
    assert "hunter2" not in json.dumps(found.to_json())


NAMED = {
    "an instance's key": {"address": 'a.b["hunter2-x"]'},
    "a part of one": {"address": 'a.b["user:hunter2-x"]'},
    "a module's key": {"address": 'module.m["hunter2-x"].a.b'},
    "a resource's name": {"address": "a.hunter2-x"},
    "the address before": {"previous_address": 'a.b["hunter2-x"]'},
    "a key of a map": {"after": {"tags": {"hunter2-x": "y"}}},
    "a key of a map in a list": {"before": {"l": [{"m": {"hunter2-x": "y"}}]}},
    "a key whose value alone is sensitive": {"after": {"m": {"hunter2-x": "y"}}, "after_sensitive": {"m": {"hunter2-x": True}}},
}  # fmt: skip


@pytest.mark.parametrize("where", NAMED)
def test_a_secret_in_a_name_ends_the_report_of_its_stack_and_is_not_shown(where: str) -> None:
    secret = change("create", after={"p": "hunter2-x"}, after_sensitive={"p": True})
    with pytest.raises(ExposedError, match="a secret is in") as caught:
        reduced(change("update", **{"address": "a.b", **NAMED[where]}), secret)
    shown = caught.value.problem.text()
    assert "hunter2" not in shown
    assert "names are never masked" in shown


@pytest.mark.parametrize(
    "item",
    [
        {"address": 'a.b["hunter"]'},  # fewer than 8 characters: it may be there by chance
        {"address": "a.masterkeys"},  # a word that is written in the code
        {"after": {"masterkeys": "y"}},  # an attribute: the provider's name for it
        {"after": {"m": {"masterkeys": "y"}}, "after_sensitive": {"m": True}},  # not shown
    ],
)
def test_what_is_no_secret_in_a_name_is_shown(item: dict[str, Any]) -> None:
    values = {"p": ["hunter", "masterkeys"]}
    found = reduced(change("update", **item), change("create", after=values, after_sensitive={"p": True}))
    assert found.counts == Counts(add=1, change=1)
    assert found.resources[0]["address"] == item.get("address", "terraform_data.x")


WORDS = (
    "create", "update", "delete", "no-op", "read", "forget", "resources", "drift", "outputs", "counts", "address",
    "action", "before", "after", "managed", "terraform_data", "changed", "masked", "destroy", "replace", "format",
)  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
def test_a_word_of_the_format_as_a_secret_changes_nothing_but_its_value(word: str) -> None:
    plan = [
        change("delete", before={"a": "x"}, address="terraform_data.gone"),
        change("create", after={"resources": word, "p": word}, after_sensitive={"p": True}),
    ]
    plain, found = reduced(plan[0], change("create", after={"resources": "y", "p": "z"})), reduced(*plan)
    assert found.counts == plain.counts
    assert [(item["address"], item["action"], item["type"]) for item in found.resources] == [
        (item["address"], item["action"], item["type"]) for item in plain.resources
    ]
    assert found.resources[1]["after"] == {"resources": MASK, "p": MASK}
    assert found.to_json().keys() == plain.to_json().keys()


def test_what_is_sensitive_is_learned_for_the_engines_own_output() -> None:
    mask = Masker()
    read({"output_changes": {"o": {"actions": ["create"], "after": "hunter2", "after_sensitive": True}}}, mask)
    assert mask.text("Error: hunter2 is wrong") == f"Error: {MASK} is wrong"


VALUES = st.recursive(
    st.just("the-secret") | st.none() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
MARKS = st.recursive(
    st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


@given(VALUES, MARKS, MARKS)
def test_once_any_secret_is_marked_it_is_nowhere_whatever_the_shapes(value: Any, unknown: Any, odd: Any) -> None:
    found = reduced(
        change("create", after=value, after_unknown=unknown, after_sensitive=odd),
        change("create", after={"p": "the-secret"}, after_sensitive={"p": True}),
    )
    assert "the-secret" not in json.dumps(found.to_json())
    assert found.counts == Counts(add=2)


@given(VALUES, VALUES)
def test_a_value_that_is_sensitive_as_a_whole_is_a_mask_or_nothing(before: Any, after: Any) -> None:
    found = reduced(
        change("update", before=before, after=after, before_sensitive=True, after_sensitive=True, after_unknown={})
    )
    assert found.resources[0]["before"] == (None if before is None else MASK)
    assert found.resources[0]["after"] == (None if after is None else MASK)
