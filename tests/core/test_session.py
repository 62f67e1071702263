from __future__ import annotations

from dataclasses import replace

from promptlab.core.session import MAX_DRAFT, MAX_DRAFTS, Batch, Session, Stepping, Unsaved, join, left_out, size, slim


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


WHOLE = Session(
    "b",
    {"a": {"x": "1", "on": True}},
    {"m": False},
    3,
    {"a": Unsaved("new text", "stamp")},
    {"a": ("a", "a@2")},
    {"temperature": "0.5"},
    "fast",
    {"a": Stepping("/seeds/facts.yaml", "rain", {"x": "before"})},
    Batch(("a",), ("facts",), ("m",), "2", likeness=True),
    {"01A": "And then?"},
)


def test_all_kinds_of_things_are_kept_and_counted() -> None:
    assert slim(WHOLE) == WHOLE
    assert left_out(WHOLE) == ()
    assert size(WHOLE) == len("1") + 1 + len("new text") + len("before") + len("And then?")


def test_what_is_too_long_is_named_and_nothing_else_is_lost() -> None:
    long = "x" * (MAX_DRAFT + 1)
    session = Session(
        "b",
        {"a": {"x": long, "y": "1"}},
        sources={"a": Unsaved(long, ""), "b": Unsaved("short", "")},
        options={"stop": long, "seed": "1"},
        cases={"a": Stepping("f", "rain", {"x": long}), "b": Stepping(long, "rain")},
        batch=Batch(variables=long),
        turns={"01A": long},
    )
    assert left_out(session) == (
        "the source of a",
        "the next turn",
        "x of a",
        "the option stop",
        "the case of b",
        "the batch's set-up",
    )
    cases = {"a": Stepping("f", "rain")}
    assert slim(session) == Session(
        "b", {"a": {"y": "1"}}, sources={"b": Unsaved("short", "")}, options={"seed": "1"}, cases=cases
    )


def test_sources_come_first_and_the_chosen_prompt_s_before_them() -> None:
    names = [f"p{n}" for n in range(MAX_DRAFTS // MAX_DRAFT + 1)]
    sources = {name: Unsaved("x" * MAX_DRAFT, "") for name in names}
    session = Session(names[-1], {names[-1]: {"x": "y" * MAX_DRAFT}}, sources=sources)
    kept = slim(session)
    assert list(kept.sources) == [names[-1], *names[: MAX_DRAFTS // MAX_DRAFT - 2]]
    assert left_out(session) == ("the source of p2", "the source of p3", f"x of {names[-1]}")


def test_of_two_the_newer_one_holds_and_sources_that_clash_are_left() -> None:
    newer = Session("b", {"b": {"x": "new"}}, {"m": True}, 2, {"a": Unsaved("one", "s"), "b": Unsaved("same", "s")})
    older = Session(
        "a",
        {"a": {"y": "old"}, "b": {"x": "old"}},
        {"m": False, "n": True},
        7,
        {"a": Unsaved("two", "s"), "b": Unsaved("same", "s"), "c": Unsaved("more", "s")},
        turns={"01A": "And then?"},
    )
    joined, rest = join(newer, older)
    assert joined == Session(
        "b",
        {"a": {"y": "old"}, "b": {"x": "new"}},
        {"m": True, "n": True},
        2,
        {"a": Unsaved("one", "s"), "b": Unsaved("same", "s"), "c": Unsaved("more", "s")},
        turns={"01A": "And then?"},
    )
    assert rest == Session(sources={"a": Unsaved("two", "s")})
    assert join(Session(), WHOLE) == (replace(WHOLE, samples=1, options={}, mode=None), Session())
    assert join(WHOLE, Session()) == (WHOLE, Session())
