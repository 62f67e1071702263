"""A comparison as tables: what each column came to, which is better, and case by case where that shows.

All text in them is safe to show. `views/sections.py` puts together those that say something.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isclose

from promptlab.core.agreement import Split
from promptlab.core.compare import Column, Comparison, Pair, Result, State, Summary
from promptlab.core.schema import shorten
from promptlab.core.stats.intervals import Interval
from promptlab.core.text import sanitize_line
from promptlab.views.answer import DOT
from promptlab.views.table import Grid, grid

MAX_CASES = 30
"""With more, only those are shown that fail or split, and of these only so many."""
MAX_PAIRS = 10
"""With more, only those are shown that are decided."""
MAX_DECIDED = 20
MAX_SPLITS = 5
MAX_CLUSTERS = 3
MAX_REASONS = 3
MAX_MARKS = 8
"""Samples of a case that are shown one by one; of more, only how many passed."""
CASE_WIDTH = 40
NARROW_CASE = 16
ANSWER_WIDTH = 200
LEAST_DIFFERING = 6
"""With fewer cases that differ, the sign test never reaches 5%."""
NO_CASE = "(no case)"


@dataclass(frozen=True, slots=True)
class Marks:
    """How the state of a cell is drawn."""

    passed: str = "✓"
    failed: str = "✗"
    unscored: str = "·"
    error: str = "!"

    def of(self, state: State) -> str:
        """The mark of one state."""
        return {"pass": self.passed, "fail": self.failed, "unscored": self.unscored, "error": self.error}[state]


UNICODE = Marks()
ASCII = Marks("P", "F", "?", "!")


def marks_for(encoding: str | None) -> Marks:
    """Marks that an encoding has."""
    try:
        "✓✗·".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


def column_names(comparison: Comparison) -> tuple[str, ...]:
    """What to call the columns: what is the same in all of them is left out."""
    return names_of(comparison.columns)


def names_of(columns: Sequence[Column]) -> tuple[str, ...]:
    """The same, before there is anything in them."""
    prompts, models = {each.prompt for each in columns}, {each.model for each in columns}
    if len(models) == 1 < len(prompts):
        return tuple(sanitize_line(each.prompt) for each in columns)
    if len(prompts) == 1:
        return tuple(sanitize_line(each.model) for each in columns)
    return tuple(sanitize_line(each.name) for each in columns)


def letters(count: int) -> tuple[str, ...]:
    """Short names for columns: A, B … Z, AA, AB …"""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return tuple(alphabet[i] if i < 26 else f"{letters(i // 26)[-1]}{alphabet[i % 26]}" for i in range(count))


def percent(share: float | None) -> str:
    """A share for a reader. Only what is all or nothing is 100% or 0%."""
    return "-" if share is None else f"{_points(share)}%"


def _points(share: float) -> int:
    nearest = round(100 * share)
    return min(max(nearest, 1), 99) if 0 < share < 1 else nearest


def with_interval(share: float | None, interval: Interval | None) -> str:
    """A share and how far it can be trusted: `62% (48-75)`."""
    if share is None or interval is None:
        return percent(share)
    return f"{percent(share)} ({_points(interval.low)}-{_points(interval.high)})"


# --- what each column came to ----------------------------------------------------------------------------------------


def headline(comparison: Comparison) -> str:
    """What was compared, in one line."""
    columns, cases = comparison.columns, comparison.cases
    found = comparison.summaries
    samples = max(Counter((each.column, each.case) for each in comparison.results).values(), default=0)
    cached = sum(each.cached for each in found)
    shared = [
        sanitize_line(name)
        for name, *others in ([each.prompt for each in columns], [each.model for each in columns])
        if len(columns) > 1 and set(others) == {name}
    ]
    parts = [*shared, counted(len(cases), "case")]
    parts += [f"{samples} samples"] if samples > 1 else []
    parts.append(counted(len(comparison.results), "answer"))
    parts += [f"{cached:,} from the history"] if cached else []
    return DOT.join(parts)


def counted(number: int, noun: str) -> str:
    """A number and what it counts: `1 case`, `2 cases`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def columns_grid(comparison: Comparison, keys: Sequence[str] = ()) -> Grid:
    """A row for each column; `keys` are short names for them that other tables use."""
    found = comparison.summaries
    most = max((max(each.pass_at, default=1) for each in found), default=1)
    plain = all(isclose(each.score or 0, each.pass_rate or 0, abs_tol=1e-9) for each in found)  # the rate says as much
    columns = {
        "": list(keys),
        _column_header(comparison): list(column_names(comparison)),
        "PASS RATE": [with_interval(each.pass_rate, each.interval) for each in found],
        "SCORE": [] if plain else [fixed(each.score) for each in found],
        f"PASS@{most}": [percent(each.pass_at.get(most)) for each in found] if most > 1 else [],
        f"PASS^{most}": [percent(each.pass_hat.get(most)) for each in found] if most > 1 else [],
        "ERRORS": [f"{each.errors:,}" for each in found] if any(each.errors for each in found) else [],
        "UNSCORED": [f"{each.unscored:,}" for each in found] if any(each.unscored for each in found) else [],
        "TOKENS": [_tokens(each) for each in found],
        "SECONDS": [_seconds(each) for each in found] if any(each.seconds for each in found) else [],
    }
    shown = [header for header, cells in columns.items() if cells]
    rows = zip(*(columns[header] for header in shown), strict=True)
    texts = sum(header in ("", _column_header(comparison)) for header in shown)
    spare = [
        shown.index(each) for each in ("TOKENS", "SECONDS", f"PASS^{most}", f"PASS@{most}", "SCORE") if each in shown
    ]
    return grid(shown, rows, right=range(texts, len(shown)), spare=spare)


