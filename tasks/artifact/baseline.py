"""What changed since a base: git objects of the merge base against this tree, for stacks that have no receipt."""

from __future__ import annotations

import fnmatch
import posixpath
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base import git
from ..base.errors import ConfigError, DeployError
from ..base.files import canonical_json
from ..base.layout import ENVIRONMENTS_DIR, PIPELINE_FILE, UPSTREAM_LOCK_FILE
from ..project.config import loading
from ..project.hcl import reader
from ..project.overlay import pin
from .inputs import FILES, Input, InputKind
from .reasons import Reason, Why

if TYPE_CHECKING:
    from collections.abc import Collection

    from ..project.project import Project
    from ..project.stack import Stack
    from .inputs import Inputs


@dataclass(frozen=True)
class Baseline:
    """A base that counts as deployed.

    Paths are relative to the repository's root. `changed` are those that differ from the base in this tree, new and
    uncommitted ones too; `removed` those that the base has and this tree has not. `before` is the configuration at the
    base, None where it cannot be read; then every stack counts as affected. `known` remembers which stacks are.
    """

    ref: str
    commit: str
    changed: frozenset[str]
    removed: frozenset[str]
    before: loading.Loaded | None = field(repr=False)
    known: dict[str, bool] = field(repr=False, default_factory=dict)

    def reasons(self, project: Project, stack: Stack, inputs: Inputs) -> list[Reason]:
        """Why a stack is affected since the base; nothing when it is as at the base."""
        if self.before is None:
            return [Reason(Why.BASE_UNKNOWN, since=self.ref)]
        touched = self.changed | self.removed
        found = [
            Reason(Why.CHANGED, item, since=self.ref)
            for item in inputs.digests
            if (item.kind in FILES and item.name in touched) or (item.kind is InputKind.ANY_FILE and touched)
        ]
        if (catalog := project.catalog) is not None:
            made = {item: catalog.folders(item.name, image=item.kind is InputKind.IMAGE)
                    for item in inputs.digests if item.kind in (InputKind.BUILD, InputKind.IMAGE)}  # fmt: skip
            found += [
                Reason(Why.POSSIBLE, item, since=self.ref)
                for item, folders in made.items()
                if any(_lies_in(path, folders) for path in touched)
            ]
        found += [
            Reason(Why.REMOVED, Input(InputKind.FILE, path), since=self.ref)
            for path in sorted(self.removed)
            if _belonged(project, stack, path)
        ]
        builds = catalog.needed_by(stack) if catalog else ()
        if _settings(self.before, stack.name, builds) != _settings(project.loaded, stack.name, builds):
            found.append(Reason(Why.CONFIGURATION, since=self.ref))
        return found

    def gone(self, project: Project) -> list[str]:
        """Folders that held a stack at the base and hold none now."""
        patterns = (self.before or project.loaded).config.discover
        folders = {posixpath.dirname(path) for path in self.removed if reader.is_configuration(path)}
        return sorted(
            folder
            for folder in folders
            if any(fnmatch.fnmatch(folder, pattern) for pattern in patterns) and not project.index.configuration(folder)
        )


def find(project: Project, ref: str) -> Baseline:
    """The baseline that a ref names.

    Raises:
        ConfigError: There is no such ref, or no common history with it.
    """
    root = project.layout.root
    commit = git.merge_base(root, ref)
    if commit is None:
        raise ConfigError(
            f"base={ref}: there is no such commit here, or it has no history in common with this tree",
            next_step=f"`git fetch origin {ref.rpartition('/')[2]}` first, in a shallow clone with --unshallow",
        )
    changed, removed = git.differences(root, commit)
    before = _configuration_at(project, commit)
    if project.tree is not None:
        if before is None or before.base is None or not (before.base.exact and project.tree.exact):
            before = None  # a folder has no yesterday: nothing can be compared
        else:
            changed, removed = project.tree.since(before.base, changed | removed)
    return Baseline(ref, commit, frozenset(changed), frozenset(removed), before)


def _configuration_at(project: Project, commit: str) -> loading.Loaded | None:
    """The configuration at a commit, read from git's objects."""
    names = [PIPELINE_FILE, UPSTREAM_LOCK_FILE]
    names += [f"{ENVIRONMENTS_DIR}/{project.environment}.{suffix}" for suffix in ("yaml", "yml")]
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            content = git.content(project.layout.root, commit, name)
            if content is not None:
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        environments = Path(folder, ENVIRONMENTS_DIR)
        if not any(environments.glob("*")):
            environments.mkdir(parents=True, exist_ok=True)
            (environments / f"{project.environment}.yaml").touch()
        try:
            return loading.load(Path(folder), project.environment, pin.resolve)
        except DeployError:
            return None


def _lies_in(path: str, folders: list[str]) -> bool:
    """Whether a path is one of some folders or files, or lies in one."""
    normal = [posixpath.normpath(folder) for folder in folders]
    return any(folder in (".", path) or path.startswith(f"{folder}/") for folder in normal)


def _settings(loaded: loading.Loaded, name: str, builds: Collection[str] = ()) -> bytes:
    """What of a configuration can change a stack's plan, but for its files; checks and the like cannot.

    `builds` are the builds that it reads, or that its images contain.
    """
    whole = loaded.config
    stack: Any = whole.stacks.get(name)
    engine = [whole.engine.kind, whole.engine.version]
    values: dict[str, Any] = {"engine": engine, "enabled": stack is None or stack.enabled}
    backend = (stack.backend if stack and stack.backend else None) or whole.backend
    values["backend"] = backend.model_dump() if backend else None
    if stack is not None:
        chosen = stack.model_dump(include={"path", "inputs", "variables", "var_files", "watch", "builds", "images"})
        used = {image: whole.images.get(image) for image in stack.images.values()}
        chosen["made"] = {key: image.model_dump() for key, image in used.items() if image is not None}
        values |= {key: value for key, value in chosen.items() if value}
    found = {build: whole.builds[build].model_dump() for build in builds if build in whole.builds}
    values |= {"built": found} if found else {}
    return canonical_json(values)


def _belonged(project: Project, stack: Stack, path: str) -> bool:
    """Whether a removed path was, for all that is known, an input of a stack."""
    module, folder, name = project.module(stack.name), posixpath.dirname(path), posixpath.basename(path)
    own = folder == stack.path or folder in module.modules
    if own and (reader.is_configuration(name) or name.endswith((".tfvars", ".tfvars.json", ".hcl"))):
        return True
    if any(not named.exact and path.startswith(named.path + "/") for named in module.named):
        return True
    patterns = [posixpath.normpath(posixpath.join(stack.path, pattern)) for pattern in stack.settings.watch]
    return any(fnmatch.fnmatch(path, pattern.replace("**/", "*")) for pattern in patterns)
