"""The organization file: the user's own values, checked by the user's own schema, used in all of the configuration."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

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
