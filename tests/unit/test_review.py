"""Reviewed against fresh: what a plan means without values, what differs, and what of a record is believed."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import pytest

from tasks.forges import note
from tasks.policy.seal import SealError, pack, sign, unpack, verified
from tasks.policy.semantic import Difference, Reviewed, compare, digest, meaning
from tasks.project.config.keyring import derive

KEY = derive("KEY", "a passphrase of many characters")
OTHER = derive("KEY", "another passphrase of many characters")


def changes(**fields: Any) -> dict[str, Any]:
    item = {"address": "x.a", "action": "change", "changed": ["size", "name"], "before": {"size": 1}, "after": {}}
    return {"resources": [{**item, **fields}], "outputs": [{"name": "url", "action": "update", "after": "secret"}]}


def test_a_meaning_has_addresses_actions_and_field_names_and_no_value() -> None:
    assert meaning(changes()) == {"x.a": ["change", "name", "size"], "output url": ["update"]}
    assert meaning(changes(moved_from="x.b"))["x.a"][0] == "change from x.b"
    assert meaning(changes(deposed="00ff")) == {
        "x.a (deposed 00ff)": ["change", "name", "size"],
        "output url": ["update"],
    }


def test_the_same_plan_with_other_values_means_the_same() -> None:
    assert digest(meaning(changes())) == digest(meaning(changes(before={"size": 9}, after={"size": 10})))


def reviewed(**stacks: Any) -> Reviewed:
    return Reviewed("prod", "a" * 40, stacks)


def test_what_is_as_reviewed_has_no_difference() -> None:
    plan = meaning(changes())
    assert compare(reviewed(a=plan, b=digest(plan)), {"a": plan, "b": plan}) == []


@pytest.mark.parametrize(
    ("before", "now", "text"),
    [
        ({"x": ["change", "a"]}, {"x": ["replace", "a"]}, "x: reviewed change (a), now replace (a)"),
        ({"x": ["change", "a"]}, {"x": ["change", "a", "b"]}, "x: reviewed change (a), now change (a, b)"),
        ({}, {"x": ["destroy"]}, "x: reviewed nothing, now destroy"),
        ("0" * 64, {"x": ["destroy"]}, "differs from the review, of which only a digest was kept"),
    ],
)
def test_what_was_not_reviewed_is_named(before: Any, now: Any, text: str) -> None:
    assert compare(reviewed(a=before), {"a": now}) == [Difference("a", text)]


def test_what_was_reviewed_and_does_not_happen_is_told_and_is_not_unreviewed() -> None:
    found = compare(reviewed(a={"x": ["add"], "y": ["add"]}, b={"z": ["add"]}), {"a": {"y": ["add"]}})
    assert [item.unreviewed for item in found] == [False, False]


def test_a_stack_that_was_deferred_or_unknown_is_not_reviewed() -> None:
    record = Reviewed("prod", "a" * 40, {}, deferred=["a"])
    [deferred] = compare(record, {"a": {"x": ["add"]}})
    [unknown] = compare(record, {"b": None})
    assert "deferred" in deferred.text
    assert deferred.unreviewed
    assert unknown.unreviewed
    assert compare(record, {"c": {}}) == []


def test_a_record_survives_its_line_of_text() -> None:
    record = reviewed(a=meaning(changes()), b="0" * 64).to_json()
    assert Reviewed.from_json(verified(unpack(pack(sign(record, KEY))), KEY)).to_json() == record


@pytest.mark.parametrize("text", ["", "AAAA", "!!", pack([1])[:-4], base64.urlsafe_b64encode(b"x" * 50).decode()])
def test_text_that_is_no_record_is_an_error_of_ours(text: str) -> None:
    with pytest.raises(SealError):
        unpack(text)


def test_a_record_that_would_fill_the_memory_is_refused() -> None:
    bomb = base64.urlsafe_b64encode(zlib.compress(b"[" + b" " * (1 << 25) + b"]", 9)).decode()
    with pytest.raises(SealError, match="too large"):
        unpack(bomb)


@pytest.mark.parametrize("depth", [250, 900, 5_000])
def test_a_record_nested_deep_is_refused_before_anything_walks_it(depth: int) -> None:
    """At some depths it can be read, and what signs it again fails."""
    text = '{"record": {"a": ' + "[" * depth + "]" * depth + "}}"
    with pytest.raises(SealError):
        unpack(base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode())


def test_with_a_key_only_what_is_signed_with_it_is_believed() -> None:
    record = reviewed().to_json()
    with pytest.raises(SealError, match="not signed"):
        verified(sign(record, None), KEY)
    with pytest.raises(SealError, match="another key"):
        verified(sign(record, OTHER), KEY)
    with pytest.raises(SealError, match="was changed"):
        verified({**sign(record, KEY), "record": {**record, "head": "b" * 40}}, KEY)
    assert verified(sign(record, KEY), KEY) == record


@pytest.mark.parametrize("record", [None, [], {}, {"format": 2}, {"format": 1, "stacks": [], "deferred": None}])
def test_a_record_of_another_shape_is_an_error(record: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any: the gate says what it means
        Reviewed.from_json(record)


@pytest.mark.parametrize("limit", [65_536, 1_000_000])
def test_a_comment_of_thousands_of_stacks_is_within_the_limit_and_keeps_what_it_can(limit: int) -> None:
    plan = {f"module.m[{number}].x.y": ["change", "field"] for number in range(20)}
    record = reviewed(**{f"stack-{number}": {**plan, f"x{number}": ["add"]} for number in range(3000)})

    def sealed(room: int) -> Any:
        for candidate in (record, record.shorter()):
            if len(pack(sign(candidate.to_json(), KEY))) <= room:
                return sign(candidate.to_json(), KEY)
        return None

    push = note.Push((1, 1), "a" * 40, "verdict", "now")
    text = note.compose("prod", {push.order: push}, report=lambda room: "é" * (room // 2), sealed=sealed, limit=limit)
    assert len(text.encode()) <= limit
    assert text.startswith(note.name("prod"))
    assert "<!-- doit-tofu:data " in text
