"""The keys `stacks`, `engine`, `backend` and `deploy`."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, StringConstraints, WithJsonSchema, field_validator

from ...base.model import Model, OutputReference, PartName, Seconds, StackName, VariableName
from ...checks.registry import OfItsKind

if TYPE_CHECKING:
    from ...checks.check import Check as AnyCheck
else:
    AnyCheck = Annotated[Any, OfItsKind()]  # each kind has its own model, imported only if it is used


ExactNumber = Annotated[Decimal, WithJsonSchema({"type": "number"})]  # one that a float would change


class Engine(Model):
    """The engine, and how long to wait for it."""

    kind: Literal["tofu", "terraform"] = Field(
        "tofu", description="`tofu`, or `terraform` for stacks not yet migrated."
    )
    version: str = Field("1.12.6", description="An exact version, or a constraint like `>=1.12, <2` or `~> 1.12.0`.")
    path: str | None = Field(
        None, description="Path of the engine's binary; by default it is found on PATH, downloaded or built."
    )
    releases: str | None = Field(None, description="Base URL of a mirror of the engine's official releases; https.")
    sha256: list[Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]] = Field(
        default_factory=list,
        description="SHA-256 of engines that may run besides published releases: of one that you built, or of"
        " an archive to download.",
    )
    lock_timeout: Seconds = Field(60, description="Seconds to wait for a state lock that another process holds.")
    progress: Seconds = Field(
        60,
        description="Seconds after which an apply says what it waits for, again and again, without a terminal; 0:"
        " never.",
    )
    provider_memory: int = Field(
        500,
        ge=1,
        description="Megabytes that the process of a provider takes: no more engine processes run at once than the"
        " machine, or its container, has memory for.",
    )
    grace: Seconds | None = Field(
        None,
        description="Seconds that a stopping run waits for its engine processes; by default as long as they take."
        " After that it lists them and exits; each continues until it has saved its state.",
    )

    @field_validator("version")
    @classmethod
    def _version_is_a_constraint(cls, value: str) -> str:
        from ...base.version import VersionConstraint

        VersionConstraint.parse(value)
        return value


class Backend(Model):
    """Where states are kept; `{stack}`, `{environment}`, `{root}` and `${ENV}` are filled in."""

    kind: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")] = Field(
        description="The backend type: local, http, pg, s3, ..."
    )
    settings: dict[str, str | int | float | ExactNumber | bool | list[Any] | dict[str, Any]] = Field(
        default_factory=dict,
        description="Its settings; pass credentials in environment variables (TF_HTTP_*, PG*, AWS_*).",
    )


class VarFile(Model):
    """A var file that may be optional."""

    path: str = Field(description="Relative to the stack; `{stack}` and `{environment}` are filled in.")
    optional: bool = Field(False, description="True: the file may be missing.")


class Stack(Model):
    """A root module with one state per environment; whatever is not set here is read from its folder."""

    path: str | None = Field(
        None, description="The root module's folder; by default `stacks/<name>` or the discovered folder."
    )
    enabled: bool = Field(True, description="False: the stack does not exist in this environment.")
    depends_on: list[StackName] = Field(default_factory=list, description="Stacks to deploy before this one.")
    independent_of: list[StackName] = Field(
        default_factory=list,
        description="Stacks whose state this one reads although they need not be deployed before it.",
    )
    inputs: dict[VariableName, OutputReference] = Field(
        default_factory=dict,
        description="Variables set from outputs of upstream stacks: `{subnet: network.subnet_id}`.",
    )
    mocks: dict[VariableName, Any] = Field(
        default_factory=dict,
        description="Stand-ins for `inputs` that do not exist yet; for review only, never applied.",
    )
    variables: dict[VariableName, Any] = Field(default_factory=dict, description="Values for the stack's variables.")
    volatile_variables: list[VariableName] = Field(
        default_factory=list,
        description="More variables of this stack whose values are not inputs; see the top-level key of the same name.",
    )
    var_files: list[str | VarFile] = Field(
        default_factory=list,
        description="Var files in order, relative to the stack; a missing one is an error unless it is optional.",
    )
    watch: list[str] = Field(
        default_factory=list,
        description="Globs of further files that can change the plan, relative to the stack: `*`, `?`, `[a-z]`,"
        " `{a,b}`, `**` for any depth. A folder means everything in it. `{environment}` and the like are filled in.",
    )
    builds: list[PartName] = Field(
        default_factory=list,
        description="Builds whose outputs the stack reads; detected if its files name them.",
    )
    images: dict[VariableName, PartName] = Field(
        default_factory=dict, description="Variables set to the reference of an image."
    )
    owners: list[str] = Field(
        default_factory=list, description="Who owns the stack, for the dashboard; by default as CODEOWNERS says."
    )
    backend: Backend | None = Field(None, description="The stack's own backend, instead of the common one.")
    verify: list[AnyCheck] = Field(default_factory=list, description="Checks that must pass after each apply.")


class Deploy(Model):
    """How deploys are remembered, and what they keep."""

    tag: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_{][A-Za-z0-9_./{}-]*$")] | None = Field(
        None,
        description="A git tag that a complete deploy moves to its commit, and that says what a deploy has begun:"
        " `deployed-{environment}`.",
    )
    push: bool = Field(False, description="True: push the tag to `origin`.")
    state_copies: int = Field(
        3,
        ge=0,
        le=100,
        description="How many encrypted copies of each state are kept below `.deploy/<env>/states`, made before and"
        " after an apply if there is an encryption key; 0: none.",
    )
    on_failed_check: Literal["warn", "fail"] = Field(
        "warn",
        description="If a `check` block fails after an apply: `warn`, or `fail` the deploy of the stack; the next"
        " deploys check again until it passes.",
    )
