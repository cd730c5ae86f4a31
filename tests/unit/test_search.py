"""The search for many texts at once: the longest at each place, and no slower for texts that begin alike."""

from __future__ import annotations

import random

import pytest

from tasks.base.masking import Secrets
from tasks.base.search import Index


def naive(texts: set[str], text: str) -> list[tuple[int, int, str]]:
    found = []
    for start in range(len(text)):
        if here := [each for each in texts if text.startswith(each, start)]:
            longest = max(here, key=len)
            found.append((start, start + len(longest), longest))
    return found


@pytest.mark.parametrize("seed", range(300))
def test_it_finds_the_longest_at_each_place(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same in every run
    letters = chance.choice(["a", "ab", "abc"])

    def word(most: int) -> str:
        return "".join(chance.choice(letters) for _ in range(chance.randint(0, most)))

    texts = {f"aaaa{word(60)}" for _ in range(chance.randint(1, 80))}
    index = Index()
    for position, each in enumerate(sorted(texts)):
        index.add(each)
        if position == len(texts) // 2:
            list(index.hits("a" * 90))  # what is added later counts, too
    text = word(200)
    assert list(index.hits(text)) == naive(texts, text)


def test_secrets_that_begin_alike_do_not_make_masking_slow() -> None:
    """Certificates do, and whoever writes a plan may make as many as it likes."""
    mask = Secrets()
    mask.add(["a" * length for length in range(8, 400)])
    text = f"b{'a' * 5000}b"
    assert mask.text(text) == "b(sensitive value)b"
    assert mask.looks < 40 * len(text)
