"""What is shown of a record beside the history: pure functions from core's types to `Content`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from textual.content import Content

from promptlab.tui import show
from promptlab.tui.describe import verdict
from promptlab.views.server import UNKNOWN_WEIGHTS, server_facts

if TYPE_CHECKING:
    from promptlab.core.record import Record, Step
    from promptlab.core.replay import Replayed, Side

MOST = 6_000
"""Characters of one text that are shown; the whole of it stands in the play screen's columns, and in exports."""
MAX_PARTS = 40
"""Inputs, options, steps or messages that are shown."""
HASH = 16
"""Characters of a hash where it is not shown in full."""
WIDTH = 20
"""Cells of a column of names; longer ones stand out."""
_VERDICTS = {
    "identical": ("✓ identical", show.GOOD),
    "same-text": ("✓ the same text", show.GOOD),
    "differs": ("✗ differs", show.BAD),
    "incomparable": ("? cannot be compared", show.WARN),
}


def preview(record: Record, details: bool, checked: str | None = None, replayed: Replayed | None = None) -> Content:
    """A record: what came of a replay, what it was, inputs, answers, error, numbers, options and hashes.

    `checked` is what checks said of it, if they did. With `details` also the messages of each step, the source, what
    computed it, and hashes in full.
    """
    chapters = [
        *([_replay(record, replayed)] if replayed else []),
        _head(record),
        _values("Inputs", record.inputs),
        *_steps(record, details),
        *_end(record),
        *([_checks(checked)] if checked else []),
        _options(record),
        _values("Identity", _identity(record, details)),
    ]
    if details:
        engine = record.engine
        chapters.append(_values("Engine", _engine(record)) if engine else [])
        chapters.append([_title("Source"), _cut(record.prompt.source)])
        chapters += [[_title(name), _cut(text)] for name, text in _some(record.prompt.partials.items())]
    return show.lines([line for chapter in chapters if chapter for line in (*chapter, Content(""))])


# --- chapters --------------------------------------------------------------------------------------------------------


def _head(record: Record) -> list[Content]:
    state = "✓ done" if record.error is None else "■ cancelled" if record.error.type == "Cancelled" else "✗ failed"
    style = show.GOOD if record.error is None else show.WARN if record.error.type == "Cancelled" else show.BAD
    facts = [record.started_at[:19].replace("T", " ") + " UTC", f"sample {record.sample + 1}"]
    facts += [f"case {record.case}"] if record.case is not None else []
    title = show.join(
        [show.line(record.prompt.label, "bold"), Content("on"), show.line(record.model.name, "bold")], " "
    )
    return [title, Content.assemble((state, style), "  ", show.line(" · ".join(facts), show.DIM))]


def _steps(record: Record, details: bool) -> Iterator[list[Content]]:
    alone = len(record.steps) == 1
    for step in record.steps[:MAX_PARTS]:
        said = [_cut(step.text) if step.text else Content.styled("(nothing)", show.DIM)]
        asked = _messages(step) if details else []
        yield [*asked, _title("Answer" if alone else f"Answer: {step.name}"), *said, _numbers(step)]
    if len(record.steps) > MAX_PARTS:
        yield [Content.styled(f"and {len(record.steps) - MAX_PARTS:,} more steps", show.DIM)]


def _messages(step: Step) -> list[Content]:
    lines: list[Content] = []
    for message in _some(step.messages):
        lines += [show.line(f"▸ {message.role}", show.ACCENT), _cut(message.content)]
    return [_title(f"Asked: {step.name}"), *lines]


def _numbers(step: Step) -> Content:
    parts: list[str] = []
    if step.timings:
        parts += [f"{step.timings.tokens_per_s:.1f} tok/s", f"first {step.timings.ttft_s:.2f} s"]
    if step.usage:
        reused = f" ({step.usage.cached_tokens} reused)" if step.usage.cached_tokens else ""
        parts += [f"in {step.usage.prompt_tokens}{reused}", f"out {step.usage.completion_tokens}"]
    parts += [step.finish_reason or "cut off", f"own seed {step.seed}"]
    return show.line(" · ".join(parts), show.DIM)


