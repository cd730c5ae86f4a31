"""The whole configuration."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, field_validator
from pydantic_core import PydanticCustomError

from ...base.model import EnvironmentName, Model, PartName, StackName
from .around import Hook, Organization, Upstream
from .build import Build, Image
from .ci import Ci
from .ledger import AnyLedger
from .plan import Encryption, Plan
from .policy import Policy
from .stack import Backend, Deploy, Drift, Engine, Stack
from .told import Channel, Forge, History, Publish, Reports


class Config(Model):
    """doit-tofu's configuration: `config/pipeline.yaml`, then `config/environments/<env>.yaml`, then `DEPLOY_*`."""

    model_config = ConfigDict(title="doit-tofu pipeline")

    version: Literal[1] = Field(description="The version of this format.")
    default_environment: EnvironmentName = Field("local", description="The environment when none is named.")
    engine: Engine = Field(default_factory=Engine, description="The engine and its version.")  # type: ignore[arg-type]
    discover: list[str] = Field(default=["stacks/*"], description="Globs of folders that hold root modules.")
    backend: Backend | None = Field(None, description="Where state is kept; by default what each stack says.")
    stacks: dict[StackName, Stack] = Field(
        default_factory=dict, description="Stacks, where they differ from the defaults."
    )
    builds: dict[PartName, Build] = Field(default_factory=dict, description="What is built before stacks are planned.")
    images: dict[PartName, Image] = Field(default_factory=dict, description="Images that stacks deploy.")
    encryption: Encryption = Field(
        default_factory=Encryption,  # type: ignore[arg-type]
        description="Encryption of plans and states.",
    )
    plan: Plan = Field(default_factory=Plan, description="Rules for plan artifacts.")  # type: ignore[arg-type]
    secrets: list[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_*?]+$")]] = Field(
        default_factory=list,
        description="Environment variables, by name or glob, whose values are secrets although their names do not tell"
        " so: `DATABASE_URL`, `ACME_*`.",
    )
    follows: EnvironmentName | None = Field(
        None, description="The environment that must have a stack's code first; `plan` says what it has not."
    )
    forge: Forge = Field(
        default_factory=Forge,  # type: ignore[arg-type]
        description="Comments on merge requests, and commit statuses.",
    )
    deploy: Deploy = Field(default_factory=Deploy, description="How deploys are remembered.")  # type: ignore[arg-type]
    drift: Drift = Field(default_factory=Drift, description="Rules for drift.")  # type: ignore[arg-type]
    policy: Policy = Field(default_factory=Policy, description="What plans are judged by.")  # type: ignore[arg-type]
    reports: Reports = Field(default_factory=Reports, description="How reports look.")  # type: ignore[arg-type]
    upstream: Upstream | None = Field(None, description="What this repository is an overlay of.")
    hooks: list[Hook] = Field(default_factory=list, description="Commands of yours around the stages.")
    ci: Ci = Field(default_factory=Ci, description="The pipeline that `doit ci` writes.")  # type: ignore[arg-type]
    history: History = Field(default_factory=History, description="Records of runs.")  # type: ignore[arg-type]
    publish: Publish = Field(
        default_factory=Publish,  # type: ignore[arg-type]
        description="Publishing of run records.",
    )
    ledger: AnyLedger = Field(
        "none", description="Where deployments are recorded for every machine; `none`: in `.deploy` of this one alone."
    )
    organization: Organization | None = Field(None, description="Your own values, for all of the configuration.")
    notify: list[Channel] = Field(default_factory=list, description="Who is told of failures, drift and recoveries.")

    @field_validator("notify")
    @classmethod
    def _channels_have_names(cls, value: list[Channel]) -> list[Channel]:
        labels = [channel.label for channel in value]
        if twice := sorted({label for label in labels if labels.count(label) > 1}):
            raise PydanticCustomError(
                "secret_value", f"two channels are called {twice[0]}: give each a `name` of its own"
            )
        return value
