from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from promptlab.core.text import sanitize, sanitize_line

CASES = [
    ("plain é 😀 \u202f text", "plain é 😀 \u202f text"),
    ("a\tb\nc", "a\tb\nc"),
    ("\x1b]52;c;aGk=\x07", "␛]52;c;aGk=␇"),
    ("\x1b]0;title\x1b\\", "␛]0;title␛\\"),
    ("\x1b[2J\x1b[H", "␛[2J␛[H"),
    ("\x9b2J\x9d0;x\x9c", "<U+009B>2J<U+009D>0;x<U+009C>"),
    ("\x7f", "␡"),
    ("\x00\x08\x0b\x0c\x1f", "␀␈␋␌␟"),
    ("a\r\nb", "a\nb"),
    ("a\rb", "a␍b"),
    ("a\r\r\nb", "a␍\nb"),
    ("a\n\rb", "a\n␍b"),
    ("\x85", "<U+0085>"),
    ("abc\u202edef\u202c", "abc<U+202E>def<U+202C>"),
    ("\u2066x\u2069\u200e\u200f\u061c", "<U+2066>x<U+2069><U+200E><U+200F><U+061C>"),
    ("a\u2028b\u2029c", "a<U+2028>b<U+2029>c"),
    ("\ufeffx", "<U+FEFF>x"),
    ("\ud800x\udfff", "<U+D800>x<U+DFFF>"),
    ("a\U000e0001\U000e0041b", "a<U+E0001><U+E0041>b"),
    ("a\u200db \u200d", "a<U+200D>b <U+200D>"),
    ("\u0dc1\u0dca\u200d\u0dbb\u0dd3", "\u0dc1\u0dca\u0dbb\u0dd3"),  # as in Sri Lanka
    ("👩🏽\u200d🤝\u200d👨🏿 👁\ufe0f\u200d🗨\ufe0f", "👩🏽\u200d🤝\u200d👨🏿 👁\ufe0f\u200d🗨\ufe0f"),
    ("👩\u200d👩\u200d👧\u200d👦", "👩\u200d👩\u200d👧\u200d👦"),
    ("😀\u200d" * 5 + "😀", "😀\u200d😀\u200d😀\u200d😀<U+200D>😀\u200d😀"),
    ("👍🏽🏽 a🏻", "👍🏽<U+1F3FD> a<U+1F3FB>"),
    ("[/foo] [@click=app.quit]x[/]", "[/foo] [@click=app.quit]x[/]"),
    ("", ""),
]


@pytest.mark.parametrize(("text", "shown"), CASES)
def test_what_a_terminal_would_obey_becomes_visible(text: str, shown: str) -> None:
    assert sanitize(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"), [("a\nb", "a␊b"), ("a\r\nb", "a␊b"), ("a\tb", "a b"), ("\x1b[2J\n", "␛[2J␊"), ("x", "x")]
)
def test_one_line_stays_one_line(text: str, shown: str) -> None:
    assert sanitize_line(text) == shown


def unsafe(character: str) -> bool:
    bidi = unicodedata.bidirectional(character) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    tag = "\U000e0000" <= character <= "\U000e007f"
    return bidi or tag or unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}


WILD = st.text(
    alphabet=st.one_of(st.characters(), st.sampled_from("\r\n\t\x1b\x9b\x7f\u202e\ud800\u200d\u0dca😀🏽\U000e0041"))
)


@given(WILD)
def test_nothing_unsafe_is_left(text: str) -> None:
    shown = sanitize(text)
    assert not [c for c in shown if c not in "\t\n" and unsafe(c)]
    assert not [c for c in sanitize_line(text) if unsafe(c)]
    shown.encode()


MOST = 7
"""Cells of the widest emoji of four, where a terminal joins nothing, for a cell that is counted."""


@given(st.text(alphabet=st.sampled_from("a é\u4e2d\u200d\u0dca\ufe0f←😀👍🏽🏿")))
@example("a\u200d" * 300)
@example("\ufe0f\u200d😀" * 90)
@example("🏽" * 90)
def test_no_text_is_much_wider_than_it_is_counted(text: str) -> None:
    shown = sanitize(text)
    drawn = sum(2 if "🏻" <= c <= "🏿" else cell_len(c) for c in shown)  # as terminals do that join nothing
    assert drawn <= MOST * cell_len(shown)
    if "😀" not in shown and "👍" not in shown and "←" not in shown:
        assert drawn == cell_len(shown)


def test_nothing_unsafe_is_left_of_any_character() -> None:
    everything = "".join(map(chr, range(0x110000)))
    assert not [hex(ord(c)) for c in sanitize(everything) if c not in "\t\n" and unsafe(c)]


@given(WILD)
def test_what_is_safe_stays(text: str) -> None:
    shown = sanitize(text)
    assert sanitize(shown) == shown
    if not any(
        unsafe(c) or c in "\u200e\u200f\u061c\ufeff\u200d" or "🏻" <= c <= "🏿" for c in text if c not in "\t\n"
    ):
        assert shown == text
