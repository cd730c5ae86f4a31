"""The whole configuration."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, field_validator
from pydantic_core import PydanticCustomError

from ...base.model import EnvironmentName, Model, PartName, StackName, VariableName
from .around import Hook, Organization, Upstream
from .build import Build, Image
from .ci import Ci
from .drift import Drift
from .ledger import AnyLedger
from .plan import Encryption, Inputs, Plan
from .policy import Policy
from .stack import Backend, Deploy, Engine, Stack
from .told import Channel, Forge, History, Publish, Reports


class Config(Model):
    """doit-tofu's configuration: `config/pipeline.yaml`, then `config/environments/<env>.yaml`, then `DEPLOY_*`."""

    model_config = ConfigDict(title="doit-tofu pipeline")

    version: Literal[1] = Field(description="The version of this format.")
    default_environment: EnvironmentName = Field("local", description="The environment if `env=` is not given.")
    engine: Engine = Field(default_factory=Engine, description="The engine and its version.")  # type: ignore[arg-type]
    discover: list[str] = Field(default=["stacks/*"], description="Globs of folders that contain root modules.")
    backend: Backend | None = Field(
        None, description="Where states are kept; by default as each stack's own configuration says."
    )
    stacks: dict[StackName, Stack] = Field(
        default_factory=dict, description="Settings of stacks that differ from the defaults."
    )
    builds: dict[PartName, Build] = Field(
        default_factory=dict, description="Builds that run before stacks are planned."
    )
    images: dict[PartName, Image] = Field(default_factory=dict, description="Images that stacks deploy.")
    encryption: Encryption = Field(
        default_factory=Encryption,  # type: ignore[arg-type]
        description="Encryption of plans and states.",
    )
    inputs: Inputs = Field(default_factory=Inputs, description="What counts as an input.")  # type: ignore[arg-type]
    plan: Plan = Field(default_factory=Plan, description="Rules for plan artifacts.")  # type: ignore[arg-type]
    volatile_variables: list[VariableName] = Field(
        default_factory=list,
        description="Variables whose values are not inputs, in every stack that declares them, such as tokens that"
        " are new in each job. A deploy uses the plan's value,"
        " which must still be valid then; `ephemeral = true` is better.",
    )
    secrets: list[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_*?]+$")]] = Field(
        default_factory=list,
        description="Environment variables, by name or glob, whose values are secret although their names do not"
        " look like it: `DATABASE_URL`, `ACME_*`.",
    )
    follows: EnvironmentName | None = Field(
        None,
        description="The environment to deploy to first; `plan` reports what is not deployed there yet.",
    )
    forge: Forge = Field(
        default_factory=Forge,  # type: ignore[arg-type]
        description="Comments on merge requests, and commit statuses.",
    )
    deploy: Deploy = Field(default_factory=Deploy, description="How deploys are remembered without receipts.")  # type: ignore[arg-type]
    drift: Drift = Field(default_factory=Drift, description="Checks for drift.")  # type: ignore[arg-type]
    policy: Policy = Field(default_factory=Policy, description="Rules that judge plans.")  # type: ignore[arg-type]
    reports: Reports = Field(default_factory=Reports, description="How reports look.")  # type: ignore[arg-type]
    upstream: Upstream | None = Field(None, description="The upstream repository, if this one is an overlay.")
    hooks: list[Hook] = Field(default_factory=list, description="Your own commands, run before or after stages.")
    ci: Ci = Field(default_factory=Ci, description="The pipeline that `doit ci` writes.")  # type: ignore[arg-type]
    history: History = Field(default_factory=History, description="Records of runs.")  # type: ignore[arg-type]
    publish: Publish = Field(
        default_factory=Publish,  # type: ignore[arg-type]
        description="Publishing of run records.",
    )
    ledger: AnyLedger = Field(
        "none", description="Where deployments are recorded for all machines; `none`: only in this one's `.deploy`."
    )
    organization: Organization | None = Field(None, description="Your own values, usable throughout the configuration.")
    notify: list[Channel] = Field(
        default_factory=list, description="Channels that are notified of failures, drift and recoveries."
    )

    @field_validator("notify")
    @classmethod
    def _channels_have_names(cls, value: list[Channel]) -> list[Channel]:
        labels = [channel.label for channel in value]
        if twice := sorted({label for label in labels if labels.count(label) > 1}):
            raise PydanticCustomError(
                "secret_value", f"two channels have the name {twice[0]}: give each its own `name`"
            )
        return value
