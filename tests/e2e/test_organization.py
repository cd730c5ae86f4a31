"""The organization file: the user's own values, checked by the user's own schema, used in all of the configuration."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.repository import Repository, minimal_config, reader, resource

if TYPE_CHECKING:
    from collections.abc import Callable

ORGANIZATION = """\
config/organization.yaml:clusters:
  main:
    namespace: platform
    nodes: 3
    zones: [a, b]
    since: 2026-01-01
links: {wiki: https://wiki.example.test}
"""
SCHEMA = {
    "type": "object",
    "required": ["clusters"],
    "properties": {
        "links": {"type": "object"},
        "clusters": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "namespace": {"type": "string"},
                    "nodes": {"type": "integer"},
                    "zones": {"type": "array"},
                    "since": {"type": "string", "format": "date"},
                },
                "required": ["namespace"],
                "additionalProperties": False,
            },
        },
    },
}
KEY = "organization: {file: config/organization.yaml, schema: config/organization.schema.json}\n"


def _schema(value: object = None) -> str:
    return "config/organization.schema.json:" + json.dumps(value or SCHEMA)


def test_its_values_are_used_everywhere_and_keep_their_types(build: Callable[..., Repository]) -> None:
    repository = build(
        'config/pipeline.yaml:version: 1\n'
        'backend: {kind: local, settings: {path: "{root}/.state/{organization.clusters.main.namespace}/{stack}"}}\n'
        + KEY
        + 'stacks:\n'
        '  a:\n'
        '    variables: {x: "{organization.clusters.main.nodes}", y: "{organization.clusters.main}", z: "ns-{organization.clusters.main.namespace} {other}"}\n'
        '    var_files: ["{organization.clusters.main.namespace}.tfvars"]\n'
        'hooks: [{stage: plan, when: before, stacks: [a], command: [sh, -c, "echo {organization.clusters.main.zones.1} > hooked"]}]\n',
        ORGANIZATION,
        _schema(),
        f"stacks/a/main.tf:{reader('w', 'x', 'y', 'z')}",
        'stacks/a/platform.tfvars:w = "file"\n',
        f"stacks/b/main.tf:{resource()}",
    )  # fmt: skip
    repository.doit("deploy")
    values = repository.json("outputs", "a.json")["outputs"]["value"]["value"]
    main = {"namespace": "platform", "nodes": 3, "zones": ["a", "b"], "since": "2026-01-01"}
    assert values == ["file", 3, main, "ns-platform {other}"]
    assert (repository.path / ".state/platform/a").exists()
    assert (repository.path / "hooked").read_text() == "b\n"
    repository.planned()
    repository.write(ORGANIZATION.replace("nodes: 3", "nodes: 4"))
    done = repository.doit("deploy")
    assert repository.planned() == ["a"]
    assert "variable x changed" in done.out


def test_a_reference_to_nothing_is_found_before_anything_starts(build: Callable[..., Repository]) -> None:
    repository = build(
        minimal_config(
            KEY + "stacks:\n  a:\n    variables:\n      x: ['{organization.clusters.main.namespac}']\n"
            "    verify: [{kind: http, url: 'http://{organization.host}'}]\n"
        ),
        ORGANIZATION,
        _schema(),
        f"stacks/a/main.tf:{reader('x')}",
    )
    done = repository.doit("plan", code=1)
    assert (
        "there is no {organization.clusters.main.namespac} (nearest: 'organization.clusters.main.namespace')"
        in done.out
    )
    assert "stacks.a.variables.x[0]" in done.out
    assert "config/pipeline.yaml:7" in done.out
    assert "stacks.a.verify[0].url" in done.out
    assert repository.engine_calls() == []


def test_what_does_not_fit_the_schema_is_named_by_line_and_key_all_at_once(build: Callable[..., Repository]) -> None:
    repository = build(
        minimal_config(KEY),
        ORGANIZATION.replace("nodes: 3", "nodes: three").replace("namespace: platform", "namespaces: platform"),
        _schema(),
        f"stacks/a/main.tf:{resource()}",
    )
    done = repository.doit("plan", code=1)
    assert "config error: clusters.main.nodes: 'three' is not of type 'integer'" in done.out
    assert "config/organization.yaml:4" in done.out
    assert "'namespaces' was unexpected" in done.out
    assert "config/organization.yaml:2" in done.out


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ((_schema(),), "there is no file config/organization.yaml"),
        ((ORGANIZATION,), "there is no file config/organization.schema.json"),
        ((ORGANIZATION, "config/organization.schema.json:{\n  x"), "config/organization.schema.json:2"),
        ((ORGANIZATION, _schema({"type": "objekt"})), "this is no JSON Schema"),
        ((ORGANIZATION, _schema({"$ref": "http://127.0.0.1:9/x.json"})), "leads nowhere"),
        (("config/organization.yaml:a: 1\na: 2\n", _schema()), "config/organization.yaml:2"),
    ],
)
def test_files_that_are_missing_or_broken_are_named(
    build: Callable[..., Repository], files: tuple[str, ...], said: str
) -> None:
    repository = build(minimal_config(KEY), f"stacks/a/main.tf:{resource()}", *files)
    assert said in repository.doit("plan", code=1).out


def test_a_file_outside_of_the_repository_is_refused(build: Callable[..., Repository]) -> None:
    repository = build(minimal_config("organization: {file: ../x.yaml}\n"), f"stacks/a/main.tf:{resource()}")
    assert "not inside the repository" in repository.doit("plan", code=1).out


def test_a_mapping_within_a_text_is_refused(build: Callable[..., Repository]) -> None:
    repository = build(
        minimal_config(KEY + "stacks: {a: {variables: {x: 'is {organization.clusters}'}}}\n"),
        ORGANIZATION,
        _schema(),
        f"stacks/a/main.tf:{reader('x')}",
    )
    assert "{organization.clusters} is a mapping" in repository.doit("plan", code=1).out


def test_without_the_library_the_error_says_what_to_install(build: Callable[..., Repository]) -> None:
    repository = build(minimal_config(KEY), ORGANIZATION, _schema(), f"stacks/a/main.tf:{resource()}")
    repository.write("hidden/jsonschema.py:raise ImportError(name='jsonschema')\n")
    done = repository.doit("plan", code=1, PYTHONPATH=str(repository.path / "hidden"))
    assert "pip install 'doit-tofu[organization]'" in done.out
    repository.write(minimal_config(KEY.replace(", schema: config/organization.schema.json", "")))
    repository.doit("plan", PYTHONPATH=str(repository.path / "hidden"))
