"""Finds, downloads or builds the pinned engine, and verifies it."""

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
from . import gobuild, release, trusted

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from ..base.stop import Stop
    from ..project import model

_VERSION_TIMEOUT = 60
_NAMES = {"tofu": "OpenTofu", "terraform": "Terraform"}


@dataclass(frozen=True)
class Found:
    """An engine to use: its binary, its version, its origin."""

    binary: Path
    version: str
    source: str


def find(settings: model.Engine) -> tuple[Found | None, list[str]]:
    """The first suitable engine among the configured path, PATH and our cache; and why others were rejected.

    Raises:
        EngineError: The configured path is not an engine of the wanted version.
    """
    wanted = VersionConstraint.parse(settings.version)
    misses: list[str] = []
    if settings.path:
        binary = Path(settings.path).expanduser().absolute()
        version = version_of(binary, settings.kind)
        if version is None or not wanted.allows(version):
            found = f"is {settings.kind} {version}" if version else f"is not a working {settings.kind}"
            raise EngineError(
                f"engine.path {settings.path} {found}, but {settings.version} is required",
                next_step="fix engine.path or engine.version, or remove engine.path",
            )
        return Found(binary, version, "engine.path"), misses
    candidates = [(Path(path), "PATH") for path in [shutil.which(settings.kind)] if path]
    cached = sorted((cache_dir() / "engines").glob(f"{settings.kind}-*/{settings.kind}"), reverse=True)
    candidates += [(path, "cache") for path in cached]
    for binary, source in candidates:
        if source == "cache" and not _may_run(binary, settings, wanted, misses):
            continue
        version = version_of(binary, settings.kind)
        if version is not None and wanted.allows(version):
            return Found(binary, version, source), misses
        if source == "PATH":
            what = f"{settings.kind} {version}" if version else f"not a working {settings.kind}"
            misses.append(f"{binary} is {what}, not {settings.version}")
    if not any(source == "PATH" for _, source in candidates):
        misses.append(f"no {settings.kind} on PATH")
    return None, misses


def _may_run(binary: Path, settings: model.Engine, wanted: VersionConstraint, misses: list[str]) -> bool:
    """Whether an engine in the cache is one whose bytes are known; it is not started to find out."""
    named = binary.parent.name.removeprefix(f"{settings.kind}-")
    if not wanted.allows(named):
        return False
    if not trusted.is_known(binary, settings):
        lists = f"neither in engine.sha256 nor in this machine's record ({trusted.record_file()})"
        misses.append(f"{binary} is not known to be {settings.kind} {named}: its SHA-256 is {lists}")
        return False
    return True


def obtain(settings: model.Engine, stop: Stop, say: Callable[[str], None]) -> Found:
    """The engine; if it is missing, it is downloaded or built, once for all runs of this user.

    Raises:
        EngineError: It could not be obtained; the error says what was tried and what to do.
        StoppedError: The run was asked to stop.
    """
    found, misses = find(settings)
    if found:
        return found
    with _one_at_a_time():
        found, _ = find(settings)  # another run may have just installed it
        if found:
            return found
        stop.check("setup")  # the run may have been stopped while another task was at it
        say(f"setup: {settings.kind} {settings.version} is not here yet: {'; '.join(misses)}")
        wanted = VersionConstraint.parse(settings.version)
        pinned = gobuild.pinned_version()
        version = wanted.exact or (pinned if settings.kind == "tofu" and wanted.allows(pinned) else None)
        if version is None:
            misses.append(f"'{settings.version}' is a range, so it does not say which version to download")
        else:
            target = cache_dir() / "engines" / f"{settings.kind}-{version}" / settings.kind
            for bring, source in ((release.download, "downloaded"), (gobuild.build, "built")):
                try:
                    bring(settings, version, target, stop, say)
                except EngineError as error:
                    stop.check("setup")  # that may be why
                    misses.append(error.message)
                    if bring is release.download:
                        say(f"setup: {error.message}; building it instead")
                    continue
                if (actual := version_of(target, settings.kind)) == version:
                    trusted.remember(target, source)
                    return Found(target, version, source)
                target.unlink(missing_ok=True)
                misses.append(f"the binary that was obtained reports {actual}, not {version}")
    ways = (
        f"put {settings.kind} {settings.version} on PATH; or set engine.path; or set engine.releases to a mirror;"
        " or install Go, which builds one version, and set engine.version to that one"
    )
    raise EngineError(
        f"cannot obtain {settings.kind} {settings.version}:\n    - " + "\n    - ".join(misses),
        untouched="nothing was planned or applied",
        next_step=(f"{ways}; then ", doit("setup")),
    )


def version_of(binary: Path, kind: str) -> str | None:
    """The version that an engine reports, asked once per file; None if it does not run or is of the other kind."""
    return toolversion.known(binary, f"{kind} {binary}", lambda: _ask(binary, kind))


def _ask(binary: Path, kind: str) -> str | None:
    """The version in the first line of `tofu version`, because its JSON form does not tell the two engines apart."""
    environment = {"PATH": os.environ.get("PATH", ""), "CHECKPOINT_DISABLE": "1"}
    try:
        said = process.ask([str(binary), "version"], env=environment, timeout=_VERSION_TIMEOUT)
    except OSError:
        return None
    match = re.match(rf"{_NAMES[kind]} v(\S+)", said.output)
    return match[1] if match else None


def _one_at_a_time() -> AbstractContextManager[int]:
    """Lock the cache, so that two runs do not build the same engine at once."""
    path = cache_dir() / "engines" / ".lock"

    def explain(error: OSError) -> EngineError:
        return EngineError(
            f"cannot use the cache folder {path.parent}: {error.strerror}",
            next_step=f"set {CACHE_VARIABLE} to a writable folder",
        )

    return locked(path, explain=explain)
