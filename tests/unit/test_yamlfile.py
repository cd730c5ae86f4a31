"""YAML with lines: what loads, where its keys stand, and how each kind of broken file is told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tasks.base.errors import ConfigError
from tasks.project.config import yamlfile

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.project.config.yamlfile import Document


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str | bytes], Document]:
    """Loads a text as `config/x.yaml`."""

    def load(text: str | bytes) -> Document:
        path = tmp_path / "x.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return yamlfile.load(path, "config/x.yaml")

    return load


def error(load: Callable[[str | bytes], Document], text: str | bytes) -> tuple[str, str | None]:
    """The message and the place of the error that a text is."""
    with pytest.raises(ConfigError) as caught:
        load(text)
    return caught.value.message, str(caught.value.problem.where)


def test_every_key_and_list_item_has_its_line(load: Callable[[str], Document]) -> None:
    document = load("a: 1\nb:\n  - x\n  - y: 2\n    z: {w: 3}\n")
    assert document.data == {"a": 1, "b": ["x", {"y": 2, "z": {"w": 3}}]}
    assert document.lines == {
        (): 1, ("a",): 1, ("b",): 2, ("b", 0): 3, ("b", 1): 4, ("b", 1, "y"): 4, ("b", 1, "z"): 5, ("b", 1, "z", "w"): 5,
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n...\n"])
def test_an_empty_file_is_an_empty_mapping(load: Callable[[str], Document], text: str) -> None:
    assert load(text).data == {}
    assert load(text).lines == {(): 1}


def test_merge_keys_override_without_standing_twice(load: Callable[[str], Document]) -> None:
    document = load(
        "deep: {er: {still: &mid {<<: &low {size: 1, name: x}, size: 2}}}\ntop: {<<: *mid, size: 3}\nlow: {<<: *low}\n"
    )
    assert document.data["deep"]["er"]["still"] == {"size": 2, "name": "x"}
    assert document.data["top"] == {"size": 3, "name": "x"}
    assert document.data["low"] == {"size": 1, "name": "x"}


def test_an_anchor_overridden_below_a_merge_that_is_read_first_does_not_stand_twice(
    load: Callable[[str], Document],
) -> None:
    document = load("a: {b: {c: &v1 {<<: {k: 1}, k: 2}}}\nd: {<<: *v1}\n")
    assert document.data == {"a": {"b": {"c": {"k": 2}}}, "d": {"k": 2}}


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        yamlfile.load(tmp_path / "x.yaml", "config/x.yaml")
    assert caught.value.problem.text() == (
        "config error: cannot read config/x.yaml: No such file or directory\n  where: config/x.yaml"
    )


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^cannot read config/x\.yaml: Is a directory$"):
        yamlfile.load(tmp_path, "config/x.yaml")


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", "not valid YAML: duplicate key 'a', first in line 1", 3),
        ("a:\n  b: 1\n  c: 1\n  b: 2\n", "not valid YAML: duplicate key 'b', first in line 2", 4),
        ("a: {b: 1,\n  b: 2}\n", "not valid YAML: duplicate key 'b', first in line 1", 2),
        ("a: 1\n? [x]\n: 2\n", "not valid YAML: keys must be plain text", 2),
        ("a: 1\nb: [1, 2\n", "not valid YAML: `[` in this line is not closed by `]`, or a comma is missing after an element", 2),
        ("a: {b: {}\nc:\n  d: 1\n", "not valid YAML: `{` in this line is not closed by `}`, or a comma is missing after an element", 1),
        ("a:\n  b: {c: {d: e.f}\n  g: {}\n", "not valid YAML: `{` in this line is not closed by `}`, or a comma is missing after an element", 2),
        ("a: 1\nb: 'x\nc: 1\n", "not valid YAML: the quote in this line is not closed", 2),
        ("a: x: y\n", "not valid YAML: a `key:` cannot stand here: quote the value if it contains `: `, or fix the indentation", 1),
        ("a:\n  b: 1\n c: 2\n", "not valid YAML: this line does not fit the mapping above it: indent it like the keys of the same mapping, and leave nothing after a quoted value", 3),
        ("- b\nc: 1\n", "not valid YAML: this line does not fit the list above it: indent it like the list's other `-`", 2),
        ("a: - b\n", "not valid YAML: a list's `-` cannot stand here: begin it in a line of its own, below its key", 1),
        ("a: 1\nb: @x\n", "not valid YAML: a value cannot begin with @: quote it", 2),
        ("a:\n  b: 1\nc\n", "not valid YAML: this is neither `key: value` nor a list's `- value`", 3),
        ("a: ]\n", "not valid YAML: a value is missing before ']'", 1),
        ('a: "\\d"\n', "not valid YAML: in double quotes a backslash begins an escape: write two, or use single quotes", 1),
        ("a: 1\n\tb: 2\n", "not valid YAML: a tab cannot indent: use spaces", 2),
        ("a: 1\n--- \nb: 2\n", "not valid YAML: `---` begins a second document; a file holds one", 2),
        ("a: *nowhere\n", "not valid YAML: no `&` defines the alias 'nowhere'", 1),
        ("a: 1\nb: !python/object:os.system x\n",
         "not valid YAML: the tag !python/object:os.system is not supported: quote a value that begins with `!`", 2),
        ("a: 1\nb: 12:30:45\n", "12:30:45 is an integer in YAML 1.1 and text in YAML 1.2", 2),
        ("a: 1\nb: [x, {c: 0012}]\n", "0012 is an integer in YAML 1.1 and another integer in YAML 1.2", 2),
        ("a: 1\nb: 0o14\n", "0o14 is text in YAML 1.1 and an integer in YAML 1.2", 2),
        ("a: 1\nb: 1_000\n", "1_000 is an integer in YAML 1.1 and text in YAML 1.2", 2),
        ("a: 1\nb: 1e3\n", "1e3 is text in YAML 1.1 and a number in YAML 1.2", 2),
        ("a: 1\nb: no\n", "no is a boolean in YAML 1.1 and text in YAML 1.2", 2),
        ("a: 1\nb: -.inf\n", "the engine has no number -.inf", 2),
        ("a: 1\nb: !!binary aGk=\n", "a YAML !!binary has no counterpart in the engine", 2),
        ("a: 1\nb: {80: x}\n", "keys must be text, not 80 (int)", 2),
        ("a: 1\nb: {~: x}\n", "keys must be text, not ~ (null)", 2),
        ("a: 1\nb: !!int ''\n", "not valid YAML: invalid int", 2),
        ("a: 1\nb: !!bool x\n", "not valid YAML: invalid bool", 2),
        ("a: 1\nb: !!timestamp x\n", "a YAML !!timestamp has no counterpart in the engine", 2),
        ("- 1\n", "expected a mapping, not a list", 1),
        ("just text\n", "expected a mapping, not 'just text'", 1),
        ("!!set {x}\n", "a YAML !!set has no counterpart in the engine", 1),
        (b"a: 1\nb: \xff\n", "not UTF-8 text: byte 8 is 0xff", 2),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(
    load: Callable[[str | bytes], Document], text: str | bytes, message: str, line: int
) -> None:
    assert error(load, text) == (message, f"config/x.yaml:{line}")


def test_a_control_character_is_told_with_the_file(load: Callable[[str], Document]) -> None:
    message, where = error(load, "a: \x00\n")
    assert (message, where) == (
        "not valid YAML: unacceptable character #x0000: special characters are not allowed", "config/x.yaml",
    )  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]\n",
        "a: &a {b: *a}\n",
        "a0: &a0 [1, 2]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)),
    ],
    ids=["list in itself", "mapping in itself", "aliases of aliases"],
)
def test_aliases_cannot_make_a_small_file_an_endless_one(load: Callable[[str], Document], text: str) -> None:
    _, where = error(load, text)
    assert where is not None
    assert where.startswith("config/x.yaml")


def test_merges_cannot_make_a_small_file_an_endless_one(load: Callable[[str], Document]) -> None:
    merged = "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 12))
    assert load("a0: &a0 {x: 1}\n" + merged).data == {f"a{n}": {"x": 1} for n in range(12)}
    growing = "".join(f"a{n}: &a{n} {{<<: *a{n - 1}, k{n}: 1}}\n" for n in range(1, 700))
    message, where = error(load, "a0: &a0 {x: 1}\n" + growing)
    assert message == "not valid YAML: too many keys after resolving `<<`"
    assert where is not None
    assert where.startswith("config/x.yaml:6")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &a {<<: *a}\n", "not valid YAML: this mapping merges itself"),
        ("a: &a {<<: {<<: *a}}\n", "not valid YAML: this mapping merges itself"),
        ("a: {<<: 3}\n", "not valid YAML: `<<` takes a mapping, or a list of them"),
        ("a: {<<: [{b: 1}, 3]}\n", "not valid YAML: `<<` takes a mapping, or a list of them"),
    ],
)
def test_a_merge_of_what_cannot_be_merged_says_so(load: Callable[[str], Document], text: str, message: str) -> None:
    assert error(load, text) == (message, "config/x.yaml:1")


def test_of_two_merged_mappings_the_first_one_wins(load: Callable[[str], Document]) -> None:
    document = load("a: &a {k: 1, m: 1}\nb: &b {k: 2, n: 2}\nc: {<<: [*a, *b], m: 3}\n")
    assert document.data["c"] == {"k": 1, "n": 2, "m": 3}


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 1000 + "]" * 1000 + "\n",
        "- &a0 []\n" + "".join(f"- &a{n} [*a{n - 1}]\n" for n in range(1, 1100)),
        "a: &a0 []\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 300)),
    ],
    ids=["brackets", "a list of aliases", "a mapping of aliases"],
)
def test_deep_nesting_is_an_error_and_no_crash(load: Callable[[str], Document], text: str) -> None:
    _, where = error(load, text)
    assert where is not None
    assert where.startswith("config/x.yaml")


@pytest.mark.parametrize("word", ["on", "off", "yes", "no", "true"])
def test_a_key_that_older_yaml_takes_for_true_or_false_is_the_word(load: Callable[[str], Document], word: str) -> None:
    document = load(f"a: {{{word}: true}}\n")
    assert document.data["a"] == {word: True}
    with pytest.raises(ConfigError, match="duplicate key"):
        load(f"{word}: 1\n{word}: 2\n")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2025-01-31", "2025-01-31"), ("2027-99-01", "2027-99-01"), ("2001-12-14t21:59:43.10-05:00", "2001-12-14t21:59:43.10-05:00"),
        ('"0012"', "0012"), ("!!str 0012", "0012"), ('"12:30"', "12:30"), ("0x1F", 31), ("-7", -7), ("0", 0), ("1.5", 1.5),
        ("{2025-01-31: x}", {"2025-01-31": "x"}), ("true", True), ("null", None), ("~", None),
        ("=", "="), ("<<", "<<"), ("[=, <<]", ["=", "<<"]),
    ],
)  # fmt: skip
def test_a_value_is_what_its_author_sees(load: Callable[[str], Document], text: str, value: object) -> None:
    assert load(f"a: {text}\n").data == {"a": value}


def test_an_ambiguous_value_is_refused_by_its_key(load: Callable[[str], Document]) -> None:
    with pytest.raises(ConfigError) as caught:
        load("stacks:\n  a:\n    variables: {x: [1, 0012]}\n")
    where = caught.value.problem.where
    assert where is not None
    assert (where.key, str(where)) == ("stacks.a.variables.x[1]", "config/x.yaml:3")
