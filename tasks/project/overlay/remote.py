"""A remote git repository: resolves its refs, and fetches single commits into the user's cache.

Git runs with an argument list, without prompts, with a time limit, and only over https, ssh and files. Credentials in
a URL reach git through its environment: they are in no argument, file or message.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from ...base import process
from ...base.errors import UpstreamError, nearest
from ...base.files import locked, write_atomic
from ...base.layout import cache_dir
from ...base.problem import doit
from ...base.urls import scrub
from . import cachedtree

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from ...base.errors import Places

UPDATE = doit("upstream=update", "plan")
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SCP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9][A-Za-z0-9.-]*:[^-:\s][^:\s]*")
_AS_THEY_ARE = b"* -text -eol -ident -filter -working-tree-encoding\n"
_PRIVATE = ".fetch-"
_LOOK_TIMEOUT = 30.0
# Variables that would point git at another repository, or make it log credentials.
_DROPPED = re.compile(r"^GIT_(DIR|WORK_TREE|INDEX_FILE|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|COMMON_DIR"
                      r"|NAMESPACE|PREFIX|QUARANTINE_PATH|TRACE.*|CURL_VERBOSE)$")  # fmt: skip


@dataclass(frozen=True)
class Remote:
    """A repository's URL without credentials, which may be shown and stored, and the credentials separately."""

    url: str
    address: str = field(repr=False)
    credentials: str | None = field(repr=False, default=None)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown."""
        if self.credentials is None:
            return ()
        user, _, password = self.credentials.partition(":")
        encoded = base64.b64encode(self.credentials.encode()).decode()
        return tuple(text for text in (self.credentials, password or user, encoded) if text)


def parse(text: str, root: Path) -> Remote:
    """A remote from its configured URL or path.

    Args:
        text: `https://`, `ssh://` or `file://` URL, `user@host:path`, or a path that begins with `/` or a dot.
        root: The folder that relative paths start from.

    Raises:
        ValueError: It is neither; the message says what is wrong, without credentials.
    """
    if text.startswith("-") or not text.isprintable() or " " in text:
        raise ValueError("a git URL must not begin with `-` or contain white space")
    if text.startswith(("/", "./", "../")):
        return Remote(text, str((root / text).resolve()))
    if _SCP.fullmatch(text):
        return Remote(text, text)
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError(f"{scrub(text)} is not a URL") from None
    if parts.scheme not in ("https", "ssh", "file"):
        raise ValueError(
            f"{scrub(text)} is not an https, ssh or file URL, user@host:path, or a path that begins with / or ."
        )
    if parts.query or parts.fragment:
        raise ValueError("a git URL must not have a `?` or `#` part")
    if not parts.path.strip("/") or host.startswith("-") or (not host) != (parts.scheme == "file"):
        raise ValueError(f"{scrub(text)} does not name a host and repository")
    place = parts.netloc.rpartition("@")[2]
    if parts.scheme == "ssh":
        if parts.password is not None or (parts.username or "").startswith("-"):
            raise ValueError("an ssh URL must not contain a password; use an ssh key")
        return Remote(text, text)
    plain = f"{parts.scheme}://{place}{parts.path}"
    if parts.username is None:
        return Remote(plain, plain)
    return Remote(plain, plain, f"{unquote(parts.username)}:{unquote(parts.password or '')}")


def refs(remote: Remote) -> dict[str, str]:
    """The commit of each tag and branch, by its full name.

    Raises:
        UpstreamError: The remote cannot be reached.
    """
    listed = _git(remote, ["ls-remote", "--heads", "--tags", "--", remote.address], _LOOK_TIMEOUT)
    lines = (line.partition("\t") for line in listed.splitlines())
    return {name: commit for commit, _, name in lines if COMMIT.fullmatch(commit)}


def choose(remote: Remote, ref: str, known: Mapping[str, str]) -> str:
    """The commit of a tag, else of a branch.

    Raises:
        UpstreamError: The ref does not exist.
    """
    for name in (f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}", f"refs/heads/{ref}"):
        if name in known:
            return known[name]
    names = sorted({re.sub(r"^refs/(heads|tags)/|\^\{\}$", "", name) for name in known})
    raise UpstreamError(
        f"{remote.url} has no tag or branch '{ref}'{nearest(ref, names)}",
        untouched="nothing was planned or applied",
        next_step=("fix upstream.ref, then ", UPDATE, "; to pin a commit without a tag, use its full id as `ref`"),
    )


def obtain(remote: Remote, commit: str, timeout: float) -> Path:
    """The folder of a commit's files in the user's cache; fetched if it is not there, or not that commit.

    Raises:
        UpstreamError: It is not in the cache and cannot be fetched.
    """
    folder = cached(remote, commit)
    if cachedtree.holds(folder, commit):
        return folder
    with _one_at_a_time(folder.parent.parent):
        if not cachedtree.holds(folder, commit):
            for left in folder.parent.parent.glob(f"{_PRIVATE}*"):  # by a run that was killed
                shutil.rmtree(left, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix=_PRIVATE, dir=folder.parent.parent) as private:
                repository = Path(private) / "repository.git"
                _fetch(remote, repository, commit, timeout)
                _check_out(remote, repository, commit, folder, timeout)
            if not cachedtree.holds(folder, commit):
                raise UpstreamError(
                    f"{remote.url} {commit}: what was checked out is not that commit",
                    untouched="nothing was planned or applied",
                    next_step=f"find out what writes into {folder.parent}, then run the same command again",
                )
    return folder


def cached(remote: Remote, commit: str) -> Path:
    """The folder in the cache for a commit's files."""
    name = hashlib.sha256(f"{len(commit)} {remote.address}".encode()).hexdigest()[:20]
    return cache_dir() / "upstreams" / name / "trees" / commit


