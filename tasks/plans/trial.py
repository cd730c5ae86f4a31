"""Changes source files on trial: kept once proven, otherwise put back as they were, whatever ends the run."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..base import git
from ..base.errors import DriftAdoptionError, RecordError
from ..base.files import write_atomic
from ..base.text import few

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from ..run.run import Run

_KEPT = ".before-adopt"


@contextmanager
def changed(run: Run, stack: str, before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Iterator[None]:
    """Within this, files have a new content; it stays if the body ends without an error and nobody asked to stop.

    The original is kept under a second name in its folder, so that putting it back needs no space and loses neither its
    mode nor anything else. A run that was killed leaves that name, and the next one refuses to go on until it is gone.

    Args:
        run: The run.
        stack: The stack that the files belong to.
        before: The content that each file must still have.
        after: Its new content.

    Raises:
        DriftAdoptionError: A file is not one to be changed, or was changed by somebody else meanwhile.
        RecordError: A file cannot be written.
    """
    _check(run, stack, list(after))
    trial = _Trial(run.project.root, stack, before, after)
    try:
        with run.stop.waking(trial.undo):  # a second signal ends us at once
            trial.begin()
            yield
            run.stop.check("the drafted change")
            trial.keep()
    finally:
        trial.undo()
        trial.check()


def require_none_left(run: Run, stack: str, files: Iterable[str]) -> None:
    """Refuse to begin while an original is kept beside one of some files: a run was killed before it put it back.

    Raises:
        DriftAdoptionError: There is one.
    """
    for file in files:
        if os.path.lexists(run.project.root / _kept(file)):
            raise _left(stack, file)


def _check(run: Run, stack: str, files: list[str]) -> None:
    """Refuse files whose change would be lost, or would reach something else."""
    root = run.project.root
    ignored = git.ignored(root, files)
    for file in files:
        path = root / file
        why = (
            "is a link: change the file that it leads to by hand" if path.is_symlink()
            else "is behind a link: change the code by hand" if path.resolve() != root.resolve() / file
            else "is ignored by git, so the change would be lost: make it by hand where the file comes from"
            if file in ignored
            else "is read-only: make it writable, then run this again" if not path.stat().st_mode & 0o222
            else ""
        )  # fmt: skip
        if why:
            place, _, step = why.partition(": ")
            raise DriftAdoptionError(
                f"{file} {place}", stack=stack, where=file, untouched="no file was changed", next_step=step
            )


class _Trial:
    def __init__(self, root: Path, stack: str, before: Mapping[str, bytes], after: Mapping[str, bytes]) -> None:
        self._root, self._stack, self._before, self._after = root, stack, before, after
        self._begun: list[str] = []
        self._foreign: list[str] = []

    def begin(self) -> None:
        """Write the new contents."""
        for file, content in self._after.items():
            path, kept = self._root / file, self._kept(file)
            try:
                os.link(path, kept)
                self._begun.append(file)
            except OSError as error:
                raise self._unkept(file, error) from error
            if path.read_bytes() != self._before[file]:
                self._begun.remove(file)
                kept.unlink()
                raise DriftAdoptionError(
                    f"{file} was changed while its drift was being checked", stack=self._stack, where=file,
                    untouched="the file is as it was", next_step="run the same command again",
                )  # fmt: skip
            write_atomic(path, content, mode=kept.stat().st_mode & 0o777)

    def keep(self) -> None:
        """Keep the new contents."""
        while self._begun:
            self._kept(self._begun.pop()).unlink(missing_ok=True)

    def undo(self) -> None:
        """Put the originals back, but not over what somebody else has written meanwhile; again, it does nothing."""
        while self._begun:
            file = self._begun.pop()
            path, kept = self._root / file, self._kept(file)
            try:
                if path.read_bytes() in (self._after[file], self._before[file]):
                    kept.replace(path)
                    kept.unlink(missing_ok=True)  # two names of one file: `rename` leaves both
                    continue
            except OSError:
                pass
            self._foreign.append(file)

    def check(self) -> None:
        """Tell of files that were not put back."""
        if self._foreign:
            names = [str(self._kept(file).relative_to(self._root)) for file in self._foreign]
            raise DriftAdoptionError(
                f"{few(self._foreign, 3)} changed while the plan was made, and was left as it is now",
                stack=self._stack, untouched=f"the file as it was before is kept as {few(names, 3)}",
                next_step=f"compare the two, then remove {few(names, 3)}",
            )  # fmt: skip

    def _kept(self, file: str) -> Path:
        return self._root / _kept(file)

    def _unkept(self, file: str, error: OSError) -> DriftAdoptionError | RecordError:
        if error.errno == errno.EEXIST:
            return _left(self._stack, file)
        return RecordError(
            f"cannot keep {file} as it is: {error.strerror or error}", where=file, untouched="no file was changed",
            next_step="free disk space or make the folder writable, then run the same command again",
        )  # fmt: skip


def _kept(file: str) -> str:
    """The second name of a file's original."""
    folder, slash, name = file.rpartition("/")
    return f"{folder}{slash}.{name}{_KEPT}"


def _left(stack: str, file: str) -> DriftAdoptionError:
    return DriftAdoptionError(
        f"another `--adopt` is changing {file}, or was killed before it could put it back",
        stack=stack, where=file, untouched="no file was changed",
        next_step=f"if none is running, {_kept(file)} is the file as it was: move it back, or remove it",
    )  # fmt: skip
