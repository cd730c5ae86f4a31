"""Backends: what of them is refused before anything runs, and the settings that the engine gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.base.errors import ConfigError
from tasks.project import backend

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.project import project

PG = 'terraform {\n  backend "pg" {}\n}\n'


@pytest.mark.parametrize(
    "setting", ["password", "conn_str", "access_key", "secret_key", "token", "sas_token", "client_secret", "Password"]
)
def test_a_credential_in_the_backends_settings_is_refused_without_its_value(
    errors: Callable[..., str], setting: str
) -> None:
    found = errors(
        f"stacks:\n  db:\n    backend:\n      kind: pg\n      settings:\n        {setting}: hunter2\n",
        f"stacks/db/main.tf:{PG}",
    )
    assert found == (
        f"config error: stacks.db.backend.settings.{setting}: '{setting}' is a credential: the engine would store it in"
        " plain text in every plan\n  where: config/pipeline.yaml:7\n"
        "  next: pass it in the engine's environment variables (TF_HTTP_PASSWORD, PG_CONN_STR, AWS_...)"
    )


def test_a_backend_that_the_stack_does_not_have_is_named_with_what_to_write(errors: Callable[..., str]) -> None:
    assert errors(
        'backend: {kind: http, settings: {address: "http://x/{stack}"}}\n',
        f"stacks/db/main.tf:{PG}",
        "stacks/web/main.tf:",
    ) == (
        'config error: backend: stacks/db has backend "pg", but `backend.kind` is "http"\n'
        "  where: config/pipeline.yaml:2\n"
        '  next: write `terraform { backend "http" {} }` into a file of stacks/db\n'
        'config error: backend: stacks/web has no backend, but `backend.kind` is "http"\n'
        "  where: config/pipeline.yaml:2\n"
        '  next: write `terraform { backend "http" {} }` into a file of stacks/web'
    )


def test_a_fixed_backend_is_refused_where_environments_would_share_it(
    load: Callable[..., project.Project], errors: Callable[..., str]
) -> None:
    files = ("config/environments/prod.yaml:", f"stacks/db/main.tf:{PG}")
    assert list(load("", *files).stacks) == ["db"]
    assert errors("", *files, environment="prod") == (
        'config error: stacks.db.backend: stacks/db uses one state for all environments: its backend "pg" is fixed\n'
        "  where: config/pipeline.yaml:1\n"
        "  next: set `backend.settings` and use {environment} in them, for example in a path or an address"
    )


def test_backend_settings_are_filled_in_as_the_engine_takes_them(load: Callable[..., project.Project]) -> None:
    found = load(
        'backend: {kind: pg, settings: {schema_name: "{stack}-{environment}", skip: true, n: 3}}\n',
        f"stacks/db/main.tf:{PG}",
    )
    assert backend.settings(found, found.stacks["db"]) == {
        "kind": "pg", "settings": {"schema_name": "db-local", "skip": "true", "n": "3"},
    }  # fmt: skip
    bare = load("", f"stacks/db/main.tf:{PG}")
    assert backend.settings(bare, bare.stacks["db"]) is None


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ('backend:\n  kind: pg\n  settings: {schema_name: "{stak}"}\n', "backend.settings.schema_name", 4),
        ('stacks:\n  db:\n    backend:\n      kind: pg\n      settings: {schema_name: "{stak}"}\n',
         "stacks.db.backend.settings.schema_name", 6),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_filled_in_names_its_place(
    load: Callable[..., project.Project], text: str, key: str, line: int
) -> None:
    found = load(text, f"stacks/db/main.tf:{PG}")
    with pytest.raises(ConfigError) as caught:
        backend.settings(found, found.stacks["db"])
    assert caught.value.problem.text() == (
        f"config error: {key}: {{stak}} has no value here (did you mean 'stack'?)\n  where: config/pipeline.yaml:{line}"
    )


def test_two_stacks_that_would_keep_one_state_are_both_named(errors: Callable[..., str]) -> None:
    assert errors(
        "backend: {kind: pg, settings: {schema_name: same}}\n", f"stacks/a/main.tf:{PG}", f"stacks/b/main.tf:{PG}"
    ) == (
        "config error: backend.settings: stacks 'a' and 'b' would keep one state, and each would destroy the other's"
        " resources\n  where: config/pipeline.yaml:2\n  next: use {stack} in `schema_name`"
    )


def test_two_environments_that_would_keep_one_state_are_both_named(errors: Callable[..., str]) -> None:
    text = "stacks:\n  db:\n    backend:\n      kind: pg\n      settings:\n        schema_name: same\n"
    assert errors(text, f"stacks/db/main.tf:{PG}", "config/environments/prod.yaml:", environment="prod") == (
        "config error: stacks.db.backend.settings.schema_name: environments 'local' and 'prod' would keep one state\n"
        "  where: config/pipeline.yaml:7\n"
        "  next: use {environment} in `schema_name`, or set another value in the environment's own file"
    )


S3 = 'terraform {\n  backend "s3" {}\n}\n'
BELOW = "backend: {kind: s3, settings: {bucket: b, key: 'x/{stack}'}}\n"
PROD = "config/environments/prod.yaml:"
DEV = "config/environments/dev.yaml:"


@pytest.mark.parametrize(
    ("below", "prod", "dev", "other"),
    [
        (BELOW, "backend: {settings: {key: 'p/{stack}'}}\n", "backend: {settings: {key: 'p/{stack}'}}\n", "dev"),
        (BELOW, "backend: {settings: {key: 'x/{stack}', region: eu}}\n", "backend: {settings: {region: eu}}\n", "dev"),
        (BELOW, "backend: {settings: {bucket: b}}\n", "", "local"),
        (
            BELOW,
            "backend: {settings: {key: 'dev/{stack}'}}\n",
            "backend: {settings: {key: '{environment}/{stack}'}}\n",
            "dev",
        ),
        (BELOW, "stacks: {a: {backend: {kind: s3, settings: {bucket: b, key: 'x/{stack}'}}}}\n", "", "local"),
        (BELOW, "backend: {settings: {workspace_key_prefix: prod}}\n", "", "local"),
        (BELOW.replace("key:", "workspace_key_prefix: '{environment}', key:"), "", "", "local"),
        (BELOW.replace("key:", "dynamodb_table: '{environment}', key:"), "", "", "local"),
    ],
)
def test_environments_whose_own_files_name_one_state_are_refused(
    errors: Callable[..., str], below: str, prod: str, dev: str, other: str
) -> None:
    found = errors(below, f"stacks/a/main.tf:{S3}", PROD + prod, DEV + dev, environment="prod")
    assert f"environments '{other}' and 'prod' would keep one state" in found
    assert "config/" in found
    assert "use {environment} in `key`" in found


@pytest.mark.parametrize(
    ("below", "prod", "dev"),
    [
        (BELOW, "backend: {settings: {key: 'p/{stack}'}}\n", "backend: {settings: {key: 'd/{stack}'}}\n"),
        (BELOW, "backend: {settings: {bucket: p}}\n", "backend: {settings: {bucket: d}}\n"),
        (
            BELOW,
            "backend: {settings: {bucket: p}}\n",
            "backend: {settings: {bucket: p}}\nstacks: {a: {enabled: false}}\n",
        ),
        (
            BELOW,
            "backend: {settings: {key: 'p/${BUCKET_KEY:-x}'}}\n",
            "backend: {settings: {key: 'p/${BUCKET_KEY:-x}'}}\n",
        ),
        (
            BELOW,
            "backend: {settings: {key: '{environment}/{stack}'}}\n",
            "backend: {settings: {key: '{environment}/{stack}'}}\n",
        ),
        (BELOW, "backend: {settings: {key: 'p/{stack}'}}\n", "backend: [\n"),
    ],
)
def test_environments_with_a_state_each_are_loaded(
    load: Callable[..., project.Project], below: str, prod: str, dev: str
) -> None:
    assert list(load(below, f"stacks/a/main.tf:{S3}", PROD + prod, DEV + dev, environment="prod").stacks) == ["a"]


@pytest.mark.parametrize("value", ["http://user:hunter2@x/{stack}", "http://x/${HTTP_TOKEN}/{stack}"])
def test_a_secret_in_an_address_is_refused_without_its_value(errors: Callable[..., str], value: str) -> None:
    found = errors(
        f'backend: {{kind: http, settings: {{address: "{value}"}}}}\n',
        'stacks/db/main.tf:terraform {\n  backend "http" {}\n}\n',
    )
    assert found.startswith("config error: backend.settings.address: 'address' ")
    assert ": the engine would store it in plain text in every plan\n  where: config/pipeline.yaml:2\n" in found
    assert "hunter2" not in found


@pytest.mark.parametrize(
    "message",
    [
        'pq: relation "global_states_id_seq" already exists (42P07)',
        'pq: schema "terraform_remote_state" already exists',
        'pq: duplicate key value violates unique constraint "pg_namespace_nspname_index"',
        "pq: tuple concurrently updated",
    ],
)
def test_a_first_init_that_lost_the_race_to_create_the_tables_is_known(message):
    from tasks.run import workdir

    assert workdir._CREATED_AT_ONCE.search(f"Error: {message}")


def test_another_error_of_the_database_is_no_lost_race():
    from tasks.run import workdir

    assert not workdir._CREATED_AT_ONCE.search('Error: pq: permission denied for schema "public"')


@pytest.mark.parametrize(
    ("config", "setting", "said"),
    [
        ('secrets: ["ACME_*"]\n', "${ACME_LOGIN}", "ACME_LOGIN, which is a secret by `secrets`"),
        ('secrets: ["ACME_*"]\n', "x-${ACME_LOGIN:-none}", "ACME_LOGIN, which is a secret by `secrets`"),
        ('secrets: ["ACME_*"]\n', "hunter2-hunter2", "ACME_LOGIN, which is a secret by `secrets`"),
        ("encryption: {key: PROD_PASS}\n", "${PROD_PASS}", "PROD_PASS, which is a secret by `encryption.key`"),
        ("publish: {to: /x, token: BOARD}\n", "${BOARD}", "BOARD, which is a secret by `publish.token`"),
        ("", "${MY_TOKEN}", "MY_TOKEN, which is a secret by its name"),
        ("", "written-out-token", "MY_TOKEN, which is a secret by its name"),
    ],
)
def test_a_declared_secret_is_no_setting_by_name_or_by_value(
    errors: Callable[..., str], monkeypatch: pytest.MonkeyPatch, config: str, setting: str, said: str
) -> None:
    for name, value in {
        "ACME_LOGIN": "hunter2-hunter2", "PROD_PASS": "correct-horse-battery", "BOARD": "x", "MY_TOKEN": "written-out-token",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    found = errors(
        f'{config}backend: {{kind: http, settings: {{address: "http://x/{{stack}}/{setting}"}}}}\n',
        'stacks/db/main.tf:terraform {\n  backend "http" {}\n}\n',
    )
    assert f"'address' contains {said}: the engine would store it in plain text in every plan" in found
    assert "hunter2" not in found
