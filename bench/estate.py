"""Writes the records of an estate: `python bench/estate.py FOLDER [--runs N] [--until TIME]`.

Four environments and 60 stacks over 90 days: merge requests, deploys, checks, drift that comes and goes, failures, a
promotion that is under way. Nothing is run; the records have the format of real ones (docs/reference.md). The pictures
in the docs are of this estate, and so are the tests of the dashboard's pages.
"""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

FORMAT = 2
DAYS = 90
PEOPLE = ("ada", "grace", "linus", "margaret", "dennis")
SHARED = {
    "network": ("vpc", "dns", "peering", "firewall"),
    "platform": ("cluster", "ingress", "runners", "registry", "monitoring", "vault"),
    "data": ("orders-db", "events", "warehouse", "cache"),
    "apps": ("shop", "checkout", "search", "mail", "api"),
}
TOOLS = {"ci": tuple(f"builder-{letter}" for letter in "abcd")}
FOLLOWS = {"staging": "dev", "prod": "staging"}
FORGE = "https://gitlab.example.com/acme/infrastructure"
Json = dict[str, Any]


@dataclass
class World:
    """One environment while its history is written."""

    name: str
    stacks: list[str]
    needs: dict[str, list[str]]
    commit: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Json] = field(default_factory=dict)
    drifted: dict[str, tuple[str, str]] = field(default_factory=dict)  # stack: address and since when
    failing: dict[str, str] = field(default_factory=dict)


