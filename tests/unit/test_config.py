"""The configuration: what loads, how layers lie over each other, and that no mangled one gives anything but an error."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tasks.base import layout
from tasks.base.errors import ConfigError, ConfigErrors
from tasks.base.problem import listed
from tasks.project.config import loading, yamlfile
from tests.unit.conftest import write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VALID = """\
version: 1
default_environment: local
engine: {kind: tofu, version: "~> 1.12.0", lock_timeout: 30}
discover: ["stacks/*", "teams/*/*"]
backend:
  kind: http
  settings:
    address: "${CI_API_V4_URL:-http://x}/{stack}-{environment}"
    retry_max: 3
stacks:
  network: {}
  http:
    path: stacks/http
    depends_on: [network]
    inputs: {subnet_id: network.subnet_id}
    mocks: {subnet_id: mock}
    variables:
      size: 3
      tags: [a, {b: c}]
    var_files:
      - "{environment}.tfvars"
      - {path: extra.tfvars, optional: true}
    watch: ["../../shared/**/*.json"]
    verify:
      - kind: http
        url: "http://127.0.0.1/{stack}"
        status: [200, 204]
        timeout: 60
drift: {undeployed: report}
plan:
  max_age: 12
"""


def load(root: Path, text: str, *files: str, environment: str | None = None) -> loading.Loaded:
    """Load a pipeline file with further `path:content` files."""
    write(root, *files)
    (root / "config").mkdir(exist_ok=True)
    (root / layout.PIPELINE_FILE).write_text(text)
    return loading.load(root, environment)


def errors(root: Path, text: str, *files: str, environment: str | None = None) -> str:
    """All that is wrong with a pipeline file, as it is shown."""
    with pytest.raises((ConfigError, ConfigErrors)) as caught:
        load(root, text, *files, environment=environment)
    return listed(caught.value.problems)


# --- what loads ------------------------------------------------------------------------------------------------------


def test_version_alone_is_a_configuration(tmp_path: Path) -> None:
    loaded = load(tmp_path, "version: 1\n")
    assert loaded.environment == "local"
    assert loaded.config.stacks == {}


def test_everything_that_can_be_said_loads(tmp_path: Path) -> None:
    stack = load(tmp_path, VALID).config.stacks["http"]
    assert stack.depends_on == ["network"]
    assert stack.variables == {"size": 3, "tags": ["a", {"b": "c"}]}
    assert stack.verify[0].statuses == [200, 204]


@pytest.mark.parametrize("text", ["version: 1\nstacks:\n", "version: 1\nstacks:\n  a:\n", "version: 1\nbackend:\n"])
def test_a_key_with_nothing_behind_it_means_the_default(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text).config.backend is None


def test_the_environment_is_the_one_named_then_the_variable_then_the_files_default_then_local(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [f"config/environments/{name}.yaml:" for name in ("a", "b", "c")]
    text = "version: 1\ndefault_environment: c\n"
    assert load(tmp_path, text, *files).environment == "c"
    monkeypatch.setenv("DEPLOY_DEFAULT_ENVIRONMENT", "b")
    assert load(tmp_path, text).environment == "b"
    assert load(tmp_path, text, environment="a").environment == "a"


def test_environment_files_lie_deep_over_the_pipeline_and_lists_replace(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        "version: 1\ndiscover: [a, b]\nstacks:\n  web: {variables: {x: 1, y: [1, 2]}, enabled: true}\n",
        "config/environments/prod.yml:discover: [c]\nstacks:\n  web: {variables: {y: [3]}, enabled: false}\n  db: {}\n",
        environment="prod",
    )
    assert loaded.config.discover == ["c"]
    assert loaded.config.stacks["web"].variables == {"x": 1, "y": [3]}
    assert loaded.config.stacks["web"].enabled is False
    assert list(loaded.config.stacks) == ["web", "db"]


def test_an_environment_can_undo_a_key_with_null(tmp_path: Path) -> None:
    loaded = load(
        tmp_path, "version: 1\nbackend: {kind: pg}\n", "config/environments/dev.yaml:backend:\n", environment="dev"
    )
    assert loaded.config.backend is None


def test_variables_lie_over_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_ENGINE__VERSION", ">=1.13")
    monkeypatch.setenv("DEPLOY_DISCOVER", '["x/*"]')
    monkeypatch.setenv("DEPLOY_STACKS__WEB_APP__VARIABLES__SIZE", "7")
    monkeypatch.setenv("DEPLOY_STACKS__NEW__ENABLED", "false")
    loaded = load(tmp_path, "version: 1\nengine: {kind: terraform}\nstacks:\n  Web-App: {variables: {size: 1, x: 2}}\n")
    assert (loaded.config.engine.kind, loaded.config.engine.version) == ("terraform", ">=1.13")
    assert loaded.config.discover == ["x/*"]
    assert loaded.config.stacks["Web-App"].variables == {"size": "7", "x": 2}
    assert loaded.config.stacks["new"].enabled is False


def test_variables_that_are_no_keys_of_ours_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DEPLOY_VERSION", "DEPLOY_ENV", "DEPLOY_TOKEN", "DEPLOY_VERSION__X"):
        monkeypatch.setenv(name, "v2.3")
    assert load(tmp_path, "version: 1\n").config.version == 1


def test_the_environments_are_those_with_a_file(tmp_path: Path) -> None:
    write(tmp_path, "config/environments/prod.yaml:", "config/environments/dev.yml:", "config/environments/README.md:")
    assert loading.environments(tmp_path) == ["dev", "prod"]
    assert loading.environments(tmp_path / "nowhere") == []


# --- where things stand ----------------------------------------------------------------------------------------------


def test_a_key_is_found_in_the_layer_that_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_STACKS__WEB__ENABLED", "true")
    loaded = load(
        tmp_path,
        "version: 1\nstacks:\n  web:\n    variables:\n      x: 1\n      y: 2\n",
        "config/environments/dev.yaml:stacks:\n  web:\n    variables:\n      y: 3\n",
        environment="dev",
    )
    assert str(loaded.where("stacks", "web", "variables", "x")) == "config/pipeline.yaml:5"
    assert str(loaded.where("stacks", "web", "variables", "y")) == "config/environments/dev.yaml:4"
    assert str(loaded.where("stacks", "web", "variables", "y", "z")) == "config/environments/dev.yaml:4"
    assert str(loaded.where("stacks", "web", "enabled")) == "environment variable DEPLOY_STACKS__WEB__ENABLED"
    assert str(loaded.where("version")) == "config/pipeline.yaml:1"
    assert str(loaded.where("engine", "version")) == "config/pipeline.yaml:1"


def test_key_paths_are_written_as_people_write_them() -> None:
    assert yamlfile.dotted(("stacks", "web", "verify", 0, "url")) == "stacks.web.verify[0].url"
    assert yamlfile.dotted(("a", 0, 1)) == "a[0][1]"
    assert yamlfile.dotted(()) == ""


# --- what is wrong is said with file, line, key, value and the nearest -------------------------------------------------


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        pytest.param(
            "version: 1\nenginne: {}\n",
            "config error: enginne: unknown key 'enginne' (did you mean 'engine'?)\n"
            "  where: config/pipeline.yaml:2",
            id="unknown key at the top",
        ),
        pytest.param(
            "version: 1\nstacks:\n  web:\n    depend_on: [a]\n",
            "config error: stacks.web.depend_on: unknown key 'depend_on' (did you mean 'depends_on'?)\n"
            "  where: config/pipeline.yaml:4",
            id="unknown key within",
        ),
        pytest.param(
            "version: 1\nstacks:\n  web:\n    verify:\n      - {kind: http, url: x}\n      - kind: http\n"
            "        url: x\n        statsu: 200\n",
            "config error: stacks.web.verify[1].statsu: unknown key 'statsu' (did you mean 'status'?)\n"
            "  where: config/pipeline.yaml:8",
            id="unknown key in a list's item",
        ),
        pytest.param(
            "version: 1\nengine:\n  qqq: 1\n",
            "config error: engine.qqq: unknown key 'qqq'"
            " (known: grace, kind, lock_timeout, path, progress, provider_memory, releases, sha256, version)\n  where: config/pipeline.yaml:3",
            id="unknown key that is near to none",
        ),
        pytest.param(
            "version: 1\nengine:\n  lock_timeout: soon\n",
            "config error: engine.lock_timeout: input should be a valid number, unable to parse string as a number;"
            " found 'soon'\n  where: config/pipeline.yaml:3",
            id="wrong type",
        ),
        pytest.param(
            "version: 1\nstacks: [web]\n",
            "config error: stacks: input should be a valid dictionary; found a list\n  where: config/pipeline.yaml:2",
            id="a list for a mapping",
        ),
        pytest.param(
            "version: 1\ndiscover:\n  a: b\n",
            "config error: discover: input should be a valid list; found a mapping\n  where: config/pipeline.yaml:2",
            id="a mapping for a list",
        ),
        pytest.param(
            "version: 1\ndrift:\n  ignore:\n    - {stacks: [a], classes: changed, reason: r, until: 2999-01-01}\n",
            "config error: drift.ignore[0].classes: input should be a valid list; found 'changed';"
            " write it in brackets: `classes: [changed]`\n  where: config/pipeline.yaml:4",
            id="a text for a list",
        ),
        pytest.param(
            "version: 1\ndrift:\n  ignore:\n    - {stacks: [a], reason: r, until: next year}\n",
            "config error: drift.ignore[0].until: input should be a day such as 2027-01-31; found 'next year'\n"
            "  where: config/pipeline.yaml:4",
            id="a text for a day",
        ),
        pytest.param(
            "version: 1\ndrift:\n  ignore: [terraform_data.x]\n",
            "config error: drift.ignore[0]: input should be a mapping; found 'terraform_data.x'\n"
            "  where: config/pipeline.yaml:3",
            id="a text for a mapping",
        ),
        pytest.param(
            "version: 1\nengine: {lock_timeout: -1}\n",
            "config error: engine.lock_timeout: input should be greater than or equal to 0; found -1\n"
            "  where: config/pipeline.yaml:2",
            id="out of range",
        ),
        pytest.param(
            "version: 1\nengine:\n  kind: terrafrm\n",
            "config error: engine.kind: input should be 'tofu' or 'terraform'; found 'terrafrm'"
            " (did you mean 'terraform'?)\n  where: config/pipeline.yaml:3",
            id="bad choice",
        ),
        pytest.param(
            "version: 1\nengine:\n  version: latest\n",
            "config error: engine.version: a version like 1.12.6, or a constraint like '>=1.12, <2' or '~> 1.12.0';"
            " found 'latest'\n  where: config/pipeline.yaml:3",
            id="bad version constraint",
        ),
        pytest.param(
            "discover: []\n",
            "config error: version: this key is required\n  where: config/pipeline.yaml:1",
            id="missing version",
        ),
        pytest.param(
            "version: 2\n",
            "config error: version: input should be 1; found 2\n  where: config/pipeline.yaml:1",
            id="other version",
        ),
        pytest.param(
            'version: "1"\n',
            "config error: version: input should be 1; found '1'; write it without quotes: `version: 1`\n"
            "  where: config/pipeline.yaml:1",
            id="version in quotes",
        ),
        pytest.param(
            "version: 1\nstacks:\n  web: {}\n  db: {}\n  web: {}\n",
            "config error: not valid YAML: duplicate key 'web', first in line 3\n  where: config/pipeline.yaml:5",
            id="duplicate key",
        ),
        pytest.param(
            "version: 1\nstacks:\n  http:\n    verify:\n      - url: x\n",
            "config error: stacks.http.verify[0].kind: this key is required\n  where: config/pipeline.yaml:5",
            id="missing key of a stack that is called http",
        ),
        pytest.param(
            "version: 1\nstacks:\n  list:\n    pth: x\n",
            "config error: stacks.list.pth: unknown key 'pth' (did you mean 'path'?)\n"
            "  where: config/pipeline.yaml:4",
            id="unknown key of a stack that is called list",
        ),
        pytest.param(
            "version: 1\nstacks:\n  web:\n    var_files:\n      - pth: x\n",
            "config error: stacks.web.var_files[0].path: this key is required\n  where: config/pipeline.yaml:5\n"
            "config error: stacks.web.var_files[0].pth: unknown key 'pth' (did you mean 'path'?)\n"
            "  where: config/pipeline.yaml:5",
            id="a value of two shapes is told for the one that was meant",
        ),
        pytest.param(
            "version: 1\nstacks:\n  web app: {}\n",
            "config error: stacks.web app: 'web app' is not a valid name or reference; it must match"
            " ^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$\n  where: config/pipeline.yaml:3",
            id="a name that cannot be one",
        ),
        pytest.param(
            "version: 1\nstacks:\n  web: {}\n  7: {}\n",
            "config error: stacks: keys must be text, not 7 (int)\n  where: config/pipeline.yaml:4\n  next: quote it: \"7\"",
            id="a number for a name",
        ),
        pytest.param(
            "version: 1\n7: x\n",
            "config error: keys must be text, not 7 (int)\n  where: config/pipeline.yaml:2\n  next: quote it: \"7\"",
            id="a number for a key at the top",
        ),
        pytest.param(
            "version: 1\nplan: {max_age: 0}\ndrift: {undeployed: alrt}\n",
            "config error: plan.max_age: input should be greater than 0; found 0\n  where: config/pipeline.yaml:2\n"
            "config error: drift.undeployed: input should be 'alert' or 'report'; found 'alrt' (did you mean 'alert'?)\n"
            "  where: config/pipeline.yaml:3",
            id="all that is wrong is said at once",
        ),
    ],
)  # fmt: skip
def test_an_error_says_file_line_key_value_and_the_nearest(tmp_path: Path, text: str, rendered: str) -> None:
    assert errors(tmp_path, text) == rendered


def test_an_error_of_an_environment_file_names_that_file_and_line(tmp_path: Path) -> None:
    assert errors(
        tmp_path,
        "version: 1\nstacks:\n  web: {enabled: true}\n",
        "config/environments/prod.yaml:# production\nstacks:\n  web:\n    enabled: perhaps\n    variabels: {}\n",
        environment="prod",
    ) == (
        "config error: stacks.web.enabled: input should be a valid boolean, unable to interpret input;"
        " found 'perhaps'\n  where: config/environments/prod.yaml:4\n"
        "config error: stacks.web.variabels: unknown key 'variabels' (did you mean 'variables'?)\n"
        "  where: config/environments/prod.yaml:5"
    )


def test_an_environment_file_that_is_no_yaml_names_itself(tmp_path: Path) -> None:
    rendered = errors(tmp_path, "version: 1\n", "config/environments/prod.yaml:a: 1\na: 2\n", environment="prod")
    assert rendered == (
        "config error: not valid YAML: duplicate key 'a', first in line 1\n  where: config/environments/prod.yaml:2"
    )


def test_an_unknown_environment_is_named_with_the_nearest_and_the_way_out(tmp_path: Path) -> None:
    assert errors(tmp_path, "version: 1\n", "config/environments/prod.yaml:", environment="prd") == (
        "config error: unknown environment 'prd' (did you mean 'prod'?)\n"
        "  where: config/environments/prd.yaml\n"
        "  next: create config/environments/prd.yaml (it may be empty), or choose another: `doit env=NAME ...`"
    )


def test_a_name_that_no_file_can_have_is_not_to_be_created(tmp_path: Path) -> None:
    assert errors(tmp_path, "version: 1\n", "config/environments/prod.yaml:", environment="prod/x") == (
        "config error: unknown environment 'prod/x': not a valid name (did you mean 'prod'?)\n"
        "  where: config/environments/\n"
        "  next: a name has only letters, digits, `_`, `.` and `-`: `doit env=NAME ...`"
    )


@pytest.mark.parametrize(("kept", "ignored"), [("config/environments/stage.yaml", "config/environments/stage.yml"),
                                               ("config/pipeline.yaml", "config/pipeline.yml")])  # fmt: skip
def test_a_file_that_would_be_ignored_is_refused(tmp_path: Path, kept: str, ignored: str) -> None:
    rendered = errors(
        tmp_path,
        "version: 1\n",
        "config/environments/stage.yaml:",
        f"{ignored}:plan: {{max_age: 1}}\n",
        environment="stage",
    )
    assert rendered == (
        f"config error: {kept} and {ignored} are both there, and only one can be read\n"
        f"  where: {ignored}\n  next: move its keys to {kept} and remove {ignored}"
    )


def test_an_environment_file_may_end_in_yml_as_before(tmp_path: Path) -> None:
    loaded = load(tmp_path, "version: 1\n", "config/environments/stage.yml:plan: {max_age: 7}\n", environment="stage")
    assert loaded.config.plan.max_age == 7


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "a" * 5000, "a\0b", "é", " "])
def test_an_environments_name_is_never_a_path(tmp_path: Path, name: str) -> None:
    assert errors(tmp_path, "version: 1\n", environment=name).startswith("config error: unknown environment '")


def test_a_repository_without_a_configuration_is_told_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        loading.load(tmp_path)
    assert caught.value.problem.text() == (
        "config error: no configuration was found here\n"
        "  where: config/pipeline.yaml\n"
        "  next: create config/pipeline.yaml; `version: 1` is enough if the stacks are in stacks/"
    )


@pytest.mark.parametrize(
    ("variables", "rendered"),
    [
        ({"DEPLOY_ENGINE__KIND": "opentofu"},
         ("config error: engine.kind: input should be 'tofu' or 'terraform' (did you mean 'tofu'?)\n"
         "  where: environment variable DEPLOY_ENGINE__KIND")),
        ({"DEPLOY_ENGINE__KND": "tofu"},
         ("config error: engine.knd: unknown key 'knd' (did you mean 'kind'?)\n"
         "  where: environment variable DEPLOY_ENGINE__KND")),
        ({"DEPLOY_ENGINE": "tofu"},
         ("config error: engine: expected JSON: Expecting value: line 1 column 1 (char 0)\n"
         "  where: environment variable DEPLOY_ENGINE")),
        ({"DEPLOY_ENGINE": '{"kind": "tofu", "path": 3}'},
         ("config error: engine.path: input should be a valid string\n"
         "  where: environment variable DEPLOY_ENGINE")),
        ({"DEPLOY_BACKEND__SETTINGS__ADDRESS": "x"},
         ("config error: backend.kind: this key is required\n"
         "  where: environment variable DEPLOY_BACKEND__SETTINGS__ADDRESS")),
        ({"DEPLOY_STACKS__WEB__ENABLED": "s3cret"},
         ("config error: stacks.web.enabled: input should be a valid boolean, unable to interpret input\n"
         "  where: environment variable DEPLOY_STACKS__WEB__ENABLED")),
        ({"DEPLOY_STACKS__WEB__INPUTS__X": "s3cret"},
         ("config error: stacks.web.inputs.x: this value is not a valid name or reference; it must match"
         r" ^[A-Za-z0-9_][A-Za-z0-9_./-]*\.[A-Za-z_][A-Za-z0-9_-]*$"
         "\n  where: environment variable DEPLOY_STACKS__WEB__INPUTS__X")),
        ({"DEPLOY_DEFAULT_ENVIRONMENT": ""},
         ("config error: default_environment: this value is not a valid name or reference; it must match"
         " ^[A-Za-z0-9_][A-Za-z0-9_.-]*$\n  where: environment variable DEPLOY_DEFAULT_ENVIRONMENT")),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)  # fmt: skip
def test_an_error_of_a_variable_names_it_and_never_shows_its_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], rendered: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert errors(tmp_path, "version: 1\n") == rendered


def test_a_variable_is_not_blamed_for_what_the_file_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_VERSION", "1")
    monkeypatch.setenv("DEPLOY_ENGINE", '{"path": "/x"}')
    assert errors(tmp_path, "version: 3\nengine: {kind: x}\n") == (
        "config error: version: input should be 1; found 3\n  where: config/pipeline.yaml:1\n"
        "config error: engine.kind: input should be 'tofu' or 'terraform'; found 'x' (known: terraform, tofu)\n"
        "  where: config/pipeline.yaml:2"
    )


# --- no mangled configuration gives anything else --------------------------------------------------------------------


@pytest.fixture(scope="module")
def loads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., loading.Loaded | None]]:
    """Loads bytes as one of the files; None when they are a config error. Anything else is not caught here."""
    with tempfile.TemporaryDirectory(dir=tmp_path_factory.mktemp("mangled")) as folder:
        root = write(Path(folder), "config/pipeline.yaml:version: 1\n", "config/environments/local.yaml:")

        def loads(content: bytes, name: str = layout.PIPELINE_FILE) -> loading.Loaded | None:
            path = root / name
            before = path.read_bytes()
            path.write_bytes(content)
            try:
                return loading.load(root)
            except (ConfigError, ConfigErrors) as error:
                every_error_names_its_place(error)
                return None
            finally:
                path.write_bytes(before)

        yield loads


def every_error_names_its_place(error: ConfigError | ConfigErrors) -> None:
    """Each error says a file or a variable, and the whole can be printed."""
    single = error.errors if isinstance(error, ConfigErrors) else [error]
    assert single
    for each in single:
        text = each.problem.text()
        assert each.problem.where is not None, text
        assert str(each.problem.where).startswith(("config/", "environment variable DEPLOY_")), text
        assert len(text) < 2000


FILES = [layout.PIPELINE_FILE, "config/environments/local.yaml"]
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=6,
)


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every key path in a value."""
    yield path
    for key, item in value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else []):
        yield from paths(item, (*path, key))