def _column_header(comparison: Comparison) -> str:
    prompts, models = ({getattr(each, of) for each in comparison.columns} for of in ("prompt", "model"))
    return "MODEL" if len(prompts) == 1 else "PROMPT" if len(models) == 1 else "COLUMN"


def _tokens(summary: Summary) -> str:
    answers = _answers(summary)
    return f"{summary.completion_tokens / answers:,.0f}" if answers else "-"


def _seconds(summary: Summary) -> str:
    return f"{summary.seconds:.2f}" if _answers(summary) else "-"


def _answers(summary: Summary) -> int:
    return summary.passed + summary.failed + summary.unscored


def fixed(number: float | None, digits: int = 2) -> str:
    """A number with so many digits."""
    return "-" if number is None else f"{number:.{digits}f}"


def metrics_grid(comparison: Comparison, names: Sequence[str]) -> Grid:
    """The means of the scores of assertions by their metric: a row for each, a cell for each column."""
    means = [{each.name: each.mean for each in summary.metrics} for summary in comparison.summaries]
    metrics = dict.fromkeys(name for column in means for name in column)
    rows = [(shorten(metric, CASE_WIDTH), *(fixed(column.get(metric)) for column in means)) for metric in metrics]
    return grid(("METRIC", *names), rows, right=range(1, len(names) + 1))


# --- which is better -------------------------------------------------------------------------------------------------


def pairs_grid(comparison: Comparison, names: Sequence[str], *, everything: bool = False) -> Grid:
    """A row for each pair of columns: what is decided comes first."""
    pairs = _shown_pairs(comparison, everything)
    scored = any(pair.scores for pair in pairs)
    headers = ("COLUMN", "AGAINST", "WON", "LOST", "TIED", "DIFFERENCE", "P", *(["SCORE"] if scored else []), "VERDICT")
    rows = [_pair_row(pair, names, scored) for pair in pairs]
    spare = [headers.index(each) for each in ("TIED", "SCORE") if each in headers]
    return grid(headers, rows, right=range(2, len(headers) - 1), spare=spare)


def _pair_row(pair: Pair, names: Sequence[str], scored: bool) -> tuple[str, ...]:
    rates, low_high = pair.rates, ""
    if rates.interval:
        low_high = f" ({100 * rates.interval.low:+.0f} to {100 * rates.interval.high:+.0f})"
    difference = "-" if rates.difference is None else f"{100 * rates.difference:+.0f}%{low_high}"
    score = [_score_verdict(pair)] if scored else []
    counts = (f"{each:,}" for each in (rates.wins, rates.losses, rates.ties))
    return (names[pair.second], names[pair.first], *counts, difference, p_value(pair.p), *score, pair.decision)


def _score_verdict(pair: Pair) -> str:
    if pair.scores is None or pair.scores.difference is None:
        return "-"
    decided = f" {pair.score_decision}" if pair.score_decision != "cannot tell" else ""
    return f"{pair.scores.difference:+.2f}{decided}"


