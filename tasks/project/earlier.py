"""The project at an earlier commit: stacks, files and configuration, read from git's objects by the same code.

What git does not have is taken as it is now: environment variables, and files outside of the repository. The caller
must find out which inputs depend on those.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..base import gittree
from ..base.errors import ConfigError, DeployError
from ..base.layout import ENVIRONMENTS_DIR, PIPELINE_FILE, UPSTREAM_LOCK_FILE
from . import load, variables
from .config import loading, organization
from .hcl.commitindex import CommitIndex
from .overlay import listing, pin
from .sources import Sources

if TYPE_CHECKING:
    from ..base.gittree import Commit
    from .config.loading import Loaded
    from .config.upstream import Base
    from .overlay.buildtree import Tree
    from .project import Project

_CANNOT = "git cannot read the commit"


def at(project: Project, commit: str) -> tuple[Project, CommitIndex]:
    """The project at a commit, and its files.

    Raises:
        UnknownEnvironmentError: The environment did not exist then.
        DeployError: It cannot be read; the error says why.
    """
    top = gittree.top(project.home)
    files = gittree.read(top, commit) if top else None
    if top is None or files is None:
        raise ConfigError(_CANNOT)
    own = CommitIndex(project.home, files, project.index)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        loaded = _configuration(project, own, folder)
        tree, index = project.tree, own
        if (tree is None) != (loaded.base is None):
            raise ConfigError("one of the two is an overlay, the other is not")
        if tree is not None and loaded.base is not None:
            tree, index = _merged(project, tree, files, loaded.base)
        known = {}
        if settings := loaded.config.organization:
            for file in (settings.file, settings.schema_file):
                if file is not None:
                    _copy(index, file, folder)
            with suppress(
                DeployError
            ):  # a file that the pipeline makes; missing values are reported where they are used
                known = organization.load(folder, loaded)
    sources = Sources(
        home=project.home, loaded=loaded, index=index, tree=tree, known=variables.known_beforehand,
        stacks=load.stacks(loaded, index), organization=known,
    )  # fmt: skip
    return load.related(sources), index


def _configuration(project: Project, own: CommitIndex, folder: Path) -> Loaded:
    """The configuration at the commit, read from copies in `folder`; if nothing has changed, the current one."""
    then = {PIPELINE_FILE, UPSTREAM_LOCK_FILE, *own.glob("", f"{ENVIRONMENTS_DIR}/*")}
    now = {path.relative_to(project.home).as_posix() for path in (project.home / ENVIRONMENTS_DIR).glob("*")}
    there = {path for path in {*then, *now} if own.is_file(path) or (project.home / path).exists()}
    if all(map(own.is_as_now, there)):
        return project.loaded
    for path in then:
        _copy(own, path, folder)
    return loading.load(folder, project.environment, pin.resolve)


def _copy(index: CommitIndex, path: str, folder: Path) -> None:
    """Put a file of the commit into a folder, if it existed."""
    with suppress(FileNotFoundError):
        content = index.content(path)
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _merged(project: Project, tree: Tree, files: Commit, base: Base) -> tuple[Tree, CommitIndex]:
    """The build tree of an overlay at that commit, and its files.

    Raises:
        ConfigError: The upstream is a folder, so its earlier content is unknown.
    """
    if not (base.exact and tree.exact):
        raise ConfigError("the upstream is a folder, whose earlier content is not known")
    unmoved = base.folder == tree.upstream
    found = {}
    for path in listing.listing(base.folder, exact=True):
        file = base.folder / path
        status = file.lstat()
        mode = "120000" if file.is_symlink() else "100755" if status.st_mode & 0o100 else "100644"
        same = unmoved and path in tree.files and not tree.own(path)
        found[path] = gittree.Blob(base.folder, "", mode, same, file)
    prefix = project.home.resolve().relative_to(files.top.resolve()).as_posix()
    below = "" if prefix == "." else f"{prefix}/"
    for path, blob in files.blobs.items():
        name = path.removeprefix(below)
        if path.startswith(below) and not listing.is_state(name):
            found[name] = replace(blob, same=blob.same and tree.own(name))
    merged = gittree.Commit(tree.folder, found, contents=files.contents)
    before = replace(tree, files=dict.fromkeys(found, ""), replaced={})
    return before, CommitIndex(tree.folder, merged, project.index)
