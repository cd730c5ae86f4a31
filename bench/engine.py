"""What we add to the bare engine: `python bench/engine.py [--stacks N] [--rounds N] [--only again,...]`.

It needs the package's dependencies, git and the engine on PATH, and Go for the parts `heavy` and `api`. Times and
ratios are those of `bench.py`; trust the ratio of processor times, in brackets, where the machine is shared.

again    all stacks affected, nothing to initialize: `doit plan`, beside a bare loop of `plan`
deploy   `doit deploy` of planned stacks, beside a bare loop of `apply`, with states in local files
http     the same with states on an HTTP server, states and plans encrypted on both sides
empty    `doit deploy` of stacks that were deployed and whose plans are empty, beside a bare loop of `apply`
drift    `doit drift` of deployed stacks, beside a bare loop of `plan -detailed-exitcode`
heavy    a cold `doit plan` with a provider that takes 2 s to start and has a schema of 50 MB, beside `init` and `plan`
api      the same with one that waits 1 s for its API
"""

from __future__ import annotations

import argparse
import base64
import json
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from repository import ROOT, create, touch_stacks

from bench import INIT, LOCAL, PARALLEL, PLAN, Table, assigned, facts, in_turns, loop, run

sys.path.insert(0, str(ROOT))

from tasks.engine.encryption import VARIABLE
from tests import backends
from tests import heavy as provider
from tests.servers.stateserver import StateServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench import Cost, Costs

