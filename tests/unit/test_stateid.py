"""One state, one stack: two stacks that would keep the same state are refused, wherever their backends are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.project.statekinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tasks.project.project import Project

SHARED = "would keep one state, and each would destroy the other's resources"


def block(kind: str, *settings: str) -> str:
    """A file with a backend block."""
    return "\n".join([f'terraform {{\n  backend "{kind}" {{', *(f"    {line}" for line in settings), "  }\n}\n"])


LOCALS = 'locals {\n  team = "t"\n}\n'
VARIABLE = 'variable "v" {\n  type    = string\n  default = "one"\n}\n'
SAME = {
    "local, one absolute path": [block("local", 'path = "/tmp/s.tfstate"')] * 2,
    "local, one path from two folders": [
        block("local", 'path = "../../.state/x"'), block("local", 'path = "./../../.state/./x"'),
    ],
    "local, by a local value": [
        LOCALS + block("local", 'path = "/s/${local.team}.tfstate"'), block("local", 'path = "/s/t.tfstate"'),
    ],
    "local, by a variable's default": [
        VARIABLE + block("local", 'path = "/s/${var.v}"'), block("local", 'path = "/s/one"'),
    ],
    "local, by the same unknown expression": [VARIABLE + block("local", 'path = "/s/${md5(var.v)}"')] * 2,
    "local, by a function of a variable": [
        VARIABLE + block("local", 'path = "/s/${upper(var.v)}"'), block("local", 'path = "/s/ONE"'),
    ],
    "http": [block("http", 'address = "http://h/s"'), block("http", 'address = "http://h/s"', "retry_max = 3")],
    "pg, the default schema": [block("pg"), block("pg", 'schema_name = "terraform_remote_state"')],
    "pg, one of them says on which server": [
        block("pg", 'schema_name = "x"'), block("pg", 'schema_name = "x"', 'conn_str = "postgres://h/d"'),
    ],
    "pg, the default schema written as null": [block("pg"), block("pg", "schema_name = null")],
    "s3, with another prefix for workspaces": [
        block("s3", 'bucket = "b"', 'key = "terraform.tfstate"', 'workspace_key_prefix = "a"'),
        block("s3", 'bucket = "b"', 'key = "terraform.tfstate"', 'workspace_key_prefix = "b"'),
    ],
    "gcs, a slash at the end": [
        block("gcs", 'bucket = "b"', 'prefix = "p/"'), block("gcs", 'bucket = "b"', 'prefix = "p"'),
    ],
    "gcs, the same prefix spelled otherwise": [
        block("gcs", 'bucket = "b"', 'prefix = "/p//q"'), block("gcs", 'bucket = "b"', 'prefix = "p/./q/"'),
    ],
    **{
        f"http, {how}": [block("http", f'address = "{other}"'), block("http", 'address = "http://h/s/a"')]
        for how, other in {
            "a slash at the end": "http://h/s/a/",
            "capitals": "HTTP://H/s/a",
            "the default port": "http://h:80/s/a",
            "a user": "http://u:p@h/s/a",
            "an escape": "http://h/s/%61",
            "a fragment": "http://h/s/a#x",
            "a way back": "http://h/s/x/../a",
            "two slashes": "http://h//s//a",
        }.items()
    },
    **{
        f"pg, {how}": [block("pg", f'conn_str = "{other}"'), block("pg", 'conn_str = "postgres://h/d"')]
        for how, other in {
            "another user": "postgres://u@h/d",
            "another password": "postgres://u:p@h/d",
            "another word for the scheme": "postgresql://h/d",
            "the default port": "postgres://h:5432/d",
            "an option": "postgres://H/d?sslmode=disable",
            "as keywords": "host=h dbname='d' user=u",
            "a host in the query": "postgres:///d?host=h",
        }.items()
    },
    "s3, an endpoint spelled otherwise": [
        block("s3", 'bucket = "b"', 'key = "k"', f'endpoints = {{ s3 = "{url}" }}')
        for url in ("https://H:443/", "https://h")
    ],
    "azurerm, capitals in the account": [
        block("azurerm", f'storage_account_name = "{name}"', 'container_name = "c"', 'key = "k"') for name in "Aa"
    ],
    "azurerm": [block("azurerm", 'storage_account_name = "a"', 'container_name = "c"', 'key = "k"')] * 2,
    "consul": [block("consul", 'path = "p"')] * 2,
    "kubernetes": [
        block("kubernetes", 'secret_suffix = "s"'),
        block("kubernetes", 'secret_suffix = "s"', 'namespace = "default"'),
    ],
    "cos": [block("cos", 'bucket = "b"'), block("cos", 'bucket = "b"', 'key = "terraform.tfstate"')],
    "cos, one path in two parts": [
        block("cos", 'bucket = "b"', 'prefix = "p"', 'key = "q/k"'),
        block("cos", 'bucket = "b"', 'prefix = "p/./q/"', 'key = "k"'),
    ],
    "cos, no prefix": [block("cos", 'bucket = "b"', 'prefix = "p"'), block("cos", 'bucket = "b"', 'key = "p//terraform.tfstate"')],
    "oss": [block("oss", 'bucket = "b"', 'key = "k"')] * 2,
    "oss, one path in two parts": [
        block("oss", 'bucket = "b"', 'key = "q/k"'), block("oss", 'bucket = "b"', 'prefix = "env:/q"', 'key = "k"'),
    ],
    "oss, one path in two parts of which one is an expression": [
        VARIABLE + block("oss", 'bucket = "b"', 'prefix = "p"', "key = md5(var.v)"),
        VARIABLE + block("oss", 'bucket = "b"', 'prefix = "p"', "key = md5(var.v)"),
    ],
    "consul, one lock": [block("consul", 'path = "p/"'), block("consul", 'path = "p"')],
    **{
        f"s3, a server that may keep files, {how}": [
            block("s3", 'bucket = "b"', f'key = "{key}"', 'endpoints = { s3 = "https://h" }') for key in ("a/x", other)
        ]
        for how, other in {"two slashes": "a//x", "a dot": "./a/x", "a way back": "c/../a/x"}.items()
    },
    "remote": [block("remote", 'organization = "o"', 'workspaces {\n      name = "w"\n    }')] * 2,
    "remote, and as cloud": [
        block("remote", 'organization = "o"', 'workspaces {\n      name = "w"\n    }'),
        'terraform {\n  cloud {\n    organization = "o"\n    workspaces {\n      name = "w"\n    }\n  }\n}\n',
    ],
}  # fmt: skip
OTHERS = {
    "local, no path": [block("local")] * 2,
    "local, relative to each": [block("local", 'path = "s.tfstate"')] * 2,
    "local, by other values": [
        LOCALS + block("local", 'path = "/s/${local.team}"'),
        LOCALS.replace('"t"', '"u"') + block("local", 'path = "/s/${local.team}"'),
    ],
    "local, an unknown expression below each": [VARIABLE + block("local", 'path = "./${md5(var.v)}"')] * 2,
    "local, an unknown expression of another value": [
        VARIABLE + block("local", 'path = "/s/${md5(var.v)}"'),
        VARIABLE.replace("one", "two") + block("local", 'path = "/s/${md5(var.v)}"'),
    ],
    "http, no address": [block("http")] * 2,
    "http, other queries": [block("http", f'address = "http://h/s?id={number}"') for number in (1, 2)],
    "http, other ports": [block("http", f'address = "http://h:{number}/s"') for number in (81, 82)],
    "http, capitals in the path": [block("http", f'address = "http://h/{name}"') for name in "Ss"],
    "pg, other databases": [block("pg", f'conn_str = "postgres://h/{name}"') for name in "de"],
    "pg, other ports as keywords": [block("pg", f'conn_str = "host=h dbname=d port={number}"') for number in (1, 2)],
    "pg, capitals in the schema": [
        block("pg", f'schema_name = "{name}"', 'conn_str = "postgres://h/d"') for name in "Ss"
    ],
    "gcs, other prefixes": [block("gcs", 'bucket = "b"', f'prefix = "{name}/"') for name in "pq"],
    "pg, other servers": [
        block("pg", 'conn_str = "postgres://one/d"'), block("pg", 'conn_str = "postgres://two/d"'),
    ],
    "s3, other endpoints": [
        block("s3", 'bucket = "b"', 'key = "k"', 'endpoints = { s3 = "http://one" }'),
        block("s3", 'bucket = "b"', 'key = "k"', 'endpoints = { s3 = "http://two" }'),
    ],
    "s3, other buckets": [
        block("s3", 'bucket = "b"', 'key = "k"'), block("s3", 'bucket = "c"', 'key = "k"'),
    ],
    "s3, Amazon's, where a slash more is another object": [
        block("s3", 'bucket = "b"', f'key = "{key}"') for key in ("a/x", "a//x")
    ],
    "cos, one key below two prefixes": [block("cos", 'bucket = "b"', f'prefix = "{name}"') for name in "pq"],
    "oss, an empty prefix": [
        block("oss", 'bucket = "b"', 'prefix = ""', 'key = "k"'), block("oss", 'bucket = "b"', 'key = "k"'),
    ],
    "oss, other expressions": [
        VARIABLE + block("oss", 'bucket = "b"', f"key = {name}(var.v)") for name in ("md5", "sha1")
    ],
    "kubernetes, other namespaces": [
        block("kubernetes", 'secret_suffix = "s"', 'namespace = "n"'), block("kubernetes", 'secret_suffix = "s"'),
    ],
    "remote, other workspaces": [
        block("remote", 'organization = "o"', f'workspaces {{\n      name = "{name}"\n    }}') for name in "vw"
    ],
    "s3, a lock of another bucket's": [block("s3", 'bucket = "b"', 'key = "k"'), block("s3", 'bucket = "c"', 'key = "k.tflock"')],
    "other kinds": [block("consul", 'path = "p"'), block("local", 'path = "p"')],
    "a backend that nobody knows": [block("etcd", 'path = "p"')] * 2,
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_backends_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Autouse: no backend is set by the environment of who runs the tests."""
    variables = {variable for kind in KINDS.values() for variable in kind.variables.values()}
    for name in sorted(variables):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("blocks", SAME.values(), ids=SAME)
