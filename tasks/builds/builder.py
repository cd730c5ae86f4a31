"""Runs the programs that build and push images; secrets are never on their command line."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..base import process
from ..base.errors import BuildError, StoppedError
from ..base.files import read_json, sha256_bytes
from ..base.layout import CACHE_VARIABLE, cache_dir
from . import hints, probe
from .reference import bases, is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..run.run import Run
    from .reference import Repository

LOGINS, DOCKER_LOGINS = "auth.json", "config.json"  # in a job's private folder; the second name is docker's
_NAMES = ("buildah", "podman", "docker")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LONGEST_RUN_FOLDER = 50  # characters, of podman
_WAYS = (
    "install buildah (Debian: apt-get install buildah), which needs neither a daemon nor root; or podman; or docker"
    " with buildx and a working builder; or run this where one of them is installed, or push the image from there"
)


@dataclass(frozen=True)
class Job:
    """An image to build and push.

    `folder` holds only the files that belong to the image, with plain modes and times; `private` is a folder that only
    this user can read. `reference` is the repository with the tag; without a repository it is only the builder's local
    name for the image, which is written to `layout`, an OCI image layout. `login` says where the login comes from.
    """

    name: str
    folder: Path
    containerfile: Path
    private: Path
    repository: Repository | None
    reference: str
    platforms: list[str]
    target: str | None
    args: dict[str, str]
    labels: dict[str, str]
    secrets: dict[str, str]
    attest: list[str]
    insecure: bool
    timeout: float
    login: str | None
    environment: dict[str, str] = field(repr=False, default_factory=dict)

    @property
    def layout(self) -> Path:
        """The image layout that an image without a repository is written to."""
        return self.private / "layout"

    @property
    def without_tls(self) -> bool:
        """Whether the push may go without TLS."""
        return self.repository is not None and (self.insecure or self.repository.is_local)


class Builder(Protocol):
    """A program that builds and pushes."""

    name: str

    def push(self, run: Run, job: Job) -> str:
        """Build and push; returns the digest of the manifest that was pushed."""


def choose(run: Run, image: str) -> Builder:
    """The builder for an image: the configured one, otherwise the first one that works here.

    Raises:
        BuildError: No builder works; the message says what was tried and what to install.
    """
    settings = run.project.config.images[image]
    names = [settings.builder] if settings.builder != "auto" else ["docker"] if settings.attest else list(_NAMES)
    misses = []
    for name in names:
        problem = probe.problem(run, name)
        if problem is None:
            return Docker() if name == "docker" else Buildah(name)
        misses.append(problem)
    raise BuildError(
        f"no working image builder was found: {'; '.join(misses)}",
        key=f"images.{image}", where=run.project.loaded.where("images", image),
        untouched="nothing was built, planned or applied", next_step=_WAYS,
    )  # fmt: skip


class Buildah:
    """buildah, or podman, which uses it to build: no daemon, no root, and its own store in our cache.

    It uses `chroot` isolation and the `vfs` driver, which work in any CI container. `BUILDAH_ISOLATION` and
    `STORAGE_DRIVER` change that; setting the latter also selects the builder's default store.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def push(self, run: Run, job: Job) -> str:
        """Build and push; returns the digest of the manifest that was pushed."""
        several = len(job.platforms) > 1
        command = [self.name, *self._store(job)]
        names = ["--manifest", job.reference] if several else ["--tag", job.reference]
        isolation = [] if "BUILDAH_ISOLATION" in job.environment else ["--isolation", "chroot"]
        _run(run, job, [
            *command, "build", *isolation, "--format", "oci", "--timestamp", "0", "--identity-label=false",
            "--layers=false", f"--platform={','.join(job.platforms)}", *names, *_common(job), *self._plain(job),
            str(job.folder),
        ])  # fmt: skip
        digest = job.private / "digest"
        tls = ["--tls-verify=false"] if job.without_tls else []
        target = f"docker://{job.reference}" if job.repository else f"oci:{job.layout}"
        pushing = ["manifest", "push", "--all"] if several else ["push"]
        try:
            _run(run, job, [
                *command, *pushing, *tls, "--digestfile", str(digest), job.reference, target,
            ])  # fmt: skip
        finally:
            removing = ["manifest", "rm"] if several else ["rmi"]
            _run(run, job, [*command, *removing, job.reference], checked=False)
        return _digest(job, digest.read_text().strip() if digest.exists() else "")

    def _store(self, job: Job) -> list[str]:
        if "STORAGE_DRIVER" in job.environment:
            return []
        root = cache_dir() / "containers" / self.name / "storage"
        root.mkdir(parents=True, exist_ok=True)
        return ["--root", str(root), "--runroot", str(_run_folder(self.name, root)), "--storage-driver", "vfs"]

    def _plain(self, job: Job) -> list[str]:
        """Skip TLS only if every base image is on this machine, or if the configuration says so."""
        hosts = [name.partition("/")[0] for name in bases(job.containerfile.read_text(errors="replace"), job.args)]
        own = job.repository.host if job.repository and job.insecure else None
        fine = [is_loopback(host) or host == own for host in hosts]
        return ["--tls-verify=false"] if hosts and all(fine) else []


