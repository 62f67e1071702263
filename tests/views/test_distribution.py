from __future__ import annotations

from typing import Any

import pytest
from rich.cells import cell_len

from promptlab.core.constraint import Constraint
from promptlab.views import columns, pages
from promptlab.views.distribution import distribution_lines, next_choice, percent
from tests.views.test_views import done, step

SHARES = {"question": 0.3757, "complaint": 0.6239, "praise": 0.0004}


def chosen(text: str, shares: dict[str, float], **more: Any) -> Any:
    return step(text, distribution=shares, **more)


def listed(text: str, shares: dict[str, float]) -> list[str]:
    return [line.plain for line in distribution_lines(chosen(text, shares))]


def many(count: int) -> dict[str, float]:
    """Choices `1`, `2`, …, each half as probable as the one before; they stand the other way round."""
    shares = {str(n): 2.0**-n for n in range(count, 1, -1)}
    return {**shares, "1": 1 - sum(shares.values())}


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "<0.1%"),
        (1e-300, "<0.1%"),
        (0.00099, "<0.1%"),
        (0.001, "0.1%"),
        (0.6239, "62.4%"),
        (0.999, "99.9%"),
        (0.99996, ">99.9%"),
        (1.0, "100.0%"),
    ],
)
def test_percentages(share: float, text: str) -> None:
    assert percent(share) == text


def test_the_most_probable_choice_comes_first_and_the_answer_is_marked() -> None:
    assert listed("question", SHARES) == ["   62.4%  complaint", "→  37.6%  question", "   <0.1%  praise"]
    styles = [str(span.style) for line in distribution_lines(chosen("question", SHARES)) for span in line.spans]
    assert styles == ["green"]


def test_of_many_choices_the_first_ten_are_listed_and_the_others_counted() -> None:
    lines = listed("2", many(300))
    assert [line.split()[-1] for line in lines[:10]] == [str(n) for n in range(1, 11)]
    assert lines[1] == "→  25.0%  2"
    assert lines[10:] == ["          and 290 more, <0.1% together"]


def test_an_answer_that_is_not_among_the_first_is_listed_all_the_same() -> None:
    lines = listed("40", {str(n): 1 / 300 for n in range(1, 301)})
    assert lines[10:] == ["→   0.3%  40  rank 40", "          and 289 more, 96.3% together"]
    assert sum(line.startswith("→") for line in lines) == 1


@pytest.mark.parametrize(("count", "length"), [(10, 10), (11, 11), (12, 11)])
def test_a_single_one_more_is_listed_too(count: int, length: int) -> None:
    assert len(listed("1", many(count))) == length
    assert ("more" in listed("1", many(count))[-1]) == (count == 12)


def test_choices_stay_on_their_line_whatever_they_are() -> None:
    shares = {"x" * 500: 0.4, "雨" * 500: 0.3, "a\x1b[2J\n\u202eb": 0.2, " True": 0.1}
    lines = listed("雨" * 500, shares)
    assert all(cell_len(line) <= 80 for line in lines)
    assert lines[0] == f"   40.0%  {'x' * 59}…"
    assert lines[1].startswith("→  30.0%  雨雨雨")
    assert lines[2:] == ["   20.0%  a␛[2J␊<U+202E>b", "   10.0%  ' True'"]
    far = {**{f"{n:03}" * 100: 0.005 for n in range(100)}, "雨" * 500: 0.001}
    assert max(map(cell_len, listed("雨" * 500, far))) <= 80


@pytest.mark.parametrize(
    ("text", "shares", "said"),
    [
        ("complaint", SHARES, "62.4%, then question (37.6%)"),
        ("question", SHARES, "37.6%, behind complaint (62.4%)"),
        ("praise", SHARES, "<0.1%, behind complaint (62.4%)"),
        ("a", {"a": 0.5, "b" * 99: 0.5}, f"50.0%, then {'b' * 23}… (50.0%)"),
        ("a", {"a": 1.0}, ""),
        ("zork", SHARES, ""),
        ("a", None, ""),
    ],
)
def test_the_next_choice_in_a_few_words(text: str, shares: dict[str, float], said: str) -> None:
    assert next_choice(chosen(text, shares)) == said


def test_a_column_says_it_below_the_answer() -> None:
    cell = done(chosen("complaint", SHARES, name="kind"), step("Because.", "reason"))
    assert columns.body(cell).plain == "kind\ncomplaint\n62.4%, then question (37.6%)\n\nreason\nBecause."


def test_a_page_lists_choices_below_the_answer_and_counts_them_above_it() -> None:
    constraint = Constraint("choices", list(SHARES))
    record = done(chosen("question", SHARES, constraint=constraint), step("Because.")).record
    assert record is not None
    page = pages.record_page(record).plain
    assert "constraint  one of 3 choices\n" in page
    assert "== answer\nquestion\n== how probable each choice was\n   62.4%  complaint\n→  37.6%  question\n" in page
    assert page.count("how probable") == 1


def test_many_choices_without_probabilities_are_only_counted() -> None:
    record = done(step("7", constraint=Constraint("choices", [str(n) for n in range(1000)]))).record
    assert record is not None
    assert "constraint  one of 1,000 choices\n" in pages.record_page(record).plain
