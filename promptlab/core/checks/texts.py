"""Checks of the output as text: what it is, what it contains, and how far it is from what was expected."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from promptlab.core.case import Assertion
from promptlab.core.checks import automaton
from promptlab.core.checks.jsons import read, same
from promptlab.core.checks.kinds import (
    MAX_TEXT,
    MAX_TEXTS,
    SHARE,
    Budget,
    Finding,
    Kind,
    Limit,
    Subject,
    Unscored,
    compact,
    exactly,
    got,
    is_number,
    is_text,
    listed,
    number,
    plain,
    quoted,
    text_problem,
    words_problem,
)
from promptlab.core.constraint import MAX_REGEX
from promptlab.core.verdict import Want

MAX_EDITS = 2_000_000_000
"""Product of the lengths of two texts whose distance is told: a second of work."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*|[^\w\s]|_+")


# --- equal -----------------------------------------------------------------------------------------------------------


def _equals(on: Subject) -> Finding:
    """As texts; as JSON where the value is a list or a mapping, or the output is not text."""
    value, output = on.assertion.value, on.record.output
    if isinstance(value, dict | list):
        held = _is_value(output, value)
    elif isinstance(output, str):
        held = output == plain(value)
    else:
        held = same(output, value) or (isinstance(value, str) and _is_value(value, output)) or on.text == plain(value)
    wanted = quoted(value if isinstance(value, str) else compact(value))
    return exactly(held, f"equals {wanted}" if held else f"is {quoted(on.text)}, which is not {wanted}")


def _is_value(text: Any, value: Any) -> bool:
    """Whether a text says this value as JSON."""
    if not isinstance(text, str):
        return same(text, value)
    try:
        return same(read(text), value)
    except ValueError:
        return False


def _equals_problem(assertion: Assertion) -> str | None:
    value = assertion.value
    if value == "" or isinstance(value, bool | dict | list):
        return None
    return words_problem(assertion)


# --- contains --------------------------------------------------------------------------------------------------------


def _contains(on: Subject, fold: bool) -> Finding:
    wanted = plain(on.assertion.value)
    if _folded(wanted, fold) in _folded(on.text, fold):
        return exactly(True, f"contains {quoted(wanted)}")
    return exactly(False, f"does not contain {quoted(wanted)}: {quoted(on.text)}")


def _contains_any(on: Subject, fold: bool) -> Finding:
    wanted = _several(on.assertion.value)
    text = _folded(on.text, fold)
    here = next((each for each in wanted if _folded(each, fold) in text), None)
    if here is None:
        return exactly(False, f"contains none of {listed(wanted)}: {quoted(on.text)}")
    return exactly(True, f"contains {quoted(here)}")


def _contains_all(on: Subject, fold: bool) -> Finding:
    wanted = _several(on.assertion.value)
    text = _folded(on.text, fold)
    lacking = [each for each in wanted if _folded(each, fold) not in text]
    if lacking:
        return exactly(False, f"does not contain {listed(lacking)}: {quoted(on.text)}")
    return exactly(True, f"contains {listed(wanted)}")


def _starts_with(on: Subject) -> Finding:
    wanted = plain(on.assertion.value)
    if on.text.startswith(wanted):
        return exactly(True, f"begins with {quoted(wanted)}")
    return exactly(False, f"does not begin with {quoted(wanted)}: {quoted(on.text)}")


def _folded(text: str, fold: bool) -> str:
    return text.casefold() if fold else text


def _several(value: Any) -> list[str]:
    """The texts of a value: a list, or a text with commas, as CSV has it."""
    if isinstance(value, str):
        return [each for each in (part.strip() for part in value.split(",")) if each]
    return [plain(each) for each in value]


def _several_problem(assertion: Assertion) -> str | None:
    value = assertion.value
    if isinstance(value, str) and len(value) <= MAX_TEXT:
        value = _several(value)
    if isinstance(value, list) and 0 < len(value) <= MAX_TEXTS:
        wrong = [each for each in value if not is_text(each) and not is_number(each)]
        complaint = f"wants texts in its list, of 1 to {MAX_TEXT:,} characters"
        return f"{complaint}; got {got(wrong[0])}" if wrong else None
    return f"wants a list of texts as its value, 1 to {MAX_TEXTS:,} of them; got {got(value)}"


# --- patterns --------------------------------------------------------------------------------------------------------