def _run_folder(name: str, root: Path) -> Path:
    """The run folder of a store: always the same one for a store, and a path short enough for podman.

    Raises:
        BuildError: Another user has created a folder of that name.
    """
    beside = root.with_name("run")
    if name != "podman" or len(str(beside)) <= _LONGEST_RUN_FOLDER:
        return beside
    folder = Path(tempfile.gettempdir(), f"doit-tofu-{os.getuid()}-{sha256_bytes(str(root).encode())[:8]}")
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise BuildError(
            f"{folder} belongs to another user", next_step=f"set {CACHE_VARIABLE} to a folder with a short path"
        )
    return folder


class Docker:
    """docker buildx with its current builder: a daemon, a container or a buildkitd; only it supports `attest`."""

    name = "docker"

    def push(self, run: Run, job: Job) -> str:
        """Build and push; returns the digest of the manifest that was pushed."""
        metadata = job.private / "metadata.json"
        insecure = ",registry.insecure=true" if job.without_tls else ""
        output = (
            f"type=image,name={job.reference},push=true{insecure}"
            if job.repository
            else f"type=oci,dest={job.layout},tar=false,name={job.reference}"
        )
        provenance = "mode=max" if "provenance" in job.attest else "false"
        _run(run, job, [
            "docker", "buildx", "build", f"--platform={','.join(job.platforms)}", f"--provenance={provenance}",
            f"--sbom={'true' if 'sbom' in job.attest else 'false'}", "--metadata-file", str(metadata),
            f"--output={output},oci-mediatypes=true,rewrite-timestamp=true",
            *_common(job), str(job.folder),
        ])  # fmt: skip
        return _digest(job, str((read_json(metadata) or {}).get("containerimage.digest", "")))


def _common(job: Job) -> list[str]:
    """The options that are the same for all builders."""
    options = ["--file", str(job.containerfile)]
    options += [f"--build-arg={name}={value}" for name, value in sorted(job.args.items())]
    options += [f"--label={name}={value}" for name, value in sorted(job.labels.items())]
    options += [f"--secret=id={name},env={variable}" for name, variable in sorted(job.secrets.items())]
    return [*options, *([f"--target={job.target}"] if job.target else [])]


def environment(job: Job, given: Mapping[str, str]) -> dict[str, str]:
    """A builder's environment: ours, the login file, a fixed time."""
    return {
        **given,
        "SOURCE_DATE_EPOCH": "0",
        "REGISTRY_AUTH_FILE": str(job.private / LOGINS),
        "DOCKER_CONFIG": str(job.private),
    }


def link_docker_settings(private: Path) -> None:
    """Link docker's plugins, contexts and builders next to the login file that we wrote for it."""
    own = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    for path in own.glob("*") if own.is_dir() else ():
        if path.name not in (DOCKER_LOGINS, LOGINS):
            (private / path.name).symlink_to(path.absolute())


def _run(run: Run, job: Job, command: list[str], *, checked: bool = True) -> None:
    try:
        ended = process.run(
            run.stop,
            f"build image/{job.name}",
            command,
            mask=run.mask,
            cwd=job.folder,
            env=job.environment,
            timeout=job.timeout,
        )
    except OSError as error:
        raise _error(run, job, f"{command[0]} cannot be started: {error.strerror}") from error
    except StoppedError:
        if checked:
            raise
        return
    if ended.ok or not checked:
        return
    if run.stop.requested:
        raise StoppedError(
            f"image {job.name} was stopped",
            untouched="nothing was applied",
            next_step="run the same command again; it continues from here",
        )
    how = process.how(ended.code, job.timeout)
    verb = "push" if "push" in command else "build"
    step = hints.next_step(ended.raw, job.login)
    raise _error(run, job, f"`{command[0]} {verb}` {how}", step, log=ended.output)


def _digest(job: Job, text: str) -> str:
    if _DIGEST.fullmatch(text):
        return text
    raise BuildError(f"image '{job.name}': its builder did not report the pushed digest, but '{text[:80]}'")


def _error(run: Run, job: Job, message: str, next_step: str = hints.OTHERWISE, *, log: str = "") -> BuildError:
    return BuildError(
        f"image '{job.name}': {message}", key=f"images.{job.name}", where=run.project.loaded.where("images", job.name),
        untouched="nothing was applied", next_step=next_step, log=log,
    )  # fmt: skip
