"""What plans are judged by."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from ...base.model import Model

Severity = Literal["critical", "high", "medium", "low", "info"]


class Protect(Model):
    """Resources that something may not be done to; in all three, `*` is any text and `?` any character."""

    address: str = Field("*", description="Addresses, also as they were before a move: `module.db.*`.")
    type: str = Field("*", description="Types: `aws_db_*`.")
    stacks: list[str] = Field(default=["*"], min_length=1, description="Names of stacks.")
    actions: list[Literal["destroy", "replace", "forget", "change", "create"]] = Field(
        default=["destroy", "replace"], min_length=1, description="What may not be done."
    )
    severity: Severity = Field("high", description="How severe it is to do it.")
    rule: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+$")] = Field(
        "protect", description="The rule's name, for reports and overrides."
    )
    reason: str | None = Field(None, description="Why, for whoever is refused.")

    @model_validator(mode="after")
    def _protects_something(self) -> Self:
        if self.address == self.type == "*" and self.stacks == ["*"]:
            raise ValueError("it says neither an `address`, nor a `type`, nor `stacks`: that would protect everything")
        return self


class RequiredTags(Model):
    """Tags, or labels, that created and changed resources must have."""

    types: list[str] = Field(default=["*"], min_length=1, description="Types of resources; `*` is any text.")
    attributes: list[str] = Field(
        default=["tags_all", "tags", "labels"],
        min_length=1,
        description="Where tags are: the first of them that a resource has. One that has none is left alone.",
    )
    tags: dict[str, str] = Field(min_length=1, description="Each tag, and a regular expression for all of its value.")
    severity: Severity = Field("high", description="How severe it is not to have one.")

    @field_validator("tags")
    @classmethod
    def _patterns_are_patterns(cls, value: dict[str, str]) -> dict[str, str]:
        for name, pattern in value.items():
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"'{pattern}', for '{name}', is no regular expression: {error}") from None
        return value


class Checker(Model):
    """A program that is given the redacted plan, in the engine's own JSON format, and finds fault with it."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+$")] = Field(
        description="Its name; its rules are `name/rule`."
    )
    command: list[str] = Field(
        min_length=1,
        description="Program and arguments, no shell; `{plan}` is the plan's file, and `{stack}`, `{environment}`,"
        " `{root}`, `{path}`, `{organization.KEY}` and `${ENV}` are filled in.",
    )
    stacks: list[str] = Field(default=["*"], min_length=1, description="Names of stacks; `*` is any text.")
    format: Literal["json", "sarif", "exit_code"] = Field(
        "json", description="What it prints: JSON, SARIF 2.1.0, or nothing but an exit code and a few lines."
    )
    findings: list[str] = Field(
        default=["[]"], min_length=1, description="For `json`, where findings are: `[].failures[]`."
    )
    fields: dict[Literal["rule", "severity", "message", "address"], str] = Field(
        default={"rule": "rule", "severity": "severity", "message": "message", "address": "address"},
        description="For `json`, where a finding has each of these: `metadata.id`.",
    )
    severity: Severity = Field("high", description="How severe a finding is that does not say it itself.")
    passed: list[int] = Field(default=[0], description="Exit codes that mean: it ran, and all is well.")
    failed: list[int] = Field(
        default=[1], description="Exit codes that mean: it ran, and found fault. Any other one refuses the plan."
    )
    timeout: Annotated[float, Field(gt=0, le=86_400)] = Field(120, description="Seconds until it is ended and failed.")

    @field_validator("command")
    @classmethod
    def _is_given_the_plan(cls, value: list[str]) -> list[str]:
        if not any("{plan}" in text for text in value):
            raise ValueError("`{plan}` stands nowhere in it: the program would not know what to judge")
        return value


class Allow(Model):
    """A finding that does not refuse a plan until a day; `*` is any text, `?` any character."""

    rule: str = Field(min_length=1, description="The rule, as reports name it.")
    stack: str = Field("*", description="The stack.")
    address: str = Field("*", description="The resource's address.")
    reason: str = Field(min_length=1, description="Why; it stands in every report.")
    until: date = Field(description="The last day that it holds, in UTC.")


class Policy(Model):
    """What plans are judged by before anything is applied."""

    fail_on: Severity = Field("high", description="Findings of this severity, and worse ones, refuse a plan.")
    protect: list[Protect] = Field(default_factory=list, description="What may not be destroyed, replaced, ...")
    max_destroy: int | None = Field(
        None, ge=0, description="How many resources one plan may destroy or replace; severity `critical`."
    )
    required_tags: list[RequiredTags] = Field(default_factory=list, description="Tags that resources must have.")
    checkers: list[Checker] = Field(default_factory=list, description="Programs that judge plans.")
    allow: list[Allow] = Field(default_factory=list, description="Overrides, each with a reason and its last day.")
