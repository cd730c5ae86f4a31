"""What a plan says that differs, by class: from the plan's own records and the receipt, never from words."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any, get_args

import pytest

from tasks.artifact import changes, statecheck
from tasks.artifact.receipt import Outcome, Receipt
from tasks.artifact.statecheck import Seen
from tasks.base.masking import MASK, Masker
from tasks.drifts import words
from tasks.drifts.author import Author, Names, read
from tasks.drifts.classes import DriftClass, Finding, Severity, classify
from tasks.drifts.looks import Looks
from tasks.project import model
from tasks.project.config.keyring import Keyring
from tasks.project.model import Encryption

LAST = Receipt("web", "prod", Outcome.APPLIED, "p", "i", serial=7, lineage="l")


def entry(address: str, *actions: str, before: Any = None, after: Any = None, **more: Any) -> dict[str, Any]:
    """A resource's change as the engine writes it, planned or found by the refresh."""
    change = {"actions": list(actions), "before": before, "after": after, "after_unknown": {}}
    for side in ("before_sensitive", "after_sensitive"):
        if side in more:
            change[side] = more.pop(side)
    return {"address": address, "type": address.split(".", maxsplit=1)[0], "mode": "managed", "change": change, **more}


def found(
    *planned: dict[str, Any], drift: list[dict[str, Any]] | None = None, as_deployed: bool = True,
    last: Receipt | None = LAST, serial: int = 7, **plan: Any,
) -> list[Finding]:  # fmt: skip
    """The findings of a plan."""
    document = {"resource_changes": list(planned), "resource_drift": drift or [], **plan}
    seen = Seen("l", serial, empty=False)
    return classify(changes.read(document, Masker()), seen, last, as_deployed=as_deployed)


def kinds(findings: list[Finding]) -> dict[str, str]:
    """The class of each address."""
    return {item.address: str(item.kind) for item in findings}


CHANGED = entry("a.x", "update", before={"n": 1}, after={"n": 2})
BACK = entry("a.x", "update", before={"n": 2}, after={"n": 1})


def test_the_classes_are_those_that_the_configuration_has() -> None:
    assert set(get_args(model.DriftClass)) == set(DriftClass)
    assert set(get_args(model.DriftSeverity)) == set(Severity)
    assert set(get_args(model.Looks)) == set(Looks)


def test_what_was_changed_outside_and_would_be_changed_back() -> None:
    (item,) = found(BACK, drift=[CHANGED])
    assert (item.kind, item.paths, item.code_too) == (DriftClass.CHANGED, ["n"], False)
    assert item.item
    assert (item.item["before"], item.item["after"]) == ({"n": 2}, {"n": 1})  # before is what is outside


def test_a_refresh_that_takes_a_change_over_into_the_state_is_no_further_change() -> None:
    (before,) = found(BACK, drift=[CHANGED])
    item, state = found(BACK, serial=8)  # after `apply -refresh-only` by hand
    assert (item.kind, item.print, state.kind) == (DriftClass.CHANGED, before.print, DriftClass.STATE)
    other, _ = found(entry("a.x", "update", before={"n": 3}, after={"n": 1}), serial=8)
    assert other.print != before.print


def test_what_was_deleted_outside() -> None:
    gone = entry("a.x", "delete", before={"n": 1})
    assert kinds(found(entry("a.x", "create", after={"n": 1}), drift=[gone])) == {"a.x": "deleted"}


def test_what_is_in_the_state_although_no_deploy_put_it_there() -> None:
    last = replace(LAST, exists=[statecheck.digest("a.x")])
    planned = entry("a.y", "delete", before={"n": 1}, action_reason="delete_because_no_resource_config")
    assert kinds(found(planned, last=last)) == {"a.y": "appeared"}
    assert kinds(found(entry("a.x", "delete", before={"n": 1}), last=last)) == {"a.x": "changed"}
    assert kinds(found(planned)) == {"a.y": "changed"}  # an older receipt does not say what it left


def test_outputs_are_a_class_and_those_that_follow_from_what_the_plan_changes_are_not_named_again() -> None:
    output = {"url": {"actions": ["update"], "before": "a", "after": "b"}}
    assert kinds(found(output_changes=output)) == {"output url": "outputs"}
    assert kinds(found(BACK, drift=[CHANGED], output_changes=output)) == {"a.x": "changed", "output url": "outputs"}
    follows = {"url": {"actions": ["update"], "before": {"p": "a"}, "after": {}, "after_unknown": {"p": True}}}
    assert kinds(found(BACK, drift=[CHANGED], output_changes=follows)) == {"a.x": "changed"}


