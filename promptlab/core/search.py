"""Searching the history: what may be asked, how it is read, and the excerpt that shows where it was found."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from promptlab.core.schema import shorten
from promptlab.core.verdict import Outcome
from promptlab.errors import UsageError

MAX_QUERY = 1000
"""Characters of what is searched for."""
MAX_TERMS = 50
BEFORE = 24
"""Characters of an excerpt before what was found, about."""
WIDTH = 160
"""Characters of an excerpt, about."""
LOOKED_AT = 200_000
"""Characters of a text in which an excerpt looks for what was found."""

_WORD = re.compile(r"[^\W_]+")
_TERM = re.compile(r'(-?)(?:"([^"]*)"?|(\S+))')


@dataclass(frozen=True, slots=True)
class Search:
    """Which records are wanted: those to which all of this applies, and of several values one."""

    text: str = ""
    """Words and "phrases", all of which must occur; of the last word, the beginning. A -word must not occur."""
    models: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    """Labels, such as `explain@2`, or hashes, of which the first 4 characters do."""
    cases: tuple[str, ...] = ()
    verdict: Outcome | None = None
    """The newest one on the record."""
    failed: bool | None = None
    since: str | None = None
    """The earliest time of starting: UTC, `2026-01-02T03:04:05`, or how it begins."""
    until: str | None = None
    """What comes after the latest one, in the order of letters."""
    limit: int | None = None
    """How many at most, the newest ones."""


@dataclass(frozen=True, slots=True)
class Term:
    """A word or a phrase."""

    text: str
    without: bool = False
    """Whether it must not occur."""
    beginning: bool = False
    """Whether it may go on."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of an excerpt."""

    text: str
    matched: bool = False
    """Whether it is what was searched for."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A record that was found."""

    id: str
    prompt: str
    label: str
    model: str
    started_at: str
    case: str | None
    verdict: str | None
    """The newest one; None where it was never checked."""
    error: str | None
    """The message; None when all went well."""
    pieces: tuple[Piece, ...]
    """The place where the text was found; without a text, how the output begins."""

    @property
    def excerpt(self) -> str:
        """The place where the text was found, as plain text."""
        return "".join(piece.text for piece in self.pieces)


def read_query(text: str) -> tuple[Term, ...]:
    """Read words, "phrases" and -words. Raises UsageError where they are too many, or nothing that can be searched."""
    if len(text) > MAX_QUERY:
        raise UsageError(f"the text to search for has {len(text):,} characters; at most {MAX_QUERY:,} are allowed")
    found = [(bool(dash), phrase, word) for dash, phrase, word in _TERM.findall(text.replace("\0", " "))]
    terms = [(without, phrase or word, bool(word)) for without, phrase, word in found if _WORD.search(phrase or word)]
    if len(terms) > MAX_TERMS:
        raise UsageError(f"{len(terms)} words are too many to search for at once; at most {MAX_TERMS} are allowed")
    if text.strip() and not terms:
        raise UsageError(f"there is nothing to search for in {shorten(text)!r}: only letters and digits are searched")
    last = max((i for i, (without, _, _) in enumerate(terms) if not without), default=None)
    return tuple(Term(each, without, word and i == last) for i, (without, each, word) in enumerate(terms))


def pattern(term: Term, *, anywhere: bool = False) -> re.Pattern[str]:
    """Find a term in a text without case and accents; `anywhere` in the middle of words too."""
    words = r"[\W_]+".join(map(re.escape, _WORD.findall(_plain(term.text))))
    before = "" if anywhere else r"(?<![^\W_])"
    after = "" if anywhere or term.beginning else r"(?![^\W_])"
    return re.compile(before + words + after)


def _plain(text: str) -> str:
    """Without case and accents, character by character, so that places stay the same."""
    return text.lower() if text.isascii() else "".join(map(_plain_character, text))


@lru_cache(maxsize=4096)
def _plain_character(character: str) -> str:
    return unicodedata.normalize("NFD", character)[0].lower()[0]


def excerpt(texts: Sequence[str], patterns: Sequence[re.Pattern[str]] = ()) -> tuple[Piece, ...]:
    """Some of the text in which most of the patterns are found, around the first of them."""
    best = next((text for text in texts if text.strip()), "")
    plain, places = "", list[int]()
    for text in texts:
        looked_at = _plain(text[:LOOKED_AT])
        found = [match.start() for each in patterns if (match := each.search(looked_at))]
        if len(found) > len(places):
            best, plain, places = text, looked_at, found
    start = _start(best, min(places, default=0))
    end = min(len(best), start + WIDTH)
    spans = [match.span() for each in patterns for match in each.finditer(plain, start, end)]
    longest_first = sorted(spans, key=lambda span: (span[0], -span[1]))
    return tuple(_pieces(best, start, end, longest_first))


def _start(text: str, place: int) -> int:
    """Where an excerpt around a place begins: at a word, if there is room for one."""
    if place <= BEFORE:
        return 0
    blank = re.search(r"\s", text[place - BEFORE : place])
    return place - BEFORE + (blank.end() if blank else 0)


def _pieces(text: str, start: int, end: int, spans: Iterable[tuple[int, int]]) -> Iterator[Piece]:
    if start:
        yield Piece("…")
    at = start
    for first, last in spans:
        if first >= at:
            yield from _piece(text[at:first])
            yield from _piece(text[first:last], matched=True)
            at = last
    yield from _piece(text[at:end])
    if end < len(text):
        yield Piece("…")


def _piece(text: str, *, matched: bool = False) -> Iterator[Piece]:
    """Blanks and line breaks become one blank."""
    if text:
        yield Piece(re.sub(r"\s+", " ", text), matched)