def test_two_stacks_whose_blocks_name_one_state_are_refused(errors: Callable[..., str], blocks: list[str]) -> None:
    found = errors("", f"stacks/a/main.tf:{blocks[0]}", f"stacks/b/main.tf:{blocks[1]}")
    assert f"stacks 'a' and 'b' {SHARED}" in found
    assert found.count("config error") == 1
    assert "  where: stacks/b/main.tf:" in found
    assert "  untouched: nothing was planned or applied\n" in found


@pytest.mark.parametrize("blocks", OTHERS.values(), ids=OTHERS)
def test_two_stacks_that_have_a_state_each_are_loaded(load: Callable[..., Project], blocks: list[str]) -> None:
    found = load("", f"stacks/a/main.tf:{blocks[0]}", f"stacks/b/main.tf:{blocks[1]}")
    assert list(found.stacks) == ["a", "b"]


BESIDE = {
    "a local backup": [block("local", 'path = "/s/x"'), block("local", 'path = "/s/./x.backup"')],
    "an S3 lock": [block("s3", 'bucket = "b"', f'key = "k{end}"') for end in ("", ".tflock")],
    "a COS lock": [block("cos", 'bucket = "b"', f'key = "k{end}"') for end in ("", ".tflock")],
}


@pytest.mark.parametrize("blocks", BESIDE.values(), ids=BESIDE)
@pytest.mark.parametrize("turned", [False, True])
def test_a_state_where_the_engine_writes_beside_another_one_is_refused(
    errors: Callable[..., str], blocks: list[str], turned: bool
) -> None:
    one, other = reversed(blocks) if turned else blocks
    found = errors("", f"stacks/a/main.tf:{one}", f"stacks/b/main.tf:{other}")
    first, second = ("a", "b") if turned else ("b", "a")
    assert (
        f"stacks.{first}: the state of stack '{first}' would be where the engine keeps the backup or lock of the state"
        f" of '{second}', and be overwritten\n  where: stacks/{first}/main.tf:" in found
    )
    assert found.count("config error") == 1


