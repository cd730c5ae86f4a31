"""Sends to chat, mail and similar with apprise; for URLs see https://github.com/caronc/apprise/wiki."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .channels import Channel


class _Heard(logging.Handler):
    """Collects apprise's log records of this thread: it reports failures only by logging."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._thread = threading.get_ident()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        if record.thread == self._thread:
            self.said.append(record.getMessage())


def send(channel: Channel, event: str, title: str, body: str) -> str:
    """Send one message; returns what went wrong (not masked yet), or an empty text.

    Args:
        channel: The channel.
        event: The event, for the icon that some services show.
        title: Its title.
        body: Its text.
    """
    try:
        import apprise
    except ImportError:
        return "apprise is not installed: `pip install 'doit-tofu[notify]'`"
    heard, logger = _Heard(), logging.getLogger("apprise")
    logger.propagate = False  # a root logger would print URLs
    logger.addHandler(heard)
    try:
        asset = apprise.AppriseAsset(
            app_id="doit-tofu", async_mode=False, secure_logging=True, storage_mode=apprise.PersistentStoreMode.MEMORY
        )
        # Not `Apprise.notify`: it sends from a thread pool, which the interpreter waits for when it exits.
        service = apprise.Apprise.instantiate(channel.url, asset=asset, suppress_exceptions=True)
        if service is None:
            return f"{channel.settings.url} does not contain a URL that apprise supports"
        service.socket_connect_timeout = service.socket_read_timeout = channel.settings.timeout
        service.redirects = False
        kind = {"failure": "failure", "drift": "warning", "recovery": "success", "deploy": "success"}.get(event, "info")
        if service.notify(title=title, body=body, notify_type=apprise.NotifyType(kind), body_format="text"):
            return ""
    finally:
        logger.removeHandler(heard)
    return " ".join(" ".join(heard.said[-2:]).split()) or "apprise could not deliver it"
