"""Pins the upstream of an overlay to a commit in `config/upstream.lock`, and obtains its files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...base import git, interpolate
from ...base.errors import ConfigError, UpstreamError
from ...base.files import write_atomic
from ...base.layout import PIPELINE_FILE
from ...base.layout import UPSTREAM_LOCK_FILE as LOCK_FILE
from ...base.problem import Where
from ...base.text import short
from ..config import yamlfile
from ..config.upstream import Base
from . import remote as gitremote

if TYPE_CHECKING:
    from pathlib import Path

    from .. import model
    from .remote import Remote

_HEAD = "# The commit that the upstream's ref is pinned to. Commit this file; `doit upstream=update plan` updates it.\n"
_UNTOUCHED = "nothing was planned or applied"


@dataclass(frozen=True)
class Pin:
    """The content of the lock file."""

    git: str
    ref: str
    commit: str


def resolve(root: Path, settings: model.Upstream, where: Where, *, update: bool = False) -> Base:
    """Obtain the upstream's files.

    Args:
        root: The overlay's root.
        settings: The `upstream` key.
        where: Its `file:line`, for errors.
        update: Whether the ref may be pinned to a new commit.

    Raises:
        ConfigError: The path or URL is invalid, or the lock file cannot be read.
        UpstreamError: The ref has moved, or its commit cannot be obtained.
    """
    if settings.path is not None:
        base = _folder(root, settings.path, where)
        return replace(base, notes=("the upstream is a folder, so there is nothing to pin",)) if update else base
    remote, ref = _remote(root, settings, where), str(settings.ref)
    if gitremote.COMMIT.fullmatch(ref):
        return _pinned(remote, ref, ref, settings.timeout)
    pin = read(root)
    if update:
        commit = _now(remote, ref)
        base = _pinned(remote, ref, commit, settings.timeout)
        return replace(base, asked=True, notes=_move(root, pin, Pin(remote.url, ref, commit)))
    if pin is None:
        commit = _now(remote, ref)
        base = _pinned(remote, ref, commit, settings.timeout)
        write(root, Pin(remote.url, ref, commit))
        note = f"upstream {base.shown} is now pinned to {commit} in {LOCK_FILE}; commit that file"
        return replace(base, asked=True, notes=(note,))
    if (pin.git, pin.ref) != (remote.url, ref):
        raise UpstreamError(
            f"the configuration names {remote.url} at {ref}, but the lock file pins {pin.git} at {pin.ref}",
            where=where,
            untouched=_UNTOUCHED,
            next_step=(gitremote.UPDATE, f" pins {ref} and shows what it changes; then commit {LOCK_FILE}"),
        )
    asked = settings.check and not gitremote.cached(remote, pin.commit).is_dir()
    if asked:
        _refuse_moved(pin, _now(remote, ref))
    return replace(_pinned(remote, ref, pin.commit, settings.timeout), asked=asked)


def confirm(root: Path, settings: model.Upstream, base: Base) -> str | None:
    """Check that the ref still points to its pinned commit; returns a note if the remote cannot be reached.

    A run checks once, at its start; commands that only read files (`status`, `graph`) do not.

    Raises:
        UpstreamError: The ref has moved or no longer exists.
    """
    if base.asked or not settings.check or settings.git is None or gitremote.COMMIT.fullmatch(str(settings.ref)):
        return None
    pin = read(root)
    if pin is None:
        return None
    remote = _remote(root, settings, Where(LOCK_FILE))
    try:
        known = gitremote.refs(remote)
    except UpstreamError as error:
        return f"{error.message}\n  using the pinned commit {short(pin.commit)} from the cache"
    _refuse_moved(pin, gitremote.choose(remote, pin.ref, known))
    return None


def read(root: Path) -> Pin | None:
    """The content of the lock file; None if it does not exist.

    Raises:
        ConfigError: It is invalid.
    """
    path = root / LOCK_FILE
    if not path.exists():
        return None
    data = yamlfile.load(path, LOCK_FILE).data
    texts = [data.get(key) for key in ("git", "ref", "commit")]
    if not all(isinstance(text, str) for text in texts) or not gitremote.COMMIT.fullmatch(str(texts[2])):
        raise ConfigError(
            "invalid lock file: it needs `git`, `ref` and a full `commit`",
            where=LOCK_FILE,
            untouched=_UNTOUCHED,
            next_step=("restore it from git, or remove it and run ", gitremote.UPDATE),
        )
    return Pin(*(str(text) for text in texts))


def write(root: Path, pin: Pin) -> None:
    """Write the lock file.

    Raises:
        RecordError: It cannot be written.
    """
    write_atomic(root / LOCK_FILE, f"{_HEAD}git: {pin.git}\nref: {_quoted(pin.ref)}\ncommit: '{pin.commit}'\n".encode())


def _quoted(ref: str) -> str:
    """A ref as YAML text, so that `1.0` is not read as a number."""
    return f"'{ref}'"


def _folder(root: Path, path: str, where: Where) -> Base:
    folder = (root / path).resolve()
    if not folder.is_dir():
        raise ConfigError(f"the folder {path} does not exist", where=where, key="upstream.path")
    if folder == root.resolve():
        raise ConfigError("a repository cannot be an overlay of itself", where=where, key="upstream.path")
    revision = git.revision(folder)
    return Base(folder, path, revision.commit, dirty=revision.dirty)


def _remote(root: Path, settings: model.Upstream, where: Where) -> Remote:
    try:
        return gitremote.parse(str(interpolate.expand_environment(settings.git, key="upstream.git")), root)
    except ValueError as error:
        raise ConfigError(str(error), where=where, key="upstream.git") from None


def _now(remote: Remote, ref: str) -> str:
    return gitremote.choose(remote, ref, gitremote.refs(remote))


def _pinned(remote: Remote, ref: str, commit: str, timeout: float) -> Base:
    folder = gitremote.obtain(remote, commit, timeout)
    shown, pinned = (remote.url, PIPELINE_FILE) if ref == commit else (f"{remote.url} {ref}", LOCK_FILE)
    return Base(folder, shown, commit, pinned=pinned, exact=True, secrets=remote.secrets)


def _move(root: Path, old: Pin | None, new: Pin) -> tuple[str, ...]:
    if old == new:
        return (f"upstream {new.git} {new.ref} is still at {new.commit}",)
    write(root, new)
    before = f"{old.git} {old.ref} {old.commit}" if old else "nothing"
    return (f"upstream pinned in {LOCK_FILE} to {new.git} {new.ref} {new.commit}, before: {before}; commit that file",)


def _refuse_moved(pin: Pin, now: str) -> None:
    if now != pin.commit:
        stay = f"to keep the old one, set `ref: {pin.commit}` or `check: false`"
        raise UpstreamError(
            f"the upstream's ref {pin.ref} has moved: the pinned commit is {pin.commit}, in {pin.git} it is now {now}",
            where=LOCK_FILE,
            untouched=_UNTOUCHED,
            next_step=(gitremote.UPDATE, f" pins the new commit and shows what it changes; {stay}"),
        )
