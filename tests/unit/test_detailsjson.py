"""Records hold the details of results in full, without a copy of what is JSON already."""

from __future__ import annotations

from dataclasses import asdict, fields, is_dataclass
from typing import TYPE_CHECKING, get_args, get_type_hints

import pytest

from tasks.run import details
from tasks.run.details import CheckRecord, DeployDetails, LockFile, PlanDetails

if TYPE_CHECKING:
    from collections.abc import Iterator

TYPES = get_args(details.Details)


def _parts(annotation: object) -> Iterator[object]:
    """The dataclasses in an annotation, however deep."""
    if is_dataclass(annotation):
        yield annotation
    for inner in get_args(annotation):
        yield from _parts(inner)


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_every_part_of_details_that_is_no_json_is_made_json(kind: type) -> None:
    hints = get_type_hints(kind)
    found = {part for field in fields(kind) for part in _parts(hints[field.name])}
    assert found <= set(details._PARTS)


def test_details_become_what_a_copy_of_all_of_them_would_be() -> None:
    made = (
        PlanDetails(origin="plan", changes={"resources": [{"a": [1]}]}, lock_file=LockFile("x", "new")),
        DeployDetails(outputs={"o": {"p": 1}}, checks=[CheckRecord("http", "it", True, "", "", 1, 0.5)]),
    )
    for each in made:
        assert details.to_json(each) == asdict(each)
    assert details.to_json(None) is None