def test_an_output_follows_from_the_attribute_that_changed_outside() -> None:
    output = {"size": {"actions": ["update"], "before": 1, "after": 2}}
    relevant = [{"resource": "a.x", "attribute": ["n"]}]
    (item,) = found(drift=[CHANGED], output_changes=output, relevant_attributes=relevant)
    assert (item.kind, item.causes) == (DriftClass.OUTPUTS, ["a.x"])


def test_what_the_plan_neither_changes_nor_uses_is_no_drift() -> None:
    assert found(drift=[CHANGED]) == []
    other = [{"resource": "a.x", "attribute": ["other"]}]
    assert found(drift=[CHANGED], relevant_attributes=other) == []


@pytest.mark.parametrize("instance", ["a.x[0]", "a.x"])
def test_relevance_is_told_by_instance_and_by_resource(instance: str) -> None:
    drift = [entry("a.x[0]", "update", before={"n": 1}, after={"n": 2}), entry("a.x[1]", "delete", before={"n": 1})]
    user = entry("a.y", "update", before={"m": 1}, after={"m": 2})
    relevant = [{"resource": instance, "attribute": ["n"]}]
    (item,) = found(user, drift=drift, relevant_attributes=relevant)
    assert item.causes == (["a.x[0]"] if instance == "a.x[0]" else ["a.x[0]", "a.x[1]"])


def test_what_the_state_alone_asks_for_follows_from_no_other_resource() -> None:
    relevant = [{"resource": "a.x", "attribute": ["n"]}]
    deposed = entry("a.y", "delete", before={"m": 1}, deposed="00aa")
    tainted = entry("a.z", "delete", "create", before={"m": 1}, after={"m": 1}, action_reason="replace_because_tainted")
    findings = found(BACK, deposed, tainted, drift=[CHANGED], relevant_attributes=relevant)
    assert [item.causes for item in findings if item.address != "a.x"] == [[], []]


def test_a_data_source_or_function_that_changed_is_drift_if_the_code_did_not() -> None:
    planned = entry("a.y", "update", before={"m": 1}, after={"m": 2})
    assert kinds(found(planned)) == {"a.y": "changed"}
    assert kinds(found(planned, as_deployed=False)) == {"a.y": "undeployed"}


def test_with_undeployed_code_only_what_the_refresh_found_and_the_plan_undoes_is_drift() -> None:
    code = entry("a.y", "create", after={"n": 1})
    assert kinds(found(BACK, code, drift=[CHANGED], as_deployed=False)) == {"a.x": "changed", "a.y": "undeployed"}
    other = entry("a.x", "update", before={"n": 2, "tag": "a"}, after={"n": 2, "tag": "b"})
    assert kinds(found(other, drift=[CHANGED], as_deployed=False)) == {"a.x": "undeployed"}
    removed = entry("a.x", "delete", before={"n": 2})
    assert kinds(found(removed, drift=[CHANGED], as_deployed=False)) == {"a.x": "undeployed"}


def test_undeployed_code_elsewhere_is_not_said_to_change_what_drifted() -> None:
    code = entry("a.y", "create", after={"n": 1})
    item, _ = found(BACK, code, drift=[CHANGED], as_deployed=False)
    assert not item.code_too
    gone = entry("a.x", "delete", before={"n": 1, "id": "i"})
    again = entry("a.x", "create", after={"n": 1})
    again["change"]["after_unknown"] = {"id": True}
    item, _ = found(again, code, drift=[gone], as_deployed=False)
    assert not item.code_too
    kept = entry("a.x", "update", before={"n": 2, "tag": "b"}, after={"n": 1, "tag": "b"})  # `ignore_changes` has `tag`
    both = entry("a.x", "update", before={"n": 1, "tag": "a"}, after={"n": 2, "tag": "b"})
    item, _ = found(kept, code, drift=[both], as_deployed=False)
    assert not item.code_too
    for more in ({"n": 3}, {"n": 1, "tag": "b"}):
        (item,) = found(entry("a.x", "update", before={"n": 2}, after=more), drift=[CHANGED], as_deployed=False)
        assert item.code_too, more


