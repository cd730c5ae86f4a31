"""The attacks that The Update Framework lists, by name; docs/security.md says what answers each of them.

https://theupdateframework.io/docs/security/
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tasks.artifact import folder
from tasks.base.errors import FolderRefusedError, LedgerError
from tasks.ledger import record, statement, witness
from tasks.ledger.storehome import HEAD
from tasks.ledger.witness import Verdict
from tests import ledgerforgeries
from tests.forgeries import HERE, World, fill
from tests.ledgerforgeries import FORGERS, OURS
from tests.repository import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.ledger.record import Head
    from tasks.ledger.witness import Witness


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path)
    found.make()
    found.verify()
    return found


def _refused(world: World) -> FolderRefusedError:
    with pytest.raises(FolderRefusedError) as caught:
        world.verify()
    return caught.value


def _replace(world: World, name: str, *, whole: bool = True) -> None:
    """Another folder, or its plans alone, in the place of this one."""
    part = ".deploy" if whole else ".deploy/prod/plans"
    shutil.rmtree(world.root / "here" / part)
    shutil.copytree(world.root / name / part, world.root / "here" / part)


def test_arbitrary_software(world: World) -> None:
    """A plan that a merge request's job made and signed with all the keys it has."""
    _replace(world, "same")
    assert _refused(world).reason == "other-key"
    _replace(world, "same", whole=False)
    assert "signed with another key" in _refused(world).message


def test_rollback(world: World) -> None:
    """The folder of an earlier pipeline, whole and well signed; a commit's own rollback: tests/e2e/test_older_commit."""
    _replace(world, "earlier")
    assert _refused(world).reason == "pipeline"


def test_fast_forward(world: World) -> None:
    """A version from the future, so that what comes after it looks old: refused, and nothing of it is remembered."""
    later = replace(HERE, commit="d" * 40, pipeline="99999999")
    shutil.copytree(world.root / "here", world.root / "kept")
    shutil.rmtree(world.root / "here")
    fill(world.layout, world.key, later, "later")
    assert _refused(world).reason == "pipeline"
    shutil.rmtree(world.root / "here")
    shutil.copytree(world.root / "kept", world.root / "here")
    world.verify()
    ledger = ledgerforgeries.World()
    before, mark = ledger.read(), ledger.seen
    line, _, data = ledger.files["head"].partition(b"\n")
    head, envelope = record.read_head(data)
    ahead = statement.seal(head.model_copy(update={"sequence": 10**9}).content(), statement.HEAD, [FORGERS])
    for signatures in (ahead.signatures, envelope.signatures, (*envelope.signatures, *ahead.signatures)):
        ledger.files["head"] = line + b"\n" + ahead.model_copy(update={"signatures": signatures}).to_bytes()
        with pytest.raises(LedgerError):
            ledger.read()
    ledger.files = dict(ledger.versions[-1])
    assert (ledger.read(), ledger.seen) == (before, mark)


def test_rollback_of_the_ledger() -> None:
    """Yesterday's ledger, intact and signed: refused where today's was seen, and not the one that the forge names."""
    ledger = ledgerforgeries.World()
    today, note = _noted(ledger)
    assert witness.judge(today, {today.sequence: today.chain}, [note], rebuilt=False).verdict is Verdict.LAST
    ledger.files = dict(ledger.versions[-2])
    with pytest.raises(LedgerError, match="went back"):
        ledger.read()
    yesterday, _ = _noted(ledger)
    found = witness.judge(yesterday, {yesterday.sequence: yesterday.chain}, [note], rebuilt=False)
    assert (found.verdict, found.witness) == (Verdict.ROLLED_BACK, note)


def _noted(ledger: ledgerforgeries.World) -> tuple[Head, Witness]:
    """The head of a ledger, and what the forge was told of it."""
    head, _ = record.read_head(ledger.files[HEAD].partition(b"\n")[2])
    note = witness.read(1, witness.note(head, [OURS]), head, [OURS.public])
    assert note is not None
    return head, note


def test_indefinite_freeze(world: World) -> None:
    """Results of an earlier pipeline in the place of this one's; ages: tests/unit/test_artifact."""
    old = (world.root / "earlier/.deploy/prod/results/plan/web.json").read_bytes()
    (world.layout.base / "results/plan/web.json").write_bytes(old)
    assert "results/plan/web.json was changed" in _refused(world).message


def test_endless_data(world: World) -> None:
    """A file without an end, and a pipe that is never written."""
    path = world.layout.manifest("web")
    path.unlink()
    path.symlink_to("/dev/zero")
    other = world.layout.plan("network")
    other.unlink()
    os.mkfifo(other)
    message = _refused(world).message
    assert "plans/web/manifest.json" in message
    assert "plans/network/plan.tfplan" in message


def test_extraneous_files(world: World) -> None:
    """A file that nobody listed."""
    (world.layout.base / "receipts/more.json").write_text("{}")
    assert "receipts/more.json is not listed" in _refused(world).message


def test_mix_and_match(world: World) -> None:
    """Plans of one pipeline with the rest of another, and the indexes of both."""
    _replace(world, "earlier", whole=False)
    assert "was changed" in _refused(world).message
    name = "job-0.jsonl"
    (world.layout.indexes / name).write_bytes((world.root / f"earlier/.deploy/prod/index/{name}").read_bytes())
    assert _refused(world).reason == "pipeline"


@pytest.mark.parametrize("name", ["project", "environment"])
def test_wrong_software(world: World, name: str) -> None:
    """A well signed folder of another project, or of another environment."""
    _replace(world, name)
    assert _refused(world).reason == name


def test_malicious_mirrors(world: World) -> None:
    """A store that leaves a file out, or an index."""
    world.layout.receipt("web").unlink()
    assert "receipts/web.json is missing" in _refused(world).message
    (world.layout.indexes / "job-0.jsonl").unlink()
    assert "is not listed" in _refused(world).message


def test_key_compromise(world: World) -> None:
    """A new artifact key ends what the old one signed; the other keys sign nothing that is believed here."""
    renewed = replace(world.key, fingerprint="f" * 8, signature=b"renewed")
    with pytest.raises(FolderRefusedError, match="signed with another key"):
        folder.verify(world.layout, [renewed], HERE)
    with pytest.raises(FolderRefusedError, match="signed with another key"):
        folder.verify(world.layout, [world.passphrase], HERE)
    fill(world.layout, renewed, HERE, "renewed")
    folder.verify(world.layout, [renewed], HERE)


def test_each_attack_is_in_the_docs_and_has_a_test_or_says_that_it_is_not_answered() -> None:
    text = (ROOT / "docs/security.md").read_text().partition("## Attacks on updates")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| ([a-z -]+) \| [^|]+ \| ([^|]+) \|$", text, re.MULTILINE))
    del rows["attack"], rows["---"]
    tested = {name.removeprefix("test_").replace("_", " ") for name in globals() if name.startswith("test_")}
    assert len(rows) >= 11
    for attack, answer in rows.items():
        assert attack in tested or answer.startswith("not answered"), attack
