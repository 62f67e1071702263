"""What the batch screen says: pure functions from core's types to `Content`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from textual.content import Content

from promptlab.core.pace import duration
from promptlab.tui import show
from promptlab.tui.bindings import shown_key
from promptlab.tui.closely import saying
from promptlab.tui.fitting import Row
from promptlab.tui.widgets.matrix import BECAME, CACHED, MARKS

if TYPE_CHECKING:
    from promptlab.app.batch import Paced
    from promptlab.core.agreement import Split
    from promptlab.core.baseline import Change, Regressions
    from promptlab.core.case import Case
    from promptlab.core.compare import Comparison, Result
    from promptlab.core.matrix import Slot

Phase = Literal["new", "checking", "running", "pausing", "paused", "stopping", "stopped", "done", "broken"]

BAR = 16
"""Cells of the bar."""
MAX_SHOWN = 20_000
"""Characters of an answer that are shown; it is stored whole."""
MAX_VALUE = 2_000
"""Characters of a variable that are shown."""
MAX_CLUSTERS = 6
MAX_LINE = 300

STYLES = {
    "pass": show.GOOD,
    "fail": show.BAD,
    "unscored": show.DIM,
    "error": show.WARN,
    "waiting": show.DIM,
    "running": show.ACCENT,
    "answered": "",
}
_BECAME = {"broken": show.BAD, "worse": show.BAD, "better": show.GOOD}
_PHASES = {
    "new": ("○", show.DIM, "Tick what to compare, then {start}."),
    "checking": ("◌", show.ACCENT, "checking prompts, cases and models …"),
    "running": ("●", show.ACCENT, ""),
    "pausing": ("●", show.ACCENT, "pausing …"),
    "paused": ("‖", show.WARN, "paused: {pause} goes on"),
    "stopping": ("●", show.ACCENT, "stopping …"),
    "stopped": ("■", show.WARN, "stopped: {start} goes on"),
    "done": ("✓", show.GOOD, "done"),
    "broken": ("✗", show.BAD, "broke off: {start} goes on"),
}


def progress(phase: Phase, paced: Paced | None, errors: int, took: str, keys: Mapping[str, str]) -> Row:
    """How far it has come, in a line; `keys` are those that the user has set."""
    mark, style, words = _PHASES[phase]
    words = words.format(start=shown_key("batch.start", keys), pause=shown_key("batch.pause", keys))
    parts = [Content.assemble((mark, style), " ", words)] if words else [Content.styled(mark, style)]
    if paced is not None and phase not in ("new", "checking"):
        parts.append(_bar(paced.done / max(paced.total, 1)))
        parts.append(Content(f"{paced.done:,} of {paced.total:,} {paced.what}"))
        if errors:
            parts.append(Content.styled(f"{errors:,} error{'' if errors == 1 else 's'}", show.WARN))
        if paced.cached:
            parts.append(Content.styled(f"{paced.cached:,} from the history", show.DIM))
        parts += _speed(paced) if phase == "running" else []
    if took:
        parts.append(Content.styled(took, show.DIM))
    return Row(("  ", part) for part in parts)


def _bar(share: float) -> Content:
    done = int(share * BAR)
    return Content.assemble(("━" * done, show.ACCENT), ("─" * (BAR - done), show.DIM))


def _speed(paced: Paced) -> list[Content]:
    parts = []
    if paced.left is not None and paced.done < paced.total:
        parts.append(Content(f"about {duration(paced.left)} left"))
    if paced.rate is not None:
        parts.append(Content.styled(f"{paced.rate:,.1f}/s", show.DIM))
    if paced.loading:
        parts.append(show.line(f"loading {paced.loading}", show.WARN))
    return parts


def since(found: Regressions) -> Content:
    """What came of a baseline; the signs are those of the table."""
    from promptlab.views.changes import kinds_words  # here because it is slow to import
    from promptlab.views.sections import regressions_line

    title = show.line(regressions_line(found), show.BAD if found.worse else show.GOOD)
    counts = Counter(change.kind for each in found.columns for change in each.cases)
    cells = kinds_words({kind: counts[kind] for kind in counts if kind in BECAME})
    parts = [Content.styled(f"{BECAME[kind]} {words}", _BECAME[kind]) for kind, words in cells.items()]
    return show.join([title, *parts])


# --- a case ----------------------------------------------------------------------------------------------------------


def case_lines(case: Case) -> list[Content]:
    """What a case gives and expects."""
    lines = [show.line(case.id or "(no case)", f"bold {show.ACCENT}")]
    if case.description:
        lines.append(show.line(case.description[:MAX_VALUE], show.DIM))
    lines += [
        Content.assemble(show.line(f"{name}: ", show.DIM), show.block(_cut(_text(value), MAX_VALUE)))
        for name, value in case.vars.items()
    ]
    wanted = [f"{check.type} {_cut(_text(check.value), 80)}" if check.value else check.type for check in case.asserts]
    if wanted:
        lines.append(Content.assemble(("expects: ", show.DIM), show.line(" · ".join(wanted)[:MAX_VALUE])))
    return lines


def clusters(split: Split | None, names: Sequence[str]) -> list[Content]:
    """Who says the same to a case."""
    if split is None or not split.clusters:
        return [Content.styled("nobody has answered yet", show.DIM)]
    total = sum(len(each.members) for each in split.clusters)
    agree = "" if split.agreement is None else f"columns agree {split.agreement:.0%}"
    lines = [show.join([Content.styled(saying(split), "bold"), Content.styled(agree, show.DIM)])]
    for each in split.clusters[:MAX_CLUSTERS]:
        share = Content.styled(f"{len(each.members)}/{total} ", show.ACCENT)
        text = show.line(_cut(" ".join(each.text.split()), MAX_LINE) or "(nothing)")
        who = show.line(f"  {_members(each.members, names)}", show.DIM)
        lines.append(Content.assemble(share, text, who))
    if left := len(split.clusters) - MAX_CLUSTERS:
        lines += [Content.styled(f"and {left} more", show.DIM)] if left > 0 else []
    return lines


def _members(members: Iterable[tuple[int, int]], names: Sequence[str]) -> str:
    counts: dict[int, int] = {}
    for column, _ in members:
        counts[column] = counts.get(column, 0) + 1
    return ", ".join(names[c] + (f" ×{n}" if n > 1 else "") for c, n in sorted(counts.items()))


# --- a cell ----------------------------------------------------------------------------------------------------------


def slot_lines(slot: Slot, sample: int, samples: int) -> list[Content]:
    """One sample of a cell: its verdict, its answer, and what each check found."""
    style = STYLES[slot.state]
    number = f"sample {sample + 1}/{samples}" if samples > 1 else ""
    words = {"answered": "no verdict yet"}.get(slot.state, slot.state)
    head = Content.assemble((f"{MARKS[slot.state]} {words}", style))
    parts = [head, Content.styled(number, show.DIM), Content.styled(f"{CACHED} history", show.DIM)]
    lines = [show.join(parts if slot.cached else parts[:2])]
    if slot.result is not None:
        lines += [_answer(slot.result), *checks(slot.result)]
    return lines


def _answer(result: Result) -> Content:
    record = result.record
    if record.error is not None:
        said = [show.line(line[:MAX_LINE], show.DIM) for line in record.error.stderr[-6:]]
        return show.lines([show.block(record.error.message or record.error.type, show.WARN), *said])
    return show.block(_cut(_text(record.output), MAX_SHOWN) or "(nothing)")


def checks(result: Result) -> list[Content]:
    """What each check of an answer found."""
    if result.record.error is not None:
        return []
    return [
        Content.assemble(
            (f"{MARKS[check.outcome]} ", STYLES[check.outcome]),
            show.line(check.type, "bold"),
            show.line(f"  {check.reason}", show.DIM),
        )
        for check in result.verdict.checks
    ]


def became(change: Change | None) -> list[Content]:
    """What became of a cell since a baseline, where that is known."""
    if change is None:
        return []
    from promptlab.views.changes import change_line  # here because it is slow to import

    sign = f"{BECAME[change.kind]} " if change.kind in BECAME else ""
    return [show.line(f"{sign}{change_line(change)}", _BECAME.get(change.kind, show.DIM))]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]} … ({len(text) - limit:,} characters more)"


# --- the picture -----------------------------------------------------------------------------------------------------


def heat(comparison: Comparison, names: Sequence[str], keys: Sequence[str]) -> Content:
    """How often two columns say the same, in percent: the more often, the stronger the colour."""
    if len(names) < 2:
        return Content("")
    widest = max(len(key) for key in keys)
    longest = max(len(show.line(name).plain) for name in names)
    head = Content("".join(f"{key:>4} " for key in keys))
    lines = [
        Content.styled("How often two columns say the same, in percent", "bold"),
        Content.assemble(" " * (widest + longest + 3), head.stylize("bold")),
    ]
    for key, name, row in zip(keys, names, comparison.agreement, strict=True):
        label = Content.assemble((f"{key:>{widest}}  ", "bold"), show.line(f"{name:<{longest}} "))
        lines.append(Content.assemble(label, *(_heat(share) for share in row)))
    if any(row[i] is not None for i, row in enumerate(comparison.agreement)):
        lines.append(Content.styled("On the diagonal: two samples of one column.", show.DIM))
    return show.lines(lines)


def _heat(share: float | None) -> tuple[str, str]:
    if share is None:
        return "   - ", show.DIM
    return f"{100 * share:>4.0f} ", f"on $primary {round(60 * share)}%"


def viewed(shown: int, total: int, filters: Mapping[str, str]) -> Content:
    """What part of the matrix is shown, and in which order."""
    parts = [f"{shown:,} of {total:,} cases" if shown != total else f"{total:,} case{'' if total == 1 else 's'}"]
    return show.line(" · ".join([*parts, *(words for words in filters.values() if words)]))
