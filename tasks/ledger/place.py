"""Opens the home that the configuration names: a branch of the clone's remote, or a store of files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..base import ci, interpolate, urls
from ..base.model import SERVERS
from ..base.objects.bucket import Bucket
from ..base.objects.folder import Folder
from ..base.objects.place import PlaceError
from ..project.model.ledger import SCHEMES
from .gitclone import Clone, Login
from .githome import GitHome
from .home import HomeError
from .storehome import StoreHome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..base.layout import Layout
    from ..base.objects.place import Place
    from ..project import model
    from ..project.config.loading import Loaded
    from .home import Home

    Wait = Callable[[float], bool | None]

Part = Literal["ledger", "observations"]


def open_home(settings: model.Ledger, loaded: Loaded, layout: Layout, wait: Wait, part: Part = "ledger") -> Home:
    """The home of an environment's ledger, or of the drift jobs' observations; nothing is read yet.

    Args:
        settings: The configuration's `ledger`.
        loaded: The configuration, for the environment's name and the lines of keys.
        layout: The paths of the clone and of its cache.
        wait: Waits that many seconds; true if the run was asked to stop.
        part: The ledger, or the observations.

    Raises:
        ConfigError: A variable that the configuration names is not set, or its value names no place.
        HomeError: The home cannot be opened.
    """
    token = os.environ.get(settings.token) or None
    if part == "observations":
        token = os.environ.get(settings.observations.token) or token

    def filled(key: str, value: str) -> str:
        where = loaded.where("ledger", key)
        return str(interpolate.expand_environment(value, key=f"ledger.{key}", where=where))

    def named(key: str, value: str, schemes: Sequence[str], *, folder: bool) -> str:
        address = filled(key, value)
        if wrong := urls.place_problem(address, schemes, folder=folder):
            raise loaded.error(wrong, "ledger", key, untouched="nothing was planned or applied")
        return address

    if settings.kind == "git":
        ref = settings.ref.replace("{environment}", loaded.environment)
        if part == "observations":
            ref = f"{ref.rpartition('/')[0]}/{part}"
        folder = layout.cache / "ledger" / f"{layout.environment}-{part}.git"
        login = ci.job_login()
        reader = Login(*login) if login else None
        clone = Clone(layout.root, filled("remote", settings.remote), folder, token, settings.timeout, reader)
        return GitHome(clone, ref, wait)
    url = f"{named('url', settings.url or '', SCHEMES, folder=True).rstrip('/')}/{loaded.environment}/{part}"
    given = settings.endpoint
    endpoint = named("endpoint", given, SERVERS, folder=False) if given else None
    token = token or os.environ.get(settings.read_token) or None
    try:
        return StoreHome(_place(url, endpoint, token, settings.timeout, wait=wait, root=layout.root))
    except PlaceError as error:
        raise HomeError(f"cannot open the ledger: {error}") from None


def _place(url: str, endpoint: str | None, token: str | None, timeout: float, *, wait: Wait, root: Path) -> Place:
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    if scheme in ("http", "https"):
        from ..base.objects.web import Web

        return Web(url, "Authorization", token, timeout, wait, once=True)
    if scheme in ("s3", "az"):
        return Bucket(url, endpoint, timeout, once=True)
    try:
        return Folder(root / Path(url).expanduser(), durable=True)
    except RuntimeError:
        raise HomeError(f"cannot open the ledger: {url} is in the home of a user who does not exist here") from None
