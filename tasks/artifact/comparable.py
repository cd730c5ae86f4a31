"""Finds inputs that no commit contains: environment values, files that git ignores, files outside of the repository.

Their earlier values are not known, so they count as changed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ..base import gittree, interpolate
from .inputs import ABSENT, FILES, InputKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..project.hcl.commitindex import CommitIndex
    from ..project.project import Project
    from ..project.stack import Stack
    from .inputs import Input, Inputs

# CI variables that locate the project: the same in all of its pipelines.
_OF_THE_PROJECT = frozenset({
    "CI_API_GRAPHQL_URL", "CI_API_V4_URL", "CI_DEFAULT_BRANCH", "CI_PROJECT_ID", "CI_PROJECT_NAME",
    "CI_PROJECT_NAMESPACE", "CI_PROJECT_NAMESPACE_ID", "CI_PROJECT_NAMESPACE_SLUG", "CI_PROJECT_PATH",
    "CI_PROJECT_PATH_SLUG", "CI_PROJECT_ROOT_NAMESPACE", "CI_PROJECT_URL", "CI_REGISTRY", "CI_REGISTRY_IMAGE",
    "CI_SERVER_FQDN", "CI_SERVER_HOST", "CI_SERVER_PORT", "CI_SERVER_PROTOCOL", "CI_SERVER_URL",
    "GITHUB_API_URL", "GITHUB_REPOSITORY", "GITHUB_REPOSITORY_ID", "GITHUB_REPOSITORY_OWNER",
    "GITHUB_REPOSITORY_OWNER_ID", "GITHUB_SERVER_URL",
})  # fmt: skip
_KEYS = {
    InputKind.VAR_FILE: "var_files",
    InputKind.WATCHED: "watch",
    InputKind.OUTPUT: "inputs",
    InputKind.IMAGE: "images",
    InputKind.BUILD: "builds",
}  # of a stack, by the kind of input that they lead to


def unknown(
    project: Project, stack: Stack, inputs: Inputs, index: CommitIndex, *, environment: bool = True
) -> dict[Input, str]:  # fmt: skip
    """Why each input that no commit contains cannot be compared.

    Args:
        project: The project as it is now.
        stack: The stack.
        inputs: Its current inputs, or those of its last apply.
        index: The files of the commit.
        environment: Whether the environment variables at the commit may have been other ones.
    """
    found = {}
    for item in inputs.digests:
        if item.kind in FILES and index.outside(item.name):
            found[item] = "it is outside of the repository"
        elif environment and (names := sorted(_variables(project, stack, item) - _OF_THE_PROJECT)):
            found[item] = f"it comes from environment variables ({', '.join(names)})"
    return found


def of_environment(project: Project, stack: Stack, inputs: Inputs) -> set[str]:
    """The environment variables that a stack's inputs come from; they differ between runs of one commit."""
    found = set[str]().union(*(_variables(project, stack, item) for item in inputs.digests))
    return (found | {*settings(project, stack)}) - _OF_THE_PROJECT


def ignored(project: Project, paths: Iterable[str]) -> set[str]:
    """Those of some paths that git ignores, which no commit contains."""
    inside = {path for path in paths if not path.startswith(("/", "../"))}
    return gittree.ignored(project.home, inside)


def doubtful(inputs: Inputs, index: CommitIndex) -> Iterator[str]:
    """The paths among some inputs that are not in the commit; git may ignore them."""
    for item, digest in inputs.digests.items():
        if item.kind in FILES and (digest == ABSENT or not index.is_file(item.name)):
            yield item.name


def _variables(project: Project, stack: Stack, item: Input) -> set[str]:
    """The environment variables that an input's value depends on."""
    chosen, given = stack.settings, project.loaded.variables
    of_stack = _mapping(project, "stacks").get(stack.name) or {}
    prefix, names = f"DEPLOY_STACKS__{stack.name.upper()}", set[str]()
    match item.kind:
        case InputKind.ENVIRONMENT_VARIABLE:
            names = {item.name}
        case InputKind.VARIABLE:
            names = interpolate.variables(chosen.variables[item.name]) if item.name in chosen.variables else set()
            names |= {f"{prefix}__VARIABLES"} if item.name in (of_stack.get("variables") or {}) else set()
        case InputKind.BACKEND:
            names = interpolate.variables(stack.backend.settings if stack.backend else {})
            names |= {"DEPLOY_BACKEND"} if "backend" in given and chosen.backend is None else set()
            names |= {f"{prefix}__BACKEND"} if "backend" in of_stack else set()
        case InputKind.ENGINE:
            engine = given.get("engine") or {}
            names = {f"DEPLOY_ENGINE__{key.upper()}" for key in ("kind", "version") if key in engine}
        case InputKind.VAR_FILE:
            paths = [entry if isinstance(entry, str) else entry.path for entry in chosen.var_files]
            names = interpolate.variables(paths)
        case InputKind.IMAGE:
            names = _of_image(project, item.name)
        case InputKind.BUILD:
            names = _of_build(project, item.name)
    key = _KEYS.get(item.kind)
    return names | ({f"{prefix}__{key.upper()}"} if key in of_stack else set()) if key else names


def _of_image(project: Project, name: str) -> set[str]:
    image, catalog = project.config.images.get(name), project.catalog
    if image is None or catalog is None:
        return set()
    names = interpolate.variables([image.repository, *image.args.values(), *image.labels.values()])
    names |= {f"DEPLOY_IMAGES__{name.upper()}"} if name in _mapping(project, "images") else set()
    return names.union(*(_of_build(project, build) for build in catalog.builds_in(name)))


def _of_build(project: Project, name: str) -> set[str]:
    build = project.config.builds.get(name)
    if build is None:
        return set()
    names = {variable for variable in build.environment if variable in os.environ}
    names |= {f"DEPLOY_BUILDS__{name.upper()}"} if name in _mapping(project, "builds") else set()
    return names.union(*(_of_build(project, other) for other in build.depends_on))


def settings(project: Project, stack: Stack) -> Iterator[str]:
    """The variables that decide whether and where a stack exists, and what it watches."""
    of_stack = _mapping(project, "stacks").get(stack.name) or {}
    yield from (f"DEPLOY_STACKS__{stack.name.upper()}__{key.upper()}" for key in ("enabled", "path") if key in of_stack)
    if "discover" in project.loaded.variables and stack.name not in project.config.stacks:
        yield f"DEPLOY_{'discover'.upper()}"
    yield from sorted(interpolate.variables(stack.settings.watch) - _OF_THE_PROJECT)


def _mapping(project: Project, key: str) -> dict[str, Any]:
    found = project.loaded.variables.get(key)
    return found if isinstance(found, dict) else {}
