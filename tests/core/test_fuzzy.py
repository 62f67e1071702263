from __future__ import annotations

import pytest

from promptlab.core.fuzzy import rank

ITEMS = [
    ("explain", "Explain something to somebody."),
    ("numbers/count", "Count to a number."),
    ("numbers/primes", "List primes."),
    ("verdict", "Judge a claim, then defend the verdict."),
    ("counter", ""),
]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["explain", "numbers/count", "numbers/primes", "verdict", "counter"]),
        ("  ", ["explain", "numbers/count", "numbers/primes", "verdict", "counter"]),
        ("count", ["counter", "numbers/count"]),
        ("NUMBERS/C", ["numbers/count"]),
        ("claim", ["verdict"]),
        ("judge verdict", ["verdict"]),
        ("nprim", ["numbers/primes"]),
        ("explian", ["explain"]),
        ("zzz", []),
    ],
)
def test_the_best_comes_first(query: str, expected: list[str]) -> None:
    assert [ITEMS[n][0] for n in rank(query, ITEMS)] == expected


def test_long_texts_are_read_only_in_part() -> None:
    assert rank("end", [("a", "x" * 10_000 + " end")]) == []
    assert rank("q" * 10_000, ITEMS) == []
