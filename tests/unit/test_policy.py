"""Policy: what guards find, how the output of checkers is read, and that what is handed to them holds no secret."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.base.errors import ConfigError, PolicyError
from tasks.base.masking import MASK, Masker
from tasks.policy import guards, output
from tasks.policy.finding import SEVERITIES, at_least, severity
from tasks.policy.judge import allowances, check_names
from tasks.policy.redacted import redacted
from tasks.project import model


def change(*actions: str, address: str = "aws_db.a", kind: str = "aws_db", **more: Any) -> dict[str, Any]:
    outer = {key: more.pop(key) for key in ("previous_address",) if key in more}
    return {"address": address, "type": kind, "mode": "managed", **outer, "change": {"actions": list(actions), **more}}


def found(policy: dict[str, Any], *changes: dict[str, Any], stack: str = "data") -> list[tuple[str, str | None]]:
    plan = {"resource_changes": list(changes)}
    return [(item.rule, item.address) for item in guards.findings(model.Policy(**policy), stack, plan)]


@pytest.mark.parametrize(
    ("guard", "item", "hit"),
    [
        ({"type": "aws_db"}, change("delete"), True),
        ({"type": "aws_db"}, change("delete", "create"), True),
        ({"type": "aws_db"}, change("create", "delete"), True),
        ({"type": "aws_db"}, change("update"), False),
        ({"type": "aws_db"}, change("forget"), True),
        ({"type": "aws_db", "actions": ["destroy", "replace"]}, change("forget"), False),
        ({"type": "aws_db", "actions": ["forget"]}, change("forget"), True),
        ({"type": "aws_db", "actions": ["destroy"]}, change("delete", "create"), False),
        ({"type": "aws_db", "actions": ["change"]}, change("update"), True),
        ({"type": "aws_*"}, change("delete"), True),
        ({"type": "gcp_*"}, change("delete"), False),
        ({"address": 'aws_db.a["x"]'}, change("delete", address='aws_db.a["x"]'), True),
        ({"address": "aws_db.a[*]"}, change("delete", address="aws_db.a[12]"), True),
        ({"address": "module.db.*"}, change("delete", address="module.other.x", previous_address="module.db.x"), True),
        ({"address": "module.db.*"}, change("delete", address="module.db2.x"), False),
        ({"stacks": ["da*"]}, change("delete"), True),
        ({"stacks": ["web"]}, change("delete"), False),
    ],
)
def test_a_protected_resource_is_found_by_address_type_and_stack(
    guard: dict[str, Any], item: dict[str, Any], hit: bool
) -> None:
    assert found({"protect": [guard]}, item) == ([("protect", item["address"])] if hit else [])


def test_what_would_protect_everything_is_an_error() -> None:
    with pytest.raises(ValidationError, match="this would protect everything"):
        model.Protect()


@pytest.mark.parametrize(("limit", "hit"), [(0, True), (1, True), (2, False)])
def test_a_replacement_counts_as_a_destruction(limit: int, hit: bool) -> None:
    changes = [change("delete"), change("delete", "create"), change("update"), change("forget")]
    assert bool(found({"max_destroy": limit}, *changes)) is hit


@pytest.mark.parametrize(
    ("more", "rules"),
    [
        ({"after": {"tags": {"Owner": "me"}}}, 0),
        ({"after": {"tags": {"Owner": ""}}}, 1),
        ({"after": {"tags": {}}}, 1),
        ({"after": {"tags": None}}, 1),
        ({"after": {"labels": None}}, 1),
        ({"after": {"name": "x"}}, 0),
        ({"after": {}, "after_unknown": {"tags": True}}, 1),
        ({"after": {"tags": {}}, "after_unknown": {"tags": {"Owner": True}}}, 0),
        ({"after": {"tags": {"Owner": "you"}}}, 1),
    ],
)
def test_a_tag_must_be_there_with_a_value_that_fits(more: dict[str, Any], rules: int) -> None:
    assert len(found({"required_tags": [{"tags": {"Owner": "me"}}]}, change("create", **more))) == rules


def test_what_is_destroyed_needs_no_tags() -> None:
    assert (
        found({"required_tags": [{"tags": {"Owner": "me"}}]}, change("delete", before={"tags": {}}, after=None)) == []
    )


# --- what checkers print ---------------------------------------------------------------------------------------------


def checker(**more: Any) -> model.Checker:
    return model.Checker(**{"name": "own", "command": ["x", "{plan}"], **more})


def test_findings_of_conftest_are_read() -> None:
    said = [
        {"filename": "plan.json", "namespace": "main", "successes": 1, "failures": [
            {"msg": "no public buckets", "metadata": {"rule": "S3-1", "severity": "critical", "address": "aws_s3.x"}},
            {"msg": "plain"},
        ]},
        {"filename": "plan.json", "namespace": "other", "successes": 2},
    ]  # fmt: skip
    asked = checker(
        findings=["[].failures[]"],
        fields={
            "message": "msg", "rule": "metadata.rule", "severity": "metadata.severity", "address": "metadata.address",
        },
    )  # fmt: skip
    assert [(item.rule, item.severity, item.message, item.address) for item in output.parse(asked, json.dumps(said))] == [
        ("own/S3-1", "critical", "no public buckets", "aws_s3.x"), ("own/finding", "high", "plain", None),
    ]  # fmt: skip


SARIF = {
    "version": "2.1.0",
    "runs": [{
        "tool": {"driver": {"name": "t", "rules": [
            {"id": "R1", "defaultConfiguration": {"level": "error"}},
            {"id": "R2", "properties": {"security-severity": "9.8"}},
            {"id": "R3"},
        ]}},
        "results": [
            {"ruleId": "R1", "message": {"text": "one"}, "locations": [{"logicalLocations": [{"fullyQualifiedName": "a.b"}]}]},
            {"ruleIndex": 1, "message": {"text": "two"}, "level": "note"},
            {"ruleId": "R3", "message": {"text": "three"}},
            {"ruleId": "R3", "message": {"text": "passed"}, "kind": "pass"},
            {"ruleId": "R1", "message": {"text": "known"}, "suppressions": [{"kind": "inSource", "justification": "why"}]},
            {"ruleId": "R9", "level": "none", "message": {"id": "m"}},
        ],
    }],
}  # fmt: skip


def test_sarif_is_read_with_the_severity_that_its_rules_have() -> None:
    items = output.parse(checker(format="sarif"), json.dumps(SARIF))
    assert [(item.rule, item.severity, item.address, item.allowed) for item in items] == [
        ("own/R1", "high", "a.b", None), ("own/R2", "critical", None, None), ("own/R3", "medium", None, None),
        ("own/R1", "high", None, "own: why"), ("own/R9", "info", None, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("score", "expected"),
    [("nan", "high"), ("NaN", "high"), ("inf", "critical"), ("9,8", "high"), ("", "high"), ("0", "info")],
)
def test_a_score_that_is_no_number_does_not_lower_a_finding(score: str, expected: str) -> None:
    rules = [{"id": "R", "properties": {"security-severity": score}, "defaultConfiguration": {"level": "error"}}]
    run = {"tool": {"driver": {"rules": rules}}, "results": [{"ruleId": "R", "message": {"text": "x"}}]}
    [item] = output.parse(checker(format="sarif"), json.dumps({"version": "2.1.0", "runs": [run]}))
    assert item.severity == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "no", "[", "{}", "[]", '{"version": "2.0.0", "runs": []}', '{"version": "2.1.0", "runs": null}',
        '{"version": "2.1.0", "runs": [{"invocations": [{"executionSuccessful": false}]}]}', "[" * 10_000,
        '{"version": "2.1.0"}', '{"version": "2.1.0", "runs": [1]}', '{"version": "2.1.0", "runs": [{"results": [1]}]}',
    ],
)  # fmt: skip
def test_what_is_no_sarif_is_an_error_and_never_an_empty_list(text: str) -> None:
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        output.parse(checker(format="sarif"), text)


@pytest.mark.parametrize(
    ("value", "path", "values"),
    [
        ([{"f": [1, 2]}, {"f": [3]}, {}], "[].f[]", [1, 2, 3]),
        ({"a": {"b": 1}}, "a.b", [1]),
        ({"a": None}, "a[]", []),
        ([1], "[]", [1]),
    ],
)
def test_a_path_gives_what_stands_there(value: Any, path: str, values: list[Any]) -> None:
    assert output.at(value, path) == values


@pytest.mark.parametrize(("value", "path"), [({}, "[]"), ([], "a"), ({"a": 1}, "a[]"), ([1], "[].a")])
def test_a_path_through_something_else_is_an_error(value: Any, path: str) -> None:
    with pytest.raises(ValueError, match="does not match its output"):
        output.at(value, path)


@pytest.mark.parametrize(
    ("word", "meant"),
    [("HIGH", "high"), ("error", "high"), ("WARNING", "medium"), ("note", "low"), (None, "low"), ("odd", "low"), (7, "low")],
)  # fmt: skip
def test_the_words_of_other_tools_are_severities(word: object, meant: str) -> None:
    assert severity(word, "low") == meant


def test_a_threshold_takes_in_what_is_worse() -> None:
    assert [word for word in SEVERITIES if at_least(word, "medium")] == ["critical", "high", "medium"]


# --- overrides -------------------------------------------------------------------------------------------------------


def test_an_override_of_the_command_line_names_rules_and_stacks() -> None:
    assert [tuple(item) for item in allowances("protect:a,own/R1", " why ")] == [
        ("protect", "a", "why"), ("own/R1", "*", "why"),
    ]  # fmt: skip


@pytest.mark.parametrize("allow", ["", "*", ":a"])
def test_an_override_without_a_rule_is_an_error(allow: str) -> None:
    with pytest.raises(ConfigError, match="names no rule"):
        allowances(allow, "why")


OTHERS = ["older", "running", "unrecorded"]
POLICY = model.Policy(
    protect=[{"type": "aws_db"}, {"type": "aws_s3", "rule": "keep-data"}],  # type: ignore[list-item]
    checkers=[{"name": "own", "command": ["own", "{plan}"]}],  # type: ignore[list-item]
)


@pytest.mark.parametrize(
    "allow",
    ["protect", "keep-data:network", "max-destroy", "required-tags", "own/R1", "own/failed:net*", "older:network",
     "unrecorded", "running", "prot*", "*R1"],
)  # fmt: skip
def test_an_override_of_what_there_is_is_taken(allow: str) -> None:
    check_names(allowances(allow, "why"), POLICY, OTHERS, ["network"])


@pytest.mark.parametrize(
    ("allow", "said"),
    [
        ("protct", "`allow=protct`: there is no rule 'protct' (did you mean 'protect'?)"),
        ("protect,keep-dat:network", "`allow=keep-dat`: there is no rule 'keep-dat' (did you mean 'keep-data'?)"),
        ("oldr", "`allow=oldr`: there is no rule 'oldr' (did you mean 'older'?)"),
        ("own", "`allow=own`: there is no rule 'own' (did you mean 'own/*'?)"),
        ("onw/R1", "`allow=onw/R1`: there is no rule 'onw/R1' (did you mean 'own/R1'?)"),
        ("protect:netwrok", "`allow=protect:netwrok`: unknown stack 'netwrok' (did you mean 'network'?)"),
        ("older:zz*", "`allow=older:zz*`: unknown stack 'zz*' (known: network)"),
    ],
)
def test_an_override_of_a_rule_or_stack_that_does_not_exist_is_refused(allow: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_names(allowances(allow, "why"), POLICY, OTHERS, ["network"])
    assert caught.value.message == said


@pytest.mark.parametrize("reason", [None, " "])
def test_a_reason_is_asked_for_once_the_names_are_right(reason: str | None) -> None:
    with pytest.raises(ConfigError, match="there is no rule 'protct' \\(did you mean 'protect'"):
        check_names(allowances("protct", reason), POLICY, OTHERS, ["network"])
    with pytest.raises(ConfigError, match="`allow=protect:network,older` needs a reason") as caught:
        check_names(allowances("protect:network,older", reason), POLICY, OTHERS, ["network"])
    assert caught.value.problem.next_command is not None
    assert caught.value.problem.untouched == "nothing was planned or applied"


def test_without_checkers_a_pattern_has_to_match_a_rule() -> None:
    with pytest.raises(ConfigError, match="there is no rule 'own/\\*'"):
        check_names(allowances("own/*", "why"), model.Policy(), OTHERS, [])  # type: ignore[call-arg]
    check_names(allowances("protect", "why"), model.Policy(), OTHERS, [])  # type: ignore[call-arg]


# --- what checkers get -----------------------------------------------------------------------------------------------


def test_a_plan_for_checkers_has_its_shape_and_no_secret() -> None:
    secret = "hunter2-x"
    values = {"p": secret, "n": [{"q": 1}]}
    marks = {"p": True, "n": [{}]}
    module = {"resources": [{"address": "a.b", "values": values, "sensitive_values": marks}]}
    plan = {
        "format_version": "1.2",
        "variables": {"v": {"value": secret}, "w": {"value": 1}},
        "planned_values": {
            "outputs": {"o": {"sensitive": True, "value": secret}},
            "root_module": {**module, "child_modules": [module]},
        },
        "prior_state": {"format_version": "1.0", "values": {"root_module": module}},
        "resource_changes": [{"address": "a.b", "change": {
            "actions": ["update"], "before": values, "after": values, "before_sensitive": marks, "after_sensitive": marks,
        }}],
        "output_changes": {"o": {"actions": ["create"], "before": None, "after": secret, "after_sensitive": True}},
        "configuration": {"root_module": {
            "variables": {"v": {"sensitive": True, "default": secret}, "w": {}},
            "module_calls": {"m": {"module": {"variables": {"z": {"sensitive": True, "default": "hunter3-y"}}}}},
            "resources": [{"expressions": {"x": {"constant_value": f"has {secret}"}}}],
        }},
    }  # fmt: skip
    before = json.dumps(plan)
    shown = redacted(plan, Masker())
    assert json.dumps(plan) == before
    resources = shown["configuration"]["root_module"].pop("resources")
    assert resources == plan["configuration"]["root_module"]["resources"], "what is not marked is as the engine says it"
    assert "hunter" not in json.dumps(shown)
    shown["configuration"]["root_module"]["resources"] = resources
    assert shown["resource_changes"][0]["change"]["after"] == {"p": MASK, "n": [{"q": 1}]}
    assert shown["planned_values"]["root_module"]["child_modules"][0]["resources"][0]["values"]["n"] == [{"q": 1}]
    assert shown["variables"] == {"v": {"value": MASK}, "w": {"value": 1}}
    assert shown.keys() == plan.keys()


@given(st.recursive(st.none() | st.booleans() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)))  # fmt: skip
def test_a_checkers_output_is_read_or_refused(document: Any) -> None:
    for asked in (checker(), checker(format="sarif"), checker(findings=["a[].b"])):
        try:
            items = output.parse(asked, json.dumps(document))
        except (ValueError, TypeError):
            continue
        assert all(item.severity in SEVERITIES for item in items)


POLICY_VALUES = (
    "delete",
    "0.0.0.0/0",
    "public-read",
    "resource_changes",
    "managed",
    "true-ish",
    "ELBSecurityPolicy-2016-08",
)


@pytest.mark.parametrize("secret", POLICY_VALUES)
def test_what_the_code_calls_a_secret_takes_nothing_out_of_what_checkers_judge(secret: str) -> None:
    plan = {
        "variables": {"mode": {"value": secret}, "open": {"value": secret}},
        "resource_changes": [change("delete", before={"cidr": [secret], "p": secret}, before_sensitive={"p": True})],
        "configuration": {"root_module": {"variables": {"mode": {"sensitive": True, "default": secret}, "open": {}}}},
    }
    mask = Masker()
    mask.add([secret])
    shown = redacted(plan, mask)
    assert shown["variables"] == {"mode": {"value": MASK}, "open": {"value": secret}}
    item = shown["resource_changes"][0]
    assert item["change"] == {**plan["resource_changes"][0]["change"], "before": {"cidr": [secret], "p": MASK}}  # type: ignore[index]
    assert {key: item[key] for key in item if key != "change"} == {
        "address": "aws_db.a",
        "type": "aws_db",
        "mode": "managed",
    }
    assert shown["configuration"]["root_module"]["variables"]["mode"]["default"] == MASK


def test_what_is_secret_from_outside_of_the_code_is_not_handed_to_checkers() -> None:
    mask = Masker()
    mask.add_given(["hunter2-outside"])
    plan = {"resource_changes": [change("create", before=None, after={"url": "https://u:hunter2-outside@x"})]}
    after = redacted(plan, mask)["resource_changes"][0]["change"]["after"]
    assert after == {"url": f"https://u:{MASK}@x"}


def test_constants_of_the_code_are_hidden_wherever_they_stand() -> None:
    mask = Masker()
    mask.add_given(["hunter2-outside"])
    constant = {"constant_value": "say hunter2-outside"}
    module = {
        "outputs": {"o": {"sensitive": True, "expression": {"constant_value": "inside"}}, "p": {"expression": constant}},
        "resources": [{
            "address": "a.b", "count_expression": constant, "for_each_expression": constant,
            "provisioners": [{"type": "local-exec", "expressions": {"command": constant}}],
        }],
    }  # fmt: skip
    calls = {"m": {"source": "./m", "for_each_expression": constant, "module": module}}
    shown = redacted({"configuration": {"root_module": {**module, "module_calls": calls}}}, mask)
    hidden = json.loads(json.dumps(module).replace("inside", MASK).replace("hunter2-outside", MASK))
    said = {"constant_value": f"say {MASK}"}
    expected = {**hidden, "module_calls": {"m": {"source": "./m", "for_each_expression": said, "module": hidden}}}
    assert shown == {"configuration": {"root_module": expected}}


@pytest.mark.parametrize(
    "plan", [{"resource_changes": ["x"]}, {"resource_changes": [{"address": "a.b"}]}, {"output_changes": ["x"]},
             {"planned_values": {"root_module": {"resources": "x"}}}, {"variables": {"a": "x"}}],
)  # fmt: skip
def test_a_plan_of_another_structure_is_an_error_and_not_handed_to_checkers(plan: dict[str, Any]) -> None:
    with pytest.raises(PolicyError, match="does not have the structure of a plan"):
        redacted(plan, Masker())


@pytest.mark.parametrize(
    ("guard", "item", "said"),
    [
        ({"address": "module.db.*"}, change("no-op", address="aws_x.free", previous_address="module.db.aws_x.y"), True),
        (
            {"address": "module.db.*"},
            change("update", address="aws_x.free", previous_address="module.db.aws_x.y"),
            True,
        ),
        ({"address": "module.db.*"}, change("no-op", address="module.db.z", previous_address="module.db.y"), False),
        ({"address": "module.db.*"}, change("no-op", address="module.db.z", previous_address="other.y"), False),
        ({"address": "module.db.*"}, change("no-op", address="module.db.z"), False),
        (
            {"type": "aws_db_*"},
            change("no-op", address="aws_y.a", previous_address='module.m["k"].aws_db_i.a[0]', kind="aws_y"),
            True,
        ),
        (
            {"type": "aws_db_*"},
            change("no-op", address="aws_db_j.a", previous_address="aws_db_i.a", kind="aws_db_j"),
            False,
        ),
        *(
            ({"type": "aws_db_*"}, change("no-op", address="aws_y.a", previous_address=former, kind="aws_y"), True)
            for former in (
                "aws_db_i.mäin",
                "aws_db_i.main\u3164",
                "module.größe.aws_db_i.a",
                'aws_db_i.a["x]y"]',
                'aws_db_i.a["x.y.z"]',
                r'aws_db_i.a["x\"].aws_y.b[\""]',
                'aws_db_i.a["x\ny"]',
                'aws_db_i.a["[0]"]',
                'module.m["aws_y.b"].aws_db_i.a',
                'module.m["]"].module.n[0].aws_db_i.a["$${x}"]',
            )
        ),
    ],
)
def test_a_move_does_not_take_a_resource_out_of_its_protection(
    guard: dict[str, Any], item: dict[str, Any], said: bool
) -> None:
    policy = model.Policy(protect=[{"reason": "it holds the orders", **guard}])
    messages = [finding.message for finding in guards.findings(policy, "a", {"resource_changes": [item]})]
    expected = f"moved from {item.get('previous_address')}, it would no longer be protected: it holds the orders"
    assert messages == ([expected] if said else [])
