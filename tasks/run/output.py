"""Prints everything a run has to say: masked, one writer at a time, and harmless in CI logs."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

from ..base import ci, standard, terminal
from ..base.masking import Rendered
from ..base.terminal import Styled
from ..base.text import plural
from . import cilog

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from rich.live import Live

    from ..base.masking import Masker

_MOST_LOST = 200  # texts; the end of a run matters most


class Output:
    """The run's standard output.

    Args:
        mask: The known secrets.
        aside: Whether it goes to standard error, as standard output is for a program.

    Attributes:
        dialect: The CI system whose log this is.
        colours: Whether styles are shown.
        live: The display of what is under way, while there is one; set by the console.
        written: All that was printed so far, in its styles and with its lines as they are before they are fitted to the
            terminal; None once that is of no use, or something could not be printed.
        undelivered: Whether the document that a program asked for could not be printed, though it still reads.
    """

    def __init__(self, mask: Masker, *, aside: bool = False) -> None:
        self.dialect = cilog.dialect()
        self.aside = aside
        self.colours = terminal.has_colours(self._stream, ci.kind())
        self.live: Live | None = None
        self.written: list[str] | None = None if aside else []
        self.undelivered = False
        self._mask = mask
        self._lock = threading.Lock()
        self._said: set[str] = set()
        self._lost: list[str] = []
        self._problem: OSError | ValueError | None = None

    def say(self, text: str, *, quoted: bool = False) -> None:
        """Print lines; what is quoted, as for a program, is not fitted to the terminal."""
        self.tell([Styled(self._masked(text), quoted=quoted)])

    def tell(self, lines: Sequence[Styled]) -> None:
        """Print lines in their styles; their values were masked as they were put into them."""
        columns = terminal.columns(self._stream)
        text = cilog.coloured(lines, self.dialect, colours=self.colours, columns=columns)
        kept = cilog.coloured(lines, self.dialect, colours=True)
        with self._lock:
            if self.live is not None and not self._lost:
                from rich.text import Text

                self.live.console.print(Text.from_ansi(text), soft_wrap=True)
                self._remember(kept)
                return
        self._write(text, kept)

    def say_once(self, text: str) -> None:
        """`say`, unless this run has said it already."""
        with self._lock:
            known = text in self._said
            self._said.add(text)
        if not known:
            self.say(text)

    def show(self, text: str) -> None:
        """Print text for a terminal or CI system, whose colours and commands take effect."""
        self._write(self._mask.text(text))

    def section(self, name: str, title: Styled, body: Sequence[Styled], *, folded: bool) -> None:
        """`tell`, the body in a section that the CI system's log folds.

        Args:
            name: The section's name, unique in the log.
            title: Its first line.
            body: What folds.
            folded: Whether it is folded at first.
        """
        self._write(cilog.section(self.dialect, name, title, body, folded=folded, colours=self.colours))

    def _masked(self, text: str) -> str:
        """Without secrets, also without those that control characters would have hidden until they are left out."""
        return text if isinstance(text, Rendered) else self._mask.text(cilog.plain(text))

    def _write(self, text: str, kept: str | None = None) -> None:
        with self._lock:
            if self._lost:
                self._lose(text)
                return
            try:
                self._stream.write(text + "\n")
                self._stream.flush()
                self._remember(text if kept is None else kept)
            except (OSError, ValueError) as error:  # a full disk or a closed pipe must not end a deploy
                self._problem = error
                self._lose(text)
                standard.silence(self._stream)

    @property
    def _stream(self) -> TextIO:
        return sys.stderr if self.aside else sys.stdout

    def document(self, text: str) -> None:
        """Print the one document that standard output is for; its values are masked."""
        try:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
        except (OSError, ValueError) as error:
            standard.silence(sys.stdout)
            if not isinstance(error, BrokenPipeError):
                self.undelivered = True
                standard.complain(f"the document could not be printed: {error}\n")

    def _remember(self, text: str) -> None:
        if self.written is not None:
            self.written.append(f"{text}\n")

    def _lose(self, text: str) -> None:
        self.written = None
        self._lost.append(text)
        del self._lost[:-_MOST_LOST]

    def close(self, *, reading: bool = False) -> None:
        """Report on standard error what could not be printed; only the last line if the reader closed the pipe.

        Args:
            reading: Whether the run has done nothing but print: then a reader (`| head`) may have seen enough.
        """
        if self._lost and self._problem is not None:
            complain_of(self._problem, self._lost, reading=reading)


def complain_of(problem: OSError | ValueError, lost: Sequence[str], *, reading: bool) -> None:
    """Report on standard error what could not be printed, see `Output.close`."""
    if not isinstance(problem, BrokenPipeError):
        standard.complain("\n".join([f"could not be printed ({problem}):", *lost, ""]))
    elif not reading:
        lines = "\n".join(lost).strip().splitlines()
        count = plural(len(lines), "line")
        standard.complain(f"could not be printed (the output was closed): {count}, the last one:\n{lines[-1]}\n")
