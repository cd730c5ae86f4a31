"""Finds an image by its tag in the registry, or builds and pushes it, and pins it by its digest."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..artifact import receipt
from ..artifact.inputs import image_input
from ..base import git
from ..base.errors import BuildError, ConfigError, DeployError, RegistryError
from ..base.files import holder, locked, sha256_file
from ..base.process import kept_environment
from ..run.result import Result
from . import builder, credentials, made, make, proofs
from .builder import Job
from .imagelayout import ImageLayout
from .made import PinnedImage
from .reference import Repository, layout_folder
from .registry import Registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..project.catalog import Catalog, Context
    from ..project.config.signer import Signer
    from ..project.project import Project
    from ..project.stack import Stack
    from ..run.run import Run

REVISION = "{revision}"
_FOLDER = "doit-tofu-image-"
_LOCK = "lock"
_TIME_DIGITS = 14  # of hex: nanoseconds, so all before 1973


def pinned(project: Project, name: str) -> PinnedImage | None:
    """An image's location as recorded, without asking the registry."""
    catalog = _catalog(project)
    known = made.read_image(project.layout, name)
    if known and (known.repository, known.tag) == (catalog.repository(name), catalog.context(name).tag):
        return known
    return None


def values(project: Project, stack: Stack, *, deployed: bool = False) -> tuple[dict[str, str], list[str]]:
    """The image references for a stack's variables, and the names of those images that are not pinned yet.

    An image is pinned if it is recorded, or if the stack's receipt has it from the last apply. Otherwise its reference
    is the tag, which is known before anything is built.

    Args:
        project: The project, for its images.
        stack: The stack.
        deployed: Whether to return what is deployed: the last apply's reference then wins over a newer record of the
            same tag.

    Raises:
        ConfigError: A value in an image's configuration cannot be filled in.
        RecordError: The stack's receipt cannot be read.
    """
    given: dict[str, str] = {}
    loose: list[str] = []
    if not stack.settings.images:
        return given, loose
    catalog, last = _catalog(project), receipt.read(project.layout, stack.name)
    for variable, name in stack.settings.images.items():
        known, reference = pinned(project, name), catalog.reference(name)
        is_same = last is not None and last.inputs.digests.get(image_input(variable, name)) == reference
        applied = last.images.get(variable, "") if last and is_same else ""
        if applied and deployed:
            given[variable] = applied
        elif known is not None:
            given[variable] = known.reference
        elif "@" in applied:
            given[variable] = applied
        else:
            given[variable] = reference
            loose.append(name)
    return given, loose


def goes_by_tag(project: Project, name: str) -> bool:
    """Whether an image may be deployed by its tag: it is optional and not available, and no key proves images."""
    return _catalog(project).images[name].optional and not project.keyring.signs and pinned(project, name) is None


@dataclass(frozen=True)
class _Place:
    """Where an image is stored: a registry's repository with its login, or a folder."""

    repository: Repository | None
    login: credentials.Login | None
    store: Registry | ImageLayout

    @property
    def name(self) -> str:
        """The repository in full, as proofs name it."""
        return f"{self.repository.host}/{self.repository.path}" if self.repository else "a folder"

    @property
    def host(self) -> str:
        """How people call it."""
        return f"registry {self.repository.host}" if self.repository else "image layout"


def have(run: Run, name: str) -> str:
    """Make sure that an image is stored, and record its digest; returns a summary.

    Raises:
        BuildError: It is not stored yet and cannot be built.
        RegistryError: The registry or folder cannot be read, or refuses the push.
        StoppedError: The run was asked to stop.
    """
    catalog = _catalog(run.project)
    context, place = catalog.context(name), _place(run, name)
    there = place.store.digest(context.tag)
    digest = _believed(run, name, place, there) if there else None
    how = "found"
    if digest is None:
        try:
            digest, by = _made(run, name, place)
        except BuildError as error:
            raise error if there is None else _unproven(error, catalog.reference(name), place) from error
        how = f"built by {by}"
    made.write_image(
        run.layout, PinnedImage(name, catalog.repository(name), context.tag, digest, how, run.revision.commit)
    )
    verb = f"is in the {'registry' if place.repository else 'folder'} already" if how == "found" else how
    return f"{catalog.reference(name)} {verb}, pinned as {digest}"


