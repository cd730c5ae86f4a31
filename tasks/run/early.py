"""The newest version of a ledger, asked for while the project is loaded: with many stacks both take a while."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from ..base.errors import DeployError
from ..ledger.home import HomeError
from ..ledger.place import open_home

if TYPE_CHECKING:
    from ..base.layout import Layout
    from ..base.stop import Stop
    from ..ledger.home import Home, Version
    from ..ledger.session import Session
    from ..project.config.loading import Loaded
    from ..project.model.ledger import Ledger

_LEFT = 5.0  # seconds that a run which ends at once waits for an answer, so that it leaves no process behind


class Early:
    """A home that is being read.

    Args:
        settings: The ledger's settings.
        loaded: The configuration.
        layout: The paths of the clone and of its cache.

    Raises:
        ConfigError: As `open_home`.
        HomeError: As `open_home`.
    """

    def __init__(self, settings: Ledger, loaded: Loaded, layout: Layout) -> None:
        self._stop: Stop | None = None
        self._home: Home = open_home(settings, loaded, layout, self._wait)
        self._found: Version | None = None
        self._error: HomeError | DeployError | None = None
        self._reader = threading.Thread(target=self._read, name="early", daemon=True)
        self._reader.start()

    def hand_over(self, session: Session, stop: Stop) -> None:
        """Let a session go on from here, and the run's stop end what is still waited for."""
        session.home, session.asked, self._stop = self._home, self._newest, stop

    def _newest(self) -> Version | None:
        """What the home says, once it has; raises as it does."""
        self._reader.join()
        if self._error is not None:
            raise self._error
        return self._found

    def leave(self) -> None:
        """Wait a moment for the answer, which nobody needs any more."""
        self._reader.join(_LEFT)

    def _read(self) -> None:
        try:
            self._found = self._home.read()
        except (HomeError, DeployError) as error:
            self._error = error

    def _wait(self, seconds: float) -> bool:
        if self._stop is not None:
            return self._stop.wait(seconds)
        time.sleep(seconds)
        return False


def begin(settings: Ledger, loaded: Loaded, layout: Layout) -> Early | None:
    """Begin to read a ledger; None if its settings are wrong, which is said once the project is loaded."""
    try:
        return Early(settings, loaded, layout)
    except (HomeError, DeployError):
        return None
