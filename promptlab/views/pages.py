"""Whole pages: a record, a prompt, the messages of a question, a model's entry, findings of the doctor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from promptlab.core.program import Message
from promptlab.core.record import Record, Step
from promptlab.core.text import sanitize, sanitize_line
from promptlab.views.answer import DOT, failure_line, numbers, output_text
from promptlab.views.distribution import SHOWN, distribution_lines
from promptlab.views.jsontext import dumps
from promptlab.views.server import UNKNOWN_WEIGHTS, server_facts

Lines = list[Text]


def page(blocks: Iterable[Lines]) -> Text:
    """Join blocks with an empty line between them."""
    return Text("\n\n").join(Text("\n").join(block) for block in blocks if block)


def fields(pairs: Mapping[str, Any]) -> Lines:
    """Names and values, aligned; what is None or empty is left out."""
    shown = {k: v for k, v in pairs.items() if v or v is False or v == 0}
    width = max(map(len, shown), default=0)
    return [Text.assemble((f"{sanitize_line(k):<{width}}", "cyan"), "  ", one_line(v)) for k, v in shown.items()]


def one_line(value: Any) -> str:
    """A value on one line: a text as it is, anything else as JSON."""
    return sanitize_line(value if isinstance(value, str) else dumps(value))


def heading(text: str) -> Text:
    """A line above a block."""
    return Text(sanitize_line(text), style="bold")


def messages_block(messages: Sequence[Message]) -> Lines:
    """Messages, each below its role."""
    lines: Lines = []
    for message in messages:
        lines += [Text(f"== {sanitize_line(message.role)}", style="cyan"), Text(sanitize(message.content))]
    return lines


def record_page(record: Record) -> Text:
    """A record: what was asked, of whom, what was answered, and the numbers."""
    return page([_what(record), *(_step(s, i, record) for i, s in enumerate(record.steps)), _end(record)])


def _what(record: Record) -> Lines:
    state = {None: "", True: " (changed since)", False: ""}[record.prompt.dirty]
    commit = f"{record.prompt.commit}{state}" if record.prompt.commit else None
    return [
        heading(f"{record.prompt.label} on {record.model.name}"),
        *fields(
            {
                "id": record.id,
                "started": record.started_at,
                "prompt hash": record.prompt.hash,
                "commit": commit,
                "case": record.case,
                "sample": str(record.sample + 1),
                "seed": str(record.seed),
                "options": dict(record.options),
                "model sha256": record.model.sha256 or _unpinned(record),
                "engine": _engine(record),
                # As JSON where there would be nothing to see.
                **{f"input {k}": v or dumps(v) for k, v in record.inputs.items()},
            }
        ),
    ]


def _unpinned(record: Record) -> str:
    return UNKNOWN_WEIGHTS if record.engine and record.engine.server else "not pinned"


def _engine(record: Record) -> str | None:
    engine = record.engine
    if engine is None:
        return None
    if engine.server:
        return DOT.join(server_facts(engine.server))
    parts = [engine.mode, f"llama.cpp {engine.llama_cpp}", f"{engine.threads} threads", engine.cpu]
    return DOT.join([*parts, "safe mode"] if engine.safe_mode else parts)


def _step(step: Step, index: int, record: Record) -> Lines:
    answer = Text(sanitize(step.text)) if step.text else Text("(nothing)", style="dim")
    own = {name: value for name, value in step.options.items() if record.options.get(name) != value}
    return [
        heading(f"step {index + 1}: {step.name} (seed {step.seed})"),
        *fields({"options": own, "constraint": _constraint(step)}),
        *messages_block(step.messages[_known(record.steps[:index], step) :]),
        Text("== answer", style="green"),
        answer,
        *_choices(step),
        Text(DOT.join(numbers([step])), style="dim"),
    ]


def _constraint(step: Step) -> Any:
    """What the answer had to be; many choices, and those that are listed below the answer, are only counted."""
    constraint = step.constraint
    if constraint is None:
        return None
    if constraint.kind == "choices" and (step.distribution or len(constraint.value) > SHOWN):
        return f"one of {len(constraint.value):,} choices"
    return {constraint.kind: constraint.value}


def _choices(step: Step) -> Lines:
    lines = distribution_lines(step)
    return [Text("== how probable each choice was", style="cyan"), *lines] if lines else []


def _known(before: Sequence[Step], step: Step) -> int:
    """How many messages of a step have been shown: a later one repeats its conversation so far, and another may have
    gone on between, of a prompt that was called.
    """
    return max((_shared(each, step) for each in before), default=0)


def _shared(earlier: Step, step: Step) -> int:
    """How much of a conversation, its answer included, stands at the beginning of a later step."""
    said = [*earlier.messages, Message("assistant", earlier.text)]
    if earlier.messages and earlier.messages[-1].role == "assistant":  # the answer went on from it
        said[-2:] = [Message("assistant", earlier.messages[-1].content + earlier.text)]
    same = 0
    while same < min(len(said), len(step.messages)) and said[same] == step.messages[same]:
        same += 1
    return same if same == len(said) else 0


def _end(record: Record) -> Lines:
    if record.error is None:
        text = output_text(record.output)
        return [] if record.steps and record.steps[-1].text == text else [heading("returns"), Text(sanitize(text))]
    style = "yellow" if record.error.type == "Cancelled" else "red"
    lines = [Text(f"{sanitize_line(record.error.type)}: {failure_line(record.error)}", style=style)]
    return lines + [Text(sanitize_line(line), style="dim") for line in record.error.stderr]


def prompt_page(
    *,
    signature: str,
    description: str,
    facts: Mapping[str, Any],
    inputs: Sequence[tuple[str, str, str]],
    source: str,
    partials: Mapping[str, str],
) -> Text:
    """A prompt: how it is called, what it takes (name, type, description), and its text."""
    head = [heading(signature)]
    if description:
        head.append(Text(sanitize(description)))
    width = max((cell_len(name) for name, _, _ in inputs), default=0)
    described = [_input(name.ljust(width), kind, description) for name, kind, description in inputs]
    files = [_file(name, text) for name, text in {"source": source, **partials}.items()]
    return page([head, fields(facts), described, *files])


def _input(name: str, kind: str, description: str) -> Text:
    described = ("  " + one_line(description), "dim") if description else ""
    return Text.assemble((one_line(name), "cyan"), "  ", one_line(kind), described)


def _file(name: str, text: str) -> Lines:
    return [Text(f"== {sanitize_line(name)}", style="cyan"), Text(sanitize(text.rstrip("\n")))]


def rendered_page(messages: Sequence[Message], text: str | None, tokens: Sequence[int] | None) -> Text:
    """The messages of a question, and what a model reads of them."""
    blocks = [messages_block(messages)]
    if text is not None:
        blocks.append([Text("== text as the model reads it", style="cyan"), Text(sanitize(text))])
    if tokens is not None:
        blocks.append([Text(f"== {len(tokens)} tokens", style="cyan"), Text(" ".join(map(str, tokens)))])
    return page(blocks)


_MARKS = {"ok": ("ok", "green"), "warning": ("warning", "yellow"), "problem": ("PROBLEM", "red")}


def finding_lines(name: str, status: str, detail: str, cure: str) -> Text:
    """What the doctor found, and below it what to do."""
    word, style = _MARKS.get(status, (status, ""))
    text = Text.assemble((f"{word:<8}", style), (f"{sanitize_line(name):<16}", "bold"), " ", sanitize_line(detail))
    if cure:
        text.append(f"\n{'':<8}→ {sanitize_line(cure)}")
    return text
