"""One input of a prompt: its name, its hint, and the control that suits its type."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.document._edit import Edit
from textual.geometry import Size
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Select, Static, Switch, TextArea
from textual.widgets.text_area import EditResult

from promptlab.core.schema import type_name
from promptlab.core.text import sanitize, sanitize_line
from promptlab.tui import fields, show
from promptlab.tui.bindings import bindings

if TYPE_CHECKING:
    from promptlab.core.prompt import Input as Declared


CONTROLS = """
    & Input, & TextArea, & Select, & Box {
        background: $panel;
        padding: 0 1;
        &:focus { background: $block-cursor-background; background-tint: $foreground 0%; }
    }
    & TextArea { padding: 0; }
    & Box, & Box:focus { width: auto; height: 1; border: none; padding: 0; }
    & Select { padding: 0; height: 1; }
    & Select > SelectCurrent { background: transparent; padding: 0 1; }
    & Select:focus > SelectCurrent { border: none; background-tint: $foreground 0%; }
    & Box:focus:nocolor, & Select:focus:nocolor > SelectCurrent { text-style: reverse; }
"""
"""How controls look within whatever has this in its style: before its own rules, so that these can say otherwise."""


PART = " · "
"""Stands between the parts of a hint."""


class FieldPane(Widget):
    """Holds fields. Escape leaves them, and enter in one of a single line asks for a run."""

    BINDINGS = bindings("field")

    class Left(Message):
        """Escape was pressed in a field."""

    class RunRequested(Message):
        """Enter was pressed in a field of a single line."""

    def action_leave(self) -> None:
        """Say that somebody wants to be elsewhere."""
        self.post_message(self.Left())

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.RunRequested())


class Line(Input):
    """One line of text. What would move the cursor or hide stays out, so what is sent is what is seen."""

    class Pasted(Message):
        """Several lines were pasted: this control is too small for them."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, text: str, *, placeholder: str) -> None:
        super().__init__(sanitize_line(text), compact=True, select_on_focus=False)
        self._hint = ""
        self.hint(placeholder)

    def hint(self, text: str) -> None:
        """Say something else while nothing is typed; of its parts those that have room."""
        self._hint = sanitize_line(text)
        self._fit_hint()

    def _fit_hint(self) -> None:
        first, *more = self._hint.split(PART)
        for part in more:
            if self.size.width and cell_len(first + PART + part) > self.size.width:
                break
            first += PART + part
        self.placeholder = first

    def _size_updated(self, size: Size, virtual_size: Size, container_size: Size, layout: bool = True) -> bool:
        """Another room has room for other parts of the hint."""
        changed = super()._size_updated(size, virtual_size, container_size, layout)
        if changed:
            self._fit_hint()
        return changed

    def validate_value(self, value: str) -> str:
        """Make visible what is not text."""
        return sanitize_line(value)

    def _on_paste(self, event: events.Paste) -> None:
        if "\n" in event.text.strip():
            event.prevent_default()
            event.stop()
            self.post_message(self.Pasted(event.text))


class Area(TextArea):
    """Several lines of text; the same care."""

    def __init__(self, text: str, *, placeholder: str) -> None:
        hint = Content(sanitize_line(placeholder))
        super().__init__(sanitize(text), placeholder=hint, compact=True, highlight_cursor_line=False)

    def edit(self, edit: Edit) -> EditResult:
        """Make visible what is not text."""
        return super().edit(replace(edit, text=sanitize(edit.text)))


class Box(Switch):
    """Yes or no, as a box to tick. Textual's switch says in colours alone which way is on, and where the focus is."""

    def __init__(self, value: bool = False) -> None:
        super().__init__(value, animate=False)

    def render(self) -> Content:
        """As in lists of things to tick."""
        return Content.styled("[x]", f"bold {show.ACCENT}") if self.value else Content("[ ]")

    def get_content_width(self, container: Size, viewport: Size) -> int:
        """Of the box alone."""
        return len("[x]")


