"""A remote of a clone, reached from a repository of our own: the clone's way to it, and nothing else of the clone.

The user's clone is not fetched into. A shallow fetch would make all of it shallow, a partial clone would bring blobs
one by one, and hooks, signatures, LFS and file monitors of the user have no business here. What decides how a host is
reached (URLs, proxies, credentials, certificates, SSH) is taken over, setting by setting, as git finds it in the clone.
"""

from __future__ import annotations

import base64
import re
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..base import git, urls
from .home import HomeError

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
_QUIET = [("gc.auto", "0"), ("maintenance.auto", "false")]
_HEADER = re.compile(r"http\.(.*\.)?extraheader")
_ANY_USER = "x-access-token"  # what GitHub's apps need; every other forge takes any name beside a token
_SHORTEST_SECRET = 4
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Login:
    """A login for one origin.

    Args:
        origin: `https://host`, with the port where it is not the usual one.
        text: `user:password`.
    """

    origin: str
    text: str = field(repr=False)


@dataclass(frozen=True)
class Clone:
    """A clone, the remote in it that is meant, and where our own repository beside it is.

    Args:
        root: The clone, or a folder in it; of it only the settings are read.
        remote: A name (`origin`), or a URL.
        folder: Where our own repository is made. It holds nothing that the remote does not.
        token: What pushes over HTTP are made with, in place of the clone's own credentials; `user:token` where the
            forge wants a certain user.
        timeout: Seconds that one command may take.
        reader: The login of this job, for a clone that was left without one.
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
            GitError: Git is not there, or refuses to look at the clone.
            HomeError: There is no such remote.
        """
        found = [(key, value) for key, value in git.settings(self.root) if _REACHING.fullmatch(key)]
        found = [(key, value) for key, value in found if not key.startswith("remote.") or _OF_REMOTE.fullmatch(key)]
        names = sorted({match[1] for key, _ in found if (match := _OF_REMOTE.fullmatch(key)) and match[2] == "url"})
        if self.remote not in names and not _is_address(self.remote):
            known = f"; it has {', '.join(names)}" if names else "; it has no remote at all"
            raise HomeError(f"this clone has no remote '{self.remote}'{known}")
        return [*found, *_QUIET]

    def git(self, settings: Settings, *arguments: str, given: bytes = b"") -> Ended:
        """How a git command in our own repository ends."""
        return git.alone(
            self.root, f"--git-dir={self.folder}", *arguments, configured=settings, given=given, timeout=self.timeout
        )

    def prepare(self, settings: Settings) -> None:
        """Make our own repository, unless it is there.

        Raises:
            HomeError: It cannot be made.
        """
        if (self.folder / "HEAD").is_file():
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        form = dict(settings).get("extensions.objectformat", "sha1")
        arguments = ["init", "--quiet", "--bare", "--template=", f"--object-format={form}", "--", str(self.folder)]
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        made = git.alone(self.root, *arguments, timeout=self.timeout)
        if not made.ok:
            raise HomeError(f"cannot make a repository in {self.folder}: {made.errors.strip():.200}")

    def forget(self) -> None:
        """Remove our own repository: it can be fetched again."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def fetching(self, settings: Settings) -> tuple[str, Settings]:
        """Where to fetch from and the settings for it: the job's own login where the clone has none."""
        address = _address(self.remote, settings, "url", "insteadof")
        has_login = any(urls.credentials(address)) or any(_HEADER.fullmatch(key.lower()) for key, _ in settings)
        if self.reader is None or has_login or _origin(address) != self.reader.origin:
            return self.remote, settings
        return _with_login(address, self.reader.text, settings)

    def pushing(self, settings: Settings) -> tuple[str, Settings]:
        """Where to push to and the settings for it: the remote as it is, or its address and the token.

        Raises:
            HomeError: The token would be sent in clear.
        """
        address = _push_address(self.remote, settings)
        origin = _origin(address)
        if not self.token or not origin:
            return self.remote, settings
        if origin.startswith("http://") and urlsplit(address).hostname not in _LOOPBACK:
            raise HomeError(f"a token is not sent in clear to {urls.shown(address)}: use https")
        return _with_login(address, self.token if ":" in self.token else f"{_ANY_USER}:{self.token}", settings)

    def plain(self, text: str, settings: Settings) -> str:
        """A text without what is secret in how the remote is reached."""
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


def gives_login(settings: Settings) -> bool:
    """Whether settings bring a login of their own, in a header."""
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
    """The URL of a remote, rewritten as the settings of a kind say: the longest prefix that matches counts."""
    address = ([value for name, value in settings if name == f"remote.{remote}.{key}"] or [remote])[-1]
    bases = [(value, name[4 : -len(kind) - 1]) for name, value in settings if kind and _rewrites(name, kind)]
    matching = [(prefix, base) for prefix, base in bases if address.startswith(prefix)]
    prefix, base = max(matching, key=lambda pair: len(pair[0]), default=("", ""))
    return base + address.removeprefix(prefix)


def _origin(address: str) -> str:
    """Scheme and host of an HTTP address; empty for every other one."""
    parts = urlsplit(address) if address.startswith(("http://", "https://")) else None
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts else ""


def _with_login(address: str, login: str, settings: Settings) -> tuple[str, Settings]:
    """An address without its user, and settings that bring this login and no other one."""
    parts, origin = urlsplit(address), _origin(address)
    header = f"Authorization: Basic {base64.b64encode(login.encode()).decode()}"
    kept = [(key, value) for key, value in settings if not _is_other_login(key)]
    return f"{origin}{parts.path}", [*kept, (f"http.{origin}/.extraHeader", header)]


def _rewrites(key: str, kind: str) -> bool:
    return key.startswith("url.") and key.endswith(f".{kind}")


def _is_other_login(key: str) -> bool:
    """Whether a setting would bring other credentials than the token, or rewrite an address to one that does."""
    lowered = key.lower()
    return bool(_HEADER.fullmatch(lowered)) or lowered.startswith(("credential.", "url."))
