"""The facts about a block that are common to native and JSON syntax."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from . import expressions
from .expressions import REPEATED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .expressions import Expression
    from .facts import Facts

REPEATS = ("for_each", "count")
_KEPT = re.compile(r"path|file|dir|source|input")  # attributes that others build paths from


def kept_attributes(kind: str, labels: list[str], attributes: dict[str, Expression]) -> dict[str, Expression]:
    """The attributes of a resource or data source that others may build paths from, by address."""
    address = ".".join([*(["data"] if kind == "data" else []), *labels[:2]])
    kept = {f"{address}.{name}": value for name, value in attributes.items() if _KEPT.search(name)}
    if labels[0] == "terraform_data" and "input" in attributes:
        kept[f"{address}.output"] = attributes["input"]
    return kept


def archive_of(
    kind: str, labels: list[str], attributes: dict[str, Expression], blocks: Iterable[str]
) -> Iterator[Expression]:
    """Where a plan writes the archive that a data source makes: nowhere if the data source may have no instance."""
    always = {*attributes, *blocks}.isdisjoint((*REPEATS, "lifecycle"))
    if (kind, labels[0]) == ("data", "archive_file") and always and "output_path" in attributes:
        yield attributes["output_path"]


def leaves(name: str, value: Expression) -> Iterator[tuple[str, Expression]]:
    """The expressions within a literal object, each with its dotted name; for anything else, itself."""
    if value[0] == expressions.LITERAL and isinstance(value[1], dict):
        for key, item in value[1].items():
            yield from leaves(f"{name}.{key}", expressions.literal(item))
    elif value[0] == expressions.OBJECT and all(key[0] == expressions.LITERAL for key, _ in value[1]):
        for key, item in value[1]:
            yield from leaves(f"{name}.{key[1]}", item)
    else:
        yield name, value


def repeat_of(attributes: dict[str, Expression]) -> tuple[str, Expression] | None:
    """What repeats a block: the name of the iterator in its expressions, and the collection."""
    if "for_each" in attributes:
        return "each", attributes["for_each"]
    return ("count", attributes["count"]) if "count" in attributes else None


def reading_of(inside: list[Expression], repeat: tuple[str, Expression] | None) -> Iterator[Expression]:
    """The expressions of a block that read files, wrapped in what repeats the block."""
    found = [expression for expression in inside if expressions.reads(expression)]
    if found:
        yield from found if repeat is None else [[REPEATED, *repeat, found]]


def of_locals(found: Facts) -> Iterator[Expression]:
    """References to the locals that read files."""
    for name, value in found.locals.items():
        if expressions.reads(value):
            yield [expressions.REFERENCE, "local", [["a", name]]]
