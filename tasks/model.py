"""The shape of the configuration: frozen, typed, each key with one line that the schema and the docs show too."""

from __future__ import annotations

import re
from datetime import date  # noqa: TC003 - pydantic reads the annotations
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$"
ENVIRONMENT_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"
REPOSITORY_PATTERN = r"^[A-Za-z0-9$][A-Za-z0-9._:${}/-]*[A-Za-z0-9}]$"
DEFAULT_KEY_VARIABLE = "DEPLOY_ENCRYPTION_KEY"

StackName = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
EnvironmentName = Annotated[str, StringConstraints(pattern=ENVIRONMENT_PATTERN)]
PartName = Annotated[str, StringConstraints(pattern=ENVIRONMENT_PATTERN)]
EnvironmentVariable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
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


class HttpCheck(Model):
    """True when a URL answers as expected."""

    kind: Literal["http"]
    url: str = Field(description="`{outputs.NAME}`, `{stack}`, `{environment}` and `${ENV}` are filled in.")
    method: Literal["GET", "HEAD", "POST", "PUT", "OPTIONS"] = Field("GET", description="The request's method.")
    status: int | list[int] = Field(200, description="The expected status, or a list of them.")
    contains: str | None = Field(None, description="Text that the body must contain; filled in like `url`.")
    timeout: Seconds = Field(60, description="Seconds until the check has failed.")
    interval: Annotated[float, Field(gt=0, le=3600)] = Field(1, description="Seconds between two tries.")

    @property
    def statuses(self) -> list[int]:
        """The accepted statuses."""
        return self.status if isinstance(self.status, list) else [self.status]


Check = HttpCheck  # further kinds join here as a union, told apart by `kind`


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
    builds: list[PartName] = Field(
        default_factory=list,
        description="Builds whose outputs the stack reads; found by itself where its files name them.",
    )
    images: dict[VariableName, PartName] = Field(
        default_factory=dict, description="Variable of this stack from an image: it gets the image's reference."
    )
    backend: Backend | None = Field(None, description="This stack's own backend, in place of the common one.")
    verify: list[Check] = Field(default_factory=list, description="Checks that must come true after each apply.")


class Build(Model):
    """Something that is made of sources before stacks are planned: outputs in its folder."""

    kind: Literal["node", "command"] = Field(description="`node`: a package's script by npm or pnpm; `command`: yours.")
    path: str = Field(description="The folder of its sources, relative to the repository's root.")
    script: str = Field("build", description="For `node`: the script of package.json that makes the outputs.")
    command: list[str] = Field(
        default_factory=list, description="For `command`: program and arguments, no shell; run in the folder."
    )
    outputs: list[str] = Field(
        default=["build"], min_length=1, description="What it makes: folders or files, relative to its folder."
    )
    depends_on: list[PartName] = Field(default_factory=list, description="Builds that are made before this one.")
    environment: list[EnvironmentVariable] = Field(
        default_factory=list, description="Environment variables that change what is made: their values count."
    )
    secrets: list[EnvironmentVariable] = Field(
        default_factory=list, description="Environment variables that it gets although their names say they are secret."
    )
    toolchain: list[list[str]] = Field(
        default_factory=list, description="For `command`: commands that print a version that counts: `[[go, version]]`."
    )
    timeout: Annotated[float, Field(gt=0, le=86_400)] = Field(1800, description="Seconds until it is ended and failed.")

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        if (self.kind == "command") != bool(self.command):
            raise ValueError("`command` is for the kind `command`, which needs one")
        if self.kind == "node" and self.toolchain:
            raise ValueError("`toolchain` is for the kind `command`: of the kind `node` it is known")
        if any(not command for command in self.toolchain):
            raise ValueError("a command of `toolchain` is empty")
        return self


class Login(Model):
    """Which environment variables hold the login of a registry."""

    user: EnvironmentVariable = Field(description="Names the variable that holds the user.")
    password: EnvironmentVariable = Field(description="Names the variable that holds the password or token.")


