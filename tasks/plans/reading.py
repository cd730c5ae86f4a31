"""What the engine says of a plan, as JSON: read from the plan itself where we know how, else asked of the engine.

`show -json` starts the engine and every provider once more, only for the schemas of providers. These are the same for
all stacks with the same providers, so a run asks for them once: where a second plan has providers that another one had.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ..base.errors import EngineError
from ..base.jsonvalue import fields, named
from ..base.layout import ENGINE_LOCK_FILE
from ..engine import encryption, providercache
from ..engine.planfile import document, encrypted, schema
from ..engine.planfile import plan as plans
from ..engine.planfile.wire import UnreadableError
from . import judging

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from collections.abc import Set as AbstractSet

    from ..base.jsonvalue import Json
    from ..base.sealed import Sealed
    from ..engine.command import Context
    from ..engine.planfile.plan import SavedPlan
    from ..engine.planfile.schema import Kind, Schema
    from ..run.run import Run

_READ = ("tofu", (1, 12))  # whose plans tests compare with what the engine itself says of them
_BUILT_IN = "terraform.io/builtin/"


def of(run: Run, where: Context, plan: Sealed) -> Mapping[str, Json]:
    """What a plan says, as far as it is reported and compared; all of it where policies judge it.

    Args:
        run: The run.
        where: The stack's context, initialized.
        plan: The plan.

    Raises:
        EngineError: It cannot be read.
        StoppedError: The run was asked to stop.
    """
    engine = run.engine()
    if judging.judged_by(run) is None and (engine.kind, engine.release) == _READ and not where.early:
        try:
            saved = plans.read(plan, _opener(run))
            if (find := run.once(Schemas).of(run, where, saved)) is not None:
                return document.of(saved, find)
        except UnreadableError:
            pass
    return shown(run, where, plan)


def shown(run: Run, where: Context, plan: Sealed) -> Mapping[str, Json]:
    """What the engine says of a plan.

    Raises:
        EngineError: It cannot read it.
        StoppedError: The run was asked to stop.
    """
    return fields(run.engine().json(where.holding(plan.descriptor), "show", "-json", "-no-color", plan.argument()))


def variables(run: Run, where: Context, plan: Sealed, names: AbstractSet[str]) -> Mapping[str, Json]:
    """The values of some variables of the root module that a plan was made with, including defaults.

    Raises:
        EngineError: It cannot be read.
        StoppedError: The run was asked to stop.
    """
    try:
        given = document.variables_of(plans.read(plan, _opener(run)))
    except UnreadableError:
        given = {}
    if names <= given.keys():
        return given
    return {name: item.get("value") for name, item in named(shown(run, where, plan).get("variables")).items()}


def _opener(run: Run) -> Callable[[bytes], bytes] | None:
    """What decrypts the plans of this run; None where they are not encrypted."""
    key = run.project.keyring.current if run.project.keyring.is_set else None
    if key is None:
        return None
    return lambda content: encrypted.decrypted(content, encryption.provider(key), key.encryption)


class Schemas:
    """The schemas of providers that plans of one run need, each provider in one version known once.

    Args:
        run: The run.
    """

    def __init__(self, run: Run) -> None:
        del run
        self._lock = threading.Lock()
        self._seen: set[str] = set()
        self._unknown: set[str] = set()
        self._known: dict[str, Mapping[Kind, Schema]] = {}

    def of(self, run: Run, where: Context, saved: SavedPlan) -> document.Find | None:
        """A look-up of the schemas of a plan's providers; None where one is new: then its first plan is shown.

        Raises:
            UnreadableError: They cannot be had, or a kind of resource has none.
            StoppedError: The run was asked to stop.
        """
        versions = _versions(where, run.engine().version)
        try:
            names = {provider: versions[provider] for provider in document.providers_of(saved)}
        except KeyError:
            raise UnreadableError("a provider is not locked") from None
        with self._lock:
            wanted = set(names.values())
            new = wanted - self._known.keys()
            if new - self._seen:
                self._seen |= wanted
                return None
            if new & self._unknown:
                raise UnreadableError("its schema could not be read")
            if new:
                self._ask(run, where, versions, new)

        def find(kind: Kind) -> Schema:
            found = self._known[names[kind.provider]].get(kind) if kind.provider in names else None
            if found is None:
                raise UnreadableError(f"{kind.type} is not known")
            return found

        return find

    def _ask(self, run: Run, where: Context, versions: Mapping[str, str], new: Collection[str]) -> None:
        """Ask the engine for the schemas of a stack's providers."""
        try:
            done = run.engine().run(where, "providers", "schema", "-json", apart=True)
            found = schema.read(done.raw) if done.ok else {}
        except (EngineError, UnreadableError):
            found = {}
        for provider in {kind.provider for kind in found} & versions.keys():
            self._known[versions[provider]] = {kind: one for kind, one in found.items() if kind.provider == provider}
        if missing := set(new) - self._known.keys():
            self._unknown |= missing
            raise UnreadableError("its schema could not be read")


def _versions(where: Context, engine: str) -> dict[str, str]:
    """The providers of a stack, each with its version; those that are built in have the engine's."""
    locked = providercache.locked_providers(where.folder / ENGINE_LOCK_FILE)
    names = {name.rpartition("/")[0]: name for name in locked}
    return {**names, f"{_BUILT_IN}terraform": f"{_BUILT_IN}terraform/{engine}"}