def _believed(run: Run, name: str, place: _Place, there: str) -> str | None:
    """The image of a tag that the store has: what was deployed from it, else what is proven; None if neither is there.

    Without a key, what the tag points to is believed.
    """
    reference, tag = _catalog(run.project).reference(name), _catalog(run.project).context(name).tag
    applied = _applied(run.project, name)
    for digest in (there, *applied):
        if digest in applied and (digest == there or place.store.digest(digest)):
            return digest
    keys = run.project.keyring.artifacts
    if not keys:
        if place.repository:
            run.say_once(
                f"image {name}: trusted by its tag, since no key proves who pushed it; see docs/builds.md, Proofs"
            )
        return there
    if proofs.is_proven(place.store, keys, place.name, tag, there):
        return there
    run.say_once(f"image {name}: {reference} is in the {place.host}, but not proven by {_names(keys)}: building it")
    return None


def _made(run: Run, name: str, place: _Place) -> tuple[str, str]:
    """Build an image and what it contains, push it with its proof; returns its digest and the builder's name."""
    context = _catalog(run.project).context(name)
    chosen = builder.choose(run, name)
    for build in context.builds:
        if not make.is_current(run, build):
            said = make.make(run, build)
            run.say(f"build     {build}  {said}")
            run.keep(f"build:{build}", Result("build", build, summary=said))  # its own task had nothing to do
    digest = _build(run, name, chosen, place)
    there = place.store.digest(context.tag)
    if there != digest:
        raise RegistryError(
            f"{place.host}: {context.tag} was pushed as {digest}, but the registry has {there or 'no such tag'}",
            untouched="nothing was applied",
            next_step="if another job has just pushed the same tag, run the same command again",
        )
    if key := run.project.keyring.artifact:
        try:
            proofs.keep(place.store, key, place.name, context.tag, digest)
        except RegistryError as error:  # this run needs none: the folder that it signs has the digest
            run.say_once(f"image {name}: its proof is not kept, so other runs build it again: {error.message}")
    return digest, chosen.name


def _applied(project: Project, name: str) -> list[str]:
    """The digests that stacks were last applied with, for the image as it is now."""
    catalog = _catalog(project)
    reference, repository = catalog.reference(name), catalog.repository(name)
    found = []
    for stack in project.stacks.values():
        for variable in (variable for variable, image in stack.settings.images.items() if image == name):
            last = receipt.read(project.layout, stack.name)
            applied = last.images.get(variable, "") if last else ""
            is_same = last is not None and last.inputs.digests.get(image_input(variable, name)) == reference
            if is_same and applied.startswith(f"{repository}@"):
                found.append(applied.removeprefix(f"{repository}@"))
    return list(dict.fromkeys(found))


def _unproven(error: BuildError, reference: str, place: _Place) -> BuildError:
    """The error of a build that was needed because a tag is not proven."""
    said = f"{reference} is in the {place.host}, but no job with the artifact key has proven it"
    return error.saying(replace(error.problem, details=(*error.problem.details, said)))


def _names(keys: Sequence[Signer]) -> str:
    return ", ".join(dict.fromkeys(key.variable for key in keys))


def _place(run: Run, name: str) -> _Place:
    """Where an image is stored.

    Raises:
        ConfigError: Its repository's name is invalid.
        RegistryError: A variable that its login names is not set.
    """
    settings, text = _catalog(run.project).images[name], _catalog(run.project).repository(name)
    try:
        folder = layout_folder(text)
        repository = Repository.parse(text) if folder is None else None
    except ValueError as error:
        raise run.project.loaded.error(str(error), "images", name, "repository") from None
    if repository is None:
        return _Place(None, None, ImageLayout(run.layout.root / str(folder), text))
    login = credentials.find(settings, repository.host)
    return _Place(
        repository, login, Registry(repository, login, insecure=settings.insecure, stop=run.stop, mask=run.mask)
    )


