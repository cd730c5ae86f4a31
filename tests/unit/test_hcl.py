"""Facts of configuration files: what is seen in each notation, and that no content gives an exception."""

from __future__ import annotations

import json
import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.project.hcl import reader, rootmodule, syntax
from tasks.project.hcl.facts import Facts, PathReference, without_secrets
from tasks.project.hcl.fileindex import FileIndex
from tests.unit.conftest import write

if TYPE_CHECKING:
    from pathlib import Path

COMPLETE = """\
terraform {
  backend "s3" {
    key = "${var.name}.tfstate"
  }
}

variable "name" { default = "x" }

variable "password" {
  sensitive = true
  default   = "hunter2"
}

locals {
  template = templatefile("${path.module}/t/${var.name}.tpl", { a = [1, 2] })
  doc      = <<-EOT
    run ./script.sh ${path.module}/more.txt
  EOT
}

module "a" {
  source = "../a"
  size   = local.template
}

data "terraform_remote_state" "net" {
  backend = "local"
  config = { path = "../network/terraform.tfstate" }
}

output "url" { value = data.terraform_remote_state.net.outputs.url }
"""


def native(text: str) -> Facts:
    """The facts of a native file, which must be whole."""
    facts = reader.read_facts("main.tf", text.encode())
    assert not facts.broken
    return facts


def paths_read(root: Path, content: str, name: str = "main.tf") -> list[tuple[str, bool]]:
    """What functions in one file of a stack read: the path, and whether it is exact; "?" is any file."""
    write(root, f"stacks/web/{name}:")
    (root / "stacks/web" / name).write_text(content)
    module = rootmodule.read(FileIndex(root, root / "cache.json"), "stacks/web")
    return [(found.path, found.exact) for found in module.named if found.read] + [("?", False)] * len(module.unknown)


def test_everything_a_file_says_is_seen() -> None:
    facts = native(COMPLETE)
    assert [(call.name, call.source) for call in facts.calls] == [("a", ["=", "../a"])]
    assert facts.outputs == ["url"]
    assert (facts.backend, facts.backend_varies) == ("s3", True)
    assert [(variable.name, variable.sensitive, variable.default) for variable in facts.variables] == [
        ("name", False, "x"), ("password", True, "hunter2"),
    ]  # fmt: skip
    assert [(state.name, state.backend) for state in facts.remote_states] == [("net", ["=", "local"])]
    assert facts.state_outputs == {"net": ["url"]}


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "/* nothing */"])
def test_an_empty_file_says_nothing(text: str) -> None:
    assert native(text) == Facts()


def test_facts_survive_being_kept() -> None:
    facts = native(COMPLETE)
    assert Facts.from_json(json.loads(json.dumps(facts.to_json()))) == facts


def test_what_is_kept_holds_no_sensitive_default() -> None:
    kept = without_secrets(native(COMPLETE))
    assert "hunter2" not in json.dumps(kept.to_json())
    assert [(variable.name, variable.has_default) for variable in kept.variables] == [
        ("name", True),
        ("password", True),
    ]


@pytest.mark.parametrize(
    ("expression", "sensitive"),
    [("true", True), ("false", False), ("var.x", True), ("!false", True)],
)  # fmt: skip
def test_a_variable_is_sensitive_unless_it_says_false(expression: str, sensitive: bool) -> None:
    assert native(f'variable "a" {{ sensitive = {expression} }}').variables[0].sensitive is sensitive


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ('"text"', "text"),
        (r'"a\n\"b\" \\ \u00e9 \U0001F600"', 'a\n"b" \\ é 😀'),
        ('"$${x} %%{y}"', "${x} %{y}"),
        ("1", 1), ("-1.5", -1.5), ("true", True), ("null", None),
        ('["a", [1], {}]', ["a", [1], {}]),
        ('{ a = 1, "b" : [true, null] }', {"a": 1, "b": [True, None]}),
        ("<<E\nline\nE\n", "line\n"),
        ('"${var.x}"', None), ("foo(1)", None), ("[var.x]", None), ("{ a = var.x }", None), ("1 + 2", None),
    ],
)  # fmt: skip
def test_literal_defaults_are_known_and_no_others(expression: str, value: Any) -> None:
    variable = native(f'variable "a" {{\n  default = {expression}\n}}').variables[0]
    assert variable.has_default
    assert variable.default == value


