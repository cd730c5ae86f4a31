"""Fixtures of the unit tests: a clean environment, and repositories made of `path:content` strings."""

from __future__ import annotations

import os
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tasks import start
from tasks.base.errors import ConfigError, ConfigErrors
from tasks.base.problem import listed
from tests.unit.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.project.project import Project

# The same examples in every run: a test that fails only sometimes is worth less than one that always does.
settings.register_profile("unit", max_examples=120, deadline=None, derandomize=True, database=None)
settings.load_profile("unit")

_STRAY = ("DEPLOY_", "TF_VAR_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Autouse: whoever runs the tests may have variables that configure the product, or proxies."""
    for name in list(os.environ):
        if name.upper().startswith(_STRAY):
            monkeypatch.delenv(name)


def write(root: Path, *files: str) -> Path:
    """Write files given as `path:content` (content is dedented); gives the root."""
    for text in files:
        name, _, content = text.partition(":")
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(content))
    return root


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Path]:
    """Writes `path:content` files into a fresh folder and gives it."""
    return lambda *files: write(tmp_path, *files)


@pytest.fixture
def load(tree: Callable[..., Path]) -> Callable[..., Project]:
    """Loads a project from the text below `version: 1` (so its first line is 2) and `path:content` files."""

    def load(text: str = "", *files: str, environment: str | None = None) -> Project:
        return start.load(tree(f"config/pipeline.yaml:version: 1\n{text}", *files), environment)

    return load


@pytest.fixture
def errors(load: Callable[..., Project]) -> Callable[..., str]:
    """All that is wrong with a project, as it is shown."""

    def errors(*arguments: str, environment: str | None = None) -> str:
        with pytest.raises((ConfigError, ConfigErrors)) as caught:
            load(*arguments, environment=environment)
        return listed(caught.value.problems)

    return errors


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Where checks look from; nobody asked to stop."""
    return Site(tmp_path)
