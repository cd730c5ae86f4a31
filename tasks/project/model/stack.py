"""Stacks, the engine that runs them, and where their state is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator

from ...base.model import Model, OutputReference, PartName, Seconds, StackName, VariableName
from ...checks.registry import OfItsKind

if TYPE_CHECKING:
    from ...checks.check import Check as AnyCheck
else:
    AnyCheck = Annotated[Any, OfItsKind()]  # each kind has its own model, found when the configuration names it


class Engine(Model):
    """Which engine runs, and how it is waited for."""

    kind: Literal["tofu", "terraform"] = Field("tofu", description="`tofu`, or `terraform` for a stack not yet moved.")
    version: str = Field("1.12.6", description="An exact version, or a constraint like `>=1.12, <2` or `~> 1.12.0`.")
    path: str | None = Field(None, description="The engine's binary; by default found on PATH, downloaded or built.")
    releases: str | None = Field(None, description="Base URL of a mirror of the engine's official releases.")
    lock_timeout: Seconds = Field(60, description="Seconds to wait for a state lock that somebody else holds.")
    grace: Seconds | None = Field(
        None,
        description="Seconds that a run which was told to stop waits for its engine processes; by default as long as"
        " they take. After that they are left alone, and named: each goes on until it has saved its state.",
    )

    @field_validator("version")
    @classmethod
    def _version_is_a_constraint(cls, value: str) -> str:
        from ...base.version import VersionConstraint

        VersionConstraint.parse(value)
        return value


class Backend(Model):
    """Where state is kept; `{stack}`, `{environment}`, `{root}` and `${ENV}` are filled in."""

    kind: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")] = Field(
        description="The backend's type: local, http, pg, s3, ..."
    )
    settings: dict[str, str | int | float | bool | list[Any] | dict[str, Any]] = Field(
        default_factory=dict, description="Its settings; credentials belong in the environment (TF_HTTP_*, PG*, AWS_*)."
    )


class VarFile(Model):
    """A var file that may be missing."""

    path: str = Field(description="Relative to the stack; `{stack}` and `{environment}` are filled in.")
    optional: bool = Field(False, description="True: not an error when there is no such file.")


class Stack(Model):
    """A root module with one state per environment; what is not said here is found in its folder."""

    path: str | None = Field(None, description="The root module's folder; by default `stacks/<name>` or as discovered.")
    enabled: bool = Field(True, description="False: this environment does not have the stack.")
    depends_on: list[StackName] = Field(default_factory=list, description="Stacks that are deployed before this one.")
    independent_of: list[StackName] = Field(
        default_factory=list,
        description="Stacks whose state this one reads although they need not be deployed before it.",
    )
    inputs: dict[VariableName, OutputReference] = Field(
        default_factory=dict, description="Variable of this stack from an upstream's output: `network.subnet_id`."
    )
    mocks: dict[VariableName, Any] = Field(
        default_factory=dict, description="Stand-ins for `inputs` not there yet; for review, never applied."
    )
    variables: dict[VariableName, Any] = Field(default_factory=dict, description="Values for the stack's variables.")
    volatile_variables: list[VariableName] = Field(
        default_factory=list,
        description="More variables of this stack whose values are no inputs, see the key of this name at the top.",
    )
    var_files: list[str | VarFile] = Field(
        default_factory=list, description="Var files in order, relative to the stack; a missing one is an error."
    )
    watch: list[str] = Field(
        default_factory=list, description="More files that can change the plan: globs, relative to the stack."
    )
    builds: list[PartName] = Field(
        default_factory=list,
        description="Builds whose outputs the stack reads; found by itself where its files name them.",
    )
    images: dict[VariableName, PartName] = Field(
        default_factory=dict, description="Variable of this stack from an image: it gets the image's reference."
    )
    backend: Backend | None = Field(None, description="This stack's own backend, in place of the common one.")
    verify: list[AnyCheck] = Field(default_factory=list, description="Checks that must come true after each apply.")


class Deploy(Model):
    """How a deploy is remembered where no receipts are kept."""

    tag: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_{][A-Za-z0-9_./{}-]*$")] | None = Field(
        None, description="A git tag that a complete deploy moves to its commit: `deployed-{environment}`."
    )
    push: bool = Field(False, description="True: push that tag to `origin`.")


class Drift(Model):
    """What `doit drift` makes of what it finds."""

    undeployed: Literal["alert", "report"] = Field(
        "alert",
        description="`alert`: code that was never deployed ends with 2, as drift does; `report`: it is only told.",
    )
