"""What a column says about its cells, beside their text: pure functions from core's types to `Content`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from textual.content import Content

from promptlab.tui import show

if TYPE_CHECKING:
    from promptlab.core.record import Cell, Status, Step

_MARKS: dict[Status, tuple[str, str]] = {
    "waiting": ("○", show.DIM),
    "loading": ("◌", show.WARN),
    "running": ("●", show.ACCENT),
    "done": ("✓", show.GOOD),
    "failed": ("✗", show.BAD),
    "cancelled": ("■", show.WARN),
}
"""A shape for each status, because colours alone say nothing to many people and terminals."""
_URGENT: tuple[Status, ...] = ("running", "loading", "waiting", "failed", "cancelled", "done")
"""Of several cells, the first one of these stands for all."""

_VERDICTS = {"pass": ("✓", show.GOOD), "fail": ("✗", show.BAD), "unscored": ("?", show.WARN)}

BAR = 20
"""Cells of the loading bar."""
MAX_SAMPLES = 48
"""Samples that a strip shows, however wide it is."""
LEAST_STRIP = 15
"""Cells for samples: where there are less, how many say the same is left out."""
_COLORS = ("$text-success", "$text-accent", "$foreground", "$secondary")
"""Of letters. None is red: that answers differ is no failure."""


def mark(status: Status) -> tuple[str, str]:
    """The shape of a status, and its style."""
    return _MARKS[status]


def verdict(outcome: str | None) -> Content:
    """What checks said of an answer; nothing where they said nothing."""
    shape, style = _VERDICTS.get(outcome or "", ("", ""))
    return Content.styled(f"{shape} {outcome}", style) if shape else Content("")


def together(cells: Sequence[Cell]) -> Status:
    """How several cells stand: what still goes on, or else went wrong, counts."""
    found = {cell.status for cell in cells}
    return next((status for status in _URGENT if status in found), "waiting")


def title(cells: Sequence[Cell], sample: int, name: Content) -> Content:
    """A column's header: how the sample stands that is shown, which one it is of how many, and the name."""
    pager = Content(f"{sample + 1}/{len(cells)}" if len(cells) > 1 else "")
    return show.join([Content.styled(*_MARKS[cells[sample].status]), pager, name], " ")


def strip(cells: Sequence[Cell], letters: Sequence[str], sample: int, width: int | None = None) -> Content:
    """All samples: a letter for what each says, or how it stands; the one that is shown in brackets. Then how many say
    the same. Where they have only so much `width`, the samples around the one that is shown.
    """
    summary = _summary(letters)
    room = None if width is None else width - len(summary)
    if room is not None and room < LEAST_STRIP:
        summary, room = "", width
    texts = [_sample(each, letter) for each, letter in zip(cells, letters, strict=True)]
    first, end = _around(sample, [len(text) + 2 for text, _ in texts], room)
    parts = [Content.styled("… ", show.DIM)] if first else []
    for number in range(first, end):
        text, style = texts[number]
        here = number == sample
        around = "[]" if here else "  "
        parts.append(Content.assemble(around[0], (text, f"bold {style}" if here else style), around[1]))
    parts += [Content.styled(" …", show.DIM)] if end < len(cells) else []
    return Content.assemble(*parts, (summary, show.DIM))


def _around(at: int, lengths: Sequence[int], room: int | None) -> tuple[int, int]:
    """As many of some things as there is room for, from one of them to both sides: the first, and the end."""
    first, end, used = at, at + 1, lengths[at]
    grown = True
    while grown and end - first < MAX_SAMPLES:
        grown = False
        for before, after in ((0, 1), (1, 0)):
            left, right = first - before, end + after
            if left < 0 or right > len(lengths):
                continue
            more = used + lengths[left if before else end]
            cut = 2 * ((left > 0) + (right < len(lengths)))
            if room is None or more + cut <= room:
                first, end, used, grown = left, right, more, True
    return first, end


def _sample(cell: Cell, letter: str) -> tuple[str, str]:
    if not letter:
        return _MARKS[cell.status]
    return letter, _COLORS[sum(map(ord, letter)) % len(_COLORS)]


