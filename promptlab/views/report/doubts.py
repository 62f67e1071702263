"""What a comparison does not say for certain, in words, so that nobody is misled who looks at the numbers alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from promptlab.core.compare import Comparison, Result
from promptlab.views.report.facts import Facts
from promptlab.views.report.show import count

NAMED = 3
"""Reasons that are named; of others, there is a count."""
WIDE = 0.2
"""Half the width of an interval from which it is worth a word."""
FEWEST = 6
"""Cases that must differ before the sign test can decide at all."""


def doubts(comparison: Comparison, found: Facts) -> tuple[str, ...]:
    """A sentence or two for each doubt, the gravest first."""
    return (
        *_left_out(comparison, found),
        *_undecided(comparison),
        *_wide(comparison),
        *_cut(comparison.results),
        *_judge(comparison),
        *_origins(comparison, found),
    )


def _left_out(comparison: Comparison, found: Facts) -> Iterator[str]:
    errors = [each for each in comparison.results if each.state == "error"]
    unscored = [each for each in comparison.results if each.state == "unscored"]
    if not comparison.results:
        yield "There are no answers."
    elif all(rate is None for rate in (each.pass_rate for each in comparison.summaries)):
        yield "No answer was checked: there are no pass rates, and agreement is all that can be compared."
    elif unscored:
        yield f"{_answers(len(unscored), 'is', 'are')} unscored, which is neither a pass nor a fail{_why(unscored)}."
    if errors:
        kinds = _named(each.record.error.type for each in errors if each.record.error)
        yield f"{_answers(len(errors), 'is an error', 'are errors')} and left out of all rates: {kinds}."
    if found.missing:
        are = "answer is" if found.missing == 1 else "answers are"
        yield f"{count(found.missing)} {are} missing: the run was not finished, or stopped."


def _answers(number: int, one: str, many: str) -> str:
    return f"1 answer {one}" if number == 1 else f"{count(number)} answers {many}"


def _why(results: Iterable[Result]) -> str:
    checks = [check for each in results for check in each.verdict.checks if check.outcome == "unscored"]
    return f": {_named(f'{check.type}: {check.reason}' for check in checks)}" if checks else ""


def _named(reasons: Iterable[str]) -> str:
    counted = Counter(reasons)
    named = [f"{reason} ({count(number)})" for reason, number in counted.most_common(NAMED)]
    more = len(counted) - len(named)
    return "; ".join([*named, *([f"and {count(more)} other reasons"] if more else [])])


def _undecided(comparison: Comparison) -> Iterator[str]:
    pairs = comparison.pairs
    undecided = [each for each in pairs if {each.decision, each.score_decision or each.decision} == {"cannot tell"}]
    few = sum(each.rates.wins + each.rates.losses < FEWEST for each in undecided)
    if undecided:
        what = "the only pair" if len(pairs) == 1 else f"{count(len(undecided))} of {count(len(pairs))} pairs"
        yield f"In {what}, it cannot be told which column is better."
    if few:
        where = "There" if len(pairs) == 1 else f"In {count(few)} of them"
        yield f"{where}, fewer than {FEWEST} cases differ in their pass rates, which is never enough for the sign test."
    columns = len(comparison.columns)
    if pairs and len(pairs) < columns * (columns - 1) // 2:
        yield "Columns that differ in both prompt and model are not compared with each other."


def _wide(comparison: Comparison) -> Iterator[str]:
    intervals = [each.interval for each in comparison.summaries if each.interval]
    widest = max(((each.high - each.low) / 2 for each in intervals), default=0.0)
    if widest >= WIDE:
        cases = "1 case" if len(comparison.cases) == 1 else f"{count(len(comparison.cases))} cases"
        yield f"With {cases}, a pass rate may be off by {100 * widest:.0f} points and more: see the intervals."


def _cut(results: Iterable[Result]) -> Iterator[str]:
    cut = sum(any(step.finish_reason == "length" for step in each.record.steps) for each in results)
    if cut:
        yield f"{_answers(cut, 'was', 'were')} cut off at max_tokens."


def _judge(comparison: Comparison) -> Iterator[str]:
    bias = comparison.bias
    if bias and bias.pairs:
        yield (
            f"The judge leans to the answer that it reads {'first' if bias.first >= 0 else 'last'}, by "
            f"{100 * abs(bias.first):.1f} points, and changed its mind with the order in {count(bias.flipped)} of "
            f"{count(bias.pairs)} pairs."
        )


def _origins(comparison: Comparison, found: Facts) -> Iterator[str]:
    if "fast" in found.modes:
        yield "Answers were computed in the mode fast: they may depend on what else ran at the time."
    engines: dict[str, set[str]] = {}
    for each in comparison.results:
        engines.setdefault(each.record.model.name, set()).add(repr(each.record.engine))
    # Two models may well be laid out differently; one should not be.
    if several := [name for name, seen in engines.items() if len(seen - {"None"}) > 1]:
        yield f"Answers of {', '.join(several)} come from several engines or settings: see “What ran”."
    labels = Counter(prompt.label for prompt in found.prompts)
    if twice := [label for label, number in labels.items() if number > 1]:
        yield f"The prompt {', '.join(twice)} changed during the run: there are answers of different texts in a column."
    if unpinned := sorted({model.name for model in found.models if model.sha256 is None} - found.away):
        yield f"The weights of {', '.join(unpinned)} are not pinned by a hash."
    if found.away:
        names = ", ".join(sorted(found.away))
        yield f"{names} answered on a server: with which weights and chat template, and how exactly, cannot be known."
