"""One model looked at closely."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content, Span
from textual.reactive import var
from textual.widgets import Static

from promptlab.core.text import sanitize
from promptlab.tui import show
from promptlab.tui.colours import Kind, State, scan
from promptlab.tui.describe_models import progress, reason, state
from promptlab.tui.model_news import ModelNews
from promptlab.tui.program import key_of

if TYPE_CHECKING:
    from promptlab.app.model_details import Details, Header
    from promptlab.app.models import Entry

FOLDED = 12
"""Lines of a chat template that are shown until somebody wants all of it."""
FOLDED_CHARACTERS = 2_000
"""And so many characters: many templates are one long line, and what is shown is drawn again with every news."""
MAX_SHOWN = 40_000
"""Characters of a chat template that are shown at all, and of any other value a hundredth of it."""
LABEL = 13
"""Cells of a label, the gap included."""
STYLES: dict[Kind, str] = {
    "mark": show.ACCENT,
    "key": "$text-primary",
    "string": show.GOOD,
    "number": show.GOOD,
    "word": f"bold {show.ACCENT}",
    "comment": "italic $secondary",
    "name": "bold",
}
"""Of the parts of a chat template, as in the source of a prompt."""

Fact = tuple[str, str | Content]


class ModelDetails(VerticalScroll):
    """What models.yaml, the file, the engine and measurements say of a model."""

    DEFAULT_CSS = """
    ModelDetails {
        padding: 0 1;
        scrollbar-gutter: stable;
        & > Static { height: auto; }
    }
    """

    details: var[Details | None] = var(None, init=False)
    """What to show."""
    news: var[ModelNews] = var(ModelNews(), init=False)
    """How it stands."""
    whole: var[bool] = var(False, init=False)
    """Whether all of the chat template is shown."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._text = Static()
        self._template: tuple[str, Content] = ("", Content(""))
        """The last that was coloured, because that takes a while."""

    def compose(self) -> ComposeResult:
        """One text."""
        yield self._text

    def watch_details(self, old: Details | None, details: Details | None) -> None:
        """Show another model from its top."""
        if old is None or details is None or old.entry.name != details.entry.name:
            self.scroll_home(animate=False)
        self._tell()

    def watch_news(self) -> None:
        """Show how it stands now."""
        self._tell()

    def watch_whole(self) -> None:
        """Fold or unfold the chat template."""
        self._tell()

    def on_resize(self) -> None:
        """Break the lines where they fit."""
        self._tell()

    def _tell(self) -> None:
        details = self.details
        if details is None:
            self.border_title = Content("Details")
            self._text.update(Content.styled("Nothing to show yet.", show.DIM))
            return
        width = max(self.scrollable_content_region.width, 20)
        self.border_title = show.line(details.entry.name)
        blocks = [
            _title(details.entry),
            _standing(details, self.news),
            self._bench(details.entry),
            _aligned(_file_facts(details), width),
            _aligned(_entry_facts(details), width),
            self._chat_template(details),
        ]
        self._text.update(Content("\n\n").join(block for block in blocks if block.plain))

    def _bench(self, entry: Entry) -> Content:
        found = self.news.benched.get(entry.name)
        if found is None:
            return Content("")
        from promptlab.views.bench import rates_grid  # here because it is slow to import
        from promptlab.views.table import as_text

        return show.lines([_heading("Measured here"), show.block(as_text(rates_grid(found)).rstrip("\n"))])

    def _chat_template(self, details: Details) -> Content:
        template = details.header.chat_template if details.header else ""
        if not template:
            return Content("")
        begins = template if self.whole else beginning(template)
        if self._template[0] != begins:
            self._template = (begins, coloured(begins))
        unused = " (not used: the entry says plain)" if details.entry.chat_template else ""
        lines = template.count("\n") + 1
        more = f"{key_of(self, 'models.template')} shows all {f'{lines:,} lines' if lines > 1 else 'of it'}"
        rest = [Content.styled(more, show.ACCENT)] if len(begins) < len(template) else []
        return show.lines([_heading(f"Chat template{unused}"), self._template[1], *rest])


def beginning(template: str) -> str:
    """As much of a chat template as is shown until somebody wants all of it."""
    return "\n".join(template[:FOLDED_CHARACTERS].split("\n")[:FOLDED])


def coloured(template: str) -> Content:
    """A chat template with syntax colours, as far as it is shown. A stranger wrote it: this takes time in proportion to
    its length, which Pygments does not.
    """
    cut = template[:MAX_SHOWN]
    state: State = "text"
    spans: list[Span] = []
    at = 0
    text = sanitize(cut)
    for line in text.split("\n"):
        found, state = scan(line, state)
        spans += [Span(at + start, at + end, STYLES[kind]) for start, end, kind in found]
        at += len(line) + 1
    more = f"\n… {len(template) - len(cut):,} characters more" if len(template) > len(cut) else ""
    return Content(text, spans) + Content.styled(more, show.DIM)


