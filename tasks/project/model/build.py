"""Builds and images."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from ...base.model import EnvironmentVariable, Model, PartName

REPOSITORY_PATTERN = r"^[A-Za-z0-9$][A-Za-z0-9._:${}/-]*[A-Za-z0-9}]$"


class Build(Model):
    """A step that turns sources into files before stacks are planned."""

    kind: Literal["node", "command"] = Field(
        description="`node`: a package script, run by npm or pnpm; `command`: your own command."
    )
    path: str = Field(description="The source folder, relative to the repository's root.")
    script: str = Field("build", description="For `node`: the script in package.json that makes the outputs.")
    command: list[str] = Field(
        default_factory=list, description="For `command`: program and arguments, run in the folder without a shell."
    )
    outputs: list[str] = Field(
        default=["build"], min_length=1, description="The files or folders that it makes, relative to its folder."
    )
    depends_on: list[PartName] = Field(default_factory=list, description="Builds that run before this one.")
    environment: list[EnvironmentVariable] = Field(
        default_factory=list, description="Environment variables that affect the result: their values are inputs."
    )
    secrets: list[EnvironmentVariable] = Field(
        default_factory=list, description="Environment variables that it gets although their names look like secrets."
    )
    toolchain: list[list[str]] = Field(
        default_factory=list,
        description="For `command`: commands whose printed versions are inputs: `[[go, version]]`.",
    )
    timeout: Annotated[float, Field(gt=0, le=86_400)] = Field(
        1800, description="Seconds until it is stopped and counts as failed."
    )

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        if (self.kind == "command") != bool(self.command):
            raise ValueError("`command` is required for the kind `command` and not allowed for others")
        if self.kind == "node" and self.toolchain:
            raise ValueError("`toolchain` is only allowed for the kind `command`")
        if any(not command for command in self.toolchain):
            raise ValueError("`toolchain` contains an empty command")
        return self


class Login(Model):
    """The environment variables that hold a registry login."""

    user: EnvironmentVariable = Field(description="The environment variable that holds the user name.")
    password: EnvironmentVariable = Field(description="The environment variable that holds the password or token.")


class Image(Model):
    """An OCI image, tagged with the digest of its inputs."""

    repository: Annotated[str, StringConstraints(pattern=REPOSITORY_PATTERN)] = Field(
        description="Where to push it, without a tag: `registry.example.com/team/app`, or `oci:FOLDER` for a folder"
        " with an OCI image layout. `${ENV}` is filled in."
    )
    context: str = Field(description="The build context: a folder, relative to the repository's root.")
    containerfile: str | None = Field(
        None, description="The Containerfile, relative to the context; by default `Containerfile`, else `Dockerfile`."
    )
    builds: list[PartName] = Field(
        default_factory=list,
        description="Builds that it contains; detected if their outputs are in the context.",
    )
    target: str | None = Field(None, description="The Containerfile stage to build; by default the last one.")
    args: dict[EnvironmentVariable, str] = Field(
        default_factory=dict,
        description="Build arguments, which stay visible in the image, so never secrets. `${ENV}` is filled in.",
    )
    secrets: dict[PartName, EnvironmentVariable] = Field(
        default_factory=dict, description="Secret mounts: an id, and the environment variable that holds the secret."
    )
    labels: dict[str, str] = Field(
        default_factory=dict,
        description="Labels; `{revision}` is the last commit that changed its folders, `${ENV}` is filled in.",
    )
    platforms: list[Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+/[a-z0-9_]+(/[a-z0-9]+)?$")]] = Field(
        default=["linux/amd64"],
        min_length=1,
        description="The platforms to build for; several make one multi-platform image.",
    )
    builder: Literal["auto", "buildah", "podman", "docker"] = Field(
        "auto", description="The program that builds it; `auto`: the first of these that is installed and works."
    )
    attest: list[Literal["sbom", "provenance"]] = Field(
        default_factory=list,
        description="Attestations by docker buildx; an image with provenance is not reproducible.",
    )
    login: Login | None = Field(None, description="The registry login; docs/builds.md says what is tried without it.")
    insecure: bool = Field(False, description="True: allow plain HTTP and untrusted certificates.")
    optional: bool = Field(
        False,
        description="True: if it cannot be built or pushed here, say so once and continue with the tag; an error where"
        " a key signs what is deployed.",
    )
    timeout: Annotated[float, Field(gt=0, le=86_400)] = Field(
        3600, description="Seconds until it is stopped and counts as failed."
    )
