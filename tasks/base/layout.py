"""The paths below `.deploy/`: one folder per environment, and a cache that must not be handed over."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from . import plain
from .errors import ConfigError
from .files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable

DEPLOY_DIR = plain.DEPLOY_DIR
PIPELINE_FILE = "config/pipeline.yaml"
ENVIRONMENTS_DIR = "config/environments"
SCHEMA_FILE = "config/pipeline.schema.json"
UPSTREAM_LOCK_FILE = "config/upstream.lock"
ENGINE_LOCK_FILE = ".terraform.lock.hcl"
CACHE_VARIABLE = "DOIT_TOFU_CACHE"


@dataclass
class Watch:
    """Is told what files of an environment are about to be, by name and digest; nothing listens at first.

    Args:
        listener: Takes the digests by name, None for a file that is to be removed, and whether they must be durable.
    """

    listener: Callable[[dict[str, str | None], bool], None] | None = None

    def tell(self, files: dict[str, str | None], durable: bool) -> None:
        """Pass it on.

        Raises:
            RecordError: The listener refuses it.
        """
        if self.listener is not None:
            self.listener(files, durable)


@dataclass(frozen=True)
class Layout:
    """The paths of one environment.

    `.deploy/<env>/` contains what may pass between CI jobs. `.deploy/.cache/` contains what must not: the engine's data
    directories (they contain absolute links) and what can be derived from the sources again.
    """

    root: Path
    environment: str
    watch: Watch = field(default_factory=Watch, repr=False, compare=False)

    @cached_property  # needed several times for every stack
    def base(self) -> Path:
        """`.deploy/<env>`: the folder to cache or to hand over."""
        return self.root / DEPLOY_DIR / self.environment

    @property
    def cache(self) -> Path:
        """`.deploy/.cache`: never handed over, safe to delete."""
        return self.root / DEPLOY_DIR / ".cache"

    @property
    def reports(self) -> Path:
        """The reports, for people and forges."""
        return self.base / "reports"

    @property
    def review(self) -> Path:
        """The latest plan as a reviewer sees it, for the deploy to compare with."""
        return self.base / "review.json"

    @property
    def records(self) -> Path:
        """doit's own database."""
        return self.cache / "records" / self.environment / "doit.db"

    @property
    def indexes(self) -> Path:
        """The signed indexes: one of each run that handed on files of this folder."""
        return self.base / "index"

    @property
    def memory(self) -> Path:
        """The signed index of what caches carry from one pipeline to the next."""
        return self.base / "memory.jsonl"

    @property
    def run_lock(self) -> Path:
        """The environment lock: held while a run may change this environment."""
        return self.base / "run.lock"

    @property
    def crash_log(self) -> Path:
        """The crash log, for tracebacks of unexpected errors."""
        return self.base / "crash.log"

    @property
    def notified(self) -> Path:
        """Which ongoing events each channel was notified of."""
        return self.base / "notified.json"

    @property
    def checks(self) -> Path:
        """The latest check of each stack for drift, where there is no ledger."""
        return self.base / "checks.json"

    @property
    def ledger_memory(self) -> Path:
        """What this disk knows of the ledger: where it was last seen, and which receipts are in it."""
        return self.base / "ledger.json"

    @property
    def ledger_lock(self) -> Path:
        """Held by the run that is filling the receipts of this disk from the ledger."""
        return self.base / "ledger.lock"

    @property
    def ledger_cache(self) -> Path:
        """What was read of the ledger, by digest; and the git objects of one that is in a remote."""
        return self.cache / "ledger"

    @property
    def observed(self) -> Path:
        """The latest observations that this disk has seen: where, and how often they had been written."""
        return self.ledger_cache / f"{self.environment}-observed.json"

    @property
    def file_index(self) -> Path:
        """Digests and facts of source files, keyed by their stat."""
        return self.cache / "files.json"

    @property
    def snapshots(self) -> Path:
        """The snapshots of commands that changed nothing: their answers, and what these rest on."""
        return self.cache / "snapshots"

    @property
    def tree(self) -> Path:
        """An overlay's build tree, upstream and overlay merged; its path is fixed to keep relative paths valid."""
        return self.cache / "tree"

    @property
    def tree_file_index(self) -> Path:
        """The file index of the build tree."""
        return self.cache / "tree-files.json"

    def build(self, name: str) -> Path:
        """The receipt of a build: its inputs and the digest of its outputs, for all environments."""
        return self.root / DEPLOY_DIR / ".builds" / f"{name}.json"

    def build_lock(self, name: str) -> Path:
        """Held while a build runs: two runs in two environments must not write the same outputs."""
        return self.root / DEPLOY_DIR / ".builds" / f"{name}.lock"

    def image(self, name: str) -> Path:
        """The location of an image: its repository, its tag, and the digest that pins it."""
        return self.base / "images" / f"{name}.json"

    @property
    def runs(self) -> Path:
        """The records of runs."""
        return self.base / "runs"

    def run_record(self, run: str) -> Path:
        """The record of one run."""
        return self.base / f"runs/{run}.json"

    def run_tasks(self, run: str) -> Path:
        """One line for each finished task of a run, with its result."""
        return self.base / f"runs/{run}.jsonl"

    @property
    def overview(self) -> Path:
        """The latest facts about every stack of the environment."""
        return self.base / "overview.json"

    @property
    def published(self) -> Path:
        """What was published, and where."""
        return self.base / "published.json"

    def hook(self, stage: str, stack: str) -> Path:
        """The marker that the hooks after a stage have not all succeeded yet."""
        return self.base / "hooks" / stage / f"{stack}.json"

    def plan(self, stack: str) -> Path:
        """The saved plan."""
        return self.base / f"plans/{stack}/plan.tfplan"

    def draft(self, stack: str) -> Path:
        """The saved plan until its manifest is written."""
        return self.base / f"plans/{stack}/draft.tfplan"

    def manifest(self, stack: str) -> Path:
        """The manifest that ties the saved plan to its context."""
        return self.base / f"plans/{stack}/manifest.json"

    def claim(self, stack: str) -> Path:
        """Names the artifact that a deploy has claimed, so that it is not applied twice."""
        return self.base / f"plans/{stack}/claim.json"

    def plan_json(self, stack: str) -> Path:
        """The structured changes, redacted."""
        return self.base / f"plans/{stack}/plan.json"

    def plan_secrets(self, stack: str) -> Path:
        """The secrets of the saved plan, encrypted, where there is a key."""
        return self.base / f"plans/{stack}/secrets.enc"

    def receipt(self, stack: str) -> Path:
        """The receipt: the record of the last apply."""
        return self.base / f"receipts/{stack}.json"

    def outputs(self, stack: str) -> Path:
        """The stack's outputs after the last apply."""
        return self.base / f"outputs/{stack}.json"

    def unrecorded(self, stack: str) -> Path:
        """Says that the ledger lacks the receipt, because it could not be recorded when its run ended."""
        return self.base / f"unrecorded/{stack}.json"

    def states(self, stack: str) -> Path:
        """The folder of encrypted copies of the stack's state."""
        return self.base / f"states/{stack}"

    @property
    def before(self) -> Path:
        """Receipts and outputs from before a generated pipeline, handed on by its first job."""
        return self.base / "ci" / "before"

    @property
    def gitlab_jobs(self) -> Path:
        """The child pipeline that `doit ci` writes for GitLab."""
        return self.base / "ci" / "gitlab.yml"

    @property
    def github_jobs(self) -> Path:
        """The matrix that `doit ci` writes for GitHub."""
        return self.base / "ci" / "github.json"

    def result(self, stage: str, stack: str) -> Path:
        """The result of a task's latest run."""
        return self.base / f"results/{stage}/{stack}.json"

    @property
    def drifts(self) -> Path:
        """What checks for drift have shown, for the deploy that repairs it."""
        return self.base / "drift"

    def drift(self, stack: str) -> Path:
        """What the latest check for drift has shown of a stack; there is none if it has not drifted."""
        return self.base / f"drift/{stack}.json"

    def data_dir(self, stack: str) -> Path:
        """The engine's data directory (`TF_DATA_DIR`) of a stack in this environment."""
        return self.cache / "data" / self.environment / stack

    def relative(self, path: Path) -> str:
        """A path for messages and records: POSIX, relative to the repository's root."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.as_posix()


def prepare(layout: Layout, folder: Path) -> None:
    """Create a folder below `.deploy`; the first one also makes git ignore `.deploy`.

    Raises:
        OSError: It cannot be created.
    """
    plain.make_folder(folder)
    ignore = layout.root / DEPLOY_DIR / ".gitignore"
    if not ignore.exists():
        write_atomic(ignore, b"*\n", durable=False)


def state_dir() -> Path:
    """What this machine knows itself, in no cache that others may share: `XDG_STATE_HOME`, else `~/.local/state`."""
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "doit-tofu"


def cache_dir() -> Path:
    """The user's cache of engines and providers: `DOIT_TOFU_CACHE`, else the platform's cache folder.

    Raises:
        ConfigError: Nothing says where that is.
    """
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "doit-tofu"
    except RuntimeError as error:  # no HOME, and a user whom the system does not know, as in a container
        raise ConfigError(
            "there is no home folder for the cache of engines and providers",
            untouched="nothing was planned or applied",
            next_step=f"set HOME, or {CACHE_VARIABLE} to a folder that can be written",
        ) from error
