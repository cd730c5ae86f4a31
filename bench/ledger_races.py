"""Races pairs of deploys from two clones of one remote: `python bench/ledger_races.py [PAIRS]`.

Each pair starts together, on a change of its own. Prints how the loser ended; exits with 1 if not exactly one applied.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.e2e.test_ledger import Remote
from tests.repository import Repository, minimal_config, resource

_TOFU = Path.home() / ".cache/doit-tofu/engines/tofu-1.12.6/tofu"


def main(pairs: int) -> int:
    """Runs the pairs."""
    ends, wrong = Counter[str](), 0
    base = Path(tempfile.mkdtemp(prefix="ledger-races-"))
    try:
        config = minimal_config("ledger: {kind: git}\n").replace("{root}/.state/", f"{base}/states/")
        first = Repository.create(base, _TOFU, config, f"stacks/a/main.tf:{resource('0')}")
        remote = Remote(base, first)
        remote.clone().doit("ledger", "init")
        for number in range(pairs):
            change = remote.clone()
            change.write(f"stacks/a/main.tf:{resource(str(number + 1))}")
            change.commit(f"change {number}")
            remote.push(change)
            jobs = [remote.clone() for _ in range(2)]
            running = [job.start("deploy") for job in jobs]
            said = [process.communicate()[0] for process in running]
            applied = sorted(len(job.engine_calls("apply")) for job in jobs)
            if applied != [0, 1]:
                wrong += 1
                print(f"pair {number}: applied {applied}\n", *said)
            loser = next((text for text, process in zip(said, running, strict=True) if process.returncode), "")
            reasons = ("has been deploying", "by another run since")
            ends[next((reason for reason in reasons if reason in loser), "nothing left to do")] += 1
    finally:
        Repository.end()
        shutil.rmtree(base, ignore_errors=True)
    print(f"{pairs} pairs, {wrong} wrong; the other: {', '.join(f'{why} {count}' for why, count in ends.items())}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else 50))
