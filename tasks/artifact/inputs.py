"""The inputs of a stack's plan, each with the digest of its content, and one digest over all.

`reasons` turns inputs into words for people; nothing else does, and nothing parses such words.
"""

from __future__ import annotations

import posixpath
import shlex
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from pydantic_core import core_schema

from ..base.errors import ConfigError
from ..base.files import canonical_json, sha256_bytes
from ..base.jsonvalue import fields, records
from ..base.layout import ENGINE_LOCK_FILE
from ..base.problem import NOTHING_PLANNED, Shell
from ..project import variables, volatile, watched
from ..project.backend import settings as backend_settings
from ..project.config.signature import sealed
from . import outputs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from pydantic import GetCoreSchemaHandler

    from ..base.jsonvalue import Json, JsonObject
    from ..project.config.keyring import Key
    from ..project.hcl.facts import NamedPath
    from ..project.project import Project
    from ..project.stack import Stack

ABSENT = "absent"
NOT_RECORDED = "not recorded"  # replaces a digest that the ledger must not hold; equals no digest
_NOT_CONFIGURATION = (".md", ".tfstate", ".tfstate.backup", ".lock.info", ".pyc")
_NO_FILES = ("/proc/", "/sys/", "/dev/")  # files whose content the kernel generates


class InputKind(StrEnum):
    """The kinds of inputs, the likeliest cause of a change first."""

    FILE = "file"
    MODULE = "module"
    BUILD = "build"
    IMAGE = "image"
    VARIABLE = "variable"
    OUTPUT = "output"
    REMOTE_OUTPUT = "remote_output"
    REMOTE_OUTPUTS = "remote_outputs"
    VAR_FILE = "var_file"
    WATCHED = "watched"
    ANY_FILE = "any_file"
    BACKEND = "backend"
    ENGINE = "engine"
    ENVIRONMENT_VARIABLE = "environment_variable"
    LOCK_FILE = "lock_file"
    OBSERVED = "observed"


_RANK = {kind: position for position, kind in enumerate(InputKind)}
VALUES = frozenset({InputKind.VARIABLE, InputKind.ENVIRONMENT_VARIABLE})  # digested with the key, if there is one
OUTPUTS = frozenset({InputKind.OUTPUT, InputKind.REMOTE_OUTPUT, InputKind.REMOTE_OUTPUTS})
FILES = frozenset(
    {InputKind.FILE, InputKind.MODULE, InputKind.VAR_FILE, InputKind.WATCHED, InputKind.LOCK_FILE}
)  # `name` is the path
CODE = frozenset(
    {InputKind.FILE, InputKind.MODULE, InputKind.LOCK_FILE, InputKind.WATCHED, InputKind.BUILD, InputKind.IMAGE}
)  # the same in every environment


class Input(NamedTuple):
    """Something that can change a stack's plan.

    `name` is a path relative to the repository's root, or the name of a variable, output, build or image; for
    `ANY_FILE`, the files that read a file whose name is not known. `stack` is the upstream of an output. `target` is
    what gets the
    value: a variable, or the name of a `terraform_remote_state`.
    """

    kind: InputKind
    name: str = ""
    stack: str = ""
    target: str = ""

    @property
    def variable(self) -> str | None:
        """The variable whose value it is, if any."""
        match self.kind:
            case InputKind.VARIABLE:
                return self.name
            case InputKind.ENVIRONMENT_VARIABLE:
                return self.name.removeprefix(variables.PREFIX)
            case InputKind.OUTPUT:
                return self.target
        return None

    @property
    def rank(self) -> tuple[int | str, ...]:
        """The order in which inputs are shown."""
        return _RANK[self.kind], *self[1:]


