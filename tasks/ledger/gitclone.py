"""A remote of the user's clone, reached from a separate repository with the clone's connection settings.

Nothing is fetched into the user's clone. A shallow fetch would make all of it shallow, a partial clone would fetch
blobs one by one, and the user's hooks, signatures, LFS and file monitors must not run here. The settings that decide
how a host is reached (URLs, proxies, credentials, certificates, SSH) are copied one by one, as git reads them there.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..base import git, plain, urls
from .home import HomeError, NoRemoteError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..base.process import Ended

    Settings = list[tuple[str, str]]

# How a remote is reached: https://git-scm.com/docs/git-config
_REACHING = re.compile(
    r"(url|http|https|credential|protocol|ssh|gitlab|socks|safe|remote)\..*|core\.(sshcommand|gitproxy|askpass)|extensions\.objectformat"
)
_OF_REMOTE = re.compile(r"remote\.(.+)\.(url|pushurl|proxy|proxyauthmethod|uploadpack|receivepack|vcs)", re.DOTALL)
_QUIET = [("gc.auto", "0"), ("maintenance.auto", "false"), ("core.hooksPath", os.devnull), ("core.fsmonitor", "false"),
          ("core.useReplaceRefs", "false")]  # fmt: skip
_OWN = frozenset({"HEAD", "config", "objects", "refs", "packed-refs", "reftable", "shallow", "logs"})
_OWN_SETTING = re.compile(
    r"\[(core|extensions)\]|(repositoryformatversion|filemode|bare|ignorecase|symlinks|precomposeunicode|objectformat"
    r"|refstorage|logallrefupdates) = \w+"
)
_LARGEST = 4096  # bytes of its configuration
_OURS_ALONE = 0o700
_HEADER = re.compile(r"http\.(.*\.)?extraheader")
_ANY_USER = "x-access-token"  # required by GitHub's apps; other forges accept any user name with a token
_SHORTEST_SECRET = 4
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Login:
    """A login for one origin.

    Args:
        origin: `https://host`, with the port if it is not the default.
        text: `user:password`.
    """

    origin: str
    text: str = field(repr=False)


@dataclass(frozen=True)
class Clone:
    """A remote of a clone, and the separate repository that is used to reach it.

    Args:
        root: The clone, or a folder in it; only its settings are read.
        remote: A name (`origin`), or a URL.
        folder: The separate repository. It contains nothing that the remote does not.
        token: The token for pushes over HTTP, instead of the clone's own credentials; `user:token` if the forge
            requires a certain user.
        timeout: Seconds that one command may take.
        reader: The job's login, for a clone without one.
    """

    root: Path
    remote: str = field(repr=False)
    folder: Path
    token: str | None = field(repr=False, default=None)
    timeout: float = 60.0
    reader: Login | None = None

    def settings(self) -> Settings:
        """How the clone reaches its remotes.

        Raises:
            GitError: Git is not installed, or refuses to read the clone.
            NoRemoteError: The clone has no such remote.
        """
        found = [(key, value) for key, value in git.settings(self.root) if _REACHING.fullmatch(key)]
        found = [(key, value) for key, value in found if not key.startswith("remote.") or _OF_REMOTE.fullmatch(key)]
        names = sorted({match[1] for key, _ in found if (match := _OF_REMOTE.fullmatch(key)) and match[2] == "url"})
        if self.remote not in names and not _is_address(self.remote):
            known = f" (it has {', '.join(names)})" if names else ""
            add = f"`git remote add {self.remote} ADDRESS` adds it"
            raise NoRemoteError(f"this clone has no remote '{self.remote}'{known}: {add}")
        return [*found, *_QUIET]

    def git(self, settings: Settings, *arguments: str, given: bytes = b"") -> Ended:
        """Run a git command in the separate repository."""
        return git.alone(
            self.root, f"--git-dir={self.folder}", *arguments, configured=settings, given=given, timeout=self.timeout
        )

    def prepare(self, settings: Settings) -> None:
        """Create the separate repository, unless it exists as it was created.

        Raises:
            HomeError: It cannot be created.
        """
        if self._is_own():
            return
        self.forget()
        form = dict(settings).get("extensions.objectformat", "sha1")
        arguments = ["init", "--quiet", "--bare", "--template=", f"--object-format={form}", "--", str(self.folder)]
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        made = git.alone(self.root, *arguments, timeout=self.timeout)
        if not made.ok:
            raise HomeError(f"cannot create a repository in {self.folder}: {made.errors.strip():.200}")

    def _is_own(self) -> bool:
        """Whether it is there and nothing was added: whoever may write a cache could add hooks and programs to run."""
        try:
            names = {path.name for path in self.folder.iterdir() if path.suffix != ".lock"}
            said = plain.read(self.folder / "config", _LARGEST).decode(errors="replace")
            info = self.folder / "objects/info"
            elsewhere = any((info / name).exists() for name in ("alternates", "http-alternates"))
            links = any((self.folder / name).is_symlink() for name in names)
        except OSError:
            return False
        lines = [line.strip() for line in said.splitlines()]
        return (
            "HEAD" in names and names <= _OWN and not links and not elsewhere
            and all(_OWN_SETTING.fullmatch(line) for line in lines)
        )  # fmt: skip

    def is_sound(self, settings: Settings) -> bool:
        """Whether all that is in the separate repository is whole: git reads every object and compares its digest."""
        return self.git(settings, "fsck", "--no-progress", "--no-dangling").ok

    def forget(self) -> None:
        """Remove the separate repository, or what is in its place: it can be fetched again."""
        with suppress(OSError):
            if self.folder.is_dir() and not self.folder.is_symlink():
                _make_removable(self.folder)
                shutil.rmtree(self.folder, ignore_errors=True)
            else:
                self.folder.unlink(missing_ok=True)

    def fetching(self, settings: Settings) -> tuple[str, Settings]:
        """The address to fetch from, and its settings; with the job's own login if the clone has none."""
        address = _address(self.remote, settings, "url", "insteadof")
        if any(urls.credentials(address)) or gives_login(settings):
            return self._at_once(address, settings)
        if self.reader is None or _origin(address) != self.reader.origin:
            return self.remote, settings
        return _with_login(address, self.reader.text, settings)

    def is_http(self, settings: Settings) -> bool:
        """Whether it is fetched over HTTP."""
        return bool(_origin(_address(self.remote, settings, "url", "insteadof")))

    def pushing(self, settings: Settings) -> tuple[str, Settings]:
        """The address to push to, and its settings: the remote as it is, or its address with the token.

        Raises:
            HomeError: The token would be sent in plain text.
        """
        address = _push_address(self.remote, settings)
        origin = _origin(address)
        if not self.token or not origin:
            return self._at_once(address, settings)
        if origin.startswith("http://") and urlsplit(address).hostname not in _LOOPBACK:
            raise HomeError(f"the token is not sent in plain text to {urls.shown(address)}: use https")
        return _with_login(address, self.token if ":" in self.token else f"{_ANY_USER}:{self.token}", settings)

    def _at_once(self, address: str, settings: Settings) -> tuple[str, Settings]:
        """The remote; a login in its URL is sent with the first request, which git itself sends without one."""
        user, password = urls.credentials(address)
        if not _origin(address) or not password or gives_login(settings):
            return self.remote, settings
        return _with_login(address, f"{user}:{password}", settings)

    def plain(self, text: str, settings: Settings) -> str:
        """A text without the secrets in the remote's settings."""
        known = {secret for secret in self._secrets(settings) if len(secret) >= _SHORTEST_SECRET}
        for secret in sorted(known, key=len, reverse=True):
            text = text.replace(secret, "***")
        return urls.scrub(text)

    def _secrets(self, settings: Settings) -> Iterator[str]:
        logins = [text for text in (self.token, self.reader and self.reader.text) if text]
        for key, value in settings:
            if _HEADER.fullmatch(key.lower()):
                yield value
                yield value.rpartition(" ")[2] or value
            logins += urls.secrets(value) + urls.secrets(key.removeprefix("url.").rpartition(".")[0])
        logins += urls.secrets(self.remote)
        for login in logins:
            yield from (login, login.rpartition(":")[2] or login)


