"""What has become of what records name: all of it for one record, or for many only what is not the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.text import Text

from promptlab.core.provenance import Item, Standing, Verified
from promptlab.core.text import sanitize_line

_STYLES: dict[Standing, str] = {"same": "green", "differs": "red", "gone": "red", "unknown": "yellow"}
_WIDTH = max(map(len, _STYLES))
_NAMES = len("chat template")


def provenance_page(found: Sequence[Verified], *, whole: bool) -> Text:
    """The records in their order; `whole` shows what is the same too."""
    return Text("\n").join(line for each in found for line in _lines(each, whole))


def _lines(each: Verified, whole: bool) -> Iterator[Text]:
    what = f"{each.label} on {each.model}" if each.label else ""
    yield Text.assemble(
        (f"{each.standing:<{_WIDTH}}", _STYLES[each.standing]), f"  {sanitize_line(each.id)}  {sanitize_line(what)}"
    )
    for item in each.items:
        if whole or item.standing != "same":
            yield from _item(item)


def _item(item: Item) -> Iterator[Text]:
    """Two lines: what was, and below it what is."""
    head = f"  {item.what:<{_NAMES}}  "
    yield Text.assemble(
        (f"{item.standing:<{_WIDTH}}", _STYLES[item.standing]), f"{head}{sanitize_line(item.was or item.now)}"
    )
    if item.was and item.standing != "same":
        yield Text(f"{'':<{_WIDTH + len(head)}}now: {sanitize_line(item.now)}")
    elif item.was and item.now != "the same":
        yield Text(f"{'':<{_WIDTH + len(head)}}{sanitize_line(item.now)}", style="dim")


def summary(found: Sequence[Verified]) -> str:
    """All of them in one line: `12 verified: 11 same, 1 differs`."""
    counts = Counter(each.standing for each in found)
    parts = ", ".join(f"{counts[standing]:,} {standing}" for standing in _STYLES if counts[standing])
    return f"{len(found):,} verified: {parts}" if parts else "nothing to verify"
