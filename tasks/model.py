"""The shape of the configuration: frozen, typed, each key with one line that the schema and the docs show too."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from .checks.registry import OfItsKind

NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$"
ENVIRONMENT_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"
DEFAULT_KEY_VARIABLE = "DEPLOY_ENCRYPTION_KEY"

StackName = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
EnvironmentName = Annotated[str, StringConstraints(pattern=ENVIRONMENT_PATTERN)]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")]
OutputReference = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]*\.[A-Za-z_][A-Za-z0-9_-]*$")]
Seconds = Annotated[float, Field(ge=0, le=86_400)]


class Model(BaseModel):
    """Base of all parts: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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
        from .version import VersionConstraint

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


if TYPE_CHECKING:
    from .checks.check import Check as AnyCheck
else:
    AnyCheck = Annotated[Any, OfItsKind()]  # each kind has its own model, found when the configuration names it


class Stack(Model):
    """A root module with one state per environment; what is not said here is found in its folder."""

    path: str | None = Field(None, description="The root module's folder; by default `stacks/<name>` or as discovered.")
    enabled: bool = Field(True, description="False: this environment does not have the stack.")
    depends_on: list[StackName] = Field(default_factory=list, description="Stacks that are deployed before this one.")
    inputs: dict[VariableName, OutputReference] = Field(
        default_factory=dict, description="Variable of this stack from an upstream's output: `network.subnet_id`."
    )
    mocks: dict[VariableName, Any] = Field(
        default_factory=dict, description="Stand-ins for `inputs` not there yet; for review, never applied."
    )
    variables: dict[VariableName, Any] = Field(default_factory=dict, description="Values for the stack's variables.")
    var_files: list[str | VarFile] = Field(
        default_factory=list, description="Var files in order, relative to the stack; a missing one is an error."
    )
    watch: list[str] = Field(
        default_factory=list, description="More files that can change the plan: globs, relative to the stack."
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


def _names_a_variable(value: object) -> object:
    """`NAME` or `${NAME}`; what is found is not shown, as it may be the secret itself."""
    name = re.fullmatch(r"\$\{([^}]*)\}|(.*)", value, re.DOTALL) if isinstance(value, str) else None
    found = (name[1] or name[2]) if name else None
    if value is not None and (found is None or not re.fullmatch(r"[A-Z_][A-Z0-9_]{0,49}", found)):
        raise PydanticCustomError(
            "secret_value",
            "this names the environment variable that holds the passphrase (capitals, digits, `_`; at most 50),"
            " never the passphrase itself; if it is one, it must be replaced",
        )
    return found


KeyVariable = Annotated[str, BeforeValidator(_names_a_variable)]


class Encryption(Model):
    """Encryption of plans and states by the engine, and signatures of plan artifacts; for `engine.kind: tofu`."""

    key: Annotated[str | None, BeforeValidator(_names_a_variable)] = Field(
        DEFAULT_KEY_VARIABLE,
        description="The environment variable that holds the passphrase (16 characters or more), never the passphrase."
        " The default one turns encryption on when it is set; any other must be set. `null`: no encryption.",
    )
    previous: list[KeyVariable] = Field(
        default_factory=list,
        description="Variables that hold former passphrases: states are read with them, and written with `key`.",
    )
    state: bool = Field(True, description="Whether states are encrypted too; plans are, whenever a key is set.")
    migrate: bool = Field(
        False,
        description="True: states in clear are read, and encrypted by the next deploy (with `state: false`, the other"
        " way round). Set it back to false then: until that, a state in clear is taken for a good one.",
    )
    remote_state: Literal["encrypted", "any"] = Field(
        "encrypted", description="`any`: terraform_remote_state may also read states that are in clear."
    )


class Plan(Model):
    """What is asked of a plan artifact."""

    max_age: float = Field(
        168, gt=0, le=8760, description="Hours after which a plan artifact is too old to be applied."
    )
    require_encryption: bool = Field(False, description="True: no plan is made or applied unless a key is set.")
    require_clean: bool = Field(
        False, description="True: a tree with uncommitted changes is not planned, nor a plan of such a tree applied."
    )
    on_stale: Literal["refuse", "replan"] = Field(
        "refuse",
        description="When the state moved on since a plan was made: `refuse` it, or `replan` and apply the new plan.",
    )
    values: Literal["shown", "hidden"] = Field(
        "shown",
        description="`hidden`: no attribute or output values in plan.json, results and reports; addresses, actions and"
        " field names stay.",
    )


class Upstream(Model):
    """The repository that this one is an overlay of; said in `config/pipeline.yaml` of the overlay alone."""

    path: str | None = Field(None, description="Its folder, relative to this repository's root or absolute.")
    git: str | None = Field(
        None, description="Its git URL (https, ssh, file, git@host:path) or path; `${ENV}` is filled in."
    )
    ref: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+/#@=-]*$",
        description="Its tag or branch, pinned to a commit by config/upstream.lock, or a full commit id.",
    )
    check: bool = Field(
        True, description="False: trust config/upstream.lock, do not ask whether the ref still is that commit."
    )
    timeout: Annotated[float, Field(gt=0, le=86_400)] = Field(600, description="Seconds that a fetch may take.")

    @field_validator("ref")
    @classmethod
    def _ref_is_one_name(cls, value: str | None) -> str | None:
        if value and (".." in value or value.endswith((".lock", "/"))):
            raise ValueError("this is no name of a tag or branch")
        return value

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        if (self.path is None) == (self.git is None):
            raise ValueError("an upstream is either a `path`, or a `git` URL with a `ref`")
        if (self.git is None) != (self.ref is None):
            raise ValueError("`git` and `ref` belong together: a path is taken as it is")
        return self