class Image(Model):
    """An OCI image, whose tag is the digest of what it is made of."""

    repository: Annotated[str, StringConstraints(pattern=REPOSITORY_PATTERN)] = Field(
        description="Where it is pushed, without a tag: `registry.example.com/team/app`; `${ENV}` is filled in."
    )
    context: str = Field(description="The folder that the builder sees, relative to the repository's root.")
    containerfile: str | None = Field(
        None, description="Relative to the context; by default `Containerfile`, else `Dockerfile`."
    )
    builds: list[PartName] = Field(
        default_factory=list,
        description="Builds that it contains; found by itself where their outputs lie in the context.",
    )
    target: str | None = Field(None, description="The stage of the Containerfile to build; by default the last one.")
    args: dict[EnvironmentVariable, str] = Field(
        default_factory=dict,
        description="Build arguments, never secret: they stay in the image. `${ENV}` is filled in.",
    )
    secrets: dict[PartName, EnvironmentVariable] = Field(
        default_factory=dict, description="Secret mounts: their id, and the environment variable that holds the secret."
    )
    labels: dict[str, str] = Field(
        default_factory=dict,
        description="Labels; `{revision}` is the last commit that changed its folders, `${ENV}` is filled in.",
    )
    platforms: list[Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+/[a-z0-9_]+(/[a-z0-9]+)?$")]] = Field(
        default=["linux/amd64"], min_length=1, description="For which platforms; several make one multi-platform image."
    )
    builder: Literal["auto", "buildah", "podman", "docker"] = Field(
        "auto", description="Which program builds it; `auto`: the first of these that is there and works."
    )
    attest: list[Literal["sbom", "provenance"]] = Field(
        default_factory=list,
        description="What docker buildx attaches; an image with provenance is no longer reproducible.",
    )
    login: Login | None = Field(None, description="Its registry's login; see docs/builds.md for what is tried without.")
    insecure: bool = Field(False, description="True: plain HTTP, or a certificate that nobody vouches for, is fine.")
    optional: bool = Field(
        False, description="True: where nothing can build or push it, say so once and go on with the tag."
    )
    timeout: Annotated[float, Field(gt=0, le=86_400)] = Field(3600, description="Seconds until it is ended and failed.")


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
            "this names the environment variable that holds the secret (capitals, digits, `_`; at most 50),"
            " never the secret itself; if it is one, it must be replaced",
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
    on_unreviewed: Literal["warn", "fail"] = Field(
        "warn",
        description="When a deploy would do what its merge request's plan did not show, or came without one: `warn`, or"
        " `fail` before anything is applied.",
    )
    values: Literal["shown", "hidden"] = Field(
        "shown",
        description="`hidden`: no attribute or output values in plan.json, results and reports; addresses, actions and"
        " field names stay.",
    )


class Forge(Model):
    """GitLab or GitHub: where comments on merge requests and commit statuses go."""

    kind: Literal["auto", "gitlab", "github", "none"] = Field(
        "auto", description="`auto`: as the CI's variables tell. `none`: no forge is told or asked anything."
    )
    url: str | None = Field(
        None,
        pattern=r"^https?://[^@\s]+$",
        description="The API's base URL; by default the CI's: `https://gitlab.example.com/api/v4`.",
    )
    project: str | None = Field(
        None, description="The project that has the merge requests: GitLab's id or path, GitHub's `owner/name`."
    )
    token: Annotated[str | None, BeforeValidator(_names_a_variable)] = Field(
        None,
        description="The environment variable that holds the token, never the token; by default `GITLAB_TOKEN` or"
        " `GITHUB_TOKEN`.",
    )
    comment: bool = Field(True, description="False: no comments on merge requests.")
    status: bool = Field(True, description="False: no commit statuses.")
    timeout: Annotated[float, Field(gt=0, le=3600)] = Field(
        60, description="Seconds that a run may spend on telling, or asking, the forge, retries included."
    )


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


