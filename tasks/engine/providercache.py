"""The engine's provider cache: filled by one `init` at a time, and never left incomplete.

The engine locks each package while it installs it, but not the links to it: an `init` without a lock file to compare
with removes the link to a package and links it again, and another `init` may look for it in that moment. And a package
that was being unpacked when its engine was killed stays incomplete.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
from typing import TYPE_CHECKING

from ..base.errors import EngineError, RecordError
from ..base.files import locked, read_json, write_json
from ..base.layout import CACHE_VARIABLE, cache_dir

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ..base.stop import Stop

_PROVIDER = re.compile(rb'^provider "([^"]+)" \{\s*^\s*version\s*=\s*"([^"]+)"', re.MULTILINE)
_PACKAGE = "*/*/*/*/*"  # host, namespace, type, version, platform
_BINARY = "terraform-provider-"
_MISMATCH = re.compile("(does not|doesn't) match (any of the checksums|the content of the downloaded package)")
_PAUSE = 0.02


def folder() -> Path:
    """The folder of the cache, made if it is missing.

    Raises:
        EngineError: It cannot be made.
    """
    path = cache_dir() / "providers"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EngineError(
            f"cannot make the provider cache {path}: {error.strerror}",
            untouched="nothing was planned or applied",
            next_step=f"set {CACHE_VARIABLE} to a folder that can be written, then run the same command again",
        ) from error
    return path


def locked_providers(lock_file: Path) -> list[str]:
    """The providers of a dependency lock file, each as `host/namespace/type/version`; empty without a file."""
    try:
        content = lock_file.read_bytes()
    except OSError:
        return []
    return [f"{name.decode()}/{version.decode()}" for name, version in _PROVIDER.findall(content)]


def missing(folder: Path, providers: Iterable[str]) -> list[str]:
    """Those of some providers that are not complete in a folder."""
    return [name for name in providers if not any(_is_whole(package) for package in _children(folder / name))]


def link_directly(folder: Path) -> None:
    """Make the links in a stack's folder of providers lead past the cache where it has a link itself.

    Such a link, to a package in an unpacked mirror, is removed for a moment by every `init` without a lock file; what
    plans meanwhile would find no provider.
    """
    for package in folder.glob(_PACKAGE):
        with contextlib.suppress(OSError):
            target = package.resolve(strict=True)
            if package.is_symlink() and package.readlink() != target:
                beside = package.with_name(f".{package.name}.new")
                beside.unlink(missing_ok=True)
                beside.symlink_to(target)
                beside.replace(package)


class ProviderCache:
    """The cache in one folder, which all runs of this user share.

    Args:
        folder: The cache folder.
        stop: Ends the waiting for another run.
    """

    def __init__(self, folder: Path, stop: Stop) -> None:
        self.folder = folder
        self._stop = stop
        self._filling = folder / "filling.json"

    @contextlib.contextmanager
    def filled(self, providers: Iterable[str]) -> Iterator[tuple[int, ...]]:
        """Around an `init`: locks the cache against changes; exclusively where one of these providers is missing.

        Args:
            providers: What the `init` will take from the cache, as far as that is known; empty where it is not.

        Yields:
            The descriptor of the lock, for the engine to inherit: one that outlives us still fills the cache.

        Raises:
            StoppedError: The run was asked to stop.
            EngineError: The cache cannot be written.
        """
        wanted = list(providers)
        with self._locked(shared=True) as descriptor:
            if wanted and not self._filling.exists() and not missing(self.folder, wanted):
                yield (descriptor,)
                return
        with self._locked(shared=False) as descriptor:
            self._begin()
            yield (descriptor,)
            self._filling.unlink(missing_ok=True)

    def explain(self, said: str) -> str | None:
        """What to do if a command failed because a package in the cache is not the one of the lock file; else None.

        Only a package that is in the cache itself is to be removed, never one that a link leads to.

        Args:
            said: Everything that the engine printed.
        """
        text = " ".join(said.replace("│", " ").split())  # the engine may break lines anywhere
        if not _MISMATCH.search(text):
            return None
        here = os.path.realpath(self.folder)
        for package in self.folder.glob(_PACKAGE):
            *_, version, platform = parts = package.relative_to(self.folder).parts
            provider, real = "/".join(parts[:3]), os.path.realpath(package)
            if not re.search(_changed(provider, version, platform), text) or not os.path.isdir(real):  # noqa: PTH112
                continue
            if real == os.path.join(here, *parts):  # noqa: PTH118
                return (
                    f"`rm -r {shlex.quote(str(package))}`, then run the same command again: it installs {provider}"
                    f" {version} again; if the lock file has no checksum of {platform}, add it with `providers lock`"
                )
            return (
                f"put the package back that {real} had: the provider cache only links to it; or, if it was replaced on"
                " purpose, renew the lock file with `providers lock`"
            )
        return None

    def _begin(self) -> None:
        """Remove what a killed `init` may have left incomplete, and record what is complete now."""
        packages = {path.relative_to(self.folder).as_posix() for path in self.folder.glob(_PACKAGE) if path.is_dir()}
        if self._filling.exists():
            with contextlib.suppress(RecordError, TypeError):
                for name in packages - set(read_json(self._filling)):
                    _remove(self.folder / name)
                    packages.discard(name)
        for name in [name for name in packages if not _is_whole(self.folder / name)]:
            _remove(self.folder / name)  # the engine does not install over one that differs
            packages.discard(name)
        write_json(self._filling, sorted(packages), durable=False)

    def _locked(self, *, shared: bool) -> contextlib.AbstractContextManager[int]:
        return locked(self.folder / "cache.lock", explain=self._cannot_write, pause=self._pause, shared=shared)

    def _cannot_write(self, error: OSError) -> EngineError:
        return EngineError(
            f"cannot write to the provider cache {self.folder}: {error.strerror}",
            untouched="nothing was planned or applied",
            next_step="free disk space or make the folder writable, then run the same command again",
        )

    def _pause(self) -> None:
        self._stop.wait(_PAUSE)
        self._stop.check("init")


def _changed(provider: str, version: str, platform: str) -> str:
    """A pattern of what the engine says of a package that is not the one of the lock file."""
    named, at = re.escape(f"{provider} {version}"), re.escape(f"{provider}/{version}/{platform}")
    return (
        rf"cached package for {named} \(in .* does not match any of the checksums|{named} doesn't match any of the"
        rf" checksums|{at} does not match the content of the downloaded package"
    )


def _is_whole(package: Path) -> bool:
    """Whether a package contains a provider's program; its lock says whether it is still being unpacked."""
    return any(path.name.startswith(_BINARY) and _is_program(path) for path in _children(package))


def _is_program(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0 and os.access(path, os.X_OK)


def _children(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _remove(package: Path) -> None:
    with contextlib.suppress(OSError):
        if package.is_symlink():
            package.unlink()
        else:
            shutil.rmtree(package)
