"""Reports of a large run: `python bench/reports.py [--stacks N] [--changed N]`; it needs the engine on PATH.

N deployed stacks (10,000), of which some (500) have a value changed. `doit plan` plans those, and writes reports and
records. What it prints is the run's cost, that of its end alone (reports, records, history), and every file's size.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from repository import PACKAGE, ROOT, create, environment

from bench import run

_TIMED = """\
import importlib, resource, runpy, sys, time
sys.path.insert(0, sys.argv.pop(1))
ending = importlib.import_module(sys.argv.pop(1))
def used():
    return time.process_time(), time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
end = ending.end
def timed(course):
    before = used()
    try:
        end(course)
    finally:
        processor, wall, peak = (after - begun for after, begun in zip(used(), before))
        with open(".deploy/timed", "w") as told:
            told.write(f"{processor:.2f} s of processor time ({before[0]:.1f} s before it), {wall:.2f} s,"
                       f" {peak / 1024:.0f} MB more than {before[2] / 1024:.0f} MB")
ending.end = timed
runpy.run_module("doit", run_name="__main__")
"""


def main() -> None:
    """Make the stacks, plan, and print."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--stacks", type=int, default=10_000)
    options.add_argument("--changed", type=int, default=500)
    chosen = options.parse_args()
    base = Path(tempfile.mkdtemp(prefix="reports-"))
    try:
        measure(base, chosen.stacks, chosen.changed)
    finally:
        shutil.rmtree(base, ignore_errors=True)


def measure(base: Path, stacks: int, changed: int) -> None:
    """Plan in a folder of its own."""
    root = create(base, stacks, stacks // 10)
    deployed = [sys.executable, str(Path(__file__).parent / "deployed.py"), str(root), str(changed)]
    subprocess.run(deployed, env=environment(root), check=True)
    for number in range(changed):
        path = root / f"stacks/s{number:05}/main.tf"
        path.write_text(path.read_text().replace(f'input = "s{number:05}"', f'input = "s{number:05}-changed"'))
    cost = run(root, sys.executable, "-c", _TIMED, str(ROOT), f"{PACKAGE}.ending", "-n", "2", "plan")
    print(f"doit plan, {changed:,} of {stacks:,} stacks changed: {cost.seconds:.1f} s, {cost.megabytes:.0f} MB")
    print(f"  processor time {cost.processor:.1f} s, the engine's included")
    print(f"  its end: {(root / '.deploy/timed').read_text()}")
    folder = root / ".deploy/local"
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.relative_to(folder).parts[0] in ("reports", "runs") or path.parent == folder:
            print(f"  {path.stat().st_size / 1000:10,.1f} kB  {path.relative_to(folder)}")


if __name__ == "__main__":
    main()
