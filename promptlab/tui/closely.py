"""What the closer views say: pure functions from core's types to `Content`, safe to show."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from textual.content import Content

from promptlab.core.text import sanitize, sanitize_line
from promptlab.core.tokens import LEVELS, Choice, Fork, Parting, Pieces, bits, level
from promptlab.tui import show
from promptlab.tui.widgets.tokenmap import Mark
from promptlab.tui.widgets.transcript import Paragraph
from promptlab.views.distribution import percent
from promptlab.views.server import server_facts

if TYPE_CHECKING:
    from promptlab.app.branch import Descent
    from promptlab.core.agreement import Split
    from promptlab.core.record import Step
    from promptlab.core.subject import Agreement, Difference, Subject

HEADING = f"bold {show.ACCENT}"
BAR = 10
"""Cells of a bar that shows a probability."""
MAX_TEXT = 50_000
"""Characters of a text that are shown."""
MAX_IDS = 4_000
"""Token ids that are listed."""
COLUMN = 24
"""Cells of a column of token ids, at most; a longer token takes several."""
MAX_NAME = 40
"""Characters of a token's text in a line with others."""
MAX_BEFORE = 60
"""Characters that are shown of what two answers have in common before they part."""
MAX_LINES = 12
"""Lines of an answer that are shown where several stand below each other."""


def name(subject: Subject, samples: bool) -> Content:
    """What tells an answer from the others."""
    sample = [Content(f"sample {subject.sample + 1}")] if samples else []
    return show.join([show.line(subject.title, "bold"), show.line(subject.label, show.DIM), *sample], " · ")


def quoted(text: str) -> str:
    """A token's text on one line, where blanks can be seen."""
    line = sanitize_line(text.replace("\t", "⇥").replace("\n", "↵"))
    return f"“{line if len(line) <= MAX_NAME else line[:MAX_NAME] + '…'}”"


# --- tokens ----------------------------------------------------------------------------------------------------------


def marks(step: Step, pieces: Pieces) -> list[Mark]:
    """The tokens of an answer."""
    return [Mark(pieces.text(each.id), level(each.logprob), each.id in pieces.control) for each in step.tokens]


def about_token(step: Step, index: int, pieces: Pieces) -> Content:
    """One token."""
    drawn = step.tokens[index]
    facts = [f"{percent(_probability(drawn.logprob))}", _bits(drawn.logprob), f"id {drawn.id}"]
    where = f"token {index + 1:,} of {len(step.tokens):,} · " + " · ".join(facts)
    return show.lines([Content.styled(quoted(pieces.text(drawn.id)), "bold"), Content.styled(where, show.DIM)])


def few_noted(step: Step, index: int) -> bool:
    """Whether hardly any other token was noted beside one."""
    return len(step.tokens[index].top) < 2


def choice_line(choice: Choice, control: bool) -> Content:
    """A token that could have come, with its probability."""
    share = _probability(choice.logprob)
    full = round(share * BAR)
    mark = ("→ ", HEADING) if choice.drawn else ("  ", "")
    bar = (("━" * full, show.ACCENT), ("─" * (BAR - full), "$border-blurred"))
    style = f"italic {show.DIM}" if control else "bold" if choice.drawn else ""
    return Content.assemble(mark, f"{percent(share):>6} ", *bar, " ", (quoted(choice.text), style))


def legend() -> Content:
    """What the marks of the tokens mean."""
    first, second, third = (f"{limit:g}" for limit in LEVELS)
    parts = [
        Content.styled(f"below {first} bit", "$foreground"),
        Content.styled(f"{first} to {second}", "underline on $accent 22%"),
        Content.styled(f"{second} to {third}", "bold on $accent 45%"),
        Content.styled(f"{third} and more", "bold underline on $error 55%"),
    ]
    return Content.assemble(("surprise: ", show.DIM), Content("  ").join(parts))


def total(step: Step) -> tuple[str, str]:
    """The surprise of a whole answer."""
    whole = sum(bits(each.logprob) for each in step.tokens)
    mean = whole / len(step.tokens) if step.tokens else 0.0
    return f"{len(step.tokens):,} tokens", f"{mean:.2f} bits each"


