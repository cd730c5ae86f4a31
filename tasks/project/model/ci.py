"""Pipelines that `doit ci` writes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from ...base.model import Model

# Keywords that the generated pipeline relies on.
_OURS = frozenset({
    "allow_failure", "artifacts", "before_script", "cache", "dependencies", "environment", "except", "extends", "image",
    "interruptible", "needs", "only", "parallel", "resource_group", "retry", "rules", "script", "stage", "trigger",
    "when",
})  # fmt: skip


class Ci(Model):
    """The pipeline that `doit ci` writes. All keys but `jobs` are for GitLab; on GitHub, the workflow sets them."""

    jobs: Annotated[int, Field(ge=1, le=5000)] = Field(
        200,
        description="The maximum number of plan jobs, and of deploy jobs; with more stacks, jobs take several each.",
    )
    image: str | None = Field(
        None, description="The jobs' container image, with Python and git; by default the runner's."
    )
    install: str | None = Field(None, description="The first command of each job, which installs doit-tofu.")
    caches: Literal["engine", "receipts"] = Field(
        "engine", description="What jobs keep in GitLab's cache: engine and providers, or receipts and outputs too."
    )
    job: dict[str, Any] = Field(
        default_factory=dict, description="Keywords copied into every job: `tags`, `id_tokens`, `timeout`."
    )

    @field_validator("job")
    @classmethod
    def _keywords_are_not_ours(cls, value: dict[str, Any]) -> dict[str, Any]:
        if ours := sorted(_OURS & set(value)):
            raise ValueError(f"`{ours[0]}` is set by `ci` itself")
        return value
