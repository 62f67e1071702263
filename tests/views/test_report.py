from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptlab.core.compare import Column, Comparison, Result, compare
from promptlab.core.events import Alternative
from promptlab.core.judging import Bias
from promptlab.core.record import Drawn
from promptlab.core.text import sanitize
from promptlab.core.verdict import Verdict
from promptlab.views.report import show, write_report
from promptlab.views.report.data import data
from promptlab.views.report.doubts import doubts
from promptlab.views.report.facts import amounts, facts
from tests.views.comparisons import (
    ENGINE,
    HOSTILE,
    MADE_AT,
    fact_cases,
    hostile,
    judged,
    made_up,
    make_step,
    prompt_ref,
    record,
    spoken,
)


class Page(HTMLParser):
    """The elements of a page, and the text in those that hold other languages."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.inside: dict[str, str] = {}
        """By element: `style`, `script`, `script data`."""
        self.text = ""
        self._place = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        self._place = f"{tag} {dict(attrs).get('id') or ''}".strip() if tag in ("style", "script") else ""

    def handle_endtag(self, tag: str) -> None:
        self._place = ""

    def handle_data(self, data: str) -> None:
        if self._place:
            self.inside[self._place] = self.inside.get(self._place, "") + data
        else:
            self.text += data

    def values(self, tag: str, name: str) -> list[str | None]:
        return [value for each, attribute, value in self.attributes if (each, attribute) == (tag, name)]


def report(comparison: Comparison, title: str = "Title") -> str:
    return write_report(comparison, title=title, made_at=MADE_AT)


def one(text: str, **more: Any) -> Comparison:
    """A comparison of one answer."""
    column, (case,) = Column("ask", "alpha"), fact_cases(1)
    made = record(column, case, 0, text, **more)
    return compare([column], [case], [Result(0, 0, 0, made, Verdict("pass", 1.0))])


def said(comparison: Comparison) -> tuple[str, ...]:
    return doubts(comparison, facts(comparison))


# --- the file ---


@pytest.mark.parametrize("made", [made_up, judged, hostile])
def test_it_names_nothing_that_a_browser_would_fetch(made: Any) -> None:
    page = Page(report(made()))
    assert not {"link", "img", "iframe", "object", "embed", "base", "source", "video", "audio"} & set(page.tags)
    links = [value for _, name, value in page.attributes if name in ("src", "href", "action", "srcset", "xlink:href")]
    assert links
    assert all(link and link.startswith("#") for link in links)
    assert not re.search(r"@import|url\(|https?:", page.inside["style"] + page.inside["script"])


def test_the_policy_allows_this_style_and_this_script_and_nothing_else() -> None:
    page = Page(report(made_up(cases=3, samples=1)))
    (policy,) = [value or "" for value in page.values("meta", "content") if value and "default-src" in value]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    for name, place in (("style-src", "style"), ("script-src", "script")):
        digest = hashlib.sha256(page.inside[place].encode()).digest()
        assert rules[name] == f"'sha256-{base64.b64encode(digest).decode()}'"
    assert not [name for _, name, _ in page.attributes if name == "style" or name.startswith("on")]
    assert page.tags.count("script") == 2
    assert page.tags.index("meta") < page.tags.index("style")


def test_the_script_never_makes_html_of_text() -> None:
    script = Page(report(spoken([["a"]]))).inside["script"]
    for name in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "eval(", "Function("):
        assert name not in script


@pytest.mark.parametrize("text", HOSTILE[:-2], ids=lambda text: ascii(text[:20]))
def test_hostile_text_becomes_neither_an_element_nor_the_end_of_the_data(text: str) -> None:
    plain, attacked = Page(report(one("harmless"))), Page(report(one(text)))
    assert attacked.tags == plain.tags
    assert sanitize(text) in json.loads(attacked.inside["script data"])["texts"]


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec=None)) | st.text("<>!-/scriptSCRIPT&;\"'\u2028\u2029\ud800\\ \n", max_size=40))
def test_any_text_anywhere_is_shown_and_changes_nothing_else(text: str) -> None:
    column, (case,) = Column(text, text), fact_cases(1)
    case = replace(case, description=text, vars={text: text, "list": [text]})
    step = make_step(text, (), text)
    made = replace(record(column, case, 0, text, steps=(step,)), prompt=replace(prompt_ref(text), source=text))
    comparison = compare([column], [case], [Result(0, 0, 0, made, Verdict("pass", 1.0))])
    html = report(comparison, text)
    page = Page(html)
    html.encode("utf-8")
    assert page.tags == Page(report(one("harmless"))).tags
    assert "<" not in page.inside["script data"]
    texts = json.loads(page.inside["script data"])["texts"]
    assert sanitize(text) in texts
    assert sanitize(text) in page.text.replace("\r\n", "\n") or "\r" in sanitize(text)


def test_the_same_comparison_gives_the_same_file() -> None:
    assert report(made_up(cases=4, samples=2)) == report(made_up(cases=4, samples=2))


def test_a_comparison_without_answers_can_be_written() -> None:
    nothing = compare([Column("ask", "alpha"), Column("ask", "beta")], fact_cases(2), [])
    page = Page(report(nothing))
    assert "There are no answers." in page.text
    assert json.loads(page.inside["script data"])["results"] == []


def test_head_and_tables_can_be_read_without_a_script() -> None:
    comparison = made_up(likeness=True, bias=Bias(20, 0.125, 3))
    text = " ".join(Page(report(comparison, "Answers, compared")).text.split())
    for part in (
        "Answers, compared",
        "4 columns",
        "12 cases",
        "4 samples each",
        "192 answers",
        "mode exact",
        MADE_AT,
        "sign-flip",
        "▼" if any(pair.decision == "worse" for pair in comparison.pairs) else "better",
        "cannot tell",
        "corrected for the number of pairs (Holm); the interval of a difference (bootstrap) is not",
        "0.70",  # likeness
        "The judge: 20 pairs",
        prompt_ref("answer@2").hash[:12],
    ):
        assert part in text, part
    for summary in comparison.summaries:
        assert summary.pass_rate is not None
        assert summary.interval is not None
        assert f"{summary.pass_rate:.1%}" in text
        assert f"{summary.interval.low:.1%} to {summary.interval.high:.1%}" in text


def test_a_bar_is_as_long_as_its_rate_and_its_line_spans_the_interval() -> None:
    comparison = spoken([["a"], ["a"], [""], [""]])
    page = Page(report(comparison))
    assert comparison.summaries[0].interval is not None
    low, high = comparison.summaries[0].interval.low, comparison.summaries[0].interval.high
    assert page.values("rect", "width") == ["100%", "50.0%"]
    assert page.values("line", "x1")[0] == f"{100 * low}%"
    assert page.values("line", "x2")[0] == f"{100 * high}%"


def test_agreement_is_left_out_where_there_is_nothing_to_agree() -> None:
    assert 'id="agreement"' not in report(spoken([["a"], ["b"]]))
    assert 'id="agreement"' in report(spoken([["a", "b"]]))


# --- what is not certain ---


def test_nothing_is_doubted_without_a_reason() -> None:
    right = [["yes", ""] for _ in range(60)]
    assert said(spoken(right)) == ()


@pytest.mark.parametrize(
    ("comparison", "sentence"),
    [
        (spoken([["a", "a"]] * 20), "In the only pair, it cannot be told which column is better."),
        (spoken([["a", "a"]] * 20), "There, fewer than 6 cases differ in their pass rates"),
        (spoken([["a"], [""]]), "With 2 cases, a pass rate may be off by"),
        (made_up(), "In 1 of 4 pairs, it cannot be told"),
        (made_up(), "Columns that differ in both prompt and model are not compared with each other."),
        (made_up(), "3 answers are unscored, which is neither a pass nor a fail: similar: no entry of models.yaml"),
        (made_up(), "4 answers are errors and left out of all rates: WorkerDied (4)."),
        (made_up(), "4 answers were cut off at max_tokens."),
        (judged(), "The judge leans to the answer that it reads first, by 12.0 points, and changed its mind"),
        (one("a", engine=replace(ENGINE, mode="fast")), "in the mode fast: they may depend on what else ran"),
    ],
)
def test_what_is_not_certain_is_said(comparison: Comparison, sentence: str) -> None:
    assert [each for each in said(comparison) if sentence in each]


def changed(comparison: Comparison, **changes: Any) -> Comparison:
    """The last record changed."""
    *others, last = comparison.results
    last = replace(last, record=replace(last.record, **changes))
    return replace(comparison, results=(*others, last))


def test_answers_of_different_origin_are_told() -> None:
    comparison = spoken([["a", "b"], ["a", "b"]])
    last = comparison.results[-1].record
    sentences = [
        *said(changed(comparison, engine=replace(ENGINE, build="AVX512"))),
        *said(changed(comparison, prompt=replace(last.prompt, hash="f" * 64))),
        *said(changed(comparison, model=replace(last.model, sha256=None))),
    ]
    assert [each for each in sentences if each.startswith("Answers of model-2 come from several engines or settings")]
    column = [
        replace(each, record=replace(each.record, engine=replace(ENGINE, threads=each.column + 1)))
        for each in comparison.results
    ]
    assert not [each for each in said(replace(comparison, results=tuple(column))) if "engines or settings" in each]
    assert [each for each in sentences if each.startswith("The prompt ask changed during the run")]
    assert [each for each in sentences if each == "The weights of model-2 are not pinned by a hash."]


def test_answers_that_are_not_there_are_counted() -> None:
    whole = spoken([["a", "b"], ["a", "b"]])
    assert "1 answer is missing: the run was not finished, or stopped." in said(
        replace(whole, results=whole.results[:-1])
    )


def test_without_checks_there_is_nothing_but_agreement() -> None:
    column, cases = Column("ask", "alpha"), fact_cases(2)
    results = [Result(0, k, 0, record(column, case, 0, "a"), Verdict("unscored", None)) for k, case in enumerate(cases)]
    sentences = said(compare([column], cases, results))
    assert sentences[0].startswith("No answer was checked")
    assert not [each for each in sentences if "unscored" in each]


def test_of_many_reasons_three_are_named() -> None:
    comparison = spoken([["a"]] * 5)
    results = [
        replace(each, verdict=Verdict("unscored", None), record=replace(each.record, case=str(k)))
        for k, each in enumerate(comparison.results)
    ]
    errors = [replace(each, record=replace(each.record, error=failure(f"Kind{k}"))) for k, each in enumerate(results)]
    (sentence,) = [each for each in said(replace(comparison, results=tuple(errors))) if "errors" in each]
    assert sentence.endswith("Kind0 (1); Kind1 (1); Kind2 (1); and 2 other reasons.")


def failure(kind: str) -> Any:
    from promptlab.core.events import Failure

    return Failure(kind, "no")


# --- what was run ---


def test_amounts_count_in_words() -> None:
    comparison = made_up(prompts=["ask"], models=["alpha"], cases=1, samples=1, blemishes=False)
    words = ["column", "prompt", "model", "case", "sample each", "answer"]
    assert amounts(comparison, facts(comparison)) == tuple(("1", word) for word in words)


def test_engines_are_listed_with_what_they_answered() -> None:
    found = facts(changed(spoken([["a", "b", "c"]]), engine=replace(ENGINE, threads=1)))
    assert [(machine.engine.threads, machine.answers) for machine in found.machines] == [(8, 2), (1, 1)]
    assert found.machines[0].layout == "rows 3"
    assert found.modes == ("exact",)


# --- the data ---


def test_a_text_is_written_once_however_often_it_was_said() -> None:
    once, often = data(spoken([["Paris"]])), data(spoken([["Paris"] * 3] * 4))
    assert often["texts"].count("Paris") == once["texts"].count("Paris") == 1
    assert {each["text"] for each in often["results"]} == {often["texts"].index("Paris")}


def test_a_conversation_is_written_once_for_all_samples() -> None:
    made = data(made_up(cases=2, samples=4))
    assert len(made["conversations"]) == 2
    roles = [[made["texts"][role] for role, _ in each] for each in made["conversations"]]
    assert roles == [["system", "user"]] * 2


def test_tokens_are_numbers_in_thousandths() -> None:
    drawn = (
        Drawn(5, -0.1234, (Alternative(5, -0.1234),)),
        Drawn(7, -2.0, (Alternative(3, -0.2), Alternative(7, -2.0))),
        Drawn(9, -math.inf),
    )
    step = replace(make_step("abc", ()), tokens=drawn)
    (result,) = data(one("abc", steps=(step,)))["results"]
    assert result["steps"][0]["tokens"] == "5,-123 7,-2000,3,-200 9,x"


def test_numbers_that_are_none_do_not_break_the_data() -> None:
    step = replace(make_step("a", ()), distribution={"a": math.nan, "b": math.inf})
    page = Page(report(one("a", steps=(step,), output={"x": math.nan})))
    (result,) = json.loads(page.inside["script data"])["results"]
    assert [share for _, share, _ in result["steps"][0]["choices"]] == [None, None]


def test_of_many_choices_the_most_probable_are_listed_and_the_one_that_was_taken() -> None:
    shares = {f"choice {i}": 0.5**i for i in range(1, 41)}
    made = data(one("choice 40", steps=(make_step("choice 40", (), distribution=shares),)))
    choices = made["results"][0]["steps"][0]["choices"]
    names = [made["texts"][place] for place, _, _ in choices]
    assert names == [*(f"choice {i}" for i in range(1, 13)), "choice 40", "27 more"]
    assert [chosen for _, _, chosen in choices].index(True) == 12
    assert math.isclose(sum(share for _, share, _ in choices), 1, abs_tol=1e-3)


def test_a_deeply_nested_value_is_named_rather_than_written() -> None:
    nested: Any = []
    for _ in range(100_000):
        nested = [nested]
    assert show.as_text(nested) == "(list that cannot be written as JSON)"


def test_of_a_very_long_text_the_beginning_is_kept() -> None:
    text = show.as_text("x" * (show.MAX_TEXT + 5))
    assert text == "x" * show.MAX_TEXT + "\n… and 5 characters more, which the history has"


def test_a_failure_keeps_what_had_been_said_and_why_it_ended() -> None:
    broken = replace(failure("WorkerDied"), signal="SIGKILL", stderr=("out of memory",))
    made = data(one("Half an ans", error=broken))
    (result,) = made["results"]
    assert made["states"][result["state"]] == "error"
    assert made["texts"][result["text"]] == "Half an ans"
    assert made["texts"][result["error"]] == "WorkerDied: no (SIGKILL)\nout of memory"


# --- numbers ---


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0%"), (1.0, "100%"), (0.625, "62.5%"), (1e-9, "<0.1%"), (0.99999, ">99.9%"), (0.0004, "<0.1%")],
)
def test_a_rate_is_never_rounded_to_none_or_all(share: float, text: str) -> None:
    assert show.percent(share) == text


@pytest.mark.parametrize(
    ("difference", "text"), [(0.125, "+12.5"), (-0.3, "−30.0"), (0.0, "0.0"), (-0.0001, "0.0"), (1.0, "+100.0")]
)
def test_differences_have_a_sign(difference: float, text: str) -> None:
    assert show.points(difference) == text


@pytest.mark.parametrize(("p", "text"), [(1.0, "1"), (0.9999, "1"), (0.0312, "0.031"), (0.0001, "<0.001")])
def test_small_p_values_are_not_zero(p: float, text: str) -> None:
    assert show.p_value(p) == text


@given(st.text(min_size=31, max_size=100))
def test_a_long_name_keeps_its_beginning_and_its_end(name: str) -> None:
    short = show.middle(name)
    assert len(short) == 30
    assert name.startswith(short[:10])
    assert name.endswith(short[11:])


@pytest.mark.parametrize(
    ("share", "colour"), [(0.0, 0), (0.04, 0), (0.5, 5), (1.0, 10), (7.0, 10), (-1.0, 0), (math.nan, 0)]
)
def test_a_colour_follows_its_share(share: float, colour: int) -> None:
    assert show.heat(share) == colour


@pytest.mark.parametrize(("value", "text"), [(0.001, "0.00 s"), (9.994, "9.99 s"), (1234.5, "1,234.5 s")])
def test_times(value: float, text: str) -> None:
    assert show.seconds(value) == text
