"""What counts as got worse since a baseline, and what does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.core.baseline import (
    Baseline,
    Change,
    Changes,
    KeptColumn,
    Tally,
    changes,
    compare_baseline,
    make_baseline,
    match,
    version_pairs,
)
from promptlab.core.case import Case
from promptlab.core.compare import Column, Comparison, Result, compare
from promptlab.core.events import Failure
from promptlab.core.record import Record
from promptlab.core.verdict import Verdict
from promptlab.errors import UsageError
from tests.views.comparisons import record

UNSCORED = Verdict("unscored", None)
STATES = {"P": Verdict("pass", 1.0), "F": Verdict("fail", 0.0), "h": Verdict("fail", 0.5)}


def compared(
    columns: Mapping[str, Sequence[str]], model: str = "alpha", ids: Sequence[str] | None = None
) -> Comparison:
    """A comparison of prompts by label: for each a text per case, with a letter per sample; `E` is an error."""
    count = max(map(len, columns.values()))
    cases = [Case(id) for id in (ids or [f"c{i}" for i in range(count)])]
    named = [Column(label, "alpha") for label in columns]
    results = [
        Result(c, k, s, _record(named[c], cases[k], s, letter), STATES.get(letter, UNSCORED))
        for c, label in enumerate(columns)
        for k, letters in enumerate(columns[label])
        for s, letter in enumerate(letters)
    ]
    return compare(named, cases, results)


def _record(column: Column, case: Case, sample: int, letter: str) -> Record:
    return record(column, case, sample, "x", error=Failure("EngineError", "died") if letter == "E" else None)


def since(then: Sequence[str], now: Sequence[str]) -> Changes:
    """The changes of one column."""
    (found,) = compare_baseline(make_baseline(compared({"p": then})), compared({"p": now})).columns
    return found


@pytest.mark.parametrize(
    ("then", "now", "kind"),
    [
        ("P", "P", "same"),
        ("P", "F", "broken"),
        ("PPPP", "PPPF", "broken"),
        ("PP", "PPPF", "broken"),
        ("PPu", "PF", "broken"),
        ("PPPF", "PPFF", "worse"),
        ("PF", "PPFF", "same"),
        ("PF", "FF", "worse"),
        ("PF", "PP", "better"),
        ("F", "P", "better"),
        ("F", "F", "same"),
        ("P", "u", "unscored"),
        ("u", "F", "unscored"),
        ("u", "u", "unscored"),
        ("PP", "PE", "same"),
        ("PP", "EE", "unscored"),
        ("PP", "PPu", "same"),
    ],
)
def test_what_becomes_of_a_case(then: str, now: str, kind: str) -> None:
    found = since([then], [now])
    assert [each.kind for each in found.cases] == [kind]
    assert found.worse == (kind == "broken")


def test_one_case_that_held_and_no_longer_does_is_worse_however_much_else_is_better() -> None:
    found = since(["P"] + ["F"] * 20, ["F"] + ["P"] * 20)
    assert found.decision == "better"
    assert found.worse


@pytest.mark.parametrize(("cases", "worse"), [(5, False), (6, True)])
def test_cases_that_did_not_hold_count_together_by_the_sign_test(cases: int, worse: bool) -> None:
    found = since(["PPPF"] * cases, ["PPFF"] * cases)
    assert found.of("broken") == ()
    assert found.rates.losses == cases
    assert found.worse == worse


def test_the_rate_is_judged_on_the_cases_in_common_alone() -> None:
    then = make_baseline(compared({"p": ["PF"] * 8 + ["PP"] * 8}))
    now = compared({"p": ["PF"] * 8 + ["FF"] * 8}, ids=[f"c{i}" for i in range(8)] + [f"new{i}" for i in range(8)])
    (found,) = compare_baseline(then, now).columns
    assert (found.rates.cases, found.rates.ties) == (8, 8)
    assert len(found.of("new")) == len(found.of("gone")) == 8
    assert [each.case for each in found.cases][-8:] == [each.case for each in found.of("gone")]
    assert not found.worse


def test_several_columns_are_corrected_together() -> None:
    then, now = ["PPPF"] * 6, ["PPFF"] * 6
    one = since(then, now)
    both = compare_baseline(make_baseline(compared({"p": then, "q": then})), compared({"p": now, "q": now}))
    assert one.p == pytest.approx(2 / 64)
    assert [each.p for each in both.columns] == pytest.approx([4 / 64] * 2)
    assert not both.worse


def test_columns_that_are_new_or_gone_are_named_and_not_worse() -> None:
    found = compare_baseline(make_baseline(compared({"p": ["P"], "q": ["P"]})), compared({"p": ["P"], "r": ["F"]}))
    assert [each.now.label for each in found.columns] == ["p"]
    assert (found.new, found.gone) == (("r on alpha",), ("q on alpha",))
    assert not found.worse


def kept(*names: str) -> Baseline:
    """A baseline of columns, each named as `label on model`."""
    pairs = [name.split(" on ") for name in names]
    return Baseline(tuple(KeptColumn(label.partition("@")[0], label, model, {}) for label, model in pairs))


def columns(*names: str) -> list[Column]:
    return [Column(*name.split(" on ")) for name in names]


@pytest.mark.parametrize(
    ("then", "now", "matched"),
    [
        (["p on a", "p on b"], ["p on b", "p on a"], {0: 1, 1: 0}),
        (["p@1 on a"], ["p@2 on a"], {0: 0}),
        (["p@1 on a"], ["p on a"], {0: 0}),
        (["p@1 on a", "p@2 on a"], ["p@3 on a", "p@1 on a"], {0: 1, 1: 0}),
        (["p on a"], ["p@2 on a", "p on a"], {1: 0}),
        (["p on a"], ["p on a", "p on b", "q on a"], {0: 0}),
        (["p@1 on a", "p@1 on b"], ["p@2 on a", "p@2 on b"], {0: 0, 1: 1}),
    ],
)
def test_columns_belong_together_by_the_names_of_prompt_and_model(
    then: list[str], now: list[str], matched: dict[int, int]
) -> None:
    assert match(kept(*then), columns(*now)) == matched


@pytest.mark.parametrize(
    ("then", "now", "message"),
    [
        (
            ["p@1 on a"],
            ["p@2 on a", "p@3 on a"],
            "baseline has p@1, and this comparison p@2, p@3: it is not clear",
        ),
        (["p@1 on a", "p@2 on a"], ["p on a"], "on a, the baseline has p@1, p@2, and this comparison p"),
        (["p on a"], ["q on a", "p on b"], "none of these prompts on any of these models; it has p on a"),
        ([], ["p on a"], "it has nothing"),
    ],
)
def test_what_cannot_be_held_against_each_other_is_refused(then: list[str], now: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        match(kept(*then), columns(*now))


def test_a_baseline_holds_what_the_comparison_came_to() -> None:
    found = make_baseline(compared({"p@2": ["PPF", "hu", "EE"]}), ["seeds/x.yaml", "caf\udce9"])
    (column,) = found.columns
    assert column.cases == {"c0": Tally(2, 3, 0.666667), "c1": Tally(0, 1, 0.5), "c2": Tally(0, 0)}
    assert (column.prompt, column.label, column.model, column.mode) == ("p", "p@2", "alpha", "exact")
    assert (column.samples, column.seed, column.pass_rate) == (3, 0, 0.333333)
    assert column.hash
    assert column.sha256
    assert found.files == ("seeds/x.yaml", "caf?")


@pytest.mark.parametrize(
    ("labels", "ids", "message"),
    [
        (["p"], ["x", "x"], "the case 'x' stands here 2 times"),
        (["p", "p"], ["x", "y"], "the column 'p on alpha' stands"),
    ],
)
def test_what_cannot_be_told_apart_is_no_baseline(labels: list[str], ids: list[str], message: str) -> None:
    twice = compare([Column(label, "alpha") for label in labels], [Case(id) for id in ids], [])
    with pytest.raises(UsageError, match=message):
        make_baseline(twice)


def test_what_else_is_not_as_it_was_is_said() -> None:
    then = since(["P"], ["P"]).then
    now = replace(then, hash="other", sha256=None, mode="fast", samples=4, seed=7)
    change = replace(since(["P"], ["P"]), then=then, now=now)
    assert change.settings == (
        "another text under the same label",
        "other weights",
        "mode fast instead of exact",
        "samples 4 instead of 1",
        "seed 7 instead of 0",
    )
    assert replace(change, now=replace(now, label="p@7")).settings[0] == "other weights"  # a version is meant to differ
    assert since(["P"], ["F"]).settings == ()


def test_two_versions_in_one_comparison() -> None:
    found = compared({"p@1": ["P", "F", "PF"], "p@2": ["F", "P", "PF"], "q": ["P", "P", "P"]})
    (pair,) = version_pairs(found)
    change = changes(found, pair)
    assert (change.then.label, change.now.label) == ("p@1", "p@2")
    assert [each.kind for each in change.cases] == ["broken", "better", "same"]
    assert (change.rates, change.p, change.decision) == (pair.rates, pair.p, pair.decision)


def test_versions_on_different_models_are_no_pair_of_versions() -> None:
    results = [
        Result(c, 0, 0, record(Column("p", m), Case("c"), 0, "x"), STATES["P"]) for c, m in enumerate(("alpha", "beta"))
    ]
    assert version_pairs(compare([Column("p", "alpha"), Column("p", "beta")], [Case("c")], results)) == ()


SAMPLES = st.text("PFhuE", min_size=1, max_size=4)


@given(st.lists(SAMPLES, min_size=1, max_size=8))
def test_nothing_is_worse_than_itself(cases: list[str]) -> None:
    found = since(cases, cases)
    assert not found.worse
    assert {each.kind for each in found.cases} <= {"same", "unscored"}


@given(SAMPLES, SAMPLES)
def test_better_is_worse_the_other_way_round(a: str, b: str) -> None:
    there, back = (since([x], [y]).cases[0].kind for x, y in ((a, b), (b, a)))
    assert (there == "better") == (back in ("worse", "broken"))
    assert (there == "same") == (back == "same")


def test_a_change_needs_a_side() -> None:
    assert Change("c", None, Tally(0, 1)).kind == "new"
    assert Change("c", Tally(1, 1), None).kind == "gone"