def _title(entry: Entry) -> Content:
    return show.line(entry.title or entry.name, "bold")


def _heading(text: str) -> Content:
    return Content.styled(text, f"bold {show.ACCENT}")


def _standing(details: Details, news: ModelNews) -> Content:
    """How it stands, and how far what is being done with it has come."""
    entry, doing = details.entry, news.doing
    held = news.held(entry.name)
    more = [Content(show.size(held.bytes) + " in memory")] if held and held.bytes else []
    if held is not None and held.used:
        more.append(Content("in use"))
    lines = [show.join([state(entry, news), *more], " · ")]
    if doing is not None and doing.name == entry.name:
        lines.append(progress(doing))
    lines += [line for line in (reason(entry, news), _cut(details.problem, show.BAD)) if line.plain]
    if (verified := news.verified.get(entry.name)) is not None:
        good = Content.styled("✓ its file is what its hash says", show.GOOD)
        bad = show.lines([show.line(f"✗ its file has another hash: {verified.actual}", show.BAD)])
        lines.append(good if verified.ok else bad)
    return show.lines(lines)


def _file_facts(details: Details) -> list[Fact]:
    """What the file says of itself."""
    header = details.header
    if header is None:
        return []
    shape = header.shape
    return [
        ("name", header.name),
        ("architecture", f"{shape.architecture}, {shape.layers} layers of width {shape.embedding:,}"),
        ("parameters", _count(header.parameters) if header.parameters else ""),
        ("quantisation", header.quantization),
        ("stored as", header.tensor_types),
        ("trained for", f"{shape.context:,} tokens" if shape.context else ""),
        ("tokenizer", _tokenizer(header)),
        ("needs", f"{show.size(details.least)} of memory at least" if details.least else ""),
    ]


def _entry_facts(details: Details) -> list[Fact]:
    """What models.yaml says of it."""
    entry = details.entry
    size = f"{show.size(entry.bytes)} ({entry.bytes:,} bytes)" if entry.bytes else ""
    return [
        ("context", "" if entry.server else f"{entry.context:,} tokens"),
        ("license", _license(details)),
        ("size", size),
        *(_server(entry) if entry.server else _weights(entry)),
        ("options", json.dumps(entry.options, ensure_ascii=False) if entry.options else ""),
        ("template", entry.chat_template or ""),
        ("threads", str(entry.threads or "")),
        ("tags", ", ".join(entry.tags)),
        ("default", "yes: asked unless others are named" if entry.default else ""),
    ]


def _server(entry: Entry) -> list[Fact]:
    """Who has it instead."""
    asked = entry.model or f"{entry.name}, or the only model that it has"
    return [("server", entry.server or ""), ("asked for", asked), ("weights", "cannot be known: a server has them")]


def _weights(entry: Entry) -> list[Fact]:
    path = show.path(Path(entry.path)) if entry.path else "not on disk"
    return [
        ("sha256", entry.sha256 or "not pinned: `promptlab models pull --pin` writes it down"),
        ("path", path),
        *_sources(entry),
    ]


def _sources(entry: Entry) -> list[Fact]:
    """Where it can be had; the parts of one below each other."""
    facts: list[Fact] = []
    for number, source in enumerate(entry.sources, 1):
        first, *more = (source,) if isinstance(source, str) else source
        facts.append((f"source {number}" if len(entry.sources) > 1 else "source", first))
        facts += [("  and", part) for part in more]
    return facts


def _license(details: Details) -> str:
    """As models.yaml says, and as the file does where that is something else."""
    said = details.header.license if details.header else ""
    differs = said and said.lower() != details.entry.license.lower()
    return f"{details.entry.license} (its file says {said})" if differs else details.entry.license


def _tokenizer(header: Header) -> str:
    return f"{header.tokenizer}, {header.shape.vocabulary:,} tokens" if header.tokenizer else ""


def _count(number: int) -> str:
    """How many parameters, as people say it."""
    for unit, name in ((10**9, " billion"), (10**6, " million")):
        if number >= unit:
            return f"{number / unit:.1f}{name}"
    return f"{number:,}"


def _cut(text: str, style: str = "") -> Content:
    longest = MAX_SHOWN // 100
    return show.line(text if len(text) <= longest else text[:longest] + "…", style)


def _aligned(facts: list[Fact], width: int) -> Content:
    """Labels on the left; values beside them, wrapped in a column of their own."""
    lines: list[Content] = []
    for label, value in facts:
        content = _cut(value) if isinstance(value, str) else value
        if not content.plain:
            continue
        first, *more = content.wrap(max(width - LABEL, 10))
        lines.append(Content.styled(f"{label:<{LABEL}}", show.DIM) + first)
        lines += [Content(" " * LABEL) + line for line in more]
    return show.lines(lines)
