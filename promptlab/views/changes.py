"""What got better and worse, case by case: from one version to another, or since a baseline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from promptlab.core.baseline import Change, Changes, Kind, Tally
from promptlab.core.schema import shorten
from promptlab.views.comparison import CASE_WIDTH, NO_CASE, counted, p_value, percent
from promptlab.views.table import Grid, grid

MAX_ROWS = 20
WORDS: dict[Kind, str] = {
    "broken": "no longer holds",
    "worse": "worse",
    "better": "better",
    "unscored": "not scored",
    "new": "new",
    "gone": "gone",
    "same": "the same",
}
"""In the order in which a reader wants them."""


def changes_grid(changes: Changes, *, everything: bool = False) -> Grid:
    """A row for each case that is not as it was; what got worse comes first."""
    rows = _changed(changes)
    shown = rows if everything else rows[:MAX_ROWS]
    labels = (changes.then.label, changes.now.label)
    then, now = labels if labels[0] != labels[1] else ("THEN", "NOW")
    cells = [
        (shorten(each.case or NO_CASE, CASE_WIDTH), _tally(each.then), _tally(each.now), WORDS[each.kind])
        for each in shown
    ]
    return grid(("CASE", shorten(then, CASE_WIDTH), shorten(now, CASE_WIDTH), ""), cells, right=(1, 2))


def change_line(change: Change) -> str:
    """What became of one case of a column."""
    return f"{WORDS[change.kind]}: {_tally(change.then)} then, {_tally(change.now)} now"


def kinds_words(counts: Mapping[Kind, int]) -> dict[Kind, str]:
    """How many cases became what, in words: `2 worse`."""
    words = WORDS if counts.get("broken", 0) == 1 else {**WORDS, "broken": "no longer hold"}
    return {kind: f"{counts[kind]:,} {word}" for kind, word in words.items() if counts.get(kind)}


def _changed(changes: Changes) -> list[Change]:
    order = list(WORDS)
    changed = (each for each in changes.cases if each.kind != "same")
    return sorted(changed, key=lambda each: order.index(each.kind))


def _tally(tally: Tally | None) -> str:
    if tally is None:
        return "-"
    return f"{tally.passed}/{tally.scored}" if tally.scored else "unscored"


def changes_notes(changes: Changes, *, everything: bool = False) -> tuple[str, ...]:
    """All of it in numbers, whether the pass rate changed, and what else did."""
    counts = Counter(each.kind for each in changes.cases)
    hidden = 0 if everything else max(len(_changed(changes)) - MAX_ROWS, 0)
    notes = [f"and {counted(hidden, 'case')} more; --all-cases shows every one"] if hidden else []
    notes.append(f"Cases: {', '.join(kinds_words(counts).values()) or 'none'}. {_rate(changes)}")
    if changes.settings:
        notes.append(f"What is not as it was: {', '.join(changes.settings)}.")
    return tuple(notes)


def _rate(changes: Changes) -> str:
    rates = changes.rates
    if rates.difference is None:
        return "No case was scored on both sides."
    old, new = percent(changes.then.pass_rate), percent(changes.now.pass_rate)
    verdict = "cannot be told apart" if changes.decision == "cannot tell" else changes.decision
    common = f"{100 * rates.difference:+.0f}% on {counted(rates.cases, 'case')} in common"
    return f"Pass rate from {old} to {new}, {common}: {verdict} (p {p_value(changes.p)})."
