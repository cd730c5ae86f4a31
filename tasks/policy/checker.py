"""Runs checkers: programs (conftest, checkov, trivy, a script) that judge the redacted plan."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..base import interpolate, process
from ..base.errors import PolicyError, nearest
from ..base.files import write_json
from ..base.process import kept_environment
from . import output
from .finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..base.errors import ConfigError
    from ..base.jsonvalue import Json, JsonObject
    from ..base.problem import Where
    from ..base.process import Ended
    from ..project.model import Checker
    from ..project.project import Project
    from ..project.stack import Stack
    from ..run.run import Run

PLACEHOLDERS = ("plan", "stack", "environment", "root", "path")


def check(project: Project) -> Iterator[ConfigError]:
    """The errors in the configured checkers that can be found before anything runs."""
    for position, checker in enumerate(project.config.policy.checkers):
        for number, text in enumerate(checker.command):
            for name in interpolate.placeholders(text):
                if name not in PLACEHOLDERS and not name.startswith(interpolate.ORGANIZATION):
                    message = (
                        f"unknown placeholder {{{name}}} in a checker's command{nearest(name, list(PLACEHOLDERS))}"
                    )
                    yield project.loaded.error(message, "policy", "checkers", position, "command", number)


def findings(run: Run, stack: Stack, position: int, checker: Checker, plan: Mapping[str, Json]) -> list[Finding]:
    """One checker's findings in a plan.

    Args:
        run: The run.
        stack: The plan's stack.
        position: The checker's place in the configuration, for messages.
        checker: The checker.
        plan: The redacted plan.

    Raises:
        PolicyError: It could not be run, took too long, or printed something unreadable.
        StoppedError: The run was asked to stop.
    """
    where = run.project.loaded.where("policy", "checkers", position)
    run.layout.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="policy-", dir=run.layout.cache) as folder:
        path = Path(folder) / "plan.json"
        write_json(path, plan, durable=False)
        ended = _run(run, stack, checker, path, where)
    code, said = ended.code or 0, ended.output.replace(str(path), "plan.json")
    log = f"{ended.errors}\n{ended.output}".strip("\n")
    if code not in (*checker.passed, *checker.failed):
        raise _error(checker, stack, where, process.how(code, checker.timeout), log)
    if checker.format == "exit_code":
        found = [] if code in checker.passed else [_alone(checker, said or ended.errors)]
    else:
        try:
            found = output.parse(checker, ended.raw.replace(str(path), "plan.json"), said)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _error(checker, stack, where, f"printed unreadable output: {error}", log) from None
    if code in checker.failed and not found:
        raise _error(checker, stack, where, f"exited with {code}, but no finding could be read", log)
    if run.hides_values:
        return [replace(item, message="(hidden by `plan.values`)") for item in found]
    return found


def _run(run: Run, stack: Stack, checker: Checker, plan: Path, where: Where) -> Ended:
    """Run it and return how it ended."""
    project = run.project
    values: JsonObject = {
        **project.organization, "plan": str(plan), "stack": stack.name, "environment": project.environment,
        "root": project.root_from_tree, "path": stack.path,
    }  # fmt: skip
    key = f"policy.checkers[{checker.name}]"
    command = [interpolate.fill(text, values, key=key, where=where) for text in checker.command]
    try:
        ended = process.run(
            run.stop, f"policy {checker.name} {stack.name}", command, mask=run.mask,
            cwd=project.root, env=kept_environment(project.keyring.variables), timeout=checker.timeout, apart=True,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise _error(checker, stack, where, f"cannot be started: `{command[0]}`: {reason}", "") from error
    run.stop.check(f"policy {checker.name}")
    if ended.code is None:
        how = process.how(ended.code, checker.timeout)
        raise _error(checker, stack, where, how, ended.errors)
    return ended


def _alone(checker: Checker, said: str) -> Finding:
    """The finding of a checker that reports only an exit code and a few lines."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return Finding(f"{checker.name}/failed", checker.severity, " / ".join(lines[-3:])[:500] or "it reported a failure")


def _error(checker: Checker, stack: Stack, where: Where, happened: str, log: str) -> PolicyError:
    return PolicyError(
        f"the policy checker '{checker.name}' {happened}", log=log, where=where, stack=stack.name,
        untouched="nothing was applied: a plan that cannot be judged is refused",
        next_step="fix the checker or its configuration, then run the same command again",
    )  # fmt: skip
