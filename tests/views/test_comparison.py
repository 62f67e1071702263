"""A comparison as tables: what is shown, what is left out, and that it fits."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from promptlab.core.agreement import Cluster, Split
from promptlab.core.baseline import compare_baseline, make_baseline
from promptlab.core.case import Assertion, Case
from promptlab.core.compare import Column, Comparison, Result, compare
from promptlab.core.judging import Bias
from promptlab.core.stats.intervals import Interval
from promptlab.core.text import sanitize
from promptlab.core.verdict import Check, Verdict
from promptlab.views.comparison import (
    ASCII,
    LEAST_DIFFERING,
    MAX_CASES,
    MAX_DECIDED,
    MAX_MARKS,
    MAX_PAIRS,
    UNICODE,
    agreement_grid,
    bias_line,
    column_names,
    columns_grid,
    headline,
    letters,
    likeness_grid,
    marks_for,
    matrix_grid,
    pairs_grid,
    pairs_notes,
    percent,
    splits_grid,
    unscored_notes,
    with_interval,
)
from promptlab.views.sections import (
    Layout,
    Section,
    as_group,
    as_lines,
    blocks,
    comparison_page,
    regressions_page,
    width_of,
)
from promptlab.views.table import grid
from tests.views.comparisons import Skill, hostile, judged, made_up, record, spoken

MANY = ("mistral-7b-instruct-v0.3", "smollm2-135m", "gemma3-270m", "qwen2.5-coder-1.5b", "llama-3.2-3b", "phi-4-mini")
STATES = {"P": Verdict("pass", 1.0), "F": Verdict("fail", 0.0)}


def tried(*columns: Sequence[str]) -> Comparison:
    """For each column a text for each case, with a letter for each sample: passed, failed, anything else unscored."""
    named = [Column("ask", f"model-{i + 1}") for i in range(len(columns))]
    cases = [Case(f"case-{i + 1}") for i in range(len(columns[0]))]
    results = [
        Result(c, k, s, record(named[c], cases[k], s, letter), STATES.get(letter, Verdict("unscored", None)))
        for c, column in enumerate(columns)
        for k, samples in enumerate(column)
        for s, letter in enumerate(samples)
    ]
    return compare(named, cases, results)


def page(comparison: Comparison, layout: Layout | None = None) -> list[Section]:
    found = comparison_page(comparison, layout)
    return [*found.details, *found.summary]


def drawn(found: Sequence[Section], width: int, **layout: object) -> str:
    """What a terminal of this width shows, with its colours."""
    file = io.StringIO()
    console = Console(width=width, file=file, force_terminal=True, color_system="standard", markup=False, emoji=False)
    console.print(as_group(found, Layout(width, **layout)))  # type: ignore[arg-type]
    return file.getvalue()


def plain(found: Sequence[Section], width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), record=True, markup=False, emoji=False)
    console.print(as_group(found, Layout(width)))
    return [line.rstrip() for line in console.export_text().splitlines()]


# --- numbers and names


@pytest.mark.parametrize(
    ("share", "text"),
    [(None, "-"), (0.0, "0%"), (1.0, "100%"), (0.004, "1%"), (0.9999, "99%"), (0.625, "62%"), (0.5, "50%")],
)
def test_only_all_is_100_percent_and_only_nothing_0(share: float | None, text: str) -> None:
    assert percent(share) == text


def test_a_rate_stands_with_its_interval() -> None:
    assert with_interval(0.62, Interval(0.48, 0.7451)) == "62% (48-75)"
    assert with_interval(None, None) == "-"


def test_letters() -> None:
    assert letters(3) == ("A", "B", "C")
    assert letters(54)[25:28] == ("Z", "AA", "AB")
    assert len(set(letters(702))) == 702


@pytest.mark.parametrize(
    ("prompts", "models", "names", "header"),
    [
        (("p",), ("a", "b"), ("a", "b"), "MODEL"),
        (("p@1", "p@2"), ("a",), ("p@1", "p@2"), "PROMPT"),
        (("p@1", "p@2"), ("a", "b"), ("p@1 on a", "p@2 on a", "p@1 on b", "p@2 on b"), "COLUMN"),
        (("p",), ("a",), ("a",), "MODEL"),
    ],
)
def test_what_all_columns_have_in_common_is_no_part_of_their_names(
    prompts: tuple[str, ...], models: tuple[str, ...], names: tuple[str, ...], header: str
) -> None:
    found = made_up(prompts, models, cases=1, samples=1)
    assert column_names(found) == names
    assert columns_grid(found).headers[0] == header


def test_the_headline_says_what_was_compared() -> None:
    found = made_up(("answer",), ("a", "b"), cases=12, samples=4)
    cached = sum(each.cached for each in found.results)
    assert headline(found) == f"answer · 12 cases · 4 samples · 96 answers · {cached} from the history"
    assert headline(tried(["P"])) == "1 case · 1 answer"


# --- columns and pairs


def test_columns_show_only_what_there_is() -> None:
    one = tried(["P", "F"], ["P", "P"])
    assert columns_grid(one).headers == ("MODEL", "PASS RATE", "TOKENS", "SECONDS")
    several = made_up()
    headers = columns_grid(several, letters(4)).headers
    assert headers == (
        "",
        "COLUMN",
        "PASS RATE",
        "SCORE",
        "PASS@3",
        "PASS^3",
        "ERRORS",
        "UNSCORED",
        "TOKENS",
        "SECONDS",
    )


def test_a_column_without_answers_has_no_numbers() -> None:
    whole = tried(["P", "F"], ["P", "P"])
    found = compare(whole.columns, whole.cases, [each for each in whole.results if each.column == 0])
    first, second = columns_grid(found).rows
    assert "-" not in first
    assert second[1:] == ("-", "-", "-")


def test_a_pair_says_who_won_against_whom() -> None:
    found = tried(["F"] * 8 + ["P", "F"], ["P"] * 8 + ["P", "F"])
    (row,) = pairs_grid(found, ("one", "two")).rows
    assert row[:5] == ("two", "one", "8", "0", "2")
    assert row[5].startswith("+80% (+")
    assert row[6:] == ("0.008", "better")
    (turned,) = pairs_grid(tried(["P"] * 8, ["F"] * 8), ("one", "two")).rows
    assert (turned[0], turned[-1]) == ("two", "worse")


def test_the_notes_say_what_was_tested_and_what_is_not_corrected() -> None:
    two, four = " ".join(pairs_notes(tried(["F"] * 8, ["P"] * 8))), " ".join(pairs_notes(made_up()))
    assert "exact sign test" in two
    assert "The interval of the difference is not corrected" in two
    assert "Holm" not in two
    assert "p is corrected for 4 pairs (Holm)" in four


@pytest.mark.parametrize(("differing", "said"), [(5, True), (6, False)])
def test_too_few_cases_that_differ_are_told_so(differing: int, said: bool) -> None:
    found = tried(["F"] * differing + ["P"] * 9, ["P"] * (differing + 9))
    assert ("add cases" in " ".join(pairs_notes(found))) == said


def test_many_pairs_are_only_those_that_are_decided() -> None:
    found = made_up(models=MANY, cases=40)
    names = column_names(found)
    decided = [
        pair for pair in found.pairs if pair.decision != "cannot tell" or pair.score_decision in ("better", "worse")
    ]
    assert len(found.pairs) > MAX_PAIRS
    shown = pairs_grid(found, names).rows
    assert len(shown) == min(len(decided), MAX_DECIDED) < len(found.pairs)
    more, rest = len(decided) - len(shown), len(found.pairs) - len(decided)
    left = f"and {more} more pairs that are decided and {rest} pairs of which nothing can be told"
    assert pairs_notes(found)[0] == f"{left}; --all-cases shows them"
    whole = pairs_grid(found, names, everything=True).rows
    assert len(whole) == len(found.pairs)
    assert whole[: len(shown)] == shown
    assert not pairs_notes(found, everything=True)[0].startswith("and ")


def test_of_many_pairs_that_are_alike_nothing_is_shown_but_their_number() -> None:
    found = tried(*[["P", "F", "P"]] * 6)
    assert pairs_grid(found, letters(6)).rows == ()
    assert pairs_notes(found)[0] == "and 15 pairs of which nothing can be told; --all-cases shows them"


# --- the matrix


def test_a_cell_has_a_mark_for_each_sample() -> None:
    found = tried(["PPFu", "P"], ["", "F"])
    assert matrix_grid(found, ("a", "b")).rows == (("case-1", "✓✓✗·", ""), ("case-2", "✓", "✗"))
    assert matrix_grid(found, ("a", "b"), marks=ASCII).rows == (("case-1", "PPF?", ""), ("case-2", "P", "F"))


def test_of_many_samples_the_cell_says_how_many_passed() -> None:
    found = tried(["PPPPPPPFFu", "u", "P"])
    assert [row[1] for row in matrix_grid(found, ("a",)).rows] == ["7/9·", "·", "1/1"]
    section = next(each for each in page(found) if each.title == "Case by case")
    assert section.notes == ("3/4: passed, of those that were scored  · unscored",)


def test_an_error_is_seen() -> None:
    found = made_up(cases=12)
    errors = sum(row.count("!") for each in matrix_grid(found, column_names(found)).rows for row in each[1:])
    assert errors == sum(each.errors for each in found.summaries) > 0


def test_of_many_cases_those_are_shown_that_fail_or_split() -> None:
    good = ["P"] * (MAX_CASES + 10)
    split, fails = list(good), list(good)
    split[7] = split[20] = "F"
    fails[20] = "F"
    found = tried(fails, split)
    assert [row[0] for row in matrix_grid(found, ("a", "b")).rows] == ["case-8", "case-21"]
    assert len(matrix_grid(found, ("a", "b"), all_cases=True).rows) == len(good)
    section = next(each for each in page(found) if each.title == "Case by case")
    assert section.notes[1].startswith(
        f"2 of {len(good)} cases: those in which columns differ or fail most; --all-cases"
    )
    assert len(next(e for e in page(found, Layout(all_cases=True)) if e.title == "Case by case").notes) == 1


def test_of_too_many_that_fail_those_come_first_in_which_columns_differ() -> None:
    cases = MAX_CASES + 10
    found = tried(["F"] * cases, ["F"] * (cases - 3) + ["P"] * 3)
    shown = [row[0] for row in matrix_grid(found, ("a", "b")).rows]
    assert len(shown) == MAX_CASES
    assert shown[-3:] == [f"case-{cases - 2}", f"case-{cases - 1}", f"case-{cases}"]


def test_a_case_without_an_id_has_a_name_in_the_table() -> None:
    column = Column("p", "m")
    found = compare([column], [Case("")], [Result(0, 0, 0, record(column, Case(""), 0, "x"), STATES["P"])])
    assert matrix_grid(found, ("m",)).rows == (("(no case)", "✓"),)


@pytest.mark.parametrize(
    ("encoding", "marks"),
    [("utf-8", UNICODE), ("ascii", ASCII), ("latin-1", ASCII), (None, ASCII), ("nonsense", ASCII)],
)
def test_marks_are_those_that_the_terminal_can_show(encoding: str | None, marks: object) -> None:
    assert marks_for(encoding) == marks


# --- agreement


def test_how_often_columns_agree() -> None:
    found = spoken([["x", "X.", "y"], ["a", "a", "a"], ["1", "2", "3"]])
    assert agreement_grid(found, ("a", "b", "c")).rows == (
        ("a", "-", "67", "33"),
        ("b", "67", "-", "33"),
        ("c", "33", "33", "-"),
    )


def test_where_columns_split_most() -> None:
    found = spoken([["same", "same", "same"], ["Yes.", "yes", "no\nno"], ["1", "2", "3"]])
    assert splits_grid(found, ("one", "two", "three")).rows == (
        ("case-3", "0%", "1/3", "one", "1"),
        ("", "", "1/3", "two", "2"),
        ("", "", "1/3", "three", "3"),
        ("case-2", "33%", "2/3", "one, two", "Yes."),
        ("", "", "1/3", "three", "no no"),
    )
    assert len(splits_grid(found, ("one", "two", "three"), most=1).rows) == 3


def test_how_often_a_column_says_so_and_what_else_there_is() -> None:
    members = (((0, 0), (0, 1), (1, 0)), ((2, 0),), ((2, 1),), ((2, 2),), ((2, 3), (1, 1)))
    split = Split("c", tuple(Cluster(f"text {i}", each) for i, each in enumerate(members)), 0.25)
    found = replace(spoken([["a", "b", "c"]]), splits=(split,))
    assert splits_grid(found, ("alpha", "beta", "gamma")).rows[0][3] == "alpha ×2, beta"
    assert splits_grid(found, letters(3)).rows[0][3] == "A2 B"
    assert splits_grid(found, letters(3)).rows[-1] == ("", "", "3/8", "", "(2 other answers)")


def test_where_all_always_differ_there_is_nothing_to_show() -> None:
    titles = {each.title: each for each in page(spoken([["a", "b"], ["c", "d"]]))}
    assert titles["Where columns split"].notes == ("No two columns ever say the same, in these words.",)
    assert not any(title.startswith("How often") for title in titles)


def test_where_all_always_agree_nothing_is_split() -> None:
    titles = [each.title for each in page(spoken([["a", "a"], ["c", "c"]]))]
    assert not any("split" in title for title in titles)


def test_likeness_and_bias() -> None:
    found = made_up(likeness=True, bias=Bias(30, 0.12, 1), cases=2)
    assert likeness_grid(found, letters(4)).rows[0] == ("smollm2-135m", "0.70", "0.88", "1.05", "1.22")
    assert "30 pairs of answers in both orders" in bias_line(found)
    assert "what stood first won with a probability of 62%" in bias_line(found)
    assert "1 verdict turned" in bias_line(found)
    assert "what stood second won with a probability of 55%" in bias_line(replace(found, bias=Bias(3, -0.05, 0)))
    assert bias_line(replace(found, bias=Bias())) == ""
    assert any(bias_line(found) in each.notes for each in page(found))
    assert any(bias_line(judged()) in each.notes for each in page(judged()))  # without any likeness


# --- the page


def test_the_whole_page_in_a_pipe() -> None:
    found = spoken([["x", ""], ["a", "a"]])
    assert as_lines(page(found)) == (
        "Case by case\n"
        "CASE    model-1  model-2\n"
        "case-1  ✓        ✗\n"
        "case-2  ✓        ✓\n"
        "✓ passed  ✗ failed\n"
        "\n"
        "Where columns split most\n"
        "CASE    AGREE   OF  COLUMNS  ANSWER\n"
        "case-1     0%  1/2  model-1  x\n"
        "               1/2  model-2  (nothing)\n"
        "AGREE is how probable it is that an answer of one column says the same as one of another.\n"
        "\n"
        "How often two columns say the same, in percent\n"
        "         model-1  model-2\n"
        "model-1        -       50\n"
        "model-2       50        -\n"
        "\n"
        "ask · 2 cases · 4 answers\n"
        "MODEL        PASS RATE  TOKENS  SECONDS\n"
        "model-1  100% (34-100)       2     0.05\n"
        "model-2     50% (9-91)       2     0.04\n"
        "In brackets: the interval that holds the true pass rate 95 times of 100.\n"
        "TOKENS and SECONDS are those of an answer, on average.\n"
        "\n"
        "Which is better\n"
        "COLUMN   AGAINST  WON  LOST  TIED         DIFFERENCE      P  VERDICT\n"
        "model-2  model-1    0     1     1  -50% (-100 to +0)  1.000  cannot tell\n"
        "WON counts the cases in which COLUMN passed more often than AGAINST. The verdict is that of the exact sign"
        " test on these counts. The interval of the difference is not corrected.\n"
        "No pair differs in 6 cases or more, and with fewer nothing can be told: add cases.\n"
    )


COMPARISONS = {
    "four columns": made_up(likeness=True, bias=Bias(30, 0.12, 7)),
    "two models": made_up(("answer",), samples=1, cases=20),
    "twelve columns": made_up(models=MANY, cases=40, likeness=True),
    "many samples": made_up(("answer@1", "answer@2", "answer"), ("gemma3-270m",), samples=12, cases=50),
    "one column": made_up(("answer",), ("a",)),
}


@pytest.mark.parametrize("width", [80, 120, 200])
@pytest.mark.parametrize("name", COMPARISONS)
def test_every_table_fits_without_folding(name: str, width: int) -> None:
    found = page(COMPARISONS[name], Layout(width))
    assert all(width_of(each) <= width for section in found for each in section.grids)
    tables = [replace(section, title="Title", notes=()) for section in found if section.grids]
    lines = plain(tables, width)
    assert max(map(len, lines)) <= width
    # A title, a header and the rows of each table, with an empty line between them.
    assert len(lines) == sum(2 + sum(2 + len(each.rows) for each in section.grids) - 1 for section in tables) - 1


@pytest.mark.parametrize(("width", "lettered"), [(80, True), (200, False), (None, False)])
def test_columns_get_letters_where_their_names_do_not_fit(width: int | None, lettered: bool) -> None:
    found = page(COMPARISONS["four columns"], Layout(width))
    legend = Section("Columns", (), tuple(f"{k}  {n}" for k, n in zip("ABCD", column_names(made_up()), strict=True)))
    assert (found[0] == legend) == lettered
    columns = next(each.grids[0] for each in found if each.grids and "PASS RATE" in each.grids[0].headers)
    assert (columns.headers[0] == "") == lettered


def test_a_table_in_parts_keeps_its_first_column() -> None:
    table = grid(("CASE", "a", "b", "c"), [("one", "1", "22", "333")], right=(2, 3))
    parts = blocks(table, 9)
    assert [(each.headers, each.rows[0], each.right) for each in parts] == [
        (("CASE", "a"), ("one", "1"), frozenset()),
        (("CASE", "b"), ("one", "22"), frozenset({1})),
        (("CASE", "c"), ("one", "333"), frozenset({1})),
    ]
    assert blocks(table, None) == blocks(table, 80) == (table,)


def test_notes_speak_only_of_what_is_shown() -> None:
    for width in (80, 120):
        for section in page(COMPARISONS["four columns"], Layout(width)):
            headers = {header for each in section.grids for header in each.headers}
            for word in ("SECONDS", "SCORE"):
                assert any(word in note for note in section.notes) == (word in headers and not _is_of(word, headers))


def _is_of(word: str, headers: set[str]) -> bool:
    """The score of a column needs no words."""
    return word == "SCORE" and "PASS RATE" in headers


def test_cases_that_expect_nothing_are_not_judged() -> None:
    found = page(tried(["u", "u"], ["u", "u"]))
    assert [each.title for each in found][-1].endswith("4 answers")
    notes = found[-1].notes
    assert notes[:2] == ("Nothing was scored.", "No case expects anything that could be checked.")
    assert not {"Case by case", "Which is better"} & {each.title for each in found}


def test_verdicts_and_marks_have_colours_and_names_have_none() -> None:
    columns = [Column("ask", "worse"), Column("ask", "better")]
    cases = [Case("better" if i == 0 else f"c{i}") for i in range(8)]
    results = [
        Result(c, k, 0, record(columns[c], case, 0, "x"), STATES["FP"[c]])
        for c in range(2)
        for k, case in enumerate(cases)
    ]
    text = drawn(page(compare(columns, cases, results)), 100)
    rows = text.splitlines()
    assert any("\x1b[31m✗\x1b[0m" in row and "\x1b[32m✓\x1b[0m" in row for row in rows)
    (verdict,) = [row for row in rows if "0.008" in row]
    assert verdict.startswith("better")
    assert verdict.rstrip().endswith("\x1b[32mbetter\x1b[0m")


@pytest.mark.parametrize("width", [40, 80, 200])
def test_nothing_that_a_model_says_reaches_the_terminal(width: int) -> None:
    found = hostile()
    for text in (as_lines(page(found)), "\n".join(plain(page(found, Layout(width)), width))):
        assert text == sanitize(text)
        assert "<U+202E>" in text


def test_versions_of_a_prompt_are_compared_case_by_case() -> None:
    found = page(made_up(cases=12))
    titles = [each.title for each in found if " against " in each.title]
    assert titles == [f"answer@2 against answer@1 on {model}" for model in ("smollm2-135m", "gemma3-270m")]
    section = next(each for each in found if each.title == titles[0])
    assert section.grids[0].headers == ("CASE", "answer@1", "answer@2", "")
    words = [row[3] for row in section.grids[0].rows]
    assert words == ["worse"] * words.count("worse") + ["better"] * words.count("better")
    assert section.notes[0].startswith(f"Cases: {words.count('worse')} worse, {words.count('better')} better, ")
    assert not any(" against " in each.title for each in page(made_up(("answer",))))


def test_of_many_pairs_of_versions_only_the_numbers_are_shown() -> None:
    found = [each for each in page(COMPARISONS["twelve columns"]) if " against " in each.title]
    assert len(found) == len(MANY)
    assert all(not each.grids and each.notes[0].startswith("Cases: ") for each in found)


# --- against a baseline


def test_what_became_of_a_baseline() -> None:
    then = make_baseline(tried(["P", "PPPF", "F", "P", "P", "P"], ["P"] * 6))
    now = tried(["FP", "PF", "P", "P", "u", "P"], ["P"] * 6)
    now = replace(now, columns=(now.columns[0], Column("ask", "other")))
    found = regressions_page(compare_baseline(then, now))
    (column, verdict) = found
    assert column.title == "ask on model-1 since the baseline"
    assert column.grids[0].rows == (
        ("case-1", "1/1", "1/2", "no longer holds"),
        ("case-2", "3/4", "1/2", "worse"),
        ("case-3", "0/1", "1/1", "better"),
        ("case-5", "1/1", "unscored", "not scored"),
    )
    assert column.notes[0] == (
        "Cases: 1 no longer holds, 1 worse, 1 better, 1 not scored, 2 the same."
        " Pass rate from 79% to 80%, +5% on 5 cases in common: cannot be told apart (p 1.000)."
    )
    assert column.notes[1] == "What is not as it was: samples 2 instead of 4."
    assert verdict.title == "Worse than the baseline: ask on model-1"
    assert verdict.notes == ("Not in the baseline: ask on other.", "Only in the baseline: ask on model-2.")


def test_where_nothing_became_worse() -> None:
    found = tried(["P", "F"])
    (column, verdict) = regressions_page(compare_baseline(make_baseline(found), found))
    assert column.grids == ()
    assert column.notes[0].startswith("Cases: 2 the same. Pass rate from 50% to 50%, +0% on 2 cases in common")
    assert (verdict.title, verdict.notes) == ("Nothing is worse than the baseline", ())


def test_a_long_list_of_changes_is_cut_unless_all_is_asked_for() -> None:
    regressions = compare_baseline(make_baseline(tried(["P"] * 50)), tried(["F"] * 50))
    short, whole = (regressions_page(regressions, Layout(all_cases=each))[0] for each in (False, True))
    assert (len(short.grids[0].rows), len(whole.grids[0].rows)) == (20, 50)
    assert short.notes[0] == "and 30 cases more; --all-cases shows every one"
    assert short.notes[1] == whole.notes[0]
    assert short.notes[1].startswith("Cases: 50 no longer hold.")


def test_a_skilled_column_is_found_to_be_better() -> None:
    found = made_up(("answer",), cases=40, skills=(Skill(0.4, 2), Skill(0.8, 2)), blemishes=False)
    assert pairs_grid(found, ("a", "b")).rows[0][-1] == "better"


def test_the_example_in_the_documentation_is_what_is_shown() -> None:
    text = (Path(__file__).parents[2] / "docs" / "compare.md").read_text()
    (example,) = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    found = comparison_page(made_up(("answer@1", "answer@2"), ("gemma3-270m",), cases=12, samples=4))
    assert example == as_lines(replace(each, notes=()) for each in found.summary)
    assert f"With more than {MAX_CASES} cases" in text
    assert f"With more than {MAX_PAIRS} pairs" in text
    assert f"With more than {MAX_MARKS} samples" in text
    assert f"Fewer than {LEAST_DIFFERING} cases" in text


def test_why_checks_could_not_be_applied_is_said() -> None:
    asked = tried(["p", "p"], ["p", "p"])
    cases = tuple(replace(case, asserts=(Assertion("llm-rubric", "good"),)) for case in asked.cases)
    assert unscored_notes(replace(asked, cases=cases)) == ()
    reasons = ["no judge", "no judge", "no \x1b[2J", "no"]
    checks = [Check("llm-rubric", "unscored", None, reason) for reason in reasons]
    results = [
        replace(each, verdict=Verdict("unscored", None, (check,)))
        for each, check in zip(asked.results, checks, strict=True)
    ]
    (note,) = unscored_notes(replace(asked, cases=cases, results=tuple(results)))
    assert note.startswith("Unscored checks: llm-rubric: no judge (2); llm-rubric: no ")
    assert "\x1b" not in note
