"""Makes channels from settings and environment variables; URLs are treated as secrets throughout."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..project import model
    from ..run.run import Run

_TOKEN_LENGTH = 8  # shorter parts of a path are words


@dataclass(frozen=True)
class Channel:
    """A channel with what it needs to be reached."""

    settings: model.Channel
    url: str = field(repr=False)
    secret: str = field(repr=False, default="")

    @property
    def label(self) -> str:
        """Its name for messages."""
        return self.settings.label


def wants(settings: model.Channel, environment: str) -> bool:
    """Whether a channel is for this environment."""
    return any(fnmatchcase(environment, pattern) for pattern in settings.environments)


def opened(run: Run, settings: model.Channel) -> Channel | None:
    """The channel; None if a variable that it needs is not set, which is reported once and is not a failure."""
    if name := missing(settings):
        run.say_once(f"not notified: {settings.label}: the environment variable {name} is not set")
        return None
    return Channel(settings, os.environ[settings.url].strip(), os.environ.get(settings.secret or "", ""))


def missing(settings: model.Channel) -> str | None:
    """The name of a variable that the channel needs and that is not set."""
    names = [settings.url, *([settings.secret] if settings.secret else [])]
    return next((name for name in names if not os.environ.get(name, "").strip()), None)


def secrets(channels: Sequence[model.Channel]) -> Iterator[str]:
    """The secrets of channels: their URLs, the credentials and tokens in these, and signing secrets."""
    for settings in channels:
        if settings.secret and (secret := os.environ.get(settings.secret)):
            yield from (secret, secret.removeprefix("whsec_"))
        if url := os.environ.get(settings.url, "").strip():
            yield from (url, *_parts(url))


def _parts(url: str) -> Iterator[str]:
    """The parts of a URL that grant access: password, a user that is a token, tokens in the path, query values."""
    try:
        split = urlsplit(url)
        path = [*split.path.split("/"), split.fragment]
        found = [split.password or "", *(value for _, value in parse_qsl(split.query) if _is_token(value))]
        found += [part for part in (split.username or "", split.hostname or "", *path) if _is_token(part)]
    except ValueError:
        return
    for part in found:
        yield from (part, unquote(part))


def _is_token(text: str) -> bool:
    """A random-looking word: long, one word, letters and digits mixed."""
    return (
        len(text) >= _TOKEN_LENGTH
        and not any(mark in text for mark in ".@:")
        and any(sign.isdigit() for sign in text)
        and any(sign.isalpha() for sign in text)
    )
