"""Plays the ledger's protocol many times in one process: `python bench/ledger_rounds.py [ROUNDS] [FIRST_SEED]`.

Prints what happened in all rounds together, the time, and the seeds whose history was wrong; exits with 1 if any was.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.ledgermodel import BrokenError, play

_STRANGERS = 5  # in every fifth round somebody rewrites the ledger


def main(rounds: int, first: int) -> int:
    """Plays the rounds; every fifth has a stranger who rewrites the ledger."""
    began, counts, wrong = time.monotonic(), Counter[str](), list[str]()
    for seed in range(first, first + rounds):
        try:
            counts.update(play(seed, strangers=seed % _STRANGERS == 0))
        except BrokenError as error:
            wrong.append(str(error))
    print(f"{rounds} rounds, seeds {first} to {first + rounds - 1}, {time.monotonic() - began:.1f} s")
    print(", ".join(f"{what}: {number}" for what, number in sorted(counts.items())))
    print(*wrong or ["no history is wrong"], sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    sys.exit(main(*(given + [10_000, 0][len(given) :])))
