"""The key `policy`: guards, checkers and overrides."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from ...base.model import Model

Severity = Literal["critical", "high", "medium", "low", "info"]


class Protect(Model):
    """Resources to which some actions must not be applied; in patterns, `*` is any text and `?` any character."""

    address: str = Field("*", description="Addresses, current or before a move: `module.db.*`.")
    type: str = Field("*", description="Resource types: `aws_db_*`.")
    stacks: list[str] = Field(default=["*"], min_length=1, description="Stack names.")
    actions: list[Literal["destroy", "replace", "forget", "change", "create"]] = Field(
        default=["destroy", "replace", "forget"],
        min_length=1,
        description="The forbidden actions. What is forgotten is no longer protected.",
    )
    severity: Severity = Field("high", description="The severity of a violation.")
    rule: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+$")] = Field(
        "protect", description="The rule's name in reports and overrides."
    )
    reason: str | None = Field(None, description="Why, to be shown with a refusal.")

    @model_validator(mode="after")
    def _protects_something(self) -> Self:
        if self.address == self.type == "*" and self.stacks == ["*"]:
            raise ValueError("set `address`, `type` or `stacks`; without any, this would protect everything")
        return self


class RequiredTags(Model):
    """Tags or labels that created and changed resources must have."""

    types: list[str] = Field(default=["*"], min_length=1, description="Resource types; `*` is any text.")
    attributes: list[str] = Field(
        default=["tags_all", "tags", "labels"],
        min_length=1,
        description="Attributes with tags: the first that a resource has counts. Resources without any are skipped.",
    )
    tags: dict[str, str] = Field(
        min_length=1, description="The required tags, each with a regular expression for its whole value."
    )
    severity: Severity = Field("high", description="The severity of a missing or wrong tag.")

    @field_validator("tags")
    @classmethod
    def _patterns_are_patterns(cls, value: dict[str, str]) -> dict[str, str]:
        for name, pattern in value.items():
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"'{pattern}', for '{name}', is not a valid regular expression: {error}") from None
        return value


class Checker(Model):
    """A program that judges the redacted plan, in the engine's JSON format."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+$")] = Field(
        description="Its name; its rules are called `name/rule`."
    )
    command: list[str] = Field(
        min_length=1,
        description="Program and arguments, without a shell; `{plan}` is the plan's file; `{stack}`,"
        " `{environment}`, `{root}`, `{path}`, `{organization.KEY}` and `${ENV}` are filled in.",
    )
    stacks: list[str] = Field(default=["*"], min_length=1, description="Stack names; `*` is any text.")
    format: Literal["json", "sarif", "exit_code"] = Field(
        "json", description="What it prints: JSON, SARIF 2.1.0, or plain lines, in which case its exit code decides."
    )
    findings: list[str] = Field(
        default=["[]"], min_length=1, description="For `json`: the path of the findings, `[].failures[]`."
    )
    fields: dict[Literal["rule", "severity", "message", "address"], str] = Field(
        default={"rule": "rule", "severity": "severity", "message": "message", "address": "address"},
        description="For `json`: the path of each field in a finding, such as `metadata.id`.",
    )
    severity: Severity = Field("high", description="The severity of findings that do not report one.")
    passed: list[int] = Field(default=[0], description="Exit codes for a run without findings.")
    failed: list[int] = Field(
        default=[1], description="Exit codes for a run with findings. Any other code refuses the plan."
    )
    timeout: Annotated[float, Field(gt=0, le=86_400)] = Field(
        120, description="Seconds until it is stopped and counts as failed."
    )

    @field_validator("command")
    @classmethod
    def _is_given_the_plan(cls, value: list[str]) -> list[str]:
        if not any("{plan}" in text for text in value):
            raise ValueError("`{plan}` is missing: the program would not know what to judge")
        return value


class Allow(Model):
    """A finding that is accepted until a given day; `*` is any text, `?` any character."""

    rule: str = Field(min_length=1, description="The rule, as in reports.")
    stack: str = Field("*", description="The stack.")
    address: str = Field("*", description="The resource's address.")
    reason: str = Field(min_length=1, description="Why; shown in every report.")
    until: date = Field(description="The last day on which it applies, in UTC.")


class Policy(Model):
    """Rules that judge plans before anything is applied."""

    fail_on: Severity = Field("high", description="Findings of this severity or worse refuse a plan.")
    protect: list[Protect] = Field(
        default_factory=list, description="Resources that must not be destroyed, replaced, ..."
    )
    max_destroy: int | None = Field(
        None,
        ge=0,
        description="The maximum number of resources that one plan may destroy or replace; severity `critical`.",
    )
    required_tags: list[RequiredTags] = Field(default_factory=list, description="Tags that resources must have.")
    checkers: list[Checker] = Field(default_factory=list, description="Programs that judge plans.")
    allow: list[Allow] = Field(
        default_factory=list, description="Accepted findings, each with a reason and a last day."
    )