def _build(run: Run, name: str, chosen: builder.Builder, place: _Place) -> str:
    """Build and push from a copy of exactly the files that the tag covers; returns the manifest's digest."""
    catalog = _catalog(run.project)
    settings, context = catalog.images[name], catalog.context(name)
    missing = sorted(variable for variable in settings.secrets.values() if variable not in os.environ)
    if missing:
        raise BuildError(
            f"image '{name}' needs the secrets in {', '.join(missing)}, which are not set here",
            key=f"images.{name}.secrets", where=run.project.loaded.where("images", name, "secrets"),
            untouched="nothing was applied", next_step=f"set {', '.join(missing)}",
        )  # fmt: skip
    run.mask.add(os.environ[variable] for variable in settings.secrets.values())
    _sweep()
    with tempfile.TemporaryDirectory(prefix=f"{_FOLDER}{os.getpid()}-") as temporary, locked(Path(temporary, _LOCK)):
        private, folder, containerfile = (Path(temporary, part) for part in ("private", "context", "Containerfile"))
        private.mkdir(mode=0o700)
        _stage(run, name, folder)
        shutil.copyfile(run.project.index.absolute(context.containerfile), containerfile)
        host = place.repository.host if place.repository else ""
        for file, docker in ((builder.DOCKER_LOGINS, True), (builder.LOGINS, False)):
            (private / file).touch(mode=0o600)
            (private / file).write_bytes(credentials.merged_file(host, place.login, docker=docker))
        builder.link_docker_settings(private)
        job = Job(
            name, folder, containerfile, private, place.repository,
            catalog.reference(name) if place.repository else f"localhost/{name.lower()}:{context.tag}",
            settings.platforms, settings.target, context.args, _labels(run, name, context), settings.secrets,
            list(settings.attest), settings.insecure, settings.timeout, place.login.source if place.login else None,
        )  # fmt: skip
        job.environment.update(builder.environment(job, kept_environment(run.project.keyring.variables)))
        digest = chosen.push(run, job)
        if isinstance(place.store, ImageLayout):
            return place.store.add(job.layout, context.tag)
        return digest


def _sweep() -> None:
    """Remove what killed runs left behind: it includes a login file.

    A run in another container that shares this folder has no process here, but holds its lock.
    """
    for path in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*"):
        pid = path.name.removeprefix(_FOLDER).partition("-")[0]
        mine = pid.isdecimal() and path.owner() == Path.home().owner()
        if mine and not Path("/proc", pid).exists() and holder(path / _LOCK) is None:
            shutil.rmtree(path, ignore_errors=True)


def _stage(run: Run, name: str, folder: Path) -> None:
    """Copy the sources with git's modes and one fixed time: every clone builds the same image, whatever its umask."""
    catalog, project = _catalog(run.project), run.project
    context = catalog.context(name)
    now = catalog.read_context(name, project.list_source_files())
    if now.tag != context.tag:
        raise BuildError(
            f"image '{name}': its files changed during this run",
            untouched="nothing was applied", next_step="run the same command again",
        )  # fmt: skip
    prefix = "" if context.folder in (".", "") else f"{context.folder.rstrip('/')}/".removeprefix("./")
    paths = list(context.files)
    for build in context.builds:
        for output in catalog.outputs(build):
            found = (
                path.removeprefix(prefix) for path in made.files_of(project.root, output) if path.startswith(prefix)
            )
            paths += [path for path in found if not context.patterns.ignore(path)]
    folder.mkdir()
    content = hashlib.sha256()
    for path in sorted(set(paths)):
        source, target = Path(project.index.absolute(prefix + path)), folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target, follow_symlinks=False)
        if not target.is_symlink():
            target.chmod(0o755 if os.access(source, os.X_OK) else 0o644)
            content.update(f"{path}\0{sha256_file(target)}\0".encode())
    # One time for all files, different for any other content: BuildKit does not read a file again that has the path,
    # size and time of an earlier one. In the image the time is 0.
    moment = int(content.hexdigest()[:_TIME_DIGITS], 16)
    for base, folders, files in os.walk(folder, topdown=False):
        for entry in (Path(base), *(Path(base, below) for below in (*folders, *files))):
            if entry.is_dir() and not entry.is_symlink():
                entry.chmod(0o755)
            os.utime(entry, ns=(moment, moment), follow_symlinks=False)


def _labels(run: Run, name: str, context: Context) -> dict[str, str]:
    """The labels, with the commit if a label asks for it; omitted if a shallow clone does not have it."""
    if not any(REVISION in text for text in context.labels.values()):
        return context.labels
    folders = _catalog(run.project).folders(name, image=True)
    commit = git.last_change(run.layout.root, folders)
    if commit is None:
        run.say_once(f"image {name}: its last commit is not in this clone, so labels cannot contain it")
        return {key: text for key, text in context.labels.items() if REVISION not in text}
    return {key: text.replace(REVISION, commit) for key, text in context.labels.items()}


def give_up(run: Run, name: str, error: DeployError) -> str:
    """The summary for an optional image that is not available; for any other image it raises the error.

    Where a key proves images, nothing is deployed by a tag, which may be pushed by others.
    """
    if not run.project.config.images[name].optional or isinstance(error, ConfigError):
        raise error
    if run.project.keyring.signs:
        said = "it is optional, but where a key signs what is deployed, no image is deployed by its tag"
        raise error.saying(replace(error.problem, details=(*error.problem.details, said)))
    return f"not available, but optional: {error.message}"


def _catalog(project: Project) -> Catalog:
    if project.catalog is None:
        raise DeployError("no images are configured")
    return project.catalog
