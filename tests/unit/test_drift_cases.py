"""The published list of drifts is the one that is tested."""

from __future__ import annotations

from tests.driftcases import CASES, published
from tests.repository import ROOT


def test_the_list_of_the_docs_is_the_list_of_the_tests() -> None:
    assert (ROOT / "docs/drift-cases.md").read_text() == published(), "write what `published()` returns"


def test_every_case_has_an_address_of_its_own() -> None:
    addresses = [case.address for cases in CASES.values() for case in cases]
    assert len(addresses) == len(set(addresses)) >= 40
