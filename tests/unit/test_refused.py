"""What is wrong with a configuration and found before anything runs; end to end is in tests/e2e/test_console.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.images import TAKES, config
from tests.packages import package
from tests.repository import minimal_config, reader, resource

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks import project

    Errors = Callable[..., str]

A = f"stacks/a/main.tf:{resource()}"
B = f"stacks/b/main.tf:{resource()}"


def below_version(text: str) -> str:
    """A pipeline file's text without its first line, the version, which `errors` and `load` write."""
    return text.partition("version: 1\n")[2]


def minimal(more: str) -> str:
    """The configuration that the end-to-end tests have, and more from line 3 on."""
    return below_version(minimal_config(more))


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        (
            "{stage: plan, when: before, command: [x, '{stak}']}",
            "unknown placeholder {stak} in a hook (did you mean 'stack'?)",
        ),
        ("{stage: plan, when: before, command: [x], stacks: [c]}", "unknown stack 'c'"),
        ("{stage: plan, when: before, command: []}", "hooks[0].command"),
        ("{stage: plan, when: before, command: sh -c x}", "hooks[0].command"),
        ("{stage: plans, when: before, command: [x]}", "(did you mean 'plan'?)"),
        ("{stage: plan, when: before, command: [x, '{organization.y}']}", "the key `organization` is not set"),
    ],
)
def test_a_wrong_hook_is_found_before_anything_starts(errors: Errors, hook: str, said: str) -> None:
    shown = errors(minimal(f"hooks:\n  - {hook}\n"), A, B)
    assert said in shown
    assert "config/pipeline.yaml:4" in shown


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("{kind: htpp, url: x}", "unknown kind of check 'htpp' (did you mean 'http'?)"),
        ("{url: x}", "stacks.a.verify[0].kind: this key is required"),
        ("{kind: tcp, host: x, prt: 1}", "unknown key 'prt' (did you mean 'port'?)"),
        ("{kind: tcp, host: x}", "stacks.a.verify[0].port: this key is required"),
        ("{kind: http, url: x, retries: 3}", "unknown key 'retries'"),
        ("http", "a check must be a mapping with a `kind`"),
        ("{kind: http, url: '{outputs.valeu}'}", "stack 'a' has no output 'valeu' (did you mean 'value'?)"),
        ("{kind: http, url: '{stak}'}", "unknown placeholder {stak} in a check (did you mean 'stack'?)"),
        ("{kind: kubernetes_pods}", "set either `selector` or `workload`"),
        ("{kind: http, url: x, bearer: 's3 cret'}", "if this is the secret itself, rotate it"),
    ],
)
def test_a_wrong_check_is_found_before_anything_starts(errors: Errors, check: str, said: str) -> None:
    shown = errors(minimal(f"stacks:\n  a:\n    verify:\n      - {check}\n"), A)
    assert said in shown
    assert "config/pipeline.yaml:6" in shown
    assert "s3 cret" not in shown


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("builds: {app: {kind: node, path: apps}}", "the folder apps does not exist"),
        ("builds: {app: {kind: node, path: ../x}}", "inside the repository"),
        ("builds: {app: {kind: node, path: stacks}}", "stacks has no package.json"),
        ("builds: {app: {kind: node, path: app, script: biuld}}", "no script 'biuld' (did you mean 'build'?)"),
        ("builds: {app: {kind: node, path: app, outputs: [.]}}", "not the whole of it"),
        ("builds: {app: {kind: node, path: app, depends_on: [ap]}}", "unknown build 'ap' (did you mean 'app'?)"),
        ("builds: {app: {kind: command, path: app}}", "`command` is required for the kind `command`"),
        ("builds: {app: {kind: nodes, path: app}}", "(did you mean 'node'?)"),
        (
            "builds: {app: {kind: node, path: app, output: [x]}}",
            "unknown key 'output' (did you mean 'outputs'?)",
        ),
        ("stacks: {web: {builds: [x]}}", "unknown build 'x'"),
    ],
)
def test_a_wrong_build_is_found_before_anything_starts(errors: Errors, config: str, said: str) -> None:
    shown = errors(minimal(config + "\n"), *package(), f"stacks/web/main.tf:{resource()}")
    assert said in shown
    assert "config/pipeline.yaml:3" in shown


def shop(image: str, stacks: str, name: str = "registry.example.com/team/server") -> tuple[str, ...]:
    """A configuration with the image `server`, and what it is of."""
    text = below_version(config(name, image, stacks))
    return text, "server/Containerfile:FROM scratch", f"stacks/web/main.tf:{TAKES}"


