"""The text of a column: what was said, step by step, what came of it, and what went wrong; safe to show.

A text that grows is made into lines once; of what was added, only that is looked at.
"""

from __future__ import annotations

import json
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from promptlab.core.text import joins, sanitize, sanitize_line
from promptlab.tui import show
from promptlab.tui.widgets.transcript import Paragraph
from promptlab.views.distribution import next_choice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promptlab.core.record import Cell, Step
    from promptlab.core.tape import Message

TAB = 4
STDERR_LINES = 6
MAX_MESSAGE = 20_000
"""Characters of a message that are shown."""
MAX_FIRST = 300
"""Characters of a folded answer; no line is wider."""

HEADING = f"bold {show.ACCENT}"
FOLDED = show.ACCENT
BLANK = Paragraph("")
EMPTY = Paragraph("(empty)", show.DIM)
"""Beside the answer's text, which is none: else nobody would know that it is not still to come."""


class Script(NamedTuple):
    """Everything that a column says."""

    paragraphs: tuple[Paragraph, ...] = ()
    answer: tuple[int, int] = (0, 0)
    """Where the text of the last step stands in it."""


class GrowingText:
    """A text as lines. While it grows, lines that are whole stay as they are."""

    def __init__(self) -> None:
        self._text = ""
        self._done = 0
        """Characters that have been taken in; a carriage return at the end waits for what follows."""
        self._open = ""
        """The last line, before its tabs are expanded."""
        self._lines: list[Paragraph] = [BLANK]

    def lines(self, text: str) -> list[Paragraph]:
        """Its lines now. The list is the next call's too."""
        if not text.startswith(self._text) or joins(text):  # what joins depends on what stands around it
            self._done, self._open, self._lines = 0, "", [BLANK]
        self._text = text
        ready = len(text) - text.endswith("\r")
        first, *more = sanitize(text[self._done : ready]).split("\n")
        self._done = ready
        lines = [self._open + first, *more]
        self._open = lines[-1]
        if ready < len(text):
            lines[-1] += sanitize("\r")
        self._lines[-1:] = [Paragraph(line.expandtabs(TAB)) for line in lines]
        return self._lines


class Writer:
    """Writes the scripts of one cell as it grows."""

    def __init__(self) -> None:
        self._texts: list[GrowingText] = []

    def write(self, cell: Cell, unfolded: bool) -> Script:
        """Everything that is to be said of a cell. Unfolded, each step has its prompt and all of its answer."""
        found: list[Paragraph] = []
        answer = (0, 0)
        named = _is_named(cell.steps)
        for number, step in enumerate(cell.steps):
            last = number == len(cell.steps) - 1
            if not (last or unfolded):
                found += _folded(step)
                continue
            if named:
                found += [*([BLANK] if number else []), Paragraph(sanitize_line(f"▸ {step.name}"), HEADING)]
            if unfolded:
                found += _prompt(step, cell.steps[number - 1] if number else None)
            lines = self._text(number).lines(_begun(cell) + step.text)
            answer = (len(found), len(found) + len(lines))
            found += lines
            if last and _is_empty(cell, step):
                found[answer[0] :], answer = [EMPTY], (answer[0], answer[0])
            found += _beside(step)
        closing = [*_returned(cell), *_failure(cell)]
        if closing and found and found[-1].text:
            found.append(BLANK)
        return Script((*found, *closing), answer)

    def _text(self, number: int) -> GrowingText:
        while len(self._texts) <= number:
            self._texts.append(GrowingText())
        return self._texts[number]


def _is_empty(cell: Cell, step: Step) -> bool:
    """Whether it has answered with nothing at all."""
    return cell.record is not None and cell.record.error is None and not _begun(cell) + step.text


def _is_named(steps: tuple[Step, ...]) -> bool:
    return len(steps) > 1 or (bool(steps) and steps[0].name != "output")


def _folded(step: Step) -> list[Paragraph]:
    """A step on one line: its name, and how its answer begins. How probable a choice was stands below."""
    words = " ".join(sanitize_line(step.text[:MAX_FIRST]).replace("␊", " ").split())
    return [Paragraph(f"▸ {sanitize_line(step.name)}  {words}", FOLDED, clip=True), *_beside(step)]


def _prompt(step: Step, before: Step | None) -> list[Paragraph]:
    """What a step was asked, without what the step before had read and said."""
    found: list[Paragraph] = []
    for message in _news(step.messages, before):
        cut = len(message.content) - MAX_MESSAGE
        found.append(Paragraph(sanitize_line(f"{message.role}:"), f"italic {show.DIM}"))
        found += _lines(message.content[:MAX_MESSAGE], show.DIM)
        found += [Paragraph(f"… {cut:,} characters more", f"italic {show.DIM}")] if cut > 0 else []
    return [*found, Paragraph("assistant:", f"italic {show.DIM}")]


def _news(messages: Sequence[Message], before: Step | None) -> Sequence[Message]:
    if before is None:
        return messages
    known = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(messages, before.messages, strict=False))))
    said = messages[known : known + 1]
    return messages[known + 1 :] if said and said[0].role == "assistant" else messages[known:]


def _lines(text: str, style: str = "") -> list[Paragraph]:
    return [Paragraph(line.expandtabs(TAB), style) for line in sanitize(text).split("\n")]


def _begun(cell: Cell) -> str:
    """What a branch begins with: it is a part of its answer (`core/conversation.py`)."""
    continues, text = cell.job.prompt.metadata.get("continues"), cell.job.inputs.get("begun")
    return text if isinstance(continues, dict) and "token" in continues and isinstance(text, str) else ""


def _beside(step: Step) -> list[Paragraph]:
    """Where the answer was one of some choices: how probable that was."""
    line = next_choice(step)
    return [Paragraph(line, show.DIM)] if line else []


def _returned(cell: Cell) -> list[Paragraph]:
    """What the program returned, where that is not simply what the model said last."""
    record = cell.record
    if record is None or record.error or not record.steps or record.output == _begun(cell) + record.steps[-1].text:
        return []
    output = record.output
    text = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False, indent=1)
    return [Paragraph("▸ returned", HEADING), *_lines(text)]


def _failure(cell: Cell) -> list[Paragraph]:
    """Why it failed, with the last lines that its process wrote."""
    error = cell.record.error if cell.record else None
    if error is None:
        return [Paragraph("✗ the run broke off", show.BAD)] if cell.status == "failed" else []
    if error.type == "Cancelled":
        return [Paragraph("■ cancelled", show.WARN)]
    signal = f" ({error.signal})" if error.signal and error.signal not in error.message else ""
    said = [Paragraph(sanitize_line(line), show.DIM) for line in error.stderr[-STDERR_LINES:]]
    return [*_lines(f"✗ {error.message}{signal}", show.BAD), *said]
