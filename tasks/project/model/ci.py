"""Pipelines that `doit ci` writes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from ...base.model import Model

# What makes a generated pipeline do what it promises.
_OURS = frozenset({
    "allow_failure", "artifacts", "before_script", "cache", "dependencies", "environment", "except", "extends", "image",
    "interruptible", "needs", "only", "parallel", "resource_group", "retry", "rules", "script", "stage", "trigger",
    "when",
})  # fmt: skip


class Ci(Model):
    """The pipeline that `doit ci` writes. All but `jobs` is for GitLab: on GitHub the workflow says it."""

    jobs: Annotated[int, Field(ge=1, le=5000)] = Field(
        200, description="At most so many jobs that plan, and as many that deploy: with more stacks, each does several."
    )
    image: str | None = Field(None, description="The image of the jobs, with Python and git; by default the runner's.")
    install: str | None = Field(None, description="The command that each job begins with: it installs doit-tofu.")
    caches: Literal["engine", "receipts"] = Field(
        "engine", description="What jobs keep in GitLab's cache: engine and providers, or receipts and outputs too."
    )
    job: dict[str, Any] = Field(
        default_factory=dict, description="Keywords that every job gets as they are: `tags`, `id_tokens`, `timeout`."
    )

    @field_validator("job")
    @classmethod
    def _keywords_are_not_ours(cls, value: dict[str, Any]) -> dict[str, Any]:
        if ours := sorted(_OURS & set(value)):
            raise ValueError(f"`{ours[0]}` is written by `doit ci` itself")
        return value