@pytest.mark.parametrize(
    ("expression", "paths"),
    [
        ('file("a b.txt")', [("a b.txt", True)]),
        ('file("${path.module}/with space.txt")', [("with space.txt", True)]),
        ('filebase64sha256("${path.root}/x.zip")', [("x.zip", True)]),
        ('file("${path.cwd}/x")', [("x", True)]),
        ('templatefile("${path.module}/t.tpl", { x = 1 })', [("t.tpl", True)]),
        ('fileset("${path.module}/files", "**")', [("files", False)]),
        ('fileset(path.module, "*.json")', [(".", False)]),
        ('file(join("/", [path.module, "x"]))', [("x", True)]),
        ('file("${path.module}/a" == "" ? "b" : "c")', [("c", True)]),
        ('file(data.x.y.id == "" ? "b" : "c")', [("b", True), ("c", True)]),
        ('file("${path.module}/${each.key}.json")', [(".", False)]),
        ('file("${path.module}/d/${each.key}.json")', [("d", False)]),
        ('file("files/a-${each.key}.txt")', [("files", False)]),
        ('file("./x y/${each.key}.txt")', [("x y", False)]),
        ('jsondecode(file("x.json"))', [("x.json", True)]),
        ('[for f in fileset("d", "*") : upper(f)]', [("d", False)]),
        ('file(format("%s/../d/%03d-%s.txt", path.module, 7, "a"))', [("../d/007-a.txt", True)]),
        ('file(format("%s/d/%s", path.module, data.x.y.z))', [("d", False)]),
        ('file(format("%999999999d", 1))', [("?", False)]),  # a gigabyte of spaces
        (f'file(format("%{"9" * 30}s", "a"))', [("?", False)]),
        (f'file(format("%0{"9" * 5000}d", 1))', [("?", False)]),
        ('file(coalesce("", null, "${path.module}/x"))', [("x", True)]),
        ('file(try({ a = 1 }.b, "x"))', [("x", True)]),
        ('file(lookup({ a = "x" }, "b", "y"))', [("y", True)]),
        ('[for k, v in { a = "x", b = "y" } : file("${k}/${v}") if k != "a"]', [("b/y", True)]),
        ('[for f in ["x", "y"] : file(f)]', [("x", True), ("y", True)]),
        ("file(data.x.y.path)", [("?", False)]),
        ("file(upper(data.x.y.path))", [("?", False)]),
        ('file(provider::x::path("a"))', [("?", False)]),
        ('file(["x", "y"][1])', [("y", True)]),
        ('file({ a = "x" }["a"])', [("x", True)]),
        ('file(merge({ f = "x" }, { f = "y" }).f)', [("y", True)]),
        ('file(element(concat(["x"], ["y"]), 1))', [("y", True)]),
        ('file(element([{ f = "x" }, { f = "y" }][*].f, 0))', [("x", True)]),
        ('file(replace("a-b", "-", "/"))', [("a/b", True)]),
        ('file("${dirname("a/b/c")}/${basename("d/e")}")', [("a/b/e", True)]),
        ('core::file("x")', [("x", True)]),
        ('file("${terraform.workspace}.txt")', [("default.txt", True)]),
        ('fileexists("x") ? file("x") : ""', [("x", True)]),
        ("file(null)", []),
    ],
)  # fmt: skip
def test_the_path_that_a_function_reads_is_seen_never_less(
    tmp_path: Path, expression: str, paths: list[tuple[str, bool]]
) -> None:
    expected = [(path if path == "?" else posixpath.normpath(f"stacks/web/{path}"), exact) for path, exact in paths]
    assert paths_read(tmp_path, f"locals {{\n  x = {expression}\n}}") == expected
    (tmp_path / "stacks/web/main.tf").unlink()
    quoted = json.dumps({"locals": {"x": "${" + expression + "}"}})
    assert paths_read(tmp_path, quoted, "main.tf.json") == expected


