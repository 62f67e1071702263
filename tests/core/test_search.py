from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.core.search import (
    MAX_QUERY,
    MAX_TERMS,
    Piece,
    Search,
    Term,
    after_moment,
    both,
    excerpt,
    first_moment,
    pattern,
    read_query,
    read_search,
)
from promptlab.errors import UsageError


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("rain", [Term("rain", beginning=True)]),
        ("  rain \n sea ", [Term("rain"), Term("sea", beginning=True)]),
        ("rain -snow", [Term("rain", beginning=True), Term("snow", without=True)]),
        ("-snow", [Term("snow", without=True)]),
        ('"old man" sea', [Term("old man"), Term("sea", beginning=True)]),
        ('sea "old man"', [Term("sea"), Term("old man")]),
        ('-"old man" the', [Term("old man", without=True), Term("the", beginning=True)]),
        ('"old man', [Term("old man")]),
        ('5"tall', [Term('5"tall', beginning=True)]),
        ("C++ != (NEAR output:x*", [Term("C++"), Term("(NEAR"), Term("output:x*", beginning=True)]),
        ("rain ... - -- \"\" '!'", [Term("rain", beginning=True)]),
        ("a\0b", [Term("a"), Term("b", beginning=True)]),
        ("日本 ü", [Term("日本"), Term("ü", beginning=True)]),
        ("", []),
        (" \t", []),
    ],
)
def test_a_query_is_words_phrases_and_words_that_must_not_occur(text: str, terms: list[Term]) -> None:
    assert list(read_query(text)) == terms


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("+++", "there is nothing to search for in '\\+\\+\\+': only letters and digits are searched"),
        ("💧", "only letters and digits are searched"),
        ('""', "only letters and digits are searched"),
        ("x" * (MAX_QUERY + 1), "has 1,001 characters; at most 1,000 are allowed"),
        ("x" * 1_000_000, "has 1,000,000 characters"),
        ("a " * (MAX_TERMS + 1), "51 words are too many to search for at once; at most 50 are allowed"),
    ],
)
def test_a_query_that_finds_nothing_for_sure_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_query(text)


def marked(texts: list[str], query: str) -> str:
    pieces = excerpt(texts, [pattern(term) for term in read_query(query) if not term.without])
    return "".join(f"[{piece.text}]" if piece.matched else piece.text for piece in pieces)


@pytest.mark.parametrize(
    ("texts", "query", "shown"),
    [
        (["Rain falls."], "rain", "[Rain] falls."),
        (["Rainy days"], "rain", "[Rain]y days"),
        (["Rainy days"], "rain days", "Rainy [days]"),
        (["terrain"], "rain", "terrain"),
        (["Café  \n au\tlait"], "cafe lait", "[Café] au [lait]"),
        (["A cafe"], "CAFÉ", "A [cafe]"),
        (["İstanbul İs"], "is", "[İs]tanbul [İs]"),
        (["the old, old man"], '"old man"', "the old, [old man]"),
        (["snake_case"], "case", "snake_[case]"),
        (["a", "b rain", "c rain sea"], "rain sea", "c [rain] [sea]"),
        (["output: rain", "prompt: rain"], "rain", "output: [rain]"),
        ([" ", "", "prompt"], "rain", "prompt"),
        (["", ""], "rain", ""),
        (["rain rain"], "rain rai", "[rain] [rain]"),
    ],
)
def test_an_excerpt_marks_what_was_searched_for_in_the_text_that_holds_most_of_it(
    texts: list[str], query: str, shown: str
) -> None:
    assert marked(texts, query) == shown


def test_an_excerpt_of_a_long_text_is_short_and_begins_with_a_word_before_the_match() -> None:
    text = "before " * 1000 + "rain " + "after " * 1000
    assert marked([text], "rain").startswith("…before before before [rain] after after ")
    assert marked([text], "rain").endswith("…")
    assert 100 < len(marked([text], "rain")) < 200
    assert marked(["x" * 1000 + " rain"], "rain") == "…[rain]"
    assert marked(["rain" + "x" * 1000], "rain") == "[rain]" + "x" * 156 + "…"


def test_without_a_word_an_excerpt_is_the_beginning() -> None:
    assert excerpt(["Rain\nfalls"]) == (Piece("Rain falls"),)
    assert excerpt(["x" * 200]) == (Piece("x" * 160), Piece("…"))


