"""Leave a repository as a deploy of all its stacks would: `python bench/deployed.py REPOSITORY [STATES]`.

It writes, through the package, what a deploy keeps of a stack: an artifact that was taken, a receipt, the outputs; for
the first STATES stacks a state, too, so that they can be planned again.
doit's own records stay empty, so that the measured runs find out for themselves that a stack needs no validation.
A process of its own, as the peak memory that the system reports for a child begins with its parent's.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from pathlib import Path

from repository import ROOT

sys.path.insert(0, str(ROOT))

from tasks import start
from tasks.artifact import affected, outputs, receipt, store
from tasks.artifact.manifest import Manifest
from tasks.base import git, masking, sealed
from tasks.base.clock import now


def main(root: Path, states: int = 0) -> None:
    """Write the records of every stack."""
    os.fsync = lambda fd: None  # noqa: ARG005 - none of this has to survive a power loss
    loaded = start.load(root)
    layout, commit, mask = loaded.layout, git.revision(root).commit, masking.Masker()
    for name, stack in loaded.stacks.items():
        made_of = affected.assess(loaded, stack, None).inputs
        plan = sealed.of(name.encode())
        manifest = Manifest(
            id=secrets.token_hex(16), stack=name, environment=loaded.environment, origin="deploy",
            plan_sha256=plan.sha256,
            inputs_digest=made_of.digest, inputs=made_of, commit=commit, dirty=False,
            engine=f"{loaded.config.engine.kind} {loaded.config.engine.version}", lock_digest=None,
            lineage=name, serial=1, created_at=now(), counts={"add": 2, "outputs": 1},
        )  # fmt: skip
        with plan:
            store.store(layout, manifest, plan, None)
        store.claim(layout, manifest)
        begun = receipt.Receipt(
            name, loaded.environment, receipt.Outcome.STARTED, plan.sha256, made_of.digest, manifest.inputs, commit,
            started_at=now(), counts=manifest.counts, plan_id=manifest.id,
        )  # fmt: skip
        receipt.write(layout, begun.ended(receipt.Outcome.APPLIED, lineage=name, serial=2, verified=True))
        outputs.store(layout, name, outputs.parse({"id": {"value": name, "sensitive": False}}), mask)
    (root / ".state").mkdir(exist_ok=True)
    for name in list(loaded.stacks)[:states]:
        (root / f".state/{name}-{loaded.environment}.tfstate").write_text(json.dumps(_state(name)))


def _state(name: str) -> dict[str, object]:
    """The state of a stack as `repository.py` makes it."""
    made = {
        "mode": "managed", "type": "terraform_data", "provider": 'provider["terraform.io/builtin/terraform"]',
        "instances": [{"schema_version": 0, "attributes": {
            "id": f"00000000-0000-0000-0000-{name.removeprefix('s'):0>12}", "input": {"value": name, "type": "string"},
            "output": {"value": name, "type": "string"}, "triggers_replace": None,
        }}],
    }  # fmt: skip
    return {
        "version": 4, "terraform_version": "1.12.6", "serial": 2, "lineage": name,
        "outputs": {"id": {"value": name, "type": "string"}},
        "resources": [{**made, "name": "this"}, {**made, "module": "module.shared", "name": "shared"}],
    }  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
