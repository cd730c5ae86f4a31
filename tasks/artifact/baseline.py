"""The base for stacks without a receipt: their inputs at a commit, compared with their inputs now.

An input whose value at the base is not known counts as changed.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ..base import git
from ..base.errors import ConfigError, DeployError
from ..base.text import short
from ..project import earlier, volatile
from ..project.config.loading import UnknownEnvironmentError
from . import comparable, inputs, observed, receipt
from .inputs import FILES, OUTPUTS, InputKind, Inputs
from .reasons import Reason, Why, between
from .tagnote import TagNote

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from ..project.hcl.commitindex import CommitIndex
    from ..project.project import Project
    from ..project.stack import Stack
    from .inputs import Input
    from .receipt import Receipt


@dataclass(frozen=True)
class _First:
    """What is known before anything is applied: stacks whose outputs may differ from the base, stacks with a receipt.

    `own` is how each stack's own inputs differ.
    """

    moved: frozenset[str]
    deployed: frozenset[str]
    own: Mapping[str, tuple[Inputs, list[Reason]]]


class Baseline:
    """A commit that counts as deployed for stacks without a receipt.

    It is read on first use. If that is before anything is applied, it knows which stacks have changed since.

    Args:
        project: The project as it is now.
        ref: The name of the commit in messages.
        commit: The commit.
        deployed: Whether it was deployed completely, so that commits after it may have been deployed in part.
        note: What is known of that deploy, and of those begun since.
        revision: What is checked out: a stack is compared with it, whatever a deploy of it has begun.

    Attributes:
        same_environment: Whether only the commits are compared, with the environment variables of this job on both
            sides, as something else knows what is deployed.
        seen: Returns what the last plan of a stack was seen to read, as far as something besides the note knows it.
    """

    def __init__(
        self, project: Project, ref: str, commit: str, *, deployed: bool = False,
        note: TagNote | None = None, revision: str = "",
    ) -> None:  # fmt: skip
        self.ref = ref
        self.commit = commit
        self.same_environment = False
        self.seen: Callable[[str], Collection[Input]] = lambda _: ()
        self._project = project
        self._deployed = deployed
        self.note = note or TagNote()
        self._revision = revision
        self._inputs: dict[tuple[str, str | None], Inputs | Reason] = {}
        self._asked: set[str] = set()
        self._git_ignores: set[str] = set()
        self._lock = threading.Lock()

    def reasons(self, stack: Stack, now: Inputs) -> list[Reason]:
        """Why a stack without a receipt is affected; empty if it provably equals the base.

        Raises:
            RecordError: A receipt or the outputs of an upstream cannot be read.
        """
        first, path = self._first, self._project.layout.receipt
        moved = [
            name
            for name in sorted(_upstreams(self._project, stack))
            if name in first.moved or (name not in first.deployed and path(name).exists())
        ]
        compared, own = first.own.get(stack.name, (None, []))
        own = own if compared == now else self._own(stack, now)
        begun = self.note.begun.get(stack.name, self._revision)
        if not own and (begun != self._revision or begun.endswith("+")):
            own = [Reason(Why.BEGUN, note=begun, since=self.ref)]
        return own + [Reason(Why.UPSTREAM, note=name) for name in moved]

    @cached_property
    def gone(self) -> list[str]:
        """The stacks of the base that no longer exist."""
        if isinstance(self._before, Reason):
            return []
        return sorted(self._before[0].stacks.keys() - self._project.stacks.keys())

    @cached_property
    def _before(self) -> tuple[Project, CommitIndex] | Reason:
        """The project at the base, or why it cannot be read."""
        try:
            return earlier.at(self._project, self.commit)
        except UnknownEnvironmentError:
            return Reason(Why.NEW_ENVIRONMENT, note=self._project.environment, since=self.ref)
        except DeployError as error:
            return Reason(Why.BASE_UNREAD, note=error.message, since=self.ref)

    @cached_property
    def _first(self) -> _First:
        """Computed for all stacks on first use."""
        project, moved = self._project, set[str]()
        own: dict[str, tuple[Inputs, list[Reason]]] = {}
        receipts = {name: self._receipt(name) for name in project.stacks}
        found = {name: self._found(name, last) for name, last in receipts.items()}
        if not isinstance(self._before, Reason):
            index = self._before[1]
            self._ignored(path for known in found.values() if known for path in comparable.doubtful(known, index))
        for name in project.graph.order:
            stack, known, last = project.stacks[name], found[name], receipts[name]
            if known is not None:
                own[name] = known, self._own(stack, known)
            unfinished = last is not None and not last.applied
            if known is None or unfinished or own[name][1] or moved & _upstreams(project, stack):
                moved.add(name)
        return _First(frozenset(moved), frozenset(name for name, last in receipts.items() if last), own)

    def _receipt(self, name: str) -> Receipt | None:
        with suppress(DeployError):  # reported when that stack is assessed
            return receipt.read(self._project.layout, name)
        return None

    def _found(self, name: str, last: Receipt | None) -> Inputs | None:
        """The inputs of a stack's last apply, else its current ones; None if neither is known."""
        project = self._project
        if last is not None:
            return last.inputs
        with suppress(DeployError):
            if not receipt.is_outdated(project.layout, name):
                return inputs.gather(project, project.stacks[name], key=project.keyring.current)
        return None

    def _own(self, stack: Stack, found: Inputs) -> list[Reason]:
        """How a stack differs from the base, apart from its upstreams."""
        if isinstance(self._before, Reason):
            return [self._before]
        index = self._before[1]
        before = self._inputs_of(stack.name, found.key)
        if isinstance(before, Reason):
            return [before]
        if not any(item.kind is InputKind.OBSERVED for item in found.digests):
            seen = {*self.note.seen(stack.name), *self.seen(stack.name)}
            found = observed.with_items(self._project, found, seen)
        before = observed.again(self._before[0], before, found)
        before = before.less_variables(volatile.uncounted(self._project, stack))
        unknown = comparable.unknown(self._project, stack, found, index, environment=not self.same_environment)
        git_ignores = self._ignored(comparable.doubtful(found, index))
        unknown |= {
            item: "git ignores it"
            for item in found.digests
            if item.kind in FILES and item.name in git_ignores and item not in unknown
        }
        reasons = [Reason(Why.NOT_COMPARABLE, item, note, self.ref) for item, note in unknown.items()]
        reasons.sort(key=lambda reason: reason.input.rank if reason.input else ())
        set_then = self.note.environment_variables.get(stack.name, ())
        gone = {*set_then} - comparable.of_environment(self._project, stack, found)
        settings = () if self.same_environment else comparable.settings(self._project, stack)
        notes = [*settings, *self._unread(stack)]
        notes += [f"{name}, which is no longer set" for name in sorted(gone)]
        reasons += [Reason(Why.NOT_COMPARABLE, note=note, since=self.ref) for note in notes]
        reasons += between(_wired(before.without(unknown)), _wired(found.without(unknown)), self.ref)
        return reasons or self._changed_back(stack, found)

    def _changed_back(self, stack: Stack, found: Inputs) -> list[Reason]:
        """That a stack equals the base but was another in between: a deploy of that may have ended half way.

        A commit at which the project cannot be read was not deployed.
        """
        for other in self._in_between:
            never = (Why.BASE_UNREAD, Why.NEW_ENVIRONMENT, Why.NOT_COMPARABLE)
            if any(reason.why not in never for reason in other._own(stack, found)):  # noqa: SLF001 - its own kind
                return [Reason(Why.CHANGED_BACK, note=other.ref, since=self.ref)]
        return []

    @cached_property
    def _in_between(self) -> list[Baseline]:
        """The commits since a deployed base at which a stack that equals the base may have been another.

        They have changed a file that was changed back since, or the configuration, if that was changed several times.
        """
        if not self._deployed:
            return []
        passed = git.passed(self._project.home, self.commit)
        differ = git.changed_since(self._project.home, self.commit)
        several = sum(any(map(_is_configuration, paths)) for paths in passed.values()) > 1
        return [
            Baseline(self._project, short(commit), commit)
            for commit, paths in passed.items()
            if paths - differ or (several and any(map(_is_configuration, paths)))
        ]

    def _unread(self, stack: Stack) -> list[str]:
        """The submodules with files of a stack whose commit has changed and whose old commit is not available."""
        if isinstance(self._before, Reason) or not (unread := self._before[1].unread):
            return []
        module = self._project.module(stack.name)
        paths = {stack.path, *module.modules, *(named.path for named in module.named)}
        return [f"submodule {folder}" for folder in unread if any(_lies_in(path, folder) for path in paths)]

    def _inputs_of(self, name: str, key: str | None) -> Inputs | Reason:
        """A stack's inputs at the base, or why they are not known."""
        if isinstance(self._before, Reason):
            return self._before
        at = (name, key)
        if at not in self._inputs:
            project = self._before[0]
            if name not in project.stacks:
                self._inputs[at] = Reason(Why.NEW_STACK, since=self.ref)
            else:
                try:
                    found = self._project.keyring.find(key)
                    self._inputs[at] = inputs.gather(project, project.stacks[name], key=found)
                except DeployError as error:
                    self._inputs[at] = Reason(Why.BASE_UNREAD, note=error.message, since=self.ref)
        return self._inputs[at]

    def _ignored(self, paths: Iterable[str]) -> Collection[str]:
        """Those of some paths that git ignores; git is asked once for all stacks."""
        wanted = set(paths)
        with self._lock:
            if new := wanted - self._asked:
                self._git_ignores |= comparable.ignored(self._project, new)
                self._asked |= new
            return wanted & self._git_ignores


