"""The one gate to the engine: every `tofu` process is started, waited for and read here."""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ..base import process
from ..base.errors import EngineError, StateLockedError, StoppedError
from ..base.problem import doit
from ..base.process import kept_environment
from . import statelock
from .command import CHANGES_PRESENT, EARLY, Completed, Context
from .encryption import REMOTE_STATE
from .encryption import SINCE as KEYS_SINCE
from .providercache import ProviderCache

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..base.masking import Masker
    from ..base.problem import Steps
    from ..base.stop import Stop
    from .encryption import Encryption

_CACHE_VARIABLE = "TF_PLUGIN_CACHE_DIR"
STREAM_SINCE = (1, 12)  # `-json-into` came with OpenTofu 1.12.0


class Engine:
    """A resolved engine of a known version.

    Args:
        binary: Its path.
        kind: `tofu` or `terraform`.
        version: Its version.
        plugin_cache: Where it keeps providers, unless the environment says otherwise.
        encryption: The keys it gets.
        stop: What starts and stops its processes.
        mask: The known secrets.
        terse: Whether of a failed plan or apply only the errors are kept: the rest may show values.
    """

    def __init__(
        self, binary: Path, kind: str, version: str, *, plugin_cache: Path, encryption: Encryption, stop: Stop,
        mask: Masker, terse: bool = False,
    ) -> None:  # fmt: skip
        self.binary = binary
        self.kind = kind
        self.version = version
        self.providers = ProviderCache(Path(os.environ.get(_CACHE_VARIABLE) or plugin_cache), stop)
        self._encryption = encryption
        self._terse = terse
        self._stop = stop
        self._mask = mask

    @property
    def streams(self) -> bool:
        """Whether it can write its JSON stream beside the human output."""
        return self.kind == "tofu" and self._release >= STREAM_SINCE

    @property
    def takes_keys(self) -> bool:
        """Whether it can be given keys to encrypt with."""
        return self.kind == "tofu" and self._release >= KEYS_SINCE

    @property
    def _release(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.version.split(".")[:2])

    def run(
        self, context: Context, command: str, *arguments: str, events: bool = False, apart: bool = False,
        late: float | None = None,
    ) -> Completed:  # fmt: skip
        """Run a command to its end, output captured whole.

        The output goes to an unlinked file, not to a pipe: an engine that outlives us (we were killed) would die of
        the broken pipe in mid-apply; so it ends its work and saves its state.

        Args:
            context: Where it runs.
            command: `plan`, `apply`, ...
            arguments: Its arguments, never secret.
            events: Whether to read the JSON stream too, where the engine has one.
            apart: Whether `raw` is what it printed on standard output alone; `output` is always both.
            late: Seconds that a look may take which is started in a stopped run too; then it is ended.

        Raises:
            StoppedError: The run was asked to stop before the command started.
            EngineError: The engine cannot be run at all.
        """
        context.data_dir.mkdir(parents=True, exist_ok=True)
        argv = [str(self.binary), command]
        keys = self._encryption.handover(command)
        descriptors = [*context.descriptors, *keys.descriptors]
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as stream:
            if events and self.streams:
                descriptors.append(stream.fileno())
                argv.append(f"-json-into=/dev/fd/{stream.fileno()}")
            argv += [*(context.early if command in EARLY else ()), *arguments]
            environment = {**self.child_environment(context), **keys.environment}
            try:
                child = self._stop.start(
                    context.label, argv, cwd=context.folder, env=environment,
                    late=late is not None, stdout=output, stderr=errors if apart else output, pass_fds=descriptors,
                )  # fmt: skip
            except OSError as error:
                raise EngineError(
                    f"cannot run the engine {self.binary}: {error.strerror or error}",
                    next_step=(doit("setup"), " finds or builds it again"),
                ) from error
            try:
                code = child.wait() if late is None else process.wait(child, late)
            finally:
                self._stop.ended(child)
            raw, said, streamed = (_content(file) for file in (output, errors, stream))
        if code is None:
            raise EngineError(f"{command} took longer than {late:g} s")
        if self._stop.requested and code not in (0, CHANGES_PRESENT):
            raise StoppedError(
                f"{command} was stopped, the engine ended in order",
                untouched="what it had done is saved in the state, which is unlocked",
                next_step="run the same command again: it goes on from here",
            )
        text = self._mask.text(raw + said)
        if code in (0, CHANGES_PRESENT):
            return Completed(code, text, raw, _events(streamed))
        if self._terse and command in ("plan", "apply"):
            text = _errors_of(text)
        return Completed(code, text, raw, _events(streamed), self._encryption.explain(raw + said))

    def json(self, context: Context, command: str, *arguments: str, late: float | None = None) -> Any:
        """The JSON value that a command prints; its warnings are left out.

        Args:
            context: Where it runs.
            command: `show`, `output`, ...
            arguments: Its arguments.
            late: As in `run`.

        Raises:
            EngineError: The command failed or printed something else.
        """
        done = self.run(context, command, *arguments, apart=True, late=late)
        if done.ok:
            try:
                return json.loads(done.raw)
            except ValueError:
                pass
        raise failure(f"{self.kind} {command} gave no JSON", done, context)

    def child_environment(self, context: Context) -> dict[str, str]:
        """The engine's environment: ours without what would change its meaning, and what it needs."""
        return {
            **kept_environment(self._encryption.keyring.variables),
            _CACHE_VARIABLE: str(self.providers.folder),
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
            "TF_DATA_DIR": str(context.data_dir),
            **context.environment,
        }


def failure(
    message: str,
    done: Completed,
    context: Context,
    *,
    untouched: str | None = None,
    next_step: Steps | None = None,
) -> EngineError:
    """An error that carries what the engine said, whole; a lock is named with its holder and the way out.

    Args:
        message: What failed.
        done: How the command ended.
        context: Where it ran.
        untouched: What was not changed, as far as only the command knows; a command that did not begin changed nothing.
        next_step: What to do, where the engine's own words do not tell.
    """
    stack = context.stack or None
    if done.sealed is not None:
        happened, step = done.sealed
        return EngineError(
            f"{message}: {happened}", stack=stack,
            log=done.output if REMOTE_STATE in done.output else "",  # which one it is; else there is no more to say
            untouched="nothing of this stack was changed", next_step=step,
        )  # fmt: skip
    if lock := statelock.held(done, context.backend):
        return StateLockedError(
            statelock.describe(lock),
            log=done.output,
            stack=stack,
            untouched="nothing of this stack was changed",
            next_step=statelock.way_out(lock, context),
        )
    summaries = done.summaries()
    detail = f"{message}: {'; '.join(dict.fromkeys(summaries))}" if summaries else f"{message} (exit code {done.code})"
    return EngineError(detail, log=done.output, stack=stack, untouched=untouched, next_step=next_step)


def _errors_of(text: str) -> str:
    """The output from its first error on: a failed plan is printed before it, with its values."""
    first = re.search(r"^[│| ]*Error: ", text, re.MULTILINE)
    return text[first.start() :] if first else text


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def _events(data: str) -> list[dict[str, Any]]:
    """The events of a JSON stream; a torn last line is left out."""
    found = []
    for line in data.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            found.append(event)
    return found


def is_stale(summaries: Sequence[str]) -> bool:
    """Whether an apply was refused because the state is no longer the one that the plan was made for."""
    return any("Saved plan is stale" in text or "different state lineage" in text for text in summaries) or any(
        "does not match the given state" in text for text in summaries
    )
