"""What is copied: an answer, a code block of it, or a comparison as Markdown. Texts are the stored ones, exactly."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from promptlab.core.record import Cell
from promptlab.views.answer import DOT, failure_line, label, numbers, output_text
from promptlab.views.markdown import escape, fence

_FENCE = re.compile(r"(?P<indent>[ \t]*)(?P<mark>`{3,}|~{3,})[ \t]*(?P<info>.*?)\s*\Z")


@dataclass(frozen=True, slots=True)
class Code:
    """A code block of an answer."""

    language: str
    """As the answer says it; perhaps empty."""
    text: str
    """Without the line break at its end."""


def exact(cell: Cell) -> str:
    """What a job has come to: its output, or its last answer as far as it has come."""
    if cell.record is not None and cell.record.error is None:
        return output_text(cell.record.output)
    return cell.text


def code_blocks(text: str) -> list[Code]:
    """The code blocks of a text, between lines of backticks or tildes; the last one may still be open."""
    found: list[Code] = []
    opened: re.Match[str] | None = None
    lines: list[str] = []
    for line in text.split("\n"):
        fence = _FENCE.match(line)
        if opened is None:
            if fence is not None and not (fence["mark"][0] == "`" and "`" in fence["info"]):
                opened, lines = fence, []
        elif fence is not None and not fence["info"] and fence["mark"].startswith(opened["mark"]):
            found.append(_code(opened, lines))
            opened = None
        else:
            lines.append(line)
    if opened is not None and lines:
        found.append(_code(opened, lines))
    return found


def _code(opened: re.Match[str], lines: Sequence[str]) -> Code:
    """What stands in it. A block within a list is indented as a whole."""
    indent = opened["indent"]
    words = opened["info"].split()
    return Code(words[0] if words else "", "\n".join(line.removeprefix(indent) for line in lines))


def write_answers(cells: Sequence[Cell]) -> str:
    """All answers as Markdown: which prompt with which inputs, and what each model said, with its numbers."""
    prompts = list(dict.fromkeys(cell.job.prompt.label for cell in cells))
    blocks = [f"# {escape(', '.join(prompts))}"]
    told: list[object] = []
    for cell in cells:
        asked = (cell.job.prompt.label if len(prompts) > 1 else "", dict(cell.job.inputs))
        if asked not in told:
            told.append(asked)
            blocks += _inputs(*asked)
    samples = max((cell.job.sample for cell in cells), default=0) + 1
    for cell in cells:
        blocks += _answer(cell, label(cell, len(prompts) > 1, samples))
    return "\n\n".join(blocks) + "\n"


def _inputs(prompt: str, inputs: dict[str, object]) -> Iterator[str]:
    if prompt:
        yield f"Inputs of {escape(prompt)}:"
    for name, value in inputs.items():
        yield f"**{escape(name)}**"
        yield fence(output_text(value))


def _answer(cell: Cell, name: str) -> Iterator[str]:
    yield f"## {escape(name)}"
    error = cell.record.error if cell.record else None
    if cell.record is None:
        yield f"*{cell.status}*"
    elif error is not None:
        yield f"**Failed:** {escape(failure_line(error))}"
    if cell.steps or cell.record:
        yield fence(exact(cell))
    facts = numbers(cell.steps)
    facts += [f"seed {cell.steps[-1].seed}"] if cell.steps else []
    engine = cell.record.engine if cell.record else cell.engine
    facts += [engine.mode] if engine else []
    if facts:
        yield escape(DOT.join(facts))
