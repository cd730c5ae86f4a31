"""Plays the ledger's protocol many times in one process: `python bench/ledger_rounds.py [ROUNDS] [SEED] [MODEL]`.

MODEL is `machine`, the default: every fifth round has a stranger who rewrites the ledger. Or `emergencies`: deploys
without the ledger, old disks and older commits; in every third round, plans fail; in every other, what they left is
pushed while another run holds the lease. Prints what happened in all rounds together, the time, and the seeds whose
history was wrong; exits with 1 if any was.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests import emergencymodel, ledgermodel
from tests.ledgermodel import BrokenError

_STRANGERS, _HURRIED, _UNPLANNED = 5, 2, 3
_MODELS = {
    "machine": lambda seed: ledgermodel.play(seed, strangers=seed % _STRANGERS == 0),
    "emergencies": lambda seed: emergencymodel.play(
        seed, hurried=seed % _HURRIED == 0, unplanned=seed % _UNPLANNED == 0
    ),
}


def main(rounds: int = 10_000, first: int = 0, model: str = "machine") -> int:
    """Plays the rounds."""
    began, counts, wrong = time.monotonic(), Counter[str](), list[str]()
    for seed in range(first, first + rounds):
        try:
            counts.update(_MODELS[model](seed))
        except BrokenError as error:
            wrong.append(str(error))
    print(f"{model}: {rounds} rounds, seeds {first} to {first + rounds - 1}, {time.monotonic() - began:.1f} s")
    print(", ".join(f"{what}: {number}" for what, number in sorted(counts.items())))
    print(*wrong or ["no history is wrong"], sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:3]), *sys.argv[3:]))
