"""The catalog: the inputs of each build and image, and their digest, known before anything is built."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..base.files import canonical_json, sha256_bytes
from .ignore import Patterns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from . import model
    from .hcl.fileindex import FileIndex
    from .sources import Sources
    from .stack import Stack

FORMAT = 1
TAG_DIGITS = 32  # 128 bits, so that no two contents with the same tag can be found
_IGNORE_FILES = (".containerignore", ".dockerignore")
_CONTAINERFILES = ("Containerfile", "Dockerfile")


@dataclass(frozen=True)
class Material:
    """The input files of a build or image, each with a digest of content and mode, and a digest over all."""

    files: dict[str, str]
    digest: str


@dataclass(frozen=True)
class Context:
    """The inputs of an image.

    `files` are relative to the context folder; outputs of builds are left out, as they need not exist yet. `tag` is the
    digest over everything, `builds` are the builds that it contains, `containerfile` and `ignore_file` are paths in the
    repository.
    """

    folder: str
    containerfile: str
    ignore_file: str | None
    patterns: Patterns
    files: dict[str, str]
    builds: tuple[str, ...]
    args: dict[str, str]
    labels: dict[str, str]
    tag: str


class Catalog:
    """The builds and images of a project; each digest is computed once, so that it stays the same during a run."""

    def __init__(self, project: Sources) -> None:
        self._project = project
        self.builds = project.config.builds
        self.images = project.config.images
        self._sources: dict[str, Material] = {}
        self._contexts: dict[str, Context] = {}
        self._read_by: dict[str, tuple[str, ...]] = {}
        self._made = [path for name in self.builds for path in self.outputs(name)]
        self._made_within = tuple(f"{path}/" for path in self._made)

    def outputs(self, name: str) -> list[str]:
        """The paths of a build's outputs, relative to the repository's root."""
        build = self.builds[name]
        return [posixpath.normpath(posixpath.join(build.path, output)) for output in build.outputs]

    def makes(self, path: str) -> bool:
        """Whether a path is an output of a build, or inside of one: then it is not a source."""
        return path.startswith(self._made_within) or path in self._made

    def without_made(self, paths: Iterable[str]) -> list[str]:
        """Those of some paths that are not outputs of a build."""
        return [path for path in paths if not self.makes(path)]

    @cached_property
    def _source_files(self) -> list[str]:
        return self.without_made(self._project.list_files())

    def maker(self, path: str) -> str | None:
        """The build whose outputs include a path."""
        for name in self.builds:
            if any(path == output or path.startswith(f"{output}/") for output in self.outputs(name)):
                return name
        return None

    def sources(self, name: str) -> Material:
        """The inputs of a build.

        Raises:
            ConfigError: A value in its configuration cannot be filled in.
        """
        if name not in self._sources:
            self._sources[name] = self.read_sources(name, self._source_files)
        return self._sources[name]

    def read_sources(self, name: str, paths: Iterable[str]) -> Material:
        """The current inputs of a build, among some paths."""
        build, index = self.builds[name], self._project.index
        prefix = _prefix(build.path)
        files = _files(index, prefix, paths)
        body = {
            "format": FORMAT,
            "settings": build.model_dump(include={"kind", "script", "command", "outputs", "toolchain"}),
            "environment": {variable: os.environ.get(variable) for variable in build.environment},
            "builds": {other: self.sources(other).digest for other in build.depends_on},
            "files": files,
        }
        return Material(files, sha256_bytes(canonical_json(body)))

    def context(self, name: str) -> Context:
        """The inputs of an image, and its tag.

        Raises:
            ConfigError: A value in its configuration cannot be filled in.
        """
        if name not in self._contexts:
            self._contexts[name] = self.read_context(name, self._source_files)
        return self._contexts[name]

    def read_context(self, name: str, paths: Iterable[str]) -> Context:
        """The current inputs of an image, among some paths."""
        image, index = self.images[name], self._project.index
        prefix = _prefix(image.context)
        containerfile = self.containerfile(image)
        ignore_file, patterns = self._ignored(image, containerfile)
        files = {path: entry for path, entry in _files(index, prefix, paths).items() if not patterns.ignore(path)}
        builds = self._builds_in(name, patterns)
        args = {key: self.filled(text, "images", name, "args", key) for key, text in image.args.items()}
        labels = {key: self.filled(text, "images", name, "labels", key) for key, text in image.labels.items()}
        body: dict[str, Any] = {
            "format": FORMAT,
            "containerfile": index.digest(containerfile),
            "files": files,
            "builds": {other: self.sources(other).digest for other in builds},
            "args": args,
            "labels": labels,
            "ignored": patterns.lines if builds else [],  # they select among outputs that are not known yet
            "settings": image.model_dump(include={"target", "platforms", "secrets", "attest"}),
        }
        tag = sha256_bytes(canonical_json(body))[:TAG_DIGITS]
        return Context(image.context, containerfile, ignore_file, patterns, files, builds, args, labels, tag)

    def builds_in(self, name: str) -> tuple[str, ...]:
        """The builds that an image contains: those it names, and those whose outputs are in its context."""
        image = self.images[name]
        return self._builds_in(name, self._ignored(image, self.containerfile(image))[1])

    def _builds_in(self, name: str, patterns: Patterns) -> tuple[str, ...]:
        image = self.images[name]
        prefix = _prefix(image.context)
        found = set(image.builds)
        for build in self.builds:
            for output in self.outputs(build):
                within = output.startswith(prefix) and not patterns.ignore(output.removeprefix(prefix))
                if within or f"{posixpath.normpath(image.context)}/".startswith(f"{output}/"):
                    found.add(build)
        return tuple(sorted(found & set(self.builds)))

    def containerfile(self, image: model.Image) -> str:
        """The path of an image's Containerfile, whether it exists or not."""
        names = [image.containerfile] if image.containerfile else list(_CONTAINERFILES)
        paths = [posixpath.normpath(posixpath.join(image.context, name)) for name in names]
        return next((path for path in paths if self._project.index.digest(path)), paths[0])

    def _ignored(self, image: model.Image, containerfile: str) -> tuple[str | None, Patterns]:
        """The ignore file that applies, and its patterns."""
        path = self._ignore_file(image, containerfile)
        return path, Patterns.read(self._project.index, path) if path else Patterns([])

    def _ignore_file(self, image: model.Image, containerfile: str) -> str | None:
        """The ignore file that applies: the Containerfile's own, else the context's."""
        names = [f"{containerfile}.dockerignore", *(posixpath.join(image.context, name) for name in _IGNORE_FILES)]
        paths = (posixpath.normpath(name) for name in names)
        return next((path for path in paths if self._project.index.digest(path)), None)

    def reference(self, name: str) -> str:
        """An image's reference by its tag: `registry.example.com/team/app:<inputs digest>`."""
        return f"{self.repository(name)}:{self.context(name).tag}"

    def repository(self, name: str) -> str:
        """An image's repository, filled in.

        Raises:
            ConfigError: An environment variable is not set.
        """
        return self.filled(self.images[name].repository, "images", name, "repository").rstrip("/")

    def filled(self, text: str, *path: str) -> str:
        """A configured text with `${ENV}`, `{environment}` and `{organization.KEY}` filled in."""
        from ..base import interpolate
        from .config.yamlfile import dotted

        project = self._project
        value = interpolate.expand_environment(
            text,
            key=dotted(path),
            where=project.loaded.where(*path),
            values={**project.organization, "environment": project.environment},
        )
        return str(value)

    def read_by(self, stack: Stack) -> tuple[str, ...]:
        """The builds whose outputs a stack reads: those it names, and those that paths in its configuration lead to."""
        if stack.name in self._read_by:
            return self._read_by[stack.name]
        found = set(stack.settings.builds)
        for named in self._project.module(stack.name).named if self.builds else ():
            if maker := self.maker(named.path):
                found.add(maker)
            elif named.read and not named.exact:
                below = f"{named.path}/" if named.path != "." else ""
                found.update(self.maker(path) or "" for path in self._made if path.startswith(below))
        self._read_by[stack.name] = tuple(sorted(found & set(self.builds)))
        return self._read_by[stack.name]

    def needed_by(self, stack: Stack) -> set[str]:
        """The builds that a stack or its images use, and the builds that those need."""
        found = set(self.read_by(stack))
        for image in stack.settings.images.values():
            found.update(self.context(image).builds)
        pending = list(found)
        while pending:
            more = set(self.builds[pending.pop()].depends_on) - found
            found |= more
            pending += more
        return found

    def folders(self, name: str, *, image: bool) -> list[str]:
        """The folders and files of a build's or an image's inputs."""
        if not image:
            others = self.builds[name].depends_on
            return [self.builds[name].path, *(path for other in others for path in self.folders(other, image=False))]
        context = self.context(name)
        files = [context.containerfile, *([context.ignore_file] if context.ignore_file else []), context.folder]
        return files + [path for other in context.builds for path in self.folders(other, image=False)]


def _prefix(folder: str) -> str:
    """The prefix of paths in a folder."""
    normal = posixpath.normpath(folder)
    return "" if normal == "." else f"{normal}/"


def _files(index: FileIndex, prefix: str, paths: Iterable[str]) -> dict[str, str]:
    """Those of some existing paths that begin with a prefix, without the prefix, each with its entry."""
    found = ((path.removeprefix(prefix), index.entry(path)) for path in paths if path.startswith(prefix))
    return {path: entry for path, entry in found if entry is not None}