class Estate:
    """Writes an estate; the same seed writes the same one.

    Args:
        folder: Where to; a folder for each environment.
        until: The moment of the last run.
        seed: Of all that is random.
    """

    def __init__(self, folder: Path, until: datetime, seed: int = 1) -> None:
        self._folder, self._until = folder, until
        self._random = random.Random(seed)  # noqa: S311 - the same records every time
        self._pipeline = 4000
        names = [f"{group}/{name}" for group, stacks in SHARED.items() for name in stacks]
        needs = {name: ["network/vpc"] if not name.startswith("network") else [] for name in names}
        needs |= {name: ["network/vpc", "platform/cluster"] for name in names if name.startswith("apps")}
        tools = [f"{group}/{name}" for group, stacks in TOOLS.items() for name in stacks]
        self.worlds = [
            *(World(name, names[: 19 if name != "dev" else 18], needs) for name in ("dev", "staging", "prod")),
            World("tools", tools, {name: [] for name in tools}),
        ]

    def write(self, runs: int) -> None:
        """Write so many runs, spread over `DAYS` days; the last days are busier."""
        moments = sorted(DAYS * (1 - self._random.random() ** 1.3) for _ in range(runs))
        for moment in moments:
            at = self._until - timedelta(days=DAYS - moment)
            self._step(self._random.choices(self.worlds, (4, 3, 3, 1))[0], at)
        for world in self.worlds:
            self._overview(world)

    def _step(self, world: World, at: datetime) -> None:
        kind = self._random.choices(("plan", "deploy", "drift", "verify"), (4, 4, 5, 1))[0]
        getattr(self, f"_{kind}")(world, at)

    def _chance(self, percent: int) -> bool:
        return self._random.randrange(100) < percent

    # --- the kinds of runs

    def _plan(self, world: World, at: datetime) -> None:
        chosen = self._random.sample(world.stacks, min(self._random.randint(1, 4), len(world.stacks)))
        review = str(self._random.randint(100, 420))
        tasks = [self._planned(world, name, number) for number, name in enumerate(chosen)]
        failed = self._chance(10)
        if failed:
            for task in tasks[-2:]:
                task.update(_failed("the credentials of the provider have expired", "plan failed"))
        self._run(world, at, "plan", tasks, code=int(failed), review=review)

    def _deploy(self, world: World, at: datetime) -> None:
        chosen = self._random.sample(world.stacks, min(self._random.randint(1, 5), len(world.stacks)))
        chosen.sort(key=lambda name: (len(world.needs[name]), name))
        commit = self._promoted(world, chosen[0]) or f"{self._random.randrange(16**40):040x}"
        plans = [self._planned(world, name, number) for number, name in enumerate(chosen)]
        tasks = list(plans)
        broken = self._random.choice(chosen) if self._chance(12) else ""
        run = self._id(at)
        for number, name in enumerate(chosen):
            task: Json = {**plans[number], "stage": "deploy", "offset": 9.0 + 7 * number, "seconds": 6.4, "reasons": [],
                          "needs": ["_planned", f"plan:{name}"]}  # fmt: skip
            if broken and broken in world.needs[name]:
                why = f"not run: deploy:{broken} failed"
                tasks.append({**task, "status": "not_run", "summary": why, "seconds": 0.0, "counts": {}})
                continue
            if name == broken:
                task |= _failed("the engine could not create a resource: the quota is used up", "apply failed")
                world.failing[name] = at.isoformat()
            else:
                task["summary"] = "applied"
                world.commit[name] = commit
                world.failing.pop(name, None)
                world.drifted.pop(name, None)
                self._fact(world, name, "deployed", "deployed", at, run, commit=commit)
                self._fact(world, name, "affected", "unaffected", at, run)
                self._fact(world, name, "drift", "none", at, run)
            failed = name == broken
            text = task["summary"] if failed else ""
            self._fact(world, name, "apply", "failed" if failed else "applied", at, run, text=text)
            tasks.append(task)
        self._run(world, at, "deploy", tasks, code=int(bool(broken)), commit=commit, run=run)

    def _promoted(self, world: World, stack: str) -> str | None:
        """The commit that the environment before this one has deployed."""
        before = FOLLOWS.get(world.name)
        return next((other.commit.get(stack) for other in self.worlds if other.name == before), None)

    def _drift(self, world: World, at: datetime) -> None:
        run = self._id(at)
        if self._chance(60) and world.commit:
            name = self._random.choice(sorted(world.commit))
            world.drifted.setdefault(name, ("aws_security_group.this", at.isoformat()))
        elif world.drifted and self._chance(30):
            world.drifted.pop(self._random.choice(sorted(world.drifted)))
        tasks = []
        for number, name in enumerate(world.stacks):
            task = _task("drift", name, offset=1.0 * number, seconds=0.9)
            if name in world.drifted:
                address, since = world.drifted[name]
                delta = "new" if since == at.isoformat() else "known"
                found = {"class": "changed", "address": address, "severity": "warning", "delta": delta, "since": since,
                         "ignored": None}  # fmt: skip
                task |= {"status": "drifted", "summary": f"1 resource drifted: {address}", "findings": [found],
                         "resolved": [], "counts": {"change": 1}}  # fmt: skip
                self._fact(world, name, "drift", "drifted", at, run, text=task["summary"], since=since)
            else:
                self._fact(world, name, "drift", "none", at, run)
            tasks.append(task)
        self._run(world, at, "drift", tasks, code=2 if world.drifted else 0, run=run, schedule=True)

    def _verify(self, world: World, at: datetime) -> None:
        run = self._id(at)
        name = self._random.choice(world.stacks)
        bad = self._chance(30)
        task = _task("verify", name, offset=0.2, seconds=4.0)
        task |= _failed("http https://shop.example.com: status 502, expected 200", "check failed") if bad else {}
        self._fact(world, name, "checks", "failing" if bad else "passed", at, run, text=task["summary"] if bad else "")
        self._run(world, at, "verify", [task], code=int(bad), run=run, schedule=True)

    # --- the records

    def _planned(self, world: World, name: str, number: int) -> Json:
        counts = {"add": self._random.randint(0, 3), "change": self._random.randint(0, 4)}
        if self._chance(15):
            counts |= {self._random.choice(("destroy", "replace")): self._random.randint(1, 2)}
        counts = {kind: value for kind, value in counts.items() if value} or {"change": 1}
        reasons = [f"stacks/{name}/main.tf has changed"]
        task = _task("plan", name, offset=0.6 + 1.7 * number, seconds=1.5)
        needs = [f"plan:{other}" for other in world.needs[name]]
        return {**task, "summary": "planned", "counts": counts, "reasons": reasons, "needs": needs}

    def _run(
        self, world: World, at: datetime, stage: str, tasks: list[Json], *, code: int, commit: str | None = None,
        run: str = "", review: str | None = None, schedule: bool = False,
    ) -> None:  # fmt: skip
        self._pipeline += 1
        run = run or self._id(at)
        end = max(task["offset"] + task["seconds"] for task in tasks) + 0.5
        failed = [task for task in tasks if task["status"] == "failed"]
        touched = sorted({task["stack"] for task in tasks})
        totals: dict[str, dict[str, int]] = {}
        for task in tasks:
            for kind, number in task["counts"].items():
                stage_totals = totals.setdefault(task["stage"], {})
                stage_totals[kind] = stage_totals.get(kind, 0) + number
        record = {
            "format": FORMAT, "id": run, "environment": world.name, "command": f"doit env={world.name} {stage}",
            "stages": ["validate", "build", "plan", "deploy"] if stage == "deploy" else [stage],
            "started_at": _text(at), "ended_at": _text(at + timedelta(seconds=end)), "seconds": end,
            "exit_code": code, "stopped": False,
            "verdict": _verdict(stage, failed, tasks),
            "commit": commit or f"{self._random.randrange(16**40):040x}",
            "branch": f"change-{review}" if review else "main", "dirty": False,
            "pipeline": {
                "forge": "gitlab", "id": str(self._pipeline), "url": f"{FORGE}/-/pipelines/{self._pipeline}",
                "job": f"{FORGE}/-/jobs/9{self._pipeline}", "project": "acme/infrastructure",
                "actor": "scheduler" if schedule else self._random.choice(PEOPLE), "review": review,
            },
            "process": {"host": "runner-7", "pid": 4711}, "stacks": len(world.stacks), "unaffected": 0,
            "written_at": _text(at + timedelta(seconds=end)), "counts": totals,
            **({"committed_at": _text(at - timedelta(hours=self._random.randint(1, 60)))} if stage == "deploy" else {}),
            "graph": {name: world.needs[name] for name in touched}, "tasks": tasks,
        }  # fmt: skip
        runs = self._folder / world.name / "runs"
        runs.mkdir(parents=True, exist_ok=True)
        (runs / f"{run}.json").write_text(_json(record))
        (runs / f"{run}.jsonl").write_text("".join(_json(_full(task, world.name)) + "\n" for task in tasks))

    def _overview(self, world: World) -> None:
        late = self._random.sample(world.stacks, min(2, len(world.stacks)))
        for name in late:
            text = f"stacks/{name}/main.tf has changed"
            self._fact(world, name, "affected", "affected", self._until, self._id(self._until), text=text)
        stacks = {
            name: {
                "path": f"stacks/{name}",
                "owners": [f"@acme/{name.partition('/')[0]}"],
                "needs": world.needs[name],
                "has_checks": 1,
                **world.facts.get(name, {}),
            }
            for name in world.stacks
        }
        value = {
            "format": FORMAT, "environment": world.name, "at": _text(self._until), "run": "", "commit": "f" * 40,
            "follows": FOLLOWS.get(world.name), "rules": self._rules(), "stacks": stacks,
        }  # fmt: skip
        (self._folder / world.name / "overview.json").write_text(_json(value))

    def _rules(self) -> list[Json]:
        last = f"{self._until + timedelta(days=5):%Y-%m-%d}"
        return [{"kind": "policy.allow", "name": "open-ingress", "reason": "until the proxy moved", "until": last}]

    def _fact(  # noqa: PLR0917 - what a fact is made of
        self, world: World, name: str, key: str, status: str, at: datetime, run: str, **more: str
    ) -> None:
        facts = world.facts.setdefault(name, {})
        old = facts.get(key)
        since = more.get("since") or (old["since"] if old and old["status"] == status else _text(at))
        fact = {"at": _text(at), "status": status, "since": since, "run": run, "text": more.get("text", "")}
        facts[key] = {**fact, "commit": more["commit"]} if "commit" in more else fact

    def _id(self, at: datetime) -> str:
        return f"{at:%Y%m%dT%H%M%SZ}-{self._random.randrange(16**6):06x}"


