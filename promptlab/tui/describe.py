"""What a column says about its cell: pure functions from core's types to `Content`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeAlias

from textual.content import Content

from promptlab.core.text import sanitize, sanitize_line
from promptlab.tui import show
from promptlab.views.distribution import next_choice

if TYPE_CHECKING:
    from promptlab.core.job import Job
    from promptlab.core.record import Cell, Step

Line: TypeAlias = tuple[str, str]
"""A line of a column, and its style."""

_MARKS = {
    "waiting": ("○", show.DIM),
    "loading": ("◌", show.WARN),
    "running": ("●", show.ACCENT),
    "done": ("✓", show.GOOD),
    "failed": ("✗", show.BAD),
    "cancelled": ("■", show.WARN),
}
"""A shape for each status, because colours alone say nothing to many people and terminals."""

BAR = 20
"""Cells of the loading bar."""
STDERR_LINES = 6


def labels(jobs: Iterable[Job]) -> list[Content]:
    """What tells the columns apart: the model, and prompt and sample where there are several."""
    jobs = list(jobs)
    prompts = len({job.prompt.label for job in jobs}) > 1
    samples = max((job.sample for job in jobs), default=0) + 1
    return [_label(job, prompts, samples) for job in jobs]


def _label(job: Job, prompts: bool, samples: int) -> Content:
    # What differs stands first: a narrow column cuts the rest off.
    parts = [Content(f"{job.sample + 1}/{samples}")] if samples > 1 else []
    if prompts:
        parts.append(show.line(job.prompt.label))
    return show.join([*parts, show.line(job.model.title or job.model.name, "bold")], " ")


def title(cell: Cell, label: Content) -> Content:
    """The column's header."""
    mark, style = _MARKS[cell.status]
    return Content.assemble((mark, style), " ", label)


def status(cell: Cell) -> Content:
    """How it stands; when it is done, why it ended."""
    step = cell.steps[-1] if cell.steps else None
    match cell.status:
        case "waiting":
            return Content.styled("waiting for its turn", show.DIM)
        case "loading" if cell.progress >= 1:  # the first time, it takes a few seconds to find out how it runs here
            return Content.styled("warming up", show.DIM)
        case "loading":
            done = round(cell.progress * BAR)
            bar = Content.assemble(("━" * done, show.ACCENT), ("━" * (BAR - done), "$border-blurred"))
            return Content.assemble("loading ", bar, f" {cell.progress:.0%}")
        case "running" if step and not step.tokens:
            reading = f"reading {len(step.prompt_ids)} tokens" if step.prompt_ids else "reading"
            return Content.styled(reading, show.ACCENT)
        case "running" if step:
            return Content.styled(f"writing · {_written(cell)} tokens", show.ACCENT)
        case "done":
            reason = step.finish_reason if step and step.finish_reason else "done"
            return Content.styled(f"done: {reason}", show.WARN if reason == "length" else show.GOOD)
        case "cancelled":
            return Content.styled("cancelled", show.WARN)
        case "failed":
            return Content.styled("failed", show.BAD)
    return Content(cell.status)


def took(cell: Cell) -> list[Content]:
    """The numbers: speed, time to first token, tokens in and out, seed."""
    parts: list[str] = []
    ended = [step for step in cell.steps if step.usage and step.timings]
    if ended:
        seconds = sum(s.timings.decode_s for s in ended if s.timings)
        after_first = sum(s.timings.tokens_per_s * s.timings.decode_s for s in ended if s.timings)
        first = ended[0].timings.ttft_s if ended[0].timings else 0.0
        reused = sum(s.usage.cached_tokens for s in ended if s.usage)
        tokens_in = sum(s.usage.prompt_tokens for s in ended if s.usage)
        parts += [f"{after_first / seconds if seconds else 0:.1f} tok/s", f"first {first:.2f} s"]
        parts += [f"in {tokens_in}" + (f" ({reused} reused)" if reused else "")]
        parts += [f"out {sum(s.usage.completion_tokens for s in ended if s.usage)}"]
    if cell.steps:
        parts += [f"seed {cell.steps[-1].seed}"]
    if cell.engine and cell.engine.safe_mode:
        parts += ["safe mode"]
    return [Content.styled(part, show.DIM) for part in parts]


def flow(parts: Iterable[Content], width: int) -> Content:
    """Fill lines with pieces, and break only between them."""
    rows: list[Content] = []
    for part in parts:
        if rows and rows[-1].cell_length + 3 + part.cell_length <= width:
            rows[-1] = Content.assemble(rows[-1], (" · ", show.DIM), part)
        else:
            rows.append(part)
    return show.lines(rows)


def script(cell: Cell) -> list[Line]:
    """Everything that a column says, as sanitised lines with styles: steps, what was returned, what went wrong."""
    lines: list[Line] = []
    named = _is_named(cell.steps)
    for number, step in enumerate(cell.steps):
        if named:
            lines += [("", "")] if number else []
            lines += [(sanitize_line(f"▸ {step.name}"), f"bold {show.ACCENT}")]
        lines += [*_lines(step.text), *_beside(step)]
    closing = [*_returned(cell), *_failure(cell)]
    if closing and lines and lines[-1][0]:
        lines.append(("", ""))
    return lines + closing


def answer(cell: Cell) -> tuple[int, int]:
    """Where in the script the text of the last step stands."""
    if not cell.steps:
        return 0, 0
    named = _is_named(cell.steps)
    before = sum(len(_lines(step.text)) + len(_beside(step)) + 2 for step in cell.steps[:-1])
    start = before + 1 if named else 0
    return start, start + len(_lines(cell.steps[-1].text))


def _is_named(steps: tuple[Step, ...]) -> bool:
    return len(steps) > 1 or (bool(steps) and steps[0].name != "output")


def _lines(text: str, style: str = "") -> list[Line]:
    return [(line.expandtabs(4), style) for line in sanitize(text).split("\n")]


def _beside(step: Step) -> list[Line]:
    """Where the answer was one of some choices: how probable that was."""
    line = next_choice(step)
    return [(line, show.DIM)] if line else []


def _returned(cell: Cell) -> list[Line]:
    """What the program returned, where that is not simply what the model said last."""
    record = cell.record
    if record is None or record.error or not record.steps or record.output == record.steps[-1].text:
        return []
    output = record.output
    text = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False, indent=1)
    return [("▸ returned", f"bold {show.ACCENT}"), *_lines(text)]


def _failure(cell: Cell) -> list[Line]:
    """Why it failed, with the last lines that its process wrote."""
    error = cell.record.error if cell.record else None
    if error is None:
        return [("✗ the run broke off", show.BAD)] if cell.status == "failed" else []
    if error.type == "Cancelled":
        return [("■ cancelled", show.WARN)]
    signal = f" ({error.signal})" if error.signal and error.signal not in error.message else ""
    said = [(sanitize_line(line), show.DIM) for line in error.stderr[-STDERR_LINES:]]
    return [*_lines(f"✗ {error.message}{signal}", show.BAD), *said]


def _written(cell: Cell) -> int:
    return sum(len(step.tokens) for step in cell.steps)
