"""The keys `upstream`, `hooks` and `organization`."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from ...base.model import Model


class Upstream(Model):
    """The upstream repository of an overlay; can only be set in the overlay's `config/pipeline.yaml`."""

    path: str | None = Field(None, description="A local folder, relative to this repository's root or absolute.")
    git: str | None = Field(
        None, description="A git URL (https, ssh, file, git@host:path) or path; `${ENV}` is filled in."
    )
    ref: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+/#@=-]*$",
        description="A tag or branch, pinned to a commit by config/upstream.lock, or a full commit id.",
    )
    check: bool = Field(
        True,
        description="False: trust config/upstream.lock, without checking that the ref still points to that commit.",
    )
    timeout: Annotated[float, Field(gt=0, le=86_400)] = Field(600, description="Time limit of a fetch, in seconds.")

    @field_validator("ref")
    @classmethod
    def _ref_is_one_name(cls, value: str | None) -> str | None:
        if value and (".." in value or value.endswith((".lock", "/"))):
            raise ValueError("not a valid name of a tag or branch")
        return value

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        if (self.path is None) == (self.git is None):
            raise ValueError("set either `path`, or `git` and `ref`")
        if (self.git is None) != (self.ref is None):
            raise ValueError("set `git` and `ref` together; with `path`, set neither")
        return self


class Hook(Model):
    """A command of yours that runs before or after a stage of each matching stack."""

    stage: Literal["validate", "plan", "deploy", "verify", "drift"] = Field(description="The stage.")
    when: Literal["before", "after", "failure"] = Field(
        description="Before the stage, after it if it succeeded, or on its failure."
    )
    stacks: list[str] = Field(default=["*"], min_length=1, description="Globs of stack names.")
    command: list[str] = Field(
        min_length=1,
        description="Program and arguments, without a shell; `{stack}`, `{environment}`, `{stage}`, `{root}`,"
        " `{path}`, `{organization.KEY}`, `${ENV}`, and with `when: failure` also `{error}`, are filled in.",
    )
    timeout: Annotated[float, Field(gt=0, le=86_400)] = Field(
        60, description="Seconds until it is stopped and counts as failed."
    )

    def is_for(self, stage: str, when: str, stack: str) -> bool:
        """Whether it runs at this moment of a stage of a stack."""
        return (self.stage, self.when) == (stage, when) and any(fnmatchcase(stack, text) for text in self.stacks)


class Organization(Model):
    """A YAML file of your own whose values are available as `{organization.KEY}`."""

    file: str = Field(description="The file, relative to the repository's root.")
    schema_file: str | None = Field(
        None, alias="schema", description="Its JSON Schema (JSON or YAML), relative to the repository's root."
    )