def _task(stage: str, stack: str, *, offset: float, seconds: float) -> Json:
    return {
        "stage": stage, "stack": stack, "status": "ok", "summary": "", "reasons": [], "counts": {}, "offset": offset,
        "seconds": seconds, "needs": [],
    }  # fmt: skip


def _failed(summary: str, kind: str) -> Json:
    return {"status": "failed", "summary": summary, "kind": kind, "counts": {}}


def _verdict(stage: str, failed: list[Json], tasks: list[Json]) -> str:
    """The last line of a run, as the console says it."""
    if failed:
        return f"failed: {', '.join(sorted({task['stack'] for task in failed}))}"
    drifted = [task["stack"] for task in tasks if task["status"] == "drifted"]
    if drifted:
        return f"{', '.join(drifted)} drifted"
    deployed = sum(task["stage"] == "deploy" for task in tasks)
    return {"plan": "planned", "deploy": f"{deployed} deployed"}.get(stage, "all passed")


def _full(task: Json, environment: str) -> Json:
    """A task's record with its problem and its changes."""
    problem = None
    if task["status"] == "failed":
        planned = task["stage"] == "plan"
        problem = {
            "kind": task["kind"], "summary": task["summary"], "stack": task["stack"],
            "untouched": "nothing was changed" if planned else "changes made before the error are in the state",
            "where": {"file": f"stacks/{task['stack']}/main.tf", "line": 7},
            "next": {"command": ["doit", f"env={environment}", task["stage"]], "text": "fix the cause, then"},
            "details": "", "log": f"Error: {task['summary']}\n\n  on main.tf line 7:\n",
        }  # fmt: skip
    resources = [
        _change(kind, number) for kind, many in task["counts"].items() for number in range(many)
    ]  # fmt: skip
    name = f"{task['stage']}:{task['stack']}"
    changes = {"resources": resources, "outputs": [], "drift": []} if resources else None
    return {"task": name, **{key: task[key] for key in ("stage", "stack", "status", "summary", "reasons", "counts")},
            "problem": problem, "details": {"changes": changes, "checks": []}}  # fmt: skip