def p_value(p: float) -> str:
    """A p-value for a reader."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _shown_pairs(comparison: Comparison, everything: bool) -> list[Pair]:
    known = [pair for pair in comparison.pairs if pair.rates.cases]
    ordered = sorted(known, key=lambda pair: (not _decided(pair), pair.p))
    if everything or len(ordered) <= MAX_PAIRS:
        return ordered
    return [pair for pair in ordered if _decided(pair)][:MAX_DECIDED]


def _decided(pair: Pair) -> bool:
    return pair.decision != "cannot tell" or pair.score_decision in ("better", "worse")


def pairs_notes(comparison: Comparison, *, everything: bool = False) -> tuple[str, ...]:
    """What the table of pairs leaves out, and what was tested."""
    known = [pair for pair in comparison.pairs if pair.rates.cases]
    shown = _shown_pairs(comparison, everything)
    decided = sum(map(_decided, known))
    notes = []
    if len(known) > len(shown):
        more, rest = decided - sum(map(_decided, shown)), len(known) - decided
        left = [f"{counted(more, 'more pair')} that {'is' if more == 1 else 'are'} decided"] if more else []
        left += [f"{counted(rest, 'pair')} of which nothing can be told"] if rest else []
        notes.append(f"and {' and '.join(left)}; --all-cases shows them")
    correction = f", and p is corrected for {len(known)} pairs (Holm)" if len(known) > 1 else ""
    notes.append(
        "WON counts the cases in which COLUMN passed more often than AGAINST. The verdict is that of the exact sign"
        f" test on these counts{correction}. The interval of the difference is not corrected."
    )
    if known and all(pair.rates.wins + pair.rates.losses < LEAST_DIFFERING for pair in known):
        notes.append(
            f"No pair differs in {LEAST_DIFFERING} cases or more, and with fewer nothing can be told: add cases."
        )
    return tuple(notes)


# --- case by case ----------------------------------------------------------------------------------------------------


def matrix_grid(
    comparison: Comparison,
    names: Sequence[str],
    *,
    all_cases: bool = False,
    marks: Marks = UNICODE,
    one_by_one: bool = True,
    case_width: int = CASE_WIDTH,
) -> Grid:
    """A row for each case, a cell for each column: a mark for each sample, or how many passed."""
    cells = cells_of(comparison)
    drawn = marks_of if one_by_one and max(map(len, cells.values()), default=0) <= MAX_MARKS else count_of
    rows = []
    for case in shown_cases(comparison, cells, all_cases):
        row = (drawn(cells.get((column, case), ()), marks) for column in range(len(comparison.columns)))
        rows.append((shorten(comparison.cases[case].id or NO_CASE, case_width), *row))
    return grid(("CASE", *names), rows)


Cells = Mapping[tuple[int, int], Sequence[Result]]
"""The samples by column and case."""


def cells_of(comparison: Comparison) -> Cells:
    """All of them, put in order once."""
    found: dict[tuple[int, int], list[Result]] = {}
    for each in comparison.results:
        found.setdefault((each.column, each.case), []).append(each)
    return found


def marks_of(samples: Sequence[Result], marks: Marks) -> str:
    """A mark for each sample: `✓✓✗✓`."""
    return "".join(marks.of(each.state) for each in samples)


def count_of(samples: Sequence[Result], marks: Marks) -> str:
    """How many passed of those that were scored, and how many of the others there are: `3/4`, `2/3!`."""
    states = Counter(each.state for each in samples)
    scored = states["pass"] + states["fail"]
    others = (marks.unscored if states["unscored"] else "") + (marks.error if states["error"] else "")
    return f"{states['pass']}/{scored}{others}" if scored else others


def shown_cases(comparison: Comparison, cells: Cells, all_cases: bool) -> Sequence[int]:
    """The cases to show, by their places. Of many, those in which columns differ most, and then those that fail."""
    every = range(len(comparison.cases))
    if all_cases or len(every) <= MAX_CASES:
        return every
    agreements = {each.case: each.agreement for each in comparison.splits}
    weights = {}
    for case in every:
        rates = [_rate(cells.get((column, case), ())) for column in range(len(comparison.columns))]
        known = [rate for rate in rates if rate is not None]
        agreement = agreements.get(comparison.cases[case].id)
        weights[case] = (
            max(known, default=0.0) - min(known, default=0.0),
            1 - min(known, default=1.0),
            1 - (1.0 if agreement is None or known else agreement),
        )
    telling = sorted((case for case in every if any(weights[case])), key=lambda case: weights[case], reverse=True)
    return sorted(telling[:MAX_CASES])


def _rate(samples: Sequence[Result]) -> float | None:
    """How many pass of those that are not unscored; an error does not."""
    states = [each.state for each in samples if each.state != "unscored"]
    return states.count("pass") / len(states) if states else None


def matrix_notes(comparison: Comparison, table: Grid, marks: Marks) -> tuple[str, ...]:
    """What the cells of the matrix mean, and what is left out."""
    states = {each.state for each in comparison.results}
    if any("/" in cell for row in table.rows for cell in row[1:]):
        legend = ["3/4: passed, of those that were scored"]
    else:
        legend = [f"{marks.passed} passed", f"{marks.failed} failed"]
    legend += [f"{marks.unscored} unscored"] if "unscored" in states else []
    legend += [f"{marks.error} error"] if "error" in states else []
    shown, cases = len(table.rows), len(comparison.cases)
    left = f"{shown:,} of {cases:,} cases: those in which columns differ or fail most; --all-cases shows every one"
    return ("  ".join(legend), left) if shown < cases else ("  ".join(legend),)


# --- who agrees with whom --------------------------------------------------------------------------------------------


def agreement_grid(comparison: Comparison, names: Sequence[str]) -> Grid:
    """How often an answer of one column says the same as one of another, in percent."""
    rows = [
        (name, *("-" if share is None else str(_points(share)) for share in row))
        for name, row in zip(names, comparison.agreement, strict=True)
    ]
    return grid(("", *names), rows, right=range(1, len(names) + 1))


def splits_grid(comparison: Comparison, names: Sequence[str], most: int = MAX_SPLITS) -> Grid:
    """The cases in which columns split most: what was said, by how many, and by whom."""
    split = [each for each in comparison.splits if each.agreement is not None and each.agreement < 1]
    rows = [row for each in split[:most] for row in _split_rows(each, names)]
    return grid(("CASE", "AGREE", "OF", "COLUMNS", "ANSWER"), rows, right=(1, 2), cut_last=True)


def _split_rows(split: Split, names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    total = sum(len(each.members) for each in split.clusters)
    case, agreement = shorten(split.case or NO_CASE, NARROW_CASE), percent(split.agreement)
    for each in split.clusters[:MAX_CLUSTERS]:
        text = shorten(" ".join(each.text.split()), ANSWER_WIDTH) or "(nothing)"
        yield case, agreement, f"{len(each.members)}/{total}", _members(each.members, names), text
        case = agreement = ""
    if left := split.clusters[MAX_CLUSTERS:]:
        answers = sum(len(each.members) for each in left)
        yield "", "", f"{answers}/{total}", "", f"({counted(len(left), 'other answer')})"


def _members(members: Iterable[tuple[int, int]], names: Sequence[str]) -> str:
    """Which columns, and how often where that is more than once: `A3 B`, `alpha ×3, beta`."""
    counts = Counter(column for column, _ in members)
    short = all(len(name) <= 2 for name in names)
    parts = [names[c] + ("" if n == 1 else f"{n}" if short else f" ×{n}") for c, n in sorted(counts.items())]
    return (" " if short else ", ").join(parts)


def likeness_grid(comparison: Comparison, names: Sequence[str]) -> Grid:
    """How surprised each model is by the answers of each column, in bits for each byte."""
    found = comparison.likeness
    rows = [(model, *map(fixed, bits)) for model, bits in zip(found.models, found.bits, strict=True)] if found else []
    return grid(("READ BY", *names), rows, right=range(1, len(names) + 1))


def unscored_notes(comparison: Comparison) -> tuple[str, ...]:
    """Why checks could not be applied, the most frequent reasons first."""
    if not any(case.asserts for case in comparison.cases):
        scored = any(each.pass_rate is not None for each in comparison.summaries)
        return () if scored else ("No case expects anything that could be checked.",)
    checks = [check for each in comparison.results if not each.record.error for check in each.verdict.checks]
    reasons = Counter(f"{each.type}: {each.reason}" for each in checks if each.outcome == "unscored")
    named = [f"{sanitize_line(reason)} ({number:,})" for reason, number in reasons.most_common(MAX_REASONS)]
    if len(reasons) > MAX_REASONS:
        named.append(f"and {len(reasons) - MAX_REASONS:,} other reasons")
    return (f"Unscored checks: {'; '.join(named)}.",) if named else ()


def variants_lines(comparison: Comparison) -> tuple[str, ...]:
    """Which of the models are one, in several packagings."""
    return tuple(
        f"{sanitize_line(', '.join(family))}: same weights, other packaging." for family in comparison.variants
    )


def bias_line(comparison: Comparison) -> str:
    """How much the order of two answers counted for the judge, in words."""
    bias = comparison.bias
    if bias is None or not bias.pairs:
        return ""
    place = "first" if bias.first >= 0 else "second"
    won, turned = percent(0.5 + abs(bias.first)), counted(bias.flipped, "verdict")
    return (
        f"The judge read {counted(bias.pairs, 'pair')} of answers in both orders: what stood {place} won with a"
        f" probability of {won} (50% is no bias), and {turned} turned with the order."
    )