class Hook(Model):
    """A command of yours that runs before or after a stage of each stack it is for."""

    stage: Literal["validate", "plan", "deploy", "verify", "drift"] = Field(description="The stage.")
    when: Literal["before", "after", "failure"] = Field(
        description="Before the stage, which waits for it; after it, when it was done; or when it failed."
    )
    stacks: list[str] = Field(default=["*"], min_length=1, description="Globs of stack names.")
    command: list[str] = Field(
        min_length=1,
        description="Program and arguments, no shell; `{stack}`, `{environment}`, `{stage}`, `{root}`, `{path}`,"
        " `{organization.KEY}`, `${ENV}`, and with `when: failure` also `{error}` are filled in.",
    )
    timeout: Annotated[float, Field(gt=0, le=86_400)] = Field(60, description="Seconds until it is ended and failed.")


class Organization(Model):
    """A YAML file of your own, whose values are usable as `{organization.KEY}`."""

    file: str = Field(description="The file, relative to the repository's root.")
    schema_file: str | None = Field(
        None, alias="schema", description="Its JSON Schema (JSON or YAML), relative to the repository's root."
    )


class Config(BaseSettings):
    """doit-tofu's configuration: `config/pipeline.yaml`, then `config/environments/<env>.yaml`, then `DEPLOY_*`."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix="DEPLOY_", env_nested_delimiter="__", title="doit-tofu pipeline"
    )

    version: Literal[1] = Field(description="The version of this format.")
    default_environment: EnvironmentName = Field("local", description="The environment when none is named.")
    engine: Engine = Field(default_factory=Engine, description="The engine and its version.")  # type: ignore[arg-type]
    discover: list[str] = Field(default=["stacks/*"], description="Globs of folders that hold root modules.")
    backend: Backend | None = Field(None, description="Where state is kept; by default what each stack says.")
    stacks: dict[StackName, Stack] = Field(
        default_factory=dict, description="Stacks, where they differ from the defaults."
    )
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
    deploy: Deploy = Field(default_factory=Deploy, description="How deploys are remembered.")  # type: ignore[arg-type]
    drift: Drift = Field(default_factory=Drift, description="Rules for drift.")  # type: ignore[arg-type]
    upstream: Upstream | None = Field(None, description="What this repository is an overlay of.")
    hooks: list[Hook] = Field(default_factory=list, description="Commands of yours around the stages.")
    organization: Organization | None = Field(None, description="Your own values, for all of the configuration.")