class Reports(Model):
    """How reports look."""

    templates: str | None = Field(
        None, description="A folder of your own templates, relative to the repository's root: `config/templates`."
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
    when: Literal["before", "after"] = Field(description="Before the stage, which waits for it, or after it.")
    stacks: list[str] = Field(default=["*"], min_length=1, description="Globs of stack names.")
    command: list[str] = Field(
        min_length=1,
        description="Program and arguments, no shell; `{stack}`, `{environment}`, `{stage}`, `{root}`, `{path}`,"
        " `{organization.KEY}` and `${ENV}` are filled in.",
    )
    timeout: Annotated[float, Field(gt=0, le=86_400)] = Field(60, description="Seconds until it is ended and failed.")


class History(Model):
    """How many records of runs are kept in `.deploy/<env>/runs`."""

    keep: int = Field(1000, ge=0, le=100_000, description="The latest runs that are kept; 0: none is recorded.")
    days: Annotated[float, Field(gt=0, le=3650)] | None = Field(
        None, description="Days after which a run's record is removed; by default only their number counts."
    )


class Publish(Model):
    """Where `doit publish` puts run records and reports for the dashboard."""

    to: str | None = Field(
        None,
        description="A folder, an `http(s)://` address that takes PUT, or `s3://bucket/prefix`; `${ENV}` is filled in.",
    )
    token: KeyVariable | None = Field(
        "DEPLOY_PUBLISH_TOKEN",
        description="The environment variable that holds the token for an HTTP address, never the token itself.",
    )
    header: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9-]*$")] = Field(
        "Authorization",
        description="The header that carries it: `Authorization` as a bearer token, any other as it is (`JOB-TOKEN`).",
    )
    endpoint: str | None = Field(None, description="The S3 endpoint, where it is not Amazon's; `${ENV}` is filled in.")
    automatic: bool = Field(
        False, description="True: every run publishes when it ends; a failure is told, and changes no exit code."
    )
    timeout: Annotated[float, Field(gt=0, le=600)] = Field(30, description="Seconds that one request may take.")


class Organization(Model):
    """A YAML file of your own, whose values are usable as `{organization.KEY}`."""

    file: str = Field(description="The file, relative to the repository's root.")
    schema_file: str | None = Field(
        None, alias="schema", description="Its JSON Schema (JSON or YAML), relative to the repository's root."
    )


def _names_a_url(value: object) -> object:
    """`${NAME}` alone; what is found is not shown, as it may be a URL with its credentials."""
    name = re.fullmatch(r"\$\{([A-Za-z_][A-Za-z0-9_]{0,99})\}", value) if isinstance(value, str) else None
    if value is not None and name is None:
        raise PydanticCustomError(
            "secret_value",
            "this names an environment variable, as in ${SLACK_URL}, and nothing else: URLs of notifications and"
            " signing secrets are secrets, never written here; if this was one, it must be replaced",
        )
    return name[1] if name else None


UrlVariable = Annotated[
    str, BeforeValidator(_names_a_url), WithJsonSchema({"type": "string", "pattern": r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$"})
]
Event = Literal["failure", "drift", "recovery", "deploy"]
Command = Literal["validate", "plan", "deploy", "verify", "drift"]


class Channel(Model):
    """Somebody who is told what happened."""

    url: UrlVariable = Field(
        description="`${NAME}`: the environment variable that holds the URL, one of apprise or of a webhook."
    )
    name: Annotated[str, StringConstraints(pattern=ENVIRONMENT_PATTERN)] | None = Field(
        None, description="What it is called in messages and records; by default the variable's name."
    )
    kind: Literal["apprise", "webhook"] = Field(
        "apprise", description="`apprise`: chat, mail and the like; `webhook`: signed JSON (Standard Webhooks)."
    )
    secret: UrlVariable | None = Field(
        None, description="`${NAME}`: the environment variable that holds a webhook's signing secret."
    )
    on: list[Event] = Field(default=["failure", "drift", "recovery"], min_length=1, description="What it is told.")
    environments: list[str] = Field(default=["*"], min_length=1, description="Globs of environments.")
    stacks: list[str] = Field(default=["*"], min_length=1, description="Globs of stack names.")
    commands: list[Command] = Field(
        default=["deploy", "verify", "drift"],
        min_length=1,
        description="The commands whose runs it is told of; a merge request's `plan` is not one by default.",
    )
    repeat: Annotated[float, Field(gt=0, le=8760)] | None = Field(
        None, description="Hours after which what still fails or drifts is told again; by default never."
    )
    timeout: Annotated[float, Field(gt=0, le=300)] = Field(10, description="Seconds that telling it may take in all.")
    title: str | None = Field(None, description="A Jinja2 template of the title, in place of the built-in one.")
    body: str | None = Field(None, description="A Jinja2 template of the text, in place of the built-in one.")

    @property
    def label(self) -> str:
        """What it is called; never the URL."""
        return self.name or self.url

    @model_validator(mode="after")
    def _webhooks_are_signed(self) -> Self:
        if (self.kind == "webhook") != (self.secret is not None):
            raise ValueError("`kind: webhook` and `secret` belong together: a webhook is signed, nothing else is")
        return self


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
    history: History = Field(default_factory=History, description="Records of runs.")  # type: ignore[arg-type]
    publish: Publish = Field(
        default_factory=Publish,  # type: ignore[arg-type]
        description="Publishing of run records.",
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