@dataclass(frozen=True)
class Inputs:
    """The inputs of a stack, each with the digest of its content.

    `key` is the fingerprint of the key for digests of configured and environment values, as a short secret is easily
    found from its plain digest; None without a key.
    """

    digests: Mapping[Input, str]
    key: str | None = None

    @property
    def digest(self) -> str:
        """Hex SHA-256 over all inputs: the inputs digest."""
        entries = sorted([*item, digest] for item, digest in self.digests.items())
        return sha256_bytes(canonical_json([self.key, entries]))

    def without(self, left_out: Collection[Input]) -> Inputs:
        """The inputs without some."""
        return Inputs({item: digest for item, digest in self.digests.items() if item not in left_out}, self.key)

    def less_variables(self, names: Collection[str]) -> Inputs:
        """The inputs without the values of some variables, wherever they come from."""
        return self.without({item for item in self.digests if item.variable in names})

    def differing(self, other: Inputs) -> list[Input]:
        """The inputs that differ or exist on one side only; the likeliest cause first."""
        mine, theirs = self.digests, other.digests
        changed = {item for item in {*mine, *theirs} if mine.get(item) != theirs.get(item)}
        return sorted(changed, key=lambda item: item.rank)

    def to_json(self) -> JsonObject:
        """A JSON value that `from_json` reads back."""
        found = sorted(self.digests.items(), key=lambda pair: pair[0].rank)
        return {
            "key": self.key,
            "digests": [
                {**{name: str(text) for name, text in item._asdict().items() if text}, "digest": digest}
                for item, digest in found
            ],
        }

    @classmethod
    def from_json(cls, value: Json) -> Inputs:
        """The inputs of a `to_json` value.

        Raises:
            ValueError: It is not one.
        """
        try:
            digests = {}
            for entry in records(fields(value)["digests"]):
                texts = {name: text for name, text in entry.items() if isinstance(text, str)}
                if len(texts) != len(entry):
                    raise TypeError("text")
                digest = texts.pop("digest")
                digests[Input(InputKind(texts.pop("kind")), **texts)] = digest
            key = fields(value)["key"]
            return cls(digests, None if key is None else str(key))
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"inputs: {error!r}") from None

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Lets pydantic read the field of a record with `from_json`."""
        del source, handler
        return core_schema.no_info_plain_validator_function(cls.from_json)


def gather(project: Project, stack: Stack, *, produced: Collection[str] = (), key: Key | None = None) -> Inputs:
    """The current inputs of a stack; cheap if files are unchanged since they were last read.

    Args:
        project: The project.
        stack: The stack.
        produced: Files that the stack's own applies wrote, which are not inputs.
        key: The key for digests of values.

    Raises:
        ConfigError: A var file is missing, or a setting cannot be filled in.
        RecordError: The outputs of an upstream cannot be read.
    """
    found = {**dict(_read(project, stack, produced)), **dict(_given(project, stack, key))}
    return Inputs(found, key.fingerprint if key else None)


def upstream_outputs(project: Project, stack: Stack, among: Collection[str] | None = None) -> dict[Input, str]:
    """The upstream outputs that a stack reads; with `among`, only those of the named upstreams.

    Raises:
        RecordError: The outputs of an upstream cannot be read.
    """
    found: dict[Input, str] = {}
    left_out = volatile.uncounted(project, stack)
    for variable, reference in stack.inputs.items():
        if variable not in left_out and (among is None or reference.stack in among):
            known = outputs.stored(project.layout, reference.stack) or {}
            item = Input(InputKind.OUTPUT, reference.output, reference.stack, variable)
            found[item] = known[reference.output].digest if reference.output in known else ABSENT
    for read in project.remote_reads.get(stack.name, ()):
        if among is None or read.stack in among:
            known = outputs.stored(project.layout, read.stack) or {}
            for name in read.outputs or ():
                item = Input(InputKind.REMOTE_OUTPUT, name, read.stack, read.name)
                found[item] = known[name].digest if name in known else ABSENT
            if read.outputs is None:
                item = Input(InputKind.REMOTE_OUTPUTS, "", read.stack, read.name)
                is_whole = all(output.digest != NOT_RECORDED for output in known.values())
                found[item] = _digest({name: known[name].digest for name in known}) if is_whole else NOT_RECORDED
    return found


def written_since(project: Project, stack: Stack, planned: Inputs) -> list[str]:
    """The files that a stack's apply wrote: named in its configuration, changed since the plan, not in git.

    They are products of the stack, not inputs, although its configuration names or reads them. A file that git tracks
    is a source, even if it was changed meanwhile. Without git, only a file that did not exist before counts.
    """
    found: dict[str, str] = {}
    for named in project.module(stack.name).named:
        found.update(item for item in _files_of(project, named) if item[1] != ABSENT)
    before = {
        path: planned.digests.get(Input(InputKind.FILE, path), ABSENT)
        for path in found
        if Input(InputKind.MODULE, path) not in planned.digests
    }
    changed = sorted(path for path, digest in before.items() if digest != found[path])
    tracked = project.tracked(changed) if changed else set()
    if tracked is None:
        return [path for path in changed if before[path] == ABSENT]
    return [path for path in changed if path not in tracked]


def _read(project: Project, stack: Stack, produced: Collection[str]) -> Iterator[tuple[Input, str]]:
    """The files that a stack consists of or reads."""
    module, index = project.module(stack.name), project.index
    own = list(module.files)
    called = [file for files in module.modules.values() for file in files]
    for kind, paths in ((InputKind.FILE, own), (InputKind.MODULE, called)):
        for path in paths:
            yield Input(kind, path), index.digest(path) or ABSENT
    automatic = variables.automatic_var_files(project, stack)
    configuration = {*own, *called, *automatic}
    for path in automatic:
        if (digest := volatile.var_file_digest(project, stack, path)) is not None:
            yield Input(InputKind.FILE, path), digest
    lock = f"{stack.path}/{ENGINE_LOCK_FILE}"
    if (digest := index.digest(lock)) is not None:
        yield Input(InputKind.LOCK_FILE, lock), digest
    for named in module.named:
        for path, digest in _files_of(project, named):
            if path not in configuration and path not in produced:
                yield Input(InputKind.FILE, path), digest
    globs = list(watched.written(project, stack))
    found = list(watched.files(project, globs))
    _require_readable(project, stack, {glob.folder for glob in globs})
    for path in found:
        yield Input(InputKind.WATCHED, path), index.digest(path) or ABSENT
    for position, path in enumerate(variables.var_files(project, stack)):
        if (digest := volatile.var_file_digest(project, stack, path)) is not None:
            yield Input(InputKind.VAR_FILE, path), f"{position} {digest}"
    if module.unknown:
        yield Input(InputKind.ANY_FILE, ", ".join(sorted(module.unknown))), project.tree_digest


def _require_readable(project: Project, stack: Stack, watching: Collection[str]) -> None:
    """Refuse to determine the inputs of a stack if one of its folders, or a watched one, cannot be listed.

    Raises:
        ConfigError: A folder cannot be listed.
    """
    module, unreadable = project.module(stack.name), project.index.unreadable
    if not unreadable:
        return
    read = (named.path for named in module.named if named.read and not named.exact)
    folders = (module.path, *module.modules, *read, *watching)
    for path, why in sorted(unreadable.items()):
        if any(folder in (path, ".") or path.startswith(f"{folder}/") for folder in folders):
            raise ConfigError(
                f"the folder {path} cannot be read: {why}; its content is an input of this stack",
                where=path, stack=stack.name, untouched=NOTHING_PLANNED,
                next_step=(
                    "make it readable (", Shell(f"chmod u+rx {shlex.quote(path)}"), "), or remove what is not a file",
                ),
            )  # fmt: skip


def _given(project: Project, stack: Stack, key: Key | None) -> Iterator[tuple[Input, str]]:
    """The inputs other than files: values, settings, builds and images."""
    left_out = volatile.uncounted(project, stack)
    for name, value in variables.configured(project, stack, left_out).items():
        yield Input(InputKind.VARIABLE, name), _digest(value, key)
    for name, text in variables.from_environment(project, stack).items():
        if name.removeprefix(variables.PREFIX) not in left_out:
            yield Input(InputKind.ENVIRONMENT_VARIABLE, name), _digest(text, key)
    yield from upstream_outputs(project, stack).items()
    if (catalog := project.catalog) is not None:
        for name in catalog.read_by(stack):
            yield Input(InputKind.BUILD, name), catalog.sources(name).digest
        for variable, image in stack.settings.images.items():
            yield image_input(variable, image), catalog.reference(image)
    if (settings := backend_settings(project, stack)) is not None:
        yield Input(InputKind.BACKEND), _digest(settings)
    yield Input(InputKind.ENGINE), f"{project.config.engine.kind} {project.config.engine.version}"


def image_input(variable: str, image: str) -> Input:
    """The input for an image whose reference sets a variable; its digest is the reference by tag."""
    return Input(InputKind.IMAGE, image, target=variable)


def _files_of(project: Project, named: NamedPath) -> Iterator[tuple[str, str]]:
    """The files at a named path, with their digests; a missing file that is read counts as absent."""
    index, catalog = project.index, project.catalog
    if named.path.startswith(_NO_FILES) or (catalog is not None and catalog.makes(named.path)):
        return  # outputs of a build count through the build's inputs
    if not index.is_folder(named.path):
        if not named.read and named.path.endswith(_NOT_CONFIGURATION):
            return
        digest = index.digest(named.path)
        if digest is not None:
            yield named.path, digest
        elif named.read and named.exact:
            yield named.path, ABSENT
        return
    for path in index.meant(named):
        name = posixpath.basename(path)
        if catalog is not None and catalog.makes(path):
            continue
        if not named.read and (name.startswith(".") or name.endswith(_NOT_CONFIGURATION)):
            continue
        if name.endswith((".tfstate", ".tfstate.backup")):
            continue  # what an apply writes is not an input of the plan
        if (digest := index.digest(path)) is not None:
            yield path, digest


def _digest(value: Json, key: Key | None = None) -> str:
    """Hex SHA-256 of a value; with a key an HMAC, so that the value cannot be guessed without it."""
    content = canonical_json(value)
    return sealed(content, key) if key else sha256_bytes(content)