def _fetch(remote: Remote, repository: Path, commit: str, timeout: float) -> None:
    """Bring a commit alone into a new repository; all refs where the remote does not serve single commits."""
    form = "sha256" if len(commit) > 40 else "sha1"  # noqa: PLR2004 - hex digits
    arguments = ["init", "--quiet", "--bare", "--template=", f"--object-format={form}", "--", str(repository)]
    _git(remote, arguments, _LOOK_TIMEOUT)
    inside = [f"--git-dir={repository}"]
    fetch = [*inside, "fetch", "--quiet", "--no-write-fetch-head", "--no-tags", "--no-recurse-submodules"]
    keep = f"{commit}:refs/pinned/{commit}"  # a ref, so that git's garbage collection keeps it
    try:
        _git(remote, [*fetch, "--depth=1", "--", remote.address, keep], timeout)
    except UpstreamError:
        everything = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
        _git(remote, [*fetch, "--", remote.address, *everything], timeout)
    if not _has(remote, inside, commit):
        raise UpstreamError(
            f"{remote.url} has no commit {commit} in any branch or tag",
            untouched="nothing was planned or applied",
            next_step=(UPDATE, " pins the ref's current commit, to be reviewed"),
        )


def _has(remote: Remote, inside: list[str], commit: str) -> bool:
    try:
        _git(remote, [*inside, "rev-parse", "--quiet", "--verify", f"{commit}^{{tree}}"], _LOOK_TIMEOUT)
    except UpstreamError:
        return False
    return True