@pytest.mark.parametrize(
    ("expression", "path"),
    [("file(local.path)", "l"), ("file(var.path)", "v"), ('file("d/${var.path}")', "d/v"), ('file("${local.a.b}/x")', "c/x")],
)  # fmt: skip
def test_a_path_that_depends_on_a_variable_or_local_is_followed(tmp_path: Path, expression: str, path: str) -> None:
    rest = 'locals {\n  path = "l"\n  a = { b = "c" }\n}\nvariable "path" { default = "v" }\n'
    assert paths_read(tmp_path, f"locals {{\n  x = {expression}\n}}\n{rest}") == [(f"stacks/web/{path}", True)]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("run ./script.sh now", ("root", "./script.sh", True)),
        ("cat ../shared/x.json", ("root", "../shared/x.json", True)),
        ("say './run.sh'", ("root", "./run.sh", True)),
        ("sh ${path.module}/run.sh arg", ("module", "run.sh", True)),
        ("sh ${path.module}/d/${each.key}", ("module", "d", False)),
    ],
)
def test_a_path_that_a_string_mentions_is_seen_in_both_notations(text: str, path: tuple[str, str, bool]) -> None:
    expected = PathReference(*path)
    assert expected in native(f'locals {{\n  x = "{text}"\n}}').paths
    assert expected in reader.read_facts("x.tf.json", json.dumps({"locals": {"x": text}}).encode()).paths


def test_a_modules_source_is_no_other_path() -> None:
    facts = native('module "a" { source = "./a" }\nmodule "b" { source = "../b" }\n')
    assert [call.source for call in facts.calls] == [["=", "./a"], ["=", "../b"]]
    assert facts.paths == []


def test_json_says_the_same_as_the_native_notation() -> None:
    facts = reader.read_facts(
        "main.tf.json",
        json.dumps(
            {
                "//": "a comment",
                "terraform": [{"backend": {"s3": {"key": "${var.name}"}}}],
                "variable": [{"name": {"default": "x"}}, {"password": [{"sensitive": True, "default": "hunter2"}]}],
                "module": {"a": {"source": "../a"}},
                "output": {"url": {"value": 1}},
            }
        ).encode(),
    )
    assert [call.source for call in facts.calls] == [["=", "../a"]]
    assert facts.outputs == ["url"]
    assert (facts.backend, facts.backend_varies) == ("s3", True)
    assert [(variable.name, variable.sensitive, variable.default) for variable in facts.variables] == [
        ("name", False, "x"), ("password", True, "hunter2"),
    ]  # fmt: skip


def test_json_gives_locals_arguments_settings_and_remote_states_as_the_native_notation_does() -> None:
    text = {
        "locals": {"where": "files/${var.kind}.txt", "alias": "${local.where}", "size": 3},
        "module": {"m": {"source": "../m", "file": "${path.module}/x.txt", "other": "${local.alias}", "count": 2}},
        "data": {
            "terraform_remote_state": {"net": {"backend": "local", "config": {"path": "../a/${var.kind}.tfstate"}}}
        },
        "terraform": {"backend": {"local": {"path": "state/${var.kind}"}}},
        "output": {"x": {"value": "${data.terraform_remote_state.net.outputs.url}"}, "y": {"value": "${local.size}"}},
    }
    same = """
    locals {
      where = "files/${var.kind}.txt"
      alias = local.where
      size = 3
    }
    module "m" {
      source = "../m"
      file = "${path.module}/x.txt"
      other = local.alias
      count = 2
    }
    data "terraform_remote_state" "net" {
      backend = "local"
      config = { path = "../a/${var.kind}.tfstate" }
    }
    terraform {
      backend "local" {
        path = "state/${var.kind}"
      }
    }
    output "x" { value = data.terraform_remote_state.net.outputs.url }
    output "y" { value = local.size }
    """
    facts, expected = reader.read_facts("main.tf.json", json.dumps(text).encode()), native(same)
    for name in ("locals", "calls", "remote_states", "state_outputs", "backend_settings", "backend_varies", "outputs"):
        if name == "remote_states":
            expected.remote_states = [replace(state, line=0) for state in expected.remote_states]
        assert getattr(facts, name) == getattr(expected, name), name


def test_json_may_list_its_blocks() -> None:
    text = {
        "locals": [{"a": "x"}, {"b": "${local.a}"}],
        "data": [{"terraform_remote_state": [{"n": {"backend": "http"}}]}],
    }
    facts = reader.read_facts("main.tf.json", json.dumps(text).encode())
    assert facts.locals == {"a": ["=", "x"], "b": ["r", "local", [["a", "a"]]]}
    assert [(state.name, state.backend, state.config) for state in facts.remote_states] == [
        ("n", ["=", "http"], ["=", {}]),
    ]  # fmt: skip


def test_the_cloud_block_is_a_backend() -> None:
    assert native("terraform {\n  cloud {\n    organization = var.x\n  }\n}\n").backend == "cloud"
    assert reader.read_facts("x.tf.json", b'{"terraform": {"cloud": {}}}').backend == "cloud"


