"""Chromium, driven a step at a time; see app/tests/drive.mjs."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import Any

from tests.repository import ROOT

# What must not be lost when a page changes in place: the page itself, where the keyboard is, what was typed, the scroll.
_MARK = "(() => { window.mark = document.activeElement; window.wasAt = scrollY; })()"
_KEPT = "({page: 'mark' in window, focus: window.mark === document.activeElement, scroll: scrollY - window.wasAt})"


class Browser:
    """A browser that is running until `stop`, with windows of a size."""

    def __init__(self, width: int = 1100, height: int = 320) -> None:
        self._process = subprocess.Popen(
            ["node", ROOT / "app/tests/drive.mjs", "/usr/bin/chromium", str(width), str(height)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def tab(self, name: str, url: str, *, clock: bool = False) -> Tab:
        """A new tab, on a page that has come to life; with a clock that can be made to pass."""
        tab = Tab(self, name)
        if clock:
            tab.do("clock")
        assert tab.do("open", url) == 200
        tab.wait("document.querySelector('.live.on')")
        return tab

    def send(self, tab: str, act: str, given: str | int | None) -> Any:
        """Do one thing and give what came of it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"tab": tab, "act": act, "with": given}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, f"{tab}: {act} {given}: {answer['error']}"
        return answer["value"]

    def stop(self) -> None:
        """End it."""
        self._process.communicate()


@dataclass(frozen=True)
class Tab:
    """A tab of the browser."""

    browser: Browser
    name: str

    def do(self, act: str, given: str | int | None = None) -> Any:
        """Do one of the things that drive.mjs lists, and give what came of it."""
        return self.browser.send(self.name, act, given)

    def run(self, code: str) -> Any:
        """The value of an expression in the page."""
        return self.do("run", code)

    def wait(self, code: str) -> None:
        """Wait until an expression in the page is true."""
        self.do("wait", f"Boolean({code})")

    def wait_for_text(self, selector: str, words: str) -> None:
        """Wait until an element that a selector finds has these words."""
        self.wait(f"[...document.querySelectorAll({json.dumps(selector)})]"
                  f".some((found) => found.textContent.includes({json.dumps(words)}))")  # fmt: skip

    def mark(self) -> None:
        """Remember the page, its focus and its scroll."""
        self.run(_MARK)

    def kept(self) -> dict[str, Any]:
        """Whether it is the marked page still, the keyboard where it was, and by how much it was scrolled."""
        kept: dict[str, Any] = self.run(_KEPT)
        return kept
