"""Searching the history: what may be asked, how it is read, and the excerpt that shows where it was found."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, get_args

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
_LISTS = {"model": "models", "prompt": "prompts", "version": "versions", "case": "cases"}
"""Filters of several values, and what a `Search` calls them."""
_FLAGS = ("failed", "pinned")
FILTERS = (*_LISTS, "verdict", *_FLAGS, "since", "until")
"""What may stand before a colon in a line that is searched for; any other word with a colon is a word."""
_PART = re.compile(rf'(-?)({"|".join(FILTERS)}):(?:"([^"]*)"?|(\S*))|-?"[^"]*"?|\S+', re.IGNORECASE)


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
    pinned: bool | None = None
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
    pinned: bool = False
    sample: int = 0

    @property
    def excerpt(self) -> str:
        """The place where the text was found, as plain text."""
        return "".join(piece.text for piece in self.pieces)


# --- a line with filters ---------------------------------------------------------------------------------------------


def read_search(line: str) -> Search:
    """Read a line of words and filters: `rain -snow model:small,large verdict:fail failed: since:2026-01-31`.

    A value with blanks or commas stands in quotes. Raises UsageError where a filter makes no sense.
    """
    if len(line) > MAX_QUERY:
        raise _too_long(line)
    wanted, words = Search(), list[str]()
    for part in _PART.finditer(line):
        dash, name, quoted, bare = part.groups()
        if name is None:
            words.append(part.group())
        elif dash:
            raise UsageError(f"{shorten(part.group())}: a filter cannot be turned around by a -, only a word can")
        else:
            wanted = _filtered(wanted, name.lower(), bare if quoted is None else quoted, quoted is not None)
    return replace(wanted, text=" ".join(words))


def _filtered(wanted: Search, name: str, value: str, quoted: bool) -> Search:
    """Add a filter. What does not stand in quotes may be several values."""
    changes: dict[str, Any]
    if name in _FLAGS:
        changes = {name: _flag(name, value)}
    elif not value:
        raise UsageError(f"{name}: wants a value right behind the colon")
    elif name in _LISTS:
        if name == "prompt" and "@" in value:
            raise UsageError(f"prompt: takes a name; a version is version:{shorten(value)}")
        values = [value] if quoted else [each for each in value.split(",") if each]
        if not values:
            raise UsageError(f"{name}: wants a value; there are only commas")
        changes = {_LISTS[name]: (*getattr(wanted, _LISTS[name]), *values)}
    elif name == "verdict":
        changes = {name: _outcome(value)}
    else:
        changes = {name: (first_moment if name == "since" else after_moment)(value, name)}
    return replace(wanted, **changes)


def _flag(name: str, value: str) -> bool:
    answers = {"": True, "yes": True, "no": False}
    if value.lower() not in answers:
        raise UsageError(f"{name}: stands alone, or with yes or no; not with {shorten(value)!r}")
    return answers[value.lower()]


def _outcome(value: str) -> Outcome:
    outcomes: tuple[Outcome, ...] = get_args(Outcome)
    for outcome in outcomes:
        if outcome == value.lower():
            return outcome
    raise UsageError(f"verdict: {shorten(value)!r} is no verdict; there are {', '.join(outcomes)}")


def both(first: Search, second: Search) -> Search:
    """What both ask for together; of what can be said only once, what the second says."""
    lists = {name: (*getattr(first, name), *getattr(second, name)) for name in _LISTS.values()}
    once = {name: getattr(second, name) for name in ("verdict", *_FLAGS, "since", "until", "limit")}
    said: dict[str, Any] = {**lists, **{name: value for name, value in once.items() if value is not None}}
    return replace(first, text=f"{first.text} {second.text}".strip(), **said)


def first_moment(text: str, name: str) -> str:
    """The first moment of `2026-01-02` or `2026-01-02T03:04`, as a search takes it. Raises UsageError."""
    return _moment(text, name)


def after_moment(text: str, name: str) -> str:
    """The first moment after a day or a second, as a search takes it. Raises UsageError."""
    return _moment(text, name) + "~"  # which comes after all that can follow in a time


def _moment(text: str, name: str) -> str:
    """A day or a second, UTC."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
        aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        hint = "A date is written 2026-01-31, a time 2026-01-31T18:30 (UTC)"
        raise UsageError(f"{name}: {shorten(text)!r} is no date", hint=hint) from None
    return aware.replace(tzinfo=None).isoformat(timespec="seconds")


def _too_long(text: str) -> UsageError:
    return UsageError(f"the text to search for has {len(text):,} characters; at most {MAX_QUERY:,} are allowed")


# --- words -----------------------------------------------------------------------------------------------------------


def read_query(text: str) -> tuple[Term, ...]:
    """Read words, "phrases" and -words. Raises UsageError where they are too many, or nothing that can be searched."""
    if len(text) > MAX_QUERY:
        raise _too_long(text)
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


# --- excerpts --------------------------------------------------------------------------------------------------------


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