def test_the_line_of_the_block_is_named_and_what_cannot_be_told_is_said(errors: Callable[..., str]) -> None:
    text = VARIABLE + block("s3", 'bucket = "b"', 'key = md5("${var.v}.tfstate")')
    found = errors("", f"stacks/a/main.tf:{text}", f"stacks/b/main.tf:{text}")
    assert found == (
        f"config error: stacks.b: stacks 'a' and 'b' {SHARED} (as far as is known: both contain the same"
        " expression, which only the engine evaluates)\n"
        "  where: stacks/b/main.tf:6\n"
        "  untouched: nothing was planned or applied\n"
        "  next: change `key` there; or remove it from the block and use {stack} in it in"
        " `backend: {kind: s3, settings: ...}`"
    )


def test_a_block_in_json_counts_too(errors: Callable[..., str]) -> None:
    text = '{"terraform": {"backend": {"s3": {"bucket": "b", "key": "k"}}}}'
    other = block("s3", 'bucket = "b"', 'key = "k"')
    found = errors("", f"stacks/a/main.tf.json:{text}", f"stacks/b/main.tf:{other}")
    assert f"stacks 'a' and 'b' {SHARED}" in found


def test_a_block_within_a_block_in_json_counts_too(errors: Callable[..., str]) -> None:
    text = '{"terraform": {"cloud": {"organization": "o", "workspaces": [{"name": "w"}]}}}'
    other = block("remote", 'organization = "o"', 'workspaces {\n      name = "w"\n    }')
    found = errors("", f"stacks/a/main.tf.json:{text}", f"stacks/b/main.tf:{other}")
    assert f"stacks 'a' and 'b' {SHARED}" in found


