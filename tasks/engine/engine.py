"""Runs the engine: every `tofu` process is started, awaited and read here."""

from __future__ import annotations

import os
import posixpath
import re
import tempfile
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ..base import jsontext, process
from ..base.errors import EngineError, StateEncryptionError, StateLockedError, StoppedError
from ..base.jsonvalue import elements
from ..base.layout import ENGINE_LOCK_FILE, PIPELINE_FILE
from ..base.problem import NOTHING_CHANGED, Untouched, Where, doit
from ..base.process import kept_environment
from ..base.text import few
from . import diagnostics, statelock, statereads
from .command import CHANGES_PRESENT, CONFIGURES, EARLY, WRITES, Completed, Context
from .encryption import REMOTE_STATE
from .encryption import SINCE as KEYS_SINCE
from .progress import Progress, Teller
from .providercache import ProviderCache, locked_providers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..base.jsonvalue import Json, JsonObject
    from ..base.masking import Masker
    from ..base.problem import Steps
    from ..base.stop import Stop
    from .admission import Admission
    from .diagnostics import Diagnostic
    from .encryption import Encryption

_CACHE_VARIABLE = "TF_PLUGIN_CACHE_DIR"
_FEW = 5
STREAM_SINCE = (1, 12)  # OpenTofu 1.12.0 introduced `-json-into`


def _unwatched(label: str, progress: Progress | None) -> None:
    """Without a display nothing follows an apply."""


class Engine:
    """An engine binary with a known version.

    Args:
        binary: Its path.
        kind: `tofu` or `terraform`.
        version: Its version.
        plugin_cache: Where it keeps providers, unless the environment says otherwise.
        encryption: The keys to pass to it.
        stop: Starts and stops its processes.
        admission: Admits its processes.
        mask: The known secrets.
        tell: Is given the label of a long apply, its seconds so far, and what it is at work on.
        watch: Is given the label of an apply that begins, and what says what it is at work on; at its end None.
        every: Seconds between two such lines; 0 for none.
        hear: Is given what a command warned of, and the label of its context.
        terse: Whether to keep only the errors of a failed plan or apply, as the rest may show values.
    """

    def __init__(
        self, binary: Path, kind: str, version: str, *, plugin_cache: Path, encryption: Encryption, stop: Stop,
        admission: Admission,
        mask: Masker, tell: Callable[[str, float, str], None], every: float,
        hear: Callable[[str, list[Diagnostic]], None], watch: Callable[[str, Progress | None], None] = _unwatched,
        terse: bool = False,
    ) -> None:  # fmt: skip
        self.binary = binary
        self.kind = kind
        self.version = version
        self.providers = ProviderCache(Path(os.environ.get(_CACHE_VARIABLE) or plugin_cache), stop)
        self._encryption = encryption
        self._terse = terse
        self._stop = stop
        self._admission = admission
        self._collector = admission.collector(os.environ)
        self._mask = mask
        self._hear = hear
        self._teller, self._watch = Teller(every, tell), watch

    @property
    def streams(self) -> bool:
        """Whether it can write a JSON stream in addition to its normal output."""
        return self.kind == "tofu" and self.release >= STREAM_SINCE

    @property
    def takes_keys(self) -> bool:
        """Whether it can encrypt."""
        return self.kind == "tofu" and self.release >= KEYS_SINCE

    @property
    def release(self) -> tuple[int, ...]:
        """Its version without the patch."""
        return tuple(int(part) for part in self.version.split(".")[:2])

    def run(
        self, context: Context, command: str, *arguments: str, events: bool = False, apart: bool = False,
        late: float | None = None,
    ) -> Completed:  # fmt: skip
        """Run a command to its end and capture its output.

        The output goes to an unlinked file instead of a pipe: if we are killed, a broken pipe would end the engine in
        mid-apply; this way it finishes and saves its state.

        Args:
            context: Where it runs.
            command: `plan`, `apply`, ...
            arguments: Its arguments, never secret.
            events: Whether to read the JSON stream too, where the engine has one.
            apart: Whether `raw` is what it printed on standard output alone; `output` is always both.
            late: Seconds that a look may take which is started in a stopped run too; then it is ended.

        Raises:
            StoppedError: The run was asked to stop before the command started.
            EngineError: The engine cannot be started.
        """
        context.data_dir.mkdir(parents=True, exist_ok=True)
        trace = context.trace if command == "plan" else None
        argv = [*(trace.command if trace else ()), str(self.binary), command]
        keys = self._encryption.handover(command, partial(statereads.may_read, context.folder, context.data_dir))
        descriptors = [*context.descriptors, *keys.descriptors, *(trace.descriptors if trace else ())]
        providers = len(locked_providers(context.folder / ENGINE_LOCK_FILE)) if command in CONFIGURES else 0
        with (
            self._admission.admitted(context.label, command, providers) as waited,
            tempfile.TemporaryFile() as output,
            tempfile.TemporaryFile() as errors,
            tempfile.TemporaryFile() as stream,
        ):
            if context.limit is not None:
                context.limit.extend(waited)
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
                with self._telling(context, command, stream):
                    code = process.within(child, context.limit) if late is None else process.wait(child, late)
            finally:
                self._stop.ended(child)
            raw, said, streamed = (_content(file) for file in (output, errors, stream))
        if code is None:
            raise EngineError(f"{command} took longer than {f'{late:g} s' if late is not None else 'allowed'}")
        if self._stop.requested and code not in (0, CHANGES_PRESENT):
            saved = "its changes are saved in the state, and the state is unlocked"
            raise StoppedError(
                f"{command} was stopped; the engine exited cleanly",
                untouched=saved if command in WRITES else "nothing was changed",
                next_step="run the same command again; it continues from here",
            )
        text, found = raw + said, _events(streamed)
        if warned := diagnostics.warnings(found, terse=self._terse):
            self._hear(context.label, warned)
        if code in (0, CHANGES_PRESENT):
            return Completed(code, text, raw, found, masked=self._mask.text)
        sealed, next_step = self._encryption.explain(text), self.providers.explain(text)
        if self._terse and command in ("plan", "apply"):
            text = _errors_of(text)
        return Completed(code, text, raw, found, sealed, next_step, self._mask.text)

    @contextmanager
    def _telling(self, context: Context, command: str, stream: IO[bytes]) -> Iterator[None]:
        """Says what an apply is at work on while it runs; what takes less is its own sign of life."""
        if command != "apply":
            yield
            return
        label, under_way = context.label, Progress(stream.fileno())
        self._watch(label, under_way)
        try:
            with self._teller.telling(label, under_way):
                yield
        finally:
            self._watch(label, None)

    def json(self, context: Context, command: str, *arguments: str, late: float | None = None) -> Json:
        """The JSON value that a command prints, without warnings.

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
                found: Json = jsontext.loads(done.raw)
            except ValueError:
                pass
            else:
                return found
        raise failure(f"{self.kind} {command} did not print JSON", done, context)

    def child_environment(self, context: Context) -> dict[str, str]:
        """The engine's environment: ours without variables that change its behaviour, plus what it needs."""
        return {
            **kept_environment(self._encryption.keyring.variables),
            _CACHE_VARIABLE: str(self.providers.folder),
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
            **self._collector,
            "TF_DATA_DIR": str(context.data_dir),
            **context.environment,
        }


