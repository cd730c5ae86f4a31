"""`doit verify`: the checks of deployed stacks, on their own or right after an apply; each waits until it is true."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from . import httpcheck, interpolate, outputs, receipt
from .action import StageAction
from .errors import CheckFailedError
from .result import Result, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from . import model
    from .project import Stack
    from .run import Run

STAGE = "verify"


def tasks(run: Run) -> Iterator[dict[str, Any]]:
    """`verify:<stack>`: always run when asked for."""
    yield {"name": None, "doc": "run the checks of all deployed stacks"}
    for name, stack in run.project.stacks.items():
        if stack.settings.verify:
            yield {"name": name, "actions": [StageAction(run, STAGE, name, act)], "doc": f"check {stack.path}"}


def act(run: Run, stack: Stack, forced: bool) -> Result:  # noqa: ARG001 - a stage's signature
    """Check one stack, if it is deployed."""
    last = receipt.read(run.layout, stack.name)
    if last is None or last.deployed is None:
        return Result(STAGE, stack.name, Status.UNAFFECTED, "not deployed from here: nothing to check")
    observed = run_checks(run, stack)
    return Result(STAGE, stack.name, summary=f"{len(observed)} passed", details={"checks": observed})


def run_checks(run: Run, stack: Stack) -> list[str]:
    """Run all checks of a stack at once and keep in its receipt whether they passed; gives what each observed.

    Raises:
        CheckFailedError: At least one did not come true in time; says what each of those last observed.
    """
    checks = stack.settings.verify
    if not checks:
        return []
    with ThreadPoolExecutor(len(checks), thread_name_prefix="check") as pool:
        observed = list(pool.map(lambda item: _one(run, stack, *item), enumerate(checks)))
    problems = [text for passed, text in observed if not passed]
    last = receipt.read(run.layout, stack.name)
    if last is not None and last.applied and last.verified is not (not problems):
        from dataclasses import replace

        receipt.write(run.layout, replace(last, verified=not problems))
    if problems:
        run.stop.check(f"{STAGE}:{stack.name}")
        raise CheckFailedError(
            f"{len(problems)} of {len(checks)} checks failed: {'; '.join(problems)}",
            stack=stack.name,
            untouched="the stack is applied and stays so; its dependents were not deployed",
            next_step=f"look into it, then `doit verify:{stack.name}`; `doit deploy` checks again, and applies nothing",
        )
    return [text for _, text in observed]


def _one(run: Run, stack: Stack, position: int, check: model.Check) -> tuple[bool, str]:
    key = run.project.key(stack.name, "verify", position)
    known = outputs.stored(run.layout, stack.name) or {}
    values = run.project.placeholders(stack.name)
    for name, output in known.items():
        if not output.sensitive:
            values[f"outputs.{name}"] = output.value if isinstance(output.value, str) else _plain(output.value)
    url = interpolate.fill(check.url, values, key=f"{key}.url")
    contains = None if check.contains is None else interpolate.fill(check.contains, values, key=f"{key}.contains")
    passed, text = httpcheck.wait(check, url, contains, run.stop)
    return passed, run.mask.text(text)


def _plain(value: Any) -> str:
    import json

    return json.dumps(value)
