"""The environment's folder: verified before a run uses any of it, and signed for the next run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base import ci
from ..base.errors import ConfigErrors, FolderRefusedError, RecordError
from ..base.files import canonical_json, sha256_bytes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from ..artifact.index import Writer
    from ..project.project import Project
    from .selection import Part

_WRITER_DIGITS = 16
_BEFORE = "ci/before/"
_OF_OTHERS = (_BEFORE, "plans/", "results/", "images/", ".builds/", "notified.json")


class Custody:
    """Verifies the folder, and keeps its index up to date while the run writes.

    Args:
        project: Whose folder it is.
        part: Which part of a generated pipeline this run is.
    """

    def __init__(self, project: Project, part: Part | None) -> None:
        self._project, self._layout, self._part = project, project.layout, part
        self._writer: Writer | None = None
        self._is_current = self._is_remembered = False

    def verify(self, selected: Collection[str], commit: str | None, *, writing: bool) -> None:
        """Refuse a folder that was changed since it was handed over; without a key, nothing is verified.

        Args:
            selected: The selected tasks, which name the index of a job of a generated pipeline.
            commit: The commit that is checked out.
            writing: Whether this run holds the environment, and so may write.

        Raises:
            FolderRefusedError: It was changed; nothing is written into it from then on.
            ConfigErrors: A key is not valid.
        """
        keyring, layout = self._project.keyring, self._layout
        if not keyring.signs:
            if writing:
                self._refuse_unsigned()
            return
        if wrong := list(keyring.wrong_keys()):
            raise ConfigErrors(wrong)
        from ..artifact import folder, index
        from ..artifact.index import Origin

        here = Origin(ci.repository(), self._project.environment, commit, ci.pipeline())
        try:
            found = folder.verify(layout, keyring.artifacts, here, unsigned=keyring.settings.migrate)
        except FolderRefusedError:
            layout.watch.listener = _closed
            raise
        key = keyring.artifact
        if not writing or key is None:
            return
        alone = self._part is None
        name = index_name(self._part, selected)
        before = {path: digest for path, digest in found.files.items() if path.startswith(_BEFORE)}
        self._writer = index.Writer(
            layout.indexes / name, key, here, found.files if alone else before,
            found.indexes if alone else (),
        )  # fmt: skip
        self._is_current = alone and found.ended
        layout.watch.listener = self._announce

    def sign(self, deployed: Collection[str]) -> None:
        """Sign the folder as it is now; if nothing was written into it since it was last signed, it stays unchanged.

        Args:
            deployed: The stacks that a job of a generated pipeline deploys: it hands on only their receipts.

        Raises:
            RecordError: It cannot be written: the next job will refuse the folder.
        """
        layout, writer = self._layout, self._writer
        if writer is None:
            return
        try:
            if writer.begun or not self._is_current:
                alone = self._part is None
                writer.end(None if alone else dict(_handed_on(writer.files.items(), deployed)))
            if ci.pipeline() and not (self._is_current and self._is_remembered):
                self._remember(writer)
            self._is_current = self._is_remembered = True
        except (OSError, RecordError) as error:
            self._leave()
            why = error.message if isinstance(error, RecordError) else error.strerror
            raise RecordError(
                f"what this run leaves cannot be signed, so the next job will refuse it: {why}",
                where=layout.relative(layout.base),
                untouched="what was applied is in its receipt",
                next_step="free some space or make the folder writable, then run the same command again",
            ) from error

    def end(self, deployed: Collection[str]) -> None:
        """`sign` the folder as this run leaves it; from then on nothing is announced.

        Raises:
            RecordError: It cannot be written: the next job will refuse the folder.
        """
        self.sign(deployed)
        if self._writer is not None:
            self._leave()

    def _leave(self) -> None:
        self._writer, self._layout.watch.listener = None, None

    def _remember(self, writer: Writer) -> None:
        """Sign the receipts and outputs separately: a cache carries them without the rest."""
        from ..artifact import folder, index

        files = folder.remembered(self._layout)
        index.Writer(self._layout.memory, writer.key, writer.origin, files).end()

    def _announce(self, files: dict[str, str | None], durable: bool) -> None:
        if self._writer is not None:
            self._is_current = False
            try:
                self._writer.announce(files, durable=durable)
            except OSError as error:
                raise _unwritten(self._layout.relative(self._layout.indexes), error) from error

    def _refuse_unsigned(self) -> None:
        """Refuse to write into a signed folder without a key: the next run with the key would refuse the folder."""
        layout, key = self._layout, self._project.config.encryption
        if not layout.indexes.is_dir():
            return
        if key.key is None:  # encryption was turned off
            from ..artifact import folder

            folder.forget(layout)
            return
        name = layout.relative(layout.base)
        raise FolderRefusedError(
            "no-key",
            f"{name} was written with a key, but no key is set here",
            where=name,
            untouched="nothing was planned or applied",
            next_step=f"set {key.artifact_key or key.key} as in the run before; or remove {name}:"
            " planning then finds what is deployed",
        )


def index_name(part: Part | None, tasks: Iterable[str]) -> str:
    """The file name of a run's index: each job of a generated pipeline has its own, named after its tasks."""
    return "run.jsonl" if part is None else f"job-{_digest(str(part), *sorted(tasks))}.jsonl"


def _handed_on(files: Iterable[tuple[str, str]], deployed: Collection[str]) -> Iterable[tuple[str, str]]:
    """The files that a job hands on: its plans; or the receipts of what it deployed, and the claims of plans."""
    own = {f"{kind}/{stack}.json" for kind in ("receipts", "outputs", "unrecorded") for stack in deployed}
    kinds = (_BEFORE, "results/") if deployed else _OF_OTHERS
    return (
        (name, digest)
        for name, digest in files
        if name.startswith(kinds) or name in own or name.endswith("/claim.json")
    )


def _digest(*words: str) -> str:
    return sha256_bytes(canonical_json(words))[:_WRITER_DIGITS]


def _closed(files: dict[str, str | None], durable: bool) -> None:  # noqa: ARG001 - a listener
    raise RecordError("the folder was refused, so nothing is written into it")


def _unwritten(name: str, error: OSError) -> RecordError:
    return RecordError(
        f"cannot write {name}: {error.strerror}",
        untouched="what was applied is in its receipt",
        next_step="free some space or make the folder writable, then run the same command again",
    )
