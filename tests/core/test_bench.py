from __future__ import annotations

import pytest

from promptlab.core.bench import MIN_STEPS, Rate, decode_rate, spread


def drawn(*steps: str, at: float = 0.0, each: float = 2.0) -> list[tuple[int, float]]:
    """Tokens as they came, a letter for each answer; all of a step at once."""
    return [(ord(letter), at + i * each) for i, step in enumerate(steps) for letter in step]


def test_the_rate_is_that_of_all_together() -> None:
    assert decode_rate(drawn("abcd", *["abcd"] * 10), 4) == 4 * 10 / 20
    assert decode_rate(drawn("a", *["a"] * 10), 1) == 10 / 20


def test_what_was_drawn_before_the_last_one_began_does_not_count() -> None:
    alone = drawn(*["a"] * 5, each=100.0)
    assert decode_rate([*alone, *drawn("ab", *["ab"] * 10, at=600.0)], 2) == 2 * 10 / 20


def test_what_was_drawn_after_the_first_one_ended_does_not_count() -> None:
    after = drawn(*["b"] * 20, at=1000.0, each=50.0)
    assert decode_rate([*drawn("ab", *["ab"] * 10), *after], 2) == 2 * 10 / 20


@pytest.mark.parametrize(("steps", "measured"), [(0, False), (MIN_STEPS - 1, False), (MIN_STEPS, True)])
def test_too_few_tokens_are_no_rate(steps: int, measured: bool) -> None:
    assert (decode_rate(drawn("ab", *["ab"] * steps), 2) is not None) is measured


def test_answers_that_were_never_drawn_together_have_no_rate() -> None:
    assert decode_rate(drawn(*["ab"] * 20, *["cd"] * 20), 4) is None
    assert decode_rate([], 2) is None


def test_no_time_is_no_rate() -> None:
    assert decode_rate(drawn(*["a"] * 20, each=0.0), 1) is None


def test_rounds_come_to_their_median_and_their_limits() -> None:
    assert spread([3.0, 1.0, 2.006]) == Rate(2.01, 1.0, 3.0)
    assert spread([4.0]) == Rate(4.0, 4.0, 4.0)
    assert spread([]) == Rate(None, None, None)