def test_a_broken_file_says_so_and_what_can_be_read_of_it() -> None:
    facts = reader.read_facts("main.tf", b'variable "a" {}\noutput "b" {{{\n')
    assert facts.broken
    assert [variable.name for variable in facts.variables] == ["a"]
    assert reader.read_facts("x.tf.json", b"{").broken


def test_the_values_of_a_var_file_are_read_and_expressions_are_unknown() -> None:
    content = b'a = 1\nb = "x"\nc = [true]\nd = { e = -2 }\nf = foo()\ng = "${x}"\n'
    assert reader.read_values(content) == {
        "a": 1, "b": "x", "c": [True], "d": {"e": -2}, "f": syntax.UNKNOWN, "g": syntax.UNKNOWN,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("a.tf", True), ("a.tofu", True), ("a.tf.json", True), ("a.tofu.json", True), ("a.tfvars", False), ("tf", False),
     ("a.json", False), ("a.tf.bak", False)],
)  # fmt: skip
def test_the_engines_configuration_files_are_known_by_their_names(name: str, is_one: bool) -> None:
    assert reader.is_configuration(name) is is_one


# --- no content gives an exception -----------------------------------------------------------------------------------


def always_facts(name: str, content: bytes) -> None:
    """Facts, which can be kept and read back."""
    facts = reader.read_facts(name, content)
    assert Facts.from_json(facts.to_json()) == facts or "nan" in repr(facts)
    reader.read_values(content)


@pytest.mark.parametrize(
    "content",
    [
        b"x = " + b"[" * 5000 + b"]" * 5000,
        b'variable "a" { default = ' + b"[" * 3000 + b"]" * 3000 + b" }",
        b"x = " + b"(" * 3000 + b"1" + b")" * 3000,
        b"a {" * 2000 + b"}" * 2000,
        rb'variable "a" { default = "\u12" }',
        rb'variable "a" { default = "\UFFFFFFFF \ud800" }',
        b'variable "a" { default = ' + b"9" * 6000 + b" }",
        b'variable "a" { default = { = } }',
        b'module "a" { source = }',
        b"module a { source = \"${path.module}\" }",
        b"data terraform_remote_state x { backend = \"s3\"\n config = {{ }",
        b"terraform { backend {} }",
        b"\xff\xfe\x00\x00",
        b"\xef\xbb\xbfx = 1",
    ],
)  # fmt: skip
def test_harsh_files_are_facts(content: bytes) -> None:
    always_facts("main.tf", content)


@pytest.mark.parametrize(
    "content",
    [b"[" * 900 + b"]" * 900, b"[" * 100_000, b'{"a":' * 950 + b'"${x}"' + b"}" * 950, b'{"x": "\\ud800 ${file(\\"a\\")}"}',
     b'{"module": {"a": null, "b": [], "c": {"source": 3}}}', b'{"variable": [1, {"a": []}]}', b"3", b"null", b'"${"',
     b'{"terraform": {"backend": null}}', b'{"output": 1, "terraform": "x", "module": "y"}', b"NaN", b"9" * 5000],
)  # fmt: skip
def test_harsh_json_files_are_facts(content: bytes) -> None:
    always_facts("main.tf.json", content)


NAMES = st.sampled_from(["main.tf", "main.tofu", "main.tf.json"])


@given(NAMES, st.binary(max_size=200))
def test_any_bytes_are_facts(name: str, content: bytes) -> None:
    always_facts(name, content)


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.sampled_from(["", *'{}[]()"\\$%=\n<,.#/*', "${", "%{", '"${', "<<E\n", "\\u", "null"]),
                  st.integers(0, 4)),
        min_size=1, max_size=6,
    )
)  # fmt: skip
def test_any_mangled_file_is_facts(edits: list[tuple[float, str, int]]) -> None:
    text = COMPLETE
    for where, mark, deleted in edits:
        at = int(where * len(text))
        text = text[:at] + mark + text[at + deleted :]
    always_facts("main.tf", text.encode())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["${x}", '${file("a")}', "./x", "${", '"', "\\"]) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["module", "variable", "output", "terraform", "backend", "source", "default", "sensitive", "x"]),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(JSON)
def test_any_json_is_facts(value: Any) -> None:
    always_facts("main.tf.json", json.dumps(value).encode())