class Field(Vertical):
    """Shows an input of a prompt, and knows what has been typed."""

    DEFAULT_CSS = f"""
    Field {{
        {CONTROLS}
        height: auto;
        margin-bottom: 1;
        & > .label, & > .hint, & > .complaint {{ height: auto; }}
        & > .hint {{ color: $text-muted; }}
        & > .complaint {{ display: none; color: $text-error; }}
        &.-wrong > .complaint {{ display: block; }}
        & > TextArea {{ height: auto; min-height: 3; max-height: 10; }}
        &.-wrong > Input {{ background: $error 20%; }}
    }}
    """

    def __init__(self, declared: Declared, draft: Any = None, held: fields.Held | None = None) -> None:
        """`draft` is what was typed before, and `held` what a case gives."""
        super().__init__()
        self.declared = declared
        self.kind = fields.kind_of(declared)
        self.held = held
        """What a case gives."""
        self._start = draft if _is_one(declared, self.kind, draft) else _first(declared, self.kind)
        self._control = self._make(self._suited(self._start), self._start)
        self._reason: str | None = None

    def compose(self) -> ComposeResult:
        """The label, the hint and the control, below each other."""
        yield Static(self._label(), classes="label")
        if self.declared.description:
            yield Static(show.line(self.declared.description), classes="hint")
        yield self._control
        yield Static(classes="complaint")

    def _label(self) -> Content:
        mark = Content.styled(" *", show.ACCENT) if self.declared.required else Content("")
        kind = show.line(f"  {_short_type(self.declared)}", show.DIM)
        # An empty box is an answer, too.
        state = Content.styled(" · yes" if self.draft else " · no") if self.kind == "switch" else Content("")
        return Content.assemble(show.line(self.declared.name, "bold"), mark, kind, state)

    @property
    def control(self) -> Widget:
        """What takes the focus."""
        return self._control

    @property
    def touched(self) -> bool:
        """Whether it shows another value than it does before anybody touches it."""
        return bool(self.draft != _first(self.declared, self.kind))

    @property
    def draft(self) -> Any:
        """What stands in the control, in the control's own terms."""
        match self._control:
            case Line(value=text) | Area(text=text):
                return text
            case Box(value=on):
                return on
            case Select(value=choice):
                return choice
        raise AssertionError(self._control)

    def given(self) -> dict[str, Any]:
        """The value as a run takes it: one entry, or none where it is left to the prompt."""
        draft, name = self.draft, self.declared.name
        if self.held is not None and draft == self.held.draft:
            return {name: self.held.value}
        if isinstance(draft, str):
            untouched = draft == self._start == _first(self.declared, self.kind)
            given = not untouched and fields.is_given(self.declared, draft)
            return {name: _typed(draft)} if given else {}
        if isinstance(draft, bool):
            return {name: draft} if self.declared.required or draft != bool(self.declared.default) else {}
        chosen = isinstance(draft, int) and draft != _first(self.declared, self.kind)
        return {name: self.declared.schema["enum"][draft]} if chosen else {}

    async def hold(self, value: Any, *, typed: bool = False) -> None:
        """Show a value that a case gives, and give exactly that to a run until somebody types."""
        await self._swap(*self._as_shown(value, typed))
        self._hold(self.draft, value, typed)

    def recognise(self, value: Any, *, typed: bool = False) -> None:
        """Give exactly this value of a case to a run as long as the control shows it; what stands there stays."""
        _, draft = self._as_shown(value, typed)
        self._hold(Select.NULL if self.kind == "choice" and draft is None else draft, value, typed)

    def _as_shown(self, value: Any, typed: bool) -> tuple[fields.Kind, Any]:
        """The control for a value, and what stands in it."""
        draft = fields.draft_of(self.declared, self.kind, value, typed=typed)
        kind = self._suited(draft)
        if isinstance(draft, str):
            draft = sanitize(draft) if kind == "area" else sanitize_line(draft)
        return kind, draft

    def _hold(self, draft: Any, value: Any, typed: bool) -> None:
        self.held = fields.Held(draft, _typed(value) if typed and isinstance(value, str) else value)

    async def put(self, draft: Any) -> None:
        """Show what was typed before, or nothing in particular."""
        self.held = None
        self._start = draft if _is_one(self.declared, self.kind, draft) else _first(self.declared, self.kind)
        await self._swap(self._suited(self._start), self._start)

    def _suited(self, draft: Any) -> fields.Kind:
        """The kind of control that has room for what it is to show."""
        return "area" if self.kind == "line" and isinstance(draft, str) and "\n" in draft else self.kind

    @on(Line.Pasted)
    async def _grow(self, event: Line.Pasted) -> None:
        """Give several lines the room they want."""
        event.stop()
        if self.kind != "line":
            return
        old = self._control
        assert isinstance(old, Line)
        at = old.cursor_position
        await self._swap("area", old.value[:at] + event.text + old.value[at:])
        self._control.focus()

    async def _swap(self, kind: fields.Kind, draft: Any) -> None:
        """Put another control in the place of the one that is there."""
        old, self._control = self._control, self._make(kind, draft)
        focused = old.has_focus
        await self.mount(self._control, after=old)
        if focused:
            self._control.focus()
        await old.remove()
        self._tell()

    @on(Switch.Changed)
    def _switched(self, event: Switch.Changed) -> None:
        event.stop()
        self._tell()

    @on(Input.Changed)
    @on(TextArea.Changed)
    def _check(self, event: Input.Changed | TextArea.Changed) -> None:
        event.stop()
        self._tell()

    def _tell(self) -> None:
        """Say how a switch stands, or what is wrong with what stands in the control."""
        if self.kind == "switch":
            self.query_one(".label", Static).update(self._label())
        reason = fields.complaint(self.declared, self.draft) if isinstance(self.draft, str) else None
        if reason != self._reason:
            self._reason = reason
            self.set_class(reason is not None, "-wrong")
            self.query_one(".complaint", Static).update(show.line(reason or ""))

    def _make(self, kind: fields.Kind, draft: Any) -> Widget:
        hint = fields.placeholder(self.declared)
        match kind:
            case "area":
                return Area(draft, placeholder=hint)
            case "switch":
                return Box(bool(draft))
            case "choice":
                return _choices(self.declared, Select.NULL if draft is None else draft)
        return Line(draft, placeholder=hint)