def _end(record: Record) -> Iterator[list[Content]]:
    """What the program returned, where that is not what was said last; or why there is nothing."""
    if record.error is not None:
        said = [show.line(line, show.DIM) for line in record.error.stderr[-6:]]
        signal = f" ({record.error.signal})" if record.error.signal else ""
        yield [_title("Error"), _cut(f"{record.error.type}: {record.error.message}{signal}", show.BAD), *said]
    elif not record.steps or record.output != record.steps[-1].text:
        yield [_title("Returned"), _cut(_text(record.output))]


def _checks(outcome: str) -> list[Content]:
    """What checks said. Which of them, and why, is not kept."""
    why = "A batch over its case shows why."
    return [_title("Checks"), verdict(outcome), *([] if outcome == "pass" else [Content.styled(why, show.DIM)])]


def _options(record: Record) -> list[Content]:
    held = {**record.options, "base seed": record.seed}
    return [_title("Options"), _cut(" · ".join(f"{name} {_text(value)}" for name, value in _some(held.items())))]


def _identity(record: Record, whole: bool) -> dict[str, Any]:
    prompt = record.prompt
    changed = " (changed since)" if prompt.dirty else ""
    away = record.engine is not None and record.engine.server is not None
    other = UNKNOWN_WEIGHTS if away else "not pinned"
    return {
        "record": record.id,
        "prompt": prompt.hash if whole else _short(prompt.hash),
        **({"commit": f"{prompt.commit}{changed}"} if prompt.commit else {}),
        "weights": (record.model.sha256 if whole else _short(record.model.sha256)) or other,
    }


def _engine(record: Record) -> dict[str, Any]:
    engine = record.engine
    if engine is None:
        return {}
    if engine.server is not None:
        return {"mode": engine.mode, "server": " · ".join(server_facts(engine.server)[1:]), "context": engine.context}
    return {
        "mode": engine.mode + (", safe mode" if engine.safe_mode else ""),
        "llama.cpp": engine.llama_cpp,
        "processor": engine.cpu,
        "threads": engine.threads,
        "context": engine.context,
        "template": record.model.template_hash,
    }


def _replay(record: Record, replayed: Replayed) -> list[Content]:
    """The verdict of a replay, and where the answers part."""
    words, style = _VERDICTS[replayed.verdict]
    where = ""
    if replayed.token is not None:
        step = f" of step {replayed.step + 1}" if replayed.step is not None and len(record.steps) > 1 else ""
        where = f" at token {replayed.token + 1:,}{step}"
    lines = [_title("Replay"), show.line(words + where, style)]
    lines += [show.line(reason) for reason in replayed.why[:MAX_PARTS]]
    for name, side in (("then", replayed.recorded), ("now", replayed.replayed)):
        if side is not None and replayed.token is not None:
            lines.append(show.line(f"{name:<5}{_side(side)}", show.DIM))
    return lines


def _side(side: Side) -> str:
    return "had ended" if side.id is None else f"token {side.id}, goes on with {side.text!r}"


# --- pieces ----------------------------------------------------------------------------------------------------------


def _title(text: str) -> Content:
    return show.line(text, f"bold {show.ACCENT}")


def _values(title: str, values: Mapping[str, Any]) -> list[Content]:
    """Names and values; a long value begins on a line of its own."""
    if not values:
        return []
    lines = [_title(title)]
    width = min(max(map(len, values)), WIDTH)
    for name, value in _some(values.items()):
        text = _text(value)
        below = "\n" in text or len(text) > 200
        name_shown = show.line(name.ljust(width), show.DIM)
        lines += [name_shown, _cut(text)] if below else [Content.assemble(name_shown, "  ", show.line(text or '""'))]
    if len(values) > MAX_PARTS:
        lines.append(Content.styled(f"and {len(values) - MAX_PARTS:,} more", show.DIM))
    return lines


def _some(things: Iterable[Any]) -> list[Any]:
    return list(things)[:MAX_PARTS]


def _short(hash: str | None) -> str:
    """As much of a hash as tells it from others."""
    return f"{hash[:HASH]}…" if hash else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _cut(text: str, style: str = "") -> Content:
    if len(text) <= MOST:
        return show.block(text, style)
    more = Content.styled(f"… {len(text) - MOST:,} more characters", show.WARN)
    return show.lines([show.block(text[:MOST], style), more])
