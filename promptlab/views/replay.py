"""What a replay found: a line for each record, and below it all that is not the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.text import Text

from promptlab.core.replay import Replayed, Side, Verdict
from promptlab.core.text import sanitize_line

_STYLES: dict[Verdict, str] = {"identical": "green", "same-text": "cyan", "differs": "red", "incomparable": "yellow"}
_WIDTH = max(map(len, _STYLES))


def replay_page(verdicts: Sequence[Replayed]) -> Text:
    """The verdicts, in their order."""
    return Text("\n").join(line for each in verdicts for line in _lines(each))


def _lines(each: Replayed) -> list[Text]:
    what = f"{each.label} on {each.model}" if each.label else ""
    head = Text.assemble((f"{each.verdict:<{_WIDTH}}", _STYLES[each.verdict]), f"  {sanitize_line(each.id)}  ")
    head.append(sanitize_line(what))
    head.rstrip()
    lines = [head, *(_below(reason, "") for reason in each.why)]
    if each.recorded and each.replayed and each.token is not None:
        lines += [_below(f"{'recorded':<10}{_side(each.recorded)}", "dim")]
        lines += [_below(f"{'replayed':<10}{_side(each.replayed)}", "dim")]
    return lines


def _below(text: str, style: str) -> Text:
    return Text(f"{'':<{_WIDTH}}  {sanitize_line(text)}", style=style)


def _side(side: Side) -> str:
    if side.id is None:
        return "had ended"
    numbers = f"log-probability {_number(side.recorded)} then, {_number(side.replayed)} now"
    return f"token {side.id} ({numbers}), goes on with {side.text!r}"


def _number(logprob: float | None) -> str:
    return "unknown" if logprob is None else str(logprob)  # the shortest text of the exact number


def summary(verdicts: Sequence[Replayed]) -> str:
    """All verdicts in one line: `12 replayed: 11 identical, 1 differs`."""
    counts = Counter(each.verdict for each in verdicts)
    parts = ", ".join(f"{counts[verdict]:,} {verdict}" for verdict in _STYLES if counts[verdict])
    return f"{len(verdicts):,} replayed: {parts}" if parts else "nothing to replay"