def _summary(letters: Sequence[str]) -> str:
    """How many say what most say."""
    said = Counter(letter for letter in letters if letter)
    if said.total() < 2:
        return ""
    most, count = said.most_common(1)[0]
    if count == said.total():
        return f"  all {count} say the same"
    return f"  {count} of {said.total()} say {most}" if count > 1 else "  all differ"


def status(cell: Cell) -> Content:
    """How it stands; when it is done, why it ended."""
    step = cell.steps[-1] if cell.steps else None
    match cell.status:
        case "waiting":
            return Content.styled("waiting for its turn", show.DIM)
        case "loading" if cell.job.model.server:
            return Content.styled("asking its server what it has", show.DIM)
        case "loading" if cell.progress >= 1:  # the first time, it takes a few seconds to find out how it runs here
            return Content.styled("warming up", show.DIM)
        case "loading":
            done = round(cell.progress * BAR)
            bar = Content.assemble(("━" * done, show.ACCENT), ("━" * (BAR - done), "$border-blurred"))
            return Content.assemble("loading ", bar, f" {cell.progress:.0%}")
        case "running" if step and not step.tokens and not step.text:
            reading = f"reading {len(step.prompt_ids)} tokens" if step.prompt_ids else "reading"
            return Content.styled(reading, show.ACCENT)
        case "running" if step:
            return Content.styled(f"writing · {_written(cell)} tokens" if step.tokens else "writing", show.ACCENT)
        case "done":
            reason = step.finish_reason if step and step.finish_reason else "done"
            return Content.styled(f"done: {reason}", show.WARN if reason == "length" else show.GOOD)
        case "cancelled":
            return Content.styled("cancelled", show.WARN)
        case "failed":
            return Content.styled("failed", show.BAD)
    return Content(cell.status)


def took(cell: Cell) -> list[Content]:
    """The numbers: speed, time to first token, tokens in and out, seed, and how the model ran."""
    parts = _measured([step for step in cell.steps if step.usage and step.timings])
    if cell.steps:
        parts += [f"seed {cell.steps[-1].seed}"]
    engine = cell.record.engine if cell.record else cell.engine
    if engine:
        parts += [engine.mode, *(["safe mode"] if engine.safe_mode else [])]
    if cell.cached:
        parts += ["cached"]
    return [show.line(part, show.DIM) for part in parts]


def _measured(ended: Sequence[Step]) -> list[str]:
    """Over the steps that have ended. A speed that nothing was measured of, and times that are zero, are left out."""
    if not ended:
        return []
    timings = [step.timings for step in ended if step.timings]
    usages = [step.usage for step in ended if step.usage]
    timed = [each for each in timings if each.decode_s > 0 and each.tokens_per_s > 0]
    parts = []
    if seconds := sum(each.decode_s for each in timed):
        parts += [f"{sum(each.tokens_per_s * each.decode_s for each in timed) / seconds:.1f} tok/s"]
    if timings[0].ttft_s > 0:
        parts += [f"first {timings[0].ttft_s:.2f} s"]
    tokens_in, reused = sum(each.prompt_tokens for each in usages), sum(each.cached_tokens for each in usages)
    parts += [f"in {tokens_in - reused}+{reused} reused" if reused else f"in {tokens_in}"]
    return [*parts, f"out {sum(each.completion_tokens for each in usages)}"]


def flow(parts: Iterable[Content], width: int) -> Content:
    """Fill lines with pieces, and break only between them."""
    rows: list[Content] = []
    for part in parts:
        if rows and rows[-1].cell_length + 3 + part.cell_length <= width:
            rows[-1] = Content.assemble(rows[-1], (" · ", show.DIM), part)
        else:
            rows.append(part)
    return show.lines(rows)


def _written(cell: Cell) -> int:
    """Tokens so far, in tens and then in fifties: each other number is drawn, which costs."""
    count = sum(len(step.tokens) for step in cell.steps)
    return count - count % (1 if count < 10 else 10 if count < 100 else 50)
