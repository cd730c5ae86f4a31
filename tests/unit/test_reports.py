"""Reports: what a reviewer sees is what the plan says, whatever stands in its values, and it fits."""

from __future__ import annotations

import json
import os
import re
import resource
import xml.etree.ElementTree as ET
from dataclasses import asdict
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tasks.artifact.changes import read
from tasks.base import process
from tasks.base.errors import DeployError
from tasks.base.masking import Masker
from tasks.base.problem import Kind, Problem, Where, doit
from tasks.base.terminal import joined
from tasks.drifts.classes import DriftClass, Finding
from tasks.reports import forgefiles, junit, note, page, sandbox, text
from tasks.reports.diff import Line, fields
from tasks.reports.model import Outcome, Report
from tasks.reports.template import BrokenTemplateError, Templates
from tasks.run.details import DriftDetails, PlanDetails
from tasks.run.result import Result, Status

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = (
    "```\n`````\n~~~\n</details></pre></code><script>alert(1)</script>\n![i](http://evil.test/i) [l](http://evil.test/)\n"
    "<img src=x onerror=alert(1)> | a | <http://evil.test/> @all\n# head\n\x1b[31m\u202e\u0000::error::x\n##[error]x\n{{ 7 * 7 }}"
)
ANY = st.text(alphabet="`~|<>&\"'\\![]()#*_-+@:\n\r\t ax\u202e\x1b\u2028é🌈", max_size=60) | st.just(HOSTILE)


def item(*actions: str, address: str = "a.b", before: Any = None, after: Any = None, **more: Any) -> dict[str, Any]:
    outer = {key: more.pop(key) for key in ("previous_address", "action_reason") if key in more}
    change = {"actions": list(actions), "before": before, "after": after, "after_unknown": {}, **more}
    return {"address": address, "type": "a", **outer, "change": change}


def planned(stack: str, *items: dict[str, Any], hidden: bool = False, **details: Any) -> Result:
    """The result of a plan with these changes."""
    found = read({"resource_changes": list(items)}, Masker(), hidden=hidden)
    return Result(
        "plan", stack, summary=found.counts.text(), reasons=["main.tf changed"], counts=asdict(found.counts),
        details=PlanDetails(changes=found.to_json(), **details),
    )  # fmt: skip


def report(*results: Result, stage: str = "plan") -> Report:
    return Report.collect(stage, results, environment="prod", commit="abc123")


def broken(text: str, **places: Any) -> Problem:
    """A problem that says a text wherever it can."""
    return DeployError(text, **{"log": text, **places}).problem


def shown(before: Any, after: Any, **more: Any) -> list[str]:
    return [f"{line.sign} {line.text}" for line in fields(before, after, **more)]


# --- differences -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ({"a": 1, "same": 1}, {"a": 2, "same": 1}, ["- a = 1", "+ a = 2"]),
        ({"a": 1}, {"a": True}, ["- a = 1", "+ a = true"]),
        ({"a": None}, {"a": "x"}, ['+ a = "x"']),
        (None, {"a": {"b c": [1]}}, ['+ a["b c"][0] = 1']),
        ({"s": ["a", "b", "c"]}, {"s": ["b", "c", "d"]}, ['- s[0] = "a"', '+ s[2] = "d"', "  s: 2 more elements unchanged"]),
        ({"s": [1, 2]}, {"s": [2, 1]}, ["! s: the same 2 elements in another order", "- s = [1, 2]", "+ s = [2, 1]"]),
        ({"r": [{"p": 1, "c": "x"}]}, {"r": [{"p": 2, "c": "x"}]}, ["- r[0].p = 1", "+ r[0].p = 2"]),
        ({"j": '{"a":[1],"b":1}'}, {"j": '{"b":1,"a":[2]}'}, ["- j as JSON: a[0] = 1", "+ j as JSON: a[0] = 2"]),
        ({"y": "a: 1\nb: 2\n"}, {"y": "a: 1\nb: 3\n"}, ['- y as YAML: b = "2"', '+ y as YAML: b = "3"']),
        ({"t": "a\nb"}, {"t": "a\nb\n"}, ["! t: 2 lines, only white space differs", "! the final newline is added"]),
        ({"t": "a\nb"}, {"t": "a\nb  \t"}, ["! t: 2 lines, only white space differs", "@ @@ -1,2 +1,2 @@", "  a", "- b", "+ b··⇥"]),
        ({"t": "x"}, {"t": "x "}, ['- t = "x"', '+ t = "x "']),
        ({"t": "a\u202eb"}, {"t": "a\x1bb"}, ['- t = "a\\u202eb"', '+ t = "a\\u001bb"']),
    ],
)  # fmt: skip
def test_each_change_of_a_value_is_told_as_what_it_is(before: Any, after: Any, lines: list[str]) -> None:
    assert shown(before, after) == lines


