"""What a team sees in the morning: a small estate of four environments, whose last two days are known to the hour."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from bench.estate import Estate, World
from tests.servers.browser import Browser
from tests.servers.dashboard import Dashboard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OLD, NEW, BROKEN = "a" * 40, "b" * 40, "c" * 40
NONE = "\N{EN DASH}"
FORGE = "https://gitlab.example.com/acme/infrastructure"


class Morning(Estate):
    """Two days in which each thing of the feed happens once; `runs` has the ids."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, datetime.now(UTC))
        self.runs: dict[str, str] = {}

    def tell(self) -> None:
        """Write the records."""
        dev, staging, prod, tools = self.worlds
        for number, world in enumerate(self.worlds):
            self.deployed(world, world.stacks, 50 + number, OLD)
        self.planned(prod, ["apps/shop"], 30, "12")
        self.runs["good"] = self.deployed(prod, ["apps/shop", "network/dns"], 5, NEW)
        self.runs["failed"] = self.deployed(prod, ["network/vpc", "data/cache", "apps/mail"], 4, BROKEN, "data/cache")
        self.drifted(prod, "network/peering", 3)
        self.drifted(staging, "network/dns", 10)
        self.deployed(staging, ["network/dns"], 6, OLD)
        self.deployed(dev, ["apps/mail"], 2, NEW)
        self.runs["destroys"] = self.planned(prod, ["data/events"], 1, "33", destroy=1)
        for world in (dev, staging, prod, tools):
            self._overview(world)

    def record(self, name: str) -> dict[str, Any]:
        """The record of a run."""
        found: dict[str, Any] = json.loads((self._folder / f"prod/runs/{self.runs[name]}.json").read_text())
        return found

    def at(self, hours: float) -> datetime:
        """The moment so many hours ago."""
        return self._until - timedelta(hours=hours)

    def deployed(self, world: World, names: list[str], hours: float, commit: str, broken: str = "") -> str:
        """A deploy; what needs a broken stack is not run."""
        at, run = self.at(hours), self._id(self.at(hours))
        plans = [self._task("plan", name, add=1, change=2) for name in names]
        tasks = list(plans)
        for name in names:
            task = self._task("deploy", name, add=1, change=2)
            if name == broken:
                said = "the engine could not create a resource: the quota is used up"
                task |= {"status": "failed", "summary": said, "kind": "apply failed", "counts": {}}
                self._fact(world, name, "apply", "failed", at, run, text=said)
            else:
                task["summary"] = "applied"
                for key, status in (("apply", "applied"), ("affected", "unaffected"), ("drift", "none")):
                    self._fact(world, name, key, status, at, run)
                self._fact(world, name, "deployed", "deployed", at, run, commit=commit)
            tasks.append(task)
        self._run(world, at, "deploy", tasks, code=int(bool(broken)), commit=commit, run=run)
        return run

    def planned(self, world: World, names: list[str], hours: float, review: str, **counts: int) -> str:
        """The plan of a merge request."""
        run = self._id(self.at(hours))
        tasks = [self._task("plan", name, **(counts or {"change": 1})) for name in names]
        self._run(world, self.at(hours), "plan", tasks, code=0, run=run, review=review)
        return run

    def drifted(self, world: World, name: str, hours: float) -> None:
        """A check that finds one drift."""
        at, run = self.at(hours), self._id(self.at(hours))
        found = {"class": "changed", "address": "aws_route.it", "severity": "warning", "delta": "new",
                 "since": at.isoformat(), "ignored": None}  # fmt: skip
        task = self._task("drift", name, change=1) | {"status": "drifted", "findings": [found], "resolved": []}
        self._fact(world, name, "drift", "drifted", at, run, text="1 resource drifted: aws_route.it")
        self._run(world, at, "drift", [task], code=2, run=run, schedule=True)

    @staticmethod
    def _task(stage: str, stack: str, **counts: int) -> dict[str, Any]:
        return {
            "stage": stage, "stack": stack, "status": "ok", "summary": "planned", "reasons": ["main.tf has changed"],
            "counts": counts, "offset": 1.0, "seconds": 2.0, "needs": [],
        }  # fmt: skip


@pytest.fixture(scope="module")
def morning(tmp_path_factory: pytest.TempPathFactory) -> Morning:
    """The estate, written."""
    found = Morning(tmp_path_factory.mktemp("estate"))
    found.tell()
    return found


@pytest.fixture(scope="module")
def dashboard(morning: Morning) -> Iterator[Dashboard]:
    """A dashboard of it."""
    found = Dashboard(morning._folder)
    yield found
    found.stop()


def fetched(dashboard: Dashboard, path: str) -> str:
    """A page without its scripts, its comments and the classes of its styles."""
    page = dashboard.get(path)
    assert page.status == 200
    text = re.sub(r"<!--.*?-->|<script.*?</script>| class=\"svelte-\w+\"", "", page.text, flags=re.DOTALL)
    return re.sub(r" svelte-\w+\"", '"', text)


def words(page: str) -> str:
    """The text of a part of a page on one line."""
    return " ".join(re.sub(r"<[^>]*>", " ", page.replace("<wbr/>", "")).split())


