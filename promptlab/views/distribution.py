"""How probable each choice was, where an answer had to be one of some texts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.text import Text

from promptlab.core.text import sanitize_line

if TYPE_CHECKING:  # a record brings Jinja and YAML along, which the playground's first screen must not wait for
    from promptlab.core.record import Step

SHOWN = 10
"""Choices that a page lists, beside the one that was chosen."""
CHOICE_WIDTH = 60
"""Cells of a choice on a page: a line of it, its rank included, fits a terminal of 80."""
NEXT_WIDTH = 24
"""Cells of the choice that a column names below an answer."""


def percent(share: float) -> str:
    """A probability for a reader: `62.3%`, `<0.1%`, `>99.9%`."""
    if share < 0.001:
        return "<0.1%"
    return ">99.9%" if 0.999 < share < 1 else f"{share:.1%}"


def distribution_lines(step: Step) -> list[Text]:
    """The choices, the most probable first, and a mark at the answer; of many, the first ones and the answer."""
    ranked = sorted((step.distribution or {}).items(), key=lambda each: -each[1])
    listed = SHOWN if len(ranked) > SHOWN + 1 else len(ranked)  # one more takes no more room than to say so
    lines, left = [], []
    for rank, (choice, share) in enumerate(ranked, 1):
        if rank <= listed or choice == step.text:
            lines.append(_line(choice, share, "" if rank <= listed else f"  rank {rank}", choice == step.text))
        else:
            left.append(share)
    if left:
        lines.append(Text(f"{'':<10}and {len(left):,} more, {percent(math.fsum(left))} together", style="dim"))
    return lines


def _line(choice: str, share: float, note: str, chosen: bool) -> Text:
    mark, style = ("→", "green") if chosen else (" ", "")
    return Text.assemble((f"{mark} {percent(share):>6}  {_name(choice, CHOICE_WIDTH)}", style), (note, "dim"))


def next_choice(step: Step) -> str:
    """How probable the answer was, and which other choice was the most probable: `62.3%, then question (37.6%)`.

    Nothing where there was no choice.
    """
    shares = step.distribution or {}
    others = {choice: share for choice, share in shares.items() if choice != step.text}
    own = shares.get(step.text)
    if own is None or not others:
        return ""
    best = max(others, key=others.__getitem__)
    word = "then" if own >= others[best] else "behind"
    return f"{percent(own)}, {word} {_name(best, NEXT_WIDTH)} ({percent(others[best])})"


def _name(choice: str, width: int) -> str:
    """A choice on one line, in quotes where it begins or ends with a blank."""
    text = Text(sanitize_line(choice if choice == choice.strip() else repr(choice)))
    text.truncate(width, overflow="ellipsis")
    return text.plain
