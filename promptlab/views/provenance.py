"""What has become of what records name: all of it for one record, or for many only what is not the same."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence

from rich.text import Text

from promptlab.core.provenance import Item, Standing, Verified
from promptlab.core.text import sanitize_line

_STYLES: dict[Standing, str] = {"same": "green", "differs": "red", "gone": "red", "unknown": "yellow"}
_WIDTH = max(map(len, _STYLES))
_NAMES = len("chat template")
_INDENT = _WIDTH + 2 + _NAMES + 2


def provenance_page(found: Sequence[Verified], *, whole: bool, width: int | None = None) -> Text:
    """The records in their order; `whole` shows what is the same too. Lines longer than `width` are broken."""
    return Text("\n").join(line for each in found for line in _lines(each, whole, width))


def _lines(each: Verified, whole: bool, width: int | None) -> Iterator[Text]:
    what = f"{each.label} on {each.model}" if each.label else ""
    head = f"  {sanitize_line(each.id)}  {sanitize_line(what)}".rstrip()
    yield Text.assemble((f"{each.standing:<{_WIDTH}}", _STYLES[each.standing]), head)
    for item in each.items:
        if whole or item.standing != "same":
            yield from _item(item, width)


def _item(item: Item, width: int | None) -> Iterator[Text]:
    """What was, and below it what is."""
    first, *more = _broken(item.was or item.now, width)
    yield Text.assemble((f"{item.standing:<{_WIDTH}}", _STYLES[item.standing]), f"  {item.what:<{_NAMES}}  {first}")
    yield from (Text(f"{'':<{_INDENT}}{line}") for line in more)
    if item.was and item.standing != "same":
        yield from (Text(f"{'':<{_INDENT}}{line}") for line in _broken(f"now: {item.now}", width))
    elif item.was and item.now != "the same":
        yield from (Text(f"{'':<{_INDENT}}{line}", style="dim") for line in _broken(item.now, width))


def _broken(text: str, width: int | None) -> list[str]:
    """A text as the lines of the last column."""
    safe = sanitize_line(text)
    return [safe] if width is None else textwrap.wrap(safe, max(width - _INDENT, 20)) or [""]


def summary(found: Sequence[Verified]) -> str:
    """All of them in one line: `12 verified: 11 same, 1 differs`."""
    counts = Counter(each.standing for each in found)
    parts = ", ".join(f"{counts[standing]:,} {standing}" for standing in _STYLES if counts[standing])
    return f"{len(found):,} verified: {parts}" if parts else "nothing to verify"