def row(page: str, text: str) -> str:
    """The row of a table that has a text, as words."""
    rows = [words(f"<tr{part.partition('</tr>')[0]}") for part in page.split("<tr")[1:]]
    return next(found for found in rows if text in found)


def feed(page: str) -> dict[str, str]:
    """The text of each section of the feed, by its title."""
    found = {}
    for part in page.split('aria-labelledby="feed-')[1:]:
        head, _, rest = part.partition("</h3>")
        title = re.sub(r"^.*>\W*", "", words(head)).strip()
        found[" ".join(re.findall(r"[A-Za-z]+", title))] = words(rest.partition("</section>")[0])
    return found


# The morning


def test_the_feed_has_what_happened_since_yesterday(dashboard: Dashboard) -> None:
    page = fetched(dashboard, "/")
    assert "Since yesterday" in words(page)
    found = feed(page)
    assert "doit env=prod deploy" in found["Failed"]
    assert "recovered" not in found["Failed"]
    assert "network/peering prod" in found["Newly drifted"]
    assert "aws_route.it" in found["Newly drifted"]
    assert "network/dns" not in found["Newly drifted"], "put right by a deploy"
    assert "main.tf has changed" in found["Undeployed"]
    assert found["Stale reviews"].startswith("!12 prod")
    assert "!33" not in found["Stale reviews"]
    assert "open-ingress" in found["Expiring rules"]
    assert "network/dns" in found["Deployed"]
    assert next(iter(found)) == "Failed"


def test_environments_are_columns_only_where_they_share_stacks_and_rows_have_their_folder(dashboard: Dashboard) -> None:
    page = fetched(dashboard, "/")
    tables = re.findall(r'aria-label="Stacks of ([^"]*)"(.*?)</table>', page, re.DOTALL)
    assert [names for names, _ in tables] == ["dev, staging, prod", "tools"]
    heads = [re.findall(r'<th scope="col">([^<]*)</th>', table) for _, table in tables]
    assert heads == [["Stack", "dev", "staging", "prod"], ["Stack", "tools"]]
    folders = re.findall(r'<tr class="folder[^"]*"><th[^>]*>([^<]*)</th>', tables[0][1])
    assert {"apps", "data", "network", "platform"} <= set(folders)


def test_owners_choose_their_stacks(dashboard: Dashboard) -> None:
    page = fetched(dashboard, "/")
    assert "?owner=%40acme%2Fapps" in page
    chosen = fetched(dashboard, f"/?owner={quote('@acme/apps', safe='')}").partition("<h2>Stacks</h2>")[2]
    assert "/env/prod/stacks/apps/shop" in chosen
    assert "/stacks/network/vpc" not in chosen


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("events", "/env/prod/stacks/data/events"),
        (BROKEN[:10], "RUN failed"),
        ("!33", "RUN destroys"),
        ("@acme/data", "/env/staging/stacks/data/cache"),
        ("aws_s3_bucket.archive", "/env/prod/stacks/data/events?run="),
    ],
)
def test_a_search_finds_what_people_look_for(dashboard: Dashboard, morning: Morning, query: str, found: str) -> None:
    wanted = f"/env/prod/runs/{morning.runs[found[4:]]}" if found.startswith("RUN ") else found
    page = fetched(dashboard, f"/search?q={quote(query, safe='')}")
    assert f'href="{wanted}' in page.replace("&amp;", "&")
    assert "Nothing found" not in page


def test_a_search_finds_what_a_person_did(dashboard: Dashboard, morning: Morning) -> None:
    record = morning.record("failed")
    person = record["pipeline"]["actor"]
    page = fetched(dashboard, f"/search?q={person}")
    assert f"/env/prod/runs/{record['id']}" in page
    assert all(person in words(part) for part in page.partition("<tbody>")[2].split("<tr")[1:])


# A run


def test_the_page_of_a_run_has_its_failure_first_then_changes_and_every_stack(
    dashboard: Dashboard, morning: Morning
) -> None:
    run = morning.runs["failed"]
    page = fetched(dashboard, f"/env/prod/runs/{run}")
    failure, facts = page.index("Failure of deploy:data/cache"), page.index("<dt>Started</dt>")
    assert failure < facts < page.index("<h2>Stacks</h2>")
    for text in ("the quota is used up", "2 created, 4 changed"):
        assert text in words(page).replace("4 changed, 2 created", "2 created, 4 changed")
    for stack in ("network/vpc", "data/cache", "apps/mail"):
        assert f'href="/env/prod/stacks/{stack}?run={run}"' in page
    assert f'href="{FORGE}/-/commit/{BROKEN}"' in page


def test_the_page_of_a_good_run_has_its_verdict_and_a_review_has_its_merge_request(
    dashboard: Dashboard, morning: Morning
) -> None:
    good = fetched(dashboard, f"/env/prod/runs/{morning.runs['good']}")
    assert re.search(r'<pre class="verdict[^"]*">2 deployed</pre>', good)
    reviewed = fetched(dashboard, f"/env/prod/runs/{morning.runs['destroys']}")
    assert f'href="{FORGE}/-/merge_requests/33"' in reviewed


