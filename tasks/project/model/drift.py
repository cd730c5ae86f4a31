"""The key `drift`: what alarms, what is ignored, and how a check is run."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from ...base.model import Model

DriftClass = Literal["changed", "deleted", "appeared", "outputs", "check", "state", "undeployed"]
DriftSeverity = Literal["critical", "warning", "info"]
Looks = Literal["json", "order", "case"]


Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def _hours(text: str) -> str:
    match = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)", text)
    if match is None or text[:5] == text[6:]:
        raise ValueError("write hours as `22:00-05:30`, from 00:00 to 24:00, the end different from the start")
    return text


def _timezone(name: str) -> str:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # slow, and rarely needed

    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"'{name}' is not a time zone that is known here; write one as `Europe/Berlin`, and in an image without"
            " time zones install the package `tzdata`"
        ) from None
    return name


Hours = Annotated[str, AfterValidator(_hours)]
TimeZone = Annotated[str, AfterValidator(_timezone)]


class DriftIgnore(Model):
    """Drift that is expected, up to a last day; in patterns, `*` is any text and `?` any character."""

    address: str = Field("*", description="Addresses of resources: `module.pool.*`; of an output `output NAME`.")
    stacks: list[str] = Field(default=["*"], min_length=1, description="Stack names.")
    attribute: str | None = Field(
        None,
        description="Attributes, and everything within them: `desired_size`, `tags.*`, `spec[0].replicas`."
        " A change is ignored if every attribute that differs is. By default the whole resource is ignored.",
    )
    classes: list[DriftClass] = Field(
        default=["changed"], min_length=1, description="The classes of drift that are ignored."
    )
    looks: list[Looks] | None = Field(
        None, min_length=1, description="Only values that just look different: in spelling of JSON, order, or case."
    )
    reason: Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)] = Field(
        description="Why, to be shown with what is ignored."
    )
    until: date = Field(description="The last day on which the rule applies, as YYYY-MM-DD in UTC.")

    @model_validator(mode="after")
    def _ignores_something_in_particular(self) -> Self:
        if self.address == "*" and self.stacks == ["*"] and self.attribute is None and self.looks is None:
            raise ValueError("set `address`, `stacks`, `attribute` or `looks`; without any, all drift would be ignored")
        return self


class DriftSeverityRule(Model):
    """The severity of some drift; the first rule that matches decides."""

    severity: DriftSeverity = Field(description="`info` is only reported: no exit code 2, no notification.")
    address: str = Field("*", description="Addresses of resources; `*` is any text.")
    type: str = Field("*", description="Resource types: `aws_db_*`.")
    stacks: list[str] = Field(default=["*"], min_length=1, description="Stack names.")
    classes: list[DriftClass] | None = Field(None, min_length=1, description="Classes of drift; by default all.")


class DriftRepairRule(Model):
    """Drift that `doit deploy --auto-repair` undoes, never with a destroy or a replace; all conditions have to hold."""

    stacks: list[str] = Field(min_length=1, description="Stack names; `*` is any text.")
    classes: list[Literal["changed", "deleted", "outputs"]] = Field(
        default=["changed"], min_length=1, description="The classes of drift that are undone."
    )
    address: str = Field("*", description="Addresses of resources; of an output `output NAME`.")
    type: str = Field("*", description="Resource types: `aws_security_group*`.")
    days: list[Day] = Field(
        default=[*get_args(Day)], min_length=1, description="The days; hours past midnight belong to the day before."
    )
    hours: Hours | None = Field(None, description="The hours, as `22:00-05:30`; by default all.")
    timezone: TimeZone = Field("UTC", description="The time zone of days and hours: `Europe/Berlin`.")


class Drift(Model):
    """How `doit drift` checks, and what it makes of its findings."""

    undeployed: Literal["alert", "report"] = Field(
        "alert",
        description="`alert`: undeployed code makes `doit drift` exit with 2, as drift does; `report`: only report it.",
    )
    on_failed_check: Literal["warn", "alert", "fail"] = Field(
        "warn",
        description="If a `check` block fails: `warn`, `alert` with exit code 2 as for drift, or `fail` the stack with"
        " exit code 1.",
    )
    exit: Literal["any", "new"] = Field(
        "any",
        description="`any`: all drift makes `doit drift` exit with 2; `new`: only drift that the previous check did not"
        " find, or that has changed since.",
    )
    remind: Annotated[float, Field(gt=0, le=8760)] | None = Field(
        None,
        description="Hours after which channels are notified of known drift again; by default never. A channel's own"
        " `repeat` wins.",
    )
    ignore: list[DriftIgnore] = Field(default_factory=list, description="Drift that is expected.")
    severity: list[DriftSeverityRule] = Field(
        default_factory=list,
        description="Severities that differ from the defaults: `critical` for what was deleted, or would be destroyed"
        " or replaced; `info` for a state that something else wrote; `warning` for the rest.",
    )
    repair: list[DriftRepairRule] = Field(
        default_factory=list,
        description="Drift that `doit deploy --auto-repair` undoes: only where rules cover all drift of a stack.",
    )
    changed_by: list[str] = Field(
        default_factory=list,
        description="Attributes that say who changed a resource last, besides the usual ones such as"
        " `last_modified_by`: `tags.ModifiedBy`.",
    )
    changed_at: list[str] = Field(
        default_factory=list, description="Attributes that say when that was, besides those such as `modified_time`."
    )
    lock: bool = Field(
        False, description="True: lock each state while it is planned. A check that only reads needs no lock."
    )
    timeout: Annotated[float, Field(gt=0, le=86_400)] = Field(
        1800, description="Time limit for one stack, in seconds; then it counts as failed."
    )
    retries: int = Field(0, ge=0, le=10, description="How often a stack that could not be checked is tried again.")
    budget: Annotated[float, Field(gt=0, le=86_400)] | None = Field(
        None,
        description="Seconds after which no further stack is started. The next run starts with the stacks whose"
        " last check is the oldest. By default every run checks all stacks.",
    )
    merge_requests: bool = Field(
        False,
        description="True: keep a merge request on GitLab or GitHub per stack whose drift the code can adopt,"
        " with the change that `doit drift --adopt` makes; needs the variable DEPLOY_ADOPTION_TOKEN.",
    )
    issues: bool = Field(
        False, description="True: keep an issue per drifted stack on GitLab or GitHub, and close it afterwards."
    )
