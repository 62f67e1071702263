"""Find things by what is typed: parts of their names in any place, letters in order, or else nearly so. Pure."""

from __future__ import annotations

from collections.abc import Sequence

MAX_QUERY = 100
MAX_TEXT = 300
"""Characters of a description that count."""
NEAR_FROM = 4
"""Letters from which on a word may be misspelt: shorter ones resemble everything."""
NEAR_NAME = 75
NEAR_TEXT = 88
"""How much of what is typed has to be there, in per cent."""


def rank(query: str, items: Sequence[tuple[str, str]]) -> list[int]:
    """Which items match, the best first, each a name and a description; all of them where nothing is typed."""
    wanted = query.strip().casefold()[:MAX_QUERY]
    if not wanted:
        return list(range(len(items)))
    folded = [(name.casefold(), text[:MAX_TEXT].casefold()) for name, text in items]
    for measure in (_exact, _near):  # what is misspelt is looked for only where nothing is spelt so
        scored = [(measure(wanted, *each), n) for n, each in enumerate(folded)]
        if found := [n for score, n in sorted(scored, key=lambda each: (-each[0], each[1])) if score > 0]:
            return found
    return []


def _exact(wanted: str, name: str, text: str) -> float:
    if wanted in name:
        last = name.rpartition("/")[2]
        return 400 + 100 * last.startswith(wanted) - min(len(name), 99)
    if all(word in name or word in text for word in wanted.split()):
        return 300 + 10 * any(word in name for word in wanted.split())
    if (spread := _in_order(wanted, name)) is not None:
        return 200 - min(spread, 99)
    return 0


def _in_order(wanted: str, name: str) -> int | None:
    """How far the letters lie apart that stand in a name in this order; None when they do not."""
    first = at = -1
    for letter in wanted:
        at = name.find(letter, at + 1)
        if at < 0:
            return None
        first = at if first < 0 else first
    return at - first + 1 - len(wanted)


def _near(wanted: str, name: str, text: str) -> float:
    if len(wanted) < NEAR_FROM:
        return 0
    from rapidfuzz import fuzz  # here because it is slow to import

    in_name = fuzz.partial_ratio(wanted, name, score_cutoff=NEAR_NAME) if len(name) >= NEAR_FROM else 0
    return in_name or fuzz.partial_ratio(wanted, text, score_cutoff=NEAR_TEXT) / 2