_CREATED = ['cidr_blocks = ["10.20.0.0/16"]', "from_port = 443", 'name = "ingress-https"', 'protocol = "tcp"']
_CHANGES: dict[str, list[tuple[str, list[list[str]]]]] = {
    "add": [("aws_security_group_rule.ingress", [["+", line] for line in _CREATED])],
    "change": [
        ("aws_autoscaling_group.workers", [["-", "max_size = 6"], ["+", "max_size = 9"]]),
        ("aws_iam_policy.deploy", [
            ["-", 'policy as JSON: Statement[1].Action[2] = "s3:*"'],
            ["+", 'policy as JSON: Statement[1].Action[2] = "s3:GetObject"'],
        ]),
        ("aws_db_instance.main", [["-", "password = (sensitive value)"], ["+", "password = (sensitive value)"]]),
    ],
    "replace": [("aws_launch_template.node", [
        ["-", 'image_id = "ami-0a1b2c3d"  # forces replacement'],
        ["+", 'image_id = "ami-9f8e7d6c"  # forces replacement'],
    ])],
    "destroy": [("aws_s3_bucket.archive", [["-", 'bucket = "acme-archive"'], ["-", "force_destroy = false"]])],
}  # fmt: skip


def _change(kind: str, number: int) -> Json:
    known = _CHANGES[kind]
    address, lines = known[number % len(known)]
    index = f"[{number // len(known)}]" if number >= len(known) else ""
    return {"address": f"{address}{index}", "type": address.partition(".")[0], "action": kind, "lines": lines}


def _text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def _json(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"))


def main() -> None:
    """Write an estate."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--runs", type=int, default=300)
    options.add_argument("--until", type=datetime.fromisoformat, default=datetime.now(UTC))
    chosen = options.parse_args()
    Estate(chosen.folder, chosen.until.astimezone(UTC)).write(chosen.runs)


if __name__ == "__main__":
    main()