@pytest.mark.parametrize(
    ("image", "stacks", "said"),
    [
        (", context: servr", "", "duplicate key"),
        (", contxt: x", "", "unknown key 'contxt' (did you mean 'context'?)"),
        (", containerfile: Nope", "", "server/Nope does not exist"),
        (", builds: [app]", "", "unknown build 'app'"),
        (", args: {X: '${NPM_TOKEN}'}", "", "move NPM_TOKEN to `secrets`"),
        (", builder: kaniko", "", "images.server.builder"),
        (", builder: buildah, attest: [sbom]", "", "docker buildx can"),
        ("", "stacks: {web: {images: {image: sever}}}", "unknown image 'sever' (did you mean 'server'?)"),
        ("", "stacks: {web: {images: {imag: server}}}", "declares no variable 'imag' (did you mean 'image'?)"),
        ("", "stacks: {web: {images: {image: server}, variables: {image: x}}}", "set twice: here and by variables"),
    ],
)
def test_a_wrong_image_is_found_before_anything_starts(errors: Errors, image: str, stacks: str, said: str) -> None:
    shown = errors(*shop(image, stacks + "\n"))
    assert said in shown
    assert "config/pipeline.yaml:" in shown


def test_a_repository_that_cannot_be_one_is_found_before_anything_starts(errors: Errors) -> None:
    assert "'Team' is not valid in a repository's name" in errors(*shop("", "", "registry.example.com/Team/server"))


# --- the organization file -------------------------------------------------------------------------------------------

