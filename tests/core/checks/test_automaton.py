"""Patterns are found where `re` finds them, and the search always ends."""

from __future__ import annotations

import re
import warnings
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from promptlab.core.checks.automaton import build, search
from promptlab.core.checks.kinds import Budget, Unscored

ATOMS = ["a", "b", ".", "[ab]", "[^a]", r"\d", r"\w", r"\W", r"\s", "A", "[a-c_]", "ß", r"\n", "(?:)", r"[^\Wb]", "ſ"]
LOOKS = ["^", "$", r"\A", r"\Z", r"\b", r"\B"]


def repeated(part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(
        "{}{}".format, part.map("(?:{})".format), st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{2,}", "*?", "??"])
    )


PATTERNS = st.recursive(
    st.sampled_from(ATOMS + LOOKS),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map("".join),
        st.lists(inner, min_size=1, max_size=3).map("|".join).map("({})".format),
        repeated(inner),
        inner.map("(?i:{})".format),
    ),
    max_leaves=8,
)
FLAGS = st.sampled_from(["", "(?i)", "(?m)", "(?s)", "(?ims)"])
TEXTS = st.text("abAB1_ \n-ßſsk", min_size=1, max_size=12)  # of an empty text, Python 3.13 and before deny even \B


@given(PATTERNS, FLAGS, TEXTS)
@example("a*$", "", "b\n")
@example("^b", "(?m)", "a\nb")
@example(r"(?:a?){3}a{3}$", "", "aaa")
@example(r"\b(?:a|b)+\b", "(?i)", "-AB-")
def test_a_pattern_is_found_where_re_finds_it(pattern: str, flags: str, text: str) -> None:
    assert search(flags + pattern, text, Budget()) == (re.search(flags + pattern, text) is not None)


def test_an_empty_text_is_searched() -> None:
    assert search("^$", "", Budget())
    assert search("a*", "", Budget())
    assert not search("a", "", Budget())
    assert not search(r"\b", "", Budget())


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("(a+)+$", "a" * 100_000 + "b", False),
        ("(a|a)*b", "a" * 100_000, False),
        (r"\s+$", " " * 1_000_000 + "x", False),
        (r"(x+x+)+y", "x" * 100_000, False),
        (r"(.*)(.*)(.*)(.*)(.*)[^a]$", "a" * 100_000, False),
        ("a?" * 500 + "a" * 500, "a" * 500, True),
    ],
)
def test_what_takes_re_for_ever_takes_no_time(pattern: str, text: str, found: bool) -> None:
    assert search(pattern, text, Budget()) is found


@pytest.mark.parametrize(
    ("pattern", "text"),
    [("(a|b)*a(a|b){20}c", "".join(Random(1).choices("ab", k=20_000))), ("a{1999}", "a" * 1_000_000)],
)
def test_a_search_that_takes_too_much_work_says_so(pattern: str, text: str) -> None:
    with pytest.raises(Unscored, match="too much work"):
        search(pattern, text, Budget(100_000))


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(?=a)", "cannot look ahead or behind"),
        ("(?<!a)b", "cannot look ahead or behind"),
        (r"(a)\1", "cannot refer back"),
        ("a*+", "possessive"),
        ("(?>a)", "atomic"),
        ("(", "is not a pattern"),
        ("(?a)x", "no flags but"),
        ("(?a:x)", "no flags but"),
        ("a{2001}", "too large"),
        ("(?:a{50}){50}", "too large"),
        ("(?:(?:)){4294967294}", "too large"),
        ("(?:(?:)){0,4294967294}", "too large"),
        ("(" * 61 + ")" * 61, "60 groups"),
        ("(" * 5000, "60 groups"),
        ("a{99999999999999999999}", "is not a pattern"),
    ],
)
def test_what_cannot_be_followed_is_refused(pattern: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        build(pattern)


@given(st.text(max_size=30), TEXTS)
def test_any_text_is_a_pattern_or_refused_and_means_what_re_says(pattern: str, text: str) -> None:
    try:
        found = search(pattern, text, Budget())
    except ValueError:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what a later Python may read in another way
        assert found == (re.search(pattern, text) is not None)
