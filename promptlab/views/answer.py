"""The parts that every view of an answer shares: labels, numbers, what a job came to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from promptlab.core.events import Failure
from promptlab.core.record import Cell, Record, Step
from promptlab.core.text import sanitize, sanitize_line

DOT = " · "


def labels(cells: Sequence[Cell]) -> list[str]:
    """Name each job: its model; its prompt, as versions are called, and its sample where there are several.

    Samples count from 1 for a reader.
    """
    prompts = {cell.job.prompt.label for cell in cells}
    samples = max((cell.job.sample for cell in cells), default=0) + 1
    return [label(cell, len(prompts) > 1, samples) for cell in cells]


def label(cell: Cell, with_prompt: bool, samples: int) -> str:
    """Name one job."""
    parts = [cell.job.model.name]
    if with_prompt:
        parts.append(cell.job.prompt.label)
    if samples > 1:
        parts.append(f"sample {cell.job.sample + 1}/{samples}")
    return sanitize_line(DOT.join(parts))


def output_text(output: Any) -> str:
    """An output as text: a text is itself, other values are JSON."""
    return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)


def answer(record: Record) -> str:
    """What a job came to, safe to show: its output, or as far as the last answer had come when it failed."""
    if record.error is None:
        return sanitize(output_text(record.output))
    return sanitize(record.steps[-1].text) if record.steps else ""


def numbers(steps: Sequence[Step]) -> list[str]:
    """How fast and how much, over all steps: speed, time to first token, tokens read and written, how it ended."""
    done = [s for s in steps if s.timings and s.usage]
    parts = [f"{len(steps)} steps"] if len(steps) > 1 else []
    timings = [s.timings for s in done if s.timings]
    if speed := _speed(done):
        parts.append(f"{speed:.1f} tokens/s")
    if timings:
        parts.append(f"first token {seconds(timings[0].ttft_s)}")
    if steps:
        parts.append(f"{sum(map(_read, steps))}→{sum(map(_written, steps))} tokens")
        if steps[-1].finish_reason:
            parts.append(steps[-1].finish_reason)
    return parts


def _speed(steps: Sequence[Step]) -> float:
    times = [s.timings for s in steps if s.timings and s.timings.decode_s > 0]
    total = sum(t.decode_s for t in times)
    return sum(t.tokens_per_s * t.decode_s for t in times) / total if total else 0.0


def _read(step: Step) -> int:
    return step.usage.prompt_tokens if step.usage else len(step.prompt_ids)


def _written(step: Step) -> int:
    return step.usage.completion_tokens if step.usage else len(step.tokens)


def seconds(value: float) -> str:
    """A time for a reader: `0.02 s`, `12.3 s`."""
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def failure_line(failure: Failure) -> str:
    """Why a job failed, in one line."""
    signal = f" ({failure.signal})" if failure.signal and failure.signal not in failure.message else ""
    return sanitize_line(f"{failure.message}{signal}")