def _probability(logprob: float) -> float:
    return math.exp(min(logprob, 0.0))


def _bits(logprob: float) -> str:
    surprise = bits(logprob)
    return "endless bits" if surprise == float("inf") else f"{surprise:.1f} bits"


# --- difference ------------------------------------------------------------------------------------------------------


def sides(found: Difference, a: Subject, b: Subject) -> tuple[Content, Content]:
    """Both texts, with the words marked that the other one does not have."""
    if found.stretches is None:
        return _cut(a.text), _cut(b.text)
    left = [(each.old, each.kind == "changed") for each in found.stretches]
    right = [(each.new, each.kind == "changed") for each in found.stretches]
    return _marked(left, f"strike {show.BAD} on $error 15%"), _marked(right, f"bold {show.GOOD} on $success 15%")


def _marked(parts: Iterable[tuple[str, bool]], style: str) -> Content:
    room = MAX_TEXT
    shown: list[Content] = []
    for text, changed in parts:
        words = text[:room].rstrip()  # no mark under the blanks after a word
        shown += [show.block(words, style if changed else ""), show.block(text[len(words) : room])]
        room -= len(text)
        if room < 0:
            return Content("").join([*shown, _more(-room)])
    return Content("").join(shown)


def _cut(text: str) -> Content:
    more = len(text) - MAX_TEXT
    return Content("").join([show.block(text[:MAX_TEXT]), *([_more(more)] if more > 0 else [])])


def _more(count: int) -> Content:
    return Content.styled(f"\n… and {count:,} characters more", show.DIM)


def where(found: Difference) -> Content:
    """Where the tokens part, in words."""
    notes = [] if found.stretches is not None else [Content.styled("Too different to mark words.", show.DIM)]
    parting = found.parting
    if parting is None:
        said = f"They are the same, {found.same}." if found.same else f"First token that differs: {found.note}."
        return show.join([*notes, show.line(said, show.DIM)], " ")
    after = Content.assemble(("First token that differs, after ", show.DIM), _tail(parting))
    if parting.by_text:
        notes.append(Content.styled("The models' tokens differ, so it is found by its place in the text.", show.DIM))
    elif parting.other_prompts:
        notes.append(Content.styled("They read different prompts, so these are chances of different things.", show.DIM))
    return show.lines([after, *([show.join(notes, " ")] if notes else [])])


def _tail(parting: Parting) -> Content:
    text = parting.before[-MAX_BEFORE:].replace("\n", "↵")
    more = "…" if len(parting.before) > MAX_BEFORE else ""
    return show.line(f"“{more}{text}”" if text else "nothing: it is the first one")


def fork_lines(fork: Fork, pieces: Pieces) -> Content:
    """What one of two models could have said where they part."""
    if not fork.choices:
        return Content.styled("it had ended", show.DIM)
    head = Content.styled(f"token {fork.index + 1:,}", show.DIM)
    return show.lines([head, *(choice_line(each, each.id in pieces.control) for each in fork.choices)])


# --- what the model saw ----------------------------------------------------------------------------------------------


def saw(subject: Subject, pieces: Pieces | str | None, descent: Descent | None, width: int) -> tuple[Paragraph, ...]:
    """Everything that a model was given, step by step. `pieces` may be why there are none; None while they are read.
    Token ids stand in as many columns as there is room for in `width` cells.
    """
    found: list[Paragraph] = [*_descent(descent)]
    for number, step in enumerate(subject.steps):
        if found:
            found.append(Paragraph(""))
        count = f"step {number + 1} of {len(subject.steps)}: " if len(subject.steps) > 1 else ""
        found.append(Paragraph(sanitize_line(f"▸ {count}{step.name}"), HEADING))
        found += _facts(subject, step)
        found += _messages(step)
        found += _read(step, pieces, width, away=subject.engine is not None and subject.engine.server is not None)
    return tuple(found) if subject.steps else (*found, Paragraph("Nothing was asked yet.", show.DIM))