def _check_out(remote: Remote, repository: Path, commit: str, folder: Path, timeout: float) -> None:
    """Write a commit's files into a folder, atomically; no hooks or filters run."""
    new = folder.with_name(f".{commit}.{os.getpid()}")
    index = new.with_name(f"{new.name}.index")
    try:
        new.mkdir(parents=True)
        write_atomic(repository / "info/attributes", _AS_THEY_ARE, durable=False)
        inside = [f"--git-dir={repository}", f"--work-tree={new}", "-c", "core.autocrlf=false"]
        more = {"GIT_INDEX_FILE": str(index), "GIT_LFS_SKIP_SMUDGE": "1"}
        _git(remote, [*inside, "read-tree", commit], timeout, cwd=new, **more)
        _git(remote, [*inside, "checkout-index", "--all", "--force", "--quiet"], timeout, cwd=new, **more)
        commit_text = _git(remote, [inside[0], "cat-file", "commit", commit], timeout)
        listing = _git(remote, [inside[0], "ls-tree", "-r", "-z", "--full-tree", commit], timeout)
        write_atomic(cachedtree.note(folder), cachedtree.noted(*map(_bytes, (commit_text, listing))), durable=False)
        if os.path.lexists(folder):  # it was not that commit
            shutil.rmtree(folder) if folder.is_dir() and not folder.is_symlink() else folder.unlink()
        new.rename(folder)
    except OSError as error:
        raise UpstreamError(
            f"cannot write the upstream into {folder.parent}: {error.strerror}",
            untouched="nothing was planned or applied",
            next_step="free disk space there, or set DOIT_TOFU_CACHE to a writable folder",
        ) from error
    finally:
        index.unlink(missing_ok=True)
        shutil.rmtree(new, ignore_errors=True)


def _bytes(text: str) -> bytes:
    """What git printed, as it printed it."""
    return text.encode(errors="surrogateescape")


def _git(remote: Remote, arguments: list[str], timeout: float, cwd: Path | None = None, **more: str) -> str:
    """What a git command prints.

    Raises:
        UpstreamError: It failed or timed out.
    """
    command = next(word for word in arguments if not word.startswith("-") and "=" not in word)
    places: Places = {
        "untouched": "nothing was planned or applied",
        "next_step": f"check that `git ls-remote {remote.url}` works, then run the same command again",
    }
    try:
        ended = process.ask(
            ["git", *arguments],
            cwd=cwd,
            env=_environment(remote) | more,
            timeout=timeout,
            decoding="surrogateescape",
        )
    except OSError as error:
        raise UpstreamError(f"cannot run git: {error.strerror}", **places) from error
    if ended.code is None:
        raise UpstreamError(f"git {command} of {remote.url} {process.how(None, timeout)}", **places)
    if not ended.ok:
        lines = [line.strip() for line in _plain(remote, ended.errors).splitlines() if line.strip()]
        reason = "; ".join(line.removeprefix("fatal: ") for line in lines[:3]) or f"exit code {ended.code}"
        raise UpstreamError(f"git {command} of {remote.url} failed: {reason}", **places)
    return ended.output


def _plain(remote: Remote, text: str) -> str:
    for secret in remote.secrets:
        text = text.replace(secret, "***")
    return scrub(text)


def _environment(remote: Remote) -> dict[str, str]:
    """Git's environment: the user's settings for reaching hosts, no prompts, three protocols."""
    kept = {name: value for name, value in os.environ.items() if not _DROPPED.match(name)}
    kept |= {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "file:https:ssh",
        "SSH_ASKPASS_REQUIRE": "never",
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C",
    }
    kept.setdefault("GIT_ASKPASS", "true")  # a program that answers every prompt with nothing
    settings = {"gc.auto": "0", "maintenance.auto": "false", "core.hooksPath": os.devnull}
    if remote.credentials is not None:
        header = base64.b64encode(remote.credentials.encode()).decode()
        host = "/".join(remote.address.split("/")[:3])
        settings[f"http.{host}/.extraHeader"] = f"Authorization: Basic {header}"
    first = int(kept.get("GIT_CONFIG_COUNT") or 0) if (kept.get("GIT_CONFIG_COUNT") or "0").isdigit() else 0
    for number, (key, value) in enumerate(settings.items(), first):
        kept |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return kept | {"GIT_CONFIG_COUNT": str(first + len(settings))}


def _one_at_a_time(folder: Path) -> AbstractContextManager[int]:
    """Lock one upstream's part of the cache, so that two runs do not fetch into it at once."""

    def explain(error: OSError) -> UpstreamError:
        return UpstreamError(
            f"cannot use the cache folder {folder}: {error.strerror}",
            untouched="nothing was planned or applied",
            next_step="set DOIT_TOFU_CACHE to a writable folder",
        )

    return locked(folder / "lock", explain=explain)
