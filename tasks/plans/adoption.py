"""Takes over into the code what was done outside, proven by a plan: `doit drift --adopt STACK`."""

from __future__ import annotations

import difflib
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..base import jsontext
from ..base.errors import ConfigError, DriftAdoptionError, EngineError
from ..base.files import write_atomic
from ..base.jsonvalue import fields, named
from ..base.text import few, plural
from ..drifts import blocks, edits
from ..drifts import draft as drafts
from ..drifts.blocks import Shape
from ..drifts.classes import DriftClass
from ..engine.command import Context
from ..project.hcl import combining
from ..run import workdir
from . import trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..artifact.changes import PlanChanges
    from ..base.jsonvalue import Json
    from ..drifts.classes import Finding
    from ..project.stack import Stack
    from ..run.run import Run

_UNTOUCHED = "no file, state or resource was changed"
_SUFFIXES = (".tf", ".tofu")


@dataclass(frozen=True)
class Adopted:
    """What was taken over: the files that changed, and what is left to do by hand, a sentence each.

    `outputs` are the outputs that follow the change with the next deploy, `contents` is the new content of each file,
    `diff` the difference.
    """

    files: list[str]
    changes: int
    left: list[str]
    outputs: list[str]
    contents: dict[str, bytes] = field(default_factory=dict)
    diff: str = ""


class _PutBackError(Exception):
    """The draft is proven, and the files are to be as they were."""


def check_name(run: Run, name: str) -> None:
    """Refuse a stack that does not exist.

    Raises:
        ConfigError: It does not.
    """
    if name not in run.project.stacks:
        raise ConfigError(
            run.project.unknown_stack(name) if name else "`--adopt` names no stack",
            untouched="nothing was planned or changed", next_step=("write ", run.command("drift", "--adopt", "STACK")),
        )  # fmt: skip


def adopt(
    run: Run, stack: Stack, findings: Sequence[Finding], look: Callable[[], PlanChanges], *, keep: bool = True
) -> Adopted:  # fmt: skip
    """Write the drafted change into the working tree, if a plan with it is empty but for what the draft leaves.

    Args:
        run: The run.
        stack: The drifted stack.
        findings: What differs.
        look: Plans the stack again and returns its changes.
        keep: Whether the change stays in the working tree; otherwise it is only proven and returned.

    Raises:
        DriftAdoptionError: Nothing can be taken over, or the plan is not what it should be; the files are unchanged.
        RecordError: A file cannot be written.
    """
    _require_adoptable(run, stack, findings)
    sources = _sources(run, stack)
    drafted = drafts.draft(findings, sources, _given(run, stack), _shapes(run, stack, findings))
    if not drafted.edits:
        raise _refused(run, stack, "none of this drift can be adopted into the code", drafted.left)
    after = {file: edits.applied(content, _of(drafted.edits, file)) for file, content in sources.items()}
    changed = {
        file: _formatted(run, file, sources[file], content)
        for file, content in sorted(after.items()) if content != sources[file]
    }  # fmt: skip
    with suppress(_PutBackError), trial.changed(run, stack.name, sources, changed):
        try:
            outputs = _prove(run, stack, look(), findings, drafted)
        except EngineError as error:
            message = f"the drafted change was reverted, as the engine cannot plan with it: {error.message}"
            raise _refused(run, stack, message, drafted.left) from error
        if not keep:
            raise _PutBackError
    diffs = ["".join(_diff(file, sources[file], changed[file])) for file in sorted(changed)]
    for text in diffs if keep else ():
        run.say(text)
    return Adopted(sorted(changed), len(drafted.edits), drafted.left, outputs, changed, "".join(diffs))


def _require_adoptable(run: Run, stack: Stack, findings: Sequence[Finding]) -> None:
    pending = [found for found in findings if found.kind is DriftClass.UNDEPLOYED]
    if pending:
        names = few([found.address for found in pending], 3)
        raise DriftAdoptionError(
            f"it has undeployed code besides ({names}), so no plan can show that only the drift is adopted",
            stack=stack.name, untouched=_UNTOUCHED,
            next_step=("deploy that code or revert it, then ", run.command("drift", "--adopt", stack.name)),
        )  # fmt: skip
    if run.project.tree is not None:
        raise DriftAdoptionError(
            "this repository is an overlay: its stacks' files are merged from two repositories",
            stack=stack.name, untouched=_UNTOUCHED,
            next_step="make the change by hand where the file belongs; the drift report shows it",
        )  # fmt: skip


def _prove(
    run: Run, stack: Stack, changes: PlanChanges, findings: Sequence[Finding], drafted: drafts.Draft
) -> list[str]:
    """Require that the plan changes no resource but those to be left; returns the outputs that it changes."""
    ignored = {found.address for found in findings if found.ignored is not None}
    still = [str(item.get("address")) for item in changes.resources]
    wrong = [address for address in still if address not in drafted.by_hand | ignored]
    if wrong:
        message = f"with the drafted change the plan would still change {few(wrong, 5)}, so it was reverted"
        raise _refused(run, stack, message, drafted.left)
    return [str(item.get("name")) for item in changes.outputs]