def test_with_undeployed_code_what_its_plan_uses_of_a_resource_that_changed_outside_is_drift() -> None:
    user = entry("a.y", "update", before={"m": 1}, after={"m": 2})
    relevant = [{"resource": "a.x", "attribute": ["n"]}]
    of_code, outside = found(user, drift=[CHANGED], relevant_attributes=relevant, as_deployed=False)
    assert (of_code.kind, of_code.causes) == (DriftClass.UNDEPLOYED, ["a.x"])
    assert (outside.kind, outside.address, outside.code_too) == (DriftClass.CHANGED, "a.x", True)
    assert outside.item
    assert (outside.item["before"], outside.item["after"]) == ({"n": 2}, {"n": 1})  # the same sides as any other


@pytest.mark.parametrize(
    "planned",
    [
        entry("a.new", "no-op", before={"n": 1}, after={"n": 1}, previous_address="a.old"),
        entry("a.x", "forget", before={"n": 1}),
    ],
)
def test_what_only_code_can_ask_for_is_never_drift(planned: dict[str, Any]) -> None:
    assert [str(item.kind) for item in found(planned)] == ["undeployed"]


def test_a_failing_check_block_is_a_class() -> None:
    checks = [
        {"address": {"to_display": "check.certificate"}, "status": "fail", "instances": [{"problems": []}]},
        {"address": {"to_display": "check.other"}, "status": "pass"},
    ]
    assert kinds(found(checks=checks)) == {"check.certificate": "check"}


def test_a_state_that_something_else_wrote_is_a_class_of_its_own() -> None:
    (item,) = found(serial=9)
    assert (item.kind, item.address) == (DriftClass.STATE, "state")
    assert found(serial=7) == []
    (later,) = found(serial=10)
    assert later.print != item.print
    assert found(serial=9, last=replace(LAST, lineage="another")) == []


def test_one_difference_is_one_print_and_another_is_another() -> None:
    def print_(outside: int, code: int = 1, **more: Any) -> str:
        planned = entry("a.x", "update", before={"n": outside, **more}, after={"n": code, **more})
        (item,) = found(planned, drift=[entry("a.x", "update", before={"n": 1}, after={"n": outside})])
        return item.print

    assert print_(2) == print_(2)
    assert print_(2) != print_(3)
    assert print_(2, etag="1") == print_(2, etag="2")  # what does not differ says nothing
    assert print_(2, 1) == print_(2, 0)  # the code may say something else by now: outside is the same


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ('{"S":[{"E":"Allow","A":1}]}', '{ "S": [ {"A": 1.0, "E": "Allow"} ] }', True),
        (["x", '{"a":1,"b":2}'], ["x", '{"b":2,"a":1}'], True),
        ({"k": "[1, 2]"}, {"k": "[1,2]"}, True),
        (2, 2.0, True),
        ('{"S":[{"E":"Allow"}]}', '{"S":[{"E":"Audit"}]}', False),
        ("[1,2]", "[2,1]", False),
        ('{"a":1}', {"a": 1}, False),
        ('{"a":1', '{"a": 1', False),
        ('{"n":12345678901234567890}', '{"n":12345678901234567891}', False),
    ],
)
def test_the_same_json_in_another_spelling_is_no_further_change(one: Any, other: Any, equal: bool) -> None:
    """Services return a policy with its keys in another order each time: that must not alarm each night."""
    prints = [found(entry("a.x", "update", before={"p": side}, after={"p": "code"}))[0].print for side in (one, other)]
    drifts = [
        found(
            entry("a.x", "update", before={"p": side}, after={"p": "code"}),
            drift=[entry("a.x", "update", before={"p": "code"}, after={"p": side})],
        )[0].print
        for side in (one, other)
    ]
    assert (prints[0] == prints[1], drifts[0] == drifts[1]) == (equal, equal)


def test_a_sensitive_value_that_changed_is_a_difference_and_no_print_of_it_is_kept() -> None:
    planned = entry(
        "a.x", "update", before={"p": "one"}, after={"p": "two"}, before_sensitive={"p": True},
        after_sensitive={"p": True},
    )  # fmt: skip
    (item,) = found(planned)
    assert item.paths == ["p"]
    other = entry(
        "a.x", "update", before={"p": "three"}, after={"p": "two"}, before_sensitive={"p": True},
        after_sensitive={"p": True},
    )  # fmt: skip
    assert found(other)[0].print == item.print