def policy(*actions: str, **sids: str) -> dict[str, str]:
    """A policy with a statement for each action on the same resource, and named ones."""
    statements = [{"Effect": "Allow", "Resource": "*", "Action": action} for action in actions]
    named = [{"Sid": sid, "Effect": "Allow", "Resource": "*", "Action": action} for sid, action in sids.items()]
    return {"p": json.dumps({"Version": "2012-10-17", "Statement": [*named, *statements]})}


def test_a_statement_that_was_removed_is_not_one_that_was_added_elsewhere() -> None:
    kept = [f"s3:{number}" for number in range(6)]
    assert shown(policy(*kept, "iam:Pass"), policy(*kept[:2], "ec2:Run", *kept[2:])) == [
        '- p as JSON: Statement[6].Action = "iam:Pass"', '- p as JSON: Statement[6].Effect = "Allow"',
        '- p as JSON: Statement[6].Resource = "*"', '+ p as JSON: Statement[2].Action = "ec2:Run"',
        '+ p as JSON: Statement[2].Effect = "Allow"', '+ p as JSON: Statement[2].Resource = "*"',
        "  p as JSON: Statement: 6 more elements unchanged",
    ]  # fmt: skip


def test_a_statement_that_changed_where_it_stands_is_one_change_although_one_was_added_before_it() -> None:
    assert shown(policy("a", "b", "c"), policy("new", "a", "other", "c")) == [
        "! p as JSON: Statement[1] is now p as JSON: Statement[2]",
        '- p as JSON: Statement[1].Action = "b"', '+ p as JSON: Statement[2].Action = "other"',
        '+ p as JSON: Statement[0].Action = "new"', '+ p as JSON: Statement[0].Effect = "Allow"',
        '+ p as JSON: Statement[0].Resource = "*"', "  p as JSON: Statement: 2 more elements unchanged",
    ]  # fmt: skip


def test_a_named_statement_is_the_same_one_wherever_it_stands() -> None:
    assert shown(policy("x", One="a", Two="b"), policy("x", Two="c", One="a")) == [
        "! p as JSON: Statement[0] is now p as JSON: Statement[1]",
        "! p as JSON: Statement[1] is now p as JSON: Statement[0]",
        '- p as JSON: Statement[1].Action = "b"', '+ p as JSON: Statement[0].Action = "c"',
        "  p as JSON: Statement: 2 more elements unchanged",
    ]  # fmt: skip
    assert shown(policy(One="a"), policy(Two="a"))[0] == '- p as JSON: Statement[0].Action = "a"'


def test_a_json_text_with_a_key_twice_is_compared_as_text_for_a_reader_may_take_either() -> None:
    assert shown({"j": '{"a":1,"a":2}'}, {"j": '{"a":3,"a":2}'}) == [
        r'- j = "{\"a\":1,\"a\":2}"', r'+ j = "{\"a\":3,\"a\":2}"',
    ]  # fmt: skip


def test_a_long_text_on_one_line_is_cut_around_what_differs_and_says_so() -> None:
    before, after = shown({"t": "a" * 5000 + "b"}, {"t": "a" * 5000 + "c" + "d" * 5000})
    assert "(4,960 same characters) …" in before
    assert before.endswith('b"')
    assert "more characters)" in after
    assert "ac" in after


def test_a_few_lines_of_many_are_found_with_their_neighbours() -> None:
    lines = [str(number) for number in range(3000)]
    after = [*lines[:1500], "new", *lines[1501:]]
    found = shown({"u": "\n".join(lines)}, {"u": "\n".join(after)})
    assert found == ["! u: 3,000 lines", "@ @@ -1498,7 +1498,7 @@", "  1497", "  1498", "  1499", "- 1500", "+ new",
                     "  1501", "  1502", "  1503"]  # fmt: skip


