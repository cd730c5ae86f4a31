"""A plan file that is swapped after it was verified: what is applied is what was verified, or nothing.

The swaps are made by `tests/swapper.py`, inside the run: at any call or return of a function of the package, or by the
script in front of the engine. Each stack of one repository is swapped at a moment of its own.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.repository import DODO, Repository, copy_tree, minimal_config, resource

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STACKS = 26
ROUNDS = 2
WAYS = ("rename", "in place")
ENGINE = ("engine show", "engine apply")  # between the start of the process and its first look at the file
SHOWN, STARTED = "start of show", "start of apply"

SWAPPING_ENGINE = """\
#!/bin/sh
swap="$HOME/swaps/$(basename "$PWD") engine $1"
if [ -x "$swap" ]; then "$swap"; fi
exec '{tofu}' "$@"
"""
SCRIPTS = {
    "rename": "cp '{foreign}' '{folder}/new' && mv '{folder}/new' '{folder}/plan.tfplan'\n",
    "in place": "cat '{foreign}' > '{folder}/plan.tfplan'\n",
}


class Swaps:
    """A repository of equal stacks, planned, with a foreign plan of each that must never be applied.

    Args:
        base: A folder for all of it.
        tofu: The engine.
    """

    def __init__(self, base: Path, tofu: Path) -> None:
        self.names = [f"s{number:02}" for number in range(STACKS)]
        config = minimal_config("policy: {max_destroy: 100}\n")  # so that a plan is shown, and judged, before its apply
        self.repository = Repository.create(base, tofu, config, "dodo.py:" + DODO + "import swapper\n")
        shutil.copy(Path(__file__).parent.parent / "swapper.py", self.repository.path)
        self.repository.engine_script(SWAPPING_ENGINE.format(tofu=tofu))
        self.foreign = base / "foreign"
        self._saved = base / "saved"
        self._commit("foreign")
        self.repository.doit("plan")
        copy_tree(self.repository.deploy_dir("plans"), self.foreign)
        self._commit("good")
        self.save("unplanned")
        self.planning = self._moments("plan")
        self.save("planned")
        self.deploying = self._moments("deploy")

    def save(self, name: str) -> None:
        """Keep the repository as it is."""
        copy_tree(self.repository.path, self._saved / name)

    def restore(self, name: str) -> None:
        """Bring the repository back as it was kept."""
        shutil.rmtree(self.repository.path)
        copy_tree(self._saved / name, self.repository.path)

    def run(self, command: str, way: str, moments: Sequence[str]) -> str:
        """Run doit, the plan of each stack swapped at its moment; gives what it printed."""
        orders: dict[str, list[str]] = {}
        scripts = self.repository.home / "swaps"
        shutil.rmtree(scripts, ignore_errors=True)
        scripts.mkdir()
        for name, moment in zip(self.names, moments, strict=True):
            task, _, at = moment.partition(" ")
            folder, foreign = self.repository.deploy_dir("plans", name), self.foreign / name / "plan.tfplan"
            if moment in ENGINE:
                script = scripts / f"{name} {moment}"
                script.write_text("#!/bin/sh\n" + SCRIPTS[way].format(folder=folder, foreign=foreign))
                script.chmod(0o700)
            else:
                orders[f"{task}:{name}"] = [at, way, str(folder), str(foreign)]
        path = self.repository.home / "orders.json"
        path.write_text(json.dumps(orders))
        return self.repository.doit(command, code=None, SWAPS=str(path)).out

    def applied(self, name: str) -> str | None:
        """What was applied of a stack; None when nothing was."""
        if not (self.repository.path / f".state/{name}-local.tfstate").exists():
            return None
        return str(self.repository.state(name)["outputs"]["value"]["value"])

    def swapped(self, name: str) -> bool:
        """Whether a stack's plan file is the foreign one."""
        foreign = (self.foreign / name / "plan.tfplan").read_bytes()
        return self.repository.deploy_dir("plans", name, "plan.tfplan").read_bytes() == foreign

    def _commit(self, value: str) -> None:
        self.repository.write(*(f"stacks/{name}/main.tf:{resource(value)}" for name in self.names))
        self.repository.commit(value)

    def _moments(self, command: str) -> list[str]:
        """The moments of a run that every stack met, each `stage moment`, in their order."""
        log = self.repository.home / f"{command}.log"
        self.repository.doit(command, MOMENTS=str(log))
        met: dict[str, set[str]] = {}
        for task, at in map(json.loads, log.read_text().splitlines()):
            stage, _, name = task.partition(":")
            met.setdefault(f"{stage} {at}", set()).add(name)
        return [at for at, names in met.items() if names == set(self.names)]


