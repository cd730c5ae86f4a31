"""`doit build`: runs builds and makes images before stacks are planned."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from .base.errors import DeployError
from .run import atonce, selection
from .run.action import kept_action
from .run.assessment import may_be_affected
from .run.commandline import COMMANDS
from .run.details import BuildDetails
from .run.result import Result, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from doit.task import Task

    from .project.project import Project
    from .project.stack import Stack
    from .run.run import Run
    from .run.taskdict import TaskDict

STAGE = "build"
IMAGE = "image/"  # the prefix of image task names


def tasks(run: Run) -> Iterator[TaskDict]:
    """`build:<name>`, and `build:image/<name>` for an image: up to date by the content of their inputs."""
    yield {"name": None, "doc": COMMANDS[STAGE]}
    catalog = run.project.catalog
    if catalog is None:
        return
    for name, build in catalog.builds.items():
        yield {
            "name": name,
            "actions": [kept_action(run, STAGE, name, _maker(run, name))],
            "task_dep": [f"{STAGE}:{other}" for other in build.depends_on],
            "uptodate": [_uptodate(partial(_build_is_current, run, name))],
            "doc": f"build {', '.join(catalog.outputs(name))}",
        }
    for name, image in catalog.images.items():
        yield {
            "name": IMAGE + name,
            "actions": [kept_action(run, STAGE, IMAGE + name, _imager(run, name))],
            "uptodate": [_uptodate(partial(_image_is_current, run, name))],
            "doc": f"push {image.repository} to its registry",
        }


def needed_by(run: Run, stack: Stack) -> list[str]:
    """The build tasks that must finish before the engine reads a stack's files."""
    catalog = run.project.catalog
    return [f"{STAGE}:{name}" for name in catalog.read_by(stack)] if catalog else []


def join(run: Run, all_tasks: dict[str, Task], selected: list[str]) -> None:
    """Note what the builds are for, and let plans wait for images that this run makes, once tasks are selected.

    `doit plan` alone does not wait for images, as their references are known without them.
    """
    catalog = run.project.catalog
    if catalog is None:
        return
    demand, seen = run.demand, selection.reached(all_tasks, selected)
    for kind, stacks in (("validate", demand.planned), ("deploy", demand.deployed), ("drift", demand.drifting)):
        stacks.update(selection.stacks(seen, kind))
    demand.everything = STAGE in selected
    demand.named.update(selection.stacks(selected, STAGE))
    making = demand.everything or any(name.startswith(IMAGE) for name in demand.named)
    needed = {image for image in catalog.images if f"{STAGE}:{IMAGE}{image}" in seen}
    for name in demand.planned:
        stack = run.project.stacks[name]
        if name in demand.deployed:
            needed.update(stack.settings.images.values())
        if f"plan:{name}" in seen and (making or name in demand.deployed):
            wanted = {f"{STAGE}:{IMAGE}{image}" for image in stack.settings.images.values()}
            if name not in demand.deployed:
                wanted &= seen
            all_tasks[f"plan:{name}"].task_dep.extend(sorted(wanted))
    for image in needed:
        # Builds of this run finish before the images that need them.
        contained = {f"{STAGE}:{name}" for name in catalog.builds_in(image)}
        all_tasks[f"{STAGE}:{IMAGE}{image}"].task_dep.extend(sorted(contained & seen))


def _uptodate(check: Callable[[], bool]) -> Callable[..., bool]:
    """For doit; errors in it are left to the action to report."""

    def uptodate() -> bool:
        try:
            return check()
        except (DeployError, OSError):
            return False

    return uptodate


def _build_is_current(run: Run, name: str) -> bool:
    from .builds import make

    return not _build_is_needed(run, name) or make.is_current(run, name)


def _build_is_needed(run: Run, name: str) -> bool:
    """Whether this run needs a build's outputs; one that only an image contains is made when that image is."""
    catalog, demand, project = run.project.catalog, run.demand, run.project
    if catalog is None or name in demand.named:
        return True
    readers = {stack.name for stack in project.stacks.values() if name in catalog.read_by(stack)}
    contained = any(name in catalog.context(image).builds for image in catalog.images)
    if demand.everything and (readers or not (contained or _is_of_others(project, name))):
        return True
    if readers & demand.drifting or any(_may_be_affected(run, stack) for stack in readers & demand.planned):
        return True
    dependents = (other for other, build in catalog.builds.items() if name in build.depends_on)
    return any(_build_is_needed(run, other) for other in dependents)


def _image_is_current(run: Run, name: str) -> bool:
    from .builds import images

    demand = run.demand
    users = {stack.name for stack in run.project.stacks.values() if name in stack.settings.images.values()}
    needed = demand.everything and bool(users or not _is_of_others(run.project, name))
    needed = needed or IMAGE + name in demand.named
    needed = needed or any(_may_be_affected(run, stack) for stack in users & demand.deployed)
    return not needed or images.pinned(run.project, name) is not None


def _is_of_others(project: Project, name: str) -> bool:
    """Whether stacks that this environment does not have name a build or an image: it is made where they are."""
    others = [settings for stack, settings in project.config.stacks.items() if stack not in project.stacks]
    return any(name in (*settings.builds, *settings.images.values()) for settings in others)


def _may_be_affected(run: Run, name: str) -> bool:
    """Whether a stack is affected, or may become so when its upstreams are deployed in this run."""
    project = run.project
    return any(may_be_affected(run, project.stacks[stack]) for stack in {name, *project.graph.upstreams(name)})


def _maker(run: Run, name: str) -> Callable[[bool], Result]:
    def act(forced: bool) -> Result:
        from .builds import make

        with atonce.turn(run, name):
            return Result(STAGE, name, summary=make.make(run, name, forced=forced))

    return act


def _imager(run: Run, name: str) -> Callable[[bool], Result]:
    def act(forced: bool) -> Result:  # noqa: ARG001 - an image that exists under this tag is what would be built
        from .builds import images

        try:
            with atonce.turn(run, name):
                summary = images.have(run, name)
        except DeployError as error:
            return Result(STAGE, IMAGE + name, Status.OK, images.give_up(run, name, error))
        known = images.pinned(run.project, name)
        catalog = run.project.catalog
        details = BuildDetails(catalog.reference(name), known.reference if known else None) if catalog else None
        return Result(STAGE, IMAGE + name, summary=summary, details=details)

    return act
