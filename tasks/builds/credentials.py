"""Registry logins: from environment variables, else from the file of a manual login; never on a command line."""

from __future__ import annotations

import base64
import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.errors import RegistryError
from ..base.jsonvalue import fields
from .reference import DOCKER_HUB

if TYPE_CHECKING:
    from ..base.jsonvalue import JsonObject
    from ..project import model

_HUB_KEY = "https://index.docker.io/v1/"  # how login files name Docker Hub


@dataclass(frozen=True)
class Login:
    """A user and a password, and for messages where they come from."""

    user: str
    password: str = field(repr=False)
    source: str

    @property
    def basic(self) -> str:
        """The form that HTTP Basic authentication and login files use."""
        return base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


def find(image: model.Image, host: str) -> Login | None:
    """The login for a registry; None to ask it without one.

    In order: the variables that `login` names; `DEPLOY_REGISTRY_USER` and `DEPLOY_REGISTRY_PASSWORD`; GitLab's
    `CI_REGISTRY_USER` and `CI_REGISTRY_PASSWORD` if `CI_REGISTRY` is that host; the login file.

    Raises:
        RegistryError: A variable that `login` names is not set.
    """
    if image.login is not None:
        names = (image.login.user, image.login.password)
        if unset := [name for name in names if not os.environ.get(name)]:
            raise RegistryError(
                f"the login of {host} is in {' and '.join(names)}, and {' and '.join(unset)} is not set",
                untouched="nothing was built or pushed", next_step=f"set {' and '.join(unset)}",
            )  # fmt: skip
        return Login(os.environ[names[0]], os.environ[names[1]], " and ".join(names))
    if login := _from_environment("DEPLOY_REGISTRY_USER", "DEPLOY_REGISTRY_PASSWORD"):
        return login
    if os.environ.get("CI_REGISTRY") == host and (login := _from_gitlab()):
        return login
    return _from_file(host)


def _from_gitlab() -> Login | None:
    return _from_environment("CI_REGISTRY_USER", "CI_REGISTRY_PASSWORD")


def _from_environment(user: str, password: str) -> Login | None:
    if os.environ.get(user) and os.environ.get(password):
        return Login(os.environ[user], os.environ[password], f"{user} and {password}")
    return None


def merged_file(host: str, login: Login | None, *, docker: bool) -> bytes:
    """A login file for a builder: the user's own, then GitLab's registry, then the image's login on top.

    A credential helper would win over a login in the file, so it is switched off for our hosts. Docker reads an empty
    name as "no helper" (and needs it if `credsStore` is set); buildah and podman would start a program of that name.
    The format is https://man.archlinux.org/man/containers-auth.json.5, which Docker reads too.
    """
    content = _content()
    auths, helpers = dict(fields(content.get("auths"))), dict(fields(content.get("credHelpers")))
    for name, known in ((os.environ.get("CI_REGISTRY", ""), _from_gitlab()), (host, login)):
        if name and known:
            auths[_key(name)] = {"auth": known.basic}
            helpers.pop(_key(name), None)
            if docker:
                helpers[_key(name)] = ""
    return json.dumps({**content, "auths": auths, "credHelpers": helpers}).encode()


def _from_file(host: str) -> Login | None:
    """A login made by hand (`podman login`, `docker login`); credential helpers are not asked."""
    with suppress(ValueError, KeyError):
        entry = fields(fields(_content().get("auths"))[_key(host)])
        user, found, password = base64.b64decode(str(entry["auth"])).decode().partition(":")
        if found and user:
            return Login(user, password, "the login file")
    return None


def _content() -> JsonObject:
    for path in _files():
        with suppress(OSError, ValueError):
            value = json.loads(path.read_bytes())
            if isinstance(value, dict):
                return value
    return {}


def _files() -> list[Path]:
    named = os.environ.get("REGISTRY_AUTH_FILE")
    if named:
        return [Path(named)]
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    docker = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    return [*([Path(runtime, "containers/auth.json")] if runtime else []), docker / "config.json"]


def _key(host: str) -> str:
    return _HUB_KEY if host == DOCKER_HUB else host
