"""Variables that are nearly ours are named, everybody else's are left alone."""

from __future__ import annotations

import pytest

from tasks.run import misspelt

STACKS = ["network", "web-app"]


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("DEPLOY_ENVIRONMENT", "DEPLOY_ENV"),
        ("DEPLOY_BACKND__KIND", "DEPLOY_BACKEND__KIND"),
        ("DEPLOY_STACKS__NETWROK__ENABLED", "DEPLOY_STACKS__NETWORK__ENABLED"),
        ("DEPLOY_STAKCS__NETWORK__ENABLED", "DEPLOY_STACKS__NETWORK__ENABLED"),
        ("DEPLOY_ARTEFACT_KEY", "DEPLOY_ARTIFACT_KEY"),
    ],
)
def test_the_variable_that_was_meant_is_named(variable: str, meant: str) -> None:
    [note] = misspelt.notes([variable, "PATH"], lambda: STACKS)
    assert note == f"the environment variable {variable} is not used (did you mean {meant}?)"


@pytest.mark.parametrize(
    "variable",
    ["DEPLOY_ENV", "DEPLOY_BACKEND__KIND", "DEPLOY_STACKS__NETWORK__ENABLED", "DEPLOY_STACKS__WEB-APP__PATH",
     "DEPLOY_ARTIFACT_KEY", "DEPLOY_HOST", "DEPLOY_SSH_KEY", "DEPLOYMENT", "DEPLOY_STACKS__OTHER__ENABLED"],
)  # fmt: skip
def test_what_is_ours_or_somebody_elses_is_not(variable: str) -> None:
    assert list(misspelt.notes([variable], lambda: STACKS)) == []