def _refused(run: Run, stack: Stack, message: str, left: Sequence[str]) -> DriftAdoptionError:
    return DriftAdoptionError(
        message, stack=stack.name, untouched=_UNTOUCHED, details=list(left),
        next_step=("change the code by hand; ", run.command(f"drift:{stack.name}"), " shows what differs"),
    )  # fmt: skip


def _sources(run: Run, stack: Stack) -> dict[str, bytes]:
    """The stack's own files in native syntax that the engine reads; those that override others come last."""
    files = run.project.module(stack.name).files
    used = [file for file in files if file.endswith(_SUFFIXES) and combining.twin(file) not in files]
    return {
        file: run.project.index.content(file)
        for file in sorted(used, key=lambda file: (combining.overrides(file), file))
    }


def _formatted(run: Run, file: str, before: bytes, after: bytes) -> bytes:
    """A file's new content as the engine formats it, if the old one was formatted."""
    with tempfile.TemporaryDirectory(prefix="doit-tofu-") as folder:
        place = Path(folder) / Path(file).name
        where = Context("drift format", Path(folder), run.layout.cache / "data" / "format")

        def formatted(content: bytes) -> bytes:
            write_atomic(place, content, durable=False)
            done = run.engine().run(where, "fmt", "-no-color", "-list=false", place.name)
            return place.read_bytes() if done.ok else content

        return formatted(after) if formatted(before) == before else after


def _given(run: Run, stack: Stack) -> frozenset[str]:
    """The variables whose values come from elsewhere than their defaults."""
    return frozenset({*run.project.known(run.project, stack), *stack.inputs, *stack.settings.images})


def _of(found: Sequence[edits.Edit], file: str) -> list[edits.Edit]:
    return [edit for edit in found if edit.file == file]


def _shapes(run: Run, stack: Stack, findings: Sequence[Finding]) -> dict[str, Shape]:
    """What the engine says of the types of resources that appeared, or that have more than texts and numbers now."""
    wanted = {found.type for found in findings if found.kind is DriftClass.APPEARED or _is_nested(found)}
    if not wanted:
        return {}
    with workdir.context(run, stack, "drift") as (where, _):
        return {name: _shape(schema) for name, schema in _schemas(run, where) if name in wanted}


def _is_nested(found: Finding) -> bool:
    """Whether an object was added to a resource: only its type's schema knows whether that is a block."""
    sides = [(found.item or {}).get(side) for side in ("before", "after")]
    if found.kind is not DriftClass.CHANGED or not all(isinstance(side, dict) for side in sides):
        return False
    exists, code = map(fields, sides)
    return any(_objects(exists[name]) and not _objects(code.get(name)) for name in exists)


def _objects(value: Json) -> bool:
    return blocks.are(value) or (isinstance(value, dict) and bool(value))


def _schemas(run: Run, where: Context) -> Iterator[tuple[str, Mapping[str, Json]]]:
    done = run.engine().run(where, "providers", "schema", "-json", apart=True)
    document = fields(jsontext.loads(done.raw)) if done.ok else {}
    for provider in named(document.get("provider_schemas")).values():
        yield from named(provider.get("resource_schemas")).items()


def _shape(schema: Mapping[str, Json]) -> Shape:
    """The attributes that can be set, and the nested blocks (https://opentofu.org/docs/cli/commands/providers/schema/)."""
    block = fields(schema.get("block"))
    attributes = named(block.get("attributes"))
    settable = {name for name, item in attributes.items() if item.get("required") or item.get("optional")}
    return Shape(frozenset(settable), frozenset(fields(block.get("block_types"))))


def _diff(file: str, before: bytes, after: bytes) -> list[str]:
    """A unified diff of a file; unlike `difflib.unified_diff`, it matches lines that repeat, such as `}`."""
    old, new = (content.decode("utf-8", "replace").splitlines(keepends=True) for content in (before, after))
    lines = [f"--- a/{file}\n", f"+++ b/{file}\n"]
    for group in difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes():
        (_, first, _, first_new, _), (_, _, last, _, last_new) = group[0], group[-1]
        lines.append(f"@@ -{first + 1},{last - first} +{first_new + 1},{last_new - first_new} @@\n")
        for kind, begin, end, begin_new, end_new in group:
            if kind == "equal":
                lines += [f" {line}" for line in old[begin:end]]
                continue
            lines += [f"-{line}" for line in old[begin:end]]
            lines += [f"+{line}" for line in new[begin_new:end_new]]
    return lines


def proof(found: Adopted) -> str:
    """What the plan with the change has shown."""
    if found.outputs:
        names = few([f"output {name}" for name in found.outputs], 3)
        return f"the plan changes no {'other ' if found.left else ''}resource, only {names}"
    return "the plan has only what is left" if found.left else "the plan is empty"


def summary(found: Adopted) -> str:
    """What was taken over, on one line."""
    rest = f"; by hand: {'; '.join(found.left)}" if found.left else ""
    changed = f"{plural(found.changes, 'change')} in {', '.join(found.files)}"
    return f"adopted: {changed}; {proof(found)}; review and commit{rest}"
