"""Hooks: when they run, what they get, and what a failing one means."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.repository import Repository, alive, minimal_config, resource, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    Hooked = Callable[..., Repository]

# Notes its arguments; fails, hangs or prints as files in the repository say.
SCRIPT = """\
#!/bin/sh
root=$1; shift
echo "$*" >> "$root/calls"
echo "said by the hook: $HOOK_TOKEN"
if [ -e "$root/fail-$1" ]; then exit 7; fi
"""


@pytest.fixture
def hooked(build: Callable[..., Repository]) -> Hooked:
    """Builds the stacks `a` and `b` with hooks."""

    def make(*hooks: str, script: str = SCRIPT) -> Repository:
        repository = build(
            minimal_config("hooks:\n" + "".join(f"  - {hook}\n" for hook in hooks)),
            f"stacks/a/main.tf:{resource()}",
            f"stacks/b/main.tf:{resource()}",
            ".gitignore:.deploy/\n.state/\ncalls\nfail-*\n",
        )
        repository.write(f"scripts/note.sh:{script}")
        (repository.path / "scripts/note.sh").chmod(0o755)
        repository.commit()
        return repository

    return make


def _hook(stage: str, when: str, more: str = "") -> str:
    command = f'["scripts/note.sh", "{{root}}", "{when}-{{stage}}", "{{stack}}", "{{environment}}", "{{path}}"]'
    return f"{{stage: {stage}, when: {when}, command: {command}{more}}}"


def _calls(repository: Repository) -> list[str]:
    path = repository.path / "calls"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return sorted(lines)


def test_hooks_run_before_and_after_each_stage_of_each_stack(hooked: Hooked) -> None:
    stages = ("validate", "plan", "deploy", "verify", "drift")
    repository = hooked(*(_hook(stage, when) for stage in stages for when in ("before", "after")))
    repository.doit("deploy")
    expected = [
        f"{when}-{stage} {stack} local stacks/{stack}"
        for when in ("before", "after")
        for stage in ("validate", "plan", "deploy")
        for stack in "ab"
    ]
    assert _calls(repository) == sorted(expected)
    repository.doit("deploy")
    assert _calls(repository) == []  # all is up to date
    repository.doit("drift")
    assert len(_calls(repository)) == 4


def test_hooks_are_for_the_stacks_that_their_globs_name(hooked: Hooked) -> None:
    repository = hooked(_hook("plan", "before", ", stacks: ['b*']"))
    repository.doit("plan")
    assert _calls(repository) == ["before-plan b local stacks/b"]


def test_a_failing_hook_before_a_stage_fails_the_task_and_the_stage_does_not_run(hooked: Hooked) -> None:
    repository = hooked(_hook("plan", "before"))
    repository.write("fail-before-plan:")
    done = repository.doit("plan:a", code=1, HOOK_TOKEN="s3cret-token")
    assert repository.planned() == []
    assert "before plan exited with 7" in done.task("plan", "a")
    assert "said by the hook: (sensitive value)" in done.out
    assert "s3cret-token" not in done.out
    assert "plan of this stack was not started" in done.out
    assert "config/pipeline.yaml:4" in done.out
    (repository.path / "fail-before-plan").unlink()
    repository.doit("plan:a")


def test_a_failing_hook_after_a_plan_stops_the_deploy_until_it_passes(hooked: Hooked) -> None:
    repository = hooked(_hook("plan", "after", ", stacks: [a]"))
    repository.write("fail-after-plan:")
    for command in ("plan", "plan", "deploy", "deploy"):
        done = repository.doit(command, code=1)
        assert "plan itself was done" in done.task("plan", "a")
    assert repository.engine_calls("apply") == []
    (repository.path / "fail-after-plan").unlink()
    repository.doit("deploy")
    assert repository.json("receipts", "a.json")["outcome"] == "applied"


def test_a_failing_hook_after_a_deploy_says_that_it_was_deployed_and_runs_again(hooked: Hooked) -> None:
    repository = hooked(_hook("deploy", "after"))
    repository.write("fail-after-deploy:")
    done = repository.doit("deploy:a", code=1)
    assert "deploy itself was done" in done.task("deploy", "a")
    assert "deploy itself succeeded" in done.out
    assert "nothing was deployed" not in done.out
    assert repository.json("receipts", "a.json")["outcome"] == "applied"
    repository.doit("deploy:a", code=1)
    (repository.path / "fail-after-deploy").unlink()
    _calls(repository)
    repository.engine_calls()
    repository.doit("deploy:a")
    assert _calls(repository) == ["after-deploy a local stacks/a"]
    assert repository.engine_calls("apply") == []
    repository.doit("deploy:a")
    assert _calls(repository) == []


def test_a_hook_that_refuses_to_die_is_ended_with_all_that_it_started(hooked: Hooked) -> None:
    script = "#!/bin/sh\ntrap '' INT TERM\nsleep 61 &\necho $! > \"$1/calls\"\nwait\nsleep 60\n"
    repository = hooked(_hook("plan", "before", ", timeout: 0.5, stacks: [a]"), script=script)
    began = time.monotonic()
    done = repository.doit("plan:a", code=1)
    assert time.monotonic() - began < 30
    assert "took longer than 0.5 s" in done.task("plan", "a")
    [pid] = _calls(repository)
    wait_for(lambda: not alive(pid), "the hook's own child to end", 10)


def test_a_stop_reaches_a_hook_once(hooked: Hooked) -> None:
    script = '#!/bin/sh\ntrap \'echo stopped >> "$1/calls"; exit 3\' INT\necho began > "$1/calls"\nwhile :; do sleep 0.1; done\n'
    repository = hooked(_hook("plan", "before", ", stacks: [a]"), script=script)
    process = repository.start("plan:a")
    wait_for((repository.path / "calls").exists, "the hook to begin")
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 1, out
    assert _calls(repository) == ["began", "stopped"]
    assert repository.planned() == []


def test_a_hook_gets_no_variable_that_the_engine_does_not_get(hooked: Hooked) -> None:
    repository = hooked(_hook("plan", "before", ", stacks: [a]"), script='#!/bin/sh\nenv > "$1/calls"\n')
    repository.doit("plan:a", TF_CLI_ARGS="-x", TF_VAR_stray="1", MINE="2")
    names = {line.partition("=")[0] for line in _calls(repository)}
    assert "MINE" in names
    assert not {"TF_CLI_ARGS", "TF_VAR_stray"} & names


def test_no_shell_reads_a_hooks_arguments(hooked: Hooked) -> None:
    repository = hooked(
        '{stage: plan, when: before, stacks: [a], command: ["scripts/note.sh", ".", "$(id)", ";", "`x`"]}'
    )
    repository.doit("plan:a")
    assert _calls(repository) == ["$(id) ; `x`"]


def test_a_hook_that_is_not_there_is_said_so(hooked: Hooked) -> None:
    repository = hooked("{stage: plan, when: before, stacks: [a], command: [scripts/nowhere]}")
    assert "`scripts/nowhere` cannot be started: No such file" in repository.doit("plan:a", code=1).task("plan", "a")


def test_in_an_overlay_the_hook_and_its_script_may_come_from_the_upstream(hooked: Hooked, tmp_path, tofu) -> None:
    below = hooked(_hook("deploy", "after"))
    mine = Repository.create(
        tmp_path / "mine", tofu, f"config/pipeline.yaml:upstream: {{path: {json.dumps(str(below.path))}}}\n"
    )
    mine.doit("deploy:a")
    assert _calls(mine) == ["after-deploy a local stacks/a"]  # `{root}` is the overlay's
    assert _calls(below) == []
