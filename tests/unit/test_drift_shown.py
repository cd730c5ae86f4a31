"""What was shown of a drift, as digests: equal for the same change, different for any other; and the ways from it."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.drifts import shown, ways
from tasks.drifts.classes import DriftClass, Finding
from tasks.project.config.keyring import derive

KEY = derive("KEY", "correct-horse-battery-staple")


def plan(before: Any = 5, after: Any = 3, **more: Any) -> dict[str, Any]:
    """A plan of one resource and an output."""
    change = {"actions": ["update"], "before": {"size": before}, "after": {"size": after}, "after_unknown": {}, **more}
    read = {"address": "data.x.y", "change": {"actions": ["read"]}}
    same = {"address": "a.same", "change": {"actions": ["no-op"], "before": {}, "after": {}}}
    return {
        "resource_changes": [{"address": "a.b", "change": change}, read, same],
        "output_changes": {"o": {"actions": ["update"], "before": 1, "after": 2}, "same": {"actions": ["no-op"]}},
    }


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "keyed"])
def test_the_same_change_has_the_same_digest_and_any_other_another(key: Any) -> None:
    first = shown.digests(plan(), key)
    assert sorted(first) == ["a.b", "output o"]
    assert shown.differences(first, shown.digests(plan(before=5.0), key)) == []
    for other in (
        plan(before=6), plan(after=4), plan(actions=["delete", "create"]), plan(before="5"), plan(before=None),
        plan(after_unknown={"id": True}), plan(replace_paths=[["size"]]),
    ):  # fmt: skip
        assert shown.differences(first, shown.digests(other, key)) == ["a.b: now differs in another way"]


def test_json_in_another_spelling_is_the_same_change() -> None:
    """Otherwise what a service returns in another order each time could never be repaired."""
    one, other = plan(before='{"a":1,"b":[2]}'), plan(before='{"b": [2], "a": 1}')
    assert shown.differences(shown.digests(one, KEY), shown.digests(other, KEY)) == []
    for more in ('{"a":1,"b":[3]}', {"a": 1, "b": [2]}, 'JSON {"a":1,"b":[2]}', 'JSON {"a": 1, "b": [2]}'):
        assert shown.differences(shown.digests(one, KEY), shown.digests(plan(before=more), KEY)) != []


def test_what_came_and_what_went_is_named() -> None:
    first = shown.digests(plan(), None)
    assert shown.differences(first, {}) == ["a.b: no longer differs", "output o: no longer differs"]
    assert shown.differences({}, first) == ["a.b: differs only since then", "output o: differs only since then"]


def test_a_moved_an_imported_and_a_deposed_object_count() -> None:
    item = {"address": "a.b", "change": {"actions": ["no-op"], "before": {}, "after": {}}}
    plain = shown.digests({"resource_changes": [item]}, None)
    assert plain == {}
    moved = shown.digests({"resource_changes": [{**item, "previous_address": "a.old"}]}, None)
    imported = shown.digests(
        {"resource_changes": [{**item, "change": {**item["change"], "importing": {"id": "1"}}}]}, None
    )
    assert moved["a.b"] != imported["a.b"]
    deposed = {"address": "a.b", "deposed": "ab12", "change": {"actions": ["delete"], "before": {}, "after": None}}
    assert list(shown.digests({"resource_changes": [deposed]}, None)) == ["a.b (deposed ab12)"]


def test_a_sensitive_value_counts_with_a_key_and_cannot_be_guessed_without() -> None:
    marks = {"before_sensitive": {"size": True}, "after_sensitive": {}}
    one, other = plan(before="1234", **marks), plan(before="5678", **marks)
    assert shown.digests(one, None) == shown.digests(other, None)
    assert shown.digests(one, KEY)["a.b"] != shown.digests(other, KEY)["a.b"]
    assert shown.digests(one, KEY) != shown.digests(one, derive("KEY", "another-passphrase-of-16"))


def test_each_drift_has_its_ways_in_its_environment() -> None:
    drift = Finding(DriftClass.CHANGED, "a.b", item={"address": "a.b"})
    check = Finding(DriftClass.CHECK, "check.c")
    code = Finding(DriftClass.UNDEPLOYED, "a.new", item={"address": "a.new"})

    def commands(*findings: Finding, named: str | None = "prod") -> list[str]:
        return [str(command) for _, command in ways.of("web", findings, named)]

    assert commands(drift) == [
        "doit env=prod deploy --repair web", "doit env=prod drift --adopt web", "doit env=prod drift:web",
    ]  # fmt: skip
    assert commands(drift, code)[0] == "doit env=prod deploy"
    assert commands(check) == ["doit env=prod drift:web"]
    assert commands(drift, named=None)[0] == "doit deploy --repair web"
