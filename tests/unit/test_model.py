"""The configuration's shape: its defaults, its limits, and the schema that editors read."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import BaseModel, ValidationError

from tasks.base import layout
from tasks.project import model
from tasks.project.config import loading
from tests.repository import ROOT

MODELS = [value for value in vars(model).values() if isinstance(value, type) and issubclass(value, BaseModel)]
OURS = [cls for cls in MODELS if cls.__module__.startswith(f"{model.__name__}.")]
assert model.Config in OURS


def merged(below: Any, above: Any) -> Any:
    """The deep merge that the product promises, written anew."""
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return {key: merged(below.get(key), above[key]) if key in above else below[key] for key in {**below, **above}}


def test_the_schema_that_is_checked_in_is_the_one_of_the_model() -> None:
    written = (ROOT / layout.SCHEMA_FILE).read_text()
    assert written == json.dumps(loading.json_schema(), indent=2) + "\n"


def test_the_schema_is_a_valid_one() -> None:
    jsonschema.Draft202012Validator.check_schema(loading.json_schema())


def test_this_repositorys_own_files_keep_to_the_schema() -> None:
    pipeline = yaml.safe_load((ROOT / layout.PIPELINE_FILE).read_text())
    validator = jsonschema.Draft202012Validator(loading.json_schema())
    validator.validate(pipeline)
    environments = sorted((ROOT / layout.ENVIRONMENTS_DIR).glob("*.yaml"))
    assert environments
    for path in environments:
        validator.validate(merged(pipeline, yaml.safe_load(path.read_text()) or {}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": 2}, {}, {"version": 1, "stack": {}}, {"version": 1, "stacks": {"a": {"pth": "x"}}},
        {"version": 1, "stacks": {"a": {"verify": [{"kind": "htp", "url": "x"}]}}}, {"version": 1, "discover": "x"},
        {"version": 1, "engine": {"kind": "terrafrm"}},
    ],
    ids=str,
)  # fmt: skip
def test_an_editor_sees_what_the_product_refuses(wrong: dict[str, Any]) -> None:
    assert not jsonschema.Draft202012Validator(loading.json_schema()).is_valid(wrong)
    with pytest.raises(ValidationError):
        model.Config(**wrong)


@pytest.mark.parametrize("cls", OURS, ids=lambda cls: cls.__name__)
def test_every_part_is_frozen_refuses_unknown_keys_and_describes_every_key(cls: type[BaseModel]) -> None:
    assert cls.model_config["frozen"] is True
    assert cls.model_config["extra"] == "forbid"
    undescribed = [name for name, field in cls.model_fields.items() if not field.description and name != "kind"]
    assert undescribed == []


def test_a_repository_with_no_keys_but_version_works() -> None:
    value = model.Config(version=1)
    assert value.default_environment == "local"
    assert value.discover == ["stacks/*"]
    assert (value.engine.kind, value.engine.version) == ("tofu", "1.12.6")
    assert (value.stacks, value.backend) == ({}, None)
    assert value.drift.undeployed == "alert"


@pytest.mark.parametrize("name", ["a", "web-app", "Web.App", "team/web", "_x", "9", "a/b/c"])
def test_names_that_are_safe_as_paths_are_stack_names(name: str) -> None:
    assert list(model.Config(version=1, stacks={name: {}}).stacks) == [name]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../a", "a/../b", "/a", "a/", "a b", "-a", ".hidden", "a//b", "ä", "a\n"]
)
def test_names_that_could_leave_their_folder_are_none(name: str) -> None:
    with pytest.raises(ValidationError):
        model.Config(version=1, stacks={name: {}})


@pytest.mark.parametrize(
    "reference", ["network", "network.", ".x", "network.subnet id", "../x.y", "network.9"],
)  # fmt: skip
def test_an_input_names_a_stack_and_an_output(reference: str) -> None:
    with pytest.raises(ValidationError):
        model.Stack(inputs={"x": reference})


def test_a_status_is_one_or_a_list() -> None:
    from tasks.checks.http import HttpCheck

    assert HttpCheck(kind="http", url="x").statuses == [200]
    assert HttpCheck(kind="http", url="x", status=[200, 204]).statuses == [200, 204]
