"""Checks configured builds and images before anything runs."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.errors import nearest
from ..base.masking import SECRET_NAME
from ..project.stackgraph import CycleError, StackGraph
from . import node
from .reference import LAYOUT, Repository, layout_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..base.errors import ConfigError
    from ..project import model
    from ..project.project import Project

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)")


def check(project: Project) -> Iterator[ConfigError]:
    """The invalid references to builds and images, and their invalid paths."""
    builds, images = project.config.builds, project.config.images
    sound = True
    for name, build in builds.items():
        errors = list(_check_build(project, name, build))
        sound = sound and not errors
        yield from errors
    if sound:
        try:
            StackGraph.build({name: build.depends_on for name, build in builds.items()})
        except CycleError as error:
            message = f"these builds depend on each other: {error}"
            yield project.loaded.error(message, "builds", error.path[0], "depends_on")
    for name, image in images.items():
        yield from _check_image(project, name, image)
    for name, stack in project.stacks.items():
        for position, build_name in enumerate(stack.settings.builds):
            if build_name not in builds:
                message = f"unknown build '{build_name}'{nearest(build_name, list(builds))}"
                yield project.loaded.error(message, "stacks", name, "builds", position)
        for variable, image_name in stack.settings.images.items():
            if image_name not in images:
                message = f"unknown image '{image_name}'{nearest(image_name, list(images))}"
                yield project.loaded.error(message, "stacks", name, "images", variable)


def _check_build(project: Project, name: str, build: model.Build) -> Iterator[ConfigError]:
    at, error = ("builds", name), project.loaded.error
    for position, other in enumerate(build.depends_on):
        if other not in project.config.builds:
            message = f"unknown build '{other}'{nearest(other, list(project.config.builds))}"
            yield error(message, *at, "depends_on", position)
    if problem := _folder(project, build.path):
        yield error(problem, *at, "path")
        return
    for position, output in enumerate(build.outputs):
        inside = posixpath.normpath(output)
        if inside == "." or inside.startswith(("..", "/")):
            yield error(
                f"an output must be inside {build.path}, and not the whole of it: '{output}'", *at, "outputs", position
            )
    if build.kind == "node" and (
        problem := node.problem(Path(project.root, build.path), posixpath.normpath(build.path), build.script)
    ):
        yield error(problem, *at, "path")


def _check_image(project: Project, name: str, image: model.Image) -> Iterator[ConfigError]:
    at, error = ("images", name), project.loaded.error
    catalog = project.catalog
    for position, build in enumerate(image.builds):
        if build not in project.config.builds:
            message = f"unknown build '{build}'{nearest(build, list(project.config.builds))}"
            yield error(message, *at, "builds", position)
    for key, text in image.args.items():
        for variable in _VARIABLE.findall(text):
            if SECRET_NAME.search(variable.upper()):
                message = f"build arguments stay readable in the image: move {variable} to `secrets`"
                yield error(message, *at, "args", key)
    if image.attest and image.builder not in ("auto", "docker"):
        yield error(f"{image.builder} cannot attach this; docker buildx can", *at, "attest")
    if "{" not in image.repository:
        try:
            if layout_folder(image.repository) is None:
                Repository.parse(image.repository.rstrip("/"))
        except ValueError as wrong:
            yield error(str(wrong), *at, "repository")
    for key in ("login", "insecure"):
        if image.repository.startswith(LAYOUT) and getattr(image, key):
            yield error(
                f"this only applies to registries, but the image is stored in a folder: {image.repository}", *at, key
            )
    context = posixpath.normpath(image.context)
    if catalog is not None and catalog.maker(context) is None and (problem := _folder(project, image.context)):
        yield error(problem, *at, "context")
    elif catalog is not None and project.index.digest(path := catalog.containerfile(image)) is None:
        yield error(f"{path} does not exist", *at, "containerfile" if image.containerfile else "context")
    elif catalog is not None and catalog.makes(path):
        yield error(f"{path} is made by a build, but must be a source, as the tag depends on it", *at, "containerfile")


def _folder(project: Project, path: str) -> str | None:
    normal = posixpath.normpath(path)
    if normal.startswith(("..", "/")):
        return f"this must be a folder inside the repository: '{path}'"
    return None if project.index.is_folder(normal) else f"the folder {normal} does not exist"
