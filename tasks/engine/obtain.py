"""The pinned engine: found, downloaded or built, and verified."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..base import process, toolversion
from ..base.errors import EngineError
from ..base.files import locked
from ..base.layout import CACHE_VARIABLE, cache_dir
from ..base.problem import doit
from ..base.version import VersionConstraint
from . import gobuild, release

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from ..base.stop import Stop
    from ..project import model

_VERSION_TIMEOUT = 60
_NAMES = {"tofu": "OpenTofu", "terraform": "Terraform"}


@dataclass(frozen=True)
class Found:
    """An engine that may be used: its binary, its version, where it came from."""

    binary: Path
    version: str
    source: str


def find(settings: model.Engine) -> tuple[Found | None, list[str]]:
    """The engine that is there already, in order: the configured path, PATH, our cache; and what did not do.

    Raises:
        EngineError: The configured path is not an engine of the wanted version.
    """
    wanted = VersionConstraint.parse(settings.version)
    misses: list[str] = []
    if settings.path:
        binary = Path(settings.path).expanduser().absolute()
        version = version_of(binary, settings.kind)
        if version is None or not wanted.allows(version):
            found = f"is {settings.kind} {version}" if version else f"is no {settings.kind} that runs"
            raise EngineError(
                f"engine.path {settings.path} {found}; wanted is {settings.version}",
                next_step="correct engine.path or engine.version, or remove engine.path",
            )
        return Found(binary, version, "engine.path"), misses
    candidates = [(Path(path), "PATH") for path in [shutil.which(settings.kind)] if path]
    cached = sorted((cache_dir() / "engines").glob(f"{settings.kind}-*/{settings.kind}"), reverse=True)
    candidates += [(path, "cache") for path in cached]
    for binary, source in candidates:
        version = version_of(binary, settings.kind)
        if version is not None and wanted.allows(version):
            return Found(binary, version, source), misses
        if source == "PATH":
            what = f"{settings.kind} {version}" if version else f"no {settings.kind} that runs"
            misses.append(f"{binary} is {what}, not {settings.version}")
    if not any(source == "PATH" for _, source in candidates):
        misses.append(f"no {settings.kind} on PATH")
    return None, misses


def obtain(settings: model.Engine, stop: Stop, say: Callable[[str], None]) -> Found:
    """The engine; when it is not there it is downloaded, else built, once for all runs of this user.

    Raises:
        EngineError: None of the ways led to one; says what was tried and the ways out.
    """
    found, misses = find(settings)
    if found:
        return found
    with _one_at_a_time():
        found, _ = find(settings)  # another run may just have brought it
        if found:
            return found
        wanted = VersionConstraint.parse(settings.version)
        pinned = gobuild.pinned_version()
        version = wanted.exact or (pinned if settings.kind == "tofu" and wanted.allows(pinned) else None)
        if version is None:
            misses.append(f"'{settings.version}' does not say which version to download")
        else:
            target = cache_dir() / "engines" / f"{settings.kind}-{version}" / settings.kind
            for bring, source in ((release.download, "downloaded"), (gobuild.build, "built")):
                try:
                    bring(settings, version, target, stop, say)
                except EngineError as error:
                    misses.append(error.message)
                    continue
                if (actual := version_of(target, settings.kind)) == version:
                    return Found(target, version, source)
                target.unlink(missing_ok=True)
                misses.append(f"the binary that was obtained reports {actual}, not {version}")
    ways = (
        f"put {settings.kind} {settings.version} on PATH; or set engine.path; or set engine.releases to a mirror;"
        " or install Go, which builds the pinned version"
    )
    raise EngineError(
        f"there is no {settings.kind} {settings.version}, and none was found:\n    - " + "\n    - ".join(misses),
        untouched="nothing was planned or applied",
        next_step=(f"{ways}; then ", doit("setup")),
    )


def version_of(binary: Path, kind: str) -> str | None:
    """The version that an engine says it has, asked once per file; None when it does not run or is another kind."""
    return toolversion.known(binary, f"{kind} {binary}", lambda: _ask(binary, kind))


def _ask(binary: Path, kind: str) -> str | None:
    """What `tofu version` says; its JSON form does not tell the two engines apart, its first line does."""
    environment = {"PATH": os.environ.get("PATH", ""), "CHECKPOINT_DISABLE": "1"}
    try:
        said = process.ask([str(binary), "version"], env=environment, timeout=_VERSION_TIMEOUT)
    except OSError:
        return None
    match = re.match(rf"{_NAMES[kind]} v(\S+)", said.output)
    return match[1] if match else None


def _one_at_a_time() -> AbstractContextManager[int]:
    """Hold the cache's lock: two runs at once must not build the same engine twice."""
    path = cache_dir() / "engines" / ".lock"

    def explain(error: OSError) -> EngineError:
        return EngineError(
            f"cannot use the cache folder {path.parent}: {error.strerror}",
            next_step=f"set {CACHE_VARIABLE} to a folder that can be written",
        )

    return locked(path, explain=explain)
