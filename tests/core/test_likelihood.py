from __future__ import annotations

import math

import pytest

from promptlab.core.events import Score
from promptlab.core.likelihood import Weighed, likelihoods, perplexity, shares


def test_the_numbers_of_one_text() -> None:
    (one,) = likelihoods("alpha", ["Häh"], [Score((5, 7), (-1.0, -3.0), ("H", "äh"))])
    assert (one.model, one.text, one.error) == ("alpha", "Häh", None)
    assert one.tokens == (Weighed(5, "H", -1.0), Weighed(7, "äh", -3.0))
    assert (one.logprob, one.mean, one.probability) == (-4.0, -2.0, None)
    assert one.perplexity == pytest.approx(math.exp(2))
    assert one.bits_per_byte == pytest.approx(4 / math.log(2) / 4)  # four bytes, three characters


def test_several_texts_share_one_probability() -> None:
    found = likelihoods("alpha", ["a", "bc"], [Score((1,), (-1.0,), ("a",)), Score((2, 3), (-1.0, -1.0), ("b", "c"))])
    assert [each.probability for each in found] == pytest.approx([math.e / (math.e + 1), 1 / (math.e + 1)])


@pytest.mark.parametrize("totals", [[-0.0], [-1.0, -1.0, -1.0], [-5000.0, -5001.0], [-1.0, -5000.0]])
def test_shares_add_up_to_one(totals: list[float]) -> None:
    found = shares(totals)
    assert sum(found) == pytest.approx(1)
    assert sorted(found) == [found[i] for i in sorted(range(len(totals)), key=totals.__getitem__)]


def test_a_perplexity_beyond_all_numbers_is_none() -> None:
    assert perplexity(-1e6, 1) is None
    assert perplexity(-10.0, 10) == pytest.approx(math.e)
