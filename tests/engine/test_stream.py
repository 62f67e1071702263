from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.engine.stream import TextStream


def said(pieces: list[bytes], stops: tuple[str, ...] = ()) -> tuple[list[str], bool]:
    stream = TextStream(stops)
    texts = [stream.feed(piece) for piece in pieces]
    return [*texts, stream.close()], stream.stopped


def test_a_character_spread_over_tokens_comes_out_whole() -> None:
    rain = "🌧".encode()
    assert said([b"a", rain[:1], rain[1:3], rain[3:] + b"b"]) == (["a", "", "", "🌧b", ""], False)


def test_half_a_character_at_the_end_becomes_a_replacement() -> None:
    assert said([b"a", "é".encode()[:1]]) == (["a", "", "\ufffd"], False)


@pytest.mark.parametrize(
    ("pieces", "stops", "texts"),
    [
        ([b"one END two"], ("END",), ["one ", ""]),
        ([b"one E", b"N", b"D two"], ("END",), ["one ", "", "", ""]),
        ([b"one EN", b"TER"], ("END",), ["one ", "ENTER", ""]),
        ([b"one EN"], ("END",), ["one ", "EN"]),
        ([b"a\n", b"\nb"], ("\n\n",), ["a", "", ""]),
        ([b"xyz"], ("yz", "y"), ["x", ""]),
        ([b"aab"], ("aab", "ab"), ["", ""]),
        ([b"abab", b"c"], ("ababc",), ["", "", ""]),
        ([b"abab", b"abc"], ("ababc",), ["", "ab", ""]),
    ],
)
def test_stop_texts_never_show(pieces: list[bytes], stops: tuple[str, ...], texts: list[str]) -> None:
    assert said(pieces, stops)[0] == texts


def test_nothing_comes_after_a_stop_text() -> None:
    stream = TextStream(("END",))
    assert stream.feed(b"a END") == "a "
    assert stream.stopped
    assert stream.feed(b"more") == ""
    assert stream.close() == ""


@given(st.lists(st.binary(max_size=6), max_size=12))
def test_without_stop_texts_everything_comes_out(pieces: list[bytes]) -> None:
    texts, stopped = said(pieces)
    assert "".join(texts) == b"".join(pieces).decode("utf-8", "replace")
    assert not stopped


@given(st.lists(st.text("ab", max_size=4), max_size=8), st.lists(st.text("ab", min_size=1, max_size=3), max_size=3))
def test_what_comes_out_ends_before_the_first_stop_text(pieces: list[str], stops: list[str]) -> None:
    texts, stopped = said([p.encode() for p in pieces], tuple(stops))
    whole, out = "".join(pieces), "".join(texts)
    assert whole.startswith(out)
    assert not any(stop in out for stop in stops)
    assert stopped == any(stop in whole for stop in stops)
    if not stopped:
        assert out == whole
