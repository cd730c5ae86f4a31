"""The index of attacks names tests that exist."""

from __future__ import annotations

import re

from tests import attackclasses
from tests.repository import ROOT


def test_each_entry_of_the_index_is_there_and_stands_once() -> None:
    found = attackclasses.named()
    assert len(found) == len(set(found))
    for entry in found:
        path, _, test = entry.partition("::")
        text = (ROOT / path).read_text()
        assert re.search(rf"^def {test or 'test_'}", text, re.MULTILINE), entry


def test_each_file_that_is_about_an_attack_is_in_the_index() -> None:
    words = re.compile(r"\b(forger|attack|planted|stranger|forged)", re.IGNORECASE)
    about = {
        path.relative_to(ROOT).as_posix()
        for path in ROOT.glob("tests/*/test_*.py")
        if words.search(path.read_text().partition('"""')[2].partition('"""')[0])
    }
    named = {entry.partition("::")[0] for entry in attackclasses.named()}
    assert about - named - {"tests/unit/test_attack_classes.py"} == set()