def find(
    project: Project, ref: str, *, exact: bool, note: TagNote | None = None, revision: str = ""
) -> Baseline:  # fmt: skip
    """The baseline that a ref names.

    Args:
        project: The project.
        ref: The ref.
        exact: Whether it is the tag of complete deploys, whose own commit counts; else the merge base with this tree.
        note: What is known of the deploy of that commit, and of those begun since.
        revision: What is checked out.

    Raises:
        ConfigError: The ref does not exist, or shares no history with this tree.
    """
    root = project.layout.root
    commit = git.tagged(root, ref) if exact else git.merge_base(root, ref)
    if commit is None:
        raise ConfigError(
            f"base={ref}: this commit does not exist here, or shares no history with this tree",
            next_step=f"`git fetch origin {ref.rpartition('/')[2]}` first; in a shallow clone, add --unshallow",
        )
    return Baseline(project, ref, commit, deployed=exact, note=note, revision=revision)


def _is_configuration(path: str) -> bool:
    """Whether a path, relative to the top of the repository, may be a file of the configuration."""
    return "/config/" in f"/{path}"


def _upstreams(project: Project, stack: Stack) -> set[str]:
    """The stacks whose outputs a stack reads."""
    reads = project.remote_reads.get(stack.name, ())
    return {*(reference.stack for reference in stack.inputs.values()), *(read.stack for read in reads)}


def _wired(found: Inputs) -> Inputs:
    """Some inputs with the outputs that are read, without values, which no commit has; see `Baseline.reasons`."""
    return Inputs({item: "" if item.kind in OUTPUTS else digest for item, digest in found.digests.items()}, found.key)


def _lies_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")