@pytest.mark.parametrize(
    ("before", "after", "looks"),
    [
        ({"p": '{"a": 1, "b": [2]}'}, {"p": '{"b":[2],"a":1}'}, "json"),
        ({"p": '{"a": 1}'}, {"p": '{"a": 2}'}, None),
        ({"p": "[1"}, {"p": "[ 1"}, None),
        ({"p": ["a", "b"]}, {"p": ["b", "a"]}, "order"),
        ({"p": [{"x": 1}, {"x": 2}]}, {"p": [{"x": 2}, {"x": 1}]}, "order"),
        ({"p": ["a", "b"]}, {"p": ["b", "c"]}, None),
        ({"p": ["a", "a", "b"]}, {"p": ["a", "b", "b"]}, None),
        ({"p": "Standard"}, {"p": "standard"}, "case"),
        ({"p": "Standard", "q": 1}, {"p": "standard", "q": 2}, None),
        ({"p": 1}, {"p": True}, None),
        (None, {"p": 1}, None),
    ],
)
def test_values_that_only_look_different_are_told(before: Any, after: Any, looks: str | None) -> None:
    (item,) = found(entry("a.x", "update", before=before, after=after))
    assert item.looks == looks


SIGNED = {"n": 1, "updated_by": "deployer", "modified_time": "T1"}


def signed(**outside: Any) -> Finding:
    """A resource whose provider says who changed it last."""
    (item,) = found(
        entry("a.x", "update", before={**SIGNED, **outside}, after=SIGNED),
        drift=[entry("a.x", "update", before=SIGNED, after={**SIGNED, **outside})],
    )
    return item


def test_who_changed_a_resource_last_and_when_is_what_its_provider_says() -> None:
    assert signed(n=2, updated_by="anna", modified_time="T2").author == Author("anna", "T2")
    assert signed(n=2, modified_time="T2").author == Author("deployer", "T2")
    assert words.said(Author("", "T2")) == "last changed at T2, says the provider"


def test_nothing_is_said_of_a_change_that_the_provider_did_not_note() -> None:
    assert signed(n=2).author is None  # it still speaks of our own deploy
    assert signed(n=2, updated_by="").author is None
    assert signed(n=2, updated_by="anna").author == Author("anna")  # the time is that of our own deploy
    (item,) = found(entry("a.x", "create", after=SIGNED), drift=[entry("a.x", "delete", before=SIGNED)])
    assert item.author is None


@pytest.mark.parametrize(
    ("before", "after", "author"),
    [
        ({"data": [{"last_modified_by": "a"}]}, {"data": [{"last_modified_by": "b"}]}, Author("b")),
        ({"last_modified_by": "a"}, {"last_modified_by": MASK}, None),
        ({"a": {"b": {"c": {"updated_by": "a"}}}}, {"a": {"b": {"c": {"updated_by": "b"}}}}, None),
        ({"tags": {"Editor": "a"}}, {"tags": {"Editor": "b"}}, Author("b")),
        ({"updated_by": "a"}, {"updated_by": " b\n\n# as deployed\r\n"}, Author("b # as deployed")),  # one line
        ({"tags": {"Editor": "a"}, "updated_by": "x"}, {"tags": {"Editor": "b"}, "updated_by": "y"}, Author("b")),
        ({"updated_by": 1}, {"updated_by": 2}, None),
    ],
)
def test_usual_names_and_those_of_the_configuration_are_looked_for(before: Any, after: Any, author: Author) -> None:
    assert read({"before": before, "after": after}, Names(by=["tags.Editor"])) == author


def test_what_a_ledger_with_a_key_says_of_addresses_is_understood_and_without_the_key_nothing_is_claimed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DEPLOY_STATE_KEY", base64.b64encode(bytes(32)).decode())
    ring = Keyring(Encryption(key="DEPLOY_ENCRYPTION_KEY"))
    assert ring.current is not None
    last = replace(LAST, exists=statecheck.keyed([statecheck.digest('a.x["y"]')], ring.current))
    seen = Seen("l", 7, empty=False)
    gone, new = (entry(address, "delete", before={"n": 1}) for address in ('a.x["y"]', "a.new"))

    def kinds_of(last: Receipt | None) -> dict[str, str]:
        document = changes.read({"resource_changes": [gone, new]}, Masker())
        return kinds(classify(document, seen, last, as_deployed=True))

    addresses = ['a.x["y"]', "a.new"]
    known = statecheck.compared(last, seen, ring, addresses)
    assert kinds_of(known) == {'a.x["y"]': "changed", "a.new": "appeared"}
    monkeypatch.delenv("DEPLOY_STATE_KEY")
    unknown = statecheck.compared(last, seen, Keyring(Encryption(key="DEPLOY_ENCRYPTION_KEY")), addresses)
    assert kinds_of(unknown) == {'a.x["y"]': "changed", "a.new": "changed"}