def failure(
    message: str,
    done: Completed,
    context: Context,
    *,
    untouched: Untouched | str | None = None,
    next_step: Steps | None = None,
) -> EngineError:
    """An error with the engine's full output; a lock is reported with its holder and how to release it.

    Args:
        message: What failed.
        done: How the command ended.
        context: Where it ran.
        untouched: What was not changed, if the command has started; otherwise nothing was changed.
        next_step: What to do if the engine's output does not say.
    """
    stack = context.stack or None
    if done.sealed is not None:
        happened, step = done.sealed
        return StateEncryptionError(
            f"{message}: {happened}", stack=stack,
            log=done.output if REMOTE_STATE in done.output else "",  # it names the state; else there is no more to say
            untouched=NOTHING_CHANGED, next_step=step,
        )  # fmt: skip
    if lock := statelock.held(done, context.backend):
        return StateLockedError(
            statelock.describe(lock),
            log=done.output,
            stack=stack,
            untouched=NOTHING_CHANGED,
            next_step=statelock.way_out(lock, context),
        )
    next_step = done.next_step or next_step
    summaries, found = done.summaries(), diagnostics.errors(done.events)
    detail = f"{message}: {'; '.join(dict.fromkeys(summaries))}" if summaries else f"{message} (exit code {done.code})"
    if unset := list(dict.fromkeys(error.unset_variable for error in found if error.unset_variable)):
        detail += f": {few(unset, _FEW)}"
        next_step = next_step or _ways_to_set(unset[0], context)
    return EngineError(
        detail, log=done.output, where=_place(found, context), stack=stack, untouched=untouched, next_step=next_step
    )  # fmt: skip


def _ways_to_set(name: str, context: Context) -> str:
    """How a variable of a stack gets a value."""
    return (
        f"set `stacks.{context.stack}.variables.{name}` in {PIPELINE_FILE} or an environment's file, name a var file in"
        f" `var_files`, pass an upstream's output with `inputs`, or set TF_VAR_{name}; or give the variable a default"
    )


def _place(errors: Sequence[Diagnostic], context: Context) -> Where | None:
    """Where the first error is that has a place in a file."""
    error = next((error for error in errors if error.file), None)
    return Where(posixpath.normpath(posixpath.join(context.path, error.file)), error.line) if error else None


def _errors_of(text: str) -> str:
    """The output from its first error on, because a failed plan prints values before it."""
    first = re.search(r"^[│| ]*Error: ", text, re.MULTILINE)
    return text[first.start() :] if first else text


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def _events(data: str) -> list[JsonObject]:
    """The events of a JSON stream; a torn last line is dropped.

    `validate` writes one document instead: its diagnostics are returned as the events that a stream has for them.
    """
    if (document := _object(data)) is not None and "diagnostics" in document:
        return [{"type": "diagnostic", "diagnostic": item} for item in elements(document["diagnostics"])]
    return [event for line in data.splitlines() if (event := _object(line)) is not None]


def _object(text: str) -> JsonObject | None:
    try:
        found = jsontext.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def is_stale(summaries: Sequence[str]) -> bool:
    """Whether an apply was refused because the state has changed since the plan."""
    return any("Saved plan is stale" in text or "different state lineage" in text for text in summaries) or any(
        "does not match the given state" in text for text in summaries
    )