ORGANIZATION = """\
config/organization.yaml:clusters:
  main:
    namespace: platform
    nodes: 3
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
                "properties": {"namespace": {"type": "string"}, "nodes": {"type": "integer"}},
                "required": ["namespace"],
                "additionalProperties": False,
            },
        },
    },
}
KEY = "organization: {file: config/organization.yaml, schema: config/organization.schema.json}\n"


def _schema(value: object = None) -> str:
    return "config/organization.schema.json:" + json.dumps(value or SCHEMA)


def test_a_reference_to_nothing_is_found_before_anything_starts(errors: Errors) -> None:
    shown = errors(
        minimal(
            KEY + "stacks:\n  a:\n    variables:\n      x: ['{organization.clusters.main.namespac}']\n"
            "    verify: [{kind: http, url: 'http://{organization.host}'}]\n"
        ),
        ORGANIZATION,
        _schema(),
        f"stacks/a/main.tf:{reader('x')}",
    )
    near = "unknown placeholder {organization.clusters.main.namespac} (did you mean 'organization.clusters.main.namespace'?)"
    assert near in shown
    assert "stacks.a.variables.x[0]" in shown
    assert "config/pipeline.yaml:7" in shown
    assert "stacks.a.verify[0].url" in shown


def test_what_does_not_fit_the_schema_is_named_by_line_and_key_all_at_once(errors: Errors) -> None:
    organization = ORGANIZATION.replace("nodes: 3", "nodes: three").replace("namespace: platform", "namespaces: x")
    shown = errors(minimal(KEY), organization, _schema(), A)
    assert "config error: clusters.main.nodes: 'three' is not of type 'integer'" in shown
    assert "config/organization.yaml:4" in shown
    assert "'namespaces' was unexpected" in shown
    assert "config/organization.yaml:2" in shown


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ((_schema(),), "the file config/organization.yaml does not exist"),
        ((ORGANIZATION,), "the file config/organization.schema.json does not exist"),
        ((ORGANIZATION, "config/organization.schema.json:{\n  x"), "config/organization.schema.json:2"),
        ((ORGANIZATION, _schema({"type": "objekt"})), "invalid JSON Schema"),
        ((ORGANIZATION, _schema({"$ref": "http://127.0.0.1:9/x.json"})), "cannot resolve a `$ref`"),
        (("config/organization.yaml:a: 1\na: 2\n", _schema()), "config/organization.yaml:2"),
    ],
)
def test_files_that_are_missing_or_broken_are_named(errors: Errors, files: tuple[str, ...], said: str) -> None:
    assert said in errors(minimal(KEY), A, *files)


def test_a_file_outside_of_the_repository_is_refused(errors: Errors) -> None:
    assert "not inside the repository" in errors(minimal("organization: {file: ../x.yaml}\n"), A)


# --- backends, policy, upstreams -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ('{address: "http://127.0.0.1/{environment}"}', "stacks 'a' and 'b' would keep one state"),
        ('{address: "http://me:word@127.0.0.1/{stack}-{environment}"}', "has a user or password in its address"),
        ('{address: "http://127.0.0.1/{stack}-{environment}?t=${CI_JOB_TOKEN}"}', "contains CI_JOB_TOKEN"),
        ('{address: "http://127.0.0.1/{stack}-{environment}", password: x}', "'password' is a credential"),
    ],
)
def test_settings_that_would_lose_or_tell_something_are_refused_before_anything_runs(
    errors: Errors, monkeypatch: pytest.MonkeyPatch, settings: str, said: str
) -> None:
    monkeypatch.setenv("CI_JOB_TOKEN", "job-token-1234")
    stack = 'terraform {\n  backend "http" {}\n}\n'
    shown = errors(
        f"backend: {{kind: http, settings: {settings}}}\n", f"stacks/a/main.tf:{stack}", f"stacks/b/main.tf:{stack}"
    )
    assert said in shown
    assert "config/pipeline.yaml:2" in shown
    assert "job-token-1234" not in shown


def test_two_environments_that_would_share_a_state_are_refused(
    errors: Errors, load: Callable[..., project.Project]
) -> None:
    files = (
        'backend: {kind: pg, settings: {schema_name: "{stack}"}}\n',
        "config/environments/dev.yaml:",
        'config/environments/own.yaml:backend: {settings: {schema_name: "own-{stack}"}}\n',
        'stacks/a/main.tf:terraform {\n  backend "pg" {}\n}\n',
    )
    shown = errors(*files, environment="dev")
    assert "environments 'local' and 'dev' would keep one state" in shown
    assert "use {environment} in `schema_name`" in shown
    for name in ("own", None):
        assert list(load(*files, environment=name).stacks) == ["a"]


def test_a_checker_without_the_plan_is_an_error_of_the_configuration(errors: Errors) -> None:
    shown = errors(minimal("policy: {checkers: [{name: own, command: [cat]}]}\n"), A)
    assert "`{plan}` is missing" in shown


@pytest.mark.parametrize(
    ("upstream", "said"),
    [
        ("{git: '--upload-pack=touch hacked', ref: v1}", "must not begin with `-`"),
        ("{git: 'ext::sh -c touch% hacked', ref: v1}", "must not begin with `-` or contain white space"),
        ("{git: 'ext::touch', ref: v1}", "is not an https, ssh or file URL"),
        ("{git: 'http://user:hunter22@example.test/x', ref: v1}", "is not an https, ssh or file URL"),
        ("{git: 'ssh://-oProxyCommand=touch/x', ref: v1}", "does not name a host"),
        ("{git: '-a@host:x', ref: v1}", "must not begin with `-`"),
        ("{git: 'file:///nowhere', ref: --all}", "is not a valid name or reference"),
        ("{git: 'file:///nowhere', ref: 'a..b'}", "not a valid name of a tag or branch"),
        ("{git: 'file:///nowhere'}", "set `git` and `ref` together"),
        ("{path: nowhere}", "the folder nowhere does not exist"),
        ("{path: ., ref: v1}", "set `git` and `ref` together"),
        ("{path: .}", "cannot be an overlay of itself"),
    ],
)
def test_what_is_no_upstream_is_refused(
    errors: Errors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, upstream: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = errors(f"upstream: {upstream}\n")
    assert said in shown
    assert "config/pipeline.yaml:2" in shown
    assert "hunter22" not in shown
    assert not (tmp_path / "hacked").exists()


# --- the pipeline file -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("version: 1\nstakcs: {}\n", ["config/pipeline.yaml:2", "stakcs", "did you mean 'stacks'"]),
        (
            "version: 1\nstacks:\n  a: {depends_on: [b]}\n",
            ["config/pipeline.yaml:3", "stacks.a.depends_on[0]", "unknown stack 'b'"],
        ),
        ("version: 1\nengine: {version: new}\n", ["config/pipeline.yaml:2", "engine.version", "'new'"]),
        ("version: 2\n", ["config/pipeline.yaml:1", "version"]),
        ("version: [\n", ["config/pipeline.yaml", "not valid YAML"]),
    ],
)
def test_an_error_of_the_pipeline_file_names_its_place(errors: Errors, text: str, expected: list[str]) -> None:
    shown = errors("", A, f"config/pipeline.yaml:{text}")
    for part in expected:
        assert part in shown