_APPLY = 'tofu apply -json-into="$out.applied" -no-color -input=false -lock-timeout=60s "$out.tfplan" >> "$out.log"'
_CHECK = 'tofu plan -no-color -input=false -detailed-exitcode -lock=false >> "$out.log"'
_SHOW = 'tofu show -json "$out.tfplan" > "$out.json"'
_KEY = b"s" * 32


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for and print it as it comes; 1 when a target was missed."""
    parser = argparse.ArgumentParser(description="Measure doit-tofu beside the bare engine.")
    parser.add_argument("--stacks", type=int, default=100, help="stacks; of the parts `heavy` and `api` a fifth")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; each figure is their median")
    parts = {
        "again": again,
        "deploy": deploy,
        "http": over_http,
        "empty": empty,
        "drift": drift,
        "heavy": heavy,
        "api": api,
    }
    parser.add_argument("--only", default=",".join(parts), help="the parts to measure, with commas between them")
    options = parser.parse_args(arguments)
    print(facts())
    table = Table()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for part in options.only.split(","):
            parts[part](Path(folder) / part, options.stacks, options.rounds, table)
    return 1 if table.missed else 0


def again(base: Path, stacks: int, rounds: int, table: Table) -> None:
    """All stacks affected, nothing to initialize."""
    root = create(base, stacks)
    loop(root, INIT.format(settings=LOCAL), PLAN)
    ours(root, "plan")
    contenders = {"bare": partial(loop, root, PLAN), "doit": partial(ours, root, "plan")}
    compare(table, "plan again", stacks, in_turns(rounds, contenders, before=partial(change, root)), limit=1.2)


def change(root: Path, number: int) -> None:
    """Change every stack by a comment."""
    touch_stacks(root, f"round {number}")


def deploy(base: Path, stacks: int, rounds: int, table: Table) -> None:
    """Planned stacks, local states."""
    root = create(base, stacks)

    def plan(_number: int) -> None:
        for name in (".bare", ".deploy", ".state"):
            shutil.rmtree(root / name, ignore_errors=True)
        loop(root, INIT.format(settings=LOCAL), PLAN)
        ours(root, "plan")

    contenders = {"bare": partial(loop, root, _APPLY), "doit": partial(ours, root, "deploy")}
    compare(table, "deploy", stacks, in_turns(rounds, contenders, before=plan), limit=1.1)


def empty(base: Path, stacks: int, rounds: int, table: Table) -> None:
    """Deployed stacks whose plans are empty."""
    root = create(base, stacks)
    loop(root, INIT.format(settings=LOCAL), PLAN, _APPLY)
    ours(root, "deploy")

    def plan(number: int) -> None:
        change(root, number)
        loop(root, PLAN)
        ours(root, "plan")

    contenders = {"bare": partial(loop, root, _APPLY), "doit": partial(ours, root, "deploy")}
    compare(table, "deploy of empty plans", stacks, in_turns(rounds, contenders, before=plan))


def drift(base: Path, stacks: int, rounds: int, table: Table) -> None:
    """Deployed stacks that have not drifted."""
    root = create(base, stacks)
    loop(root, INIT.format(settings=LOCAL), PLAN, _APPLY)
    ours(root, "deploy")
    contenders = {"bare": partial(loop, root, _CHECK), "doit": partial(ours, root, "drift")}
    compare(table, "drift", stacks, in_turns(rounds, contenders))


def over_http(base: Path, stacks: int, rounds: int, table: Table) -> None:
    """Planned stacks, encrypted states on a server."""
    server = StateServer()
    rounds_left = iter(range(10 * rounds))
    try:
        root = create(base, stacks)
        for stack in (root / "stacks").glob("*/main.tf"):
            stack.write_text(stack.read_text().replace('backend "local"', 'backend "http"'))
        given: dict[str, str] = {}
        places: dict[str, str] = {}

        def plan(_number: int) -> None:
            for name in (".bare", ".deploy"):
                shutil.rmtree(root / name, ignore_errors=True)
            backend = backends.http(server, f"bench{next(rounds_left)}")
            given.update(backend.variables)
            (root / "config/pipeline.yaml").write_text(backend.config().partition(":")[2])
            address = f"{server.url}/projects/bare{next(rounds_left)}/terraform/state/STACK"
            places["settings"] = (
                f"-backend-config=address={address} -backend-config=lock_address={address}/lock"
                f" -backend-config=unlock_address={address}/lock"
                " -backend-config=lock_method=POST -backend-config=unlock_method=DELETE"
            )
            loop(root, INIT.format(**places), PLAN, **bare())
            ours(root, "plan", **keyed())

        def bare() -> dict[str, str]:
            return {**given, VARIABLE: _settings()}

        def keyed() -> dict[str, str]:
            return {**given, "DEPLOY_STATE_KEY": base64.b64encode(_KEY).decode()}

        contenders: Mapping[str, Callable[[], Cost]] = {
            "bare": lambda: loop(root, _APPLY, **bare()), "doit": lambda: ours(root, "deploy", **keyed()),
        }  # fmt: skip
        compare(table, "deploy, http, encrypted", stacks, in_turns(rounds, contenders, before=plan), limit=1.25)
    finally:
        server.stop()


def _settings() -> str:
    """Encryption as we configure it: a key that a command prints, without derivation."""
    answer = {
        "keys": {"encryption_key": base64.b64encode(_KEY).decode(), "decryption_key": base64.b64encode(_KEY).decode()}
    }
    script = (
        'echo \'{"magic":"OpenTofu-External-Key-Provider","version":1}\'; cat > /dev/null; echo \''
        + json.dumps(answer)
        + "'"
    )
    method = "method.aes_gcm.m"
    return json.dumps({
        "key_provider": {"external": {"k": {"command": ["sh", "-c", script]}}},
        "method": {"aes_gcm": {"m": {"keys": "${key_provider.external.k}"}}},
        "state": {"method": method, "enforced": True}, "plan": {"method": method, "enforced": True},
    })  # fmt: skip


def heavy(base: Path, stacks: int, rounds: int, table: Table) -> None:
    """A provider that is slow to start and has a large schema."""
    _with_provider(base, stacks, rounds, table, "heavy provider", 1.3, HEAVY_START="2s", HEAVY_SCHEMA="50")


def api(base: Path, stacks: int, rounds: int, table: Table) -> None:
    """A provider that waits for its API."""
    _with_provider(base, stacks, rounds, table, "slow API", 1.1, HEAVY_API="1s")


def _with_provider(  # noqa: PLR0917 - one call for each part
    base: Path, stacks: int, rounds: int, table: Table, name: str, limit: float, **variables: str
) -> None:

    stacks = max(stacks // 5, 2)
    root = create(base, stacks)
    given = {**variables, "TF_CLI_CONFIG_FILE": str(provider.installed(base))}
    for stack in (root / "stacks").glob("*/main.tf"):
        stack.write_text(stack.read_text() + provider.REQUIRED + 'resource "heavy_thing" "it" {\n  name = "n"\n}\n')
    # writes the lock files; one at a time, as two of them would fill the engine's provider cache at once
    loop(root, INIT.format(settings=LOCAL), parallel=1, **given)
    run(root, "git", "add", "--all")
    run(root, "git", "commit", "--quiet", "--message=locked")

    def forget(_number: int) -> None:
        for folder in (".bare", ".deploy"):
            shutil.rmtree(root / folder, ignore_errors=True)

    contenders = {
        "bare": partial(loop, root, INIT.format(settings=LOCAL), PLAN, **given),
        "and show": partial(loop, root, INIT.format(settings=LOCAL), PLAN, _SHOW, **given),
        "doit": partial(ours, root, "plan", **given),
    }
    costs = in_turns(rounds, contenders, before=forget)
    shown = costs.pop("and show")
    table.row(f"{name}, with show", f"{shown.seconds:.2f} s", f"{shown.over(costs['bare']):.2f} of the bare loop")
    compare(table, name, stacks, costs, limit=limit)


def compare(table: Table, name: str, stacks: int, costs: dict[str, Costs], limit: float | None = None) -> None:
    """Two rows: the bare loop, and ours with its ratio."""
    bare, own = costs["bare"], costs["doit"]
    ratio = own.over(bare)
    table.row(f"{name}, {stacks}, bare loop", f"{bare.seconds:.2f} s")
    shown = f"{ratio:.2f} of the bare loop ({own.processor_over(bare):.2f})"
    table.row(f"{name}, {stacks}, doit", f"{own.seconds:.2f} s", shown, value=ratio, limit=limit)


def ours(root: Path, command: str, **variables: str) -> Cost:
    """doit, some stacks at a time."""
    return run(root, "env", *assigned(variables), sys.executable, "-m", "doit", "-n", str(PARALLEL), command)


if __name__ == "__main__":
    raise SystemExit(main())