def test_a_plan_that_destroys_is_nowhere_a_green_ok(dashboard: Dashboard, morning: Morning) -> None:
    run = morning.runs["destroys"]
    listed = next(part for part in fetched(dashboard, "/env/prod/runs").split("<tr") if run in part)
    page = fetched(dashboard, f"/env/prod/runs/{run}")
    for text in (listed, page.partition("<h1")[2].partition("<dl")[0], page.partition("<h2>Stacks</h2>")[2]):
        assert "1 to destroy" in words(text)
        assert 'class="mark good' not in text.partition("<h2>Timeline</h2>")[0]


def test_the_difference_of_a_stack_is_that_of_the_report(dashboard: Dashboard, morning: Morning) -> None:
    page = fetched(dashboard, f"/env/prod/stacks/apps/shop?run={morning.runs['good']}")
    shown = words(page).replace("&quot;", '"')
    for line in ("- max_size = 6", "+ max_size = 9", '+ policy as JSON: Statement[1].Action[2] = "s3:GetObject"'):
        assert line in shown


# Trends, comparisons


def test_trends_have_the_four_dora_metrics_with_their_definitions_and_plots_with_their_numbers(
    dashboard: Dashboard,
) -> None:
    page = fetched(dashboard, "/env/prod/trends")
    shown = words(page)
    for name, meaning in {
        "Deployment frequency": "Successful deploys that applied something, on average.",
        "Lead time for changes": "From the commit to the end of its successful deploy (median).",
        "Change failure rate": "The share of deploys that failed",
        "Time to restore": "From a failed deploy to the next successful one (median).",
        "Drift age": "Of the stacks that are drifted now (median)",
    }.items():
        assert name in shown
        assert meaning in shown
    assert "33%" in shown, "one of three deploys failed"
    plots = re.findall(r"<figure.*?</figure>", page, re.DOTALL)
    titles = ("Deploys per week", "Drifted stacks at the end of the week", "Median duration of runs")
    for title, plot in zip(titles, plots, strict=True):
        assert f'role="img" aria-label="{title}' in plot
        assert "<table" in plot
        assert len(re.findall("<tr", plot)) == 1 + 13
    weeks = [row.split("<td")[1:] for row in plots[0].partition("<tbody")[2].split("<tr")[1:]]
    successful, failed = (sum(int(words(f"<td{cell}")) for cell in column) for column in zip(*weeks, strict=True))
    assert (successful, failed) == (2, 1)


def test_environments_are_compared_stack_by_stack(dashboard: Dashboard) -> None:
    page = fetched(dashboard, "/compare?one=dev&other=staging")
    assert "1 stack of staging is behind dev" in words(page)
    assert row(page, "apps/mail").endswith(" behind")
    assert row(page, "apps/shop").endswith(" same commit")
    assert "no commit" not in words(page), "what was never deployed has none"
    assert "1 stack behind dev" in words(fetched(dashboard, "/"))


def test_two_runs_are_compared_task_by_task(dashboard: Dashboard, morning: Morning) -> None:
    one, other = morning.runs["good"], morning.runs["failed"]
    page = fetched(dashboard, f"/compare?one=prod/{one}&other=prod/{other}")
    tasks = page.partition("<h2>Tasks</h2>")[2]
    assert row(tasks, "deploy:data/cache").split()[1:4] == [NONE, "✕", "failed"]
    assert row(tasks, "deploy:apps/shop").endswith(NONE)


def test_a_page_of_drift_that_says_drifted_lists_some(dashboard: Dashboard) -> None:
    page = fetched(dashboard, "/env/prod/drift")
    head, _, rest = page.partition("last checked")
    assert "drifted" in words(head.partition("Drift in prod")[2])
    assert "aws_route.it" in rest.partition('id="group-New"')[2].partition("</section>")[0]
    put_right = fetched(dashboard, "/env/staging/drift")
    assert words(put_right.partition("Drift in staging")[2]).startswith("● no drift last checked")
    assert "aws_route.it" in put_right.partition('id="group-Resolved"')[2].partition("</section>")[0]


def test_on_a_phone_the_environment_in_which_something_failed_is_seen_without_scrolling_aside(
    dashboard: Dashboard,
) -> None:
    browser = Browser(390, 844)
    try:
        tab = browser.tab("phone", f"{dashboard.url}/")
        row = "[...document.querySelectorAll('table.matrix tr')].find((row) => row.innerText.includes('cache'))"
        cell = f"[...{row}.querySelectorAll('td')].find((cell) => cell.innerText.includes('apply failed'))"
        place = tab.run(
            f"(() => {{ const box = {cell}.getBoundingClientRect(); return [box.left, box.right, box.width]; }})()"
        )
        assert place[2] > 0
        assert place[0] >= 0
        assert place[1] <= 390, "within the window"
        named = tab.run(f"getComputedStyle({cell}, '::before').content + {cell}.dataset.label")
        assert "prod" in named, "the cell says whose it is"
    finally:
        browser.stop()
