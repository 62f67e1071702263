"""What lists and panes say about models: pure functions from records to `Content`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.content import Content

from promptlab.tui import show
from promptlab.tui.model_news import Doing, ModelNews

if TYPE_CHECKING:
    from promptlab.app.holding import Holdings
    from promptlab.app.models import Entry

BAR = 12
REASON = 300
"""Characters of a reason in a list."""
_DOING = {"pull": ("↓", "pulling"), "verify": ("◌", "verifying"), "bench": ("●", "measuring")}
_HELD = {
    "waiting": ("◌", "waits for memory", show.WARN),
    "loading": ("◌", "loading", show.WARN),
    "ready": ("●", "ready", show.GOOD),
    "failed": ("✗", "failed", show.BAD),
    "crashed": ("✗", "crashed", show.BAD),
}


# What the same means for a model that a server has.
_ASKED = {
    "waiting": ("◌", "asking", show.WARN),
    "loading": ("◌", "asking", show.WARN),
    "ready": ("●", "answers", show.GOOD),
    "failed": ("✗", "no answer", show.BAD),
}


def state(row: Entry, news: ModelNews) -> Content:
    """How a model stands: a shape and a word or two."""
    mark, word, style = _state(row, news)
    return Content.styled(f"{mark} {word}", style)


def _state(row: Entry, news: ModelNews) -> tuple[str, str, str]:
    doing = news.doing
    if doing is not None and doing.name == row.name:
        mark, word = _DOING[doing.what]
        return mark, f"{word} {share(doing.fraction)}".rstrip(), show.ACCENT
    if doing is not None and row.name in doing.names and not row.present:
        return "↓", "is next", show.DIM
    if not row.askable:
        return "·", "not trusted" if row.server else "missing", show.DIM
    if (verified := news.verified.get(row.name)) is not None and not verified.ok:
        return "✗", "damaged", show.BAD
    held = news.held(row.name)
    if row.name in news.asked and (held is None or held.reason):
        return "◌", "loading", show.WARN
    if held is None:
        return "○", "on a server" if row.server else "on disk", show.DIM
    if row.server and held.state in _ASKED:
        return _ASKED[held.state]
    mark, word, style = _HELD[held.state]
    if held.state == "loading":
        word = f"loading {share(held.fraction)}"
    elif held.state == "ready" and held.kept:
        word = "kept ready"
    return mark, word, style


def reason(row: Entry, news: ModelNews) -> Content:
    """Why a model does not stand well; nothing where it does."""
    held = news.held(row.name)
    if held is None or not held.reason or (news.doing is not None and news.doing.name == row.name):
        return Content("")
    text = held.reason.removeprefix(f"{row.name}: ")
    return show.line(text if len(text) <= REASON else text[:REASON] + "…", show.BAD)


def share(fraction: float | None) -> str:
    """A part of the whole; nothing where it is not known."""
    return "" if fraction is None else f"{fraction:.0%}"


def bar(fraction: float, width: int = BAR) -> Content:
    """So much of a bar; a cell of it where there is anything at all."""
    done = max(round(min(fraction, 1.0) * width), fraction > 0)
    return Content.assemble(("█" * done, show.ACCENT), ("░" * (width - done), show.DIM))


def progress(doing: Doing) -> Content:
    """How far something has come: a bar, the numbers, and below it what is being read."""
    parts = [Content(doing.phase)]
    if doing.fraction is not None:
        parts = [bar(doing.fraction, 2 * BAR), Content(share(doing.fraction)), *parts]
    if doing.total and doing.what != "bench":
        parts.append(Content.styled(f"{show.size(doing.done)} of {show.size(doing.total)}", show.DIM))
    first = show.join(parts)
    return show.lines([first, show.line(doing.source, show.DIM)]) if doing.source else first


def memory(holdings: Holdings | None, width: int = BAR) -> Content:
    """What the models hold of the memory that there is for them."""
    if holdings is None:
        return Content("")
    whole = holdings.used + holdings.free
    used = show.size(holdings.used) if holdings.used else "0 MB"
    filled = bar(holdings.used / whole if whole else 0.0, width)
    return Content.assemble(filled, f" {used} used, {show.size(holdings.free)} free")


def these(rows: Sequence[Entry]) -> str:
    """How many models, and how large they are together: `these two, 351 MB`."""
    count = {1: "this one", 2: "these two", 3: "these three"}.get(len(rows), f"these {len(rows)}")
    known = sum(row.bytes or 0 for row in rows)
    least = "at least " if any(row.bytes is None for row in rows) else ""
    return f"{count}, {least}{show.size(known)}" if known else count


def offer(row: Entry) -> Content:
    """A model that could be fetched: what it is called, how large it is, and under which license it comes."""
    size = show.size(row.bytes) if row.bytes else "of unknown size"
    name = show.line(row.title or row.name, "bold")
    return Content.assemble(name, "  ", size, "  ", show.line(row.license, show.DIM))