@given(
    st.sampled_from(FILES),
    st.lists(
        st.tuples(st.sampled_from("dir"), st.floats(0, 1), st.binary(min_size=1, max_size=3)), min_size=1, max_size=5
    ),
)
def test_random_bytes_in_a_valid_file_are_a_config_error_or_load(
    loads: Callable[..., Any], name: str, edits: list[tuple[str, float, bytes]]
) -> None:
    content = VALID.encode()
    for how, where, what in edits:
        at = int(where * len(content))
        content = content[:at] + (b"" if how == "d" else what) + content[at + (0 if how == "i" else len(what)) :]
    loads(content, name)


@given(
    st.sampled_from(FILES),
    st.lists(st.tuples(st.floats(0, 1), st.sampled_from([*list("{}[]:,&*!|>'\"%@`#?-~\t\n <"), "<<: *a", "!!", "&a ", "*a"])),
             min_size=1, max_size=5),
)  # fmt: skip
def test_marks_that_mean_something_in_yaml_are_a_config_error_or_load(
    loads: Callable[..., Any], name: str, edits: list[tuple[float, str]]
) -> None:
    text = VALID
    for where, mark in edits:
        at = int(where * len(text))
        text = text[:at] + mark + text[at:]
    loads(text.encode(), name)


@given(st.sampled_from(FILES), st.sampled_from(sorted(paths(yaml.safe_load(VALID)), key=str)), ANY)
def test_any_value_at_any_key_is_a_config_error_or_loads(
    loads: Callable[..., Any], name: str, path: tuple[Any, ...], value: Any
) -> None:
    data = yaml.safe_load(VALID)
    if path:
        node = data
        for part in path[:-1]:
            node = node[part]
        node[path[-1]] = value
    loads(yaml.safe_dump(data if path else value, allow_unicode=True).encode(errors="surrogatepass"), name)


