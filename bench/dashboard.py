"""The dashboard with many runs: `python bench/dashboard.py [--stacks N] [--runs N] [--keep FOLDER]`.

It needs the built app (`app/build`), node and the engine on PATH. A few real runs in a small repository give records;
from those, thousands are made, with other ids, times and stacks. Then the app is started on them, and each page is
fetched: the first one also right after the start, when nothing has been read yet. The target is for every page.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from repository import create, environment

ROOT = Path(__file__).parent.parent
TARGET = 0.5
ROUNDS = 7
_TEMPLATES = 20


def main() -> None:
    """Make the records, start the app, and print a line for each page."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--stacks", type=int, default=1000)
    options.add_argument("--runs", type=int, default=5000)
    options.add_argument("--keep", type=Path, help="write the records here, and leave them")
    chosen = options.parse_args()
    if not shutil.which("tofu"):
        sys.exit("the engine `tofu` is not on PATH; without it, the first run would build it")
    with tempfile.TemporaryDirectory() as folder:
        records = chosen.keep or Path(folder) / "records"
        templates = real_records(Path(folder) / "repo")
        run, stack = multiply(templates, records / "prod", chosen.stacks, chosen.runs)
        measure(records, f"{chosen.stacks} stacks, {chosen.runs} runs", run, stack)


def real_records(base: Path) -> list[tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]]:
    """Records, task records and overviews of real runs."""
    path = create(base, _TEMPLATES)
    for command in ("deploy", "drift", "plan"):
        subprocess.run(
            [sys.executable, "-m", "doit", command],
            cwd=path,
            env=environment(path),
            check=True,
            stdout=subprocess.DEVNULL,
        )
    overview = json.loads((path / ".deploy/local/overview.json").read_text())
    found = []
    for record in sorted((path / ".deploy/local/runs").glob("*.json")):
        lines = record.with_suffix(".jsonl")
        tasks = [json.loads(line) for line in lines.read_text().splitlines()] if lines.exists() else []
        found.append((json.loads(record.read_text()), tasks, overview))
    return found


def multiply(templates: list[Any], folder: Path, stacks: int, runs: int) -> tuple[str, str]:
    """Write an environment with so many stacks and runs; gives the latest run that did something, and one stack."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "runs").mkdir(parents=True)
    chance = random.Random(1)  # noqa: S311 - the same records every time
    now, latest = datetime.now(UTC), ""
    names = [f"group-{number % 20}/stack-{number:04}" for number in range(stacks)]
    overview = templates[-1][2]
    entries = list(overview["stacks"].values())
    known = {name: {**chance.choice(entries), "path": f"stacks/{name}"} for name in names}
    for number in range(runs):
        record, tasks, _ = chance.choice(templates)
        began = now - timedelta(minutes=7 * (runs - number))
        run = f"{began:%Y%m%dT%H%M%SZ}-{chance.randrange(16**6):06x}"
        renamed = dict(zip(record["graph"], chance.sample(names, len(record["graph"])), strict=True))
        text = json.dumps({**record, "tasks": [_renamed(task, renamed) for task in record["tasks"]]})
        changed = json.loads(text) | {
            "id": run, "environment": "prod", "started_at": began.isoformat(), "ended_at": began.isoformat(),
            "graph": {name: [] for name in renamed.values()}, "stacks": stacks,
        }  # fmt: skip
        (folder / f"runs/{run}.json").write_text(json.dumps(changed))
        if tasks:
            latest = run
            lines = [json.dumps({**_renamed(task, renamed), "task": f"{task['stage']}:{renamed[task['stack']]}"},
                                separators=(",", ":")) for task in tasks if task["stack"] in renamed]  # fmt: skip
            lines = ['{"task":' + json.dumps(json.loads(line)["task"]) + "," + line[1:] for line in lines]
            (folder / f"runs/{run}.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "overview.json").write_text(json.dumps({**overview, "environment": "prod", "stacks": known}))
    return latest, names[7]


def _renamed(task: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {**task, "stack": names.get(task["stack"], task["stack"])}


def measure(records: Path, what: str, run: str, stack: str) -> None:
    """Start the app on the records and time its pages."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = {**os.environ, "HOST": "127.0.0.1", "PORT": str(port), "DASHBOARD_SOURCE": str(records)}
    began = time.monotonic()
    server = subprocess.Popen(["node", ROOT / "app/build/index.js"], env=variables, stdout=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        while not _answers(f"{url}/healthz"):
            time.sleep(0.01)
        up = time.monotonic() - began
        print(f"{what}: the server is up after {up:.2f} s")
        first, size = fetch(f"{url}/")
        print(f"  first page, right after the start   {first:6.3f} s  {size / 1024:6.0f} KB  {_verdict(first)}")
        pages = [
            "/", "/?days=30", "/?show=attention", "/env/prod", "/env/prod/runs", f"/env/prod/runs/{run}",
            f"/env/prod/stacks/{stack}", "/env/prod/drift", "/env/prod/trends", f"/search?q={stack[-3:]}",
            "/search?q=terraform_data",
        ]  # fmt: skip
        for path in pages:
            times = [fetch(url + path) for _ in range(ROUNDS)]
            took = statistics.median(seconds for seconds, _ in times)
            print(f"  {path:<35} {took:6.3f} s  {times[0][1] / 1024:6.0f} KB  {_verdict(took)}")
        peak = Path(f"/proc/{server.pid}/status").read_text()
        print(
            "  memory",
            next(line.split()[1] for line in peak.splitlines() if line.startswith("VmHWM")),
            "KB at its peak",
        )
    finally:
        server.terminate()
        server.wait()


def fetch(url: str) -> tuple[float, int]:
    """Seconds until all of a page is there, and its bytes."""
    began = time.monotonic()
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - our own server
        size = len(answer.read())
    return time.monotonic() - began, size


def _answers(url: str) -> bool:
    try:
        fetch(url)
    except OSError:
        return False
    return True


def _verdict(seconds: float) -> str:
    return f"(target {TARGET} s: {'ok' if seconds < TARGET else 'MISSED'})"


if __name__ == "__main__":
    main()