def test_texts_too_long_to_compare_are_shown_whole() -> None:
    found = shown({"u": "a\n" * 3000}, {"u": "b\n" * 3000})
    assert sum(line.startswith("- a") for line in found) == sum(line.startswith("+ b") for line in found) == 3000


def test_a_field_that_forces_a_replacement_is_named_also_when_it_is_in_no_line() -> None:
    assert shown({"a": 1}, {"a": 2}, forces=[("a",), ("b", 0)]) == [
        "- a = 1", "+ a = 2  # forces replacement", "! b[0] forces replacement",
    ]  # fmt: skip


def test_that_a_secret_changes_is_shown_and_not_what_it_is() -> None:
    marks = {"before_sensitive": {"p": True, "n": {"x": True}}, "after_sensitive": {"p": True, "n": {"x": True}}}
    result = planned(
        "s",
        item("update", before={"p": "old-secret", "q": 1, "n": {"x": "s1s1s1"}},
             after={"p": "new-secret", "q": 1, "n": {"x": "s2s2s2"}}, **marks),
    )  # fmt: skip
    lines = [tuple(line) for line in report(result).stacks[0].changes[0].lines]
    assert lines == [
        ("-", "n.x = (sensitive value)"), ("+", "n.x = (sensitive value)"),
        ("-", "p = (sensitive value)"), ("+", "p = (sensitive value)"),
    ]  # fmt: skip


def test_nulls_of_an_output_have_a_line_and_unset_attributes_have_none() -> None:
    assert shown(None, [1, None]) == ["+ [0] = 1", "+ [1] = null"]
    assert shown([None, 2], None) == ["- [0] = null", "- [1] = 2"]
    assert shown(None, {"a": None, "b": {"c": None}}, nulls=True) == ["+ a = null", "+ b.c = null"]
    assert shown({"a": None}, {}, nulls=True) == ["- a = null"]
    assert shown(None, {"a": None, "b": 1}) == ["+ b = 1"]


@pytest.mark.parametrize(
    ("action", "sign", "word"), [("create", "+", "created"), ("update", "~", "changed"), ("delete", "-", "removed")]
)
def test_a_change_of_an_output_has_the_signs_of_all_changes(action: str, sign: str, word: str) -> None:
    changed = {"name": "url", "action": action, "before": "a", "after": "b"}
    found = report(Result("plan", "a", details=PlanDetails(changes={"resources": [], "outputs": [changed]})))
    assert f"Output **{sign}** `url`" in note.render(found)
    shown = page.render(found)
    assert (
        f'<span class="sign" aria-hidden="true">{sign}</span> <code>url</code> <span class="word">{word}</span>'
        in shown
    )


def test_a_new_output_shows_its_nulls() -> None:
    made = {"name": "made", "action": "create", "before": None, "after": {"a": None, "b": [None]}}
    result = Result("plan", "a", details=PlanDetails(changes={"resources": [], "outputs": [made]}))
    [output] = report(result).stacks[0].outputs
    assert [line.text for line in output.lines] == ["a = null", "b[0] = null"]


def test_hidden_values_leave_the_fields_that_change() -> None:
    result = planned("s", item("update", before={"a": 1, "b": "x"}, after={"a": 2, "b": "x"}), hidden=True)
    assert [tuple(line) for line in report(result).stacks[0].changes[0].lines] == [
        ("-", "a = (hidden)"), ("+", "a = (hidden)"),
    ]  # fmt: skip


def test_an_alias_in_yaml_is_no_way_to_make_a_report_endless() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)
    )
    assert len(shown({"y": bomb}, {"y": bomb.replace("x, x", "y, x")})) < 20


@given(st.recursive(ANY | st.integers() | st.none() | st.booleans(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY, inner, max_size=3), max_leaves=8),
       st.recursive(ANY | st.integers() | st.none() | st.booleans(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY, inner, max_size=3), max_leaves=8))  # fmt: skip
def test_what_differs_has_a_line_and_what_is_the_same_has_none(before: Any, after: Any) -> None:
    one, other = {"x": before}, {"x": after}
    different = json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True)
    found = fields(one, other)
    assert all("\n" not in line.text and "\x1b" not in line.text and "\u202e" not in line.text for line in found)
    assert fields(one, one) == []
    if not different:
        assert found == []
    elif before is not None and after is not None and not _only_nulls(before, after):
        assert found