def _typed(text: str) -> Any:
    from promptlab.app.run import Typed  # here because the lab is slow to import

    return Typed(text)


def _choices(declared: Declared, draft: Any) -> Select[int]:
    values = declared.schema["enum"]
    labels = [value if isinstance(value, str) else type_name({"enum": [value]}) for value in values]
    options = [(Text(sanitize_line(label)), index) for index, label in enumerate(labels)]
    # A value that must be chosen, or is there from the start, cannot be taken back.
    prompt = fields.VARIES if declared.varies else "choose…"
    return Select(options, prompt=prompt, allow_blank=not isinstance(draft, int), value=draft, compact=True)


def _is_one(declared: Declared, kind: fields.Kind, draft: Any) -> bool:
    """Whether a control of this kind can hold a draft: since it was typed, the prompt may have changed."""
    if kind == "choice":
        return isinstance(draft, int) and not isinstance(draft, bool) and 0 <= draft < len(declared.schema["enum"])
    return isinstance(draft, bool if kind == "switch" else str)


def _first(declared: Declared, kind: fields.Kind) -> Any:
    """What a control holds before anybody touches it."""
    if kind == "switch":
        return bool(declared.default)
    if kind == "choice":
        values = declared.schema["enum"]
        has_default = "default" in declared.schema and declared.default in values
        return values.index(declared.default) if has_default else Select.NULL
    text = fields.shown_default(declared)
    return sanitize(text) if kind == "area" else sanitize_line(text)


def _short_type(declared: Declared) -> str:
    kind = "" if declared.schema.get("enum") else type_name(declared.schema)
    kind = f"{kind} {fields.bounds(declared.schema)}".strip() if fields.kind_of(declared) == "number" else kind
    left = declared.required or declared.varies or "default" in declared.schema
    return kind if left else f"{kind} · optional".strip(" ·")