def test_a_setting_that_stands_in_a_file_is_compared_by_what_the_file_says(
    errors: Callable[..., str], load: Callable[..., Project]
) -> None:
    text = block("s3", 'bucket = "b"', 'key = file("key.txt")')
    blocks = [f"stacks/a/main.tf:{text}", f"stacks/b/main.tf:{text}", "stacks/a/key.txt:one"]
    assert list(load("", *blocks, "stacks/b/key.txt:two").stacks) == ["a", "b"]
    assert f"stacks 'a' and 'b' {SHARED}\n" in errors("", *blocks, "stacks/b/key.txt:one")


def test_a_variable_of_the_configuration_makes_two_states_of_one_block(load: Callable[..., Project]) -> None:
    text = VARIABLE + block("local", 'path = "/s/${var.v}"')
    config = "stacks:\n  a: {variables: {v: x}}\n  b: {variables: {v: y}}\n"
    assert list(load(config, f"stacks/a/main.tf:{text}", f"stacks/b/main.tf:{text}").stacks) == ["a", "b"]


def test_a_variable_of_the_environment_makes_one_state_of_two_blocks(
    errors: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_HTTP_ADDRESS", "http://h/s")
    written = block("http", 'address = "http://h/s"')
    found = errors("", f"stacks/a/main.tf:{block('http')}", f"stacks/b/main.tf:{written}")
    assert f"stacks 'a' and 'b' {SHARED}" in found


def test_an_endpoint_of_the_environment_may_be_of_a_server_that_keeps_files(
    errors: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://h")
    blocks = [block("s3", 'bucket = "b"', f'key = "{key}"') for key in ("a/x", "a//x")]
    assert SHARED in errors("", f"stacks/a/main.tf:{blocks[0]}", f"stacks/b/main.tf:{blocks[1]}")


def test_a_configured_state_and_one_in_code_are_compared(errors: Callable[..., str]) -> None:
    config = 'stacks:\n  a: {backend: {kind: local, settings: {path: "{root}/.state/x.tfstate"}}}\n'
    written = block("local", 'path = "../../.state/x.tfstate"')
    found = errors(config, f"stacks/a/main.tf:{block('local')}", f"stacks/b/main.tf:{written}")
    assert f"stacks 'a' and 'b' {SHARED}" in found


def test_configured_settings_win_over_the_block(load: Callable[..., Project]) -> None:
    text = block("s3", 'bucket = "b"', 'key = "k"')
    config = 'backend: {kind: s3, settings: {key: "{stack}"}}\n'
    assert list(load(config, f"stacks/a/main.tf:{text}", f"stacks/b/main.tf:{text}").stacks) == ["a", "b"]


def test_a_setting_from_a_variable_that_is_not_set_is_compared_as_it_is_written(
    load: Callable[..., Project], errors: Callable[..., str]
) -> None:
    files = [f"stacks/a/main.tf:{block('http')}", f"stacks/b/main.tf:{block('http')}"]
    found = load('backend: {kind: http, settings: {address: "${NOT_SET_HERE}/{stack}"}}\n', *files)
    assert list(found.stacks) == ["a", "b"]
    assert SHARED in errors('backend: {kind: http, settings: {address: "${NOT_SET_HERE}/s"}}\n', *files)


def test_one_folder_for_two_stacks_is_refused_where_its_state_lies_in_it(errors: Callable[..., str]) -> None:
    found = errors("stacks:\n  x: {path: units/app}\n  y: {path: units/app}\n", "units/app/main.tf:")
    assert found.startswith(f"config error: stacks.y: stacks 'x' and 'y' {SHARED}: units/app/terraform.tfstate\n")


def test_two_links_to_one_folder_are_refused_where_its_state_lies_in_it(
    tree: Callable[..., Path], errors: Callable[..., str]
) -> None:
    root = tree("units/app/main.tf:", "stacks/.keep:")
    for name in ("x", "y"):
        (root / "stacks" / name).symlink_to("../units/app")
    assert f"stacks 'x' and 'y' {SHARED}" in errors()


def test_one_folder_may_be_two_stacks_with_a_state_each(load: Callable[..., Project]) -> None:
    config = (
        'backend: {kind: local, settings: {path: "{root}/.state/{stack}"}}\n'
        "stacks:\n  x: {path: units/app}\n  y: {path: units/app}\n"
    )
    assert list(load(config, f"units/app/main.tf:{block('local')}").stacks) == ["x", "y"]


def test_a_folder_of_states_that_is_a_link_is_one_folder(tree: Callable[..., Path], errors: Callable[..., str]) -> None:
    (tree("one/.keep:") / "two").symlink_to("one")
    one, two = (block("local", f'path = "../../{folder}/s"') for folder in ("one", "two"))
    assert f"stacks 'a' and 'b' {SHARED}" in errors("", f"stacks/a/main.tf:{one}", f"stacks/b/main.tf:{two}")


def test_a_folder_that_two_globs_find_is_refused_by_both_names(
    errors: Callable[..., str], load: Callable[..., Project]
) -> None:
    config = 'backend: {kind: local, settings: {path: "{root}/.state/{stack}"}}\ndiscover: ["stacks/*", "*/*"]\n'
    files = [f"stacks/a/main.tf:{block('local')}", f"other/b/main.tf:{block('local')}"]
    assert errors(config, *files) == (
        "config error: discover: the folder stacks/a would be two stacks, 'a' and 'stacks/a': two globs find it\n"
        "  where: config/pipeline.yaml:3\n"
        "  next: narrow one of the globs, or set `enabled: false` for one of the two under `stacks:`"
    )
    assert list(load(f"{config}stacks:\n  stacks/a: {{enabled: false}}\n", *files).stacks) == ["a", "other/b"]


def test_a_state_is_compared_by_what_names_it(load: Callable[..., Project]) -> None:
    from tasks.project.stateid import States

    text = block("s3", 'bucket = "b"', 'key = "k"', 'region = "r"')
    found = load("", f"stacks/a/main.tf:{text}")
    state = States(found).own(found.stacks["a"])
    assert state is not None
    assert state.key == ("s3", "=b", "=k")
    assert state.certain