def _descent(descent: Descent | None) -> Iterator[Paragraph]:
    if descent is None:
        return
    origin = descent.origin
    if origin.token is None:
        yield Paragraph(sanitize_line(f"Goes on from the answer {origin.record}, to {origin.prompt}."), show.DIM)
        return
    what = f"Goes on from token {origin.token + 1:,} of the answer {origin.record}, to {origin.prompt}."
    yield Paragraph(sanitize_line(what), show.DIM)
    if descent.parent is None:
        yield Paragraph("That answer is not in the history any more.", show.DIM)
    elif descent.other_tokens is None:
        yield Paragraph("Up to there it was read as the same tokens.", show.DIM)
    else:
        note = (
            f"The text was cut into tokens again, and not as before: token {descent.other_tokens + 1:,} is another one."
        )
        yield Paragraph(note, show.WARN)


def _facts(subject: Subject, step: Step) -> Iterator[Paragraph]:
    options = ", ".join(f"{key} {_plain(value)}" for key, value in step.options.items())
    yield Paragraph(sanitize_line(f"seed {step.seed} · {options}"), show.DIM)
    engine = subject.engine
    if engine is not None and engine.server is not None:
        yield Paragraph(sanitize_line(" · ".join(server_facts(engine.server))), show.DIM)
    elif engine is not None:
        how = f"mode {engine.mode}, {engine.threads} threads, llama.cpp {engine.llama_cpp}"
        yield Paragraph(sanitize_line(how + (", safe mode" if engine.safe_mode else "")), show.DIM)
    if step.usage is not None:
        computed = step.usage.prompt_tokens - step.usage.cached_tokens
        numbers = (
            f"read {step.usage.prompt_tokens:,} tokens: {computed:,} computed, {step.usage.cached_tokens:,} reused"
        )
        yield Paragraph(f"{numbers} · wrote {step.usage.completion_tokens:,}", show.DIM)
    if step.constraint is not None:
        wanted = f"the answer was held to {step.constraint.kind}: {_plain(step.constraint.value)[:MAX_TEXT]}"
        yield Paragraph(sanitize_line(wanted), show.DIM)
    if step.system_moved:
        yield Paragraph("The model takes no system message: it stood before the first user message.", show.WARN)


def _messages(step: Step) -> Iterator[Paragraph]:
    yield from (Paragraph(""), Paragraph("Messages", "bold"))
    for message in step.messages:
        yield Paragraph(sanitize_line(f"{message.role}:"), f"italic {show.DIM}")
        yield from _block(message.content)
    begun = bool(step.messages) and step.messages[-1].role == "assistant"
    yield Paragraph("and the answer goes on from there" if begun else "assistant: the answer", f"italic {show.DIM}")


def _read(step: Step, pieces: Pieces | str | None, width: int, *, away: bool) -> Iterator[Paragraph]:
    yield from (Paragraph(""), Paragraph("Exact text, the texts of its tokens joined", "bold"))
    if away:
        yield Paragraph("Only its server knows: it writes the messages with a chat template of its own.", show.DIM)
        return
    if not step.prompt_ids:
        yield Paragraph("It is not known yet.", show.DIM)
    elif pieces is None:
        yield Paragraph("The model is asked what its tokens stand for …", show.DIM)
    elif isinstance(pieces, str):
        yield Paragraph(sanitize_line(pieces), show.WARN)
    else:
        yield from _block(pieces.join(step.prompt_ids))
    yield from (Paragraph(""), Paragraph(f"Token ids, {len(step.prompt_ids):,} of them", "bold"))
    ids = step.prompt_ids[:MAX_IDS]
    named = [f"{id:>8} {quoted(pieces.text(id))}" if isinstance(pieces, Pieces) else f"{id:>8}" for id in ids]
    yield from (Paragraph(row, show.DIM) for row in _rows(named, width))
    if len(step.prompt_ids) > MAX_IDS:
        yield Paragraph(f"… and {len(step.prompt_ids) - MAX_IDS:,} more", show.DIM)