@given(st.lists(st.text(), min_size=1, max_size=3), st.text(max_size=20))
def test_an_excerpt_is_a_part_of_a_text(texts: list[str], query: str) -> None:
    try:
        terms = read_query(query)
    except UsageError:
        return
    pieces = excerpt(texts, [pattern(term) for term in terms if not term.without])
    shown = "".join(piece.text for piece in pieces if piece.text != "…")
    assert any(re.sub(r"\s+", "", shown) in re.sub(r"\s+", "", text) for text in [*texts, ""])


# --- a line with filters


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("", Search()),
        ('rain -snow "old man"', Search('rain -snow "old man"')),
        (
            "model:smollm2-135m prompt:explain verdict:fail failed: since:2026-11-01 case:x version:explain@2",
            Search(
                models=("smollm2-135m",),
                prompts=("explain",),
                versions=("explain@2",),
                cases=("x",),
                verdict="fail",
                failed=True,
                since="2026-11-01",
            ),
        ),
        ("rain model:a,b,,c sea MODEL:d", Search("rain sea", models=("a", "b", "c", "d"))),
        ('case:"a, b" rain', Search("rain", cases=("a, b",))),
        ('case:"a, b', Search(cases=("a, b",))),
        ("failed:no pinned:YES until:2026-01-31", Search(failed=False, pinned=True, until="2026-01-31~")),
        ('"model:a" http://x 10:30 note:b xmodel:c', Search('"model:a" http://x 10:30 note:b xmodel:c')),
        ("verdict:FAIL verdict:pass", Search(verdict="pass")),
    ],
)
def test_a_line_is_words_and_filters(line: str, wanted: Search) -> None:
    assert read_search(line) == wanted


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("model:", "model: wants a value right behind the colon"),
        ("model: a", "model: wants a value right behind the colon"),
        ("model:,", "model: wants a value"),
        ("-model:a", "-model:a: a filter cannot be turned around by a -"),
        ("prompt:explain@2", "prompt: takes a name; a version is version:explain@2"),
        ("verdict:maybe", "verdict: 'maybe' is no verdict; there are pass, fail, unscored"),
        ("failed:often", "failed: stands alone, or with yes or no; not with 'often'"),
        ("since:soon", "since: 'soon' is no date. A date is written 2026-01-31"),
        ("until:2026-13-01", "until: '2026-13-01' is no date"),
        ("case:" + "x" * MAX_QUERY, "the text to search for has 1,005 characters"),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused_in_one_line(line: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_search(line)
    assert str(caught.value).startswith(message)


@given(st.text())
def test_any_line_is_read_or_refused(line: str) -> None:
    with suppress(UsageError):
        assert len(read_search(line).text) <= len(line)


def test_two_searches_together() -> None:
    first = Search("rain", models=("a",), verdict="pass", failed=True)
    second = Search("sea", models=("b",), verdict="fail", limit=3)
    assert both(first, second) == Search("rain sea", models=("a", "b"), verdict="fail", failed=True, limit=3)
    assert both(Search(), first) == both(first, Search()) == first


@pytest.mark.parametrize(
    ("text", "first", "after"),
    [
        ("2026-01-31", "2026-01-31", "2026-01-31~"),
        ("20260131", "2026-01-31", "2026-01-31~"),
        ("9999-12-31", "9999-12-31", "9999-12-31~"),
        ("2026-01-31T18:30", "2026-01-31T18:30:00", "2026-01-31T18:30:00~"),
        ("2026-01-31 18:30:05.9", "2026-01-31T18:30:05", "2026-01-31T18:30:05~"),
        ("2026-01-31T18:30Z", "2026-01-31T18:30:00", "2026-01-31T18:30:00~"),
        ("2026-01-31T23:30-02:00", "2026-02-01T01:30:00", "2026-02-01T01:30:00~"),
    ],
)
def test_times(text: str, first: str, after: str) -> None:
    assert (first_moment(text, "since"), after_moment(text, "until")) == (first, after)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01", "2026", "0001-01-01T00:00+05:00", "\ud800", "9" * 5000]
)
def test_what_is_no_date_is_refused(text: str) -> None:
    for read, option in ((first_moment, "--since"), (after_moment, "until")):
        with pytest.raises(UsageError, match=rf"^{option}: .* is no date\. A date is written 2026-01-31"):
            read(text, option)
