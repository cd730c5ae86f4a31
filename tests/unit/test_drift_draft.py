"""What a drift means for the code: which text becomes which, and what has to be done by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tasks.artifact.changes import UNKNOWN
from tasks.drifts import draft as drafts
from tasks.drifts import edits, hclwrite
from tasks.drifts.blocks import Shape
from tasks.drifts.classes import DriftClass, Finding
from tasks.plans import adoption
from tasks.project.hcl import syntax

HEAD = 'resource "x_y" "a" {\n'


def changed(before: dict[str, Any], after: dict[str, Any], address: str = "x_y.a", **more: Any) -> Finding:
    """A resource that was changed outside: it exists as `before`, the code says `after`."""
    return Finding(DriftClass.CHANGED, address, item={"address": address, "before": before, "after": after, **more})


def adopted(code: str, *found: Finding, given: frozenset[str] = frozenset(), **shapes: Shape) -> tuple[str, list[str]]:
    """The code afterwards, and what is left."""
    made = drafts.draft(found, {"s/main.tf": code.encode()}, given, shapes)
    return edits.applied(code.encode(), made.edits).decode(), made.left


@pytest.mark.parametrize(
    ("body", "before", "after", "expected"),
    [
        pytest.param("  n = 3 # three\n", {"n": 5}, {"n": 3}, "  n = 5 # three\n", id="number"),
        pytest.param('  s = "a"\n', {"s": 'b "${x}"'}, {"s": "a"}, '  s = "b \\"$${x}\\""\n', id="text with a template in it"),
        pytest.param("  b = true\n", {"b": False}, {"b": True}, "  b = false\n", id="boolean"),
        pytest.param('  l = ["a"]\n', {"l": ["a", "b"]}, {"l": ["a"]}, '  l = ["a", "b"]\n', id="list"),
        pytest.param(
            '  t = {\n    a = "1" # kept\n    "b-c" = "2"\n  }\n', {"t": {"a": "1", "b-c": "3"}},
            {"t": {"a": "1", "b-c": "2"}}, '  t = {\n    a = "1" # kept\n    "b-c" = "3"\n  }\n', id="an element of a map",
        ),
        pytest.param(
            '  t = { a = "1" }\n', {"t": {"a": "1", "n": "2"}}, {"t": {"a": "1"}},
            '  t = {\n    a = "1"\n    n = "2"\n  }\n', id="a new element of a map",
        ),
        pytest.param(
            '  t = { a = "1", b = "2" }\n', {"t": {"a": "1"}}, {"t": {"a": "1", "b": "2"}},
            '  t = {\n    a = "1"\n  }\n', id="an element that is gone",
        ),
        pytest.param("  n = 1\n", {"n": 1, "d": "x"}, {"n": 1, "d": None}, '  n = 1\n  d = "x"\n', id="a new attribute"),
        pytest.param('  n = 1\n  d = "x"\n', {"n": 1, "d": None}, {"n": 1, "d": "x"}, "  n = 1\n", id="an attribute that is gone"),
        pytest.param(
            '  p = jsonencode({ S = [{ E = "Deny" }] })\n', {"p": '{"S":[{"E":"Allow"}]}'}, {"p": '{"S":[{"E":"Deny"}]}'},
            '  p = jsonencode({\n    S = [\n      {\n        E = "Allow"\n      },\n    ]\n  })\n', id="jsonencode",
        ),
        pytest.param(
            "  t = { p = jsonencode({ a = 1 }) }\n", {"t": {"p": '{"a":2}'}}, {"t": {"p": '{"a":1}'}},
            "  t = { p = jsonencode({\n    a = 2\n  }) }\n", id="jsonencode in a map",
        ),
        pytest.param(
            "  spec {\n    n = 1\n    inner {\n      m = 2\n    }\n  }\n", {"spec": [{"n": 1, "inner": [{"m": 4}]}]},
            {"spec": [{"n": 1, "inner": [{"m": 2}]}]}, "  spec {\n    n = 1\n    inner {\n      m = 4\n    }\n  }\n",
            id="a nested block",
        ),
        pytest.param(
            "  r {\n    p = 1\n  }\n", {"r": [{"p": 1, "q": ""}, {"p": 2, "q": ""}]}, {"r": [{"p": 1, "q": ""}]},
            "  r {\n    p = 1\n  }\n  r {\n    p = 2\n  }\n", id="a block more",
        ),
        pytest.param(
            "  r {\n    p = 1\n  }\n  r {\n    p = 2\n  }\n", {"r": [{"p": 2}]}, {"r": [{"p": 1}, {"p": 2}]},
            "  r {\n    p = 2\n  }\n", id="a block less",
        ),
        pytest.param("  r {\n    p = 1\n  }\n", {"r": []}, {"r": [{"p": 1}]}, "", id="the last block of a list or set"),
        pytest.param("  r { p = 1 }\n  r {\n    p = 2\n  }\n", {"r": []}, {"r": [{"p": 1}, {"p": 2}]}, "",
                     id="all blocks of a list or set"),
        pytest.param("  o {\n    p = 1\n    q = 2\n  }\n", {"o": {"p": 3, "q": None}}, {"o": {"p": 1, "q": 2}},
                     "  o {\n    p = 3\n  }\n", id="a block that there is once"),
        pytest.param("  o {\n    i {\n      p = 1\n    }\n  }\n", {"o": {"i": {"p": 3}}}, {"o": {"i": {"p": 1}}},
                     "  o {\n    i {\n      p = 3\n    }\n  }\n", id="a block in a block that there is once"),
        pytest.param(
            "  r {\n    p = 1\n  }\n  r {\n    p = var.x # two\n  }\n", {"r": [{"p": 2}]}, {"r": [{"p": 1}, {"p": 2}]},
            "  r {\n    p = var.x # two\n  }\n", id="of the blocks that stay, expressions and comments",
        ),
        pytest.param(
            "  r {\n    p = var.x\n  }\n  r {\n    p = 3\n  }\n", {"r": [{"p": 1}, {"p": 2}, {"p": 3}]},
            {"r": [{"p": 1}, {"p": 3}]},
            "  r {\n    p = var.x\n  }\n  r {\n    p = 2\n  }\n  r {\n    p = 3\n  }\n", id="a block in between",
        ),
        pytest.param(
            "  r {\n    p = 1\n  }\n", {"r": [{"p": 3}, {"p": 3}, {"p": 1}, {"p": 5}, {"p": 4}]}, {"r": [{"p": 1}]},
            "".join(f"  r {{\n    p = {number}\n  }}\n" for number in (3, 3, 1, 5, 4)),
            id="several blocks, in their order, and two that are the same",
        ),
        pytest.param(
            '  t = {\n    a = "1"\n  }\n', {"t": {"a": "1", "b": "2", "c": "3"}}, {"t": {"a": "1"}},
            '  t = {\n    a = "1"\n    b = "2"\n    c = "3"\n  }\n', id="several elements, in their order",
        ),
        pytest.param(
            '  r {\n    p = "80" # web\n  }\n  r {\n    p = 22 # ssh\n  }\n', {"r": [{"p": 23}, {"p": 80}]},
            {"r": [{"p": 22}, {"p": 80}]}, '  r {\n    p = "80" # web\n  }\n  r {\n    p = 23 # ssh\n  }\n',
            id="a block of a set, which the engine sorts",
        ),
        pytest.param(
            "  r {\n    p = 80 # web\n  }\n  r {\n    p = 22\n  }\n", {"r": [{"p": 80}]}, {"r": [{"p": 22}, {"p": 80}]},
            "  r {\n    p = 80 # web\n  }\n", id="a block less of a set, which the engine sorts",
        ),
        pytest.param("  s = <<EOT\na\nEOT\n", {"s": "b\n"}, {"s": "a\n"}, '  s = "b\\n"\n', id="a heredoc"),
        pytest.param("  n = 12345678901234567890\n", {"n": 12345678901234567891}, {"n": 12345678901234567890},
                     "  n = 12345678901234567891\n", id="every digit"),
        pytest.param("", {"n": 2}, {"n": None}, "  n = 2\n", id="an empty block"),
        pytest.param(
            '  t = {\n    # why\n    a = "1" # one\n    b = "2"\n  }\n', {"t": {"a": "1", "c": "3"}},
            {"t": {"a": "1", "b": "2"}}, '  t = {\n    # why\n    a = "1" # one\n    c = "3"\n  }\n',
            id="comments of a map stay where an element is added and another removed",
        ),
        pytest.param(
            "  t = { a = 1, b = 2, c = 3 }\n", {"t": {"a": 1, "c": 4}}, {"t": {"a": 1, "b": 2, "c": 3}},
            "  t = {\n    a = 1\n    c = 4\n  }\n", id="one element gone and another changed on one line",
        ),
        pytest.param('  s = "a"\n', {"s": "\b\f\\b"}, {"s": "a"}, '  s = "\\u0008\\u000c\\\\b"\n', id="escapes that HCL lacks"),
    ],
)  # fmt: skip
def test_the_code_says_what_exists(body: str, before: dict[str, Any], after: dict[str, Any], expected: str) -> None:
    code, left = adopted(f"{HEAD}{body}}}\n", changed(before, after))
    assert left == []
    assert code == f"{HEAD}{expected}}}\n"
    assert not syntax.parse(code.encode()).has_error


def deleted(address: str) -> Finding:
    """A resource that was deleted outside."""
    return Finding(DriftClass.DELETED, address, item={"address": address, "before": None, "after": {"n": 1}})


def test_what_was_deleted_is_removed_together_with_what_refers_to_it_and_was_deleted_too() -> None:
    blocks = [
        HEAD + "  n = 1 # as x_y.b\n}\n", 'resource "x_y" "b" {\n  n = x_y.a.n\n}\n', "# see x_y.b\n",
        'resource "x_y" "c" {\n  n = 3\n}\n', 'resource "x_y" "d" {\n  n = x_y.c.n\n}\n', "output \"d\" {\n  value = x_y.d.n\n}\n",
    ]  # fmt: skip
    made, left = adopted("".join(blocks), *(deleted(f"x_y.{name}") for name in "abcd"))
    assert made == "".join(blocks[2:])
    assert left == [
        f"x_y.{name} no longer exists, but s/main.tf refers to it: remove both by hand" for name in ("c", "d")
    ]


@pytest.mark.parametrize("key", ["(var.k)", '"${var.k}"', "var.k", '"%{ if var.k }a%{ endif }"'])
def test_an_element_whose_key_is_an_expression_is_left(key: str) -> None:
    code = f"{HEAD}  t = {{\n    {key} = 1\n  }}\n}}\n"
    made, left = adopted(code, changed({"t": {"a": 5}}, {"t": {"a": 1}}))
    assert made == code
    assert "which is not a literal; it has to become 5" in left[0]


def test_a_block_that_would_lose_an_expression_is_left() -> None:
    code = f"{HEAD}  r {{\n    p = var.x\n  }}\n}}\n"
    made, left = adopted(code, changed({"r": [{"p": 5}, {"p": 6}]}, {"r": [{"p": 1}]}))
    assert made == code
    becomes = "[\n  {\n    p = 5\n  },\n  {\n    p = 6\n  },\n]"
    assert left == [
        f"x_y.a.r has a block with expressions or comments, which would be lost; it has to become {becomes}"
    ]


@pytest.mark.parametrize("value", [{"p": 2}, [{"p": 2}]], ids=["once", "several"])
def test_only_its_type_knows_whether_an_object_that_was_added_is_a_block(value: Any) -> None:
    code, found = f"{HEAD}  n = 1\n}}\n", changed({"n": 1, "o": value}, {"n": 1, "o": None})
    as_block, left = adopted(code, found, x_y=Shape(frozenset({"n"}), frozenset({"o"})))
    assert (as_block, left) == (f"{HEAD}  n = 1\n  o {{\n    p = 2\n  }}\n}}\n", [])
    text = "{\n    p = 2\n  }" if isinstance(value, dict) else "[\n    {\n      p = 2\n    },\n  ]"
    as_attribute, left = adopted(code, found, x_y=Shape(frozenset({"n", "o"}), frozenset()))
    assert (as_attribute, left) == (f"{HEAD}  n = 1\n  o = {text}\n}}\n", [])


def test_a_default_and_a_local_that_nothing_else_uses_are_changed_where_they_are() -> None:
    code = 'variable "n" {\n  default = 3\n}\nlocals {\n  m = "a"\n}\n' + HEAD + "  n = var.n\n  m = local.m\n}\n"
    found, left = adopted(code, changed({"n": 5, "m": "b"}, {"n": 3, "m": "a"}))
    assert left == []
    assert found == code.replace("default = 3", "default = 5").replace('m = "a"', 'm = "b"')


@pytest.mark.parametrize(
    ("code", "found", "says"),
    [
        ('variable "n" {\n  default = 3\n}\n' + HEAD + "  n = var.n\n}\n", changed({"n": 5}, {"n": 3}), "the configuration"),
        ("locals {\n  n = 3\n}\noutput \"o\" {\n  value = local.n\n}\n" + HEAD + "  n = local.n\n}\n",
         changed({"n": 5}, {"n": 3}), "other code uses too"),
        (HEAD + "  n = 1 + 2\n}\n", changed({"n": 5}, {"n": 3}), "it has to become 5"),
        (HEAD + "  n = 3\n}\n", changed({"n": 5}, {"n": 3}, "x_y.a[0]"), "for this instance alone"),
        (HEAD + "  n = 3\n}\n", changed({"n": 5}, {"n": 3}, "module.m.x_y.a"), "in the code of module.m"),
        ('resource "x_y" "b" {\n}\n', changed({"n": 5}, {"n": 3}), "has no block"),
        (HEAD + '  p = "x"\n}\n', changed({"p": "(sensitive value)"}, {"p": "(sensitive value)"}, masked=[["p"]]), "sensitive"),
        (HEAD + "  dynamic \"r\" {\n    for_each = [1]\n    content {\n      p = 1\n    }\n  }\n}\n",
         changed({"r": [{"p": 2}]}, {"r": [{"p": 1}]}), "dynamic"),
        (HEAD + "}\noutput \"o\" {\n  value = x_y.a.id\n}\n", Finding(DriftClass.DELETED, "x_y.a"), "refers to it"),
        (HEAD + "}\n", Finding(DriftClass.APPEARED, "z.b", item={"before": {"n": 1}, "after": None}), "write a resource"),
        (HEAD + "}\n", Finding(DriftClass.CHECK, "check.c"), "does not hold"),
        (HEAD + "  l = [\n    1, # one\n  ]\n}\n", changed({"l": [1, 2]}, {"l": [1]}), "comments, which would be lost"),
        ('resource "x_y" "a" { m = 1 }\n', changed({"m": 1, "n": 2}, {"m": 1, "n": None}), "give it lines of its own"),
        (HEAD + '  t = { a = 1, p = "x" }\n}\n',
         changed({"t": {"a": 1, "b": 2, "p": "(sensitive value)"}}, {"t": {"a": 1, "p": "(sensitive value)"}}), "sensitive"),
    ],
)  # fmt: skip
def test_what_cannot_be_drafted_says_what_to_do_and_changes_nothing(code: str, found: Finding, says: str) -> None:
    given = frozenset({"n"})
    after, left = adopted(code, found, given=given)
    assert after == code
    assert len(left) == 1
    assert says in left[0]


def test_a_deleted_resource_is_removed_and_one_that_appeared_is_added() -> None:
    code = f'# above\n{HEAD}  n = 3\n}}\n\nresource "x_y" "b" {{\n}}\n'
    found, left = adopted(
        code, Finding(DriftClass.DELETED, "x_y.a"),
        Finding(DriftClass.APPEARED, "x_y.c", item={"before": {"id": "i", "n": 1, "e": None, "r": [{"p": 1}]}, "after": None}),
        x_y=Shape(frozenset({"n", "e"}), frozenset({"r"})),
    )  # fmt: skip
    assert left == []
    assert found == ('# above\n\nresource "x_y" "b" {\n}\n\nresource "x_y" "c" {\n  n = 1\n  r {\n    p = 1\n  }\n}\n')


def test_ignored_and_undeployed_findings_are_left_alone() -> None:
    code = HEAD + "  n = 3\n}\n"
    item = {"before": {"n": 5}, "after": {"n": 3}}
    assert adopted(code, Finding(DriftClass.UNDEPLOYED, "x_y.a", item=item)) == (code, [])


def test_two_changes_of_the_same_code_are_made_one_after_the_other() -> None:
    code = HEAD + "  t = { a = 1 }\n}\n"
    found, left = adopted(code, changed({"t": {"a": 1, "b": 2, "c": 3}}, {"t": {"a": 1}}))
    assert "b = 2" in found
    assert "c = 3" in found
    assert left == []


@pytest.mark.parametrize(
    "found", [None, True, 1.5, 'a\n${b} %{c} \\ "', ["a", {"b": None}], {"a b": {"c": [1]}, "d": {}}, []]
)
def test_a_literal_is_read_back_as_the_same_value(found: object) -> None:
    tree = syntax.parse(f"x = {hclwrite.value(found)}\n".encode())
    assert not tree.has_error
    assert syntax.literal(dict(syntax.attributes(syntax.body(tree)))["x"]) == found


def test_lines_end_as_the_file_s_do() -> None:
    code = (HEAD + "  t = { a = 1 }\n}\n").replace("\n", "\r\n")
    found, left = adopted(code, changed({"t": {"a": 1, "b": 2}}, {"t": {"a": 1}}))
    assert left == []
    assert found.count("\n") == found.count("\r\n") > code.count("\r\n")


def test_the_block_that_sets_an_attribute_last_is_the_one_that_changes() -> None:
    sources = {"s/main.tf": f"{HEAD}  n = 3\n  m = 1\n}}\n".encode(), "s/override.tf": f"{HEAD}  n = 4\n}}\n".encode()}
    made = drafts.draft([changed({"n": 5, "m": 2}, {"n": 4, "m": 1})], sources, frozenset(), {})
    assert [(edit.file, edit.text) for edit in made.edits] == [("s/main.tf", "2"), ("s/override.tf", "5")]


def test_what_is_left_by_hand_is_told_by_its_whole_address() -> None:
    sources = {"s/main.tf": f'{HEAD}  n = 3\n}}\nresource "x_y" "ab" {{\n  n = 1 + 2\n}}\n'.encode()}
    found = [changed({"n": 5}, {"n": 3}, address) for address in ("x_y.a", "x_y.ab")]
    assert drafts.draft(found, sources, frozenset(), {}).by_hand == {"x_y.ab"}


def test_what_appeared_in_a_stack_without_native_syntax_is_left_by_hand() -> None:
    found = Finding(DriftClass.APPEARED, "x_y.c", item={"before": {"n": 1}, "after": None})
    made = drafts.draft([found], {}, frozenset(), {"x_y": Shape(frozenset({"n"}), frozenset())})
    assert made.edits == []
    assert "native syntax" in made.left[0]


def test_what_follows_from_something_that_is_left_is_left_too_and_no_value_is_made_up() -> None:
    code = 'resource "x_y" "a" {\n  n = 1 + 2\n}\nresource "x_y" "b" {\n  m = x_y.a.n\n}\nresource "x_y" "c" {\n  m = x_y.a.n\n}\n'
    cause = changed({"n": 5}, {"n": 3})
    follows = replace(changed({"m": 5}, {"m": 3}, "x_y.b"), causes=["x_y.a"])
    unknown = replace(changed({"m": 5}, {"m": UNKNOWN}, "x_y.c"), causes=["x_y.a"])
    made = drafts.draft([cause, follows, unknown], {"s/main.tf": code.encode()}, frozenset(), {})
    assert made.by_hand == {"x_y.a", "x_y.b", "x_y.c"}
    assert made.left[1:] == [f"x_y.{name} follows from x_y.a: fix that first, or deploy it" for name in ("b", "c")]


def test_of_two_empty_lines_round_a_removed_block_one_is_left() -> None:
    blocks = [f'resource "x_y" "{name}" {{\n}}\n' for name in ("a", "b", "c")]
    gone = Finding(DriftClass.DELETED, "x_y.b")
    assert adopted("\n".join(blocks), gone)[0] == "\n".join([blocks[0], blocks[2]])
    windows = "\n".join(blocks).replace("\n", "\r\n")
    assert adopted(windows, gone)[0] == "\n".join([blocks[0], blocks[2]]).replace("\n", "\r\n")


def test_the_difference_that_is_shown_has_only_what_differs_however_often_a_line_repeats() -> None:
    blocks = [f'resource "x_y" "n{number}" {{\n  n = 1\n}}\n\n' for number in range(100)]
    before = "".join(blocks)
    after = before.replace(blocks[40], "").replace(blocks[3], blocks[3].replace("1", "2"))
    lines = adoption._diff("a.tf", before.encode(), after.encode())
    assert sum(line.startswith("-") for line in lines[2:]) == 5
    assert sum(line.startswith("+") for line in lines[2:]) == 1
    assert lines[:2] == ["--- a/a.tf\n", "+++ b/a.tf\n"]


EACH = 'resource "x_y" "a" {\n  for_each = {\n    "k.1" = { n = 1, t = "x" } # kept\n    b     = { n = 2, t = "y" }\n  }\n  n = each.value.n\n  t = each.value.t\n}\n'


def test_an_instance_of_for_each_is_changed_where_its_own_value_is_written() -> None:
    before, after = {"n": 7, "t": "x"}, {"n": 1, "t": "x"}
    code, left = adopted(EACH, changed(before, after, 'x_y.a["k.1"]'))
    assert left == []
    assert code == EACH.replace("n = 1,", "n = 7,")
    code, left = adopted(
        'locals {\n  all = { k = "x" }\n}\nresource "x_y" "a" {\n  for_each = local.all\n  t = each.value\n}\n',
        changed({"t": "z"}, {"t": "x"}, 'x_y.a["k"]'),
    )
    assert (code.count('k = "z"'), left) == (1, [])


@pytest.mark.parametrize(
    ("code", "found", "said"),
    [
        (
            HEAD + "  count = 2\n  n = 1\n}\n", changed({"n": 5}, {"n": 1}, "x_y.a[1]"),
            "x_y.a[1].n has to become 5 for this instance alone: the code of x_y.a is that of all; let it depend on `count.index`",
        ),
        (
            HEAD + '  for_each = toset(["k"])\n  n = 1\n}\n', changed({"n": 5}, {"n": 1}, 'x_y.a["k"]'),
            'x_y.a["k"].n has to become 5 for this instance alone: the code of x_y.a is that of all; let it depend on `each.value`',
        ),
        (
            "", changed({"n": 5}, {"n": 1}, 'module.m["ä.b"].x_y.a'),
            'module.m["ä.b"].x_y.a.n has to become 5, in the code of module.m["ä.b"] or in what its block passes on',
        ),
        (
            "", Finding(DriftClass.DELETED, "module.m.x_y.a[0]", item={}),
            "module.m.x_y.a[0] no longer exists: change that in the code of module.m or in what its block passes on",
        ),
        (EACH, Finding(DriftClass.DELETED, 'x_y.a["b"]', item={}),
         'x_y.a["b"] no longer exists: take "b" out of its `for_each`'),
        (HEAD + "  count = 2\n}\n", Finding(DriftClass.DELETED, "x_y.a[1]", item={}),
         "x_y.a[1] no longer exists: lower its `count`, if it was the last one"),
        (
            HEAD + "}\n", Finding(DriftClass.CHANGED, "x_y.a (deposed ab)", item={"address": "x_y.a", "deposed": "ab"}),
            "x_y.a (deposed ab) is left over from a replacement, and no code describes it: a deploy destroys it",
        ),
        (
            HEAD + "}\n", replace(changed({"id": "1"}, {"id": UNKNOWN}), item={"reason": "replace_because_tainted"}),
            "x_y.a is marked as tainted, which code cannot express: a deploy replaces it; `untaint` keeps it",
        ),
    ],
)  # fmt: skip
def test_what_no_code_of_the_root_module_is_alone_responsible_for_is_said_with_its_value(
    code: str, found: Finding, said: str
) -> None:
    assert adopted(code, found) == (code, [said])


@pytest.mark.parametrize("outside", ['{"a":', "NaN", "", "[" * 100_000])
def test_a_policy_that_is_no_json_any_more_is_left_to_a_person(outside: str) -> None:
    body = HEAD + "  p = jsonencode({ a = 1 })\n  n = 1\n}\n"
    text, left = adopted(body, changed({"p": outside, "n": 2}, {"p": '{"a":1}', "n": 1}))
    assert "jsonencode({ a = 1 })" in text
    assert "n = 2" in text
    [said] = left
    assert said.startswith("x_y.a.p is JSON in the code, but not outside; it has to become ")
    assert len(said) < 250
