"""Which state a plan is for: the same in every clone and for every user, another one for another place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.project import stateid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tasks.project.project import Project


def _binding(project: Project) -> str | None:
    return stateid.binding(project, project.stacks["a"])


def _stack(kind: str, body: str = "") -> str:
    return f'stacks/a/main.tf:terraform {{\n  backend "{kind}" {{\n{body}  }}\n}}\n'


@pytest.mark.parametrize(
    ("kind", "variable", "values"),
    [
        ("http", "TF_HTTP_ADDRESS", ("https://x/A", "https://user:word@x/A", "https://x/B")),
        ("pg", "PG_CONN_STR", ("postgres://u:p@db/one", "postgres://v:q@db/one", "postgres://u:p@db/two")),
        ("pg", "PG_CONN_STR", ("host=db dbname=one user=u password='a b'", "host=db dbname=one", "host=x dbname=one")),
    ],
)
def test_what_the_environment_says_of_a_backend_counts_and_who_asks_does_not(
    load: Callable[..., Project], monkeypatch: pytest.MonkeyPatch, kind: str, variable: str, values: tuple[str, ...]
) -> None:
    """The second value is another user's, the third one another place."""
    found = []
    for value in values:
        monkeypatch.setenv(variable, value)
        found.append(_binding(load("", _stack(kind))))
    assert None not in found
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_a_local_state_is_the_same_in_every_clone(load: Callable[..., Project], tmp_path: Path) -> None:
    inside = _binding(load("", _stack("local", '    path = "a.tfstate"\n')))
    outside = _binding(load("", _stack("local", f'    path = "{tmp_path}/elsewhere/a.tfstate"\n')))
    assert inside is not None
    assert inside != outside


def test_no_binding_where_the_state_is_not_known(load: Callable[..., Project]) -> None:
    assert _binding(load("", _stack("http"))) is None
    assert _binding(load("", _stack("unknown"))) is None