@given(
    st.sampled_from(FILES),
    st.binary() | st.text().map(str.encode) | ANY.map(lambda value: yaml.safe_dump(value).encode()),
)
def test_any_file_is_a_config_error_or_loads(loads: Callable[..., Any], name: str, content: bytes) -> None:
    loads(content, name)


def test_a_valid_file_cut_off_anywhere_is_a_config_error_or_loads(loads: Callable[..., Any]) -> None:
    for end in range(0, len(VALID), 12):
        loads(VALID[:end].encode())


VARIABLE = st.lists(
    st.sampled_from(["ENGINE", "STACKS", "HTTP", "BACKEND", "SETTINGS", "VERIFY", "DISCOVER", "PLAN", "MAX_AGE", "KIND",
                     "VARIABLES", "DEFAULT_ENVIRONMENT", "VERSION", "X", "0", "", "DRIFT", "INPUTS"]),
    min_size=1, max_size=4,
).map(lambda parts: "DEPLOY_" + "__".join(parts))  # fmt: skip
VALUE = st.sampled_from(["", "1", "x", "{", "[]", "{}", "null", '"x"', "[1]", '{"a": 1}', '{"http": 3}', "1" * 5000,
                         "[" * 3000, "NaN", "\udcff"]) | st.text(st.characters(exclude_characters="\0", codec="utf-8"))  # fmt: skip


@given(st.dictionaries(VARIABLE, VALUE, min_size=1, max_size=3), st.booleans())
def test_any_variables_are_a_config_error_that_names_one_or_load(
    loads: Callable[..., Any], variables: dict[str, str], valid: bool
) -> None:
    os.environ.update(variables)
    try:
        loads(VALID.encode() if valid else b"version: 1\n")
    finally:
        for name in variables:
            del os.environ[name]


def test_the_mangled_tests_begin_with_a_file_that_loads(loads: Callable[..., Any]) -> None:
    assert loads(VALID.encode()) is not None
