"""`doit ci`: which job does which stacks, what waits for what, and what a forge can take."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tasks import ci
from tasks.base.errors import ConfigError
from tasks.forges.pipelines import github, gitlab
from tasks.forges.pipelines.shares import Purpose, Shares, spread, waiting
from tasks.project import project
from tasks.project.stackgraph import StackGraph
from tasks.run.run import Run
from tests.unit.test_stackgraph import acyclic

Load = Callable[..., project.Project]


@pytest.fixture
def run_of(load: Load) -> Callable[..., Run]:
    """A run over stacks without resources; `needs` says what each depends on, `more` is further configuration."""

    def run_of(needs: dict[str, Sequence[str]], more: str = "") -> Run:
        stacks = "stacks:\n" + "".join(f"  {name}: {{depends_on: {json.dumps(list(needs[name]))}}}\n" for name in needs)
        files = [f"stacks/{name}/main.tf:" for name in needs]
        return Run(load(more + stacks, *files))

    return run_of


def pipeline(run: Run, purpose: Purpose = Purpose.DEPLOY) -> dict[str, Any]:
    ci.write(run, purpose, "gitlab")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast: some of these files have 100,000 lines
    found: dict[str, Any] = yaml.load(run.layout.gitlab_jobs.read_text(), loader)  # noqa: S506 - both are safe
    return found


def needs_of(job: dict[str, Any]) -> list[str]:
    return [need if isinstance(need, str) else need["job"] for need in job["needs"]]


def reached(jobs: dict[str, Any], name: str) -> set[str]:
    """The jobs that have ended well before one begins."""
    pending, seen = needs_of(jobs[name]), set()
    while pending:
        current = pending.pop()
        if current not in seen:
            seen.add(current)
            pending += needs_of(jobs[current]) if "needs" in jobs[current] else []
    return seen


def test_a_deploy_waits_for_the_barrier_its_plan_and_its_upstreams(run_of: Callable[..., Run]) -> None:
    jobs = pipeline(run_of({"a": [], "b": ["a"], "c/d-1.2_x": ["a", "b"]}))
    assert needs_of(jobs["deploy:c/d-1.2_x"]) == ["planned", "plan:c/d-1.2_x", "deploy:a", "deploy:b"]
    assert "needs" not in jobs["planned"]
    assert jobs["stages"].index(jobs["planned"]["stage"]) == jobs["stages"].index(jobs[".plan"]["stage"]) + 1


def test_a_deploy_is_never_interrupted_and_alone_with_its_stack(run_of: Callable[..., Run]) -> None:
    jobs = pipeline(run_of({"a": []}))
    assert jobs[".job"]["interruptible"] is False
    assert jobs["deploy:a"]["resource_group"] == "local/a"
    assert "retry" not in jobs[".deploy"]
    for name, job in jobs.items():
        if "artifacts" in job and "extends" in job and job["extends"] == ".job":
            assert job["artifacts"]["access"] == "developer", name


def test_only_deploys_run_in_the_environments_own_name(run_of: Callable[..., Run]) -> None:
    """GitLab gives a job the variables of its environment: what a deploy gets, no job that plans or reports does."""
    for purpose, expected in ((Purpose.DEPLOY, {".plan": "local-plan", "planned": "local-plan", ".deploy": "local",
                                                "report": "local-verify"}),
                              (Purpose.DRIFT, {".drift": "local-drift", "report": "local-drift"}),
                              (Purpose.PLAN, {})):  # fmt: skip
        jobs = pipeline(run_of({"a": []}), purpose)
        found = {name: job["environment"]["name"] for name, job in jobs.items() if "environment" in job}
        assert found == expected


def test_plans_that_are_deployed_are_watched_where_that_works(run_of: Callable[..., Run]) -> None:
    run = run_of({"a": []})
    assert pipeline(run)[".plan"]["variables"] == {"DEPLOY_INPUTS__OBSERVE": "auto"}
    assert "variables" not in pipeline(run, Purpose.PLAN)[".plan"]


@pytest.mark.parametrize(
    ("number", "purpose", "said"),
    [
        (1, Purpose.PLAN, "ci        1 job plans 1 stack"),
        (3, Purpose.PLAN, "ci        3 jobs plan 3 stacks"),
        (1, Purpose.DEPLOY, "ci        1 job plans 1 stack; 1 job deploys 1 stack"),
        (1, Purpose.DRIFT, "ci        1 job checks for drift in 1 stack"),
    ],
)
def test_what_was_written_is_counted_in_english(
    run_of: Callable[..., Run], number: int, purpose: Purpose, said: str
) -> None:
    run = run_of({f"s{place}": [] for place in range(number)})
    assert ci.write(run, purpose, "gitlab").splitlines()[0] == said


def test_of_more_than_50_upstreams_a_deploy_waits_for_all_with_no_job_needing_more_than_50(
    run_of: Callable[..., Run],
) -> None:
    upstreams = [f"up{number}" for number in range(2600)]
    run = run_of({**{name: [] for name in upstreams}, "one": upstreams, "other": upstreams}, "ci: {jobs: 5000}\n")
    jobs = pipeline(run)
    assert max(len(job["needs"]) for job in jobs.values() if isinstance(job, dict) and "needs" in job) == 50
    assert {f"deploy:{name}" for name in upstreams} <= reached(jobs, "deploy:one")
    assert needs_of(jobs["deploy:one"])[2:] == needs_of(jobs["deploy:other"])[2:]  # they wait by the same jobs


def layered(customers: int, *, core: bool = False) -> dict[str, Sequence[str]]:
    """Customers with a network, a platform and three applications each, in folders by layer; all on one core or none."""
    found: dict[str, Sequence[str]] = {"core": []} if core else {}
    for number in range(customers):
        found[f"network/c{number:02}"] = ["core"] if core else []
        found[f"platform/c{number:02}"] = [f"network/c{number:02}"]
        found.update({f"app{each}/c{number:02}": [f"platform/c{number:02}"] for each in range(3)})
    return found


def longest_chain(shares: Shares) -> int:
    """How many shares are deployed one after the other."""
    length: dict[str, int] = {}
    for share in shares.deploys:
        length[share.label] = 1 + max((length[other] for other in share.needs), default=0)
    return max(length.values())


def test_stacks_that_have_to_do_with_each_other_share_a_job_where_they_fit(run_of: Callable[..., Run]) -> None:
    shares = spread(run_of(layered(40)), Purpose.DEPLOY, 12)
    assert longest_chain(shares) == 1
    assert len(shares.deploys) <= 12
    assert max(len(share.stacks) for share in shares.deploys) == 20  # four customers; the mean is 16.7


def test_jobs_of_more_stacks_than_fit_wait_as_often_as_there_are_waves(run_of: Callable[..., Run]) -> None:
    shares = spread(run_of(layered(40, core=True)), Purpose.DEPLOY, 21)
    assert [len(share.stacks) for share in shares.deploys] == [10] * 20 + [1]
    assert longest_chain(shares) <= 5  # core, networks, platforms, applications; a share may be of two waves


@given(acyclic(), st.integers(1, 12))
def test_shares_have_every_stack_once_and_wait_only_for_earlier_ones(needs: dict[str, set[str]], most: int) -> None:
    graph = StackGraph.build(needs)
    shares = waiting(graph.order, graph.among(graph.order), most)
    assert sorted(name for share in shares for name in share.stacks) == sorted(graph.order)
    assert len(shares) <= most
    holder = {name: share.label for share in shares for name in share.stacks}
    before: set[str] = set()
    done: set[str] = set()
    for share in shares:
        for name in share.stacks:
            assert {*graph.needs[name]} <= done
            done.add(name)
        assert {*share.needs} <= before
        assert {*share.needs} == {holder[o] for name in share.stacks for o in graph.needs[name]} - {share.label}
        before.add(share.label)


def test_with_more_stacks_than_jobs_each_does_several_and_none_wait_for_each_other(run_of: Callable[..., Run]) -> None:
    run = run_of({f"s{number:02}": [f"s{number - 1:02}"] if number else [] for number in range(25)}, "ci: {jobs: 4}\n")
    shares = spread(run, Purpose.DEPLOY, 4)
    assert [len(share.stacks) for share in shares.deploys] == [7, 7, 7, 4]
    assert [share.needs for share in shares.deploys] == [(), ("1/4",), ("2/4",), ("3/4",)]
    jobs = pipeline(run)
    assert needs_of(jobs["deploy:2/4"]) == ["planned", "plan:2/4", "deploy:1/4"]
    assert "resource_group" not in jobs["deploy:2/4"]


@given(acyclic(), st.data())
def test_among_some_stacks_one_needs_just_those_that_it_reaches_through_others(
    needs: dict[str, list[str]], data: st.DataObject
) -> None:
    graph = StackGraph.build(needs)
    chosen = data.draw(st.sets(st.sampled_from(sorted(needs)))) if needs else set()
    found = graph.among(chosen)
    assert set(found) == chosen
    closed = StackGraph.build(found)
    for name in chosen:
        assert closed.upstreams(name) == graph.upstreams(name) & chosen


def test_nothing_affected_is_one_job_that_says_so(run_of: Callable[..., Run]) -> None:
    jobs = pipeline(run_of({}))
    assert [name for name in jobs if name[0] != "." and name not in ("workflow", "stages", "variables")] == ["report"]
    assert jobs["report"]["script"] == ['doit mocks=no from="$HANDED_OVER" ci=report deploy']


def test_the_file_grows_with_the_stacks_and_10000_in_a_row_stay_within_what_gitlab_takes(
    run_of: Callable[..., Run],
) -> None:
    sizes = []
    for count in (1000, 10_000):
        run = run_of({f"stack-{n:05}": [f"stack-{n - 1:05}"] if n else [] for n in range(count)})
        sizes.append(len(gitlab.text(run, Purpose.DRIFT, spread(run, Purpose.DRIFT, 200), [])))
    assert sizes[1] < 10 * sizes[0]
    assert sizes[1] < gitlab.LARGEST


def test_a_file_that_gitlab_would_refuse_is_not_written(run_of: Callable[..., Run], monkeypatch: Any) -> None:
    monkeypatch.setattr(gitlab, "LARGEST", 500)
    run = run_of({"a": []})
    with pytest.raises(ConfigError) as caught:
        ci.write(run, Purpose.DEPLOY, "gitlab")
    assert "GitLab accepts at most 0 kB" in caught.value.problem.text()
    assert "ci.jobs" in caught.value.problem.text()
    assert not run.layout.gitlab_jobs.exists()


def test_a_name_that_is_longer_than_gitlab_takes_is_an_error(run_of: Callable[..., Run]) -> None:
    with pytest.raises(ConfigError) as caught:
        pipeline(run_of({"/".join(["x" * 100] * 3): []}))
    assert "at most 255 characters" in caught.value.message


def test_github_gets_at_most_256_jobs_and_the_outputs_of_its_step(
    run_of: Callable[..., Run], monkeypatch: Any, tmp_path: Path
) -> None:
    output = tmp_path / "output"
    monkeypatch.setenv("GITHUB_OUTPUT", str(output))
    run = run_of({f"s{number}": [] for number in range(600)}, "ci: {jobs: 5000}\n")
    ci.write(run, Purpose.DRIFT, "github")
    written = dict(line.split("=", 1) for line in output.read_text().splitlines())
    entries = json.loads(written["matrix"])["include"]
    assert len(entries) == int(written["jobs"]) == 200
    assert len(entries) <= github.MOST_JOBS
    assert [task for entry in entries for task in entry["tasks"].split()] == [
        f"drift:{n}" for n in run.project.graph.order
    ]


def test_a_secret_is_never_written_into_a_pipeline(run_of: Callable[..., Run], monkeypatch: Any) -> None:
    monkeypatch.setenv("INDEX_TOKEN", "glpat-0123456789")
    run = run_of({"a": []}, "ci: {install: 'pip install --index-url https://x:glpat-0123456789@pypi.example.test x'}\n")
    with pytest.raises(ConfigError) as caught:
        ci.write(run, Purpose.DEPLOY, "gitlab")
    assert "would contain a secret" in caught.value.message
    assert "glpat" not in caught.value.problem.text()
    assert not run.layout.gitlab_jobs.exists()


def test_the_words_of_the_configuration_are_in_every_job_and_ours_cannot_be_replaced(
    run_of: Callable[..., Run], errors: Callable[..., str]
) -> None:
    more = "ci: {image: 'python:3.13', install: pip install x, caches: receipts, job: {tags: [aws], timeout: 2h}}\n"
    jobs = pipeline(run_of({"a": []}, more))
    assert jobs[".job"] | {"interruptible": None, "cache": None} == {
        "tags": ["aws"], "timeout": "2h", "interruptible": None, "cache": None, "image": "python:3.13",
        "before_script": ["pip install x"],
    }  # fmt: skip
    assert jobs["begin"]["cache"][1]["policy"] == "pull"
    assert jobs["report"]["cache"][1]["policy"] == "push"
    assert "begin" in needs_of(jobs["deploy:a"])
    assert "`script` is set by `ci` itself" in errors("ci: {job: {script: [ls]}}\n")
