"""Takes over into the code what was done outside, proven by a plan: `doit drift --adopt STACK`."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..base import jsontext
from ..base.errors import ConfigError, DriftAdoptionError
from ..base.files import write_atomic
from ..base.text import few, plural
from ..drifts import draft as drafts
from ..drifts.classes import DriftClass
from ..drifts.draft import Shape
from ..engine.command import Context
from ..run import workdir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..artifact.changes import PlanChanges
    from ..drifts.classes import Finding
    from ..project.stack import Stack
    from ..run.run import Run

_UNTOUCHED = "no file, state or resource was changed"
_SUFFIXES = (".tf", ".tofu")


@dataclass(frozen=True)
class Adopted:
    """What was taken over: the files that changed, and what is left to do by hand, a sentence each."""

    files: list[str]
    changes: int
    left: list[str]


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


def adopt(run: Run, stack: Stack, findings: Sequence[Finding], look: Callable[[], PlanChanges]) -> Adopted:
    """Write the drafted change into the working tree, if a plan with it is empty but for what the draft leaves.

    Args:
        run: The run.
        stack: The drifted stack.
        findings: What differs.
        look: Plans the stack again and returns its changes.

    Raises:
        DriftAdoptionError: Nothing can be taken over, or the plan is not what it should be; the files are unchanged.
        EngineError: The engine cannot plan with the drafted change; the files are unchanged.
        RecordError: A file cannot be written.
    """
    _require_adoptable(run, stack, findings)
    sources = _sources(run, stack)
    drafted = drafts.draft(findings, sources, _given(run, stack), _shapes(run, stack, findings))
    if not drafted.edits:
        raise _refused(run, stack, "nothing of this drift can be taken over into the code", drafted.left)
    after = {file: drafts.applied(content, _of(drafted.edits, file)) for file, content in sources.items()}
    changed = {file: content for file, content in after.items() if content != sources[file]}
    proven = False
    try:
        for file, content in changed.items():
            write_atomic(run.project.root / file, content)
        _format(run, sorted(changed))
        _prove(run, stack, look(), findings, drafted.left)
        proven = True
    finally:
        if not proven:  # whatever ended it, also a stop
            for file in changed:
                write_atomic(run.project.root / file, sources[file])
    for file in sorted(changed):
        run.say("".join(_diff(file, sources[file], run.project.index.content(file))))
    return Adopted(sorted(changed), len(drafted.edits), drafted.left)


def _require_adoptable(run: Run, stack: Stack, findings: Sequence[Finding]) -> None:
    pending = [found for found in findings if found.kind is DriftClass.UNDEPLOYED]
    if pending:
        names = few([found.address for found in pending], 3)
        raise DriftAdoptionError(
            f"it has undeployed code besides ({names}), so no plan can show that only the drift is taken over",
            stack=stack.name, untouched=_UNTOUCHED,
            next_step=("deploy that code or take it back, then ", run.command("drift", "--adopt", stack.name)),
        )  # fmt: skip
    if run.project.tree is not None:
        raise DriftAdoptionError(
            "this repository is an overlay: its stacks' files are merged from two repositories",
            stack=stack.name, untouched=_UNTOUCHED,
            next_step="make the change by hand where the file belongs; the drift report shows it",
        )  # fmt: skip


def _prove(run: Run, stack: Stack, changes: PlanChanges, findings: Sequence[Finding], left: Sequence[str]) -> None:
    """Require that the plan changes nothing, apart from what was to be left as it was."""
    by_hand = {found.address for found in findings if any(text.startswith(found.address) for text in left)}
    ignored = {found.address for found in findings if found.ignored is not None}
    still = [str(item.get("address")) for item in changes.resources]
    still += [f"output {item.get('name')}" for item in changes.outputs]
    known = {found.address for found in findings if found.kind is DriftClass.OUTPUTS}
    wrong = [address for address in still if address not in by_hand | ignored | known]
    if wrong:
        message = f"with the drafted change the plan would still change {few(wrong, 5)}, so it was taken back"
        raise _refused(run, stack, message, left)


def _refused(run: Run, stack: Stack, message: str, left: Sequence[str]) -> DriftAdoptionError:
    return DriftAdoptionError(
        message, stack=stack.name, untouched=_UNTOUCHED, details=list(left),
        next_step=("change the code by hand; ", run.command(f"drift:{stack.name}"), " shows what differs"),
    )  # fmt: skip


def _sources(run: Run, stack: Stack) -> dict[str, bytes]:
    """The stack's own files in native syntax."""
    files = sorted(run.project.module(stack.name).files)
    return {file: run.project.index.content(file) for file in files if file.endswith(_SUFFIXES)}


def _format(run: Run, files: Sequence[str]) -> None:
    """Format files as the engine does; a draft that it cannot read is found by the plan."""
    where = Context("drift format", run.project.root, run.layout.cache / "data" / "format")
    run.engine().run(where, "fmt", "-no-color", "-list=false", *files, shown=False)


def _given(run: Run, stack: Stack) -> frozenset[str]:
    """The variables whose values come from elsewhere than their defaults."""
    return frozenset({*run.project.known(run.project, stack), *stack.inputs, *stack.settings.images})


def _of(edits: Sequence[drafts.Edit], file: str) -> list[drafts.Edit]:
    return [edit for edit in edits if edit.file == file]


def _shapes(run: Run, stack: Stack, findings: Sequence[Finding]) -> dict[str, Shape]:
    """What the engine says of the types of resources that appeared."""
    wanted = {found.type for found in findings if found.kind is DriftClass.APPEARED}
    if not wanted:
        return {}
    with workdir.context(run, stack, "drift") as (where, _):
        return {name: _shape(schema) for name, schema in _schemas(run, where) if name in wanted}


def _schemas(run: Run, where: Context) -> Iterator[tuple[str, Mapping[str, Any]]]:
    done = run.engine().run(where, "providers", "schema", "-json", apart=True, shown=False)
    document = jsontext.loads(done.raw) if done.ok else {}
    for provider in (document.get("provider_schemas") or {}).values():
        yield from (provider.get("resource_schemas") or {}).items()


def _shape(schema: Mapping[str, Any]) -> Shape:
    """The attributes that can be set, and the nested blocks (https://opentofu.org/docs/cli/commands/providers/schema/)."""
    block = schema.get("block") or {}
    attributes = block.get("attributes") or {}
    settable = {name for name, item in attributes.items() if item.get("required") or item.get("optional")}
    return Shape(frozenset(settable), frozenset(block.get("block_types") or {}))


def _diff(file: str, before: bytes, after: bytes) -> list[str]:
    """A unified diff of a file."""
    old, new = (content.decode("utf-8", "replace").splitlines(keepends=True) for content in (before, after))
    return list(difflib.unified_diff(old, new, f"a/{file}", f"b/{file}"))


def summary(found: Adopted) -> str:
    """What was taken over, on one line."""
    rest = f"; by hand: {'; '.join(found.left)}" if found.left else ""
    proof = "the plan is empty" if not found.left else "the plan has only what is left"
    return f"adopted: {plural(found.changes, 'change')} in {', '.join(found.files)}; {proof}; review and commit{rest}"
