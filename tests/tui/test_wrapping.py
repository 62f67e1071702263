from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from promptlab.tui.wrapping import _ascii_breaks, _cell_breaks, breaks, wrap_on

TEXTS = st.text(st.sampled_from("ab c  def 漢字é👩-"), max_size=60)
WIDTHS = st.integers(2, 12)


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("", 5, [""]),
        ("one two three", 7, ["one two ", "three"]),
        ("one   two", 4, ["one   ", "two"]),
        ("abcdefgh ij", 5, ["abcde", "fgh ", "ij"]),
        ("a abcdefgh", 5, ["a ", "abcde", "fgh"]),
        ("漢字漢字", 5, ["漢字", "漢字"]),
        ("  indented", 10, ["  indented"]),
        ("x" * 9, 3, ["xxx"] * 3),
    ],
)
def test_where_lines_break(text: str, width: int, lines: list[str]) -> None:
    places = breaks(text, width)
    assert [text[a:b] for a, b in zip((0, *places), (*places, len(text)), strict=True)] == lines


@given(TEXTS, WIDTHS)
def test_nothing_is_lost_and_everything_fits(text: str, width: int) -> None:
    places = breaks(text, width)
    assert places == sorted(set(places))
    for start, end in zip((0, *places), (*places, len(text)), strict=True):
        assert start < end or not text
        assert cell_len(text[start:end].rstrip()) <= width


@given(st.integers(0, 30), st.text(st.sampled_from("ab c  def -"), max_size=80), WIDTHS)
def test_plain_text_breaks_as_any_other(indent: int, text: str, width: int) -> None:
    text = " " * indent + text
    assert _ascii_breaks(text, width) == _cell_breaks(text, width)


@given(TEXTS, TEXTS, WIDTHS)
def test_a_text_that_grows_breaks_as_if_it_had_always_been_whole(text: str, more: str, width: int) -> None:
    assert wrap_on(breaks(text, width), text + more, width) == breaks(text + more, width)
