"""Opens the configured ledger for one run: its place, the run's identity, its keys."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base import alive, ci, git, plain, urls
from ..base.errors import LedgerError, RecordError
from ..base.files import LARGEST_RECORD, sha256_bytes, write_atomic
from ..base.problem import doit
from ..base.unseen import one_line
from ..ledger import keys, place
from ..ledger.batch import Me
from ..ledger.holder import Pipeline
from ..ledger.home import HomeError
from ..ledger.identity import Identity
from ..ledger.keys import PublicKey
from ..ledger.session import Session, Trust

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Literal

    from ..ledger.home import Home
    from ..ledger.machine import Mark
    from ..ledger.observer import Observer
    from ..ledger.place import Part
    from ..project.model.ledger import Ledger, Observations
    from .run import Run

CLONE = "clone:"  # prefix of a holder that is not a pipeline
_DIGITS = 16


def settings_of(run: Run) -> Ledger | None:
    """The ledger's settings; None if none is configured."""
    found: Ledger | Literal["none"] = run.project.config.ledger
    return None if found == "none" else found


def open_session(run: Run, settings: Ledger, clone: str, seen: Mark | None) -> Session:
    """The session of this run.

    Args:
        run: The run.
        settings: The ledger's settings.
        clone: This clone's id.
        seen: The latest place in the chain that this machine has seen.

    Raises:
        ConfigError: A setting or a key is not what it should be.
    """
    me = identify(clone, run.layout.root)
    identity = Identity(_project(run), run.project.environment)
    cache = ShardCache(run.layout.ledger_cache / "shards")
    return Session(home(run, settings), me, identity, trust(settings), seen, cache, run.stop.wait)


def observer(run: Run, settings: Ledger, clone: str) -> Observer:
    """This run's access to the observations, see `observing`.

    Raises:
        ConfigError: A setting or a key is not what it should be.
        LedgerError: Their place cannot be opened.
    """
    from ..ledger.observer import Observer  # few runs need it

    me, identity = identify(clone, run.layout.root), Identity(_project(run), run.project.environment)
    keys_ = trust(settings.observations)
    return Observer(home(run, settings, "observations"), identity, me.label, keys_, run.stop.wait)


def home(run: Run, settings: Ledger, part: Part = "ledger") -> Home:
    """Where the ledger or the observations are.

    Raises:
        ConfigError: Its settings do not say how to reach it.
        LedgerError: It cannot be opened.
    """
    try:
        return place.open_home(settings, run.project.loaded, run.layout, run.stop.wait, part)
    except HomeError as error:
        raise LedgerError(str(error), key="ledger", untouched="nothing was planned or applied") from None


def trust(settings: Ledger | Observations) -> Trust:
    """The keys of this job.

    Raises:
        ConfigError: One is not a valid key, or `cryptography` is not installed.
    """
    public = [PublicKey(text) for text in settings.public_keys]
    signing = keys.from_environment(settings.key)
    if public:
        keys.require_library()
    return Trust(public, [signing] if signing else [])


def unrecorded(stacks: Sequence[str], where: str, error: LedgerError) -> LedgerError:
    """The error of a run whose deployments are not all in the ledger: of these stacks, or of none."""
    if not stacks:
        return error
    return LedgerError(
        f"not recorded: {', '.join(stacks)}: {error.message}",
        where=where,
        untouched="what was applied stays applied, and its receipts are on this machine",
        next_step=(
            "keep `.deploy` (in CI as an artifact); ", doit("ledger", "push"), " or a retry on it records them",
        ),
    )  # fmt: skip


def identify(clone: str, root: Path) -> Me:
    """The run's identity: its pipeline, or this clone.

    Args:
        clone: The clone's id, which a copy of it has, too.
        root: Its folder, which is another one in a copy, and the same where it was moved.
    """
    found = ci.read()
    run, pipeline = secrets.token_hex(8), ci.outermost(found)
    if pipeline:
        label = one_line(f"pipeline {pipeline}" + (f" of {found.branch}" if found.branch else ""))
        return Me(Pipeline(found.kind, found.project, pipeline).text, run, label, alive.this())
    here = sha256_bytes(f"{clone} {root.stat().st_ino}".encode())[:_DIGITS]
    return Me(f"{CLONE}{here}", run, f"a run outside of CI (clone {here[:6]})", alive.this())


def _project(run: Run) -> str:
    """The repository as its forge names it: `group/project`; empty if neither CI nor a remote names it."""
    if name := ci.read().name:
        return name
    address = (git.ask(run.layout.root, "remote", "get-url", "origin") or "").strip()
    if address.startswith("."):  # a folder, relative to the clone
        address = os.path.normpath(run.layout.root / address)
    return urls.repository(address)


@dataclass(frozen=True)
class ShardCache:
    """A cache of shards on disk, by digest.

    Args:
        folder: Where they are; it may be removed at any time.
    """

    folder: Path

    def get(self, digest: str) -> bytes | None:
        """A shard; None if it is not cached or was changed."""
        try:
            data = plain.read(self.folder / digest, LARGEST_RECORD)
        except OSError:
            return None
        return data if sha256_bytes(data) == digest else None

    def put(self, digest: str, data: bytes) -> None:
        """Cache a shard; if the disk is full, it is fetched again next time."""
        with suppress(RecordError):
            write_atomic(self.folder / digest, data, durable=False)
