"""Differences word by word."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from promptlab.core.words import MAX_CHARACTERS, MAX_WORDS, Stretch, compare_words


def test_words_that_differ() -> None:
    assert compare_words("The cat sat  down.", "The dog sat down!") == (
        Stretch("same", "The ", "The "),
        Stretch("changed", "cat ", "dog "),
        Stretch("same", "sat  down", "sat down"),
        Stretch("changed", ".", "!"),
    )


def test_characters_are_words_where_no_blanks_are_written() -> None:
    found = compare_words("日本語です", "日本人です")
    assert found is not None
    assert [each.old for each in found if each.kind == "changed"] == ["語"]


def test_too_different_or_too_long() -> None:
    assert compare_words("one two three four", "five six seven four") is None
    assert compare_words("a " * (MAX_WORDS + 1), "a") is None
    assert compare_words("a" * (MAX_CHARACTERS + 1), "a") is None


@given(st.text("ab .\n日"), st.text("ab .\n日"))
def test_nothing_is_lost(old: str, new: str) -> None:
    found = compare_words(old, new)
    if found is not None:
        assert "".join(each.old for each in found) == old
        assert "".join(each.new for each in found) == new