def _rows(items: Sequence[str], width: int) -> Iterator[str]:
    """Short texts side by side in columns, in the order in which they are read."""
    column = min(max(map(cell_len, items), default=0), COLUMN) + 2
    room = max(width // column, 1)
    row, taken = "", 0
    for item in items:
        columns = -(-(cell_len(item) + 2) // column)
        if taken and taken + columns > room:
            yield row.rstrip()
            row, taken = "", 0
        taken += columns
        row += item + " " * (columns * column - cell_len(item))
    if row:
        yield row.rstrip()


def _block(text: str) -> Iterator[Paragraph]:
    more = len(text) - MAX_TEXT
    for line in sanitize(text[:MAX_TEXT]).split("\n"):
        yield Paragraph(line.expandtabs(4))
    if more > 0:
        yield Paragraph(f"… and {more:,} characters more", show.DIM)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


# --- agreement -------------------------------------------------------------------------------------------------------


def agreement(found: Agreement) -> Content:
    """Who says the same: the groups, the largest first, and how often columns agree."""
    count = sum(len(each.members) for each in found.split.clusters)
    if not count:
        return Content.styled("There is no finished answer yet.", show.DIM)
    blocks = [Content.styled(saying(found.split), "bold")]
    if found.split.agreement is not None:
        blocks.append(
            Content(f"Two answers of different columns say the same in {found.split.agreement:.0%} of the pairs.")
        )
    if found.inputs > 1:
        blocks.append(Content.styled("They were asked with different inputs, so they need not agree.", show.WARN))
    if found.going_on:
        goes = "1 goes on from another answer and need" if found.going_on == 1 else ""
        goes = goes or f"{found.going_on} go on from other answers and need"
        blocks.append(Content.styled(f"{goes} not agree.", show.WARN))
    if found.left_out:
        blocks.append(Content.styled(f"{found.left_out} that failed or are not finished are left out.", show.DIM))
    for each in found.split.clusters:
        names = ", ".join(_members(each.members, found.columns))
        share = len(each.members) / count
        full = round(share * BAR)
        bar = (("━" * full, show.ACCENT), ("─" * (BAR - full), "$border-blurred"))
        number = f"{len(each.members):>{len(str(count))}}"
        said = f"said by {number} of {count} {share:4.0%} "
        title = Content.assemble(said, *bar, " ", show.line(names, "bold"))
        blocks += [Content(""), title, _short(each.text)]
    if len(found.columns) > 2:
        blocks += [Content(""), Content.styled("How often two columns say the same", "bold"), _matrix(found)]
    return show.lines(blocks)


def saying(split: Split) -> str:
    """How many answers say how much, in a line."""
    count, things = sum(len(each.members) for each in split.clusters), len(split.clusters)
    if count == 1:
        return "There is one answer"
    return f"{count} answers say {things} different things" if things > 1 else f"All {count} answers say the same"


def _members(members: Sequence[tuple[int, int]], columns: Sequence[tuple[str, str]]) -> list[str]:
    """Columns with their samples: `SmolLM2 ×3`."""
    counts: dict[int, int] = {}
    for column, _ in members:
        counts[column] = counts.get(column, 0) + 1
    names = _column_names(columns)
    return [names[column] + (f" ×{number}" if number > 1 else "") for column, number in counts.items()]


def _column_names(columns: Sequence[tuple[str, str]]) -> list[str]:
    labels = len({label for label, _ in columns}) > 1
    return [f"{model} · {label}" if labels else model for label, model in columns]


def _short(text: str) -> Content:
    lines = text[:MAX_TEXT].split("\n")
    shown = show.block("\n".join(lines[:MAX_LINES]))
    more = len(lines) - MAX_LINES
    return show.lines([shown, Content.styled(f"… and {more:,} lines more", show.DIM)]) if more > 0 else shown


def _matrix(found: Agreement) -> Content:
    names = _column_names(found.columns)
    rows = [Content.styled("     " + "".join(f"{number:>6}" for number in range(1, len(names) + 1)), show.DIM)]
    for number, (title, row) in enumerate(zip(names, found.matrix, strict=True), 1):
        cells = "".join(f"{'-' if value is None else f'{value:.0%}':>6}" for value in row)
        rows.append(Content.assemble((f"{number:>4} ", show.DIM), cells, "  ", show.line(title)))
    return show.lines(rows)