@pytest.fixture(scope="module")
def swaps(tmp_path_factory: pytest.TempPathFactory, tofu: Path) -> Swaps:
    """The repository, planned once for all tests of this module."""
    return Swaps(tmp_path_factory.mktemp("swaps"), tofu)


def _spread(moments: Sequence[str], count: int, offset: int) -> Iterator[str]:
    """So many moments, spread evenly; another offset has others."""
    step = len(moments) / count
    for position in range(count):
        yield moments[int(position * step + offset * step / ROUNDS)]


def _refused(out: str, stage: str, name: str) -> bool:
    """Whether the line of a task says that its plan was refused, or that it failed as one that was."""
    uncounted = (re.sub(r"^(\w+ +)\d+/\d+ ", r"\1", line) for line in out.splitlines())
    failed = {line.split()[1]: line for line in uncounted if line.split()[:1] == [stage] and " FAILED " in line}
    said = failed.get(name, "")
    first = re.search(r"\bas (\w+) above$", said)
    return "its hash differs" in (failed[first[1]] if first else said)


@pytest.mark.parametrize("round_", range(ROUNDS))
@pytest.mark.parametrize("way", WAYS)
def test_a_plan_swapped_after_its_verification_is_never_applied(swaps: Swaps, way: str, round_: int) -> None:
    accepted = swaps.deploying.index(f"plan {SHOWN}")  # the artifact was verified, the engine begins to read the plan
    moments = swaps.deploying[accepted:]
    assert moments[-1] == f"deploy {STARTED}"
    swaps.restore("planned")
    chosen = [*ENGINE, *_spread(moments, STACKS - len(ENGINE), round_)]
    out = swaps.run("deploy", way, chosen)
    assert all(swaps.swapped(name) for name in swaps.names)
    applied = {at: swaps.applied(name) for name, at in zip(swaps.names, chosen, strict=True)}
    assert [at for at, value in applied.items() if value not in ("good", None)] == []
    assert applied[ENGINE[0]] is None  # the deploy verifies anew: what is there by then is not what was accepted
    assert applied[ENGINE[1]] == "good"
    for name, at in zip(swaps.names, chosen, strict=True):
        assert applied[at] == "good" or _refused(out, "deploy", name)


@pytest.mark.parametrize("way", WAYS)
def test_a_plan_swapped_while_it_is_made_is_never_applied(swaps: Swaps, way: str) -> None:
    swaps.restore("unplanned")
    made = [at for at in swaps.planning if at.startswith("plan ")]
    moments = made[made.index("plan start of plan") :]
    chosen = [*_spread(moments, STACKS - 1, 0), moments[-1]]
    swaps.run("plan", way, chosen)
    assert swaps.swapped(swaps.names[-1])
    out = swaps.repository.doit("deploy", code=1).out
    refused = [name for name in swaps.names if _refused(out, "plan", name)]
    assert swaps.names[-1] in refused
    if others := [f"deploy:{name}" for name in swaps.names if name not in refused]:
        swaps.repository.doit(*others)
    applied = {f"{name} {at}": swaps.applied(name) for name, at in zip(swaps.names, chosen, strict=True)}
    assert [at for at, value in applied.items() if value not in ("good", None)] == []


def test_a_whole_artifact_replaced_by_another_good_one_after_its_verification_is_refused(one: Repository) -> None:
    one.write(
        minimal_config("hooks:\n  - {stage: deploy, when: before, command: [sh, replace.sh]}\n"),
        'replace.sh:if [ -d "$HOME/saved" ]; then cp "$HOME/saved/a/"* .deploy/local/plans/a/; fi',
    )
    one.commit()
    one.doit("plan")
    first = one.json("plans", "a", "manifest.json")["id"]
    copy_tree(one.deploy_dir("plans"), one.home / "saved")
    one.doit("-a", "plan:a")
    assert one.json("plans", "a", "manifest.json")["id"] != first
    one.engine_calls()
    done = one.doit("deploy", code=1)
    assert one.json("plans", "a", "manifest.json")["id"] == first
    assert "this is not the plan that this run verified" in done.task("deploy", "a")
    assert one.engine_calls("apply") == []
    assert list(one.path.glob(".state/*.tfstate")) == []
    shutil.rmtree(one.home / "saved")
    one.doit("deploy")  # by itself it is a good one
    assert one.json("receipts", "a.json")["plan_id"] == first