def _regex(on: Subject) -> Finding:
    pattern = on.assertion.value
    try:
        held = automaton.search(pattern, on.text, Budget())
    except ValueError as error:
        raise Unscored(str(error)) from None
    return exactly(held, f"{'matches' if held else 'does not match'} {quoted(pattern)}: {quoted(on.text)}")


def _regex_problem(assertion: Assertion) -> str | None:
    pattern = assertion.value
    if not isinstance(pattern, str) or not 0 < len(pattern) <= MAX_REGEX:
        return f"wants a pattern as its value, of 1 to {MAX_REGEX:,} characters; got {got(pattern)}"
    try:
        automaton.build(pattern)
    except ValueError as error:
        return str(error).removeprefix("regex ")
    return None


# --- distances -------------------------------------------------------------------------------------------------------


def _levenshtein(on: Subject) -> Finding:
    from rapidfuzz.distance import Levenshtein  # here because few cases need it

    wanted, text = plain(on.assertion.value), on.text
    distance, about = abs(len(wanted) - len(text)), "at least "
    if not on.at_most(distance):
        pass  # the difference in length alone is too much
    elif len(wanted) * len(text) > MAX_EDITS:
        raise Unscored(f"too long to compare: {len(text):,} characters with {len(wanted):,}")
    else:
        distance, about = Levenshtein.distance(text, wanted), ""
    return exactly(on.at_most(distance), f"{about}{distance:,} edits from {quoted(wanted)}{on.limit}")


def _rouge(on: Subject) -> Finding:
    """ROUGE-1: the F1 of single words, each counted as often as it stands in both; case does not count."""
    said, wanted = _words(on.text), _words(plain(on.assertion.value))
    shared = (said & wanted).total()
    score = 2 * shared / (said.total() + wanted.total()) if shared else 0.0
    reason = f"ROUGE-1 is {number(score)}{on.limit}: {shared:,} of {wanted.total():,} words are there"
    return Finding(on.at_least(score), score, reason)


def _words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(text.casefold()))


def _similar(on: Subject) -> Finding:
    want = _similar_want(on)
    # Below 0 two texts have less than nothing in common; a score has nothing below 0.
    score, text = max(zip(on.found(want).likeness, want.texts[1:], strict=True))
    score = min(max(score, 0.0), 1.0)
    return Finding(on.at_least(score), score, f"is like {quoted(text)} by {number(score)}{on.limit}")


def _similar_want(on: Subject) -> Want:
    """The answer, and all that it may be like."""
    if not on.assertion.provider:
        raise Unscored("needs a model tagged `embedding` in models.yaml, and there is none")
    value = on.assertion.value
    return Want(on.assertion.provider, (), (on.text, *map(plain, value if isinstance(value, list) else [value])), True)


def _similar_wants(on: Subject) -> tuple[Want, ...]:
    return (_similar_want(on),)


def _similar_problem(assertion: Assertion) -> str | None:
    return text_problem(assertion) if isinstance(assertion.value, str) else _several_problem(assertion)


def _both(find: Callable[..., Finding], problem: Callable[[Assertion], str | None]) -> Iterable[Kind]:
    """The same check twice: as it is written, and whatever the case."""
    return (Kind(partial(find, fold=fold), problem) for fold in (False, True))


_ONE, _ONE_FOLDED = _both(_contains, words_problem)
_ANY, _ANY_FOLDED = _both(_contains_any, _several_problem)
_ALL, _ALL_FOLDED = _both(_contains_all, _several_problem)

KINDS = {
    "equals": Kind(_equals, _equals_problem),
    "contains": _ONE,
    "icontains": _ONE_FOLDED,
    "contains-any": _ANY,
    "icontains-any": _ANY_FOLDED,
    "contains-all": _ALL,
    "icontains-all": _ALL_FOLDED,
    "starts-with": Kind(_starts_with, words_problem),
    "regex": Kind(_regex, _regex_problem),
    "levenshtein": Kind(_levenshtein, words_problem, Limit(default=5.0, meaning="the most edits, 0 or more")),
    "rouge-n": Kind(_rouge, words_problem, Limit(high=1.0, default=0.75, meaning=SHARE)),
    "similar": Kind(_similar, _similar_problem, Limit(high=1.0, default=0.75, meaning=SHARE), _similar_wants),
}