def _make_removable(folder: Path) -> None:
    """Give back the rights to a folder of ours, and to those in it, without which nothing in them can be removed."""
    folder.chmod(_OURS_ALONE)
    for parent, names, _ in os.walk(folder):
        for path in (folder.joinpath(parent, name) for name in names):
            if not path.is_symlink():
                path.chmod(_OURS_ALONE)


def gives_login(settings: Settings) -> bool:
    """Whether settings contain a login, in a header."""
    return any(_HEADER.fullmatch(key.lower()) for key, _ in settings)


def _is_address(remote: str) -> bool:
    return ":" in remote or remote.startswith(("/", "."))


def _push_address(remote: str, settings: Settings) -> str:
    """The URL that git would push to."""
    if any(key == f"remote.{remote}.pushurl" for key, _ in settings):
        return _address(remote, settings, "pushurl", "insteadof")
    rewritten = _address(remote, settings, "url", "pushinsteadof")
    return (
        rewritten
        if rewritten != _address(remote, settings, "url", "")
        else _address(remote, settings, "url", "insteadof")
    )


def _address(remote: str, settings: Settings, key: str, kind: str) -> str:
    """The URL of a remote, rewritten by the settings of a kind: the longest matching prefix counts."""
    address = ([value for name, value in settings if name == f"remote.{remote}.{key}"] or [remote])[-1]
    bases = [(value, name[4 : -len(kind) - 1]) for name, value in settings if kind and _rewrites(name, kind)]
    matching = [(prefix, base) for prefix, base in bases if address.startswith(prefix)]
    prefix, base = max(matching, key=lambda pair: len(pair[0]), default=("", ""))
    return base + address.removeprefix(prefix)


def _origin(address: str) -> str:
    """Scheme and host of an HTTP address; empty for any other address."""
    parts = urlsplit(address) if address.startswith(("http://", "https://")) else None
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts else ""


def _with_login(address: str, login: str, settings: Settings) -> tuple[str, Settings]:
    """An address without its user, and settings with this login and no other."""
    parts, origin = urlsplit(address), _origin(address)
    header = f"Authorization: Basic {base64.b64encode(login.encode()).decode()}"
    kept = [(key, value) for key, value in settings if not _is_other_login(key)]
    return f"{origin}{parts.path}", [*kept, (f"http.{origin}/.extraHeader", header)]


def _rewrites(key: str, kind: str) -> bool:
    return key.startswith("url.") and key.endswith(f".{kind}")


def _is_other_login(key: str) -> bool:
    """Whether a setting adds credentials other than the token, or rewrites an address to one that does."""
    lowered = key.lower()
    return bool(_HEADER.fullmatch(lowered)) or lowered.startswith(("credential.", "url."))
