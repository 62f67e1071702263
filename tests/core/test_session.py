from __future__ import annotations

from promptlab.core.session import MAX_DRAFT, MAX_DRAFTS, Session, slim


def test_what_is_small_is_kept_whole() -> None:
    session = Session("b", {"a": {"x": "1", "on": True}, "b": {"n": 2}}, {"m": False}, 3)
    assert slim(session) == session


def test_long_texts_and_more_than_fits_are_left_out_the_chosen_prompt_last() -> None:
    long, most = "x" * (MAX_DRAFT + 1), "y" * MAX_DRAFT
    drafts = {name: {"long": long, "most": most} for name in "abcdef"}
    kept = slim(Session("f", drafts)).drafts
    assert "f" in kept
    assert kept["f"] == {"most": most}
    assert sum(len(str(text)) for some in kept.values() for text in some.values()) <= MAX_DRAFTS
    assert len(kept) == MAX_DRAFTS // MAX_DRAFT - 1