def test_an_entry_of_nothing_but_nulls_that_comes_or_goes_has_a_line() -> None:
    there, gone = {"x": {"a": {"b": None}}}, {"x": {}}
    assert [(line.sign, line.text) for line in fields(gone, there)] == [("+", 'x.a = {"b": null}')]
    assert [(line.sign, line.text) for line in fields(there, gone)] == [("-", 'x.a = {"b": null}')]
    assert Line("+", 'x[1] = {"b": null}') in fields({"x": [1]}, {"x": [1, {"b": None}]})
    assert fields(None, {"x": {"a": {"b": None}}}) == []  # what is created has no line for what is not set


def _only_nulls(before: Any, after: Any) -> bool:
    """Whether two values differ in nothing but nulls, which the engine does not tell from what is not there."""

    def bare(value: Any) -> Any:
        if isinstance(value, list):
            return [bare(item) for item in value if item is not None] or None
        if isinstance(value, dict):
            return {k: found for k, v in value.items() if (found := bare(v)) is not None}
        return value

    return json.dumps(bare(before), sort_keys=True) == json.dumps(bare(after), sort_keys=True)


# --- the note --------------------------------------------------------------------------------------------------------

PARSER = MarkdownIt("commonmark", {"html": True}).enable("table")


class Tags(HTMLParser):
    """The elements and attributes of a text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.open: list[str] = []
        self.targets: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {(tag, name) for name, _ in attrs}
        self.targets += [value or "" for name, value in attrs if name == "href"]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


EXPECTED = {
    "p", "h3", "h4", "blockquote", "ul", "li", "strong", "code", "pre", "table", "thead", "tbody", "tr", "th", "td",
    "details", "summary",
}  # fmt: skip


def hostile(content: str) -> Report:
    """A report in which a text stands wherever a text can stand."""
    name = content or "x"
    return report(
        planned("s", item("delete", "create", address=name, before={name: name, "j": json.dumps([name])}, after={name: name + "!", "j": json.dumps([name + "?"])}, previous_address=name, replace_paths=[[name]], action_reason=name, importing={"id": name}),
                findings=[{"rule": name, "severity": "high", "message": name, "address": name, "allowed": name, "blocking": False}]),
        Result("plan", "f", Status.FAILED, name, problem=broken(name), reasons=[name]),
        Result("plan", "d", Status.DEFERRED, name),
        Result("plan", "u", Status.UNAFFECTED, name),
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(ANY)
def test_no_value_becomes_markup_in_the_note(content: str) -> None:
    found = note.render(hostile(content), limit=None, link=None)
    html = Tags(PARSER.render(found))
    assert html.tags <= EXPECTED
    assert html.attributes <= {("code", "class"), ("th", "style"), ("td", "style"), ("details", "open")}
    assert html.open == []


@settings(max_examples=60, deadline=None)
@given(ANY)
def test_no_value_becomes_markup_in_the_page(content: str) -> None:
    html = Tags(page.render(hostile(content)))
    plain = Tags(page.render(hostile("plain")))
    assert html.tags - {"em", "ins", "del", "span"} == plain.tags - {"em", "ins", "del", "span"}
    assert html.attributes == plain.attributes
    assert not html.tags & {"script", "img", "link", "iframe"}
    assert all(re.fullmatch(r"#[a-z0-9-]+", target) for target in html.targets)
    assert html.open == []


@settings(max_examples=40, deadline=None)
@given(ANY)
def test_no_line_of_the_text_is_a_command_of_a_forge(content: str) -> None:
    for line in joined(text.render(hostile(content), most_lines=None)).splitlines():
        assert not line.lstrip().startswith("::")
        assert "##[" not in line
        assert "\x1b" not in line


def test_the_first_line_is_the_verdict() -> None:
    def first(*results: Result) -> str:
        return note.render(report(*results)).splitlines()[0]

    unaffected = Result("plan", "u", Status.UNAFFECTED)
    assert first(unaffected) == "### No stack is affected: nothing would be deployed."
    assert first(planned("a", item("create", after={})), unaffected) == "### 1 plan (1 to create)."
    assert first(planned("a", item("delete", before={}))) == "### Destroys 1 resource: 1 plan (1 to destroy)."
    assert first(Result("plan", "f", Status.FAILED), unaffected) == "### 1 of 2 stacks failed: nothing can be deployed."
    assert first(planned("a"), Result("plan", "d", Status.DEFERRED)) == "### 1 plan (no changes), 1 deferred."


def test_what_is_destroyed_comes_first_whatever_its_place_in_the_plan() -> None:
    found = report(
        planned("a", item("create", address="x.new", after={})),
        planned("b", item("update", address="x.a", before={}, after={}), item("delete", address="x.z", before={})),
    )
    assert found.outcome is Outcome.DESTRUCTIVE
    assert [stack.name for stack in found.shown] == ["b", "a"]
    assert [change.address for change in found.shown[0].changes] == ["x.z", "x.a"]


def test_instances_stand_in_the_order_of_their_numbers() -> None:
    addresses = ["b", *(f"a.m[{number}]" for number in (10, 2, 0, 100, 1)), 'a.k["v1.10"]', 'a.k["v1.9"]']
    [stack] = report(planned("s", *(item("create", address=name, after={"x": 1}) for name in addresses))).stacks
    numbers = [f"a.m[{number}]" for number in (0, 1, 2, 10, 100)]
    assert [change.address for change in stack.changes] == ['a.k["v1.9"]', 'a.k["v1.10"]', *numbers, "b"]


def large(stacks: int, resources: int) -> Report:
    return report(
        *(planned(f"stack{number:05}",
                  *(item("update", address=f"a.b[{place}]", before={"t": "x\n" * 50, "n": 1}, after={"t": "y\n" * 50, "n": 2})
                    for place in range(resources)), item("delete", address=f"a.gone{number}", before={}))
          for number in range(stacks)),
        *(Result("plan", f"quiet{number}", Status.UNAFFECTED) for number in range(stacks)),
    )  # fmt: skip


@pytest.mark.parametrize(("stacks", "resources"), [(1, 400), (60, 10), (3000, 1)])
def test_what_is_too_long_is_cut_where_it_is_longest_and_says_so(stacks: int, resources: int) -> None:
    found = large(stacks, resources)
    limit = 65_536
    shortened = note.render(found, limit=limit, link="https://forge.test/job/1")
    assert limit * 0.4 < len(shortened.encode()) <= limit
    assert shortened.splitlines()[0] == f"### {found.verdict}"
    assert "left out here" in shortened
    assert "https://forge.test/job/1" in shortened
    assert f"`a.gone{stacks - 1}`" in shortened or re.search(r"> - … [\d,]+ more left out here", shortened)
    assert Tags(PARSER.render(shortened)).open == []


@pytest.mark.parametrize("limit", [0, 10, 100, 300, 1000, 3000, 10_000, 100_000])
def test_no_limit_is_too_small(limit: int) -> None:
    shortened = note.render(large(40, 3), limit=limit)
    assert len(shortened.encode()) <= limit
    assert f"### {large(40, 3).verdict}".startswith(shortened[:40].rstrip("\n"))


def test_within_its_limit_nothing_is_left_out() -> None:
    found = large(2, 2)
    whole = note.render(found)
    assert note.render(found, limit=len(whole.encode())) == whole
    assert "left out" not in whole


# --- templates of a project ------------------------------------------------------------------------------------------


@pytest.fixture
def told() -> list[BrokenTemplateError]:
    return []


def looks(folder: Path, told: list[BrokenTemplateError]) -> Templates:
    return Templates(folder, "config/templates", told.append)


def test_a_project_puts_its_template_over_the_built_in_one(tmp_path: Path, told: list[BrokenTemplateError]) -> None:
    (tmp_path / "plan.md.j2").write_text(
        '{% extends "builtin/plan.md.j2" %}{% block table %}OUR TABLE of {{ report.shown | length }}\n{% endblock %}'
    )
    found = note.render(report(planned("a", item("create", after={}))), templates=looks(tmp_path, told))
    assert "OUR TABLE of 1" in found
    assert found.startswith("### 1 plan")
    assert told == []


@pytest.mark.parametrize(
    ("template", "place", "said"),
    [
        ("ok\n{% if %}", "config/templates/plan.md.j2:2", "Expected an expression"),
        ("ok\n\n{{ report.nothing.more }}", "config/templates/plan.md.j2:3", "nothing"),
        ("{{ ''.__class__.__mro__ }}", "config/templates/plan.md.j2:1", "__class__"),
        ("{{ 1 / 0 }}", "config/templates/plan.md.j2:1", "division by zero"),
        ('{% include "missing" %}', "config/templates/plan.md.j2:1", "missing"),
        ("{{ report.stacks.append(1) }}", "config/templates/plan.md.j2:1", "append"),
    ],
)
def test_a_broken_template_is_named_with_its_line_and_the_built_in_one_is_used(
    tmp_path: Path, told: list[BrokenTemplateError], template: str, place: str, said: str
) -> None:
    (tmp_path / "plan.md.j2").write_text(template)
    found = report(planned("a", item("create", after={})))
    assert note.render(found, templates=looks(tmp_path, told)) == note.render(found)
    assert len(told) == 1
    assert str(told[0].problem.where) == place
    assert said in told[0].message


@pytest.mark.parametrize(
    "template",
    [
        "{{ 'x' * 10**9 }}",
        "{{ 'x' | center(2000000000) }}",
        "{{ '%2000000000d' | format(1) }}",
        "{{ '{:>2000000000}'.format(1) }}",
        "{% set n = namespace(x='x') %}{% for i in range(40) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
        "{{ range(100000) | list | batch(2000000000, 'x') | list }}",
        "{{ lipsum(n=100000000) }}",
        "{{ 'a' | indent(2000000000, first=true) }}",
        "{% for i in range(600) %}{{ 'x' * 100000 }}{% endfor %}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}",
        "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ 9 ** (9 ** (9 ** 9)) }}",
    ],
)
def test_a_template_gets_no_more_time_and_memory_than_a_report_needs(
    tmp_path: Path, told: list[BrokenTemplateError], template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "_SECONDS", 3.0)
    (tmp_path / "plan.md.j2").write_text(template)
    found, before = report(planned("a", item("create", after={}))), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert note.render(found, templates=looks(tmp_path, told)) == note.render(found)
    assert len(told) == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_a_template_that_is_a_link_or_lies_behind_one_shows_nothing_of_the_machine(
    tmp_path: Path, told: list[BrokenTemplateError]
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("TOP SECRET")
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "plan.md.j2").symlink_to(secret)
    found = report(planned("a", item("create", after={})))
    assert note.render(found, templates=looks(folder, told)) == note.render(found)
    assert "plan.md.j2 is not a plain file" in told[0].message
    (folder / "plan.md.j2").unlink()
    (folder / "linked").symlink_to(tmp_path)
    os.mkfifo(folder / "parts.md.j2")
    for name in ("linked/secret", "../secret", "/etc/hostname", "parts.md.j2"):
        (folder / "plan.md.j2").write_text(f"{{% include '{name}' %}}")
        assert note.render(found, templates=looks(folder, told)) == note.render(found)
    assert len(told) == 5


def test_a_template_runs_without_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_ENCRYPTION_KEY", "correct-horse-battery-staple")
    seen: list[Any] = []
    ask = process.ask
    monkeypatch.setattr(process, "ask", lambda *given, **named: seen.append(named["env"]) or ask(*given, **named))
    assert sandbox.render("{{ x }}", {"x": "1"}) == "1"
    assert set(seen[0]) == {"PYTHONPATH", "LC_ALL"}


def test_a_template_that_heeds_no_limit_gives_way_to_the_built_in_one(
    tmp_path: Path, told: list[BrokenTemplateError]
) -> None:
    (tmp_path / "plan.md.j2").write_text("x" * 5000)
    found = report(planned("a", item("create", after={})))
    assert note.render(found, limit=1000, templates=looks(tmp_path, told)).startswith("### 1 plan")


# --- files for forges ------------------------------------------------------------------------------------------------


def test_the_widget_of_gitlab_gets_its_three_numbers() -> None:
    found = report(
        planned("a", item("create", after={}), item("update", before={}, after={"x": 1})),
        planned("b", item("delete", "create", before={}, after={}), item("delete", before={})),
        Result("plan", "u", Status.UNAFFECTED),
    )
    assert json.loads(forgefiles.gitlab_terraform(found)) == {"create": 2, "update": 1, "delete": 2}
    assert json.loads(forgefiles.gitlab_terraform(report())) == {"create": 0, "update": 0, "delete": 0}


def test_workflow_commands_are_one_line_each_and_nothing_in_them_is_another() -> None:
    found = report(
        Result("plan", "a,b:c", Status.FAILED, "no", problem=broken("100%\n::set-output name=x::y")),
        *(planned(f"s{number}", item("delete", address=f"x{number}\n::error::y", before={})) for number in range(20)),
    )
    commands = list(forgefiles.workflow_commands(found))
    assert commands[0] == "::error title=plan a%2Cb%3Ac::error: 100%25%0A::set-output name=x::y"
    assert len(commands) == 1 + forgefiles.MOST_ANNOTATIONS
    assert "and 11 more" in commands[-1]
    assert all("\n" not in command for command in commands)


def test_an_annotation_stands_at_the_line_of_the_file() -> None:
    problem = broken("no", where=Where("config/a,b.yaml", 7), log="")
    [command] = forgefiles.workflow_commands(report(Result("plan", "a", Status.FAILED, "no", problem=problem)))
    assert command == (
        "::error file=config/a%2Cb.yaml,line=7,title=plan a::error: no%0A  where: config/a,b.yaml:7"
    )  # fmt: skip


def test_every_command_of_a_report_names_the_environment_unless_it_is_the_default() -> None:
    problem = broken("no", next_step=("then ", doit("plan:f"))).within("prod")
    item = {"address": "a.b", "action": "change", "before": {"x": 1}, "after": {"x": 2}}
    drifted = DriftDetails({}, [Finding(DriftClass.CHANGED, "a.b", item=item)])
    results = [
        Result("drift", "f", Status.FAILED, "no", problem=problem),
        Result("drift", "d", Status.DRIFTED, "drifted: a.b", details=drifted),
    ]
    found = Report.collect("drift", results, environment="prod", commit="c", named="prod")
    for face in (note.render(found), page.render(found), junit.render(results, environment="prod")):
        assert "doit env=prod plan:f" in face
        assert re.findall(r"doit (?!env=prod)\S+", face) == []
    for command in WAYS:
        assert f"doit env=prod {command}" in note.render(found)
        assert f"doit env=prod {command}" in page.render(found)
    plain = note.render(Report.collect("drift", results, environment="local", commit="c"))
    assert "doit deploy --repair d" in plain


WAYS = ("deploy --repair d", "drift --adopt d", "drift:d")


def test_a_step_summary_takes_the_room_that_is_left(tmp_path: Path) -> None:
    path = tmp_path / "summary"
    path.write_text("x" * (forgefiles.SUMMARY_LIMIT - 2000))
    forgefiles.add_step_summary(large(50, 5), str(path), Templates())
    assert forgefiles.SUMMARY_LIMIT - 2000 < path.stat().st_size <= forgefiles.SUMMARY_LIMIT
    assert "### Destroys 50 resources" in path.read_text()


@given(ANY)
def test_junit_is_xml_whatever_is_in_it(content: str) -> None:
    root = ET.fromstring(
        junit.render([Result("plan", content, Status.FAILED, content, problem=broken(content))], environment="e")
    )
    assert root.findall("./testsuite/testcase/failure")


def test_junit_has_the_stacks_in_their_order_however_they_ended() -> None:
    results = [Result("plan", name, Status.OK, "") for name in ("c", "a", "b")]
    root = ET.fromstring(junit.render(results, environment="prod"))
    assert [case.get("name") for case in root.iter("testcase")] == ["a", "b", "c"]


def test_junit_counts_each_stack_once_as_what_it_is() -> None:
    results = [
        planned("a"), Result("plan", "b", Status.FAILED, "no", problem=Problem(Kind.ENGINE, "no")),
        Result("plan", "c", Status.UNAFFECTED, "not affected"), Result("plan", "d", Status.NOT_RUN, "b failed"),
        Result("drift", "a", Status.DRIFTED, "drifted: x"), Result("drift", "b", seconds=1.5),
    ]  # fmt: skip
    root = ET.fromstring(junit.render(results, environment="prod"))
    found = {suite.get("name"): [suite.get(key) for key in ("tests", "failures", "skipped", "time")] for suite in root}
    assert found == {"prod.plan": ["4", "1", "2", "0.000"], "prod.drift": ["2", "1", "0", "1.500"]}
    failure = root.find(".//failure")
    assert failure is not None
    assert failure.get("type") == "engine error"


def test_junit_skips_what_was_stopped_and_says_why() -> None:
    kept = "its changes are saved in the state"
    stopped = Problem(Kind.STOPPED, "apply was stopped; the engine exited cleanly", untouched=kept)
    results = [
        Result("deploy", "a", Status.FAILED, stopped.summary, problem=stopped),
        Result("deploy", "b", Status.FAILED, "no", problem=Problem(Kind.ENGINE, "no")),
    ]
    root = ET.fromstring(junit.render(results, environment="prod"))
    [suite] = root
    assert [suite.get(key) for key in ("tests", "failures", "skipped")] == ["2", "1", "1"]
    assert [case.get("name") for case in root.iter("testcase") if case.find("failure") is not None] == ["b"]
    [skipped] = root.iter("skipped")
    assert skipped.text == f"stopped: {stopped.summary}\n  untouched: {kept}"


def test_junit_tells_a_cause_once_and_names_it_in_the_others() -> None:
    log = "Error: no credentials\n\n" + "every word of it\n" * 400

    def failed(name: str, summary: str, log: str) -> Result:
        problem = Problem(Kind.ENGINE, summary, stack=name, next=("run ", doit(f"plan:{name}")), log=log)
        return Result("plan", name, Status.FAILED, summary, problem=problem)

    results = [failed(f"s{number:02}", f"s{number:02} cannot be planned", log) for number in range(50)]
    results.append(failed("z", "a provider is missing", "Error: another"))
    rendered = junit.render(results, environment="prod")
    failures = {case.get("name"): case.find("failure") for case in ET.fromstring(rendered).iter("testcase")}
    assert len(failures) == 51
    texts = {name: failure.text or "" for name, failure in failures.items() if failure is not None}
    assert len(texts) == 51
    assert rendered.count("every word of it") == 400
    assert texts["s00"].startswith("engine error: s00 cannot be planned")
    assert texts["s17"].startswith("engine error: s17 cannot be planned")
    assert "as s00, whose case has the output" in texts["s17"]
    assert "`doit plan:s17`" in texts["s17"]
    assert "Error: another" in texts["z"]
    assert "whose case has" not in texts["z"]


def test_junit_has_the_end_of_an_output_that_no_forge_would_read() -> None:
    log = "a line that is cut\n" * 20_000 + "Error: the end"
    problem = Problem(Kind.ENGINE, "no", log=log)
    rendered = junit.render([Result("plan", "a", Status.FAILED, "no", problem=problem)], environment="prod")
    assert "Error: the end" in rendered
    assert len(rendered) < 60_000
    assert "more characters above, in the job's log" in rendered


def test_a_secret_that_was_learned_late_is_masked_in_what_came_before() -> None:
    mask = Masker()
    result = planned("a", item("create", after={"x": "hunter2-late"}))
    mask.add(["hunter2-late"])
    found = Report.collect("plan", [result], environment="e", commit="c", mask=mask)
    assert "hunter2-late" not in json.dumps(found.to_json()) + note.render(found) + page.render(found)


def test_a_line_is_a_sign_and_a_text() -> None:
    assert Line("+", "x") == ("+", "x")


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        ("dddo", "3 of 4 stacks drifted."),
        ("uo", "1 of 2 stacks with undeployed code."),
        ("dufno", "1 of 5 stacks drifted, 1 with undeployed code, 2 could not be checked."),
        ("fs", "1 of 2 stacks could not be checked, 1 skipped."),
        ("oo", "No drift: all 2 stacks as deployed."),
    ],
)
def test_the_verdict_of_drift_counts_what_there_is(statuses: str, said: str) -> None:
    known = {
        "d": Status.DRIFTED, "u": Status.UNDEPLOYED, "f": Status.FAILED, "n": Status.NOT_RUN, "s": Status.SKIPPED,
        "o": Status.OK,
    }  # fmt: skip
    results = [Result("drift", f"s{number}", known[letter]) for number, letter in enumerate(statuses)]
    assert Report.collect("drift", results, environment="prod", commit="c").verdict == said


def test_the_table_of_a_page_has_no_column_without_content() -> None:
    drifted = Report.collect(
        "drift", [Result("drift", "a", Status.DRIFTED, "drifted: x")], environment="prod", commit="c"
    )
    assert '<table class="stacks uncounted unexplained">' in page.render(drifted)
    assert '<table class="stacks">' in page.render(report(planned("a", item("create", after={"x": 1}))))


def test_no_two_regions_of_a_page_have_one_name() -> None:
    found = page.render(report(*(planned(name, item("create", after={"x": 1})) for name in ("a", "b"))))
    names = re.findall(r'aria-label="([^"]*)"', found) + re.findall(r'<h2 id="[^"]*">([^<]*)<', found)
    assert len(names) == len({name.lower() for name in names}), names
